//! What can fail, and how it is made to fail.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::sleep;

use crate::{TestCluster, eventually};

/// How long a silent connection stays silent: longer than it takes to notice.
const SILENCE: Duration = Duration::from_secs(8);
/// How long a paused node stands still.
pub const PAUSE: Duration = Duration::from_secs(20);

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The active relay is killed.
    RelayKilled,
    /// PostgreSQL ends the connection that listens.
    ListenEnded,
    /// PostgreSQL ends the connection on which its log is read, where it is.
    LogEnded,
    /// The connection that listens stays open, and nothing comes any more.
    ListenSilent,
    /// PostgreSQL restarts.
    PostgresRestarted,
    /// NATS is killed and restarts.
    NatsRestarted,
    /// A realtime node is killed.
    NodeKilled,
    /// The realtime nodes restart one after the other.
    NodesRolled,
    /// An edge is killed.
    EdgeKilled,
    /// A realtime node stands still and goes on.
    NodePaused,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::None,
        Self::RelayKilled,
        Self::ListenEnded,
        Self::LogEnded,
        Self::ListenSilent,
        Self::PostgresRestarted,
        Self::NatsRestarted,
        Self::NodeKilled,
        Self::NodesRolled,
        Self::EdgeKilled,
        Self::NodePaused,
    ];

    /// What a table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::RelayKilled => "kill -9 of the active relay",
            Self::ListenEnded => "pg_terminate_backend of its LISTEN",
            Self::LogEnded => "pg_terminate_backend of its log",
            Self::ListenSilent => "SIGSTOP of its backend for 8 s",
            Self::PostgresRestarted => "restart of PostgreSQL",
            Self::NatsRestarted => "kill -9 and restart of NATS",
            Self::NodeKilled => "kill -9 of a node",
            Self::NodesRolled => "rolling restart of all nodes",
            Self::EdgeKilled => "kill -9 of an edge",
            Self::NodePaused => "SIGSTOP of a node for 20 s",
        }
    }

    /// Lets it happen; returns when everything is back.
    pub(super) async fn happen(self, cluster: &TestCluster) -> anyhow::Result<()> {
        match self {
            Self::None => {
                sleep(Duration::from_secs(2)).await;
                Ok(())
            }
            Self::RelayKilled => {
                let active = active_relay(cluster).await?;
                replace(cluster, &active, "-KILL", "LISTEN_RELAY").await
            }
            Self::ListenEnded => {
                let mut connection =
                    PgConnection::connect(cluster.variable("DATABASE_URL")).await?;
                sqlx::query("select pg_terminate_backend($1)")
                    .bind(listener(&mut connection).await?)
                    .execute(&mut connection)
                    .await?;
                Ok(connection.close().await?)
            }
            Self::LogEnded => {
                let mut connection =
                    PgConnection::connect(cluster.variable("DATABASE_URL")).await?;
                connection
                    .execute(
                        "select pg_terminate_backend(active_pid) from pg_replication_slots
                        where database = current_database() and active",
                    )
                    .await?;
                Ok(connection.close().await?)
            }
            Self::ListenSilent => {
                let mut connection =
                    PgConnection::connect(cluster.variable("DATABASE_URL")).await?;
                let backend = listener(&mut connection).await?;
                TestCluster::signal_process(backend, "-STOP")?;
                sleep(SILENCE).await;
                TestCluster::signal_process(backend, "-CONT")?;
                Ok(connection.close().await?)
            }
            Self::PostgresRestarted => replace(cluster, "POSTGRES_PIDFILE", "-INT", "API").await,
            Self::NatsRestarted => {
                replace(cluster, "NATS_PIDFILE", "-KILL", "REALTIME_FANOUT").await
            }
            Self::NodeKilled => {
                let node = pid_file(cluster, "REALTIME_FANOUT", 0)?;
                replace(cluster, &node, "-KILL", "REALTIME_FANOUT").await
            }
            Self::NodesRolled => {
                let files = cluster.variable("REALTIME_FANOUT_PIDFILES");
                for node in files.split(',') {
                    replace(cluster, node, "-TERM", "REALTIME_FANOUT").await?;
                }
                Ok(())
            }
            Self::EdgeKilled => {
                let edge = pid_file(cluster, "EDGE", 1)?;
                replace(cluster, &edge, "-KILL", "EDGE").await
            }
            Self::NodePaused => {
                let node = cluster.pid(&pid_file(cluster, "REALTIME_FANOUT", 1)?)?;
                TestCluster::signal_process(node, "-STOP")?;
                sleep(PAUSE).await;
                TestCluster::signal_process(node, "-CONT")
            }
        }
    }
}

/// Ends a process and waits for its successor, and until `service` is ready.
async fn replace(
    cluster: &TestCluster,
    pid_file: &str,
    signal: &str,
    service: &str,
) -> anyhow::Result<()> {
    let pid = cluster.pid(pid_file)?;
    TestCluster::signal_process(pid, signal)?;
    cluster.successor_of(pid, pid_file).await?;
    eventually(async || {
        ensure!(cluster.is_ready(service).await, "{service} is not ready");
        Ok(())
    })
    .await
}

fn pid_file(cluster: &TestCluster, service: &str, number: usize) -> anyhow::Result<String> {
    let files = cluster.variable(&format!("{service}_PIDFILES"));
    let file = files.split(',').nth(number).context("no such process")?;
    Ok(file.to_owned())
}

/// The pid file of the relay that leads.
async fn active_relay(cluster: &TestCluster) -> anyhow::Result<String> {
    let client = reqwest::Client::new();
    let addresses = cluster.variable("LISTEN_RELAY_HEALTH_ADDRESSES");
    eventually(async || {
        for (number, address) in addresses.split(',').enumerate() {
            let ready = client
                .get(format!("http://{address}/readyz"))
                .send()
                .await?;
            let ready: Value = ready.json().await?;
            let relays = ready.get("relays").and_then(Value::as_object);
            if relays
                .into_iter()
                .flatten()
                .any(|(_, relay)| relay.get("role") == Some(&Value::from("active")))
            {
                return pid_file(cluster, "LISTEN_RELAY", number);
            }
        }
        anyhow::bail!("no relay is active")
    })
    .await
}

/// The backend of the connection that listens.
async fn listener(connection: &mut PgConnection) -> anyhow::Result<i32> {
    let backend = sqlx::query_scalar(
        "select pid from pg_locks
        where locktype = 'advisory' and granted
            and database = (select oid from pg_database where datname = current_database())
        order by objid desc
        limit 1",
    )
    .fetch_one(connection)
    .await?;
    Ok(backend)
}
