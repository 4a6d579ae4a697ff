//! Administrators whom a cloud control plane vouches for, against a control plane of our own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, send};

/// A control plane with one key, which counts how often the key was fetched.
struct ControlPlane {
    address: String,
    key: EncodingKey,
    fetched: Arc<AtomicUsize>,
}

fn new_key() -> EncodingKey {
    let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    EncodingKey::from_ec_der(pair.unwrap().as_ref())
}

impl ControlPlane {
    async fn start() -> Self {
        let key = new_key();
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some("c1".to_owned());
        let fetched = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&fetched);
        let answer = move || {
            count.fetch_add(1, Ordering::Relaxed);
            let set = json!({ "keys": [jwk.clone()] });
            async move { Json(set) }
        };
        let routes = Router::new().route("/.well-known/jwks.json", get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self {
            address,
            key,
            fetched,
        }
    }

    fn token(&self, claims: &Value) -> String {
        signed("c1", &self.key, claims)
    }
}

fn signed(id: &str, key: &EncodingKey, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(id.to_owned());
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn claims() -> Value {
    json!({ "type": "project_authorization", "projectId": "p1", "userId": "u1", "exp": 4_000_000_000_u64 })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

async fn exchange(api: &Api, code: &str) -> Answer {
    let path = "/api/auth/admin/sessions/exchange";
    send(api.request("POST", path).json(&json!({ "code": code }))).await
}

async fn bound(cloud: &ControlPlane) -> Api {
    Api::start_with(&[("CLOUD_API_HOST", &cloud.address), ("PROJECT_ID", "p1")]).await
}

#[tokio::test]
async fn an_administrator_comes_from_the_control_plane() {
    let cloud = ControlPlane::start().await;
    let api = bound(&cloud).await;
    let token = cloud.token(&claims());
    let session = exchange(&api, &token).await;
    assert_eq!(session.status, 200, "{session:?}");
    assert_eq!(session.body["admin"], json!({ "sub": "cloud:u1" }));

    let secrets = |bearer: &str| send(api.request("GET", "/api/secrets").bearer_auth(bearer));
    assert_eq!(secrets(&session.text("accessToken")).await.status, 200);
    assert_eq!(secrets(&token).await.status, 200, "the token itself serves");

    let refreshed = api
        .request("POST", "/api/auth/admin/refresh")
        .header(
            "cookie",
            format!("insforge_admin_refresh_token={}", session.cookie()),
        )
        .header("x-csrf-token", session.text("csrfToken"));
    let refreshed = send(refreshed).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    assert_eq!(refreshed.body["admin"], json!({ "sub": "cloud:u1" }));
    assert_eq!(cloud.fetched.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn its_word_counts_for_the_bound_project_and_only_with_its_key() {
    let cloud = ControlPlane::start().await;
    let api = bound(&cloud).await;
    let invalid = (401, "AUTH_INVALID_CREDENTIALS");
    let elsewhere = (403, "AUTH_UNAUTHORIZED");
    let public = Jwk::from_encoding_key(&cloud.key, Algorithm::ES256).unwrap();
    let confused = {
        let key = EncodingKey::from_secret(&serde_json::to_vec(&public).unwrap());
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("c1".to_owned());
        jsonwebtoken::encode(&header, &claims(), &key).unwrap()
    };
    let cases = [
        ("not a token", "x".to_owned(), invalid),
        ("another key", signed("c1", &new_key(), &claims()), invalid),
        (
            "an unknown key",
            signed("c2", &new_key(), &claims()),
            invalid,
        ),
        ("another algorithm", confused, invalid),
        (
            "expired",
            cloud.token(&with("exp", json!(1_000_000_000))),
            invalid,
        ),
        (
            "another kind",
            cloud.token(&with("type", json!("project_view"))),
            invalid,
        ),
        ("no user", cloud.token(&with("userId", json!(" "))), invalid),
        (
            "another project",
            cloud.token(&with("projectId", json!("p2"))),
            elsewhere,
        ),
        (
            "no project",
            cloud.token(&with("projectId", Value::Null)),
            elsewhere,
        ),
    ];
    for (what, token, expected) in cases {
        assert_eq!(exchange(&api, &token).await.refusal(), expected, "{what}");
    }
    let fetches = cloud.fetched.load(Ordering::Relaxed);
    assert_eq!(fetches, 1, "unknown keys are not asked for again and again");
    let body = json!({ "code": "" });
    let empty = api
        .request("POST", "/api/auth/admin/sessions/exchange")
        .json(&body);
    assert_eq!(send(empty).await.refusal(), (400, "INVALID_INPUT"));
}

#[tokio::test]
async fn without_a_control_plane_nobody_comes_from_one() {
    let cloud = ControlPlane::start().await;
    let token = cloud.token(&claims());
    let api = Api::start_with(&[("CLOUD_API_HOST", &cloud.address)]).await;
    let unbound = exchange(&api, &token).await;
    assert_eq!(unbound.refusal(), (500, "INTERNAL_ERROR"));
    let nonsense = exchange(&api, "x").await;
    assert_eq!(nonsense.refusal(), (401, "AUTH_INVALID_CREDENTIALS"));
    assert_eq!(cloud.fetched.load(Ordering::Relaxed), 0);

    let away = [
        ("CLOUD_API_HOST", "http://127.0.0.1:9"),
        ("PROJECT_ID", "p1"),
    ];
    let api = Api::start_with(&away).await;
    assert_eq!(exchange(&api, &token).await.status, 503);
}
