//! Reads a backup, and makes a database of it.

use anyhow::{Context, bail, ensure};
use ingot_api::{ObjectsRestore, ProjectObjects};
use ingot_migration::{BootstrapConfig, Place, RowsIn, Table};
use ingot_project::{LoginRole, PoolSettings, Pools, Project, ProjectRegistry};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use super::contents::{Head, Part, PartEnd};
use super::frames::{Kind, Reader, Unverified};
use super::meter::Meter;

/// Pieces of a dump that wait for `pg_restore`.
const WAITING: usize = 4;

/// A backup that is being read, behind its head.
pub(super) struct Backup<'m, R> {
    reader: Reader<R>,
    pub(super) head: Head,
    meter: &'m Meter,
}

/// What a restore did.
#[derive(Debug, Default)]
pub(super) struct Restored {
    /// Rows of the platform's tables.
    pub(super) rows: u64,
    /// What this build has no place for, in words.
    pub(super) left_out: Vec<String>,
    /// What the database that had the project's name is called now.
    pub(super) kept: Option<String>,
}

/// Reads the head; what is wrong with a backup of something else is told before anything of it is
/// believed.
pub(super) async fn open<'m, R: AsyncRead + Unpin>(
    input: R,
    project: &Project,
    meter: &'m Meter,
) -> anyhow::Result<Backup<'m, R>> {
    let key = project.backup_key();
    let unverified = Unverified::open(input).await?;
    if let Ok(claims) = serde_json::from_slice::<Head>(unverified.claims()) {
        claims.check(project, &key)?;
    }
    let (reader, head) = unverified.verify(key)?;
    ensure!(head.kind == Kind::Head, "it does not begin with its head");
    let head = serde_json::from_slice(&head.payload).context("its head cannot be read")?;
    Ok(Backup {
        reader,
        head,
        meter,
    })
}

impl<R: AsyncRead + Unpin> Backup<'_, R> {
    /// Reads all of it and uses nothing.
    pub(super) async fn check(mut self) -> anyhow::Result<()> {
        while self.part().await?.is_some() {
            while self.data().await?.is_some() {}
        }
        Ok(self.reader.end().await?)
    }

    /// Makes the project's database of it.
    pub(super) async fn restore(
        mut self,
        config: &BootstrapConfig,
        pools: &PoolSettings,
        objects: &ProjectObjects,
        overwrite: bool,
    ) -> anyhow::Result<Restored> {
        self.meter.at("making a database");
        let mut place = Place::prepare(config, &self.head.origin, overwrite).await?;
        let filled = self.fill(&mut place, pools, objects).await;
        let ended = match filled {
            Ok(restored) => self
                .reader
                .end()
                .await
                .map(|()| restored)
                .map_err(Into::into),
            Err(error) => Err(error),
        };
        match ended {
            Ok(mut restored) => {
                restored.kept = place.take_over().await?;
                Ok(restored)
            }
            Err(error) => Err(error.context(place.give_up().await)),
        }
    }

    async fn fill(
        &mut self,
        place: &mut Place,
        pools: &PoolSettings,
        objects: &ProjectObjects,
    ) -> anyhow::Result<Restored> {
        let mut restored = Restored::default();
        let mut rows = place.rows().await?;
        let mut part = self.part().await?;
        while let Some(Part::Rows(table)) = &part {
            self.rows(&mut rows, table, &mut restored).await?;
            part = self.part().await?;
        }
        rows.finish().await?;
        place.open().await?;
        let registry = ProjectRegistry::of([place.project().clone()])?;
        let pools = Pools::new(registry.into(), pools.clone());
        let id = place.project().id.clone();
        let brought = self.objects(&pools.admin(&id)?, objects, part).await;
        for role in [LoginRole::Sql, LoginRole::Service] {
            pools.get(&id, role)?.close().await;
        }
        brought.map(|()| restored)
    }

    async fn rows(
        &mut self,
        rows: &mut RowsIn<'_>,
        table: &Table,
        restored: &mut Restored,
    ) -> anyhow::Result<()> {
        let label = table.label();
        self.meter.at(label.clone());
        if !rows.takes(table) {
            while self.data().await?.is_some() {}
            restored.left_out.push(label);
            return Ok(());
        }
        let mut copy = rows.write(table).await?;
        let told = loop {
            match self.data_or_end().await? {
                Ok(piece) => copy
                    .send(piece)
                    .await
                    .map(|_| ())
                    .with_context(|| label.clone())?,
                Err(end) => break end.rows,
            }
        };
        let written = copy.finish().await.with_context(|| label.clone())?;
        ensure!(
            told == Some(written),
            "{label} took {written} rows, and the backup has another number"
        );
        restored.rows += written;
        Ok(())
    }

    /// The parts after the platform's rows, of which `first` has begun.
    async fn objects(
        &mut self,
        pools: &ingot_project::AdminPools,
        objects: &ProjectObjects,
        first: Option<Part>,
    ) -> anyhow::Result<()> {
        let mut restore = objects.restore(pools).await?;
        let mut next = first;
        while let Some(part) = next {
            match part {
                Part::Objects => self.dump(&mut restore).await?,
                Part::Definitions => {
                    let mut statements = Vec::new();
                    while let Some(piece) = self.data().await? {
                        statements.extend_from_slice(&piece);
                    }
                    restore.definitions(statements).await?;
                }
                Part::Rows(table) => bail!("the rows of {} come too late", table.label()),
            }
            next = self.part().await?;
        }
        restore.commit().await
    }

    async fn dump(&mut self, restore: &mut ObjectsRestore) -> anyhow::Result<()> {
        self.meter.at("the project's schemas");
        let (sender, receiver) = mpsc::channel(WAITING);
        let feeding = async {
            // Who reads it stops only when it fails, and says why.
            while let Some(piece) = self.data().await? {
                if sender.send(piece.into()).await.is_err() {
                    break;
                }
            }
            drop(sender);
            anyhow::Ok(())
        };
        let (fed, made) = tokio::join!(feeding, restore.objects(receiver));
        fed?;
        made.context("the project's schemas")
    }

    /// Begins the next part; `None` at the end.
    async fn part(&mut self) -> anyhow::Result<Option<Part>> {
        let frame = self.reader.next().await?;
        match frame.kind {
            Kind::Part => {
                let told: serde_json::Value = serde_json::from_slice(&frame.payload)?;
                let kind = told
                    .get("part")
                    .and_then(|it| it.as_str())
                    .map(str::to_owned);
                let part = serde_json::from_value(told).with_context(|| {
                    format!(
                        "it has a part that this build does not know ({}): restore it with the Ingot \
                         that made it ({})",
                        kind.as_deref().unwrap_or("?"),
                        self.head.ingot
                    )
                })?;
                Ok(Some(part))
            }
            Kind::End => Ok(None),
            _ => bail!("it has something between its parts"),
        }
    }

    /// The next bytes of the part; `None` at its end.
    async fn data(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(self.data_or_end().await?.ok())
    }

    async fn data_or_end(&mut self) -> anyhow::Result<Result<Vec<u8>, PartEnd>> {
        let frame = self.reader.next().await?;
        self.meter.reached(self.reader.read());
        match frame.kind {
            Kind::Data => Ok(Ok(frame.payload)),
            Kind::PartEnd => Ok(Err(serde_json::from_slice(&frame.payload)?)),
            _ => bail!("it has something else in a part"),
        }
    }
}
