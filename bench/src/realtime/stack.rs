//! Relay, node and edge as processes, beside real PostgreSQL and NATS; and the peer.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use ingot_identity::{Credential, Identity, Role};
use ingot_private_servers::free_port;
use ingot_testkit::TestProject;
use sqlx::PgConnection;
use tokio::process::Command;

use super::socket::Entrance;
use crate::child::Process;

const PATIENCE: Duration = Duration::from_secs(30);
/// Folder of the peer, relative to the workspace.
const PEERS: &str = "bench/peers";

pub(super) struct Stack {
    pub(super) project: TestProject,
    _relay: Process,
    pub(super) node: Process,
    node_address: SocketAddr,
    pub(super) edge: Process,
    edge_address: SocketAddr,
}

/// A further node.
pub(super) struct Node {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
}

impl Stack {
    pub(super) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let project = TestProject::create().await?;
        project
            .execute("insert into realtime.channels (pattern) values ('bench'), ('bench:%')")
            .await?;
        let (relay, relay_address) = service(&project, "serve-relay", folder).await?;
        let (node, node_address) = service(&project, "serve-fanout", folder).await?;
        let (edge, edge_address) = edge(&project, node_address, folder).await?;
        for address in [relay_address, node_address] {
            ready(&format!("http://{address}/readyz")).await?;
        }
        ready(&format!(
            "http://{edge_address}/socket.io/?EIO=4&transport=polling"
        ))
        .await?;
        Ok(Self {
            project,
            _relay: relay,
            node,
            node_address,
            edge,
            edge_address,
        })
    }

    /// Starts another node, which no edge knows.
    pub(super) async fn further_node(&self, folder: &Path) -> anyhow::Result<Node> {
        let (process, address) = service(&self.project, "serve-fanout", folder).await?;
        ready(&format!("http://{address}/readyz")).await?;
        Ok(Node { process, address })
    }

    /// Where the first node listens.
    pub(super) fn node_address(&self) -> SocketAddr {
        self.node_address
    }

    /// The way of a client to a channel past the edge, to a certain node.
    pub(super) fn entrance_to(&self, node: SocketAddr, channel: &str) -> anyhow::Result<Entrance> {
        Ok(Entrance {
            address: node,
            headers: format!(
                "x-ingot-project: {}\r\nx-ingot-edge-key: {}\r\n",
                self.project.project().id,
                self.project.edge_key().expose()
            ),
            ..self.entrance(Some(channel))?
        })
    }

    /// The way of a client through the edge to a channel; none subscribes to nothing.
    pub(super) fn entrance(&self, channel: Option<&str>) -> anyhow::Result<Entrance> {
        let user = Identity {
            role: Role::Authenticated,
            subject: Some(uuid::Uuid::new_v4().to_string()),
            email: None,
            credential: Credential::Token,
            expires_at: None,
        };
        let token = ingot_identity::postgrest_token(self.project.project(), &user)?;
        Ok(Entrance {
            address: self.edge_address,
            host: self.edge_address.to_string(),
            headers: String::new(),
            auth: format!(r#"{{"token":"{token}"}}"#),
            subscribe: channel.map_or_else(String::new, |channel| {
                format!(r#"["realtime:subscribe",{{"channel":"{channel}"}}]"#)
            }),
        })
    }

    pub(super) async fn sql(&self) -> anyhow::Result<PgConnection> {
        self.project.superuser().await
    }
}

async fn service(
    project: &TestProject,
    part: &str,
    folder: &Path,
) -> anyhow::Result<(Process, SocketAddr)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port(None)?));
    let environment = project
        .environment()
        .with([("INGOT_LISTEN", address.to_string())]);
    let variables: Vec<(&str, String)> = environment
        .iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
    let log = folder.join(format!("{part}.out"));
    let process = Process::start_self(&[part], &variables, &log)?;
    Ok((process.listening_on(address).await?, address))
}

async fn edge(
    project: &TestProject,
    node: SocketAddr,
    folder: &Path,
) -> anyhow::Result<(Process, SocketAddr)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port(None)?));
    let health = SocketAddr::from(([127, 0, 0, 1], free_port(None)?));
    let environment = project.environment().with([
        ("INGOT_EDGE_ADDRESS", "127.0.0.1".to_owned()),
        ("PORT", address.port().to_string()),
        ("INGOT_EDGE_ADMIN_LISTEN", health.to_string()),
        ("INGOT_UPSTREAM_API", node.to_string()),
        ("INGOT_UPSTREAM_RECORDS", node.to_string()),
        ("INGOT_UPSTREAM_MIGRATION", node.to_string()),
        ("INGOT_UPSTREAM_REALTIME", node.to_string()),
        ("INGOT_RATE_LIMIT", u32::MAX.to_string()),
        ("TRUST_PROXY", "0".to_owned()),
    ]);
    let variables: Vec<(&str, String)> = environment
        .iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
    let process = Process::start_self(&["serve-edge"], &variables, &folder.join("edge.out"))?;
    Ok((process.listening_on(address).await?, address))
}

async fn ready(url: &str) -> anyhow::Result<()> {
    let begin = tokio::time::Instant::now();
    loop {
        let answer = reqwest::get(url).await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        ensure!(begin.elapsed() < PATIENCE, "{url} does not become ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Another server that broadcasts when it is asked to.
pub(super) struct Peer {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
}

impl Peer {
    /// Write calls and nothing else.
    pub(super) async fn bare(folder: &Path) -> anyhow::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port(None)?));
        let arguments = ["serve-writes", &address.to_string()];
        let process = Process::start_self(&arguments, &[], &folder.join("writes.out"))?;
        Ok(Self {
            process: process.listening_on(address).await?,
            address,
        })
    }

    /// Node's socket.io server.
    pub(super) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let installed = Command::new("npm")
            .args(["ci", "--no-progress", "--silent"])
            .current_dir(PEERS)
            .status()
            .await
            .context("npm is not installed")?;
        ensure!(installed.success(), "npm ci failed in {PEERS}");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port(None)?));
        let script = format!("{PEERS}/socketio.mjs");
        let process = Process::start(
            Path::new("node"),
            &[&script],
            &[("PORT", address.port().to_string())],
            &folder.join("peer.out"),
        )?;
        Ok(Self {
            process: process.listening_on(address).await?,
            address,
        })
    }

    pub(super) fn entrance(&self) -> Entrance {
        Entrance {
            address: self.address,
            host: self.address.to_string(),
            headers: String::new(),
            auth: String::new(),
            subscribe: r#"["join","bench"]"#.to_owned(),
        }
    }

    /// Lets it broadcast; returns when it has.
    pub(super) async fn emit(&self, rate: u32, seconds: u32, bytes: usize) -> anyhow::Result<()> {
        let query = format!("rate={rate}&seconds={seconds}&bytes={bytes}");
        let url = format!("http://{}/emit?{query}", self.address);
        reqwest::get(url).await?.error_for_status()?;
        Ok(())
    }
}
