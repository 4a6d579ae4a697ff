//! Stopping an edge: no request fails, and it ends in time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::any;
use futures::StreamExt;
use http::StatusCode;
use ingot_config::{Environment, Settings};
use ingot_http::{Health, ListenSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{TestEdge, Upstream, client, eventually, free_addresses};
use crate::websocket::echo;

fn slow_api(pause: Duration) -> Upstream {
    Upstream::with("api", None, move |router| {
        let slow = move || async move {
            tokio::time::sleep(pause).await;
            "slow"
        };
        router.route("/api/usage/slow", any(slow))
    })
}

#[tokio::test]
async fn a_request_under_way_gets_its_answer_and_nobody_new_gets_in() {
    let api = slow_api(Duration::from_millis(1500));
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", api.address.to_string())]).await;
    let request = tokio::spawn(
        edge.client
            .post(edge.url("/api/usage/slow"))
            .body("{}")
            .send(),
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    edge.ask_to_stop();
    eventually("the edge says no", || async {
        edge.readyz().await == Some(StatusCode::SERVICE_UNAVAILABLE)
    })
    .await;
    eventually("new connections are refused", || async {
        TcpStream::connect(edge.address).await.is_err()
    })
    .await;
    let answer = request.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["connection"], "close");
    assert_eq!(answer.text().await.unwrap(), "slow");
    assert!(edge.stop().await < Duration::from_secs(3));
}

#[tokio::test]
async fn an_idle_edge_stops_soon_and_closes_idle_connections() {
    let api = Upstream::start("api");
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", api.address.to_string())]).await;
    let mut idle = TcpStream::connect(edge.address).await.unwrap();
    idle.write_all(b"GET /api/health HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 2048];
    let read = idle.read(&mut answer).await.unwrap();
    let head = String::from_utf8_lossy(&answer[..read]).to_lowercase();
    assert!(head.contains("connection: keep-alive"), "{head}");
    assert!(head.contains("keep-alive: timeout=65"), "{head}");
    assert!(edge.stop().await < Duration::from_secs(3));
    assert_eq!(idle.read(&mut answer).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn an_idle_connection_may_bring_one_more_request() {
    let api = Upstream::start("api");
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", api.address.to_string())]).await;
    let request = b"GET /api/health HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut kept = TcpStream::connect(edge.address).await.unwrap();
    let mut answer = [0; 2048];
    kept.write_all(request).await.unwrap();
    assert!(kept.read(&mut answer).await.unwrap() > 0);
    edge.ask_to_stop();
    tokio::time::sleep(Duration::from_millis(300)).await;
    kept.write_all(request).await.unwrap();
    let read = kept.read(&mut answer).await.unwrap();
    let head = String::from_utf8_lossy(&answer[..read]).to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    edge.stop().await;
}

#[tokio::test]
async fn what_never_ends_is_cut_in_time() {
    let api = slow_api(Duration::from_hours(1));
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", api.address.to_string()),
        ("INGOT_EDGE_DRAIN_TIMEOUT", "2".to_owned()),
    ])
    .await;
    let request = tokio::spawn(edge.client.get(edge.url("/api/usage/slow")).send());
    tokio::time::sleep(Duration::from_millis(200)).await;
    let took = edge.stop().await;
    assert!((1900..3500).contains(&took.as_millis()), "{took:?}");
    assert!(request.await.unwrap().is_err());
}

#[tokio::test]
async fn websockets_do_not_hold_the_drain() {
    let upstream = echo();
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_REALTIME", upstream.address.to_string())]).await;
    let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", edge.address);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let took = edge.stop().await;
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(!matches!(socket.next().await, Some(Ok(_))));
}

/// Sends requests until told to stop; goes to the other edge only where a load balancer would,
/// when a connection is refused. Every other failure counts.
async fn keep_asking(
    edges: Arc<[SocketAddr]>,
    over: Arc<AtomicBool>,
    reuse: bool,
) -> (u64, Vec<String>) {
    let http = client(if reuse { 8 } else { 0 });
    let (mut answered, mut failed, mut turn) = (0, Vec::new(), 0);
    while !over.load(Ordering::SeqCst) {
        turn += 1;
        for attempt in 0..edges.len() {
            let url = format!(
                "http://{}/api/usage/work",
                edges[(turn + attempt) % edges.len()]
            );
            match http.post(url).body("{}").send().await {
                Ok(answer) if answer.status() == 200 => {
                    answered += 1;
                    break;
                }
                Ok(answer) => failed.push(answer.status().to_string()),
                Err(error) if error.is_connect() => continue,
                Err(error) => failed.push(format!("{error:?}")),
            }
            break;
        }
    }
    (answered, failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_fails_no_request() {
    let api = Upstream::with("api", None, |router| {
        let work = |body: String| async move {
            tokio::time::sleep(Duration::from_millis(15)).await;
            body
        };
        router.route("/api/usage/work", any(work))
    });
    let variables = [
        ("INGOT_UPSTREAM_API", api.address.to_string()),
        ("INGOT_RATE_LIMIT", "1000000".to_owned()),
        ("INGOT_EDGE_THREADS", "1".to_owned()),
    ];
    let mut edges = [
        TestEdge::start(&variables).await,
        TestEdge::start(&variables).await,
    ];
    let addresses: Arc<[SocketAddr]> = edges.iter().map(|edge| edge.address).collect();
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|n| tokio::spawn(keep_asking(addresses.clone(), over.clone(), n % 2 == 0)))
        .collect();
    for edge in &mut edges {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let port = edge.address.port();
        let again = [&variables[..], &[("PORT", port.to_string())]].concat();
        let started = Instant::now();
        edge.ask_to_stop();
        edge.running.take().unwrap().await.unwrap().unwrap();
        assert!(started.elapsed() < Duration::from_secs(5));
        *edge = TestEdge::start(&again).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    over.store(true, Ordering::SeqCst);
    nothing_failed(clients).await;
}

async fn nothing_failed(clients: Vec<JoinHandle<(u64, Vec<String>)>>) {
    let mut answered = 0;
    for client in clients {
        let (ok, failed) = client.await.unwrap();
        assert_eq!(failed, Vec::<String>::new());
        answered += ok;
    }
    assert!(answered > 200, "only {answered} requests were made");
}

/// A process of a service as it is deployed: not ready for a while before it closes.
struct Service {
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Service {
    fn start(address: SocketAddr) -> Self {
        let variables = [
            ("INGOT_LISTEN", address.to_string()),
            ("INGOT_DRAIN_DELAY", "1".to_owned()),
        ];
        let settings = ListenSettings::load(&Environment::from_pairs(variables)).unwrap();
        let work = |body: String| async move {
            tokio::time::sleep(Duration::from_millis(15)).await;
            body
        };
        let router = Router::new().route("/api/usage/work", any(work));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let ended = tokio::spawn(async move {
            let health = Health::new(Vec::new());
            let port = address.port();
            let served = ingot_http::serve(&settings, port, router, health, stopped).await;
            served.unwrap();
        });
        Self { stop, ended }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replacing_the_processes_of_a_service_under_load_fails_no_request() {
    let addresses: [_; 2] = free_addresses();
    let mut services = addresses.map(Service::start);
    let upstream = addresses.map(|address| address.to_string()).join(",");
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", upstream),
        ("INGOT_RATE_LIMIT", "1000000".to_owned()),
    ])
    .await;
    let over = Arc::new(AtomicBool::new(false));
    let edges: Arc<[SocketAddr]> = Arc::new([edge.address]);
    let clients: Vec<_> = (0..8)
        .map(|n| tokio::spawn(keep_asking(edges.clone(), over.clone(), n % 2 == 0)))
        .collect();
    for (service, address) in services.iter_mut().zip(addresses) {
        tokio::time::sleep(Duration::from_millis(700)).await;
        service.stop.cancel();
        (&mut service.ended).await.unwrap();
        *service = Service::start(address);
        // As an orchestrator does: on to the next one only when this one is ready.
        eventually("the new process is ready", || async {
            let ready = client(0).get(format!("http://{address}/readyz")).send();
            ready.await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    over.store(true, Ordering::SeqCst);
    nothing_failed(clients).await;
}
