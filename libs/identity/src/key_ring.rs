//! A project's keys in memory, decrypted.

use ingot_config::Secret;
use ingot_project::Project;
use sqlx::PgPool;
use time::OffsetDateTime;

use crate::keys::same_key;
use crate::signing_key::SigningKey;
use crate::{AuthError, SecretCipher};

/// Former keys that are kept in mind per kind; more rotations within one grace period push the
/// oldest out.
const MAX_FORMER_KEYS: i64 = 100;

/// What is needed to verify callers of one project.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    api_keys: Vec<TimedKey>,
    anon_keys: Vec<TimedKey>,
    signing: Option<SigningKey>,
}

#[derive(Debug, Clone)]
struct TimedKey {
    key: Secret,
    expires_at: Option<OffsetDateTime>,
}

#[derive(sqlx::FromRow)]
struct StoredKey {
    key: String,
    value_ciphertext: String,
    expires_at: Option<OffsetDateTime>,
}

impl KeyRing {
    /// Reads all keys of a project in one query.
    pub(crate) async fn load(pool: &PgPool, project: &Project) -> Result<Self, AuthError> {
        let rows: Vec<StoredKey> = sqlx::query_as(
            r"select key, value_ciphertext, expires_at
              from system.secrets
              where is_active and is_reserved and (expires_at is null or expires_at > now())
                and (key in ('API_KEY', 'ANON_KEY', 'JWT_PRIVATE_KEY', 'JWT_KEY_ID')
                     or key like 'API\_KEY\_OLD\_%' or key like 'ANON\_KEY\_OLD\_%')
              order by expires_at desc nulls first
              limit $1",
        )
        .bind(4 + 2 * MAX_FORMER_KEYS)
        .fetch_all(pool)
        .await
        .map_err(|error| AuthError::Unavailable(error.to_string()))?;
        Self::read(&rows, &SecretCipher::new(project))
    }

    fn read(rows: &[StoredKey], cipher: &SecretCipher) -> Result<Self, AuthError> {
        let mut ring = Self::default();
        let (mut id, mut private) = (None, None);
        for row in rows {
            let key = match cipher.decrypt(&row.value_ciphertext) {
                Ok(key) => key,
                // A former key is not worth locking everybody out.
                Err(error) if row.key.contains("_OLD_") => {
                    tracing::warn!(key = row.key, %error, "a former key is left out");
                    continue;
                }
                Err(error) => {
                    return Err(AuthError::Unavailable(format!("{}: {error}", row.key)));
                }
            };
            let expires_at = row.expires_at;
            match row.key.as_str() {
                "JWT_KEY_ID" => id = Some(key.expose().to_owned()),
                "JWT_PRIVATE_KEY" => private = Some(key),
                name if name.starts_with("API_KEY") => {
                    ring.api_keys.push(TimedKey { key, expires_at });
                }
                _ => ring.anon_keys.push(TimedKey { key, expires_at }),
            }
        }
        if let (Some(id), Some(private)) = (id, private) {
            let key = SigningKey::from_pem(id, &private)
                .map_err(|error| AuthError::Unavailable(error.to_string()))?;
            ring.signing = Some(key);
        }
        Ok(ring)
    }

    /// Whether the project was seeded completely; anything less must not be remembered.
    pub(crate) fn is_complete(&self) -> bool {
        !self.api_keys.is_empty() && !self.anon_keys.is_empty() && self.signing.is_some()
    }

    /// Whether `given` is the API key or a former one within its grace period.
    pub(crate) fn has_api_key(&self, given: &str) -> bool {
        any_matches(&self.api_keys, given)
    }

    /// The same for the anon key.
    pub(crate) fn has_anon_key(&self, given: &str) -> bool {
        any_matches(&self.anon_keys, given)
    }

    /// The key pair that signs access tokens; `None` before the project was seeded.
    pub fn signing(&self) -> Option<&SigningKey> {
        self.signing.as_ref()
    }
}

/// Looks at every key, so that the time does not tell which one matched.
fn any_matches(keys: &[TimedKey], given: &str) -> bool {
    let now = OffsetDateTime::now_utc();
    keys.iter()
        .filter(|key| key.expires_at.is_none_or(|end| end > now))
        .fold(false, |found, key| same_key(given, &key.key) | found)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tokens::tests::project;

    fn stored(key: &str, value: &str, expires_at: Option<OffsetDateTime>) -> StoredKey {
        StoredKey {
            key: key.into(),
            value_ciphertext: SecretCipher::new(&project()).encrypt(value).unwrap(),
            expires_at,
        }
    }

    #[test]
    fn former_keys_hold_until_they_end() {
        let soon = OffsetDateTime::now_utc() + Duration::from_mins(1);
        let past = OffsetDateTime::now_utc() - Duration::from_secs(1);
        let rows = [
            stored("API_KEY", "ik_new", None),
            stored("API_KEY_OLD_2", "ik_former", Some(soon)),
            stored("API_KEY_OLD_1", "ik_ended", Some(past)),
            stored("ANON_KEY", "anon_new", None),
        ];
        let ring = KeyRing::read(&rows, &SecretCipher::new(&project())).unwrap();
        assert!(ring.has_api_key("ik_new") && ring.has_api_key("ik_former"));
        assert!(!ring.has_api_key("ik_ended") && !ring.has_api_key("anon_new"));
        assert!(ring.has_anon_key("anon_new") && !ring.has_anon_key(""));
        assert!(!ring.is_complete(), "there is no key pair");
    }
}
