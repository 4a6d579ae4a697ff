//! Query parameters as the contract reads them: a value that makes no sense counts as not given.

/// A whole number of 0 or more.
pub(crate) fn whole_number(text: Option<&str>) -> Option<i64> {
    text?.trim().parse().ok().filter(|number| *number >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_counts_as_not_given() {
        assert_eq!(whole_number(Some(" 25 ")), Some(25));
        for text in ["", "-1", "x", "1e3", "99999999999999999999"] {
            assert_eq!(whole_number(Some(text)), None, "{text}");
        }
    }
}
