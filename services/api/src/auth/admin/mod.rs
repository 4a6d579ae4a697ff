//! The dashboard's administrator: one account, which lives in the configuration only (contract,
//! auth §9). Its session is always kept in a cookie.

mod account;
mod routes;
mod service;

pub use account::AdminAccount;
pub(super) use routes::router;
