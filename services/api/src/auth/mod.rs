//! Accounts, passwords and sessions (contract, auth). Tokens and guards are in `ingot_identity`.

use axum::Router;

use crate::app::App;

/// The routes under `/api/auth`.
pub(crate) fn router() -> Router<App> {
    Router::new()
}
