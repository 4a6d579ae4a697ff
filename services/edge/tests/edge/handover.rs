//! A new process takes the listeners of the one that runs, and nobody notices.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::routing::any;
use futures::{SinkExt, StreamExt};
use http::{Method, StatusCode, Version};
use reqwest::RequestBuilder;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::http2::Caller;
use crate::support::{
    NOWHERE, TestEdge, Upstream, client, eventually, free_addresses, own_address,
};
use crate::tls::Scene;
use crate::websocket::echo;

/// Longest wait for what must happen.
const PATIENCE: Duration = Duration::from_mins(1);

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
            assert!(started.elapsed() < PATIENCE, "it does not end");
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

/// A process before an edge, played by the test: it has the listeners, and may fall silent, end or
/// change its mind whenever it likes.
struct Before {
    folder: TempDir,
    path: PathBuf,
    asked: tokio::net::UnixListener,
    public: TcpListener,
    admin: TcpListener,
    upstream: Upstream,
}

impl Before {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("upgrade.sock");
        let bind = || TcpListener::bind((own_address(), 0)).unwrap();
        Self {
            asked: tokio::net::UnixListener::bind(&path).unwrap(),
            path,
            folder,
            public: bind(),
            admin: bind(),
            upstream: Upstream::start("api"),
        }
    }

    /// Settings of an edge that takes its place.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let (public, admin) = (self.public.local_addr(), self.admin.local_addr());
        vec![
            ("PORT", public.unwrap().port().to_string()),
            ("INGOT_EDGE_ADMIN_LISTEN", admin.unwrap().to_string()),
            ("INGOT_EDGE_UPGRADE_SOCKET", self.path.display().to_string()),
            ("INGOT_UPSTREAM_API", self.upstream.address.to_string()),
        ]
    }

    /// Gives whoever asks the listeners.
    async fn hand_over(&self) -> UnixStream {
        let (stream, _) = self.asked.accept().await.unwrap();
        let descriptors = [self.public.as_fd(), self.admin.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let message = [IoSlice::new(b"L")];
        sendmsg(&stream, &message, &mut ancillary, SendFlags::empty()).unwrap();
        stream
    }

    /// An edge that has its listeners, and the connection on which it will say that it serves.
    async fn successor(&self, settings: &[(&'static str, String)]) -> (TestEdge, UnixStream) {
        let settings = [self.settings().as_slice(), settings].concat();
        tokio::join!(TestEdge::start_unready(&settings), self.hand_over())
    }

    /// From now on, only an edge accepts connections.
    fn end(self) -> (PathBuf, TempDir, Upstream) {
        (self.path, self.folder, self.upstream)
    }
}

/// It answers, and does so for longer than it waits for the process before it.
async fn serves_on(edge: &TestEdge) {
    eventually("the edge is ready", || async {
        edge.readyz().await == Some(StatusCode::OK)
    })
    .await;
    for _ in 0..14 {
        assert_eq!(edge.get("/api/health").await.status(), 200);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let running = edge.running.as_ref().unwrap();
    assert!(!running.is_finished(), "the successor has ended");
}

#[tokio::test]
async fn one_that_is_killed_before_it_is_told_is_followed() {
    let before = Before::new();
    let (edge, waiting) = before.successor(&[]).await;
    drop(waiting);
    let (path, _folder, _upstream) = before.end();
    serves_on(&edge).await;
    assert!(path.exists(), "nobody can follow");
    edge.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn one_that_hears_late_goes_and_its_successor_stays() {
    let before = Before::new();
    let (edge, mut waiting) = before.successor(&[]).await;
    serves_on(&edge).await;
    // Only now does it do anything again: it hears that it can go.
    let mut word = Vec::new();
    waiting.read_to_end(&mut word).await.unwrap();
    assert_eq!(word, b"R");
    let (_path, _folder, _upstream) = before.end();
    let next = edge.successor(&[]).await;
    let mut former = edge;
    former.running.take().unwrap().await.unwrap().unwrap();
    assert_eq!(next.get("/api/health").await.status(), 200);
}

#[tokio::test]
async fn one_that_has_given_its_successor_up_is_asked_again() {
    let before = Before::new();
    let (edge, waiting) = before.successor(&[]).await;
    drop(waiting);
    let mut again = tokio::time::timeout(PATIENCE, before.hand_over())
        .await
        .expect("it is not asked again");
    let mut word = [0];
    again.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"R");
    drop(again);
    let (_path, _folder, _upstream) = before.end();
    serves_on(&edge).await;
}

#[tokio::test]
async fn one_whom_nobody_can_follow_serves_nevertheless() {
    let before = Before::new();
    let (edge, mut waiting) = before.successor(&[]).await;
    std::fs::remove_file(&before.path).unwrap();
    std::fs::write(&before.path, "somebody's settings").unwrap();
    let mut word = [0];
    waiting.read_exact(&mut word).await.unwrap();
    drop(waiting);
    let (path, _folder, _upstream) = before.end();
    serves_on(&edge).await;
    edge.stop().await;
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody's settings");
}

/// The former process cannot go on any more, so nothing is won by ending.
#[tokio::test]
async fn one_without_services_stays_where_nobody_else_is() {
    let before = Before::new();
    let nobody = [("INGOT_UPSTREAM_API", NOWHERE.to_owned())];
    let (edge, waiting) = before.successor(&nobody).await;
    drop(waiting);
    let (_path, _folder, _upstream) = before.end();
    eventually("it serves", || async {
        edge.readyz().await == Some(StatusCode::SERVICE_UNAVAILABLE)
    })
    .await;
    assert_eq!(edge.get("/api/health").await.status(), 503);
}

#[tokio::test]
async fn what_is_no_socket_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edge.env");
    std::fs::write(&path, "INGOT_EDGE_KEY=x").unwrap();
    let setting = [("INGOT_EDGE_UPGRADE_SOCKET", path.display().to_string())];
    let mut edge = TestEdge::start_unready(&setting).await;
    let error = edge.running.take().unwrap().await.unwrap().unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("something else than a socket"), "{error}");
    assert!(error.contains("INGOT_EDGE_UPGRADE_SOCKET"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"INGOT_EDGE_KEY=x");
}

#[tokio::test]
async fn a_stop_leaves_the_socket_of_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upgrade.sock");
    let scene = scene(&folder, &[]).await;
    std::fs::remove_file(&path).unwrap();
    let _others = UnixListener::bind(&path).unwrap();
    scene.edge.stop().await;
    assert!(path.exists());
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

/// What only root may do, and `cargo xtask test` runs for root alone.
mod as_root {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use crate::support::{TestEdge, eventually};

    /// Nobody, on all systems.
    const OTHER: u32 = 65534;
    const LISTEN: &str = "use IO::Socket::UNIX;
        my $listener = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die;
        $listener->accept while 1;";

    #[tokio::test]
    #[ignore = "starts a process of another user"]
    async fn listeners_of_another_user_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        let path = folder.path().join("upgrade.sock");
        let mut other = Command::new("perl")
            .args(["-e", LISTEN])
            .arg(&path)
            .uid(OTHER)
            .spawn()
            .unwrap();
        eventually("it listens", || async { path.exists() }).await;
        let setting = [("INGOT_EDGE_UPGRADE_SOCKET", path.display().to_string())];
        let refusal = TestEdge::refusal(&setting).await;
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(refusal.contains("runs as another user"), "{refusal}");
    }
}
