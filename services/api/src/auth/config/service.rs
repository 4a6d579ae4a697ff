//! The rules of the settings.

use ingot_identity::Identity;
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;
use std::net::IpAddr;

use super::store::{self, AuthConfig, Changes, MailSettings};
use crate::audit;
use crate::auth::failure::Failure;

/// What a sign-in page may know without any credential.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PublicView {
    o_auth_providers: Vec<String>,
    #[serde(rename = "customOAuthProviders")]
    custom_o_auth_providers: Vec<String>,
    require_email_verification: bool,
    password_min_length: i32,
    require_number: bool,
    require_lowercase: bool,
    require_uppercase: bool,
    require_special_char: bool,
    verify_email_method: String,
    reset_password_method: String,
    disable_signup: bool,
}

/// What an administrator's tools show beside that.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AdminView {
    #[serde(flatten)]
    public: PublicView,
    allowed_redirect_urls: Vec<String>,
    smtp_config: Option<MailSettings>,
}

/// The settings that hold now.
pub(in crate::auth) async fn current(pool: &PgPool) -> Result<AuthConfig, Failure> {
    Ok(store::read(pool).await?.unwrap_or_default())
}

pub(super) async fn public_view(pool: &PgPool) -> Result<PublicView, Failure> {
    let config = current(pool).await?;
    let (built_in, custom) = store::providers(pool).await?;
    Ok(view_of(config, built_in, custom))
}

/// The settings as `/api/metadata/auth` shows them (contract, auth §10.3).
pub(crate) async fn admin_view(pool: &PgPool) -> Result<AdminView, sqlx::Error> {
    let config = store::read(pool).await?.unwrap_or_default();
    let (built_in, custom) = store::providers(pool).await?;
    Ok(AdminView {
        allowed_redirect_urls: config.allowed_redirect_urls.clone().unwrap_or_default(),
        smtp_config: store::mail_settings(pool).await?,
        public: view_of(config, built_in, custom),
    })
}

fn view_of(config: AuthConfig, built_in: Vec<String>, custom: Vec<String>) -> PublicView {
    PublicView {
        o_auth_providers: built_in,
        custom_o_auth_providers: custom,
        require_email_verification: config.require_email_verification,
        password_min_length: config.password_min_length,
        require_number: config.require_number,
        require_lowercase: config.require_lowercase,
        require_uppercase: config.require_uppercase,
        require_special_char: config.require_special_char,
        verify_email_method: config.verify_email_method,
        reset_password_method: config.reset_password_method,
        disable_signup: config.disable_signup,
    }
}

/// Changes settings on behalf of `caller`. Verification cannot be switched on: nothing here can
/// send the mail that it would need.
pub(super) async fn change(
    pool: &PgPool,
    caller: &Identity,
    client: Option<IpAddr>,
    changes: &Changes,
    fields: &[&'static str],
) -> Result<AuthConfig, Failure> {
    if changes.require_email_verification == Some(true) {
        return Err(Failure::NoMailProvider);
    }
    let mut transaction = pool.begin().await?;
    let config = store::change(&mut transaction, changes).await?;
    let entry = audit::Entry {
        actor: caller.actor(),
        action: "UPDATE_AUTH_CONFIG",
        module: "AUTH",
        details: json!({ "updatedFields": fields }),
        client,
    };
    audit::record(&mut *transaction, entry).await?;
    transaction.commit().await?;
    Ok(config)
}
