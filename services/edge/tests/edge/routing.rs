//! Which service gets a request, and what it gets to see.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{EDGE_KEY, TestEdge, Upstream, envelope};

async fn four_services() -> (TestEdge, [Upstream; 4]) {
    let services = ["api", "records", "migration", "realtime"].map(Upstream::start);
    let [api, records, migration, realtime] = &services;
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", api.address.to_string()),
        ("INGOT_UPSTREAM_RECORDS", records.address.to_string()),
        ("INGOT_UPSTREAM_MIGRATION", migration.address.to_string()),
        ("INGOT_UPSTREAM_REALTIME", realtime.address.to_string()),
    ])
    .await;
    (edge, services)
}

#[tokio::test]
async fn every_prefix_reaches_its_service() {
    let (edge, _services) = four_services().await;
    for (path, service) in [
        ("/api/database/records/todos?select=*", "records"),
        ("/api/database/rpc/add", "records"),
        ("/api/database/migrations", "migration"),
        ("/api/database/tables", "api"),
        ("/api/auth/users", "api"),
        ("/api/realtime/channels", "api"),
        ("/socket.io/?EIO=4&transport=polling", "realtime"),
        ("/functions/hello", "api"),
        ("/storage/v1/s3/bucket/key", "api"),
        ("/.well-known/jwks.json", "api"),
        ("/", "api"),
    ] {
        let answer = edge.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.text().await.unwrap(), service, "{path}");
    }
}

#[tokio::test]
async fn a_prefix_counts_in_any_case_and_parameters_stay_as_they_are() {
    let (edge, [api, records, ..]) = four_services().await;
    for (sent, forwarded, service) in [
        (
            "/API/Database/RECORDS/MyTable?Id=eq.A",
            "/api/database/records/MyTable?Id=eq.A",
            &records,
        ),
        ("/api/database/records/", "/api/database/records", &records),
        ("/API/HEALTH/", "/api/health", &api),
        (
            "/Functions/Hello%20You?x=%2F",
            "/functions/Hello%20You?x=%2F",
            &api,
        ),
        (
            "/api/storage/buckets/b/objects/a%2Fb",
            "/api/storage/buckets/b/objects/a%2Fb",
            &api,
        ),
    ] {
        assert_eq!(edge.get(sent).await.status(), 200, "{sent}");
        let seen = service.last();
        assert_eq!(
            (seen.method.as_str(), seen.target.as_str()),
            ("GET", forwarded)
        );
    }
}

#[tokio::test]
async fn what_nobody_claims_is_answered_with_the_envelope() {
    let (edge, services) = four_services().await;
    for path in [
        "/nowhere?a=1",
        "/socket.io?EIO=4",
        "/Socket.IO/",
        "/dashboard/login",
        "/apiary",
    ] {
        let (status, body) = envelope(edge.get(path).await).await;
        assert_eq!(
            (status, &body["error"]),
            (404, &"NOT_FOUND".into()),
            "{path}"
        );
        assert!(body["message"].as_str().unwrap().contains(path), "{body}");
        assert!(body["nextActions"].is_string());
    }
    assert!(services.iter().all(|service| service.seen().is_empty()));
}

#[tokio::test]
async fn the_host_leads_to_the_project() {
    let api = Upstream::start("api");
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", api.address.to_string()),
        ("INGOT_PROJECT", "shop".to_owned()),
        (
            "INGOT_PROJECT_HOSTS",
            "shop.example,www.shop.example".to_owned(),
        ),
    ])
    .await;
    let with_host = |host: &'static str| {
        edge.client
            .get(edge.url("/api/usage/x"))
            .header("host", host)
            .send()
    };
    assert_eq!(with_host("SHOP.example:8080").await.unwrap().status(), 200);
    assert_eq!(api.last().header("x-ingot-project"), "shop");
    assert_eq!(api.last().header("host"), "SHOP.example:8080");
    let (status, body) = envelope(with_host("other.example").await.unwrap()).await;
    assert_eq!((status, &body["error"]), (404, &"NOT_FOUND".into()));
}

#[tokio::test]
async fn services_hear_about_a_request_from_the_edge_alone() {
    let (edge, [api, ..]) = four_services().await;
    let answer = edge
        .client
        .get(edge.url("/api/auth/users"))
        .header("x-ingot-project", "other")
        .header("x-ingot-edge-key", "guess")
        .header("X-Ingot-Client-Ip", "6.6.6.6")
        .header("x-ingot-invented", "1")
        .header("x-forwarded-for", "8.8.8.8")
        .header("x-forwarded-for", "9.9.9.9")
        .header("x-request-id", "not a uuid")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .header("connection", "keep-alive, x-hop")
        .header("x-hop", "1")
        .send()
        .await
        .unwrap();
    let seen = api.last();
    for (name, value) in [
        ("x-ingot-project", "default"),
        ("x-ingot-edge-key", EDGE_KEY),
        ("x-ingot-client-ip", "9.9.9.9"),
        ("x-forwarded-for", "8.8.8.8, 9.9.9.9, 127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-ingot-invented", ""),
        ("x-hop", ""),
    ] {
        assert_eq!(seen.header(name), value, "{name}");
        assert!(
            seen.headers.get_all(name).iter().count() <= 1,
            "{name} is doubled"
        );
    }
    assert_eq!(seen.header("x-request-id").len(), 36);
    assert_eq!(
        seen.header("x-request-id"),
        answer.headers()["x-request-id"]
    );
    let parent = seen.header("traceparent");
    assert!(parent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    assert!(!parent.contains("00f067aa0ba902b7"));
}

#[tokio::test]
async fn a_well_formed_request_id_is_kept() {
    let (edge, [api, ..]) = four_services().await;
    let id = "9f1c3c9e-6c0a-4e43-9d7c-0d4a3f1f2b11";
    let request = edge
        .client
        .get(edge.url("/api/usage/x"))
        .header("x-request-id", id);
    assert_eq!(request.send().await.unwrap().headers()["x-request-id"], id);
    assert_eq!(api.last().header("x-request-id"), id);
}

#[tokio::test]
async fn health_and_metrics_are_not_reachable_from_outside() {
    let (edge, services) = four_services().await;
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(edge.get(path).await.status(), 404, "{path}");
        let inside = format!("http://{}{path}", edge.admin);
        assert_eq!(
            edge.client.get(inside).send().await.unwrap().status(),
            200,
            "{path}"
        );
    }
    assert!(services.iter().all(|service| service.seen().is_empty()));
}

/// Sends `request` as it is and reads until the edge closes the connection.
async fn say(edge: &TestEdge, request: &str) -> String {
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(5), reading).await;
    read.expect("the edge does not end it").unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn what_is_no_sound_http_is_answered_with_the_envelope() {
    let (edge, services) = four_services().await;
    for (nonsense, status, code) in [
        ("no http at all\r\n\r\n", 400, "INVALID_INPUT"),
        (
            "GET / HTTP/1.1\r\nbroken header\r\n\r\n",
            400,
            "INVALID_INPUT",
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
            400,
            "INVALID_INPUT",
        ),
        (
            "POST /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: banana\r\n\r\n",
            400,
            "INVALID_INPUT",
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
            405,
            "INVALID_INPUT",
        ),
    ] {
        let answer = say(&edge, nonsense).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
        let head = head.to_lowercase();
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{answer}");
        assert!(head.contains("content-type: application/json; charset=utf-8"));
        assert!(head.contains(&format!("content-length: {}", body.len())));
        assert!(head.contains("connection: close") && head.contains("date: "));
        assert!(!head.contains("server:"), "{answer}");
        let envelope: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(envelope["error"], code, "{answer}");
        assert_eq!(envelope["statusCode"], status, "{answer}");
    }
    assert!(services.iter().all(|service| service.seen().is_empty()));
    assert_eq!(edge.get("/api/health").await.status(), 200);
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_not_waited_for_forever() {
    let edge = TestEdge::start_unready(&[("KEEP_ALIVE_TIMEOUT_MS", "1000".to_owned())]).await;
    assert_eq!(say(&edge, "").await, "");
    assert_eq!(say(&edge, "GET / HT").await, "");
}

#[tokio::test]
async fn a_load_balancer_that_passes_bytes_names_the_client() {
    let upstream = Upstream::start("api");
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", upstream.address.to_string()),
        ("INGOT_EDGE_PROXY_PROTOCOL", "true".to_owned()),
        ("TRUST_PROXY", "0".to_owned()),
    ])
    .await;
    let ask = async |head: &[u8]| {
        let mut stream = TcpStream::connect(edge.address).await.unwrap();
        let request = b"GET /api/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(&[head, request].concat()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8(answer).unwrap()
    };
    let answer = ask(b"PROXY TCP4 203.0.113.7 10.0.0.1 51000 80\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(upstream.last().header("x-ingot-client-ip"), "203.0.113.7");
    assert_eq!(upstream.last().header("x-forwarded-for"), "203.0.113.7");
    // Its health check.
    ask(b"PROXY UNKNOWN\r\n").await;
    assert_eq!(upstream.last().header("x-ingot-client-ip"), "127.0.0.1");
    let asked = upstream.seen().len();
    assert_eq!(ask(b"").await, "");
    assert_eq!(upstream.seen().len(), asked);
}

#[tokio::test]
async fn targets_may_hold_what_people_type() {
    let (edge, [_, records, ..]) = four_services().await;
    let path = "/api/database/records";
    let body = "GET /> HTTP/1.1\r\n\r\n";
    let length = body.len();
    let requests = [
        format!("GET {path}/a?data->>a=eq.1 HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("POST {path}/b HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"),
        format!("GET {path}/<c>?d=eq.\"ü`\" HTTP/1.1\r\nhost: x\r\n\r\n"),
    ];
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    let mut answers = String::new();
    for request in requests {
        stream.write_all(request.as_bytes()).await.unwrap();
        while !answers.ends_with("\r\n\r\nrecords") {
            let mut some = [0; 1024];
            let read = stream.read(&mut some).await.unwrap();
            assert!(read > 0, "{answers}");
            answers.push_str(std::str::from_utf8(&some[..read]).unwrap());
        }
        answers.push('\n');
    }
    let seen = records.seen();
    let seen: Vec<(&str, usize)> = seen.iter().map(|s| (&*s.target, s.body_len)).collect();
    assert_eq!(
        seen,
        [
            ("/api/database/records/a?data-%3E%3Ea=eq.1", 0),
            ("/api/database/records/b", length),
            ("/api/database/records/%3Cc%3E?d=eq.%22%C3%BC%60%22", 0),
        ],
        "{answers}"
    );
}
