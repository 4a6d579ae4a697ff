//! The RSA key pair that signs access tokens, and its public half for JWKS.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ingot_config::Secret;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use rand::RngCore;
use serde::Serialize;

/// A key pair that is ready to sign and verify.
#[derive(Clone)]
pub struct SigningKey {
    id: String,
    private: EncodingKey,
    verifying: DecodingKey,
    public: PublicKey,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The public half, as one entry of a JSON Web Key Set (RFC 7517).
#[derive(Debug, Clone, Serialize)]
pub struct PublicKey {
    kty: &'static str,
    n: String,
    e: String,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    kid: String,
}

/// A key pair that cannot be made or read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the RSA key pair is unusable: {0}")]
pub struct SigningKeyError(String);

/// A new key pair as it is stored (contract, platform §9.4).
pub(crate) struct NewKeyPair {
    pub(crate) id: String,
    pub(crate) private_pem: Secret,
    pub(crate) public_pem: String,
}

impl NewKeyPair {
    /// Makes a 2048-bit pair. Takes some tenths of a second of CPU: call it off the async threads.
    pub(crate) fn generate() -> Result<Self, SigningKeyError> {
        let failed = |_| SigningKeyError("generation failed".to_owned());
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
        let private: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(failed)?;
        let mut id = [0_u8; 16];
        rand::rng().fill_bytes(&mut id);
        Ok(Self {
            id: format!("kid_{}", hex::encode(id)),
            private_pem: Secret::new(pem("PRIVATE KEY", private.as_ref())),
            public_pem: pem("PUBLIC KEY", public.as_ref()),
        })
    }
}

/// RFC 7468: base64 in lines of 64.
fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

impl SigningKey {
    /// Reads a stored pair; the public half is derived from the private one.
    pub(crate) fn from_pem(id: String, private_pem: &Secret) -> Result<Self, SigningKeyError> {
        let unusable = |error: jsonwebtoken::errors::Error| SigningKeyError(error.to_string());
        let private =
            EncodingKey::from_rsa_pem(private_pem.expose().as_bytes()).map_err(unusable)?;
        let jwk = Jwk::from_encoding_key(&private, Algorithm::RS256).map_err(unusable)?;
        let verifying = DecodingKey::from_jwk(&jwk).map_err(unusable)?;
        let AlgorithmParameters::RSA(rsa) = jwk.algorithm else {
            return Err(SigningKeyError("it is not an RSA key".to_owned()));
        };
        let public = PublicKey {
            kty: "RSA",
            n: rsa.n,
            e: rsa.e,
            alg: "RS256",
            usage: "sig",
            kid: id.clone(),
        };
        Ok(Self {
            id,
            private,
            verifying,
            public,
        })
    }

    /// The `kid` of its tokens.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The entry for JWKS.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn signer(&self) -> &EncodingKey {
        &self.private
    }

    pub(crate) fn verifier(&self) -> &DecodingKey {
        &self.verifying
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn key() -> SigningKey {
        let pair = NewKeyPair::generate().unwrap();
        SigningKey::from_pem(pair.id, &pair.private_pem).unwrap()
    }

    #[test]
    fn a_new_pair_has_the_stored_form() {
        let pair = NewKeyPair::generate().unwrap();
        assert!(pair.id.starts_with("kid_") && pair.id.len() == 4 + 32);
        assert!(
            pair.private_pem
                .expose()
                .starts_with("-----BEGIN PRIVATE KEY-----\n")
        );
        // The public half as stored and as derived are the same key.
        let stored = DecodingKey::from_rsa_pem(pair.public_pem.as_bytes()).unwrap();
        let key = SigningKey::from_pem(pair.id, &pair.private_pem).unwrap();
        let jwk = Jwk::from_decoding_key(&stored, Some(Algorithm::RS256)).unwrap();
        let AlgorithmParameters::RSA(rsa) = jwk.algorithm else {
            panic!("not RSA")
        };
        assert_eq!((rsa.n, rsa.e), (key.public.n.clone(), key.public.e.clone()));
    }
}
