//! The secrets that a project has from its first start on (contract, platform §12).

use ingot_config::{Secret, SettingValue};
use ingot_project::Project;
use sqlx::{Connection, PgConnection};

use crate::keys::{ANON_KEY_PREFIX, API_KEY_PREFIX, new_anon_key, new_api_key, with_prefix};
use crate::signing_key::{NewKeyPair, SigningKeyError};
use crate::{CipherError, SecretCipher};

/// Fewest characters of a key that somebody chose.
const SHORTEST_KEY: usize = 16;

ingot_config::settings! {
    /// First values of a project's secrets. Stored values always win over these.
    pub struct SeedSettings {
        /// The first API key; random when unset.
        api_key: Option<FirstKey> = "ACCESS_API_KEY";
        /// The first anon key; random when unset.
        anon_key: Option<FirstKey> = "ACCESS_ANON_KEY";
        /// Public base URL of the project.
        base_url: String = "API_BASE_URL", default "http://localhost:7130";
        /// Base URL that functions beside the backend use.
        internal_url: String = "INSFORGE_INTERNAL_URL", default "http://insforge:7130";
        /// Key of the model gateway.
        openrouter_api_key: Option<Secret> = "OPENROUTER_API_KEY";
    }
}

/// A key that somebody chose, with or without its prefix.
#[derive(Debug, Clone)]
pub struct FirstKey(Secret);

impl SettingValue for FirstKey {
    const KIND: &'static str = "a key of at least 16 characters";

    /// Whoever guesses it owns the project.
    fn parse(text: &str) -> Result<Self, String> {
        let key = text.trim();
        let chosen = [API_KEY_PREFIX, ANON_KEY_PREFIX]
            .iter()
            .find_map(|prefix| key.strip_prefix(prefix))
            .unwrap_or(key);
        if chosen.chars().count() < SHORTEST_KEY {
            return Err(format!(
                "is shorter than {SHORTEST_KEY} characters besides its prefix: choose a longer one"
            ));
        }
        Secret::parse(key).map(Self)
    }
}

/// The project's keys after seeding.
#[derive(Debug, Clone)]
pub struct Seeded {
    /// The API key.
    pub api_key: Secret,
    /// The anon key.
    pub anon_key: Secret,
    /// Whether this run made any of them: only then may they be shown.
    pub created: bool,
}

/// The secrets could not be seeded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The database refused.
    #[error("cannot seed the project's secrets: {0}")]
    Database(#[from] sqlx::Error),
    /// A stored secret does not fit the configured key.
    #[error("{key}: {source}")]
    Cipher {
        /// Name of the secret.
        key: &'static str,
        /// What is wrong.
        source: CipherError,
    },
    /// No key pair could be made.
    #[error(transparent)]
    KeyPair(#[from] SigningKeyError),
    /// The key generator ended early.
    #[error("the key generator stopped: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Stores what is missing among the project's secrets and changes nothing else. Any number of
/// processes may do this at once: one of them creates the keys, all return the same.
pub async fn seed(
    connection: &mut PgConnection,
    project: &Project,
    settings: &SeedSettings,
) -> Result<Seeded, SeedError> {
    let cipher = SecretCipher::new(project);
    let mut transaction = connection.begin().await?;
    // A lock that code of the project has no right to take, unlike an advisory one.
    sqlx::query("lock table system.secrets in share row exclusive mode")
        .execute(&mut *transaction)
        .await?;
    let mut store = Store {
        connection: &mut transaction,
        cipher: &cipher,
    };
    let (api_key, new_api) = seed_api_key(&mut store, settings).await?;
    let (anon_key, new_anon) = seed_anon_key(&mut store, settings).await?;
    seed_key_pair(&mut store).await?;
    let plain = [
        (
            "INSFORGE_INTERNAL_URL",
            Some(settings.internal_url.as_str()),
        ),
        ("INSFORGE_BASE_URL", Some(settings.base_url.as_str())),
        ("JWT_SECRET", Some(project.jwt_secret.expose())),
        (
            "OPENROUTER_API_KEY",
            settings.openrouter_api_key.as_ref().map(Secret::expose),
        ),
    ];
    for (key, value) in plain {
        if let (Some(value), false) = (value, store.exists(key).await?) {
            store.insert(key, value).await?;
        }
    }
    transaction.commit().await?;
    Ok(Seeded {
        api_key,
        anon_key,
        created: new_api || new_anon,
    })
}

async fn seed_api_key(
    store: &mut Store<'_>,
    settings: &SeedSettings,
) -> Result<(Secret, bool), SeedError> {
    if let Some(stored) = store.read("API_KEY").await? {
        return Ok((stored, false));
    }
    let key = settings
        .api_key
        .as_ref()
        .map_or_else(new_api_key, |key| with_prefix(API_KEY_PREFIX, &key.0));
    store.insert("API_KEY", key.expose()).await?;
    Ok((key, true))
}

/// An anon key of an older kind (a token) is replaced in place: it could not be told from a
/// user's.
async fn seed_anon_key(
    store: &mut Store<'_>,
    settings: &SeedSettings,
) -> Result<(Secret, bool), SeedError> {
    let stored = store.read("ANON_KEY").await?;
    if let Some(stored) = &stored
        && stored.expose().starts_with(ANON_KEY_PREFIX)
    {
        return Ok((stored.clone(), false));
    }
    let key = settings
        .anon_key
        .as_ref()
        .map_or_else(new_anon_key, |key| with_prefix(ANON_KEY_PREFIX, &key.0));
    store.insert("ANON_KEY", key.expose()).await?;
    Ok((key, true))
}

/// A set that is not complete is useless and is made anew.
async fn seed_key_pair(store: &mut Store<'_>) -> Result<(), SeedError> {
    const NAMES: [&str; 3] = ["JWT_PRIVATE_KEY", "JWT_PUBLIC_KEY", "JWT_KEY_ID"];
    let mut complete = true;
    for name in NAMES {
        complete &= store.read(name).await?.is_some();
    }
    if complete {
        return Ok(());
    }
    let pair = tokio::task::spawn_blocking(NewKeyPair::generate).await??;
    store
        .insert("JWT_PRIVATE_KEY", pair.private_pem.expose())
        .await?;
    store.insert("JWT_PUBLIC_KEY", &pair.public_pem).await?;
    store.insert("JWT_KEY_ID", &pair.id).await
}

/// `system.secrets` in the seeding transaction.
struct Store<'a> {
    connection: &'a mut PgConnection,
    cipher: &'a SecretCipher,
}

impl Store<'_> {
    async fn exists(&mut self, key: &str) -> Result<bool, SeedError> {
        let row = sqlx::query("select 1 from system.secrets where key = $1")
            .bind(key)
            .fetch_optional(&mut *self.connection)
            .await?;
        Ok(row.is_some())
    }

    /// An active secret.
    async fn read(&mut self, key: &'static str) -> Result<Option<Secret>, SeedError> {
        let stored: Option<String> = sqlx::query_scalar(
            "select value_ciphertext from system.secrets where key = $1 and is_active",
        )
        .bind(key)
        .fetch_optional(&mut *self.connection)
        .await?;
        stored
            .map(|stored| self.cipher.decrypt(&stored))
            .transpose()
            .map_err(|source| SeedError::Cipher { key, source })
    }

    /// Stores a reserved secret; an inactive row of that name comes to life again.
    async fn insert(&mut self, key: &'static str, value: &str) -> Result<(), SeedError> {
        let ciphertext = self
            .cipher
            .encrypt(value)
            .map_err(|source| SeedError::Cipher { key, source })?;
        sqlx::query(
            "insert into system.secrets (key, value_ciphertext, is_active, is_reserved)
             values ($1, $2, true, true)
             on conflict (key) do update set value_ciphertext = excluded.value_ciphertext,
                 is_active = true, is_reserved = true, expires_at = null",
        )
        .bind(key)
        .bind(ciphertext)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}
