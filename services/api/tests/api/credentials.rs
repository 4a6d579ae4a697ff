//! What each guard accepts, and the code of every refusal: clients branch on them.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::harness::{Api, send};

/// Routes behind each guard.
const USER: (&str, &str) = ("POST", "/api/auth/users");
const TOKEN: (&str, &str) = ("GET", "/api/auth/sessions/current");
const ADMIN: (&str, &str) = ("GET", "/api/auth/config");

fn hs256(api: &Api, claims: &Value) -> String {
    let secret = api.project.project().jwt_secret.expose();
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

async fn refusal(api: &Api, route: (&str, &str), headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = api.request(route.0, route.1);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = send(request).await;
    (
        answer.status,
        answer.body["error"].as_str().unwrap_or_default().to_owned(),
    )
}

#[tokio::test]
async fn missing_and_wrong_credentials_have_different_codes() {
    let api = Api::start().await;
    let none = (401, "AUTH_INVALID_CREDENTIALS".to_owned());
    let bad = (401, "AUTH_UNAUTHORIZED".to_owned());
    let key = (401, "AUTH_INVALID_API_KEY".to_owned());
    for route in [USER, TOKEN, ADMIN] {
        assert_eq!(refusal(&api, route, &[]).await, none);
        for scheme in ["bearer x", "Basic x", "Bearer "] {
            assert_eq!(
                refusal(&api, route, &[("authorization", scheme)]).await,
                none,
                "{scheme}"
            );
        }
        assert_eq!(
            refusal(&api, route, &[("authorization", "Bearer a.b.c")]).await,
            bad
        );
    }
    for route in [USER, ADMIN] {
        assert_eq!(
            refusal(&api, route, &[("authorization", "Bearer ik_wrong")]).await,
            key
        );
        assert_eq!(refusal(&api, route, &[("x-api-key", "wrong")]).await, key);
    }
    assert_eq!(
        refusal(&api, USER, &[("authorization", "Bearer anon_wrong")]).await,
        none
    );
    let anon = format!("Bearer {}", api.anon_key.expose());
    for route in [TOKEN, ADMIN] {
        assert_eq!(refusal(&api, route, &[("authorization", &anon)]).await, bad);
    }
    let api_key = format!("Bearer {}", api.key.expose());
    assert_eq!(
        refusal(&api, TOKEN, &[("authorization", &api_key)]).await,
        bad
    );
}

#[tokio::test]
async fn a_key_in_its_header_wins_over_a_token() {
    let api = Api::start().await;
    let user = api.sign_up("ann@example.com").await;
    let token = format!("Bearer {}", user.text("accessToken"));
    let wrong = [("authorization", token.as_str()), ("x-api-key", "wrong")];
    assert_eq!(refusal(&api, ADMIN, &wrong).await.0, 401);
    let right = [
        ("authorization", token.as_str()),
        ("x-api-key", api.key.expose()),
    ];
    assert_eq!(refusal(&api, ADMIN, &right).await.0, 200);
    let alone = [("authorization", token.as_str())];
    let expected = (403, "AUTH_UNAUTHORIZED".to_owned());
    assert_eq!(refusal(&api, ADMIN, &alone).await, expected);
}

#[tokio::test]
async fn tokens_that_must_not_be_believed() {
    let api = Api::start().await;
    let user = api.sign_up("ann@example.com").await;
    let id = &user.body["user"]["id"];
    let valid = user.text("accessToken");
    let (header, rest) = valid.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let kid = jsonwebtoken::decode_header(&valid).unwrap().kid.unwrap();
    let mut with_kid = Header::new(Algorithm::HS256);
    with_kid.kid = Some(kid);
    let jwks = send(api.request("GET", "/api/.well-known/jwks.json"))
        .await
        .body;
    let public = jwks["keys"][0]["n"].as_str().unwrap();
    let forged = json!({ "sub": id, "role": "project_admin" });
    let confused = encode(
        &with_kid,
        &forged,
        &EncodingKey::from_secret(public.as_bytes()),
    );
    let other = encode(
        &Header::default(),
        &forged,
        &EncodingKey::from_secret(b"other"),
    );
    let none = "eyJhbGciOiJub25lIn0";
    let tokens = [
        ("alg none", format!("{none}.{body}.")),
        ("alg none, signed", format!("{none}.{body}.{signature}")),
        ("no signature", format!("{header}.{body}.")),
        (
            "another body",
            format!("{header}.eyJzdWIiOiJ4In0.{signature}"),
        ),
        ("key confusion", confused.unwrap()),
        ("another secret", other.unwrap()),
        (
            "expired",
            hs256(&api, &json!({ "sub": id, "exp": 1_000_000_000 })),
        ),
        (
            "not yet",
            hs256(&api, &json!({ "sub": id, "nbf": 4_000_000_000_u64 })),
        ),
        (
            "no subject",
            hs256(&api, &json!({ "role": "authenticated" })),
        ),
        ("refresh token", user.text("refreshToken")),
        ("huge", "a".repeat(20_000)),
    ];
    for (what, token) in tokens {
        let bearer = format!("Bearer {token}");
        for route in [USER, TOKEN, ADMIN] {
            let answer = refusal(&api, route, &[("authorization", &bearer)]).await;
            assert_eq!(
                answer,
                (401, "AUTH_UNAUTHORIZED".to_owned()),
                "{what} on {route:?}"
            );
        }
    }
    let cloud = hs256(
        &api,
        &json!({ "sub": id, "role": "project_admin", "type": "project_authorization" }),
    );
    let answer = refusal(
        &api,
        ADMIN,
        &[("authorization", &format!("Bearer {cloud}"))],
    )
    .await;
    assert_eq!(
        answer,
        (500, "INTERNAL_ERROR".to_owned()),
        "the project is bound to no control plane"
    );
}

#[tokio::test]
async fn third_parties_sign_with_the_shared_secret() {
    let api = Api::start().await;
    let admin = hs256(&api, &json!({ "sub": "clerk_1", "role": "project_admin" }));
    let answer = refusal(
        &api,
        ADMIN,
        &[("authorization", &format!("Bearer {admin}"))],
    )
    .await;
    assert_eq!(answer.0, 200);
    // A subject that is no id of ours passes the guard and finds no account.
    let foreign = hs256(
        &api,
        &json!({ "sub": "user_2abc", "role": "authenticated" }),
    );
    let answer = refusal(
        &api,
        TOKEN,
        &[("authorization", &format!("Bearer {foreign}"))],
    )
    .await;
    assert_eq!(answer, (401, "AUTH_INVALID_CREDENTIALS".to_owned()));
    let request = api
        .request("PATCH", "/api/auth/profiles/current")
        .bearer_auth(&foreign)
        .json(&json!({ "profile": {} }));
    assert_eq!(send(request).await.refusal(), (404, "AUTH_USER_NOT_FOUND"));
}

#[tokio::test]
async fn only_the_edge_is_answered() {
    let api = Api::start().await;
    let client = reqwest::Client::new();
    let answer = send(client.get(api.service.url("/api/health"))).await;
    assert_eq!(answer.refusal(), (403, "FORBIDDEN"));
}
