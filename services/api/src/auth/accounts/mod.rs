//! Users: sign-up, profiles, and what administrators do with them (contract, auth §6).

mod routes;
mod service;
mod store;

pub(super) use routes::router;
pub(super) use service::{SignedIn, current_user};
pub(super) use store::{User, by_id, credentials};
