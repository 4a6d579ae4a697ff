//! A project, the bus, and what rooms of it hear; and both sources that a relay hears of messages
//! from.

use std::time::Duration;

use anyhow::{Context, ensure};
use ingot_bus::{Bus, BusSettings, Room, RoomSubscription};
use ingot_config::Settings;
use ingot_listen_relay::serve;
use ingot_schema::{RealtimeSource, switch_realtime_source};
use ingot_testkit::{TestProject, TestService};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use uuid::Uuid;

pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
pub(crate) const QUIET: Duration = Duration::from_millis(700);

/// Makes a test of each function for each source.
macro_rules! for_both_sources {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use ingot_schema::RealtimeSource;

            #[tokio::test]
            async fn by_notifications() -> anyhow::Result<()> {
                super::$name(RealtimeSource::Listen).await
            }

            #[tokio::test]
            async fn from_the_log() -> anyhow::Result<()> {
                super::$name(RealtimeSource::Wal).await
            }
        }
    )*};
}
pub(crate) use for_both_sources;

pub(crate) struct Scene {
    pub(crate) project: TestProject,
    pub(crate) bus: Bus,
    source: RealtimeSource,
}

impl Scene {
    pub(crate) async fn new(source: RealtimeSource) -> anyhow::Result<Self> {
        Self::of(TestProject::create().await?, source).await
    }

    /// On a server that no other test has.
    pub(crate) async fn apart(source: RealtimeSource) -> anyhow::Result<Self> {
        Self::of(TestProject::create_apart().await?, source).await
    }

    async fn of(project: TestProject, source: RealtimeSource) -> anyhow::Result<Self> {
        project
            .execute("insert into realtime.channels (pattern) values ('orders'), ('room:%')")
            .await?;
        let bus = Bus::connect(&BusSettings::load(&project.environment())?, "test").await?;
        let scene = Self {
            project,
            bus,
            source,
        };
        if source == RealtimeSource::Wal {
            let create = format!(
                "create role {0} login replication password '{0}'",
                scene.reader()
            );
            let mut owner = scene.project.superuser().await?;
            owner.execute(AssertSqlSafe(create)).await?;
            scene.switch(source).await?;
        }
        Ok(scene)
    }

    /// Lets the login read the log, or forbids it that.
    pub(crate) async fn let_read(&self, allowed: bool) -> anyhow::Result<()> {
        let attribute = if allowed {
            "replication"
        } else {
            "noreplication"
        };
        let alter = format!("alter role {} {attribute}", self.reader());
        let mut owner = self.project.superuser().await?;
        owner.execute(AssertSqlSafe(alter)).await?;
        Ok(())
    }

    /// The login that reads the log; also its password.
    fn reader(&self) -> String {
        format!("{}_log", self.project.project().id)
    }

    /// As the migration service does.
    pub(crate) async fn switch(&self, source: RealtimeSource) -> anyhow::Result<()> {
        let mut owner = self.project.superuser().await?;
        let reader = self.reader();
        let reader = (source == RealtimeSource::Wal).then_some(reader.as_str());
        Ok(switch_realtime_source(&mut owner, source, reader).await?)
    }

    /// A relay that listens, whatever the scene's source.
    pub(crate) async fn listening_relay(&self) -> anyhow::Result<TestService> {
        TestService::start(&self.project, &[], serve).await
    }

    pub(crate) async fn relay(&self) -> anyhow::Result<TestService> {
        self.relay_with(&[]).await
    }

    /// A relay with more settings.
    pub(crate) async fn relay_with(&self, more: &[(&str, &str)]) -> anyhow::Result<TestService> {
        let reader = self.reader();
        let mut settings = more.to_vec();
        if self.source == RealtimeSource::Wal {
            settings.extend([
                ("REALTIME_SOURCE", "wal"),
                ("INGOT_REPLICATION_USER", &reader),
                ("INGOT_REPLICATION_PASSWORD", &reader),
            ]);
        }
        TestService::start(&self.project, &settings, serve).await
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
