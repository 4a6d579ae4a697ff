//! The unmodified official SDK.

use ingot_http::header;
use ingot_testkit::Node;
use serde_json::{Value, json};

use crate::harness::Api;

#[tokio::test]
async fn the_official_sdk_signs_up_in_and_out() {
    let api = Api::start().await;
    let edge = json!({
        header::PROJECT: api.project.project().id.as_str(),
        header::EDGE_KEY: api.project.edge_key().expose(),
        header::CLIENT_IP: "192.0.2.1",
    });
    let steps = Node::script("api/auth.mjs")
        .env("BASE_URL", api.service.url(""))
        .env("ANON_KEY", api.anon_key.expose())
        .env("EDGE_HEADERS", edge.to_string())
        .run()
        .await
        .unwrap();
    let user = json!("ann@example.com");
    let expected = [
        json!({ "step": "signUp", "email": user, "error": null }),
        json!({ "step": "signUpAgain", "code": "AUTH_EMAIL_EXISTS", "status": 409 }),
        json!({ "step": "wrongPassword", "code": "AUTH_UNAUTHORIZED", "status": 401 }),
        json!({ "step": "signIn", "email": user, "error": null }),
        json!({ "step": "currentUser", "email": user, "error": null }),
        json!({ "step": "refresh", "email": user, "rotated": true, "error": null }),
        json!({
            "step": "setProfile",
            "profile": { "name": "Ann", "avatar_url": "https://example.com/a.png" },
            "error": null,
        }),
        json!({ "step": "publicConfig", "minimum": 6, "error": null }),
        json!({ "step": "signOut", "error": null }),
    ];
    assert_eq!(steps, expected.map(Value::from));
}
