//! Conversations, cut at every place.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Escaped;
use super::requests::Requests;

/// What comes out, however the bytes are cut.
fn escaped(conversation: &[u8]) -> Vec<u8> {
    let whole = followed(&[conversation]);
    let bytes: Vec<&[u8]> = conversation.chunks(1).collect();
    assert_eq!(followed(&bytes), whole, "byte by byte");
    for cut in 0..conversation.len() {
        let (first, second) = conversation.split_at(cut);
        assert_eq!(followed(&[first, second]), whole, "cut at {cut}");
    }
    whole
}

fn followed(parts: &[&[u8]]) -> Vec<u8> {
    let mut requests = Requests::default();
    let mut out = Vec::new();
    for part in parts {
        match requests.follow(part) {
            Some(escaped) => out.extend_from_slice(&escaped),
            None => out.extend_from_slice(part),
        }
    }
    out
}

fn passes(conversation: &str) {
    let out = escaped(conversation.as_bytes());
    assert_eq!(String::from_utf8_lossy(&out), conversation);
}

fn becomes(conversation: &str, expected: &str) {
    let out = escaped(conversation.as_bytes());
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn odd_bytes_of_a_target_are_escaped() {
    becomes(
        "GET /<t>?select=data->>name,\"ü`\u{7f} HTTP/1.1\r\nhost: <x>\r\n\r\n",
        "GET /%3Ct%3E?select=data-%3E%3Ename,%22%C3%BC%60%7F HTTP/1.1\r\nhost: <x>\r\n\r\n",
    );
    assert_eq!(
        escaped(b"GET /\xff http://x HTTP/1.1\r\n\r\n"),
        b"GET /%FF http://x HTTP/1.1\r\n\r\n"
    );
}

#[test]
fn everything_else_passes() {
    let all: String = (' '..='~').filter(|c| !"\"<>`".contains(*c)).collect();
    passes(&format!("GET /{all} HTTP/1.1\r\nhost: x\r\n\r\n"));
    passes("GE>T /x HTTP/1.1\r\nx: \"<>`\u{7f}ü\r\n\r\n");
    passes("<>\r\n");
    passes("");
}

#[test]
fn the_next_request_is_found_behind_a_body() {
    let first = |headers: &str, body: &str| format!("POST /a HTTP/1.1\r\n{headers}\r\n{body}");
    let body = "POST /\">\" HTTP/1.1\r\n\r\n";
    let length = format!("Content-Length: {}\r\n", body.len());
    let chunked = format!(
        "{:x};why=\"<>\"\r\n{body}\r\n1\r\n>\r\n0\r\ntrailer: >\r\n\r\n",
        body.len()
    );
    for (headers, body) in [
        (length.as_str(), body),
        ("content-length:0\r\n", ""),
        (&format!("{length}{length}"), body),
        ("Transfer-Encoding: Chunked\r\n", chunked.as_str()),
        ("transfer-encoding: chunked\r\n", "0\r\n\r\n"),
        ("", "\r\n\r\n"),
    ] {
        let first = first(headers, body);
        becomes(
            &format!("{first}GET /> HTTP/1.1\n\n{first}GET /< HTTP/1.1\r\n\r\n"),
            &format!("{first}GET /%3E HTTP/1.1\n\n{first}GET /%3C HTTP/1.1\r\n\r\n"),
        );
    }
}

#[test]
fn what_is_doubtful_is_left_alone_from_there_on() {
    for headers in [
        "content-length: 3\r\ncontent-length: 4\r\n",
        "content-length: +3\r\n",
        "content-length: 3, 3\r\n",
        "content-length: 99999999999999999999\r\n",
        "content-length : 3\r\n",
        "content-length:\r\n",
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked\r\nx: y\r\n folded\r\n",
        "x y\r\n",
        "upgrade: websocket\r\n",
        &format!("content-length: {}3\r\n", " ".repeat(300)),
    ] {
        let body = "GET /> HTTP/1.1\r\n\r\n";
        passes(&format!("POST /a HTTP/1.1\r\n{headers}\r\n{body}{body}"));
    }
    for size in [
        "",
        "x",
        "+1",
        "-1",
        "1 ",
        "ffffffffffffffff",
        "fffffffffffffffff",
    ] {
        let head = "POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        passes(&format!("{head}{size}\r\nGET /> HTTP/1.1\r\n\r\n"));
    }
    passes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /> HTTP/1.1\r\n\r\n");
    passes("CONNECT x:1 HTTP/1.1\r\n\r\nGET /> HTTP/1.1\r\n\r\n");
    passes(" GET /> HTTP/1.1\r\n\r\n");
}

#[test]
fn long_lines_are_followed_without_being_kept() {
    let long = "x".repeat(100_000);
    becomes(
        &format!(
            "GET /{}> HTTP/1.1\r\ncookie: {}\r\n\r\nGET /> HTTP/1.1\r\n\r\n",
            "a",
            "<".repeat(600)
        ),
        &format!(
            "GET /{}%3E HTTP/1.1\r\ncookie: {}\r\n\r\nGET /%3E HTTP/1.1\r\n\r\n",
            "a",
            "<".repeat(600)
        ),
    );
    let mut requests = Requests::default();
    assert!(requests.follow(b"GET / HTTP/1.1\r\n").is_none());
    for _ in 0..20 {
        assert!(requests.follow(long.as_bytes()).is_none());
    }
    assert!(format!("{requests:?}").len() < 2000);
}

#[tokio::test]
async fn a_reader_with_little_room_gets_all_of_it() {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let mut server = Escaped::new(server);
    let request = format!("GET /{} HTTP/1.1\r\n\r\n", ">".repeat(1000));
    client.write_all(request.as_bytes()).await.unwrap();
    drop(client);
    let mut out = Vec::new();
    let mut room = [0; 7];
    loop {
        let read = server.read(&mut room).await.unwrap();
        if read == 0 {
            break;
        }
        out.extend_from_slice(&room[..read]);
    }
    let expected = format!("GET /{} HTTP/1.1\r\n\r\n", "%3E".repeat(1000));
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[tokio::test]
async fn answers_pass_untouched() {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let mut server = Escaped::new(server);
    server.write_all(b"HTTP/1.1 200 >\r\n\r\n").await.unwrap();
    server.shutdown().await.unwrap();
    let mut out = Vec::new();
    client.read_to_end(&mut out).await.unwrap();
    assert_eq!(out, b"HTTP/1.1 200 >\r\n\r\n");
}
