//! Seeding a project's keys in a real database, and verifying callers with them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot set its scene has failed"
)]

use futures::future::join_all;
use ingot_config::{Environment, Secret, Settings};
use ingot_identity::{
    AuthError, Authenticator, Credential, SecretCipher, SeedSettings, Seeded, seed,
};
use ingot_testkit::TestProject;
use sqlx::Connection;

fn settings(pairs: &[(&str, &str)]) -> SeedSettings {
    SeedSettings::load(&Environment::from_pairs(pairs.iter().copied())).unwrap()
}

async fn seed_with(project: &TestProject, settings: &SeedSettings) -> Seeded {
    let mut owner = project.superuser().await.unwrap();
    let seeded = seed(&mut owner, project.project(), settings).await.unwrap();
    owner.close().await.unwrap();
    seeded
}

async fn stored(project: &TestProject, key: &str) -> Option<String> {
    let mut owner = project.superuser().await.unwrap();
    let text: Option<String> =
        sqlx::query_scalar("select value_ciphertext from system.secrets where key = $1")
            .bind(key)
            .fetch_optional(&mut owner)
            .await
            .unwrap();
    let cipher = SecretCipher::new(project.project());
    text.map(|text| cipher.decrypt(&text).unwrap().expose().to_owned())
}

#[tokio::test]
async fn many_seed_at_once_and_get_the_same_keys() {
    let project = TestProject::create().await.unwrap();
    let settings = settings(&[]);
    let all = join_all((0..6).map(|_| seed_with(&project, &settings))).await;
    assert_eq!(all.iter().filter(|seeded| seeded.created).count(), 1);
    let first = &all[0];
    for seeded in &all {
        assert_eq!(seeded.api_key, first.api_key);
        assert_eq!(seeded.anon_key, first.anon_key);
    }
    let url = stored(&project, "INSFORGE_BASE_URL").await;
    assert_eq!(url.as_deref(), Some("http://localhost:7130"));
    let secret = stored(&project, "JWT_SECRET").await.unwrap();
    assert_eq!(secret, project.project().jwt_secret.expose());
    let id = stored(&project, "JWT_KEY_ID").await.unwrap();
    assert!(!seed_with(&project, &settings).await.created);
    assert_eq!(stored(&project, "JWT_KEY_ID").await.unwrap(), id);
}

#[tokio::test]
async fn configured_keys_are_taken_once_and_stored_ones_win() {
    let project = TestProject::create().await.unwrap();
    let first = settings(&[
        ("ACCESS_API_KEY", " mine-0123456789abcdef "),
        ("ACCESS_ANON_KEY", "anon_mine-0123456789abcdef"),
    ]);
    let seeded = seed_with(&project, &first).await;
    assert_eq!(seeded.api_key.expose(), "ik_mine-0123456789abcdef");
    assert_eq!(seeded.anon_key.expose(), "anon_mine-0123456789abcdef");
    let later = settings(&[
        ("ACCESS_API_KEY", "other-0123456789abcdef"),
        ("API_BASE_URL", "https://other"),
    ]);
    let seeded = seed_with(&project, &later).await;
    assert_eq!(
        (seeded.api_key.expose(), seeded.created),
        ("ik_mine-0123456789abcdef", false)
    );
    let url = stored(&project, "INSFORGE_BASE_URL").await;
    assert_eq!(url.as_deref(), Some("http://localhost:7130"));
}

#[tokio::test]
async fn an_older_anon_key_and_half_a_key_pair_are_made_anew() {
    let project = TestProject::create().await.unwrap();
    seed_with(&project, &settings(&[])).await;
    let id = stored(&project, "JWT_KEY_ID").await;
    let token = SecretCipher::new(project.project())
        .encrypt("eyJhbGciOiJIUzI1NiJ9.e30.x")
        .unwrap();
    let change = format!(
        "update system.secrets set value_ciphertext = '{token}' where key = 'ANON_KEY';
         delete from system.secrets where key = 'JWT_PUBLIC_KEY'"
    );
    project.execute(&change).await.unwrap();
    let seeded = seed_with(&project, &settings(&[])).await;
    assert!(seeded.created && seeded.anon_key.expose().starts_with("anon_"));
    assert_ne!(stored(&project, "JWT_KEY_ID").await, id);
}

#[tokio::test]
async fn another_encryption_key_is_told_and_changes_nothing() {
    let project = TestProject::create().await.unwrap();
    seed_with(&project, &settings(&[])).await;
    let mut changed = project.project().as_ref().clone();
    changed.encryption_key = Secret::new("another key that is long enough!");
    let mut owner = project.superuser().await.unwrap();
    let error = seed(&mut owner, &changed, &settings(&[]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("ENCRYPTION_KEY"), "{error}");
}

#[tokio::test]
async fn callers_are_verified_as_soon_as_the_project_is_seeded() {
    let project = TestProject::create().await.unwrap();
    let authenticator = Authenticator::new(project.pools().clone());
    let early = authenticator
        .verify_api_key(project.project(), "ik_x")
        .await;
    assert!(matches!(early, Err(AuthError::InvalidApiKey)));
    let seeded = seed_with(&project, &settings(&[])).await;
    for (key, credential) in [
        (&seeded.api_key, Credential::ApiKey),
        (&seeded.anon_key, Credential::AnonKey),
    ] {
        let caller = authenticator
            .verify_any(project.project(), key.expose())
            .await;
        assert_eq!(caller.unwrap().credential, credential);
    }
    let end = "update system.secrets set expires_at = now() - interval '1 s' where key = 'API_KEY'";
    project.execute(end).await.unwrap();
    authenticator.forget(&project.project().id).await;
    let late = authenticator
        .verify_api_key(project.project(), seeded.api_key.expose())
        .await;
    assert!(matches!(late, Err(AuthError::InvalidApiKey)));
}

#[tokio::test]
async fn a_key_that_cannot_be_looked_up_is_not_called_wrong() {
    let project = TestProject::create().await.unwrap();
    let authenticator = Authenticator::new(project.pools().clone());
    project
        .execute("alter table system.secrets rename to gone")
        .await
        .unwrap();
    let result = authenticator
        .verify_api_key(project.project(), "ik_x")
        .await;
    assert!(matches!(result, Err(AuthError::Unavailable(_))));
}
