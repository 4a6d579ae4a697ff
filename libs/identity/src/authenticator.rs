//! Verifies credentials of any project, with its keys remembered for a minute.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use ingot_bus::{Bus, Invalidation};
use ingot_project::{LoginRole, Pools, Project, ProjectId};
use moka::future::Cache as AsyncCache;
use moka::sync::Cache;
use tokio_util::sync::CancellationToken;

use crate::cloud::CloudKeys;
use crate::key_ring::KeyRing;
use crate::keys::{ANON_KEY_PREFIX, API_KEY_PREFIX};
use crate::signing_key::SigningKey;
use crate::tokens;
use crate::verified::VerifiedTokens;
use crate::{AccessClaims, AuthError, CloudSettings, Identity};

/// Projects whose keys are remembered at once.
const MAX_PROJECTS: u64 = 10_000;
/// How long keys are believed without another look (contract, platform §9.6).
const KEYS_LIFETIME: Duration = Duration::from_mins(1);
/// How long the signing key serves while the database is away: it has no rotation.
const SIGNING_KEY_LIFETIME: Duration = Duration::from_mins(10);
/// Pause before another attempt to subscribe to invalidations.
const SUBSCRIBE_PAUSE: Duration = Duration::from_secs(2);

/// Verifies keys and tokens; clones share what is remembered, and cost nothing.
#[derive(Debug, Clone)]
pub struct Authenticator(Arc<Remembered>);

#[derive(Debug, Clone)]
struct Remembered {
    pools: Pools,
    rings: AsyncCache<ProjectId, Arc<KeyRing>>,
    signing: Cache<ProjectId, Arc<SigningKey>>,
    verified: VerifiedTokens,
    cloud: Option<CloudKeys>,
}

impl Authenticator {
    /// An authenticator for the projects behind `pools`. Nothing is read before it is needed.
    pub fn new(pools: Pools) -> Self {
        Self(Arc::new(Remembered {
            pools,
            rings: AsyncCache::builder()
                .max_capacity(MAX_PROJECTS)
                .time_to_live(KEYS_LIFETIME)
                .build(),
            signing: Cache::builder()
                .max_capacity(MAX_PROJECTS)
                .time_to_live(SIGNING_KEY_LIFETIME)
                .build(),
            verified: VerifiedTokens::new(),
            cloud: None,
        }))
    }

    /// The same, which also believes a control plane about the administrators of the projects that
    /// are bound to it.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn with_cloud(self, settings: &CloudSettings) -> Result<Self, reqwest::Error> {
        let mut remembered = Arc::unwrap_or_clone(self.0);
        remembered.cloud = Some(CloudKeys::new(settings)?);
        Ok(Self(Arc::new(remembered)))
    }

    /// Forgets keys as soon as another process tells that they changed, until `shutdown`.
    pub fn watch(&self, bus: &Bus, shutdown: &CancellationToken) {
        for project in self.0.pools.registry().iter() {
            let watcher = self
                .clone()
                .forget_on_invalidation(bus.clone(), project.id.clone());
            tokio::spawn(shutdown.clone().run_until_cancelled_owned(watcher));
        }
    }

    async fn forget_on_invalidation(self, bus: Bus, project: ProjectId) {
        loop {
            match bus.invalidations(&project).await {
                Ok(mut events) => {
                    while let Some(event) = events.next().await {
                        if event == Invalidation::Keys {
                            self.forget(&project).await;
                        }
                    }
                }
                Err(error) => tracing::warn!(%project, %error, "cannot hear of rotated keys"),
            }
            tokio::time::sleep(SUBSCRIBE_PAUSE).await;
        }
    }

    /// Forgets a project's keys: whoever changed them calls this, then tells the others over the
    /// bus.
    pub async fn forget(&self, project: &ProjectId) {
        self.0.signing.invalidate(project);
        self.0.rings.invalidate(project).await;
    }

    /// The project's keys; concurrent callers share one query.
    pub async fn key_ring(&self, project: &Project) -> Result<Arc<KeyRing>, AuthError> {
        let load = async {
            let pool = self
                .0
                .pools
                .get(&project.id, LoginRole::Service)
                .map_err(|error| AuthError::Unavailable(error.to_string()))?;
            KeyRing::load(&pool, project).await.map(Arc::new)
        };
        let ring = self
            .0
            .rings
            .try_get_with_by_ref(&project.id, load)
            .await
            .map_err(|error: Arc<AuthError>| AuthError::clone(&error))?;
        if !ring.is_complete() {
            self.0.rings.invalidate(&project.id).await;
        }
        if let Some(key) = ring.signing() {
            let remembered = self.0.signing.get(&project.id);
            if remembered.is_none_or(|remembered| remembered.id() != key.id()) {
                self.0
                    .signing
                    .insert(project.id.clone(), Arc::new(key.clone()));
            }
        }
        Ok(ring)
    }

    /// Verifies an access token: ours (RS256) or a third party's (HS256 with `JWT_SECRET`).
    pub async fn verify_token(
        &self,
        project: &Project,
        token: &str,
    ) -> Result<Identity, AuthError> {
        if let Some(id) = tokens::key_id(token) {
            return match self.signing_key(project, Some(&id)).await? {
                Some(key) => self.0.verified.read(&project.id, &key, token),
                None => Err(AuthError::InvalidToken),
            };
        }
        tokens::read_shared_secret_token(token, project)
    }

    /// Verifies a control plane's word about who administers the project.
    pub async fn verify_cloud_token(
        &self,
        project: &Project,
        token: &str,
    ) -> Result<Identity, AuthError> {
        if !tokens::claims_to_be_cloud(token) {
            return Err(AuthError::CloudToken);
        }
        match &self.0.cloud {
            Some(cloud) => cloud.verify(project, token).await,
            None => Err(AuthError::CloudUnbound),
        }
    }

    /// Verifies an API key, whatever it looks like.
    pub async fn verify_api_key(
        &self,
        project: &Project,
        key: &str,
    ) -> Result<Identity, AuthError> {
        let ring = self.key_ring(project).await?;
        if ring.has_api_key(key) {
            Ok(Identity::api_key())
        } else {
            Err(AuthError::InvalidApiKey)
        }
    }

    /// Verifies an anon key.
    pub async fn verify_anon_key(
        &self,
        project: &Project,
        key: &str,
    ) -> Result<Identity, AuthError> {
        let ring = self.key_ring(project).await?;
        if key.starts_with(ANON_KEY_PREFIX) && ring.has_anon_key(key) {
            Ok(Identity::anon_key())
        } else {
            Err(AuthError::InvalidAnonKey)
        }
    }

    /// Verifies a credential of any kind by its shape: what a Socket.IO handshake sends as
    /// `auth.token`, or what follows `Bearer `.
    pub async fn verify_any(
        &self,
        project: &Project,
        credential: &str,
    ) -> Result<Identity, AuthError> {
        if credential.starts_with(API_KEY_PREFIX) {
            self.verify_api_key(project, credential).await
        } else if credential.starts_with(ANON_KEY_PREFIX) {
            self.verify_anon_key(project, credential).await
        } else {
            self.verify_token(project, credential).await
        }
    }

    /// Signs an access token of this project.
    pub async fn sign_access_token(
        &self,
        project: &Project,
        claims: AccessClaims<'_>,
    ) -> Result<String, AuthError> {
        let key = self
            .signing_key(project, None)
            .await?
            .ok_or_else(|| AuthError::Unavailable("the project has no signing key yet".into()))?;
        tokens::sign_access_token(&key, claims)
            .map_err(|error| AuthError::Unavailable(error.to_string()))
    }

    /// The signing key, if it is the one called `id` (or any, for signing).
    async fn signing_key(
        &self,
        project: &Project,
        id: Option<&str>,
    ) -> Result<Option<Arc<SigningKey>>, AuthError> {
        let wanted = |key: &Arc<SigningKey>| id.is_none_or(|id| id == key.id());
        if let Some(key) = self.0.signing.get(&project.id).filter(wanted) {
            return Ok(Some(key));
        }
        self.key_ring(project).await?;
        Ok(self.0.signing.get(&project.id).filter(wanted))
    }
}
