//! The rules of secrets.

use std::net::IpAddr;

use ingot_bus::Invalidation;
use ingot_config::Secret;
use ingot_identity::{Identity, SecretCipher, new_anon_key, new_api_key};
use ingot_project::Project;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::failure::Failure;
use super::store::{self, Changes, Listed, NewSecret};
use crate::app::App;
use crate::audit;

/// Who does something, for the audit trail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Actor<'a> {
    pub(super) caller: &'a Identity,
    pub(super) client: Option<IpAddr>,
}

impl Actor<'_> {
    async fn note(
        &self,
        connection: &mut PgConnection,
        action: &'static str,
        details: Value,
    ) -> sqlx::Result<()> {
        let entry = audit::Entry {
            actor: self.caller.actor(),
            action,
            module: "SECRETS",
            details,
            client: self.client,
        };
        audit::record(connection, entry).await
    }
}

/// A key that clients authenticate with, and how it is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientKey {
    Api,
    Anon,
}

impl ClientKey {
    /// Name of its secret.
    pub(super) fn secret(self) -> &'static str {
        match self {
            Self::Api => "API_KEY",
            Self::Anon => "ANON_KEY",
        }
    }

    /// Default and greatest grace period, in hours.
    pub(super) fn grace_hours(self) -> (i64, i64) {
        match self {
            Self::Api => (24, 168),
            Self::Anon => (168, 720),
        }
    }

    fn generate(self) -> Secret {
        match self {
            Self::Api => new_api_key(),
            Self::Anon => new_anon_key(),
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Api => "ROTATE_API_KEY",
            Self::Anon => "ROTATE_ANON_KEY",
        }
    }
}

pub(super) async fn list(pool: &PgPool) -> Result<Vec<Listed>, Failure> {
    Ok(store::list(pool).await?)
}

/// The value of an active secret, for an administrator.
pub(super) async fn show(
    project: &Project,
    pool: &PgPool,
    actor: Actor<'_>,
    key: &str,
) -> Result<Secret, Failure> {
    let mut transaction = pool.begin().await?;
    let value = read(&mut transaction, project, key).await?;
    actor
        .note(&mut transaction, "GET_SECRET", json!({ "key": key }))
        .await?;
    transaction.commit().await?;
    Ok(value)
}

/// The current API or anon key.
pub(super) async fn client_key(
    project: &Project,
    pool: &PgPool,
    key: ClientKey,
) -> Result<Secret, Failure> {
    read(&mut *pool.acquire().await?, project, key.secret()).await
}

async fn read(
    connection: &mut PgConnection,
    project: &Project,
    key: &str,
) -> Result<Secret, Failure> {
    let stored = store::use_value(connection, key)
        .await?
        .ok_or(Failure::NotFound)?;
    Ok(SecretCipher::new(project).decrypt(&stored)?)
}

/// Stores a new secret and returns its id.
pub(super) async fn create(
    project: &Project,
    pool: &PgPool,
    actor: Actor<'_>,
    key: &str,
    value: &str,
    is_reserved: bool,
    expires_at: Option<OffsetDateTime>,
) -> Result<Uuid, Failure> {
    let ciphertext = SecretCipher::new(project).encrypt(value)?;
    let mut transaction = pool.begin().await?;
    let secret = NewSecret {
        key,
        ciphertext: &ciphertext,
        is_reserved,
        expires_at,
    };
    let id = store::create(&mut transaction, secret)
        .await?
        .ok_or(Failure::Exists)?;
    let details = json!({ "key": key, "id": id });
    actor
        .note(&mut transaction, "CREATE_SECRET", details)
        .await?;
    transaction.commit().await?;
    Ok(id)
}

/// What an administrator wants to change of a secret.
#[derive(Debug, Default)]
pub(super) struct Update {
    pub(super) value: Option<String>,
    pub(super) is_active: Option<bool>,
    pub(super) is_reserved: Option<bool>,
    #[allow(
        clippy::option_option,
        reason = "keep, remove and set are three things"
    )]
    pub(super) expires_at: Option<Option<OffsetDateTime>>,
}

pub(super) async fn update(
    project: &Project,
    pool: &PgPool,
    actor: Actor<'_>,
    key: &str,
    update: Update,
) -> Result<(), Failure> {
    let ciphertext = update
        .value
        .map(|value| SecretCipher::new(project).encrypt(&value))
        .transpose()?;
    let changes = Changes {
        ciphertext,
        is_active: update.is_active,
        is_reserved: update.is_reserved,
        expires_at: update.expires_at,
    };
    change(pool, actor, key, "UPDATE_SECRET", &changes).await
}

/// Makes a secret inactive. Once more changes nothing.
pub(super) async fn delete(pool: &PgPool, actor: Actor<'_>, key: &str) -> Result<(), Failure> {
    let changes = Changes {
        is_active: Some(false),
        ..Changes::default()
    };
    change(pool, actor, key, "DELETE_SECRET", &changes).await
}

async fn change(
    pool: &PgPool,
    actor: Actor<'_>,
    key: &str,
    action: &'static str,
    changes: &Changes,
) -> Result<(), Failure> {
    let mut transaction = pool.begin().await?;
    match store::reserved(&mut transaction, key).await? {
        None => return Err(Failure::NotFound),
        Some(true) => return Err(Failure::Reserved),
        Some(false) => {}
    }
    store::change(&mut transaction, key, changes).await?;
    actor
        .note(&mut transaction, action, json!({ "key": key }))
        .await?;
    Ok(transaction.commit().await?)
}

/// Replaces a key. The former one holds for the grace period; 0 ends it at once, here immediately
/// and elsewhere as soon as the bus tells.
pub(super) async fn rotate(
    app: &App,
    project: &Project,
    pool: &PgPool,
    actor: Actor<'_>,
    key: ClientKey,
    grace_hours: i64,
) -> Result<(Secret, OffsetDateTime), Failure> {
    let now = OffsetDateTime::now_utc();
    let former_ends = now + Duration::hours(grace_hours);
    let former_key = format!(
        "{}_OLD_{}",
        key.secret(),
        now.unix_timestamp_nanos() / 1_000_000
    );
    let fresh = key.generate();
    let ciphertext = SecretCipher::new(project).encrypt(fresh.expose())?;
    let mut transaction = pool.begin().await?;
    store::put_aside(&mut transaction, key.secret(), &former_key, former_ends).await?;
    let secret = NewSecret {
        key: key.secret(),
        ciphertext: &ciphertext,
        is_reserved: true,
        expires_at: None,
    };
    // Another rotation in the same instant has put its own key there.
    store::create(&mut transaction, secret)
        .await?
        .ok_or(Failure::Exists)?;
    let details = json!({ "gracePeriodHours": grace_hours });
    actor.note(&mut transaction, key.action(), details).await?;
    transaction.commit().await?;
    app.identity.forget(&project.id).await;
    app.invalidate(&project.id, Invalidation::Keys).await;
    Ok((fresh, former_ends))
}
