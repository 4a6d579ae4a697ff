//! Settings that change while the edge runs: from one request to the next, and nobody is cut off.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::routing::any;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{EDGE_KEY, TestEdge, Upstream, client, eventually, free_addresses};
use crate::websocket::echo;

#[tokio::test]
async fn everything_under_way_goes_on_and_what_comes_next_is_treated_anew() {
    let former = Upstream::with("former", None, |router| {
        let slow = async || {
            tokio::time::sleep(Duration::from_millis(2500)).await;
            "slow"
        };
        router.route("/api/usage/slow", any(slow))
    });
    let (next, node) = (Upstream::start("next"), echo());
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", former.address.to_string()),
        ("INGOT_UPSTREAM_REALTIME", node.address.to_string()),
    ])
    .await;
    let slow = edge
        .client
        .post(edge.url("/api/usage/slow"))
        .body("{}")
        .send();
    let slow = tokio::spawn(slow);
    let stream = TcpStream::connect(edge.address).await.unwrap();
    let url = "ws://edge/socket.io/?EIO=4&transport=websocket";
    let (mut socket, _) = client_async(url, stream).await.unwrap();
    let mut idle = TcpStream::connect(edge.address).await.unwrap();
    let request = b"GET /api/health HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut answer = [0; 4096];
    idle.write_all(request).await.unwrap();
    let read = idle.read(&mut answer).await.unwrap();
    assert!(answer[..read].ends_with(b"former"));

    edge.change(&[
        ("INGOT_UPSTREAM_API", next.address.to_string()),
        ("INGOT_RATE_LIMIT", "7".to_owned()),
    ])
    .await;
    let fresh = client(0);
    eventually("new connections are treated anew", async || {
        let answer = fresh.get(edge.url("/api/usage/x")).send().await.unwrap();
        answer.headers()["ratelimit-limit"] == "7" && answer.text().await.unwrap() == "next"
    })
    .await;
    // A connection from before gets one more answer, and hears that it was the last.
    idle.write_all(request).await.unwrap();
    let mut last = Vec::new();
    idle.read_to_end(&mut last).await.unwrap();
    let last = String::from_utf8(last).unwrap();
    assert!(
        last.starts_with("HTTP/1.1 200") && last.ends_with("former"),
        "{last}"
    );
    assert!(last.to_lowercase().contains("connection: close"), "{last}");
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "slow");
    for text in ["still", "here"] {
        socket.send(Message::text(text)).await.unwrap();
        let back = socket.next().await.unwrap().unwrap();
        assert_eq!(back, Message::text(text));
    }
    // A stop ends what is left of all of them.
    let took = edge.stop().await;
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(!matches!(socket.next().await, Some(Ok(Message::Text(_)))));
}

#[tokio::test]
async fn no_request_fails_while_settings_change_again_and_again() {
    let api = Upstream::start("api");
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", api.address.to_string())]).await;
    let fresh = client(0);
    let asking = async {
        for number in 0..200 {
            // Every other one on a connection of its own.
            let client = if number % 2 == 0 {
                &edge.client
            } else {
                &fresh
            };
            let request = client.post(edge.url("/api/usage/x")).body("{}");
            let answer = request
                .send()
                .await
                .unwrap_or_else(|error| panic!("{number}: {error:?}"));
            assert_eq!(answer.status(), 200, "{number}");
        }
    };
    let changing = async {
        loop {
            for limit in ["5000", "6000"] {
                edge.change(&[("INGOT_RATE_LIMIT", limit.to_owned())]).await;
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = changing => {}
    }
}

#[tokio::test]
async fn counts_of_the_rate_limit_go_on_unless_it_changes() {
    let api = Upstream::start("api");
    let address = api.address.to_string();
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", address.clone())]).await;
    let remaining = async || {
        let answer = client(0)
            .get(edge.url("/api/usage/x"))
            .send()
            .await
            .unwrap();
        let remaining = answer.headers()["ratelimit-remaining"]
            .to_str()
            .unwrap()
            .to_owned();
        remaining.parse::<u32>().unwrap()
    };
    for _ in 0..5 {
        remaining().await;
    }
    edge.change(&[("MAX_JSON_BODY_SIZE", "1000".to_owned())])
        .await;
    let body = "x".repeat(2000);
    eventually("the body's limit is the new one", async || {
        let request = client(0).post(edge.url("/api/usage/x")).body(body.clone());
        request.send().await.unwrap().status() == 413
    })
    .await;
    assert!(remaining().await <= 3000 - 7);
}

/// The program itself, with its settings in a file.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn the_program_reads_its_file_again_when_told_and_refuses_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edge.env");
    let [address, admin] = free_addresses();
    let (host, port) = (address.ip(), address.port());
    let write = |hosts: &str| {
        let text = format!(
            "INGOT_EDGE_ADDRESS={host}\nPORT={port}\nINGOT_EDGE_ADMIN_LISTEN={admin}\n\
             INGOT_EDGE_KEY={EDGE_KEY}\nINGOT_PROJECT_HOSTS={hosts}\nNATS_URL=nats://127.0.0.1:1\n\
             INGOT_RATE_LIMIT={}\n",
            if hosts == "wrong.test" {
                "many"
            } else {
                "100000"
            }
        );
        std::fs::write(&file, text).unwrap();
    };
    write("one.test");
    let program = Command::new(env!("CARGO_BIN_EXE_ingot-edge"))
        .env_clear()
        .env("INGOT_CONFIG_FILE", &file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let program = Program(program);
    let hang_up = || {
        let pid = program.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-HUP", &pid])
                .status()
                .unwrap()
                .success()
        );
    };
    let client = client(0);
    // A host that is served has no service behind it here; another one is not known.
    let serves = async |host: &str| {
        let request = client.get(format!("http://{address}/api/health"));
        let answer = request.header("host", host).send().await.ok()?;
        Some(answer.status().as_u16() == 503)
    };
    eventually("it runs", async || serves("one.test").await == Some(true)).await;
    assert_eq!(serves("two.test").await, Some(false));
    write("two.test");
    hang_up();
    eventually("it serves the other host", async || {
        serves("two.test").await == Some(true)
    })
    .await;
    assert_eq!(serves("one.test").await, Some(false));
    write("wrong.test");
    hang_up();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(serves("two.test").await, Some(true));
    // Without being told, it looks now and then.
    write("three.test");
    eventually("it has seen the file", async || {
        serves("three.test").await == Some(true)
    })
    .await;
}
