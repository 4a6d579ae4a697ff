//! The verified caller of a request.

use std::fmt;

use serde_json::{Map, Value, json};

/// What PostgreSQL is told a caller may do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    /// No signed-in user.
    Anon,
    /// A signed-in user.
    Authenticated,
    /// The project's administrator.
    ProjectAdmin,
    /// A role of the project's own that a third-party token named. It is an ordinary user to every
    /// guard; PostgreSQL refuses it unless the project granted it to its authenticator.
    Other(RoleName),
}

/// Name of a role that is none of Ingot's: 1 to 63 bytes, not `none`, which PostgreSQL would read
/// as "no role at all".
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleName(Box<str>);

impl Role {
    /// Reads a token's `role` claim; `None` if no PostgreSQL role can have that name.
    pub fn from_claim(name: &str) -> Option<Self> {
        match name {
            "anon" => Some(Self::Anon),
            "authenticated" => Some(Self::Authenticated),
            "project_admin" => Some(Self::ProjectAdmin),
            other => ((1..=63).contains(&other.len())
                && !other.eq_ignore_ascii_case("none")
                && !other.contains(char::is_control))
            .then(|| Self::Other(RoleName(other.into()))),
        }
    }

    /// The role's name in PostgreSQL and in claims.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Anon => "anon",
            Self::Authenticated => "authenticated",
            Self::ProjectAdmin => "project_admin",
            Self::Other(name) => &name.0,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a caller proved itself with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credential {
    /// The project's API key (`ik_…`, or anything in `x-api-key`).
    ApiKey,
    /// The project's anon key (`anon_…`).
    AnonKey,
    /// A signed token.
    Token,
}

/// A verified caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Role for PostgreSQL.
    pub role: Role,
    /// `sub` of a token. Any text: third parties do not use UUIDs.
    pub subject: Option<String>,
    /// `email` of a token.
    pub email: Option<String>,
    /// How the caller proved it.
    pub credential: Credential,
    /// When the token ends, in seconds since 1970; `None` for keys and tokens without `exp`.
    pub expires_at: Option<u64>,
}

impl Identity {
    pub(crate) fn api_key() -> Self {
        Self::of_key(Role::ProjectAdmin, Credential::ApiKey)
    }

    pub(crate) fn anon_key() -> Self {
        Self::of_key(Role::Anon, Credential::AnonKey)
    }

    fn of_key(role: Role, credential: Credential) -> Self {
        Self {
            role,
            subject: None,
            email: None,
            credential,
            expires_at: None,
        }
    }

    /// Whether the caller administers the project.
    pub fn is_admin(&self) -> bool {
        self.role == Role::ProjectAdmin
    }

    /// Who did it, for the audit trail (contract, platform §4.4).
    pub fn actor(&self) -> &str {
        match self.credential {
            Credential::ApiKey => "api-key",
            Credential::AnonKey => "anonymous",
            Credential::Token => self.subject.as_deref().unwrap_or_default(),
        }
    }

    /// The value of `request.jwt.claims` for a transaction of this caller. Subjects of
    /// administrators and anonymous callers never reach the database (contract, auth §1).
    pub fn claims_json(&self) -> String {
        let mut claims = Map::new();
        claims.insert("role".into(), json!(self.role.as_str()));
        if self.role == Role::Authenticated {
            claims.extend(self.subject.iter().map(|sub| ("sub".into(), json!(sub))));
        }
        claims.extend(self.email.iter().map(|mail| ("email".into(), json!(mail))));
        Value::Object(claims).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_users_have_a_subject_in_the_database() {
        let mut caller = Identity {
            role: Role::Authenticated,
            subject: Some("u\"1".into()),
            email: Some("a@b.c".into()),
            credential: Credential::Token,
            expires_at: None,
        };
        assert_eq!(
            caller.claims_json(),
            r#"{"role":"authenticated","sub":"u\"1","email":"a@b.c"}"#
        );
        caller.role = Role::ProjectAdmin;
        assert_eq!(
            caller.claims_json(),
            r#"{"role":"project_admin","email":"a@b.c"}"#
        );
        assert_eq!(Identity::anon_key().claims_json(), r#"{"role":"anon"}"#);
    }

    #[test]
    fn a_role_that_resets_the_role_is_none() {
        assert_eq!(Role::from_claim("None"), None);
        assert_eq!(Role::from_claim(""), None);
        assert_eq!(Role::from_claim("editor").unwrap().as_str(), "editor");
    }
}
