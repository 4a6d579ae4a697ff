//! Opaque keys: how they look, how new ones are made, how they are compared.

use ingot_config::Secret;
use rand::RngCore;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What every API key starts with.
pub const API_KEY_PREFIX: &str = "ik_";
/// What every anon key starts with.
pub const ANON_KEY_PREFIX: &str = "anon_";

/// A new API key: the prefix and 256 random bits in hex.
pub fn new_api_key() -> Secret {
    random_key(API_KEY_PREFIX)
}

/// A new anon key, made the same way.
pub fn new_anon_key() -> Secret {
    random_key(ANON_KEY_PREFIX)
}

fn random_key(prefix: &str) -> Secret {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    Secret::new(format!("{prefix}{}", hex::encode(bytes)))
}

/// A configured key with its prefix, which operators may leave out.
pub(crate) fn with_prefix(prefix: &str, key: &Secret) -> Secret {
    let key = key.expose().trim();
    if key.starts_with(prefix) {
        Secret::new(key)
    } else {
        Secret::new(format!("{prefix}{key}"))
    }
}

/// Compares in a time that depends on neither text: digests have equal lengths.
pub(crate) fn same_key(given: &str, stored: &Secret) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    digest(given).ct_eq(&digest(stored.expose())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_form() {
        let (key, other) = (new_api_key(), new_api_key());
        assert_eq!(key.expose().len(), 3 + 64);
        assert!(!same_key(key.expose(), &other) && same_key(key.expose(), &key));
        assert_eq!(new_anon_key().expose().len(), 5 + 64);
    }

    #[test]
    fn a_configured_key_gets_its_prefix_once() {
        for given in [" abc ", "ik_abc"] {
            let key = with_prefix(API_KEY_PREFIX, &Secret::new(given));
            assert_eq!(key.expose(), "ik_abc");
        }
    }
}
