//! Requests that follow each other on one connection, however their bytes come, and whichever of the
//! edge's ways each of them takes.

use std::time::Duration;

use axum::body::{Body as Answer, Bytes};
use axum::routing::any;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{TestEdge, Upstream};

async fn edge_before(api: &Upstream, more: &[(&str, &str)]) -> TestEdge {
    let mut variables = vec![("INGOT_UPSTREAM_API", api.address.to_string())];
    variables.extend(more.iter().map(|(name, text)| (*name, (*text).to_owned())));
    TestEdge::start(&variables).await
}

/// Everything that comes back for these pieces, until the edge closes the connection.
async fn conversation(edge: &TestEdge, pieces: &[&str]) -> String {
    let mut client = TcpStream::connect(edge.address).await.unwrap();
    client.set_nodelay(true).unwrap();
    for piece in pieces {
        client.write_all(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let mut all = Vec::new();
    let reading = client.read_to_end(&mut all);
    let read = tokio::time::timeout(Duration::from_secs(15), reading).await;
    read.expect("the edge does not end it").ok();
    String::from_utf8(all).unwrap()
}

fn statuses(answers: &str) -> Vec<&str> {
    let lines = answers
        .split("\r\n")
        .flat_map(|line| line.split_inclusive("api"));
    lines
        .filter_map(|line| line.strip_prefix("HTTP/1.1 "))
        .filter_map(|rest| rest.get(..3))
        .collect()
}

const LAST: &str = "GET /api/usage/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn requests_sent_at_once_are_answered_in_their_order() {
    let api = Upstream::start("api");
    let edge = edge_before(&api, &[]).await;
    let post = "POST /api/usage/first HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
    let get = "GET /api/usage/second HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = conversation(&edge, &[&format!("{post}{get}{LAST}")]).await;
    assert_eq!(statuses(&answers), ["200"; 3], "{answers}");
    let seen: Vec<_> = api
        .seen()
        .into_iter()
        .map(|seen| (seen.target, seen.body_len))
        .collect();
    let expected = [
        ("/api/usage/first", 2),
        ("/api/usage/second", 0),
        ("/api/usage/last", 0),
    ];
    assert_eq!(
        seen,
        expected.map(|(target, length)| (target.to_owned(), length))
    );
}

#[tokio::test]
async fn heads_may_come_in_pieces_and_ways_may_change() {
    let api = Upstream::start("api");
    let edge = edge_before(&api, &[]).await;
    let pieces = [
        "GE",
        "T /api/usage/pieces HTTP/1.1\r\nHo",
        "st: a\r\n\r",
        "\n",
        // Its body comes later, and without a length: for the library.
        "POST /api/usage/late HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
        "{} \n",
        "POST /api/usage/chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "2\r\n{}\r\n0\r\n\r\n",
        "OPTIONS /api/usage/x HTTP/1.1\r\nHost: a\r\n\r\n",
        // What people type.
        "GET /api/usage/typed?a=\"<b>\" HTTP/1.1\r\nHost: a\r\n\r\n",
        LAST,
    ];
    let answers = conversation(&edge, &pieces).await;
    let expected = ["200", "200", "200", "204", "200", "200"];
    assert_eq!(statuses(&answers), expected, "{answers}");
    let seen: Vec<_> = api
        .seen()
        .into_iter()
        .map(|seen| (seen.target, seen.body_len))
        .collect();
    let expected = [
        ("/api/usage/pieces", 0),
        ("/api/usage/late", 4),
        ("/api/usage/chunks", 2),
        ("/api/usage/typed?a=%22%3Cb%3E%22", 0),
        ("/api/usage/last", 0),
    ];
    assert_eq!(
        seen,
        expected.map(|(target, length)| (target.to_owned(), length))
    );
}

#[tokio::test]
async fn nobody_is_talked_into_a_second_request() {
    let api = Upstream::start("api");
    let edge = edge_before(&api, &[]).await;
    let hidden = "GET /api/usage/hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let length = format!("Content-Length: {}\r\n", hidden.len());
    for headers in [
        // A body by one of the two, a request by the other.
        format!("{chunked}{length}"),
        format!("{length}{chunked}"),
        format!("{length}Content-Length: 0\r\n"),
        format!("Content-Length: 0\r\n{length}"),
        format!("Content-Length : {}\r\n", hidden.len()),
        format!("X: y\n{length}"),
        format!("X: y\r {length}"),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding:\x0bchunked\r\n".to_owned(),
        "Content-Length: 0x0\r\n".to_owned(),
        "Content-Length: +0\r\n".to_owned(),
    ] {
        let first = format!("POST /api/usage/first HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        conversation(&edge, &[&format!("{first}0\r\n\r\n{hidden}{LAST}")]).await;
        conversation(&edge, &[&format!("{first}{hidden}{LAST}")]).await;
        let seen = api.seen();
        let targets: Vec<_> = seen.iter().map(|seen| seen.target.as_str()).collect();
        assert!(
            !targets.contains(&"/api/usage/hidden"),
            "{headers:?}: {targets:?}"
        );
    }
    assert_eq!(edge.get("/api/health").await.status(), 200);
}

#[tokio::test]
async fn a_head_that_drips_is_not_waited_for() {
    let api = Upstream::start("api");
    let edge = edge_before(&api, &[("INGOT_EDGE_BODY_TIMEOUT", "1")]).await;
    let mut client = TcpStream::connect(edge.address).await.unwrap();
    client
        .write_all(b"GET /api/usage/x HTTP/1.1\r\nHost: a\r\nX: ")
        .await
        .unwrap();
    let dripping = async {
        while client.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let dripped = tokio::time::timeout(Duration::from_secs(15), dripping).await;
    dripped.expect("the edge does not end it");
    assert!(api.seen().is_empty());
}

#[tokio::test]
async fn bodies_of_all_kinds_pass_whole() {
    const LARGE: usize = 3 << 20;
    let api = Upstream::with("api", None, |router| {
        let large = || async { vec![b'x'; LARGE] };
        let pieces = || async {
            let pieces = (0..200).map(|n| Ok::<_, std::io::Error>(Bytes::from(vec![b'y'; n * 7])));
            Answer::from_stream(futures::stream::iter(pieces))
        };
        router
            .route("/api/usage/large", any(large))
            .route("/api/usage/pieces", any(pieces))
            .route("/api/usage/none", any(|| async { StatusCode::NO_CONTENT }))
            .route(
                "/api/usage/same",
                any(|| async { StatusCode::NOT_MODIFIED }),
            )
    });
    let edge = edge_before(&api, &[]).await;
    // One connection.
    let client = crate::support::client(1);
    for _ in 0..3 {
        for (path, status, length) in [
            ("large", 200, LARGE),
            ("pieces", 200, (0..200).map(|n| n * 7).sum()),
            ("none", 204, 0),
            ("same", 304, 0),
        ] {
            let url = edge.url(&format!("/api/usage/{path}"));
            let head = client.head(&url).send().await.unwrap();
            assert_eq!(head.status().as_u16(), status);
            let answer = client.get(&url).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status);
            assert_eq!(answer.bytes().await.unwrap().len(), length, "{path}");
        }
    }
}
