//! A rehearsal of what operators and machines do to a cluster: every process has a network
//! address of its own, services find each other by DNS, and while clients read, write and listen,
//! services are rolled, scaled, lost and cut off.
//!
//! [`lan`] is the network, [`resolver`] the DNS, [`cluster`] the processes, [`traffic`] the HTTP
//! clients; sockets and messages are those of [`crate::chaos`].

mod cluster;
mod lan;
mod resolver;
mod scene;
mod traffic;

pub use lan::{Lan, Machine};
pub use scene::Scene;
pub use traffic::Requests;

use std::fmt;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::sleep;

use crate::chaos::{Account, Listeners, Load, Messages};
use cluster::Cluster;
use traffic::Traffic;

/// A cluster under load.
#[derive(Debug)]
pub struct Rehearsal {
    messages: Messages,
    traffic: Traffic,
    cluster: Cluster,
    calm: Duration,
}

impl Rehearsal {
    /// Starts a cluster and its clients.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn start(load: Load) -> anyhow::Result<Self> {
        // A second call changes nothing.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let cluster = Cluster::start().await?;
        let listeners = Listeners {
            database_url: cluster.database_url(),
            edges: cluster.edges(),
            token: cluster.secret("ACCESS_ANON_KEY").to_owned(),
        };
        let begun = async {
            let messages = Messages::start(&listeners, load).await?;
            let key = cluster.secret("ACCESS_API_KEY");
            anyhow::Ok((messages, Traffic::start(cluster.edges(), key).await?))
        };
        let begun = begun.await;
        let (messages, traffic) = begun.with_context(|| cluster.last_words())?;
        Ok(Self {
            messages,
            traffic,
            cluster,
            calm: load.calm,
        })
    }

    /// One scene under load, and what it did to clients.
    ///
    /// # Errors
    /// The scene cannot be played, or its accounts cannot be read.
    pub async fn play(&mut self, scene: Scene) -> anyhow::Result<Outcome> {
        self.traffic.collect();
        self.messages.begin();
        sleep(self.calm).await;
        let played = scene.play(&mut self.cluster, &self.traffic).await;
        played.with_context(|| format!("{}: {}", scene.name(), self.cluster.last_words()))?;
        sleep(self.calm).await;
        let requests = self.traffic.collect();
        let messages = self.messages.end(scene.name()).await?;
        Ok(Outcome {
            requests,
            messages,
            may_break_off: scene.may_break_off(),
        })
    }

    /// What the processes logged last.
    pub fn last_words(&self) -> String {
        self.cluster.last_words()
    }

    /// Ends the clients and looks whether what was acknowledged is there.
    ///
    /// # Errors
    /// Rows are missing.
    pub async fn end(self) -> anyhow::Result<()> {
        let missing = self.traffic.stop().await?;
        ensure!(missing == 0, "{missing} acknowledged rows are missing");
        Ok(())
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Outcome {
    /// HTTP.
    pub requests: Requests,
    /// Sockets and messages.
    pub messages: Account,
    /// Whether some requests cannot but fail.
    may_break_off: bool,
}

impl Outcome {
    /// Whether no client can tell that anything happened: no failed request, no message lost or
    /// doubled, no socket that stayed away. Where some requests cannot but fail, they may.
    pub fn is_flawless(&self) -> bool {
        let answered = self.requests.failed == 0 || self.may_break_off;
        answered && self.messages.is_flawless() && self.messages.away == 0
    }

    /// The head of the table.
    pub fn heading() -> &'static str {
        "| what happens | requests | failed | slowest answer | messages | lost | doubled or out of \
         order | sockets broken | not back | longest wait |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            requests, messages, ..
        } = self;
        write!(
            f,
            "| {} | {} | {} | {:.1} s | {} | {} | {} | {} | {} | {:.1} s |",
            messages.name,
            requests.sent,
            requests.failed,
            requests.slowest.as_secs_f64(),
            messages.committed,
            messages.lost,
            messages.duplicated + messages.out_of_order,
            messages.cuts,
            messages.away,
            messages.longest_wait,
        )
    }
}
