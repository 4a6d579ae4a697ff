//! Reads the one statement that large scripts consist of, `INSERT` of constants, without a syntax
//! tree.
//!
//! What is read here is a strict part of PostgreSQL's grammar in which no rule can find anything:
//! bare or quoted names, constants, commas and parentheses. Everything else, also whatever is merely
//! unusual, is "not plain" and left to the parser. A text that is read here and refused there would
//! be a hole; `tests/plain.rs` looks for one.

use crate::reader::Reader;
use crate::script::Statement;

/// The statement at the beginning of `text`, if it is an `INSERT` of constants that ends with `;` or
/// with the text; and where the text goes on.
pub(crate) fn insert(text: &str) -> Option<(Statement, usize)> {
    let mut reader = Reader::new(text);
    reader.word("insert")?;
    reader.word("into")?;
    let table = reader.table()?;
    if reader.symbol(b'(').is_some() {
        reader.list(Reader::any_name)?;
    }
    reader.word("values")?;
    loop {
        reader.symbol(b'(')?;
        reader.list(constant)?;
        if reader.symbol(b',').is_none() {
            break;
        }
    }
    let end = reader.at();
    reader.end()?;
    let statement = Statement::insert(text.get(..end)?, table);
    Some((statement, reader.at()))
}

/// What follows is checked by [`Reader::list`]: only a comma or a parenthesis may.
fn constant(reader: &mut Reader<'_>) -> Option<()> {
    match reader.peek()? {
        b'\'' => reader.string()?,
        b'0'..=b'9' => number(reader)?,
        b'-' | b'+' => {
            reader.step();
            number(reader)?;
        }
        _ => {
            let word = reader.bare()?;
            let constants = ["null", "true", "false", "default"];
            let known = |constant: &&str| word.eq_ignore_ascii_case(constant);
            return constants.iter().any(known).then_some(());
        }
    }
    reader.spaces();
    Some(())
}

/// `12`, `1.5`, `1.5e-3`.
fn number(reader: &mut Reader<'_>) -> Option<()> {
    reader.digits()?;
    if reader.peek()? == b'.' {
        reader.step();
        reader.digits()?;
    }
    if matches!(reader.peek()?, b'e' | b'E') {
        reader.step();
        if matches!(reader.peek()?, b'-' | b'+') {
            reader.step();
        }
        reader.digits()?;
    }
    Some(())
}
