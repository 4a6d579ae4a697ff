//! A node with real PostgreSQL and NATS, driven by socket.io-client.

#[allow(dead_code, reason = "each test binary uses its own part")]
pub(crate) mod raw;

use std::time::Duration;

use anyhow::{Context, bail};
use ingot_bus::{Bus, BusSettings, Room, RoomMessage, RoomPublisher, RoomSubscription, SenderType};
use ingot_config::{Environment, Settings};
use ingot_identity::{SeedSettings, Seeded};
use ingot_testkit::{Node, NodeProcess, TestProject, TestService};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

#[allow(dead_code, reason = "each test binary uses its own part")]
pub(crate) const USER: &str = "5d0dbf2c-1f9c-4d0e-8a53-0a5f3d4b6a01";

/// A project with channels `orders` and `room:%`, its keys, and the bus.
pub(crate) struct Scene {
    pub(crate) project: TestProject,
    pub(crate) bus: Bus,
    pub(crate) keys: Seeded,
    publisher: RoomPublisher,
}

#[allow(dead_code, reason = "each test binary uses its own part")]
impl Scene {
    pub(crate) async fn new() -> anyhow::Result<Self> {
        let project = TestProject::create().await?;
        project
            .execute("insert into realtime.channels (pattern) values ('orders'), ('room:%')")
            .await?;
        let mut owner = project.superuser().await?;
        let settings = SeedSettings::load(&Environment::default())?;
        let keys = ingot_identity::seed(&mut owner, project.project(), &settings).await?;
        let bus = Bus::connect(&BusSettings::load(&project.environment())?, "test").await?;
        let publisher = RoomPublisher::new(bus.clone(), project.project().id.clone());
        publisher.prepare().await?;
        Ok(Self {
            project,
            bus,
            keys,
            publisher,
        })
    }

    pub(crate) async fn node(&self) -> anyhow::Result<TestService> {
        self.node_with(&[]).await
    }

    pub(crate) async fn node_with(&self, settings: &[(&str, &str)]) -> anyhow::Result<TestService> {
        TestService::start(&self.project, settings, ingot_realtime_fanout::serve).await
    }

    /// A token of the project's own users or of a third party.
    pub(crate) fn token(&self, claims: &Value) -> anyhow::Result<String> {
        let key = self.project.project().jwt_secret.expose().as_bytes();
        Ok(jsonwebtoken::encode(
            &jsonwebtoken::Header::default(),
            claims,
            &jsonwebtoken::EncodingKey::from_secret(key),
        )?)
    }

    pub(crate) fn user_auth(&self, subject: &str) -> anyhow::Result<Value> {
        let claims = json!({"sub": subject, "role": "authenticated", "exp": 4_000_000_000_u64});
        Ok(json!({ "token": self.token(&claims)? }))
    }

    pub(crate) fn anon_auth(&self) -> Value {
        json!({ "token": self.keys.anon_key.expose() })
    }

    /// What the edge adds to requests.
    pub(crate) fn headers(&self) -> Value {
        json!({
            "x-ingot-project": self.project.project().id.to_string(),
            "x-ingot-edge-key": self.project.edge_key().expose(),
        })
    }

    pub(crate) fn connect(&self, socket: &str, node: &TestService, auth: &Value) -> Value {
        json!({
            "do": "connect",
            "socket": socket,
            "url": node.url("/"),
            "auth": auth,
            "transports": ["websocket"],
            "headers": self.headers(),
        })
    }

    /// Publishes as the relay does.
    pub(crate) async fn publish(
        &mut self,
        channel: &str,
        event: &str,
        payload: &str,
    ) -> anyhow::Result<Uuid> {
        let message = RoomMessage {
            id: Uuid::new_v4(),
            channel: channel.to_owned(),
            event: event.to_owned(),
            payload: Some(RawValue::from_string(payload.to_owned())?),
            sender_type: SenderType::System,
            sender_id: None,
        };
        self.publish_message(&message).await?;
        Ok(message.id)
    }

    pub(crate) async fn publish_message(&mut self, message: &RoomMessage) -> anyhow::Result<()> {
        self.publisher.publish(message).await?;
        self.publisher.flush().await;
        Ok(())
    }

    pub(crate) async fn join(&self, channel: &str) -> anyhow::Result<RoomSubscription> {
        let room = Room {
            project: self.project.project().id.clone(),
            channel: channel.to_owned(),
        };
        Ok(self.bus.join(room).await?)
    }
}

/// The sockets of one Node process, and what they reported.
pub(crate) struct Sockets {
    process: NodeProcess,
    reported: Vec<Value>,
}

#[allow(dead_code, reason = "each test binary uses its own part")]
impl Sockets {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let script = Node::script("realtime/sockets.mjs").timeout(Duration::from_mins(1));
        Ok(Self {
            process: script.start()?,
            reported: Vec::new(),
        })
    }

    pub(crate) async fn tell(&mut self, command: Value) -> anyhow::Result<()> {
        self.process.send(&command).await
    }

    /// The next report of a socket that has `field`; others wait for their turn.
    pub(crate) async fn hear(&mut self, socket: &str, field: &str) -> anyhow::Result<Value> {
        let fits = |report: &Value| {
            report.get("socket") == Some(&json!(socket)) && report.get(field).is_some()
        };
        if let Some(position) = self.reported.iter().position(fits) {
            return Ok(self.reported.remove(position));
        }
        let patience = Duration::from_secs(15);
        loop {
            let report = tokio::time::timeout(patience, self.process.next())
                .await
                .with_context(|| format!("no `{field}` of {socket}, only {:?}", self.reported))??;
            match report {
                Some(report) if fits(&report) => return Ok(report),
                Some(report) => self.reported.push(report),
                None => bail!(
                    "the clients ended without `{field}` of {socket}: {:?}",
                    self.reported
                ),
            }
        }
    }

    /// What was reported and not asked for, after a quiet while.
    pub(crate) async fn rest(&mut self) -> anyhow::Result<Vec<Value>> {
        while let Ok(report) =
            tokio::time::timeout(Duration::from_millis(500), self.process.next()).await
        {
            match report? {
                Some(report) => self.reported.push(report),
                None => break,
            }
        }
        Ok(std::mem::take(&mut self.reported))
    }

    pub(crate) async fn connect(&mut self, command: Value) -> anyhow::Result<String> {
        let socket = text(&command, "socket");
        self.tell(command).await?;
        let connected = self.hear(&socket, "connected").await?;
        Ok(text(&connected, "connected"))
    }

    pub(crate) async fn ask(
        &mut self,
        socket: &str,
        event: &str,
        argument: Value,
    ) -> anyhow::Result<Value> {
        self.tell(json!({
            "do": "emit", "socket": socket, "event": event, "args": [argument], "ack": true,
        }))
        .await?;
        let answer = self.hear(socket, "ack").await?;
        answer
            .pointer("/answer/0")
            .cloned()
            .context("an empty answer")
    }

    pub(crate) async fn emit(
        &mut self,
        socket: &str,
        event: &str,
        args: Value,
    ) -> anyhow::Result<()> {
        self.tell(json!({"do": "emit", "socket": socket, "event": event, "args": args}))
            .await
    }

    pub(crate) async fn subscribe(&mut self, socket: &str, channel: &str) -> anyhow::Result<Value> {
        let answer = self
            .ask(socket, "realtime:subscribe", json!({ "channel": channel }))
            .await?;
        anyhow::ensure!(answer.get("ok") == Some(&json!(true)), "{answer}");
        Ok(answer)
    }
}

fn text(report: &Value, field: &str) -> String {
    let text = report.get(field).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}
