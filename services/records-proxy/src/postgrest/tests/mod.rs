//! The forwarder against an upstream that misbehaves on cue.

mod upstream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, Method, Response};
use ingot_config::Environment;
use ingot_identity::{Credential, Identity, Role};
use ingot_project::ProjectRegistry;

use super::sockets::{Limits, Sockets};
use super::{PostgrestEngine, PostgrestSettings};
use crate::engine::{EngineError, RecordsEngine, RecordsRequest, Target};
use upstream::{Act, Upstream, closed_port};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\
                  content-range: 0-0/*\r\nconnection: keep-alive\r\n\r\n[{\"a\":1.0}";

const LIMITS: Limits = Limits {
    max: 20,
    max_free: 10,
    free_timeout: Duration::from_secs(4),
    answer_timeout: Duration::from_millis(500),
};

fn engine(address: std::net::SocketAddr, limits: Limits) -> PostgrestEngine {
    let settings = PostgrestSettings {
        base_url: format!("http://{address}/base/").parse().unwrap(),
        max_sockets: limits.max,
        max_free_sockets: limits.max_free,
        free_socket_timeout_ms: 4000,
    };
    PostgrestEngine {
        sockets: Sockets::new(address.to_string(), limits),
        ..PostgrestEngine::new(&settings).unwrap()
    }
}

fn request(method: Method) -> RecordsRequest {
    let env = Environment::from_pairs([("JWT_SECRET", "0123456789abcdef0123456789abcdef")]);
    let registry = ProjectRegistry::from_environment(&env).unwrap();
    RecordsRequest {
        project: Arc::clone(registry.find("default").unwrap()),
        caller: Identity {
            role: Role::Authenticated,
            subject: Some("auth0|7".to_owned()),
            email: None,
            credential: Credential::Token,
            expires_at: None,
        },
        body: if method == Method::POST {
            Bytes::from_static(b"{\"a\": 1.0}")
        } else {
            Bytes::new()
        },
        method,
        target: Target::Table("t".to_owned()),
        query: String::new(),
        headers: HeaderMap::new(),
    }
}

async fn text(answer: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await;
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

/// Sends a request and reads the answer to its end, so that the connection is free again.
async fn send(engine: &PostgrestEngine, method: Method) -> Result<String, EngineError> {
    Ok(text(engine.execute(request(method)).await?).await)
}

#[tokio::test]
async fn a_request_arrives_as_it_was_sent() {
    let upstream = Upstream::play([Act::Answer(OK)]).await;
    let mut request = request(Method::POST);
    request.target = Target::Function("a/b?c d..é".to_owned());
    request.query = "a=gte.1&a=lte.5&or=(b.eq.%22x%22,c.is.null)&d=in.(1,2)".to_owned();
    request
        .headers
        .insert("prefer", "count=exact".parse().unwrap());
    let answer = engine(upstream.address, LIMITS)
        .execute(request)
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-range"], "0-0/*");
    assert_eq!(text(answer).await, "[{\"a\":1.0}");

    let seen = upstream.seen().remove(0);
    let (line, headers) = seen.head.split_once("\r\n").unwrap();
    assert_eq!(
        line,
        "POST /base/rpc/a%2Fb%3Fc%20d%2E%2E%C3%A9?a=gte.1&a=lte.5&or=(b.eq.%22x%22,c.is.null)\
         &d=in.(1,2) HTTP/1.1"
    );
    assert!(
        headers.contains(&format!("host: {}", upstream.address)),
        "{headers}"
    );
    assert!(headers.contains("authorization: Bearer ey"), "{headers}");
    assert!(headers.contains("prefer: count=exact"), "{headers}");
    assert_eq!(seen.body, "{\"a\": 1.0}");
}

#[tokio::test]
async fn connections_are_kept_and_reused() {
    let upstream = Upstream::play(vec![Act::Answer(OK); 3]).await;
    let engine = engine(upstream.address, LIMITS);
    for _ in 0..3 {
        send(&engine, Method::GET).await.unwrap();
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_reused_connection_that_breaks_costs_one_replay_of_any_method() {
    for broken in [Act::Reset, Act::Close] {
        let upstream = Upstream::play([Act::Answer(OK), broken, Act::Answer(OK)]).await;
        let engine = engine(upstream.address, LIMITS);
        send(&engine, Method::POST).await.unwrap();
        let started = Instant::now();
        send(&engine, Method::POST).await.unwrap();
        assert!(started.elapsed() < Duration::from_millis(150), "at once");
        let connections: Vec<_> = upstream.seen().iter().map(|seen| seen.connection).collect();
        assert_eq!(connections, [0, 0, 1]);
    }
}

#[tokio::test]
async fn a_second_break_follows_the_rules_of_the_method() {
    let script = [Act::Answer(OK), Act::Reset, Act::Reset];
    let upstream = Upstream::play(script.clone()).await;
    let posting = engine(upstream.address, LIMITS);
    send(&posting, Method::POST).await.unwrap();
    let error = send(&posting, Method::POST).await.unwrap_err();
    assert!(matches!(error, EngineError::Unavailable(_)), "{error}");
    assert_eq!(upstream.seen().len(), 3);

    let upstream = Upstream::play(script.into_iter().chain([Act::Answer(OK)])).await;
    let getting = engine(upstream.address, LIMITS);
    send(&getting, Method::GET).await.unwrap();
    send(&getting, Method::GET).await.unwrap();
    assert_eq!(upstream.seen().len(), 4);
}

#[tokio::test]
async fn a_break_inside_an_answer_is_no_stale_connection() {
    let script = [Act::Answer(OK), Act::Break("HTTP/1.1 201 Cre")];
    let upstream = Upstream::play(script).await;
    let engine = engine(upstream.address, LIMITS);
    send(&engine, Method::POST).await.unwrap();
    let error = send(&engine, Method::POST).await.unwrap_err();
    assert!(matches!(error, EngineError::Unavailable(_)), "{error}");
    assert_eq!(upstream.seen().len(), 2, "the row may have been written");
}

#[tokio::test]
async fn safe_methods_get_three_attempts_on_new_connections() {
    for broken in [Act::Reset, Act::Close] {
        let script = [broken.clone(), broken.clone(), Act::Answer(OK)];
        let upstream = Upstream::play(script).await;
        let started = Instant::now();
        send(&engine(upstream.address, LIMITS), Method::GET)
            .await
            .unwrap();
        assert!(started.elapsed() >= Duration::from_millis(700));

        let upstream = Upstream::play(vec![broken; 3]).await;
        let sent = send(&engine(upstream.address, LIMITS), Method::HEAD).await;
        assert!(matches!(sent, Err(EngineError::Unavailable(_))));
        assert_eq!(upstream.seen().len(), 3);
    }
}

#[tokio::test]
async fn writes_on_a_new_connection_are_sent_once() {
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let upstream = Upstream::play([Act::Reset]).await;
        let sent = send(&engine(upstream.address, LIMITS), method).await;
        assert!(matches!(sent, Err(EngineError::Unavailable(_))));
        assert_eq!(upstream.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_for_every_method() {
    let address = closed_port().await;
    let engine = engine(address, LIMITS);
    let started = Instant::now();
    let refused = send(&engine, Method::POST).await.unwrap_err();
    assert!(matches!(refused, EngineError::Unavailable(_)), "{refused}");
    assert!(started.elapsed() >= Duration::from_millis(700));
    assert!(engine.ready(&request(Method::GET).project).await.is_err());

    let (sent, upstream) = tokio::join!(send(&engine, Method::POST), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Upstream::play_at(address, [Act::Answer(OK)]).await
    });
    sent.unwrap();
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn answers_and_timeouts_are_final() {
    let failed = "HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\n{}";
    let upstream = Upstream::play([Act::Answer(failed)]).await;
    let answer = engine(upstream.address, LIMITS)
        .execute(request(Method::GET))
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(upstream.seen().len(), 1);

    let upstream = Upstream::play([Act::Stall("")]).await;
    let sent = send(&engine(upstream.address, LIMITS), Method::GET).await;
    assert!(matches!(sent, Err(EngineError::TimedOut(_))));
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_body_that_stalls_or_breaks_is_an_error_and_not_a_short_answer() {
    let start = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[1,";
    for act in [Act::Stall(start), Act::Break(start)] {
        let upstream = Upstream::play([act]).await;
        let answer = engine(upstream.address, LIMITS)
            .execute(request(Method::GET))
            .await
            .unwrap();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await;
        assert!(body.is_err());
    }
}

#[tokio::test]
async fn no_more_connections_than_allowed() {
    let answer = Act::AnswerAfter(Duration::from_millis(30), OK);
    let upstream = Upstream::play(vec![answer; 8]).await;
    let limits = Limits {
        max: 2,
        max_free: 1,
        ..LIMITS
    };
    let engine = engine(upstream.address, limits);
    let sent = join_all((0..8).map(|_| send(&engine, Method::POST))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(upstream.seen().len(), 8);
    assert!(
        upstream.most_open() <= 3,
        "two, and one that is just being closed"
    );
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(upstream.open(), 1, "one is kept");
}

#[tokio::test]
async fn waiting_for_a_connection_counts_as_time_of_the_attempt() {
    let upstream = Upstream::play(vec![Act::Stall(""); 2]).await;
    let engine = engine(upstream.address, Limits { max: 1, ..LIMITS });
    let started = Instant::now();
    let sent = tokio::join!(send(&engine, Method::POST), send(&engine, Method::POST));
    assert!(matches!(sent.0, Err(EngineError::TimedOut(_))));
    assert!(matches!(sent.1, Err(EngineError::TimedOut(_))));
    assert!(started.elapsed() < LIMITS.answer_timeout * 2);
}

#[tokio::test]
async fn unused_connections_are_closed() {
    let upstream = Upstream::play([Act::Answer(OK)]).await;
    let limits = Limits {
        free_timeout: Duration::from_millis(60),
        ..LIMITS
    };
    let engine = engine(upstream.address, limits);
    send(&engine, Method::GET).await.unwrap();
    assert_eq!(upstream.open(), 1);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(upstream.open(), 0);
}

#[test]
fn unusable_settings_are_named() {
    let settings = PostgrestSettings {
        base_url: "https://postgrest.example.com".parse().unwrap(),
        max_sockets: 0,
        max_free_sockets: 10,
        free_socket_timeout_ms: 4000,
    };
    let problems = PostgrestEngine::new(&settings).unwrap_err();
    let named: Vec<_> = problems.iter().map(|p| p.variable.as_str()).collect();
    assert_eq!(named, ["POSTGREST_BASE_URL", "POSTGREST_MAX_SOCKETS"]);
}
