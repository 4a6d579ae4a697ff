//! Secrets, and the rotation of keys.

use futures::future::join_all;
use serde_json::json;

use crate::harness::{Api, send};

#[tokio::test]
async fn a_secret_lives_and_ends() {
    let api = Api::start().await;
    let body = json!({ "key": "MAIL_TOKEN", "value": "s3cret ☃" });
    let created = send(api.admin("POST", "/api/secrets").json(&body)).await;
    assert_eq!(
        (created.status, &created.body["success"]),
        (201, &json!(true))
    );
    let again = send(api.admin("POST", "/api/secrets").json(&body)).await;
    assert_eq!(again.refusal(), (409, "SECRET_ALREADY_EXISTS"));
    let shown = send(api.admin("GET", "/api/secrets/MAIL_TOKEN")).await;
    assert_eq!(
        shown.body,
        json!({ "key": "MAIL_TOKEN", "value": "s3cret ☃" })
    );
    let change = json!({ "value": "other" });
    let changed = send(api.admin("PUT", "/api/secrets/MAIL_TOKEN").json(&change)).await;
    assert_eq!(changed.status, 200);
    let list = send(api.admin("GET", "/api/secrets")).await.body;
    let secret = &list["secrets"][0];
    assert_eq!(
        (&secret["key"], &secret["isActive"]),
        (&json!("MAIL_TOKEN"), &json!(true))
    );
    assert!(secret.get("value").is_none() && secret["lastUsedAt"].is_string());
    for _ in 0..2 {
        let deleted = send(api.admin("DELETE", "/api/secrets/MAIL_TOKEN")).await;
        assert_eq!(deleted.status, 200);
    }
    let gone = send(api.admin("GET", "/api/secrets/MAIL_TOKEN")).await;
    assert_eq!(gone.refusal(), (404, "SECRET_NOT_FOUND"));
    let back = send(api.admin("POST", "/api/secrets").json(&body)).await;
    assert_eq!((back.status, &back.body["id"]), (201, &created.body["id"]));
    let trail = send(api.admin("GET", "/api/logs/audits?module=SECRETS")).await;
    assert!(!trail.body.to_string().contains("s3cret"));
}

#[tokio::test]
async fn expired_reserved_and_malformed_secrets() {
    let api = Api::start().await;
    let body = json!({ "key": "OLD", "value": "x", "expiresAt": "2020-01-01" });
    assert_eq!(
        send(api.admin("POST", "/api/secrets").json(&body))
            .await
            .status,
        201
    );
    let expired = send(api.admin("GET", "/api/secrets/OLD")).await;
    assert_eq!(expired.refusal(), (404, "SECRET_NOT_FOUND"));
    let revived = json!({ "expiresAt": null });
    assert_eq!(
        send(api.admin("PUT", "/api/secrets/OLD").json(&revived))
            .await
            .status,
        200
    );
    assert_eq!(send(api.admin("GET", "/api/secrets/OLD")).await.status, 200);
    let reserved = send(api.admin("DELETE", "/api/secrets/API_KEY")).await;
    assert_eq!(reserved.refusal(), (403, "FORBIDDEN"));
    let reserved = send(
        api.admin("PUT", "/api/secrets/JWT_SECRET")
            .json(&json!({ "value": "x" })),
    )
    .await;
    assert_eq!(reserved.refusal(), (403, "FORBIDDEN"));
    let shown = send(api.admin("GET", "/api/secrets/JWT_SECRET")).await;
    assert_eq!(
        shown.text("value"),
        api.project.project().jwt_secret.expose()
    );
    let bad = [
        json!({ "key": "lower", "value": "x" }),
        json!({ "key": "", "value": "x" }),
        json!({ "key": "A", "value": "" }),
        json!({ "key": "A" }),
        json!({ "key": "A", "value": "x", "expiresAt": "soon" }),
    ];
    for body in bad {
        let answer = send(api.admin("POST", "/api/secrets").json(&body)).await;
        assert_eq!(answer.refusal(), (400, "INVALID_INPUT"), "{body}");
    }
    for body in [json!({}), json!({ "value": 5 }), json!({ "value": "" })] {
        let answer = send(api.admin("PUT", "/api/secrets/OLD").json(&body)).await;
        assert_eq!(answer.refusal(), (400, "INVALID_INPUT"), "{body}");
    }
    let unknown = send(
        api.admin("PUT", "/api/secrets/NONE")
            .json(&json!({ "value": "x" })),
    )
    .await;
    assert_eq!(unknown.refusal(), (404, "SECRET_NOT_FOUND"));
    let anon = send(api.anon("GET", "/api/secrets")).await;
    assert_eq!(anon.status, 401);
}

#[tokio::test]
async fn a_rotated_key_holds_for_its_grace_and_not_longer() {
    let api = Api::start().await;
    let other = api.replica().await;
    let keys = send(api.admin("GET", "/api/metadata/api-key")).await;
    assert_eq!(keys.text("apiKey"), api.key.expose());
    let rotated = send(api.admin("POST", "/api/secrets/api-key/rotate")).await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let fresh = rotated.text("apiKey");
    assert!(fresh.starts_with("ik_") && rotated.body["oldKeyExpiresAt"].is_string());
    assert_eq!(
        send(api.admin("GET", "/api/auth/config")).await.status,
        200,
        "grace"
    );
    let at_once = json!({ "gracePeriodHours": "0" });
    let request = api
        .request("POST", "/api/secrets/api-key/rotate")
        .bearer_auth(&fresh);
    let newest = send(request.json(&at_once)).await.text("apiKey");
    let refused = send(api.request("GET", "/api/auth/config").bearer_auth(&fresh)).await;
    assert_eq!(refused.refusal(), (401, "AUTH_INVALID_API_KEY"));
    // The other replica hears of it over the bus.
    let mut heard = false;
    for _ in 0..50 {
        let request = other
            .request(reqwest::Method::GET, "/api/auth/config")
            .bearer_auth(&fresh);
        heard = send(request).await.status == 401;
        if heard {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(heard, "the former key still opens the other replica");
    let request = other
        .request(reqwest::Method::GET, "/api/auth/config")
        .bearer_auth(&newest);
    assert_eq!(send(request).await.status, 200);
}

#[tokio::test]
async fn the_anon_key_rotates_too() {
    let api = Api::start().await;
    let rotated = send(api.admin("POST", "/api/secrets/anon-key/rotate")).await;
    let fresh = rotated.text("anonKey");
    let current = send(api.admin("GET", "/api/metadata/anon-key")).await;
    assert_eq!(current.text("anonKey"), fresh);
    let token = send(api.admin("POST", "/api/auth/tokens/anon")).await;
    assert_eq!(token.text("accessToken"), fresh);
    for key in [fresh.as_str(), api.anon_key.expose()] {
        let request = api
            .request("POST", "/api/auth/users")
            .bearer_auth(key)
            .json(&json!({}));
        assert_eq!(
            send(request).await.refusal(),
            (400, "INVALID_INPUT"),
            "past the guard"
        );
    }
    for hours in [json!(-1), json!(721), json!(1.5), json!("x"), json!([])] {
        let body = json!({ "gracePeriodHours": hours });
        let answer = send(
            api.admin("POST", "/api/secrets/anon-key/rotate")
                .json(&body),
        )
        .await;
        assert_eq!(answer.refusal(), (400, "INVALID_INPUT"), "{body}");
    }
}

#[tokio::test]
async fn rotations_at_once_leave_one_key() {
    let api = Api::start().await;
    let rotations = (0..4).map(|_| send(api.admin("POST", "/api/secrets/api-key/rotate")));
    let answers = join_all(rotations).await;
    assert!(answers.iter().any(|answer| answer.status == 200));
    assert!(
        answers.iter().all(|answer| answer.status != 500),
        "{answers:?}"
    );
    let current = send(api.admin("GET", "/api/metadata/api-key"))
        .await
        .text("apiKey");
    let request = api.request("GET", "/api/auth/config").bearer_auth(&current);
    assert_eq!(send(request).await.status, 200);
}
