//! The password policy (contract, auth §10.4).

use super::store::AuthConfig;
use crate::auth::failure::Failure;

/// What counts as special.
const SPECIAL: &str = r"!@#$%^&*()_+-=[]{};\|,.<>/?";

impl AuthConfig {
    /// Checks a new password; a refusal lists all active rules.
    pub(in crate::auth) fn check_password(&self, password: &str) -> Result<(), Failure> {
        let long_enough = i32::try_from(password.encode_utf16().count())
            .is_ok_and(|length| length >= self.password_min_length);
        let has = |wanted: bool, test: &dyn Fn(char) -> bool| !wanted || password.contains(test);
        let strong = long_enough
            && has(self.require_number, &|c| c.is_ascii_digit())
            && has(self.require_lowercase, &|c| c.is_ascii_lowercase())
            && has(self.require_uppercase, &|c| c.is_ascii_uppercase())
            && has(self.require_special_char, &|c| SPECIAL.contains(c));
        if strong {
            Ok(())
        } else {
            Err(Failure::WeakPassword(self.password_rules()))
        }
    }

    fn password_rules(&self) -> String {
        let rules = [
            (self.require_number, "a digit"),
            (self.require_lowercase, "a lower-case letter"),
            (self.require_uppercase, "an upper-case letter"),
            (self.require_special_char, "a special character"),
        ];
        let mut text = format!(
            "password: needs at least {} characters",
            self.password_min_length
        );
        for (_, rule) in rules.iter().filter(|(active, _)| *active) {
            text.push_str(", ");
            text.push_str(rule);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_active_rule_must_hold() {
        let strict = AuthConfig {
            password_min_length: 4,
            require_number: true,
            require_lowercase: true,
            require_uppercase: true,
            require_special_char: true,
            ..AuthConfig::default()
        };
        assert!(strict.check_password("aA1!").is_ok());
        for weak in [
            "aA!!", "AA1!", "aa1!", "aA11", "aA1", "aA1\"", "aA1 ", "aA1~",
        ] {
            assert!(strict.check_password(weak).is_err(), "{weak}");
        }
    }

    #[test]
    fn length_counts_as_clients_count_it() {
        let config = AuthConfig::default();
        assert!(config.check_password("12345").is_err());
        // Three characters beyond the basic plane are six units of UTF-16.
        assert!(config.check_password("😀😀😀").is_ok());
    }
}
