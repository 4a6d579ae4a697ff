//! Who a caller is: roles, tokens, API and anon keys, and the guards that HTTP services put before
//! their handlers (contract, platform §4 and auth §2).
//!
//! Also what these rest on: the encryption of `system.secrets` and the seeding of a project's keys.
//! Passwords, sessions and accounts are not here; they belong to the api service.

mod authenticator;
mod cipher;
mod cloud;
mod error;
mod guards;
mod identity;
mod key_ring;
mod keys;
mod seed;
mod signing_key;
mod tokens;
mod verified;

pub use authenticator::Authenticator;
pub use cipher::{CipherError, SecretCipher};
pub use cloud::{CloudSettings, is_cloud_subject};
pub use error::AuthError;
pub use guards::{VerifyAdmin, VerifyApiKey, VerifyToken, VerifyUser};
pub use identity::{Credential, Identity, Role};
pub use key_ring::KeyRing;
pub use keys::{ANON_KEY_PREFIX, API_KEY_PREFIX, new_anon_key, new_api_key};
pub use seed::{SeedError, SeedSettings, Seeded, seed};
pub use signing_key::{PublicKey, SigningKey};
pub use tokens::{
    AccessClaims, REFRESH_LIFETIME, RefreshClaims, SessionType, Transport, csrf_matches,
    csrf_value, new_csrf_nonce, postgrest_token, read_refresh_token, sign_refresh_token,
};
