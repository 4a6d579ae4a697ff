//! The rate limit, alone and shared, and the limits on bodies and heads.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use reqwest::Body;

use crate::support::{TestEdge, Upstream, envelope, eventually, free_addresses};

const LIMIT: usize = 12;

async fn limited_edge(api: &Upstream, nats_url: &str) -> TestEdge {
    TestEdge::start(&[
        ("INGOT_UPSTREAM_API", api.address.to_string()),
        ("INGOT_UPSTREAM_REALTIME", api.address.to_string()),
        ("INGOT_RATE_LIMIT", LIMIT.to_string()),
        ("NATS_URL", nats_url.to_owned()),
    ])
    .await
}

async fn ask_from(edge: &TestEdge, client: &str, path: &str) -> reqwest::Response {
    let request = edge
        .client
        .get(edge.url(path))
        .header("x-forwarded-for", client);
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_client_is_told_its_quota_and_refused_beyond_it() {
    let api = Upstream::start("api");
    let edge = limited_edge(&api, "nats://127.0.0.1:1").await;
    for request in 1..=LIMIT {
        let answer = ask_from(&edge, "9.9.9.9", "/api/auth/users").await;
        assert_eq!(answer.status(), 200);
        let headers = answer.headers();
        assert_eq!(headers["ratelimit-policy"], format!("{LIMIT};w=900"));
        assert_eq!(headers["ratelimit-limit"], LIMIT.to_string());
        assert_eq!(
            headers["ratelimit-remaining"],
            (LIMIT - request).to_string()
        );
        let reset: u64 = headers["ratelimit-reset"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((890..=900).contains(&reset));
    }
    let refused = ask_from(&edge, "9.9.9.9", "/api/auth/users").await;
    assert_eq!(refused.headers()["ratelimit-remaining"], "0");
    assert_eq!(
        refused.headers()["retry-after"],
        refused.headers()["ratelimit-reset"]
    );
    let (status, body) = envelope(refused).await;
    assert_eq!((status, &body["error"]), (429, &"TOO_MANY_REQUESTS".into()));
    assert_eq!(api.seen().len(), LIMIT);

    assert_eq!(
        ask_from(&edge, "8.8.8.8", "/api/auth/users").await.status(),
        200
    );
    for free in ["/api/health", "/API/Health/", "/socket.io/?EIO=4"] {
        let answer = ask_from(&edge, "9.9.9.9", free).await;
        assert_eq!(answer.status(), 200, "{free}");
        assert!(!answer.headers().contains_key("ratelimit-limit"), "{free}");
    }
}

async fn remaining(edge: &TestEdge, client: &str) -> usize {
    let answer = ask_from(edge, client, "/api/auth/users").await;
    let remaining = answer.headers()["ratelimit-remaining"].to_str().unwrap();
    remaining.parse().unwrap()
}

#[tokio::test]
async fn edges_share_the_count_and_a_newcomer_learns_it() {
    let nats_url = &ingot_testkit::test_servers().await.unwrap().nats_url;
    let api = Upstream::start("api");
    let (first, second) = (
        limited_edge(&api, nats_url).await,
        limited_edge(&api, nats_url).await,
    );
    // Both hear each other once a request here is missing from the quota there.
    eventually("the edges hear each other", || async {
        remaining(&first, "7.0.0.1").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        remaining(&second, "7.0.0.1").await < LIMIT - 1
    })
    .await;
    let (here, there) = (LIMIT / 2, LIMIT - LIMIT / 2);
    for _ in 0..here {
        ask_from(&first, "9.9.9.9", "/api/auth/users").await;
    }
    for _ in 0..there {
        ask_from(&second, "9.9.9.9", "/api/auth/users").await;
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    for edge in [&first, &second] {
        assert_eq!(
            ask_from(edge, "9.9.9.9", "/api/auth/users").await.status(),
            429
        );
    }
    let third = limited_edge(&api, nats_url).await;
    eventually("the newcomer refuses too", || async {
        ask_from(&third, "9.9.9.9", "/api/auth/users")
            .await
            .status()
            == 429
    })
    .await;
    let counted = LIMIT - remaining(&third, "6.6.6.6").await;
    assert_eq!(counted, 1, "clients are counted apart");
}

struct Nats(Child);

impl Nats {
    fn start(address: SocketAddr) -> Self {
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let mut command = Command::new("nats-server");
        command.args(["-a", &host, "-p", &port]);
        Self(
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn without_a_bus_each_edge_counts_alone_until_it_comes() {
    let [address] = free_addresses();
    let url = format!("nats://{address}");
    let api = Upstream::start("api");
    let (first, second) = (
        limited_edge(&api, &url).await,
        limited_edge(&api, &url).await,
    );
    for _ in 0..LIMIT - 1 {
        assert_eq!(
            ask_from(&first, "9.9.9.9", "/api/auth/users")
                .await
                .status(),
            200
        );
    }
    assert_eq!(remaining(&second, "9.9.9.9").await, LIMIT - 1);
    let _nats = Nats::start(address);
    eventually("the counts of the outage are shared", || async {
        ask_from(&second, "9.9.9.9", "/api/auth/users")
            .await
            .status()
            == 429
    })
    .await;
    assert!(api.seen().len() <= 2 * LIMIT);
}

/// A body without a length.
fn chunked(bytes: usize) -> Body {
    let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![b'1'; 1000]));
    let chunks = (0..bytes / 1000).map(move |_| chunk());
    Body::wrap_stream(stream::iter(chunks))
}

#[tokio::test]
async fn bodies_are_bounded_except_uploads() {
    let api = Upstream::start("api");
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", api.address.to_string()),
        ("MAX_JSON_BODY_SIZE", "64kb".to_owned()),
        ("MAX_URLENCODED_BODY_SIZE", "1kb".to_owned()),
    ])
    .await;
    let post = |path: &str, kind: &'static str, body: Body| {
        let request = edge
            .client
            .post(edge.url(path))
            .header("content-type", kind);
        request.body(body).send()
    };
    let json = "application/json";
    for (kind, body) in [
        (json, Body::from(vec![b'1'; 70_000])),
        (json, Body::from(vec![b'1'; 3_000_000])),
        (json, chunked(70_000)),
        ("text/csv", Body::from(vec![b'1'; 70_000])),
        (
            "application/x-www-form-urlencoded",
            Body::from("a=1&".repeat(500)),
        ),
    ] {
        let answer = post("/api/auth/users", kind, body).await.unwrap();
        let (status, body) = envelope(answer).await;
        assert_eq!((status, &body["error"]), (413, &"INVALID_INPUT".into()));
    }
    let disguised = edge
        .client
        .post(edge.url("/api/auth/users"))
        .body(chunked(70_000));
    let disguised = disguised
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    assert_eq!(disguised.send().await.unwrap().status(), 413);
    assert!(api.seen().is_empty(), "a refused body reaches nobody");
    for (path, kind, body) in [
        ("/api/auth/users", json, Body::from(vec![b'1'; 65_536])),
        ("/api/auth/users", json, chunked(60_000)),
        (
            "/api/storage/buckets/b/objects/k",
            "image/png",
            chunked(300_000),
        ),
        (
            "/storage/v1/s3/b/k",
            "application/json",
            Body::from(vec![b'1'; 300_000]),
        ),
        ("/functions/f", "text/plain", chunked(300_000)),
    ] {
        assert_eq!(
            post(path, kind, body).await.unwrap().status(),
            200,
            "{path}"
        );
    }
    assert_eq!(api.last().body_len, 300_000);
}

#[tokio::test]
async fn what_leads_nowhere_counts_too() {
    let api = Upstream::start("api");
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", api.address.to_string()),
        ("INGOT_RATE_LIMIT", LIMIT.to_string()),
        ("INGOT_PROJECT_HOSTS", "known.example".to_owned()),
    ])
    .await;
    let ask = |client: &'static str, host: &'static str| {
        let request = edge.client.get(edge.url("/nobody-claims-this"));
        request
            .header("x-forwarded-for", client)
            .header("host", host)
    };
    for (client, host) in [("9.9.9.1", "known.example"), ("9.9.9.2", "unknown.example")] {
        for _ in 0..LIMIT {
            assert_eq!(ask(client, host).send().await.unwrap().status(), 404);
        }
        assert_eq!(ask(client, host).send().await.unwrap().status(), 429);
    }
}

#[tokio::test]
async fn heads_are_bounded() {
    let api = Upstream::start("api");
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", api.address.to_string())]).await;
    let long = edge
        .client
        .get(edge.url("/api/usage/x"))
        .header("x-long", "y".repeat(20_000));
    let (status, body) = envelope(long.send().await.unwrap()).await;
    assert_eq!((status, &body["error"]), (431, &"INVALID_INPUT".into()));
    let fair = edge
        .client
        .get(edge.url("/api/usage/x"))
        .header("x-long", "y".repeat(12_000));
    assert_eq!(fair.send().await.unwrap().status(), 200);
    let with_headers = |count: usize| {
        let request = edge.client.get(edge.url("/api/usage/x"));
        (0..count).fold(request, |request, n| request.header(format!("x-{n}"), "y"))
    };
    let (status, body) = envelope(with_headers(90).send().await.unwrap()).await;
    assert_eq!((status, &body["error"]), (431, &"INVALID_INPUT".into()));
    assert_eq!(with_headers(75).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn without_memory_requests_are_told_to_come_back_and_health_goes_on() {
    let upstream = Upstream::start("api");
    let node = Upstream::node("abcdEF12", None);
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", upstream.address.to_string()),
        ("INGOT_UPSTREAM_REALTIME", node.address.to_string()),
        // No process of this kind fits into that.
        ("INGOT_EDGE_MEMORY", "1mb".to_owned()),
    ])
    .await;
    for target in [
        "/api/health",
        "/api/health?EIO=4&sid=abcdEF12x",
        "/socket.io/?EIO=4&transport=polling",
    ] {
        let refused = edge.get(target).await;
        assert_eq!(refused.headers()["retry-after"], "2", "{target}");
        let (status, body) = envelope(refused).await;
        assert_eq!(status, 503, "{body}");
    }
    assert!(upstream.seen().is_empty() && node.seen().is_empty());
    // Whoever has a session goes on: refused, it would open another one.
    let goes_on = "/socket.io/?EIO=4&transport=polling&sid=abcdEF12x";
    assert_eq!(edge.get(goes_on).await.status(), 200);
    assert_eq!(edge.readyz().await, Some(StatusCode::OK));

    let roomy = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", upstream.address.to_string()),
        ("INGOT_EDGE_MEMORY", "64gb".to_owned()),
    ])
    .await;
    assert_eq!(roomy.get("/api/health").await.status(), 200);
}
