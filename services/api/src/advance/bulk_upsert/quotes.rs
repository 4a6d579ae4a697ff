//! Whether a CSV text ends inside quotes, as one does that was cut off. The reader of the rows takes
//! the end of the file for the end of the quotes (RFC 4180, section 2, knows no such end).

use std::io::{self, BufRead};

#[derive(Debug, Clone, Copy)]
enum Place {
    FieldStart,
    Bare,
    Quoted,
    /// After a quote in quotes: it ends them, unless another one follows.
    AfterQuote,
}

/// Reads `text`, from the beginning of a record to its end.
pub(super) fn are_open(text: impl BufRead) -> io::Result<bool> {
    let mut place = Place::FieldStart;
    for byte in text.bytes() {
        place = match (place, byte?) {
            (Place::Quoted, b'"') => Place::AfterQuote,
            (Place::FieldStart | Place::AfterQuote, b'"') | (Place::Quoted, _) => Place::Quoted,
            (_, b',' | b'\n' | b'\r') => Place::FieldStart,
            _ => Place::Bare,
        };
    }
    Ok(matches!(place, Place::Quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_open_where_a_field_began_with_one_and_has_no_other() {
        for open in ["\"", "1,\"a", "1,\"a\n2,b\n", "\"a\"\"", "\"a\"\n\"\"\"\n,"] {
            assert!(are_open(open.as_bytes()).unwrap(), "{open}");
        }
        for closed in [
            "",
            "a",
            "\"a\"",
            "\"a\"\"\"\n",
            "5\" pipe,6\"\n",
            "\"a\"b\",c",
            "\"\",\"\"",
        ] {
            assert!(!are_open(closed.as_bytes()).unwrap(), "{closed}");
        }
    }
}
