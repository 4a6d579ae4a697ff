//! Signing in, refreshing and signing out.

use std::time::Duration;

use futures::future::join_all;
use ingot_identity::{
    RefreshClaims, SessionType, Transport, read_refresh_token, sign_refresh_token,
};
use reqwest::RequestBuilder;
use serde_json::json;

use crate::harness::{Answer, Api, PASSWORD, send};

const MOBILE_REFRESH: &str = "/api/auth/refresh?client_type=mobile";

async fn refresh_mobile(api: &Api, token: &str) -> Answer {
    send(
        api.request("POST", MOBILE_REFRESH)
            .json(&json!({ "refreshToken": token })),
    )
    .await
}

fn refresh_web(api: &Api, cookie: &str, csrf: &str) -> RequestBuilder {
    api.request("POST", "/api/auth/refresh")
        .header("cookie", format!("insforge_refresh_token={cookie}"))
        .header("x-csrf-token", csrf)
        // What the SDK sends along is ignored.
        .header("authorization", "Bearer expired.access.token")
}

async fn sign_in(api: &Api, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    send(api.request("POST", "/api/auth/sessions").json(&body)).await
}

fn cleared(answer: &Answer) -> bool {
    answer.header("set-cookie").is_some_and(|cookie| {
        cookie.starts_with("insforge_refresh_token=; ") && cookie.contains("1970")
    })
}

#[tokio::test]
async fn a_password_signs_in_and_nothing_else_does() {
    let api = Api::start().await;
    let user = api.sign_up("ann@example.com").await;
    let answer = sign_in(&api, "ANN@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["user"], user.body["user"]);
    assert!(answer.body.get("requireEmailVerification").is_none());
    assert_eq!(answer.header("ratelimit-policy"), Some("10;w=900"));
    assert_eq!(answer.header("ratelimit-remaining"), Some("10"));
    for (email, password) in [
        ("ann@example.com", "wrong"),
        ("nobody@example.com", PASSWORD),
    ] {
        let answer = sign_in(&api, email, password).await;
        assert_eq!(answer.refusal(), (401, "AUTH_UNAUTHORIZED"));
        assert_eq!(answer.header("ratelimit-remaining"), Some("9"));
        assert_eq!(answer.header("set-cookie"), None);
    }
    let cases = [
        json!({}),
        json!({ "email": "ann@example.com" }),
        json!({ "email": "ann@example.com", "password": null }),
        json!({ "email": "ann@example.com", "password": PASSWORD, "method": "magic" }),
        json!({ "email": "ann@example.com", "otp": "12345", "method": "otp" }),
        json!({ "email": "ann@example.com", "otp": "123456", "method": "otp" }),
    ];
    for body in cases {
        let answer = send(api.request("POST", "/api/auth/sessions").json(&body)).await;
        assert_eq!(answer.refusal(), (400, "INVALID_INPUT"), "{body}");
    }
}

#[tokio::test]
async fn guessing_is_limited_per_account() {
    let api = Api::start().await;
    api.sign_up("ann@example.com").await;
    api.sign_up("bob@example.com").await;
    let guesses = join_all((0..10).map(|_| sign_in(&api, "ann@example.com", "wrong"))).await;
    assert!(guesses.iter().all(|answer| answer.status == 401));
    let limited = sign_in(&api, "ann@example.com", PASSWORD).await;
    assert_eq!(limited.refusal(), (429, "TOO_MANY_REQUESTS"));
    assert_eq!(limited.header("ratelimit-remaining"), Some("0"));
    let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((800..=900).contains(&wait));
    assert_eq!(sign_in(&api, "bob@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn one_user_may_sign_in_many_times_at_once() {
    let api = Api::start().await;
    api.sign_up("ann@example.com").await;
    let answers = join_all((0..16).map(|_| sign_in(&api, "ann@example.com", PASSWORD))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn a_browser_stays_signed_in_with_cookie_and_csrf_value() {
    let api = Api::start().await;
    api.sign_up("ann@example.com").await;
    let first = sign_in(&api, "ann@example.com", PASSWORD).await;
    let (cookie, csrf) = (first.cookie(), first.text("csrfToken"));
    let second = send(refresh_web(&api, &cookie, &csrf)).await;
    assert_eq!(second.status, 200, "{second:?}");
    assert_eq!(second.text("csrfToken"), csrf, "constant for the session");
    assert_ne!(second.cookie(), cookie, "rotated");
    assert_eq!(second.body["user"], first.body["user"]);

    let forged = send(refresh_web(&api, &second.cookie(), "wrong")).await;
    assert_eq!(forged.refusal(), (403, "FORBIDDEN"));
    assert_eq!(forged.header("set-cookie"), None, "the cookie is kept");
    let missing = send(api.request("POST", "/api/auth/refresh")).await;
    assert_eq!(missing.refusal(), (401, "AUTH_UNAUTHORIZED"));
    assert!(cleared(&missing));
    let invalid = send(refresh_web(&api, "nonsense", &csrf)).await;
    assert_eq!(invalid.refusal(), (401, "AUTH_UNAUTHORIZED"));
    assert!(cleared(&invalid));
}

#[tokio::test]
async fn a_native_client_stays_signed_in_with_either_spelling() {
    let api = Api::start().await;
    let first = api.sign_up("ann@example.com").await.text("refreshToken");
    let second = refresh_mobile(&api, &first).await;
    assert_eq!((second.status, second.header("set-cookie")), (200, None));
    let body = json!({ "refresh_token": second.text("refreshToken") });
    let third = send(api.request("POST", MOBILE_REFRESH).json(&body)).await;
    assert_eq!(third.status, 200);
    assert!(third.body["accessToken"].is_string() && third.body["user"]["id"].is_string());
    for body in [
        json!({}),
        json!({ "refreshToken": "" }),
        json!({ "refreshToken": 5 }),
    ] {
        let answer = send(api.request("POST", MOBILE_REFRESH).json(&body)).await;
        assert_eq!(answer.refusal(), (400, "INVALID_INPUT"), "{body}");
    }
    let answer = refresh_mobile(&api, "nonsense").await;
    assert_eq!(answer.refusal(), (401, "AUTH_UNAUTHORIZED"));
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn refreshes_at_the_same_moment_all_succeed_on_every_replica() {
    let api = Api::start().await;
    let other = api.replica().await;
    let token = api.sign_up("ann@example.com").await.text("refreshToken");
    let body = json!({ "refreshToken": token });
    let requests = (0..12).map(|n| {
        let service = if n % 2 == 0 { &api.service } else { &other };
        send(
            service
                .request(reqwest::Method::POST, MOBILE_REFRESH)
                .json(&body),
        )
    });
    let answers = join_all(requests).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    let next = answers[0].text("refreshToken");
    assert!(
        answers
            .iter()
            .all(|answer| answer.text("refreshToken") == next),
        "the session has one live token"
    );
    assert_ne!(next, token);
    // An answer got lost: the client comes with the former token once more, and goes on.
    let again = refresh_mobile(&api, &token).await;
    assert_eq!(again.text("refreshToken"), next);
    assert_eq!(refresh_mobile(&api, &next).await.status, 200);
}

#[tokio::test]
async fn a_former_token_that_comes_back_late_ends_the_session() {
    let api = Api::start().await;
    let token = api.sign_up("ann@example.com").await.text("refreshToken");
    let next = refresh_mobile(&api, &token).await.text("refreshToken");
    api.project
        .execute("update auth.refresh_tokens set used_at = used_at - interval '61 s' where used_at is not null")
        .await
        .unwrap();
    let replayed = refresh_mobile(&api, &token).await;
    assert_eq!(replayed.refusal(), (401, "AUTH_UNAUTHORIZED"));
    let victim = refresh_mobile(&api, &next).await;
    assert_eq!(
        victim.refusal(),
        (401, "AUTH_UNAUTHORIZED"),
        "thief and owner both sign in again"
    );
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let api = Api::start().await;
    api.sign_up("ann@example.com").await;
    let first = sign_in(&api, "ann@example.com", PASSWORD).await;
    let (cookie, csrf) = (first.cookie(), first.text("csrfToken"));
    let log_out = |csrf: &str| {
        api.request("POST", "/api/auth/logout")
            .header("cookie", format!("insforge_refresh_token={cookie}"))
            .header("x-csrf-token", csrf)
    };
    let forged = send(log_out("wrong")).await;
    assert_eq!(forged.refusal(), (403, "FORBIDDEN"));
    let done = send(log_out(&csrf)).await;
    assert_eq!((done.status, &done.body["success"]), (200, &json!(true)));
    assert!(cleared(&done));
    let refused = send(refresh_web(&api, &cookie, &csrf)).await;
    assert_eq!(refused.refusal(), (401, "AUTH_UNAUTHORIZED"));
    // Without a cookie there is nothing to end, and that is fine.
    let nothing = send(api.request("POST", "/api/auth/logout")).await;
    assert_eq!((nothing.status, cleared(&nothing)), (200, true));

    let token = api.sign_up("bob@example.com").await.text("refreshToken");
    let path = "/api/auth/logout?client_type=mobile";
    let done = send(
        api.request("POST", path)
            .json(&json!({ "refreshToken": token })),
    )
    .await;
    assert_eq!((done.status, done.header("set-cookie")), (200, None));
    assert_eq!(refresh_mobile(&api, &token).await.status, 401);
    assert_eq!(
        send(api.request("POST", path)).await.status,
        200,
        "as the SDK sends it"
    );
}

#[tokio::test]
async fn deleted_users_do_not_come_back() {
    let api = Api::start().await;
    let user = api.sign_up("ann@example.com").await;
    let deletion = json!({ "userIds": [user.body["user"]["id"]] });
    send(api.admin("DELETE", "/api/auth/users").json(&deletion)).await;
    let refused = refresh_mobile(&api, &user.text("refreshToken")).await;
    assert_eq!(refused.refusal(), (401, "AUTH_UNAUTHORIZED"));
    let current = send(
        api.request("GET", "/api/auth/sessions/current")
            .bearer_auth(user.text("accessToken")),
    )
    .await;
    assert_eq!(current.refusal(), (401, "AUTH_INVALID_CREDENTIALS"));
    assert_eq!(sign_in(&api, "ann@example.com", PASSWORD).await.status, 401);
}

#[tokio::test]
async fn a_token_is_taken_from_where_it_was_given_to() {
    let api = Api::start().await;
    api.sign_up("ann@example.com").await;
    let web = sign_in(&api, "ann@example.com", PASSWORD).await;
    let stolen = refresh_mobile(&api, &web.cookie()).await;
    assert_eq!(
        stolen.refusal(),
        (401, "AUTH_UNAUTHORIZED"),
        "would get around CSRF"
    );
    let still = send(refresh_web(&api, &web.cookie(), &web.text("csrfToken"))).await;
    assert_eq!(still.status, 200);
}

#[tokio::test]
async fn forged_refresh_tokens_are_refused() {
    let api = Api::start().await;
    let project = api.project.project();
    let token = api.sign_up("ann@example.com").await.text("refreshToken");
    let claims = read_refresh_token(project, &token, SessionType::User).unwrap();
    let past = RefreshClaims {
        exp: claims.iat,
        ..claims.clone()
    };
    let variants = [
        RefreshClaims {
            session_type: SessionType::Admin,
            ..claims.clone()
        },
        RefreshClaims {
            transport: Transport::Cookie,
            ..claims.clone()
        },
        RefreshClaims {
            csrf_nonce: "other".into(),
            ..claims.clone()
        },
        RefreshClaims {
            sub: "00000000-0000-4000-8000-000000000000".into(),
            ..claims.clone()
        },
        RefreshClaims {
            sid: claims.jti,
            ..claims.clone()
        },
        RefreshClaims {
            jti: claims.sid,
            ..claims.clone()
        },
        past,
    ];
    for variant in variants {
        let forged = sign_refresh_token(project, &variant).unwrap();
        let answer = refresh_mobile(&api, &forged).await;
        assert_eq!(answer.refusal(), (401, "AUTH_UNAUTHORIZED"), "{variant:?}");
    }
    assert_eq!(refresh_mobile(&api, &token).await.status, 200);
}

#[tokio::test]
async fn a_cut_connection_loses_no_session() {
    let api = Api::start().await;
    let token = api.sign_up("ann@example.com").await.text("refreshToken");
    let body = json!({ "refreshToken": token });
    for _ in 0..5 {
        let request = api.request("POST", MOBILE_REFRESH).json(&body);
        // The client gives up somewhere on the way.
        let sent = request.timeout(Duration::from_millis(2)).send().await;
        drop(sent);
    }
    assert_eq!(refresh_mobile(&api, &token).await.status, 200);
}
