//! What the fields of this domain may contain (contract, auth §4).

use uuid::Uuid;

/// Longest address that is accepted: what RFC 5321 allows for a path, without its brackets.
const MAX_EMAIL_BYTES: usize = 254;
const MAX_NAME_CHARS: usize = 100;

/// Whether `text` is an e-mail address as the contract wants it: checked before any trimming, so
/// blanks around it make it invalid.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let mut labels: Vec<_> = domain.split('.').collect();
    let top = labels.pop().unwrap_or_default();
    text.len() <= MAX_EMAIL_BYTES
        && !local.is_empty()
        && local
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_'+-.".contains(&b))
        && !local.starts_with('.')
        && !local.ends_with(['.', '\''])
        && !text.contains("..")
        && !labels.is_empty()
        && labels.iter().all(|label| is_label(label))
        && top.len() >= 2
        && top.bytes().all(|b| b.is_ascii_alphabetic())
}

fn is_label(label: &str) -> bool {
    label.starts_with(|c: char| c.is_ascii_alphanumeric())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A name without the blanks around it, if 1 to 100 characters are left.
pub(super) fn trimmed_name(text: &str) -> Option<&str> {
    let name = text.trim();
    (!name.is_empty() && name.chars().count() <= MAX_NAME_CHARS).then_some(name)
}

/// A user id: a UUID in its usual form with hyphens, letters in any case.
pub(super) fn user_id(text: &str) -> Option<Uuid> {
    if text.len() == 36 {
        Uuid::try_parse(text).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["a@b.co", "A.b+c_d-e'f@x-1.example.COM", "1@2.io"] {
            assert!(is_email(good), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in [
            "",
            "a",
            "@b.co",
            "a@b",
            "a@b.c",
            " a@b.co",
            "a@b.co ",
            ".a@b.co",
            "a.@b.co",
            "a'@b.co",
            "a..b@c.co",
            "a@b..co",
            "a@-b.co",
            "a@b.c0",
            "a@@b.co",
            "ä@b.co",
            "a@b.co\n",
            &long,
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(trimmed_name("  Ann "), Some("Ann"));
        assert_eq!(trimmed_name("   "), None);
        assert_eq!(trimmed_name(&"é".repeat(100)).map(str::len), Some(200));
        assert_eq!(trimmed_name(&"e".repeat(101)), None);
    }

    #[test]
    fn ids() {
        assert!(user_id("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11").is_some());
        for bad in [
            "current",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "",
            "x' or 1=1",
        ] {
            assert!(user_id(bad).is_none(), "{bad}");
        }
    }
}
