//! `ingot cluster` with several of each: it says where everything is, and works.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed step of a test is a failed test"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use ingot_e2e::{TestCluster, eventually, is_running, monitoring};

/// As `make cluster EDGES=2 FANOUT=3 RELAYS=2 API=2`.
const SEVERAL: [&str; 8] = [
    "--edges", "2", "--fanout", "3", "--relays", "2", "--api", "2",
];

const COUNTS: [(&str, usize); 6] = [
    ("EDGE", 2),
    ("API", 2),
    ("RECORDS_PROXY", 1),
    ("MIGRATION", 1),
    ("REALTIME_FANOUT", 3),
    ("LISTEN_RELAY", 2),
];

/// What monitoring relies on, as it is there after a few requests and messages.
const METRICS: [(&str, &str); 16] = [
    (
        "EDGE",
        "edge_requests_total{service=\"api\",status=\"2xx\"}",
    ),
    (
        "EDGE",
        "edge_requests_total{service=\"records\",status=\"2xx\"}",
    ),
    (
        "EDGE",
        "edge_request_duration_seconds_bucket{service=\"api\",le=\"",
    ),
    ("EDGE", "edge_upstreams_ready{service=\"realtime\"} 3"),
    ("EDGE", "edge_upstreams_known{service=\"api\"} 2"),
    (
        "API",
        "http_server_requests_total{method=\"POST\",route=\"/api/auth/sessions\",status=\"200\"}",
    ),
    ("API", "http_server_request_duration_seconds_bucket{method="),
    (
        "RECORDS_PROXY",
        "http_server_requests_total{method=\"GET\",route=\"/api/database/records/{",
    ),
    ("RECORDS_PROXY", "http_server_request_duration_seconds_sum{"),
    ("REALTIME_FANOUT", "\nrealtime_sockets "),
    ("REALTIME_FANOUT", "\nrealtime_messages_total "),
    ("REALTIME_FANOUT", "\nrealtime_deliveries_total "),
    (
        "LISTEN_RELAY",
        "realtime_relay_active{project=\"default\"} 1",
    ),
    (
        "LISTEN_RELAY",
        "realtime_relay_active{project=\"default\"} 0",
    ),
    (
        "LISTEN_RELAY",
        "realtime_relay_messages_total{project=\"default\"}",
    ),
    ("LISTEN_RELAY", "realtime_relay_delay_seconds_bucket{"),
];

fn list(cluster: &TestCluster, variable: &str) -> Vec<String> {
    let list = cluster.variable(variable).split(',');
    list.map(str::to_owned).collect()
}

#[tokio::test]
async fn several_of_each_are_announced_and_work_together() {
    let cluster = TestCluster::start(&SEVERAL, &[]).unwrap();
    let mut addresses = BTreeSet::new();
    let mut pids = BTreeSet::new();
    for (service, count) in COUNTS {
        let listed = list(&cluster, &format!("{service}_ADDRESSES"));
        assert_eq!(listed.len(), count, "{service}: {listed:?}");
        addresses.extend(listed);
        let health = list(&cluster, &format!("{service}_HEALTH_ADDRESSES"));
        assert_eq!(health.len(), count, "{service}: {health:?}");
        let pid_files = list(&cluster, &format!("{service}_PIDFILES"));
        assert_eq!(pid_files.len(), count, "{service}: {pid_files:?}");
        assert_eq!(
            pid_files[0],
            cluster.variable(&format!("{service}_PIDFILE"))
        );
        for file in pid_files {
            let pid = cluster.pid(&file).unwrap();
            let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
            let name = service.to_ascii_lowercase().replace('_', "-");
            assert!(program.ends_with(format!("ingot-{name}")), "{program:?}");
            pids.insert(pid);
        }
        assert!(cluster.is_ready(service).await, "{service}");
    }
    for server in ["INGOT_PIDFILE", "POSTGRES_PIDFILE", "NATS_PIDFILE"] {
        pids.insert(cluster.pid(server).unwrap());
    }
    let processes = COUNTS.iter().map(|(_, count)| count).sum::<usize>();
    assert_eq!((addresses.len(), pids.len()), (processes, processes + 3));
    assert_eq!(list(&cluster, "EDGE_URLS").len(), 2);

    let steps = cluster
        .script("e2e/first-flow.mjs")
        .timeout(Duration::from_secs(90))
        .run();
    let steps = steps.await.unwrap();
    assert_eq!(steps.last().unwrap()["step"], "5 dashboard", "{steps:?}");
    let steps = cluster.script("e2e/two-edges.mjs").run().await.unwrap();
    assert_eq!(steps.last().unwrap()["step"], "counted", "{steps:?}");

    for (service, series) in METRICS {
        let metrics = cluster.metrics(service).await.unwrap();
        assert!(metrics.contains(series), "{service}: {series}: {metrics}");
    }

    assert_eq!(unknown_metrics(&cluster).await, BTreeSet::new());
    logs_more_and_less_while_it_runs(&cluster).await;

    drop(cluster);
    for pid in pids {
        assert!(!is_running(pid), "{pid} still runs");
    }
}

/// What the dashboard and the alerts name and no process has.
async fn unknown_metrics(cluster: &TestCluster) -> BTreeSet<String> {
    let mut exported = BTreeSet::new();
    for (service, _) in COUNTS {
        let metrics = cluster.metrics(service).await.unwrap();
        let series = metrics.lines().filter(|line| !line.starts_with('#'));
        exported.extend(series.filter_map(|line| {
            let name = line.split(['{', ' ']).next()?;
            Some(name.to_owned())
        }));
    }
    // Only in a container with a limit, with certificates, and with the source `wal`.
    for elsewhere in [
        "process_memory_limit_bytes",
        "edge_certificate_end_seconds",
        "realtime_relay_log_open",
    ] {
        exported.insert(elsewhere.to_owned());
    }
    let expressions = monitoring::expressions().unwrap();
    let named = expressions
        .values()
        .flat_map(|expression| monitoring::metrics_in(expression));
    named
        .filter(|name| !exported.contains(*name))
        .map(str::to_owned)
        .collect()
}

/// Signals change the level of the log.
async fn logs_more_and_less_while_it_runs(cluster: &TestCluster) {
    let log = cluster.data().join("logs/api.log");
    let changes = || std::fs::read_to_string(&log).unwrap();
    for (signal, level) in [("-USR1", "debug"), ("-USR2", "info")] {
        let before = changes().len();
        cluster.signal("API_PIDFILE", signal).unwrap();
        eventually(async || {
            let log = changes();
            let new = log.get(before..).unwrap_or_default();
            let changed = new.contains("the log level was changed") && new.contains(level);
            anyhow::ensure!(changed, "{signal}: {new}");
            Ok(())
        })
        .await
        .unwrap();
    }
}
