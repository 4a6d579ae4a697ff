//! Services behind the edge are restarted one after the other under load, and nobody notices.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed step of a test is a failed test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::ensure;
use ingot_e2e::{TestCluster, eventually};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const TWO_BEHIND_THE_EDGE: [&str; 10] = [
    "--edges",
    "1",
    "--api",
    "2",
    "--records",
    "2",
    "--fanout",
    "1",
    "--relays",
    "1",
];

/// Clients that never pause.
const CLIENTS: usize = 4;

/// Requests that both read and write, through one connection that is kept.
#[derive(Clone)]
struct Load {
    client: Client,
    base_url: Arc<str>,
    key: Arc<str>,
    inserted: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
}

impl Load {
    async fn run(self) -> anyhow::Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.inserted.fetch_add(1, Ordering::Relaxed);
            let rows = "/api/database/records/rolling";
            let insert = self.client.post(self.url(rows));
            self.send(insert.json(&json!([{ "number": number }])))
                .await?;
            let one = format!("{rows}?number=eq.{number}&select=number");
            let found = self.send(self.client.get(self.url(&one))).await?;
            ensure!(found == json!([{ "number": number }]), "{found}");
            // Nothing that the edge may send twice.
            let count = self
                .client
                .post(self.url("/api/database/advance/rawsql"))
                .json(&json!({ "query": "select count(*) from public.rolling" }));
            self.send(count).await?;
            let tables = self.client.get(self.url("/api/database/tables"));
            self.send(tables).await?;
        }
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.bearer_auth(&self.key).send().await?;
        let (status, url) = (answer.status(), answer.url().to_string());
        let body = answer.text().await?;
        ensure!(status.is_success(), "{url}: {status} {body}");
        Ok(serde_json::from_str(&body).unwrap_or_default())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails() {
    let settings = [("INGOT_RATE_LIMIT", "1000000")];
    let cluster = TestCluster::start(&TWO_BEHIND_THE_EDGE, &settings).unwrap();
    let load = Load {
        client: Client::new(),
        base_url: cluster.variable("BASE_URL").into(),
        key: cluster.variable("API_KEY").into(),
        inserted: Arc::default(),
        stop: Arc::default(),
    };
    let create = load
        .client
        .post(load.url("/api/database/advance/rawsql"))
        .json(&json!({ "query": "create table public.rolling (number int primary key)" }));
    load.send(create).await.unwrap();
    // From here on the records service knows the table.
    eventually(async || {
        let read = load.client.get(load.url("/api/database/records/rolling"));
        load.send(read).await
    })
    .await
    .unwrap();

    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(load.clone().run());
    }
    for turn in [0, 1] {
        restart(&cluster, turn).await;
        assert_eq!(clients.len(), CLIENTS);
        if let Some(ended) = clients.try_join_next() {
            panic!("a request failed: {ended:?}");
        }
    }
    load.stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap().unwrap();
    }

    let count = load.client.post(load.url("/api/database/advance/rawsql"));
    let count = count.json(&json!({ "query": "select count(*)::int as n from public.rolling" }));
    let counted = load.send(count).await.unwrap();
    let inserted = load.inserted.load(Ordering::Relaxed);
    assert_eq!(counted["rows"][0]["n"], inserted, "each row once");
    assert!(inserted > 50, "too little load: {inserted}");
}

/// Restarts one of the two api and one of the two records processes, at the same time, and waits
/// until both are in use again.
async fn restart(cluster: &TestCluster, turn: usize) {
    let mut gone = Vec::new();
    for service in ["API", "RECORDS_PROXY"] {
        let files = cluster.variable(&format!("{service}_PIDFILES"));
        let file = files.split(',').nth(turn).unwrap();
        gone.push((file, cluster.terminate(file).unwrap()));
    }
    for (file, pid) in gone {
        cluster.successor_of(pid, file).await.unwrap();
    }
    eventually(async || {
        for service in ["API", "RECORDS_PROXY"] {
            ensure!(cluster.is_ready(service).await, "{service} is not ready");
        }
        Ok(())
    })
    .await
    .unwrap();
    // The edge looks at its upstreams four times a second while one of them is away.
    eventually(async || {
        let metrics = cluster.metrics("EDGE").await?;
        for service in ["api", "records"] {
            let ready = format!("edge_upstreams_ready{{service=\"{service}\"}} 2");
            ensure!(metrics.contains(&ready), "{metrics}");
        }
        Ok(())
    })
    .await
    .unwrap();
}
