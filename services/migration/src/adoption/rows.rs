//! Counts rows, so that an adoption that loses one is undone.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgConnection, query_as, query_scalar};

use super::AdoptionError;

/// Tables by their number, which a new name does not change.
pub(super) type Counts = BTreeMap<i64, i64>;

/// All tables of the database but PostgreSQL's own.
pub(super) async fn count(connection: &mut PgConnection) -> Result<Counts, AdoptionError> {
    let mut counts = Counts::new();
    for (oid, name) in tables(connection).await? {
        counts.insert(oid, rows(connection, &name).await?);
    }
    Ok(counts)
}

/// Counts again; fewer rows in any table are an error. Returns the tables that had been there.
pub(super) async fn compare(
    connection: &mut PgConnection,
    before: Counts,
) -> Result<Vec<(String, i64)>, AdoptionError> {
    let names: BTreeMap<i64, String> = tables(connection).await?.into_iter().collect();
    let mut compared = Vec::new();
    for (oid, before) in before {
        let (table, after) = match names.get(&oid) {
            Some(name) => (name.clone(), rows(connection, name).await?),
            None => (format!("table {oid}"), 0),
        };
        if after < before {
            return Err(AdoptionError::Loss {
                table,
                before,
                after,
            });
        }
        compared.push((table, after));
    }
    compared.sort();
    Ok(compared)
}

async fn tables(connection: &mut PgConnection) -> Result<Vec<(i64, String)>, AdoptionError> {
    Ok(query_as(
        "select c.oid::bigint, c.oid::pg_catalog.regclass::text
         from pg_catalog.pg_class as c
         join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
         where c.relkind = 'r' and c.relpersistence <> 't'
             and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
         order by 1",
    )
    .fetch_all(connection)
    .await?)
}

/// The name is PostgreSQL's, quoted.
async fn rows(connection: &mut PgConnection, name: &str) -> Result<i64, AdoptionError> {
    let count = format!("select count(*) from only {name}");
    Ok(query_scalar(AssertSqlSafe(count))
        .persistent(false)
        .fetch_one(connection)
        .await?)
}
