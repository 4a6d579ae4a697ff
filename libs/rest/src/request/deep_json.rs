//! JSON that is nested deeper than a parser with a stack likes to go. How deep is too deep is for
//! PostgreSQL to say; here only the outermost levels matter.

/// Levels that are kept.
const KEPT: usize = 8;

/// Levels down to which documents can be parsed as they are.
const PARSED: usize = 100;

/// The document with a number for whatever is nested deeper than anybody looks. Nothing for
/// documents that are not nested that deep, or end too early.
pub(super) fn shallow(document: &[u8]) -> Option<Vec<u8>> {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    let mut kept = Vec::new();
    for &byte in document {
        let hidden = depth > KEPT;
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
        } else {
            match byte {
                b'"' => quoted = true,
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.checked_sub(1)?,
                _ => {}
            }
        }
        deepest = deepest.max(depth);
        match (hidden, depth > KEPT) {
            (false, false) => kept.push(byte),
            (false, true) => kept.push(b'0'),
            (true, _) => {}
        }
    }
    (depth == 0 && deepest > PARSED).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"[{{"a":{open}"]\"]"{close},"b":1}}]"#)
    }

    #[test]
    fn only_the_outermost_levels_are_kept() {
        let kept = shallow(nested(1000).as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(kept).unwrap(),
            r#"[{"a":[[[[[[0]]]]]],"b":1}]"#
        );
    }

    #[test]
    fn what_is_not_deep_or_not_whole_stays() {
        assert_eq!(shallow(nested(50).as_bytes()), None);
        assert_eq!(shallow("[".repeat(1000).as_bytes()), None);
        assert_eq!(shallow("]".repeat(1000).as_bytes()), None);
    }
}
