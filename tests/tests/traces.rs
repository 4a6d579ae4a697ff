//! One trace over all processes: from the edge to the emit on a socket.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

use std::time::Duration;

use ingot_e2e::{Collector, TestCluster};
use ingot_testkit::{Node, NodeProcess};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

const ONE_OF_EACH: [&str; 6] = ["--edges", "1", "--api", "1", "--relays", "1"];
/// How long an event or a span may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A table whose inserts are published on the channel `traced`.
const SCHEMA: &str = "
    create table public.traced (id int primary key);
    insert into realtime.channels (pattern) values ('traced');
    create function public.announce() returns trigger language plpgsql
        security definer set search_path = '' as $$
    begin
        perform realtime.publish('traced', 'inserted', to_jsonb(new));
        return new;
    end $$;
    create trigger announce after insert on public.traced
        for each row execute function public.announce();";

#[tokio::test]
async fn an_insert_is_one_trace_from_the_edge_to_the_socket() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let collector = Collector::start().await.unwrap();
    let cluster = TestCluster::start(
        &ONE_OF_EACH,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ],
    )
    .unwrap();
    rawsql(&cluster, SCHEMA).send().await.unwrap();
    let mut socket = subscriber(&cluster, "traced").await;

    let by_record = "4bf92f3577b34da6a3ce929d0e0e4736";
    let insert = Client::new()
        .post(cluster.url("/api/database/records/traced"))
        .bearer_auth(cluster.variable("API_KEY"))
        .json(&json!([{"id": 1}]));
    succeed(insert, by_record).await;
    next(&mut socket, "event").await;
    collector
        .expect_line(
            by_record,
            "fanout.emit",
            &[
                "ingot-edge edge.request",
                "ingot-records-proxy http.request",
                "ingot-records-proxy records.transaction",
                "ingot-listen-relay relay.publish",
                "ingot-realtime-fanout fanout.emit",
            ],
            PATIENCE,
        )
        .await
        .unwrap();

    for (service, bucket) in [
        (
            "EDGE",
            "edge_request_duration_seconds_bucket{service=\"records\"",
        ),
        (
            "RECORDS_PROXY",
            "http_server_request_duration_seconds_bucket{method=\"POST\"",
        ),
    ] {
        let metrics = cluster.open_metrics(service).await.unwrap();
        let example = format!(" # {{trace_id=\"{by_record}\"}} ");
        let named = |line: &str| line.starts_with(bucket) && line.contains(&example);
        assert_eq!(
            metrics.lines().filter(|line| named(line)).count(),
            1,
            "{metrics}"
        );
        assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    }

    // An administrator's SQL is as much a part of its trace.
    let by_sql = "0af7651916cd43dd8448eb211c80319c";
    succeed(
        rawsql(&cluster, "insert into public.traced values (2)"),
        by_sql,
    )
    .await;
    next(&mut socket, "event").await;
    collector
        .expect_line(
            by_sql,
            "fanout.emit",
            &[
                "ingot-edge edge.request",
                "ingot-api http.request",
                "ingot-listen-relay relay.publish",
                "ingot-realtime-fanout fanout.emit",
            ],
            PATIENCE,
        )
        .await
        .unwrap();
}

fn rawsql(cluster: &TestCluster, query: &str) -> RequestBuilder {
    Client::new()
        .post(cluster.url("/api/database/advance/rawsql"))
        .bearer_auth(cluster.variable("API_KEY"))
        .json(&json!({ "query": query }))
}

/// Sends a request as part of a trace.
async fn succeed(request: RequestBuilder, trace: &str) {
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let answer = request.header("traceparent", parent).send().await.unwrap();
    let status = answer.status();
    assert!(
        status.is_success(),
        "{status} {}",
        answer.text().await.unwrap()
    );
}

/// A socket that has subscribed to a channel.
async fn subscriber(cluster: &TestCluster, channel: &str) -> NodeProcess {
    let script = Node::script("realtime/sockets.mjs").timeout(Duration::from_mins(2));
    let mut process = script.start().unwrap();
    let connect = json!({
        "do": "connect", "socket": "s", "url": cluster.url("/"), "transports": ["websocket"],
        "auth": {"apiKey": cluster.variable("API_KEY")},
    });
    process.send(&connect).await.unwrap();
    next(&mut process, "connected").await;
    let subscribe = json!({
        "do": "emit", "socket": "s", "event": "realtime:subscribe",
        "args": [{"channel": channel}], "ack": true,
    });
    process.send(&subscribe).await.unwrap();
    let answer = next(&mut process, "ack").await;
    assert_eq!(
        answer.pointer("/answer/0/ok"),
        Some(&json!(true)),
        "{answer}"
    );
    process
}

/// The next report with this field; `data:update` is not what is waited for.
async fn next(process: &mut NodeProcess, field: &str) -> Value {
    loop {
        let report = tokio::time::timeout(PATIENCE, process.next()).await;
        let report = report.unwrap().unwrap().unwrap();
        if report.get(field).is_some() && report.get("event") != Some(&json!("data:update")) {
            return report;
        }
    }
}
