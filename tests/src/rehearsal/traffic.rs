//! Clients that read and write over HTTP without a pause and without a second try.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::eventually;

/// Clients at once.
const CLIENTS: usize = 4;
/// No answer may take longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause of a client after a failure, which would else be counted a thousand times.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

const TABLE: &str = "/api/database/records/rehearsal";
const SQL: &str = "/api/database/advance/rawsql";

/// What came of requests.
#[derive(Debug, Default, Clone)]
pub struct Requests {
    /// Requests that were sent.
    pub sent: u64,
    /// Those without an answer, or with one that is no success.
    pub failed: u64,
    /// Longest wait for an answer.
    pub slowest: Duration,
    /// What the first failure said.
    pub complaint: Option<String>,
}

/// The clients.
#[derive(Debug)]
pub(super) struct Traffic {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    key: String,
    /// Edges that new requests go to, as a load balancer would know them.
    edges: Mutex<Vec<String>>,
    turn: AtomicU64,
    stop: AtomicBool,
    requests: Mutex<Requests>,
    /// Rows whose insertion was acknowledged, and that were tried.
    inserted: AtomicU64,
    tried: AtomicU64,
}

impl Traffic {
    /// Makes the table and begins.
    pub(super) async fn start(edges: Vec<String>, key: &str) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            client: Client::builder().timeout(PATIENCE).build()?,
            key: key.to_owned(),
            edges: Mutex::new(edges),
            turn: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            requests: Mutex::default(),
            inserted: AtomicU64::new(0),
            tried: AtomicU64::new(0),
        });
        shared
            .sql("create table public.rehearsal (number int8 primary key)")
            .await?;
        // From here on the records services know the table.
        eventually(async || {
            for _ in 0..8 {
                shared.send(shared.get(TABLE)).await?;
            }
            Ok(())
        })
        .await?;
        let mut tasks = JoinSet::new();
        for _ in 0..CLIENTS {
            tasks.spawn(Arc::clone(&shared).run());
        }
        Ok(Self { shared, tasks })
    }

    /// From now on, new requests go to these edges.
    pub(super) fn go_to(&self, edges: Vec<String>) {
        *lock(&self.shared.edges) = edges;
    }

    /// What came of requests since the last time.
    pub(super) fn collect(&self) -> Requests {
        std::mem::take(&mut *lock(&self.shared.requests))
    }

    /// Ends the clients and counts rows: each acknowledged one is there, and none that was not
    /// sent. Returns how many are missing.
    pub(super) async fn stop(mut self) -> anyhow::Result<u64> {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended?;
        }
        let rows = self
            .shared
            .sql("select count(*)::int as n from public.rehearsal")
            .await?;
        let rows = rows.pointer("/rows/0/n").and_then(Value::as_u64);
        let rows = rows.context("no count")?;
        let inserted = self.shared.inserted.load(Ordering::Relaxed);
        let tried = self.shared.tried.load(Ordering::Relaxed);
        ensure!(rows <= tried, "{rows} rows of {tried} insertions");
        Ok(inserted.saturating_sub(rows))
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        while !self.stop.load(Ordering::Relaxed) {
            if let Err(error) = self.round().await {
                self.note_failure(&error);
                sleep(AFTER_FAILURE).await;
            }
        }
    }

    fn note_failure(&self, error: &anyhow::Error) {
        let mut requests = lock(&self.requests);
        requests.failed += 1;
        requests.complaint.get_or_insert(format!("{error:#}"));
    }

    /// A write and reads, of every service behind the edge.
    async fn round(&self) -> anyhow::Result<()> {
        let number = self.tried.fetch_add(1, Ordering::Relaxed);
        let insert = self.client.post(self.url(TABLE));
        self.send(insert.json(&json!([{ "number": number }])))
            .await?;
        self.inserted.fetch_add(1, Ordering::Relaxed);
        let one = format!("{TABLE}?number=eq.{number}&select=number");
        let found = self.send(self.get(&one)).await?;
        ensure!(found == json!([{ "number": number }]), "{found}");
        self.sql("select 1").await?;
        self.send(self.get("/api/database/tables")).await?;
        self.send(self.get("/api/database/migrations")).await?;
        Ok(())
    }

    async fn sql(&self, query: &str) -> anyhow::Result<Value> {
        let query = self
            .client
            .post(self.url(SQL))
            .json(&json!({ "query": query }));
        self.send(query).await
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    fn url(&self, path: &str) -> String {
        let edges = lock(&self.edges);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let turn = usize::try_from(turn).unwrap_or_default() % edges.len().max(1);
        let edge = edges.get(turn).map_or("", String::as_str);
        format!("{edge}{path}")
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let begin = Instant::now();
        let answer = async {
            let answer = request.bearer_auth(&self.key).send().await?;
            let (status, url) = (answer.status(), answer.url().to_string());
            let body = answer.text().await?;
            ensure!(status.is_success(), "{url}: {status} {body}");
            Ok(serde_json::from_str(&body).unwrap_or_default())
        };
        let answer = answer.await;
        let mut requests = lock(&self.requests);
        requests.sent += 1;
        requests.slowest = requests.slowest.max(begin.elapsed());
        answer
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
