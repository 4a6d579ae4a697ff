//! Health, key sets, the audit trail, and what every route does with bad requests.

use serde_json::{Value, json};

use crate::harness::{Api, send};

#[tokio::test]
async fn the_fixed_routes_answer() {
    let api = Api::start().await;
    let health = send(api.request("GET", "/api/health")).await;
    assert_eq!((health.status, &health.body["status"]), (200, &json!("ok")));
    assert_eq!(health.body["service"], "Insforge OSS Backend");
    assert_eq!(health.body["version"], "2.3.1");
    assert_eq!(health.body["timestamp"].as_str().unwrap().len(), 24);
    assert_eq!(
        health.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    let first = send(api.request("GET", "/.well-known/jwks.json"))
        .await
        .body;
    assert_eq!(
        first,
        send(api.request("GET", "/api/.well-known/jwks.json"))
            .await
            .body
    );
    let key = &first["keys"][0];
    for (name, value) in [
        ("kty", "RSA"),
        ("alg", "RS256"),
        ("use", "sig"),
        ("e", "AQAB"),
    ] {
        assert_eq!(key[name], value);
    }
    let project = send(api.admin("GET", "/api/metadata/project-id")).await;
    assert_eq!(project.body, json!({ "projectId": null }));
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let root = api.request("GET", "/").build().unwrap();
    let root = client.build().unwrap().execute(root).await.unwrap();
    assert_eq!(
        (root.status().as_u16(), &root.headers()["location"]),
        (302, &"/dashboard/login".parse().unwrap())
    );
}

#[tokio::test]
async fn routes_are_found_in_any_case_and_with_a_final_slash() {
    let api = Api::start().await;
    for path in [
        "/API/Health/",
        "/api/Auth/Public-Config",
        "/api/auth/public-config/",
    ] {
        assert_eq!(send(api.request("GET", path)).await.status, 200, "{path}");
    }
    for path in [
        "/api/Database/Tables/",
        "/api/secrets/",
        "/API/Logs/AUDITS/?limit=1",
    ] {
        assert_eq!(send(api.admin("GET", path)).await.status, 200, "{path}");
    }
    // What the client named stays as it is: tables of these names are two.
    let table = json!({ "tableName": "Notes", "columns": [{
        "columnName": "text", "type": "string", "isNullable": true, "isUnique": false,
    }] });
    let created = send(api.admin("POST", "/api/database/tables/").json(&table)).await;
    assert_eq!(created.status, 201, "{created:?}");
    let found = send(api.admin("GET", "/api/Database/TABLES/Notes/Schema/")).await;
    assert_eq!(found.status, 200, "{found:?}");
    let other = send(api.admin("GET", "/api/Database/TABLES/notes/Schema/")).await;
    assert_eq!(other.status, 404, "{other:?}");
    let unknown = send(api.admin("GET", "/api/Secrets//")).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn our_tokens_verify_with_the_published_key() {
    let api = Api::start().await;
    let user = api.sign_up("ann@example.com").await;
    let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_value(
        send(api.request("GET", "/.well-known/jwks.json"))
            .await
            .body,
    )
    .unwrap();
    let token = user.text("accessToken");
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("JWT"));
    let key =
        jsonwebtoken::DecodingKey::from_jwk(jwks.find(&header.kid.unwrap()).unwrap()).unwrap();
    let rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    let claims = jsonwebtoken::decode::<Value>(&token, &key, &rules)
        .unwrap()
        .claims;
    assert_eq!(
        (&claims["email"], &claims["role"]),
        (&json!("ann@example.com"), &json!("authenticated"))
    );
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        900
    );
    let names: Vec<_> = claims.as_object().unwrap().keys().collect();
    assert_eq!(names, ["sub", "email", "role", "iat", "exp"]);
}

#[tokio::test]
async fn the_audit_trail_is_paged_and_pruned() {
    let api = Api::start().await;
    for name in ["A", "B", "C"] {
        let body = json!({ "key": name, "value": "x" });
        send(api.admin("POST", "/api/secrets").json(&body)).await;
    }
    let page = send(api.admin("GET", "/api/logs/audits?limit=2")).await;
    assert_eq!(
        (page.status, page.header("content-range")),
        (206, Some("0-1/3"))
    );
    assert_eq!(page.body[0]["details"]["key"], "C");
    assert_eq!(page.body[0]["ipAddress"], "127.0.0.1");
    let none = send(api.admin("GET", "/api/logs/audits?actor=nobody")).await;
    assert_eq!(
        (none.status, none.header("content-range")),
        (200, Some("0--1/0"))
    );
    let past = send(api.admin("GET", "/api/logs/audits?end_date=2020-01-01")).await;
    assert_eq!(past.body, json!([]));
    let bad = send(api.admin("GET", "/api/logs/audits?start_date=soon")).await;
    assert_eq!(bad.refusal(), (400, "INVALID_INPUT"));
    let stats = send(api.admin("GET", "/api/logs/audits/stats")).await.body;
    assert_eq!(
        (&stats["totalLogs"], &stats["uniqueActors"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(stats["actionsByModule"], json!({ "SECRETS": 3 }));
    assert_eq!(stats["recentActivity"].as_array().unwrap().len(), 3);
    let kept = send(api.admin("DELETE", "/api/logs/audits")).await;
    assert_eq!(kept.body["deleted"], 0);
    let pruned = send(api.admin("DELETE", "/api/logs/audits?days_to_keep=0")).await;
    assert_eq!(pruned.body["deleted"], 3);
}

#[tokio::test]
async fn bad_requests_get_the_envelope_everywhere() {
    let api = Api::start().await;
    let bodies = [
        ("PUT", "/api/auth/config"),
        ("DELETE", "/api/auth/users"),
        ("POST", "/api/auth/users"),
        ("POST", "/api/auth/sessions"),
        ("POST", "/api/auth/admin/sessions"),
        ("POST", "/api/auth/refresh"),
        ("POST", "/api/auth/logout"),
        ("POST", "/api/secrets"),
        ("PUT", "/api/secrets/A"),
        ("POST", "/api/secrets/api-key/rotate"),
    ];
    for (method, path) in bodies {
        for body in [
            "{",
            "5",
            "\"x\"",
            "{\"a\":1}x",
            "\u{feff}{}",
            "{\"a\":\"\\ud800\"}",
        ] {
            let request = api
                .admin(method, path)
                .header("content-type", "application/json")
                .body(body);
            let answer = send(request).await;
            // `refresh`, `logout` and the rotation need nothing of what the last one says.
            if answer.status != 200 {
                assert!(
                    (400..500).contains(&answer.status),
                    "{method} {path} {body}: {answer:?}"
                );
                answer.refusal();
            }
        }
    }
    // A body that is no JSON is refused before anybody asks who sent it.
    let request = api.request("POST", "/api/auth/users");
    let request = request.header("content-type", "application/json").body("{");
    assert_eq!(send(request).await.refusal(), (400, "INVALID_INPUT"));
    for (method, path) in [
        ("GET", "/api/auth/nothing"),
        ("PATCH", "/api/auth/users"),
        ("GET", "/api/auth/refresh"),
        ("POST", "/api/health"),
    ] {
        let answer = send(api.request(method, path)).await;
        assert_eq!(answer.refusal(), (404, "NOT_FOUND"), "{method} {path}");
    }
    let twice = send(api.admin("GET", "/api/auth/users?limit=1&limit=2")).await;
    assert_eq!(twice.refusal(), (400, "INVALID_INPUT"));
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_here_too() {
    // Whatever an edge before it lets through.
    let limits = [
        ("MAX_JSON_BODY_SIZE", "1kb"),
        ("MAX_URLENCODED_BODY_SIZE", "1kb"),
    ];
    let api = Api::start_with(&limits).await;
    let long = "x".repeat(2000);
    for (kind, body) in [
        ("application/json", json!({ "email": long }).to_string()),
        ("application/x-www-form-urlencoded", format!("email={long}")),
    ] {
        let request = api.anon("POST", "/api/auth/sessions");
        let request = request.header("content-type", kind).body(body);
        let answer = send(request).await;
        assert_eq!(answer.refusal(), (413, "INVALID_INPUT"), "{kind}");
    }
    let short = json!({ "email": "ann@example.com", "password": "x" });
    let answer = send(api.anon("POST", "/api/auth/sessions").json(&short)).await;
    assert_eq!(answer.status, 401, "{answer:?}");
}
