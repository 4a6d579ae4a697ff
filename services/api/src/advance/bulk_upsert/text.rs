//! Fields of a `COPY` line.

/// Appends a field, and what stands before it on the line.
pub(super) fn push_field(line: &mut Vec<u8>, first: bool, text: Option<&str>) {
    if !first {
        line.push(b'\t');
    }
    let Some(text) = text else {
        line.extend_from_slice(b"\\N");
        return;
    };
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| escape(*byte).is_some()) {
        let (plain, special) = rest.split_at(at);
        line.extend_from_slice(plain);
        let letter = special.first().and_then(|byte| escape(*byte));
        line.extend(letter.map(|letter| [b'\\', letter]).into_iter().flatten());
        rest = special.get(1..).unwrap_or_default();
    }
    line.extend_from_slice(rest);
}

/// The letter that stands for a byte after a backslash.
fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'\\' => Some(b'\\'),
        b'\t' => Some(b't'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_escaped() {
        let mut line = Vec::new();
        push_field(&mut line, true, Some("a\\\t\n"));
        push_field(&mut line, false, None);
        assert_eq!(line, b"a\\\\\\t\\n\t\\N");
    }
}
