//! The subscribers: sockets of the official client, in one process of its own.

use std::time::Duration;

use anyhow::Context;
use ingot_testkit::{Node, NodeProcess};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::account::{Committed, Noted};
use super::messages::{Listeners, Load};

/// Longest life of the subscribers: a whole matrix.
const LIFE: Duration = Duration::from_mins(30);
/// Channels of each subscriber.
const EACH: usize = 2;

#[derive(Debug)]
pub(super) struct Subscribers {
    process: NodeProcess,
    /// The channels of each.
    channels: Vec<Vec<String>>,
}

impl Subscribers {
    /// Starts them and waits until all are subscribed.
    pub(super) async fn start(listeners: &Listeners, load: Load) -> anyhow::Result<Self> {
        let script = Node::script("realtime/subscribers.mjs").timeout(LIFE);
        let mut process = script.start()?;
        process
            .send(&json!({
                "do": "start",
                "edges": listeners.edges,
                "auth": {"token": listeners.token},
                "count": load.subscribers,
                "channels": load.channels,
                "each": EACH,
            }))
            .await?;
        let Started { started } = answer(&mut process).await?;
        Ok(Self {
            process,
            channels: started,
        })
    }

    /// How many messages they have noted, all together.
    pub(super) async fn count(&mut self) -> anyhow::Result<usize> {
        self.process.send(&json!({"do": "count"})).await?;
        let Counted { count, .. } = answer(&mut self.process).await?;
        Ok(count)
    }

    /// How many have no connection.
    pub(super) async fn away(&mut self) -> anyhow::Result<usize> {
        self.process.send(&json!({"do": "count"})).await?;
        let Counted { away, .. } = answer(&mut self.process).await?;
        Ok(away)
    }

    /// How many they should have noted.
    pub(super) fn expected(&self, committed: &Committed) -> usize {
        let channels = self.channels.iter().flatten();
        channels.map(|channel| committed.of(channel).len()).sum()
    }

    /// What each has noted since the last time.
    pub(super) async fn collect(&mut self) -> anyhow::Result<Vec<Noted>> {
        self.process.send(&json!({"do": "collect"})).await?;
        let mut all = Vec::new();
        for channels in &self.channels {
            let mut noted: Noted = answer(&mut self.process).await?;
            noted.channels.clone_from(channels);
            all.push(noted);
        }
        Ok(all)
    }
}

#[derive(Deserialize)]
struct Started {
    started: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct Counted {
    count: usize,
    away: usize,
}

async fn answer<T: DeserializeOwned>(process: &mut NodeProcess) -> anyhow::Result<T> {
    let answer = process.next().await?.context("the subscribers ended")?;
    Ok(serde_json::from_value(answer)?)
}
