//! A new process takes the listeners of the one that runs, and nobody notices.

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::routing::any;
use futures::{SinkExt, StreamExt};
use http::{Method, StatusCode, Version};
use reqwest::RequestBuilder;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::http2::Caller;
use crate::support::{NOWHERE, Upstream, client, free_addresses};
use crate::tls::Scene;
use crate::websocket::echo;

fn work() -> Upstream {
    Upstream::with("api", None, |router| {
        let work = |body: String| async move {
            tokio::time::sleep(Duration::from_millis(15)).await;
            body
        };
        router.route("/api/usage/work", any(work))
    })
}

/// An edge at addresses that another one can have after it.
async fn scene(folder: &TempDir, settings: &[(&str, &str)]) -> Scene {
    let [public, secure, admin] = free_addresses();
    let (port, secure) = (public.port().to_string(), secure.port().to_string());
    let (admin, path) = (admin.to_string(), folder.path().join("upgrade.sock"));
    let own = [
        ("PORT", port.as_str()),
        ("INGOT_EDGE_TLS_PORT", &secure),
        ("INGOT_EDGE_ADMIN_LISTEN", &admin),
        ("INGOT_EDGE_UPGRADE_SOCKET", path.to_str().unwrap()),
        ("INGOT_RATE_LIMIT", "1000000"),
        ("INGOT_EDGE_THREADS", "1"),
    ];
    Scene::before(work(), &[&own, settings].concat()).await
}

/// Asks until told to stop. Every failure counts, a refused connection most of all.
fn keep_asking(
    over: &Arc<AtomicBool>,
    ask: impl Fn() -> RequestBuilder + Send + 'static,
) -> JoinHandle<(u64, Vec<String>)> {
    let over = Arc::clone(over);
    tokio::spawn(async move {
        let (mut answered, mut failed) = (0, Vec::new());
        while !over.load(Ordering::SeqCst) {
            match ask().body("{}").send().await {
                Ok(answer) if answer.status() == 200 => answered += 1,
                Ok(answer) => failed.push(answer.status().to_string()),
                Err(error) => failed.push(format!("{error:?}")),
            }
        }
        (answered, failed)
    })
}

/// Asks for `/readyz` on a connection that is there already: `None` when it is closed.
async fn readyz(connection: &mut TcpStream) -> Option<String> {
    let request = b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n";
    connection.write_all(request).await.ok()?;
    let mut answer = vec![0; 4096];
    let read = connection.read(&mut answer).await.ok()?;
    let head = String::from_utf8_lossy(&answer[..read]).into_owned();
    head.split(' ').nth(1).map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_request_fails_and_the_former_one_drains() {
    let folder = tempfile::tempdir().unwrap();
    let sockets = echo();
    let realtime = sockets.address.to_string();
    let settings = [
        ("INGOT_UPSTREAM_REALTIME", realtime.as_str()),
        ("INGOT_EDGE_DRAIN_DELAY", "30"),
    ];
    let mut scene = scene(&folder, &settings).await;
    let over = Arc::new(AtomicBool::new(false));
    let plain = scene.edge.url("/api/usage/work");
    let plain = (0..6).map(|number| {
        // Half of them connect anew for each request.
        let (client, url) = (client(number % 2), plain.clone());
        keep_asking(&over, move || client.post(&url))
    });
    let secure = (0..2).map(|_| Caller::of(&scene));
    let secure = secure
        .map(|caller| keep_asking(&over, move || caller.ask(Method::POST, "/api/usage/work")));
    let clients: Vec<_> = plain.chain(secure).collect();
    let version = Caller::of(&scene).ask(Method::GET, "/api/health").send();
    assert_eq!(version.await.unwrap().version(), Version::HTTP_2);
    for _ in 0..2 {
        let url = format!("ws://{}/socket.io/?EIO=4", scene.edge.address);
        let (mut socket, _) = connect_async(url).await.unwrap();
        let mut watcher = TcpStream::connect(scene.edge.admin).await.unwrap();
        assert_eq!(readyz(&mut watcher).await.as_deref(), Some("200"));
        tokio::time::sleep(Duration::from_millis(500)).await;

        let next = scene.edge.successor(&[]).await;
        let mut former = std::mem::replace(&mut scene.edge, next);
        let ended = former.running.take().unwrap();
        let started = Instant::now();
        while !ended.is_finished() {
            // Whoever asks the address is answered by one that serves.
            assert_eq!(scene.edge.readyz().await, Some(StatusCode::OK));
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "it does not end"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        ended.await.unwrap().unwrap();
        // It was ready before, and has not said so since.
        assert_eq!(readyz(&mut watcher).await, None);
        assert!(!matches!(socket.next().await, Some(Ok(_))));
        let url = format!("ws://{}/socket.io/?EIO=4", scene.edge.address);
        let (mut again, _) = connect_async(url).await.unwrap();
        again.send(Message::text("here again")).await.unwrap();
        let echoed = again.next().await.unwrap().unwrap();
        assert_eq!(echoed, Message::text("here again"));
    }
    over.store(true, Ordering::SeqCst);
    for client in clients {
        let (answered, failed) = client.await.unwrap();
        assert_eq!(failed, Vec::<String>::new());
        assert!(answered > 20, "only {answered} requests were made");
    }
}

#[tokio::test]
async fn one_that_cannot_serve_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(&folder, &[]).await;
    let nobody = [("INGOT_UPSTREAM_API", NOWHERE.to_owned())];
    let mut unable = scene.edge.successor(&nobody).await;
    let asking = async {
        loop {
            assert_eq!(scene.edge.get("/api/health").await.status(), 200);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let refused = tokio::select! {
        ended = unable.running.take().unwrap() => ended.unwrap().unwrap_err().to_string(),
        () = asking => unreachable!(),
    };
    assert!(
        refused.contains("the process before it goes on"),
        "{refused}"
    );
    assert_eq!(scene.edge.get("/api/health").await.status(), 200);
    let mut former = scene.edge;
    let next = former.successor(&[]).await;
    former.running.take().unwrap().await.unwrap().unwrap();
    assert_eq!(next.get("/api/health").await.status(), 200);
}

#[tokio::test]
async fn what_a_killed_process_left_behind_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upgrade.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let scene = scene(&folder, &[]).await;
    assert_eq!(scene.edge.get("/api/health").await.status(), 200);
    scene.edge.stop().await;
    assert!(!path.exists(), "a stop leaves the socket behind");
}
