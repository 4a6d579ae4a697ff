//! `system.schema_steps`: which steps a database has, and how that compares to this build.

use sqlx::{Connection, PgConnection, query, query_as, query_scalar, raw_sql};
use time::OffsetDateTime;

use crate::SchemaError;
use crate::step::{STEPS, Step, latest_version};

/// Tables that no empty database has.
const PLATFORM_TABLES: [&str; 4] = [
    "system.migrations",
    "auth.users",
    "system.secrets",
    "storage.objects",
];

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedStep {
    /// Number of the step.
    pub number: u32,
    /// Its name when it was applied.
    pub name: String,
    /// SHA-256 of its file when it was applied, in lower-case hex.
    pub checksum: String,
    /// When it was applied.
    pub applied_at: OffsetDateTime,
}

/// What a database has and what it lacks.
#[derive(Debug, Clone)]
pub struct Status {
    /// Applied steps, in order.
    pub applied: Vec<AppliedStep>,
    /// Steps of this build that [`crate::migrate`] would apply now.
    pub pending: &'static [Step],
}

/// Compares the ledger with this build. Needs no more than reading the ledger.
///
/// # Errors
/// A step that was changed, is missing here or was skipped there, or no answer from PostgreSQL.
pub async fn status(connection: &mut PgConnection) -> Result<Status, SchemaError> {
    let applied = read(connection).await?;
    let pending = pending(&applied, STEPS)?;
    Ok(Status { applied, pending })
}

/// Whether the database has exactly the steps of this build.
///
/// # Errors
/// As [`status`], and [`SchemaError::Behind`] when steps are pending.
pub async fn verify(connection: &mut PgConnection) -> Result<(), SchemaError> {
    let status = status(connection).await?;
    require_none_pending(&status.applied, status.pending)
}

pub(crate) fn require_none_pending(
    applied: &[AppliedStep],
    pending: &[Step],
) -> Result<(), SchemaError> {
    if pending.is_empty() {
        return Ok(());
    }
    Err(SchemaError::Behind {
        applied: newest(applied),
        needed: latest_version(),
    })
}

/// The steps that come after those in the ledger, once the ledger proves to be a prefix.
pub(crate) fn pending<'s>(
    applied: &[AppliedStep],
    steps: &'s [Step],
) -> Result<&'s [Step], SchemaError> {
    for row in applied {
        let Some(step) = steps.iter().find(|step| step.number == row.number) else {
            return Err(SchemaError::StepMissing {
                number: row.number,
                name: row.name.clone(),
                latest: steps.last().map_or(0, |step| step.number),
            });
        };
        let checksum = step.checksum();
        if (step.name, &checksum) != (&row.name, &row.checksum) {
            return Err(SchemaError::StepChanged {
                number: row.number,
                name: row.name.clone(),
                recorded: fingerprint(&row.name, &row.checksum),
                built: fingerprint(step.name, &checksum),
            });
        }
    }
    let newest = newest(applied);
    if let Some(skipped) = steps
        .iter()
        .filter(|step| step.number < newest)
        .find(|step| applied.iter().all(|row| row.number != step.number))
    {
        return Err(SchemaError::StepSkipped {
            number: skipped.number,
            name: skipped.name.to_owned(),
            later: newest,
        });
    }
    let done = steps.partition_point(|step| step.number <= newest);
    Ok(steps.get(done..).unwrap_or_default())
}

fn newest(applied: &[AppliedStep]) -> u32 {
    applied.iter().map(|row| row.number).max().unwrap_or(0)
}

fn fingerprint(name: &str, checksum: &str) -> String {
    format!("{name}@{}", checksum.get(..12).unwrap_or(checksum))
}

/// All rows, in order; none when the ledger does not exist yet.
pub(crate) async fn read(connection: &mut PgConnection) -> Result<Vec<AppliedStep>, SchemaError> {
    if !exists(connection, "system.schema_steps").await? {
        return Ok(Vec::new());
    }
    let rows: Vec<(i64, String, String, OffsetDateTime)> = query_as(
        "select number::bigint, name, checksum, applied_at from system.schema_steps order by number",
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(number, name, checksum, applied_at)| AppliedStep {
            // The table's check constraint keeps numbers positive.
            number: u32::try_from(number).unwrap_or(u32::MAX),
            name,
            checksum,
            applied_at,
        })
        .collect())
}

/// Creates the empty ledger in a database that has none, unless another platform lives there.
pub(crate) async fn create_if_missing(connection: &mut PgConnection) -> Result<(), SchemaError> {
    if exists(connection, "system.schema_steps").await? {
        return Ok(());
    }
    for table in PLATFORM_TABLES {
        if exists(connection, table).await? {
            return Err(SchemaError::ForeignSchema {
                table: table.to_owned(),
            });
        }
    }
    let mut transaction = connection.begin().await?;
    create_ledger(&mut transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// Creates the empty ledger, whatever else the database has: for whoever makes sure himself that
/// what it then records is there. [`crate::migrate`] does not need it.
pub async fn create_ledger(connection: &mut PgConnection) -> Result<(), SchemaError> {
    raw_sql(
        "create schema if not exists system;
        create table system.schema_steps (
            number integer not null,
            name text not null,
            checksum text not null,
            applied_at timestamptz not null default now(),
            constraint schema_steps_pkey primary key (number),
            constraint schema_steps_number_check check (number > 0)
        )",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records a step that the connection's transaction did.
pub async fn record_step(connection: &mut PgConnection, step: &Step) -> Result<(), sqlx::Error> {
    query("insert into system.schema_steps (number, name, checksum) values ($1, $2, $3)")
        .bind(i64::from(step.number))
        .bind(step.name)
        .bind(step.checksum())
        .execute(connection)
        .await?;
    Ok(())
}

/// Reads the catalogue itself: `to_regclass` would raise on a schema that the caller may not use.
async fn exists(connection: &mut PgConnection, table: &str) -> Result<bool, SchemaError> {
    let (schema, name) = table.split_once('.').unwrap_or(("public", table));
    Ok(query_scalar(
        "select exists (
            select from pg_catalog.pg_class as c
            join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            where n.nspname = $1 and c.relname = $2
        )",
    )
    .bind(schema)
    .bind(name)
    .fetch_one(connection)
    .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: &[Step] = &[
        Step {
            number: 1,
            name: "one",
            sql: "select 1",
        },
        Step {
            number: 2,
            name: "two",
            sql: "select 2",
        },
        Step {
            number: 3,
            name: "three",
            sql: "select 3",
        },
    ];

    fn row(step: &Step) -> AppliedStep {
        AppliedStep {
            number: step.number,
            name: step.name.to_owned(),
            checksum: step.checksum(),
            applied_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_follows_the_applied_prefix_is_pending() {
        assert_eq!(pending(&[], BUILD).unwrap(), BUILD);
        assert_eq!(pending(&[row(&BUILD[0])], BUILD).unwrap(), &BUILD[1..]);
        let all: Vec<_> = BUILD.iter().map(row).collect();
        assert!(pending(&all, BUILD).unwrap().is_empty());
    }

    #[test]
    fn a_changed_renamed_missing_or_skipped_step_is_named() {
        let mut changed = row(&BUILD[1]);
        changed.checksum = "0".repeat(64);
        let mut renamed = row(&BUILD[0]);
        renamed.name = "uno".to_owned();
        let mut unknown = row(&BUILD[2]);
        unknown.number = 4;

        for (ledger, complaint) in [
            (vec![row(&BUILD[0]), changed], "step 2 (two) was applied"),
            (vec![renamed], "recorded uno@"),
            (vec![row(&BUILD[0]), unknown], "step 4 (three) was applied"),
            (
                vec![row(&BUILD[0]), row(&BUILD[2])],
                "step 2 (two) was never applied",
            ),
        ] {
            let error = pending(&ledger, BUILD).unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
    }
}
