//! The administrator's session and settings.

use reqwest::RequestBuilder;
use serde_json::json;

use crate::harness::{Answer, Api, send};

async fn sign_in(api: &Api, username: &str, password: &str) -> Answer {
    let body = json!({ "username": username, "password": password });
    send(api.request("POST", "/api/auth/admin/sessions").json(&body)).await
}

fn with_cookie(api: &Api, path: &str, cookie: &str, csrf: &str) -> RequestBuilder {
    api.request("POST", path)
        .header("cookie", format!("insforge_admin_refresh_token={cookie}"))
        .header("x-csrf-token", csrf)
}

#[tokio::test]
async fn the_administrator_signs_in_and_out() {
    let api = Api::start().await;
    let first = sign_in(&api, " admin ", api.project.admin_password()).await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(first.body["admin"], json!({ "sub": "local:admin" }));
    assert!(
        first
            .header("set-cookie")
            .unwrap()
            .contains("Path=/api/auth/admin;")
    );
    let current = api
        .request("GET", "/api/auth/admin/sessions/current")
        .bearer_auth(first.text("accessToken"));
    assert_eq!(
        send(current).await.body,
        json!({ "admin": { "sub": "local:admin" } })
    );
    let config = api
        .request("GET", "/api/auth/config")
        .bearer_auth(first.text("accessToken"));
    assert_eq!(send(config).await.status, 200);

    let csrf = first.text("csrfToken");
    let refresh = "/api/auth/admin/refresh";
    let second = send(with_cookie(&api, refresh, &first.cookie(), &csrf)).await;
    assert_eq!(
        (second.status, second.text("csrfToken")),
        (200, csrf.clone())
    );
    assert_ne!(second.cookie(), first.cookie());
    let forged = send(with_cookie(&api, refresh, &second.cookie(), "x")).await;
    assert_eq!(
        (forged.refusal(), forged.header("set-cookie")),
        ((403, "FORBIDDEN"), None)
    );

    let logout = "/api/auth/admin/logout";
    let forged = send(with_cookie(&api, logout, &second.cookie(), "x")).await;
    assert_eq!(forged.refusal(), (403, "FORBIDDEN"));
    let done = send(with_cookie(&api, logout, &second.cookie(), &csrf)).await;
    assert_eq!((done.status, &done.body["success"]), (200, &json!(true)));
    let refused = send(with_cookie(&api, refresh, &second.cookie(), &csrf)).await;
    assert_eq!(refused.refusal(), (401, "AUTH_UNAUTHORIZED"));
    assert!(refused.header("set-cookie").unwrap().contains("1970"));
}

#[tokio::test]
async fn the_administrators_password_is_not_guessed() {
    let api = Api::start().await;
    for body in [
        json!({}),
        json!({ "username": "", "password": "x" }),
        json!({ "username": 1, "password": "x" }),
    ] {
        let answer = send(api.request("POST", "/api/auth/admin/sessions").json(&body)).await;
        assert_eq!(answer.refusal(), (400, "INVALID_INPUT"), "{body}");
    }
    for guess in 0..10 {
        let answer = sign_in(&api, "admin", &guess.to_string()).await;
        assert_eq!(answer.refusal(), (401, "AUTH_UNAUTHORIZED"));
    }
    let limited = sign_in(&api, "admin", api.project.admin_password()).await;
    assert_eq!(limited.refusal(), (429, "TOO_MANY_REQUESTS"));
    assert!(limited.header("retry-after").is_some());
}

#[tokio::test]
async fn sessions_of_users_and_administrators_do_not_mix() {
    let api = Api::start().await;
    let admin = sign_in(&api, "admin", api.project.admin_password()).await;
    let request = api
        .request("POST", "/api/auth/refresh")
        .header(
            "cookie",
            format!("insforge_refresh_token={}", admin.cookie()),
        )
        .header("x-csrf-token", admin.text("csrfToken"));
    assert_eq!(send(request).await.refusal(), (401, "AUTH_UNAUTHORIZED"));
    let user = api.sign_up("ann@example.com").await;
    let current = "/api/auth/admin/sessions/current";
    let request = api
        .request("GET", current)
        .bearer_auth(user.text("accessToken"));
    assert_eq!(send(request).await.refusal(), (403, "AUTH_UNAUTHORIZED"));
    assert_eq!(
        send(api.admin("GET", current)).await.refusal(),
        (401, "AUTH_UNAUTHORIZED")
    );
    let session = "/api/auth/sessions/current";
    let request = api
        .request("GET", session)
        .bearer_auth(admin.text("accessToken"));
    assert_eq!(
        send(request).await.refusal(),
        (401, "AUTH_INVALID_CREDENTIALS")
    );
    let profile = api
        .request("PATCH", "/api/auth/profiles/current")
        .bearer_auth(admin.text("accessToken"))
        .json(&json!({ "profile": {} }));
    assert_eq!(send(profile).await.refusal(), (403, "FORBIDDEN"));
}

#[tokio::test]
async fn settings_have_defaults_and_are_checked() {
    let api = Api::start().await;
    let defaults = send(api.admin("GET", "/api/auth/config")).await.body;
    assert_eq!(defaults["id"], "00000000-0000-0000-0000-000000000000");
    assert_eq!(defaults["passwordMinLength"], 6);
    assert_eq!(defaults["allowedRedirectUrls"], json!([]));
    let stored = send(api.admin("PUT", "/api/auth/config").json(&json!({}))).await;
    assert_ne!(stored.body["id"], defaults["id"], "the row exists now");
    let change = json!({ "allowedRedirectUrls": null, "passwordMinLength": 8 });
    let changed = send(api.admin("PUT", "/api/auth/config").json(&change)).await;
    assert_eq!(changed.body["allowedRedirectUrls"], json!(null));
    assert_eq!(changed.body["passwordMinLength"], 8);
    assert_eq!(changed.body["id"], stored.body["id"]);
    for body in [
        json!({ "passwordMinLength": 3 }),
        json!({ "passwordMinLength": 6.5 }),
        json!({ "verifyEmailMethod": "pigeon" }),
        json!({ "allowedRedirectUrls": ["javascript:alert(1)"] }),
        json!({ "requireNumber": "yes" }),
    ] {
        let answer = send(api.admin("PUT", "/api/auth/config").json(&body)).await;
        assert_eq!(answer.refusal(), (400, "INVALID_INPUT"), "{body}");
    }
    let verify = json!({ "requireEmailVerification": true });
    let answer = send(api.admin("PUT", "/api/auth/config").json(&verify)).await;
    assert_eq!(answer.refusal(), (400, "EMAIL_PROVIDER_NOT_CONFIGURED"));

    let public = send(api.request("GET", "/api/auth/public-config"))
        .await
        .body;
    assert_eq!(public["oAuthProviders"], json!([]));
    assert_eq!(public["customOAuthProviders"], json!([]));
    assert_eq!(public["passwordMinLength"], 8);
    assert!(public.get("allowedRedirectUrls").is_none());
    let metadata = send(api.admin("GET", "/api/metadata/auth")).await.body;
    assert_eq!(metadata["allowedRedirectUrls"], json!([]));
    assert_eq!(metadata["smtpConfig"]["enabled"], false);
    let trail = send(api.admin("GET", "/api/logs/audits?module=AUTH"))
        .await
        .body;
    let fields = json!(["passwordMinLength", "allowedRedirectUrls"]);
    assert_eq!(trail[0]["details"]["updatedFields"], fields);
}
