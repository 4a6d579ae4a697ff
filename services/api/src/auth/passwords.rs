//! Password hashes: bcrypt, off the async threads, never more at once than there are cores.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;

/// Cost of new hashes (contract, auth §2.5).
const COST: u32 = 10;
/// Sign-ins per core that may wait for their turn; a further one is told to come back.
const WAITING_PER_CORE: usize = 32;
/// Longest wait for a turn.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Hash of a text that nobody knows. Accounts that do not exist are checked against it, so that
/// the time of an answer does not tell which addresses have an account.
const NOBODYS_HASH: &str = "$2b$10$BOVFpXZs4XO/t6Q.Y8HI..8zy/LHzkAs65aWNNcRxxv.mQsoikfxq";

/// The one place where passwords are hashed.
#[derive(Debug)]
pub(super) struct Passwords {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

/// A turn: ends when dropped.
struct Turn {
    _admitted: OwnedSemaphorePermit,
    _running: OwnedSemaphorePermit,
}

impl Passwords {
    pub(super) fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self {
            running: Arc::new(Semaphore::new(cores)),
            admitted: Arc::new(Semaphore::new(cores * (WAITING_PER_CORE + 1))),
        }
    }

    /// Hashes a new password. What is beyond 72 bytes does not count (bcrypt's limit).
    pub(super) async fn hash(&self, password: String) -> Result<String, Failure> {
        self.work(move || bcrypt::hash(password, COST)).await
    }

    /// Whether the password belongs to the hash; takes equally long when there is none.
    pub(super) async fn verify(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, Failure> {
        self.work(move || match hash {
            // A stored value that is no bcrypt hash matches nothing.
            Some(hash) => Ok(bcrypt::verify(&password, &hash).unwrap_or(false)),
            None => bcrypt::verify(&password, NOBODYS_HASH).map(|_| false),
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, bcrypt::BcryptError> + Send + 'static,
    ) -> Result<T, Failure> {
        let turn = self.turn().await?;
        let done = tokio::task::spawn_blocking(move || {
            // Kept to the end of the work: a caller who leaves must not free the core early.
            let _turn = turn;
            job()
        });
        Ok(done.await.map_err(|_| Failure::Busy)??)
    }

    async fn turn(&self) -> Result<Turn, Failure> {
        let admitted = Arc::clone(&self.admitted)
            .try_acquire_owned()
            .map_err(|_| Failure::Busy)?;
        let running =
            tokio::time::timeout(MAX_WAIT, Arc::clone(&self.running).acquire_owned()).await;
        match running {
            Ok(Ok(running)) => Ok(Turn {
                _admitted: admitted,
                _running: running,
            }),
            _ => Err(Failure::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hashes_have_the_contracts_form() {
        let passwords = Passwords::new();
        let hash = passwords.hash("secret".into()).await.unwrap();
        assert!(hash.starts_with("$2b$10$"));
        for (given, stored, right) in [
            ("secret", Some(hash.clone()), true),
            ("Secret", Some(hash), false),
            ("secret", Some("no hash".into()), false),
            ("secret", None, false),
        ] {
            assert_eq!(passwords.verify(given.into(), stored).await.unwrap(), right);
        }
    }

    #[tokio::test]
    async fn older_variants_and_long_passwords_are_understood() {
        let passwords = Passwords::new();
        let long = "x".repeat(100);
        let hash = passwords.hash(long.clone()).await.unwrap();
        for variant in ["$2a$", "$2y$", "$2b$"] {
            let hash = hash.replacen("$2b$", variant, 1);
            assert!(passwords.verify(long.clone(), Some(hash)).await.unwrap());
        }
        // Bytes beyond 72 do not count.
        assert!(passwords.verify("x".repeat(72), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_answers_at_once() {
        let passwords = Passwords::new();
        let all = passwords.admitted.available_permits();
        let _taken = passwords
            .admitted
            .acquire_many(u32::try_from(all).unwrap())
            .await
            .unwrap();
        assert!(matches!(
            passwords.hash("x".into()).await,
            Err(Failure::Busy)
        ));
    }
}
