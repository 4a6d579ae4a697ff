//! Signing in, staying signed in, signing out (contract, auth §2.3, §6.2 to §6.5).
//!
//! A session has one live refresh token. Using it makes the next one; a former one that comes back
//! after a short grace was stolen and ends the session.

mod routes;
mod service;
mod store;
mod sweep;

pub(super) use routes::{SignedOut, answer_sign_up, router};
pub(super) use service::{
    Holder, Presented, Tokens, access_token, end, open, open_for, rotate, tokens,
};
pub(crate) use sweep::sweep;
