//! Secrets at rest, in the format that the edge-function runtime reads, too (contract, platform
//! §9.2): AES-256-GCM, key = SHA-256 of the project's encryption key, text form
//! `hex(iv):hex(tag):hex(ciphertext)` with a 16-byte iv.

use aes_gcm::aead::consts::U16;
use aes_gcm::aead::{AeadInPlace, KeyInit};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce, Tag};
use ingot_config::Secret;
use ingot_project::Project;
use rand::RngCore;
use sha2::{Digest, Sha256};

type Aes256Gcm16 = AesGcm<Aes256, U16>;

/// Encrypts and decrypts a project's stored secrets.
#[derive(Clone)]
pub struct SecretCipher(Aes256Gcm16);

impl std::fmt::Debug for SecretCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretCipher(***)")
    }
}

/// A stored secret that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// Not three parts of hex with a 16-byte iv and a 16-byte tag.
    #[error("the stored value is not an encrypted secret")]
    Malformed,
    /// Encrypted with another key, or changed since.
    #[error(
        "the stored secret cannot be decrypted: it was stored with another ENCRYPTION_KEY (or \
         JWT_SECRET, when that is not set)"
    )]
    WrongKey,
}

impl SecretCipher {
    /// The cipher of a project.
    pub fn new(project: &Project) -> Self {
        let key = Sha256::digest(project.encryption_key.expose().as_bytes());
        Self(Aes256Gcm16::new(&key))
    }

    /// Encrypts with a fresh iv.
    pub fn encrypt(&self, plain: &str) -> Result<String, CipherError> {
        let mut iv = Nonce::<U16>::default();
        rand::rng().fill_bytes(&mut iv);
        let mut buffer = plain.as_bytes().to_vec();
        // Fails only for texts of more than 64 GiB.
        let tag = self
            .0
            .encrypt_in_place_detached(&iv, b"", &mut buffer)
            .map_err(|_| CipherError::Malformed)?;
        Ok(format!(
            "{}:{}:{}",
            hex::encode(iv),
            hex::encode(tag),
            hex::encode(buffer)
        ))
    }

    /// Decrypts what [`Self::encrypt`] or the function runtime wrote.
    pub fn decrypt(&self, stored: &str) -> Result<Secret, CipherError> {
        let mut parts = stored.split(':').map(hex::decode);
        let (Some(Ok(iv)), Some(Ok(tag)), Some(Ok(mut text)), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(CipherError::Malformed);
        };
        if iv.len() != 16 || tag.len() != 16 {
            return Err(CipherError::Malformed);
        }
        self.0
            .decrypt_in_place_detached(
                Nonce::<U16>::from_slice(&iv),
                b"",
                &mut text,
                Tag::<U16>::from_slice(&tag),
            )
            .map_err(|_| CipherError::WrongKey)?;
        String::from_utf8(text)
            .map(Secret::new)
            .map_err(|_| CipherError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::tests::project;

    #[test]
    fn what_was_encrypted_comes_back() {
        let cipher = SecretCipher::new(&project());
        for plain in ["", "ik_1", "ключ ☃"] {
            let stored = cipher.encrypt(plain).unwrap();
            assert_eq!(cipher.decrypt(&stored).unwrap().expose(), plain);
        }
    }

    #[test]
    fn reads_what_another_implementation_wrote() {
        // Written by Node's crypto with key material `0123456789abcdef0123456789abcdef`.
        let stored =
            "000102030405060708090a0b0c0d0e0f:5f4a0cc80afc15768605518377863e75:bfd5422a34bc8b5db8";
        let cipher = SecretCipher::new(&project());
        assert_eq!(cipher.decrypt(stored).unwrap().expose(), "hello ☃");
    }

    #[test]
    fn a_changed_or_foreign_value_is_refused() {
        let cipher = SecretCipher::new(&project());
        let stored = cipher.encrypt("secret").unwrap();
        let (rest, last) = stored.split_at(stored.len() - 1);
        let changed = format!("{rest}{}", if last == "0" { "1" } else { "0" });
        assert_eq!(cipher.decrypt(&changed).unwrap_err(), CipherError::WrongKey);
        for text in ["", "a:b", "00:00:00", &format!("{stored}:00")] {
            assert_eq!(cipher.decrypt(text).unwrap_err(), CipherError::Malformed);
        }
    }
}
