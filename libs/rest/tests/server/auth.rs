//! Reference, chapter "Authentication".

use serde_json::json;

use crate::http::{ANONYMOUS, Http, bearer};

#[tokio::test]
async fn tokens_name_the_role() {
    let http = Http::start(&[ANONYMOUS, ("PGRST_JWT_AUD", "films")]).await;
    assert_eq!(http.ask("GET /rpc/who", &[]).await.json(), json!("anon"));
    let good = bearer(&json!({"role": "authenticated", "sub": "ann", "aud": "films"}));
    let answer = http.ask("GET /rpc/who", &[("authorization", &good)]).await;
    assert_eq!(answer.json(), json!("authenticated"));
    let answer = http
        .ask("GET /rpc/claim?key=sub", &[("authorization", &good)])
        .await;
    assert_eq!(answer.json(), json!("ann"));

    let expired = bearer(&json!({"role": "authenticated", "exp": 1}));
    let refused = http.ask("GET /films", &[("authorization", &expired)]).await;
    assert_eq!(refused.fault(), (401, "PGRST301".to_owned()));
    assert_eq!(refused.json()["message"], "JWT expired");
    assert_eq!(
        refused.header("www-authenticate"),
        "Bearer error=\"invalid_token\", error_description=\"JWT expired\""
    );
    let foreign = bearer(&json!({"role": "postgres"}));
    let refused = http.ask("GET /films", &[("authorization", &foreign)]).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
}

#[tokio::test]
async fn without_an_anonymous_role_a_token_is_needed() {
    let http = Http::start(&[]).await;
    let refused = http.ask("GET /films", &[]).await;
    assert_eq!(refused.fault(), (401, "PGRST302".to_owned()));
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    let token = bearer(&json!({"role": "anon"}));
    let answer = http
        .ask("GET /films?limit=1", &[("authorization", &token)])
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_told() {
    let http = Http::start(&[ANONYMOUS, ("PGRST_JWT_AUD", "films")]).await;
    let foreign = "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.\
                   wOoTNZMcTxkOSMQGWIOPcn3ahnYqNxkOFJIsrqpgSpk";
    for (header, message) in [
        (bearer(&json!({"exp": 1})), "JWT expired"),
        (bearer(&json!({"nbf": 9_999_999_999_u64})), "JWTNotYetValid"),
        (
            bearer(&json!({"iat": 9_999_999_999_u64})),
            "JWTIssuedAtFuture",
        ),
        (bearer(&json!({"aud": "others"})), "JWTNotInAudience"),
        (
            bearer(&json!({"exp": "soon"})),
            "JWTClaimsSetDecodeError \"Error in $.exp: parsing NumericDate failed, expected Number, \
             but encountered String\"",
        ),
        (foreign.to_owned(), "JWSError JWSInvalidSignature"),
        (
            "Bearer one.two".to_owned(),
            "JWSError (CompactDecodeError Invalid number of parts: Expected 3 parts; got 2)",
        ),
        (
            "Bearer d2hhdA.e30.e30".to_owned(),
            "JWSError (JSONDecodeError \"protected header contains invalid JSON\")",
        ),
    ] {
        // Before anything else is looked at.
        for line in [
            "GET /films",
            "OPTIONS /films",
            "GET /no/such/path",
            "POST /rpc/add?=",
        ] {
            let refused = http.ask(line, &[("authorization", &header)]).await;
            assert_eq!(refused.status, 401, "{line} {header}");
            assert_eq!(
                refused.json(),
                json!({"code": "PGRST301", "details": null, "hint": null, "message": message})
            );
            let quoted = message.replace('"', "\\\"");
            assert_eq!(
                refused.header("www-authenticate"),
                format!("Bearer error=\"invalid_token\", error_description=\"{quoted}\"")
            );
            assert_eq!(
                refused.header("content-type"),
                "application/json; charset=utf-8"
            );
        }
    }
}

#[tokio::test]
async fn without_a_secret_no_token_can_be_verified() {
    let http = Http::start(&[ANONYMOUS, ("PGRST_JWT_SECRET", "")]).await;
    let token = bearer(&json!({"role": "authenticated"}));
    let refused = http.ask("GET /films", &[("authorization", &token)]).await;
    assert_eq!(refused.fault(), (500, "PGRST300".to_owned()));
    assert_eq!(refused.json()["message"], "Server lacks JWT secret");
    for none in ["Bearer ", "Basic eDp5", "nonsense"] {
        let answer = http
            .ask("GET /films?limit=1", &[("authorization", none)])
            .await;
        assert_eq!(answer.status, 200, "{none}");
    }
}

#[tokio::test]
async fn the_role_may_be_anywhere_in_the_claims() {
    let http = Http::start(&[ANONYMOUS, ("PGRST_JWT_ROLE_CLAIM_KEY", ".app.roles[1]")]).await;
    let token = bearer(&json!({
        "sub": "ann", "role": "nobody", "app": {"roles": ["x", "authenticated"]},
    }));
    let headers = [("authorization", token.as_str())];
    let who = http.ask("GET /rpc/who", &headers).await;
    assert_eq!(who.json(), json!("authenticated"));
    let claims = http
        .ask("GET /rpc/request_setting?key=jwt.claims", &headers)
        .await;
    assert_eq!(
        claims.json(),
        json!(r#"{"app":{"roles":["x","authenticated"]},"role":"authenticated","sub":"ann"}"#)
    );
    // What is there is the role, whatever it is.
    let odd = bearer(&json!({"app": {"roles": ["x", 7]}}));
    let refused = http.ask("GET /rpc/who", &[("authorization", &odd)]).await;
    assert_eq!(refused.fault(), (400, "22023".to_owned()));
    assert_eq!(refused.json()["message"], "role \"7\" does not exist");
    let without = bearer(&json!({"role": "authenticated"}));
    let who = http
        .ask("GET /rpc/who", &[("authorization", &without)])
        .await;
    assert_eq!(who.json(), json!("anon"));
}
