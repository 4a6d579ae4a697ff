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
    for byte in text.bytes() {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\t' => line.extend_from_slice(b"\\t"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            byte => line.push(byte),
        }
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
