//! Sign-up, profiles, and administration of users.

use serde_json::json;

use crate::harness::{Api, PASSWORD, send};

#[tokio::test]
async fn a_user_signs_up_in_a_browser_and_elsewhere() {
    let api = Api::start().await;
    let body = json!({ "email": "Ann@Example.com", "password": PASSWORD, "name": " Ann " });
    let web = send(api.anon("POST", "/api/auth/users").json(&body)).await;
    assert_eq!(web.status, 200, "{web:?}");
    assert_eq!(web.body["requireEmailVerification"], false);
    assert!(web.body["csrfToken"].is_string() && web.body.get("refreshToken").is_none());
    let user = &web.body["user"];
    assert_eq!(user["email"], "ann@example.com");
    assert_eq!(user["emailVerified"], false);
    assert_eq!(user["providers"], json!(["email"]));
    assert_eq!(user["profile"], json!({ "name": "Ann" }));
    assert_eq!(user["metadata"], json!({}));
    assert_eq!(user["createdAt"].as_str().unwrap().len(), 24);
    let cookie = web.header("set-cookie").unwrap();
    for attribute in [
        "Max-Age=604800",
        "Path=/api/auth",
        "HttpOnly",
        "Secure",
        "SameSite=None",
    ] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let native = api.sign_up("bob@example.com").await;
    assert!(native.body["refreshToken"].is_string() && native.body.get("csrfToken").is_none());
    assert_eq!(native.header("set-cookie"), None);
}

#[tokio::test]
async fn addresses_that_must_be_verified() {
    let api = Api::start().await;
    // Set past the route, which asks for a mail provider first.
    let require = "insert into auth.config (require_email_verification) values (true)";
    api.project.execute(require).await.unwrap();
    let sign_up = |email: &str, confirmed: bool| json!({ "email": email, "password": PASSWORD, "autoConfirm": confirmed });
    let users = "/api/auth/users";

    // Nothing here can send the mail, which is said; the account stays.
    let unsent = send(
        api.anon("POST", users)
            .json(&sign_up("ann@example.com", true)),
    )
    .await;
    assert_eq!(unsent.status, 500, "{unsent:?}");
    assert_eq!(
        unsent.body["error"],
        "AUTH_VERIFICATION_EMAIL_DELIVERY_FAILED"
    );
    let again = send(
        api.anon("POST", users)
            .json(&sign_up("ann@example.com", true)),
    )
    .await;
    assert_eq!(again.status, 409, "{again:?}");
    let session = |email: &str| json!({ "email": email, "password": PASSWORD });
    let unverified = session("ann@example.com");
    let refused = send(api.anon("POST", "/api/auth/sessions").json(&unverified)).await;
    assert_eq!(
        (refused.status, &refused.body["error"]),
        (403, &json!("FORBIDDEN"))
    );
    assert!(refused.body["nextActions"].is_string(), "{refused:?}");

    // An administrator may vouch for an address; nobody is signed in by that.
    for (email, confirmed, status) in [
        ("bob@example.com", false, 403),
        ("eve@example.com", true, 200),
    ] {
        let made = send(api.admin("POST", users).json(&sign_up(email, confirmed))).await;
        let expected = json!({ "accessToken": null, "requireEmailVerification": !confirmed });
        assert_eq!((made.status, &made.body), (200, &expected));
        let signed_in = api.anon("POST", "/api/auth/sessions").json(&session(email));
        assert_eq!(send(signed_in).await.status, status, "{email}");
    }
}

#[tokio::test]
async fn sign_ups_that_are_refused() {
    let api = Api::start().await;
    api.sign_up("ann@example.com").await;
    let cases = [
        (
            json!({ "email": "ann@example.com", "password": PASSWORD }),
            409,
            "AUTH_EMAIL_EXISTS",
        ),
        (
            json!({ "email": "ANN@example.com", "password": PASSWORD }),
            409,
            "AUTH_EMAIL_EXISTS",
        ),
        (
            json!({ "email": "no address", "password": PASSWORD }),
            400,
            "INVALID_INPUT",
        ),
        (
            json!({ "email": " a@b.co", "password": PASSWORD }),
            400,
            "INVALID_INPUT",
        ),
        (
            json!({ "email": "a@b.co", "password": "short" }),
            400,
            "INVALID_INPUT",
        ),
        (
            json!({ "email": "a@b.co", "password": 5 }),
            400,
            "INVALID_INPUT",
        ),
        (json!({ "email": "a@b.co" }), 400, "INVALID_INPUT"),
        (
            json!({ "email": ["a@b.co"], "password": PASSWORD }),
            400,
            "INVALID_INPUT",
        ),
        (
            json!({ "email": "a@b.co", "password": PASSWORD, "name": " " }),
            400,
            "INVALID_INPUT",
        ),
        (
            json!({ "email": "a@b.co", "password": PASSWORD, "redirectTo": "x" }),
            400,
            "INVALID_INPUT",
        ),
        (
            json!({ "email": "a@b.co", "password": PASSWORD, "name": "a\u{0}b" }),
            400,
            "INVALID_INPUT",
        ),
        (json!([]), 400, "INVALID_INPUT"),
    ];
    for (body, status, code) in cases {
        let answer = send(api.anon("POST", "/api/auth/users").json(&body)).await;
        assert_eq!(answer.refusal(), (status, code), "{body}");
    }
    let body = json!({ "email": "a@b.co", "password": PASSWORD });
    let answer = send(api.request("POST", "/api/auth/users").json(&body)).await;
    assert_eq!(
        answer.refusal(),
        (401, "AUTH_INVALID_CREDENTIALS"),
        "no key at all"
    );
}

#[tokio::test]
async fn one_address_is_one_account_however_many_sign_up_at_once() {
    let api = Api::start().await;
    let body = json!({ "email": "ann@example.com", "password": PASSWORD });
    let requests = (0..6).map(|_| send(api.anon("POST", "/api/auth/users").json(&body)));
    let answers = futures::future::join_all(requests).await;
    let count = |status| {
        answers
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!((count(200), count(409)), (1, 5));
}

#[tokio::test]
async fn an_administrator_makes_accounts_without_becoming_them() {
    let api = Api::start().await;
    let body = json!({ "email": "a@b.co", "password": PASSWORD, "autoConfirm": true });
    let answer = send(api.admin("POST", "/api/auth/users").json(&body)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["user"]["emailVerified"], true);
    assert!(answer.body["accessToken"].is_string());
    assert_eq!(answer.header("set-cookie"), None);
    assert!(answer.body.get("csrfToken").is_none() && answer.body.get("refreshToken").is_none());
    // Somebody else cannot vouch for himself.
    let body = json!({ "email": "c@d.co", "password": PASSWORD, "autoConfirm": true });
    let answer = send(api.anon("POST", "/api/auth/users").json(&body)).await;
    assert_eq!(answer.body["user"]["emailVerified"], false);
}

#[tokio::test]
async fn sign_up_can_be_switched_off_and_passwords_made_harder() {
    let api = Api::start().await;
    let change = json!({ "disableSignup": true, "requireNumber": true });
    let config = send(api.admin("PUT", "/api/auth/config").json(&change)).await;
    assert_eq!(
        (config.status, &config.body["disableSignup"]),
        (200, &json!(true))
    );
    let body = json!({ "email": "a@b.co", "password": PASSWORD });
    let answer = send(api.anon("POST", "/api/auth/users").json(&body)).await;
    assert_eq!(answer.refusal(), (403, "AUTH_SIGNUP_DISABLED"));
    let answer = send(api.admin("POST", "/api/auth/users").json(&body)).await;
    assert_eq!(answer.refusal(), (400, "INVALID_INPUT"), "no digit");
    let body = json!({ "email": "a@b.co", "password": "horse 1" });
    let answer = send(api.admin("POST", "/api/auth/users").json(&body)).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn profiles_are_public_and_changed_by_their_owner() {
    let api = Api::start().await;
    let user = api.sign_up("ann@example.com").await;
    let id = user.body["user"]["id"].as_str().unwrap().to_owned();
    let change = json!({ "profile": { "avatar_url": "x", "name": null } });
    let request = api
        .request("PATCH", "/api/auth/profiles/current")
        .bearer_auth(user.text("accessToken"))
        .json(&change);
    let changed = send(request).await;
    let profile = json!({ "id": id, "profile": { "name": null, "avatar_url": "x" } });
    assert_eq!((changed.status, &changed.body), (200, &profile));
    let path = format!("/api/auth/profiles/{}", id.to_uppercase());
    assert_eq!(send(api.request("GET", &path)).await.body, profile);

    let unknown = "/api/auth/profiles/00000000-0000-4000-8000-000000000000";
    let cases = [
        ("GET", unknown, 404, "AUTH_USER_NOT_FOUND"),
        ("GET", "/api/auth/profiles/current", 400, "INVALID_INPUT"),
        ("GET", "/api/auth/profiles/x", 400, "INVALID_INPUT"),
        ("GET", "/api/auth/profiles/%ff", 400, "INVALID_INPUT"),
        (
            "PATCH",
            "/api/auth/profiles/current",
            401,
            "AUTH_INVALID_CREDENTIALS",
        ),
    ];
    for (method, path, status, code) in cases {
        let answer = send(api.request(method, path)).await;
        assert_eq!(answer.refusal(), (status, code), "{method} {path}");
    }
    for body in [
        json!({}),
        json!({ "profile": [] }),
        json!({ "profile": { "a": "\u{0}" } }),
    ] {
        let request = api
            .request("PATCH", "/api/auth/profiles/current")
            .bearer_auth(user.text("accessToken"))
            .json(&body);
        assert_eq!(
            send(request).await.refusal(),
            (400, "INVALID_INPUT"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn administrators_list_find_and_delete_users() {
    let api = Api::start().await;
    for name in ["ann", "bob", "cyd"] {
        api.sign_up(&format!("{name}@example.com")).await;
    }
    let page = send(api.admin("GET", "/api/auth/users?limit=2&offset=1&search=example")).await;
    assert_eq!(
        page.body["pagination"],
        json!({ "offset": 1, "limit": 2, "total": 3 })
    );
    let emails: Vec<_> = page.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| &u["email"])
        .collect();
    assert_eq!(emails, ["bob@example.com", "ann@example.com"]);
    let all = send(api.admin("GET", "/api/auth/users?limit=x&offset=-3")).await;
    assert_eq!(
        all.body["pagination"],
        json!({ "offset": 0, "limit": 10, "total": 3 })
    );
    let id = emails_id(&all.body["data"][0]);
    let one = send(api.admin("GET", &format!("/api/auth/users/{id}"))).await;
    assert_eq!(one.body["email"], "cyd@example.com");

    let unknown = "00000000-0000-4000-8000-000000000000";
    let deletion = json!({ "userIds": [id, unknown] });
    let deleted = send(api.admin("DELETE", "/api/auth/users").json(&deletion)).await;
    assert_eq!(
        (deleted.status, &deleted.body["deletedCount"]),
        (200, &json!(1))
    );
    let gone = send(api.admin("GET", &format!("/api/auth/users/{id}"))).await;
    assert_eq!(gone.refusal(), (404, "AUTH_USER_NOT_FOUND"));
    let trail = send(api.admin("GET", "/api/logs/audits?action=DELETE_USERS")).await;
    assert_eq!(trail.header("content-range"), Some("0-0/1"));
    assert_eq!(trail.body[0]["actor"], "api-key");
    assert_eq!(trail.body[0]["details"]["deletedCount"], 1);

    for body in [
        json!({}),
        json!({ "userIds": [] }),
        json!({ "userIds": ["x"] }),
    ] {
        let answer = send(api.admin("DELETE", "/api/auth/users").json(&body)).await;
        assert_eq!(answer.refusal(), (400, "INVALID_INPUT"), "{body}");
    }
    let user = api.sign_up("dan@example.com").await;
    for (method, path) in [("GET", "/api/auth/users"), ("DELETE", "/api/auth/users")] {
        let request = api
            .request(method, path)
            .bearer_auth(user.text("accessToken"));
        assert_eq!(send(request).await.refusal(), (403, "AUTH_UNAUTHORIZED"));
    }
}

fn emails_id(user: &serde_json::Value) -> String {
    user["id"].as_str().unwrap().to_owned()
}
