//! The configured administrator.

use ingot_config::{Environment, Problems, Secret, Settings, Variable};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Longest user name and password (contract, platform §1.1).
const MAX_BYTES: usize = 4096;

ingot_config::settings! {
    /// Who may sign in to the dashboard.
    struct AdminSettings {
        /// Login of the root administrator.
        username: String = "ROOT_ADMIN_USERNAME" or "ADMIN_EMAIL";
        /// Password of the root administrator.
        password: Secret = "ROOT_ADMIN_PASSWORD" or "ADMIN_PASSWORD";
    }
}

/// The root administrator. Only digests of the password are kept.
#[derive(Clone)]
pub struct AdminAccount {
    username: String,
    username_digest: [u8; 32],
    password_digest: [u8; 32],
}

impl std::fmt::Debug for AdminAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminAccount")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl Settings for AdminAccount {
    fn variables() -> Vec<Variable> {
        AdminSettings::variables()
    }

    fn load(environment: &Environment) -> Result<Self, Problems> {
        let settings = AdminSettings::load(environment)?;
        let (username, password) = (settings.username.trim(), settings.password.expose());
        let mut problems = Problems::default();
        if username.is_empty() || username.len() > MAX_BYTES {
            problems.add("ROOT_ADMIN_USERNAME", "must have 1 to 4096 characters");
        }
        if password.len() > MAX_BYTES {
            problems.add("ROOT_ADMIN_PASSWORD", "must have at most 4096 characters");
        }
        problems.into_result(|| {
            Some(Self {
                username: username.to_owned(),
                username_digest: digest(username),
                password_digest: digest(password),
            })
        })
    }
}

impl AdminAccount {
    /// Compares both in constant time, whichever is wrong.
    pub(super) fn matches(&self, username: &str, password: &str) -> bool {
        let right = digest(username).ct_eq(&self.username_digest)
            & digest(password).ct_eq(&self.password_digest);
        right.into()
    }

    /// `sub` of the administrator's tokens.
    pub(super) fn subject(&self) -> String {
        format!("local:{}", self.username)
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(username: &str, password: &str) -> Result<AdminAccount, Problems> {
        AdminAccount::load(&Environment::from_pairs([
            ("ADMIN_EMAIL", username),
            ("ROOT_ADMIN_PASSWORD", password),
        ]))
    }

    #[test]
    fn both_must_match() {
        let admin = load("root", "correct horse").unwrap();
        assert!(admin.matches("root", "correct horse"));
        assert!(!admin.matches("root", "correct"));
        assert!(!admin.matches("admin", "correct horse"));
        assert_eq!(admin.subject(), "local:root");
        assert!(!format!("{admin:?}").contains("correct"));
    }

    #[test]
    fn missing_and_public_passwords_are_refused() {
        for password in ["", "change-this-password", "admin"] {
            assert!(load("root", password).is_err(), "{password}");
        }
        assert!(load("", "correct horse").is_err());
    }
}
