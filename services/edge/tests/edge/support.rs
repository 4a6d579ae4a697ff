//! Servers behind the edge, and edges in front of them, all on free ports of the loopback address
//! that is this process's own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode};
use ingot_config::{Environment, Settings};
use ingot_edge::{Config, Edge};
use reqwest::Client;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Nothing listens here.
pub(crate) const NOWHERE: &str = "127.0.0.1:1";
/// The key that the edges of these tests prove themselves with.
pub(crate) const EDGE_KEY: &str = "edge-key-of-these-tests-0123456789";

/// This process's own loopback address. Tests run in processes beside each other: a port of
/// 127.0.0.1 that one of them gives back for a while may be another's when it wants it again.
pub(crate) fn own_address() -> Ipv4Addr {
    // Linux has at most 2^22 process ids (proc(5), pid_max); 127.0.0.0/16 stays everybody's.
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 1 + high, middle, low)
}

/// Addresses that are free now, and that nobody else takes.
pub(crate) fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let taken = [(); N].map(|()| std::net::TcpListener::bind((own_address(), 0)).unwrap());
    taken.map(|listener| listener.local_addr().unwrap())
}

/// A request as a server behind the edge got it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body_len: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A server with threads of its own, so that it can be killed like a process.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    runtime: Option<Runtime>,
}

impl Upstream {
    /// Answers everything with its name, and is ready.
    pub(crate) fn start(name: &str) -> Self {
        Self::with(name, None, |router| router)
    }

    /// The same at a given address.
    pub(crate) fn start_at(name: &str, address: SocketAddr) -> Self {
        Self::with(name, Some(address), |router| router)
    }

    /// A realtime node: tells its name with its health.
    pub(crate) fn node(name: &'static str, address: Option<SocketAddr>) -> Self {
        Self::with(name, address, move |router| {
            router.route(
                "/readyz",
                get(move || async move { [("x-ingot-node", name)] }),
            )
        })
    }

    /// With routes of its own; `/readyz` is added where they have none.
    pub(crate) fn with(
        name: &str,
        address: Option<SocketAddr>,
        routes: impl FnOnce(Router) -> Router,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let answer = name.to_owned();
        let echo = move |request: Request| {
            let (noted, answer) = (Arc::clone(&noted), answer.clone());
            async move { note_and_answer(request, &noted, answer).await }
        };
        let router = routes(Router::new()).fallback(echo);
        let address = address.unwrap_or(SocketAddr::from((own_address(), 0)));
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            address,
            seen,
            runtime: Some(runtime),
        }
    }

    /// Requests so far, without health checks.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The last request.
    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the upstream got no request")
    }

    /// Ends it at once: all its sockets are closed afterwards.
    pub(crate) fn kill(mut self) -> SocketAddr {
        let runtime = self.runtime.take().unwrap();
        // Waiting for a runtime is forbidden on the threads of another one.
        let closing = std::thread::spawn(|| runtime.shutdown_timeout(Duration::from_secs(5)));
        closing.join().unwrap();
        self.address
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn note_and_answer(request: Request, noted: &Mutex<Vec<Seen>>, answer: String) -> Response {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == "/readyz" {
        return StatusCode::OK.into_response();
    }
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    noted.lock().unwrap().push(Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body_len: body.len(),
    });
    answer.into_response()
}

/// A running edge.
pub(crate) struct TestEdge {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) secure: Option<SocketAddr>,
    pub(crate) client: Client,
    environment: Environment,
    changes: mpsc::Sender<Config>,
    shutdown: CancellationToken,
    pub(crate) running: Option<JoinHandle<anyhow::Result<()>>>,
}

impl TestEdge {
    /// An edge with these variables, ready to serve.
    pub(crate) async fn start(variables: &[(&str, String)]) -> Self {
        let edge = Self::start_unready(variables).await;
        eventually("the edge is ready", || async {
            edge.readyz().await == Some(StatusCode::OK)
        })
        .await;
        edge
    }

    /// The same in front of nobody, or of servers that are not there yet.
    pub(crate) async fn start_unready(variables: &[(&str, String)]) -> Self {
        Self::of(environment(variables)).await
    }

    /// Why there is no edge with these variables.
    pub(crate) async fn refusal(variables: &[(&str, String)]) -> String {
        let config = Config::load(&environment(variables)).unwrap();
        let refused = Edge::bind(config).await.err();
        format!("{:#}", refused.expect("there is one"))
    }

    /// Another edge with the same settings, except for these.
    pub(crate) async fn successor(&self, variables: &[(&str, String)]) -> Self {
        let variables = variables.iter().map(|(name, value)| (*name, value.clone()));
        Self::of(self.environment.clone().with(variables)).await
    }

    async fn of(environment: Environment) -> Self {
        let edge = Edge::bind(Config::load(&environment).unwrap())
            .await
            .unwrap();
        let (address, admin) = (
            edge.public_address().unwrap(),
            edge.admin_address().unwrap(),
        );
        let secure = edge.secure_address().map(Result::unwrap);
        let shutdown = CancellationToken::new();
        let (changes, changed) = mpsc::channel(1);
        let running = tokio::spawn(edge.run_changing(changed, shutdown.clone()));
        Self {
            address,
            admin,
            secure,
            client: client(8),
            environment,
            changes,
            shutdown,
            running: Some(running),
        }
    }

    /// Changes settings while it runs.
    pub(crate) async fn change(&self, variables: &[(&str, String)]) {
        let variables = variables.iter().map(|(name, value)| (*name, value.clone()));
        let environment = self.environment.clone().with(variables);
        let config = Config::load(&environment).unwrap();
        self.changes.send(config).await.unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    /// What `/readyz` says; `None` when nobody answers.
    pub(crate) async fn readyz(&self) -> Option<StatusCode> {
        let url = format!("http://{}/readyz", self.admin);
        self.client
            .get(url)
            .send()
            .await
            .ok()
            .map(|answer| answer.status())
    }

    /// Asks it to stop.
    pub(crate) fn ask_to_stop(&self) {
        self.shutdown.cancel();
    }

    /// Stops it and tells how long that took.
    pub(crate) async fn stop(mut self) -> Duration {
        let started = Instant::now();
        self.shutdown.cancel();
        self.running.take().unwrap().await.unwrap().unwrap();
        started.elapsed()
    }
}

impl Drop for TestEdge {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// These variables, and those that every edge needs.
fn environment(variables: &[(&str, String)]) -> Environment {
    let own_address = own_address().to_string();
    let defaults = [
        ("INGOT_EDGE_ADDRESS", own_address.as_str()),
        ("PORT", "0"),
        ("INGOT_EDGE_ADMIN_LISTEN", "127.0.0.1:0"),
        ("INGOT_EDGE_KEY", EDGE_KEY),
        ("INGOT_UPSTREAM_API", NOWHERE),
        ("INGOT_UPSTREAM_RECORDS", NOWHERE),
        ("INGOT_UPSTREAM_MIGRATION", NOWHERE),
        ("INGOT_UPSTREAM_REALTIME", NOWHERE),
        ("INGOT_UPSTREAM_CHECK_MS", "200"),
        ("TRUST_PROXY", "1"),
        ("NATS_URL", "nats://127.0.0.1:1"),
    ];
    Environment::from_pairs(defaults)
        .with(variables.iter().map(|(name, value)| (*name, value.clone())))
}

/// A client that neither follows redirects nor uses a proxy, and keeps so many connections.
pub(crate) fn client(idle_connections: usize) -> Client {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // The client wants a TLS provider, although these tests speak plain HTTP.
    ONCE.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    });
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(idle_connections)
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

/// Waits until `happened`, for up to 15 seconds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, happened: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !happened().await {
        assert!(Instant::now() < deadline, "in vain waited until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Counts calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<AtomicUsize>);

impl Tally {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// The error envelope of an answer.
pub(crate) async fn envelope(answer: reqwest::Response) -> (u16, serde_json::Value) {
    let status = answer.status().as_u16();
    assert_eq!(
        answer.headers()["content-type"],
        "application/json; charset=utf-8"
    );
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["statusCode"], status, "{body}");
    (status, body)
}
