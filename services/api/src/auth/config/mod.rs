//! What a project asks of accounts: password rules, verification, open or closed sign-up
//! (contract, auth §10).

mod password_rules;
mod redirects;
mod routes;
mod service;
mod store;

pub(super) use routes::router;
pub(super) use service::current;
pub(crate) use service::{AdminView, admin_view};
