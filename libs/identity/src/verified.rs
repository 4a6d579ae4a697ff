//! Access tokens whose signature was found good: an RSA signature is computed once per token, not
//! once per request. Times and roles are looked at every time.

use std::sync::Arc;
use std::time::Duration;

use ingot_project::ProjectId;
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::tokens::{self, ForeignClaims};
use crate::{AuthError, Identity, SigningKey};

/// Tokens that are remembered at once; the least used are forgotten first.
const MAX_TOKENS: u64 = 10_000;
/// Nothing is remembered longer than an access token lives.
const LIFETIME: Duration = tokens::ACCESS_LIFETIME;

/// What good tokens say; clones share it. Only good ones are remembered, so that nobody can fill
/// it with what they made up.
#[derive(Debug, Clone)]
pub(crate) struct VerifiedTokens(Cache<[u8; 32], Arc<ForeignClaims>>);

impl VerifiedTokens {
    pub(crate) fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(MAX_TOKENS)
            .time_to_live(LIFETIME)
            .build();
        Self(cache)
    }

    /// Reads a token of a project that was signed with `key`.
    pub(crate) fn read(
        &self,
        project: &ProjectId,
        key: &SigningKey,
        token: &str,
    ) -> Result<Identity, AuthError> {
        let name = name_of(project, key, token);
        if let Some(claims) = self.0.get(&name) {
            return tokens::identity_of(&claims);
        }
        let claims = tokens::verify_rsa_token(token, key)?;
        let identity = tokens::identity_of(&claims)?;
        self.0.insert(name, Arc::new(claims));
        Ok(identity)
    }
}

/// Another key or project makes another name: what one of them said is nothing to the others.
/// Tokens themselves are not kept.
fn name_of(project: &ProjectId, key: &SigningKey, token: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [project.as_str(), key.id(), token] {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;
    use crate::signing_key::tests::key;
    use crate::tokens::tests::{project, rsa_token};

    #[test]
    fn a_remembered_token_ends_when_it_says_so() {
        let (tokens, key, project) = (VerifiedTokens::new(), key(), project().id);
        let ends_soon = rsa_token(&key, tokens::now() + 2);
        let read = || tokens.read(&project, &key, &ends_soon);
        assert_eq!(read().unwrap(), read().unwrap());
        assert!(tokens.0.contains_key(&name_of(&project, &key, &ends_soon)));
        sleep(Duration::from_secs(3));
        assert!(matches!(read(), Err(AuthError::InvalidToken)));
    }

    #[test]
    fn neither_another_key_nor_another_signature_gains_by_it() {
        let (tokens, old, new) = (VerifiedTokens::new(), key(), key());
        let project = project().id;
        let token = rsa_token(&old, tokens::now() + 60);
        assert!(tokens.read(&project, &old, &token).is_ok());
        assert!(tokens.read(&project, &new, &token).is_err());
        let mut forged = token.clone();
        let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
        forged.push(last);
        for _ in 0..2 {
            assert!(tokens.read(&project, &old, &forged).is_err());
        }
        assert!(tokens.read(&project, &old, &token).is_ok());
    }
}
