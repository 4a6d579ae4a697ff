//! A project, the bus, and what rooms of it hear.

use std::time::Duration;

use anyhow::{Context, ensure};
use ingot_bus::{Bus, BusSettings, Room, RoomSubscription};
use ingot_config::Settings;
use ingot_listen_relay::serve;
use ingot_testkit::{TestProject, TestService};
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
pub(crate) const QUIET: Duration = Duration::from_millis(700);

pub(crate) struct Scene {
    pub(crate) project: TestProject,
    pub(crate) bus: Bus,
}

impl Scene {
    pub(crate) async fn new() -> anyhow::Result<Self> {
        let project = TestProject::create().await?;
        project
            .execute("insert into realtime.channels (pattern) values ('orders'), ('room:%')")
            .await?;
        let bus = Bus::connect(&BusSettings::load(&project.environment())?, "test").await?;
        Ok(Self { project, bus })
    }

    pub(crate) async fn relay(&self) -> anyhow::Result<TestService> {
        TestService::start(&self.project, &[], serve).await
    }

    pub(crate) async fn join(&self, channel: &str) -> anyhow::Result<RoomSubscription> {
        let room = Room {
            project: self.project.project().id.clone(),
            channel: channel.to_owned(),
        };
        Ok(self.bus.join(room).await?)
    }
}

pub(crate) async fn publish(
    connection: &mut PgConnection,
    channel: &str,
    n: i32,
) -> anyhow::Result<Uuid> {
    let id =
        sqlx::query_scalar("select realtime.publish($1, 'e', jsonb_build_object('n', $2::int))")
            .bind(channel)
            .bind(n)
            .fetch_one(connection)
            .await?;
    Ok(id)
}

/// The numbers of the next `count` messages.
pub(crate) async fn numbers(room: &mut RoomSubscription, count: usize) -> anyhow::Result<Vec<i64>> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        let delivery = tokio::time::timeout(PATIENCE, room.next())
            .await
            .with_context(|| format!("only {} of {count} arrived", numbers.len()))?
            .context("the bus closed")?;
        let payload = delivery.message.payload.context("no payload")?;
        let value: serde_json::Value = serde_json::from_str(payload.get())?;
        let number = value.get("n").and_then(serde_json::Value::as_i64);
        numbers.push(number.context("no number")?);
    }
    Ok(numbers)
}

pub(crate) async fn nothing_more(room: &mut RoomSubscription) -> anyhow::Result<()> {
    let more = tokio::time::timeout(QUIET, room.next()).await;
    ensure!(more.is_err(), "one more: {more:?}");
    Ok(())
}
