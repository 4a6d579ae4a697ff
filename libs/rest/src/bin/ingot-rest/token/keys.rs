//! `jwt-secret`: a passphrase, a JSON web key, or a set of them (RFC 7517).

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey};

/// Shortest passphrase that is good for anything, in bytes.
const SHORTEST: usize = 32;

/// Base64 as it comes, with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key that may have signed a token.
pub(super) struct Key {
    pub(super) id: Option<String>,
    verifies: DecodingKey,
    /// Algorithms that the key may be used with.
    algorithms: Vec<Algorithm>,
}

impl Key {
    /// The token was signed with this key.
    pub(super) fn signed(&self, token: &str, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm) && super::signed(token, &self.verifies, algorithm)
    }

    fn of_passphrase(bytes: &[u8]) -> Self {
        Self {
            id: None,
            verifies: DecodingKey::from_secret(bytes),
            algorithms: for_secret_of(bytes.len()),
        }
    }

    fn of_jwk(jwk: &Jwk) -> anyhow::Result<Self> {
        use jsonwebtoken::jwk::{AlgorithmParameters as Parameters, EllipticCurve};
        let stated = jwk.common.key_algorithm;
        let stated = stated.and_then(|algorithm| algorithm.to_string().parse().ok());
        let possible = match &jwk.algorithm {
            Parameters::OctetKey(secret) => {
                for_secret_of(secret.value.trim_end_matches('=').len() * 3 / 4)
            }
            Parameters::RSA(_) => vec![
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            Parameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P384 => {
                vec![Algorithm::ES384]
            }
            Parameters::EllipticCurve(_) => vec![Algorithm::ES256],
            _ => vec![Algorithm::EdDSA],
        };
        Ok(Self {
            id: jwk.common.key_id.clone(),
            verifies: DecodingKey::from_jwk(jwk)?,
            algorithms: match stated {
                Some(stated) => possible.into_iter().filter(|a| *a == stated).collect(),
                None => possible,
            },
        })
    }
}

/// Algorithms for which a secret of so many bytes is long enough: a hash's own length (RFC 7518).
fn for_secret_of(length: usize) -> Vec<Algorithm> {
    let known = [
        (32, Algorithm::HS256),
        (48, Algorithm::HS384),
        (64, Algorithm::HS512),
    ];
    let enough = known.iter().filter(|(needed, _)| length >= *needed);
    enough.map(|(_, algorithm)| *algorithm).collect()
}

/// Reads the setting.
pub(super) fn read(secret: &str, is_base64: bool) -> anyhow::Result<Vec<Key>> {
    let bytes = if is_base64 {
        // Both alphabets are taken, and a dot for padding, as from a URL.
        let standard = secret
            .trim()
            .replace('-', "+")
            .replace('_', "/")
            .replace('.', "=");
        LENIENT
            .decode(standard)
            .context("jwt-secret is not base64")?
    } else {
        secret.as_bytes().to_vec()
    };
    if let Ok(set) = serde_json::from_slice::<JwkSet>(&bytes) {
        let keys = set.keys.iter().map(Key::of_jwk);
        return keys
            .collect::<Result<_, _>>()
            .context("jwt-secret has an unusable key");
    }
    if let Ok(jwk) = serde_json::from_slice::<Jwk>(&bytes) {
        let key = Key::of_jwk(&jwk).context("jwt-secret is an unusable key")?;
        return Ok(vec![key]);
    }
    if bytes.len() < SHORTEST {
        crate::say(&format!(
            "jwt-secret is shorter than {SHORTEST} bytes: no token can be verified with it"
        ));
    }
    Ok(vec![Key::of_passphrase(&bytes)])
}
