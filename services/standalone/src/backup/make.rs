//! Writes a backup: all parts show the database at one moment, and none is held as a whole.

use anyhow::Context;
use futures::TryStreamExt;
use ingot_api::ProjectObjects;
use ingot_migration::Source;
use ingot_project::AdminPools;
use serde::Serialize;
use tokio::io::AsyncWrite;

use super::contents::{FORMAT, Head, Part, PartEnd};
use super::frames::{Kind, Writer, fingerprint};
use super::meter::Meter;

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) bytes: u64,
    /// Rows of the platform's tables.
    pub(super) rows: u64,
    /// Schemas that are not in it.
    pub(super) left_out: Vec<String>,
}

/// Writes the backup to `output`, and returns it with everything flushed.
pub(super) async fn make<W: AsyncWrite + Unpin>(
    source: &mut Source,
    objects: &ProjectObjects,
    pools: &AdminPools,
    output: W,
    meter: &Meter,
) -> anyhow::Result<(W, Written)> {
    let project = source.project().clone();
    let key = project.backup_key();
    let head = Head {
        format: FORMAT,
        ingot: env!("CARGO_PKG_VERSION").to_owned(),
        project: project.id.to_string(),
        key: fingerprint(&key)?,
        taken_at: super::now(),
        origin: source.origin().clone(),
    };
    let mut stream = Stream {
        writer: Writer::begin(output, key).await?,
        meter,
    };
    stream.say(Kind::Head, &head).await?;
    let mut written = Written {
        left_out: source.strangers().await?,
        ..Written::default()
    };
    for table in source.tables().await? {
        meter.at(table.label());
        stream.say(Kind::Part, &Part::Rows(table.clone())).await?;
        let mut rows = 0;
        let mut lines = source.rows(&table).await?;
        while let Some(piece) = lines.try_next().await.with_context(|| table.label())? {
            // In this form a line is a row, whatever the row has.
            rows += memchr::memchr_iter(b'\n', &piece).count() as u64;
            stream.data(&piece).await?;
        }
        written.rows += rows;
        stream
            .say(Kind::PartEnd, &PartEnd { rows: Some(rows) })
            .await?;
    }
    let definitions = objects.definitions(pools, source.snapshot()).await?;
    meter.at("the project's schemas");
    stream.say(Kind::Part, &Part::Objects).await?;
    let mut dump = objects.dump(&project, source.snapshot(), &definitions.schemas)?;
    while let Some(piece) = dump.next().await? {
        stream.data(&piece).await?;
    }
    stream.say(Kind::PartEnd, &PartEnd { rows: None }).await?;
    stream.say(Kind::Part, &Part::Definitions).await?;
    stream.data(definitions.statements.as_bytes()).await?;
    stream.say(Kind::PartEnd, &PartEnd { rows: None }).await?;
    stream.writer.write(Kind::End, b"").await?;
    written.bytes = stream.writer.written();
    Ok((stream.writer.finish().await?, written))
}

struct Stream<'m, W> {
    writer: Writer<W>,
    meter: &'m Meter,
}

impl<W: AsyncWrite + Unpin> Stream<'_, W> {
    async fn say(&mut self, kind: Kind, what: &impl Serialize) -> anyhow::Result<()> {
        Ok(self.writer.write(kind, &serde_json::to_vec(what)?).await?)
    }

    async fn data(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if !bytes.is_empty() {
            self.writer.write(Kind::Data, bytes).await?;
            self.meter.reached(self.writer.written());
        }
        Ok(())
    }
}
