//! Accounts, passwords and sessions (contract, auth). Tokens and guards are in `ingot_identity`.
//!
//! `accounts` knows users, `sessions` how they sign in and stay signed in, `admin` the dashboard's
//! administrator, `config` what a project allows. Providers (OAuth) and mailed codes will stand
//! beside these.

mod accounts;
mod admin;
mod attempts;
mod client;
pub(crate) mod config;
mod cookies;
mod failure;
mod fields;
mod passwords;
pub(crate) mod sessions;

pub use admin::AdminAccount;

use ingot_http::Routes;

use crate::app::App;
use attempts::Attempts;
use passwords::Passwords;

/// What the domain keeps in memory.
#[derive(Debug)]
pub(crate) struct Auth {
    passwords: Passwords,
    attempts: Attempts,
    admin: AdminAccount,
}

impl Auth {
    pub(crate) fn new(admin: AdminAccount) -> Self {
        Self {
            passwords: Passwords::new(),
            attempts: Attempts::new(),
            admin,
        }
    }
}

/// The routes under `/api/auth`.
pub(crate) fn router() -> Routes<App> {
    Routes::new()
        .merge(accounts::router())
        .merge(sessions::router())
        .merge(config::router())
        .nest("/admin", admin::router())
}
