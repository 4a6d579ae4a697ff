//! `/api/auth/config` and `/api/auth/public-config`.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use ingot_http::{ApiError, Forwarded, Routes, Valid, Validate};
use ingot_identity::VerifyAdmin;

use super::redirects;
use super::service::{self, PublicView};
use super::store::{AuthConfig, Changes};
use crate::app::App;

const METHODS: [&str; 2] = ["code", "link"];

pub(in crate::auth) fn router() -> Routes<App> {
    Routes::new()
        .route("/config", get(show).put(change))
        .route("/public-config", get(show_public))
}

async fn show_public(
    State(app): State<App>,
    forwarded: Forwarded,
) -> Result<Json<PublicView>, ApiError> {
    let view = service::public_view(&app.service_pool(&forwarded)?).await?;
    Ok(Json(view))
}

async fn show(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<AuthConfig>, ApiError> {
    let config = service::current(&app.service_pool(&forwarded)?).await?;
    Ok(Json(config))
}

impl Validate for Changes {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        if self
            .password_min_length
            .is_some_and(|length| !(4..=128).contains(&length))
        {
            complain("passwordMinLength", "must be from 4 to 128");
        }
        for (name, method) in [
            ("verifyEmailMethod", &self.verify_email_method),
            ("resetPasswordMethod", &self.reset_password_method),
        ] {
            if method
                .as_deref()
                .is_some_and(|method| !METHODS.contains(&method))
            {
                complain(name, "must be `code` or `link`");
            }
        }
        let urls = self.allowed_redirect_urls.iter().flatten().flatten();
        for (index, _) in urls
            .enumerate()
            .filter(|(_, url)| !redirects::is_entry(url))
        {
            complain(
                &format!("allowedRedirectUrls.{index}"),
                "must be a URL such as https://*.example.com/** or myapp://callback",
            );
        }
    }
}

impl Changes {
    /// The fields that the caller sent, for the audit trail.
    fn fields(&self) -> Vec<&'static str> {
        [
            (
                "requireEmailVerification",
                self.require_email_verification.is_some(),
            ),
            ("passwordMinLength", self.password_min_length.is_some()),
            ("requireNumber", self.require_number.is_some()),
            ("requireLowercase", self.require_lowercase.is_some()),
            ("requireUppercase", self.require_uppercase.is_some()),
            ("requireSpecialChar", self.require_special_char.is_some()),
            ("verifyEmailMethod", self.verify_email_method.is_some()),
            ("resetPasswordMethod", self.reset_password_method.is_some()),
            ("allowedRedirectUrls", self.allowed_redirect_urls.is_some()),
            ("disableSignup", self.disable_signup.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }
}

async fn change(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Valid(changes): Valid<Changes>,
) -> Result<Json<AuthConfig>, ApiError> {
    let fields = changes.fields();
    let pool = app.service_pool(&forwarded)?;
    let config = service::change(&pool, &caller, forwarded.client, &changes, &fields).await?;
    Ok(Json(config))
}
