//! What somebody has put into a database, beside what a new one of Ingot's has by itself.

use ingot_schema::STEPS;
use sqlx::{AssertSqlSafe, PgConnection, query_scalar};

use super::tables::{SCHEMAS, carried};

/// What rows are, where they are counted.
const NAMED: [(&str, &str); 6] = [
    ("auth.users", "accounts"),
    ("realtime.channels", "channels"),
    ("realtime.messages", "messages"),
    ("functions.definitions", "functions"),
    ("storage.buckets", "buckets"),
    ("system.custom_migrations", "migrations"),
];

/// How many other tables are named.
const MOST_NAMED: usize = 3;

const CHANGED: &str = "updated_at is distinct from created_at";

/// Tables in which a new database has rows, and which ones are somebody's. `$1` is what the steps say.
const SOMEBODYS: [(&str, &str); 7] = [
    // Keys are made when the database is.
    ("system.secrets", "is_reserved is not true"),
    ("system.database_config", CHANGED),
    ("realtime.config", CHANGED),
    ("storage.config", CHANGED),
    ("schedules.config", CHANGED),
    ("email.config", "enabled or host <> ''"),
    (
        "email.templates",
        "position(subject in $1) = 0 or position(body_html in $1) = 0",
    ),
];

/// It in words; nothing, if the database is as it was made.
pub(super) async fn inhabitants(connection: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let relations = relations(connection).await?;
    if relations > 0 {
        found.push(format!("{relations} tables, views and sequences"));
    }
    let said: String = STEPS.iter().map(|step| step.sql).collect();
    let mut counts = Vec::new();
    for table in carried(connection).await? {
        let label = table.label();
        let somebodys = SOMEBODYS.iter().find(|(of, _)| *of == label);
        let condition = somebodys.map_or("true", |(_, condition)| condition);
        let count = format!(
            "select count(*) from {} where $1::text is not null and ({condition})",
            table.quoted()
        );
        let count: i64 = query_scalar(AssertSqlSafe(count))
            .bind(&said)
            .persistent(false)
            .fetch_one(&mut *connection)
            .await?;
        if count > 0 {
            counts.push((label, count));
        }
    }
    for (named, things) in NAMED {
        found.extend(
            counts
                .extract_if(.., |(label, _)| label == named)
                .map(|(_, count)| format!("{count} {things}")),
        );
    }
    found.extend(others(counts.into_iter().map(|(label, _)| label).collect()));
    Ok(found)
}

/// Tables that have rows, the first few by their names.
fn others(mut labels: Vec<String>) -> Option<String> {
    labels.sort();
    let more = labels.len().saturating_sub(MOST_NAMED);
    labels.truncate(MOST_NAMED);
    let named = labels.join(", ");
    match more {
        _ if labels.is_empty() => None,
        0 => Some(format!("rows in {named}")),
        _ => Some(format!("rows in {named} and {more} more tables")),
    }
}

/// How many there are outside of the platform's schemas.
async fn relations(connection: &mut PgConnection) -> anyhow::Result<i64> {
    Ok(query_scalar(
        "select count(*)
         from pg_catalog.pg_class as c
         join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't'
             and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
             and n.nspname::text <> all ($1)
             and not exists (select from pg_catalog.pg_depend as d
                 where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
                     and d.deptype = 'e')",
    )
    .bind(SCHEMAS.map(str::to_owned).to_vec())
    .fetch_one(connection)
    .await?)
}

#[cfg(test)]
mod tests {
    use super::others;

    #[test]
    fn few_tables_are_named() {
        let labels = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect();
        assert_eq!(others(labels(&[])), None);
        assert_eq!(others(labels(&["b.t"])).unwrap(), "rows in b.t");
        assert_eq!(
            others(labels(&["d.t", "b.t", "c.t", "a.t", "e.t"])).unwrap(),
            "rows in a.t, b.t, c.t and 2 more tables"
        );
    }
}
