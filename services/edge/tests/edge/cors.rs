//! Cross-origin rules, as browsers meet them.

use axum::routing::get;
use http::Method;

use crate::support::{TestEdge, Upstream};

const ORIGIN: &str = "https://app.example";

async fn edge_before(upstream: &Upstream) -> TestEdge {
    TestEdge::start(&[
        ("INGOT_UPSTREAM_API", upstream.address.to_string()),
        ("INGOT_UPSTREAM_REALTIME", upstream.address.to_string()),
    ])
    .await
}

/// An upstream that speaks CORS itself, as Socket.IO servers and function runtimes do.
fn talkative() -> Upstream {
    Upstream::with("talkative", None, |router| {
        let said = || async {
            (
                [
                    ("access-control-allow-origin", "*"),
                    ("access-control-allow-credentials", "false"),
                    ("access-control-max-age", "600"),
                    ("vary", "Origin"),
                ],
                "said",
            )
        };
        router
            .route("/socket.io/", get(said))
            .route("/functions/hello", get(said))
            .route("/api/auth/users", get(said))
    })
}

#[tokio::test]
async fn the_origin_is_reflected_once_whatever_the_service_says() {
    let upstream = talkative();
    let edge = edge_before(&upstream).await;
    for path in [
        "/api/auth/users",
        "/socket.io/?EIO=4&transport=polling",
        "/nowhere",
    ] {
        let request = edge.client.get(edge.url(path)).header("origin", ORIGIN);
        let answer = request.send().await.unwrap();
        for (name, value) in [
            ("access-control-allow-origin", ORIGIN),
            ("access-control-allow-credentials", "true"),
            (
                "access-control-expose-headers",
                "Content-Range,Preference-Applied",
            ),
            ("vary", "Origin"),
        ] {
            let values: Vec<_> = answer.headers().get_all(name).iter().collect();
            assert_eq!(values, [value], "{path} {name}");
        }
        assert!(
            !answer.headers().contains_key("access-control-max-age"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn without_an_origin_none_is_allowed() {
    let upstream = talkative();
    let edge = edge_before(&upstream).await;
    let answer = edge.get("/api/auth/users").await;
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    assert_eq!(answer.headers()["access-control-allow-credentials"], "true");
}

#[tokio::test]
async fn functions_may_open_themselves_to_every_origin() {
    let upstream = talkative();
    let edge = edge_before(&upstream).await;
    let request = edge
        .client
        .get(edge.url("/functions/hello"))
        .header("origin", ORIGIN);
    let answer = request.send().await.unwrap();
    let origins: Vec<_> = answer
        .headers()
        .get_all("access-control-allow-origin")
        .iter()
        .collect();
    assert_eq!(origins, ["*"]);
}

#[tokio::test]
async fn every_preflight_is_answered_by_the_edge() {
    let upstream = Upstream::start("api");
    let edge = edge_before(&upstream).await;
    for path in [
        "/api/database/records/t",
        "/socket.io/?EIO=4",
        "/storage/v1/s3/b/k",
        "/nowhere",
    ] {
        let answer = edge
            .client
            .request(Method::OPTIONS, edge.url(path))
            .header("origin", ORIGIN)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization,Prefer")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 204, "{path}");
        for (name, value) in [
            ("access-control-allow-origin", ORIGIN),
            ("access-control-allow-credentials", "true"),
            (
                "access-control-allow-methods",
                "GET,HEAD,PUT,PATCH,POST,DELETE",
            ),
            ("access-control-allow-headers", "authorization,Prefer"),
            ("vary", "Origin, Access-Control-Request-Headers"),
            ("content-length", "0"),
        ] {
            assert_eq!(answer.headers()[name], value, "{path} {name}");
        }
        assert!(!answer.headers().contains_key("access-control-max-age"));
        assert!(!answer.headers().contains_key("ratelimit-limit"));
    }
    assert!(upstream.seen().is_empty());
}
