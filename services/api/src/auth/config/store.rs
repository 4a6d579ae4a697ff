//! `auth.config`, and what else a sign-in page needs to know.

use ingot_http::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

/// The project's settings.
#[derive(Debug, Clone, FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuthConfig {
    pub(super) id: Uuid,
    pub(crate) require_email_verification: bool,
    pub(super) password_min_length: i32,
    pub(super) require_number: bool,
    pub(super) require_lowercase: bool,
    pub(super) require_uppercase: bool,
    pub(super) require_special_char: bool,
    pub(super) verify_email_method: String,
    pub(super) reset_password_method: String,
    pub(super) allowed_redirect_urls: Option<Vec<String>>,
    pub(crate) disable_signup: bool,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

impl Default for AuthConfig {
    /// What holds while there is no row.
    fn default() -> Self {
        let now = OffsetDateTime::now_utc().into();
        Self {
            id: Uuid::nil(),
            require_email_verification: false,
            password_min_length: 6,
            require_number: false,
            require_lowercase: false,
            require_uppercase: false,
            require_special_char: false,
            verify_email_method: "code".to_owned(),
            reset_password_method: "code".to_owned(),
            allowed_redirect_urls: Some(Vec::new()),
            disable_signup: false,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Changes; `None` leaves a setting as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Changes {
    pub(super) require_email_verification: Option<bool>,
    pub(super) password_min_length: Option<i32>,
    pub(super) require_number: Option<bool>,
    pub(super) require_lowercase: Option<bool>,
    pub(super) require_uppercase: Option<bool>,
    pub(super) require_special_char: Option<bool>,
    pub(super) verify_email_method: Option<String>,
    pub(super) reset_password_method: Option<String>,
    /// `Some(None)` stores null.
    #[serde(default, deserialize_with = "given")]
    #[allow(
        clippy::option_option,
        reason = "absent, null and a list are three things"
    )]
    pub(super) allowed_redirect_urls: Option<Option<Vec<String>>>,
    pub(super) disable_signup: Option<bool>,
}

/// Tells `null` from absent.
#[allow(
    clippy::option_option,
    reason = "absent, null and a list are three things"
)]
fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// The stored row.
pub(super) async fn read(executor: impl PgExecutor<'_>) -> sqlx::Result<Option<AuthConfig>> {
    sqlx::query_as(
        "select id, require_email_verification, password_min_length, require_number,
                require_lowercase, require_uppercase, require_special_char, verify_email_method,
                reset_password_method, allowed_redirect_urls, disable_signup, created_at, updated_at
         from auth.config",
    )
    .fetch_optional(executor)
    .await
}

/// Makes the row if there is none, and changes it. To be called in a transaction, which it locks
/// against other changes of settings.
pub(super) async fn change(
    connection: &mut PgConnection,
    changes: &Changes,
) -> sqlx::Result<AuthConfig> {
    // A lock that code of the project has no right to take, unlike an advisory one.
    sqlx::query("lock table auth.config in share row exclusive mode")
        .execute(&mut *connection)
        .await?;
    sqlx::query("insert into auth.config default values on conflict do nothing")
        .execute(&mut *connection)
        .await?;
    sqlx::query_as(
        "update auth.config set
             require_email_verification = coalesce($1, require_email_verification),
             password_min_length = coalesce($2, password_min_length),
             require_number = coalesce($3, require_number),
             require_lowercase = coalesce($4, require_lowercase),
             require_uppercase = coalesce($5, require_uppercase),
             require_special_char = coalesce($6, require_special_char),
             verify_email_method = coalesce($7, verify_email_method),
             reset_password_method = coalesce($8, reset_password_method),
             allowed_redirect_urls = case when $9 then $10 else allowed_redirect_urls end,
             disable_signup = coalesce($11, disable_signup)
         returning id, require_email_verification, password_min_length, require_number,
             require_lowercase, require_uppercase, require_special_char, verify_email_method,
             reset_password_method, allowed_redirect_urls, disable_signup, created_at, updated_at",
    )
    .bind(changes.require_email_verification)
    .bind(changes.password_min_length)
    .bind(changes.require_number)
    .bind(changes.require_lowercase)
    .bind(changes.require_uppercase)
    .bind(changes.require_special_char)
    .bind(&changes.verify_email_method)
    .bind(&changes.reset_password_method)
    .bind(changes.allowed_redirect_urls.is_some())
    .bind(changes.allowed_redirect_urls.clone().flatten())
    .bind(changes.disable_signup)
    .fetch_one(connection)
    .await
}

/// Names of the configured providers: built-in ones and the project's own.
pub(super) async fn providers(pool: &PgPool) -> sqlx::Result<(Vec<String>, Vec<String>)> {
    sqlx::query_as(
        "select array(select provider from auth.oauth_configs order by provider),
                array(select key from auth.custom_oauth_configs order by key)",
    )
    .fetch_one(pool)
    .await
}

/// Mail settings without the password.
#[derive(Debug, FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MailSettings {
    enabled: bool,
    host: String,
    port: i32,
    username: String,
    has_password: bool,
    sender_email: String,
    sender_name: String,
    min_interval_seconds: i32,
}

pub(super) async fn mail_settings(pool: &PgPool) -> sqlx::Result<Option<MailSettings>> {
    sqlx::query_as(
        "select enabled, coalesce(host, '') as host, port, coalesce(username, '') as username,
                coalesce(password_encrypted, '') <> '' as has_password,
                coalesce(sender_email, '') as sender_email,
                coalesce(sender_name, '') as sender_name, min_interval_seconds
         from email.config limit 1",
    )
    .fetch_optional(pool)
    .await
}
