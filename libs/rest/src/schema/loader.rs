//! Reads the catalogue: ten set-based queries in one flush.

use std::collections::HashMap;

use futures::future::try_join_all;
use futures::try_join;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use super::build::{Words, build, column, representations};
use super::model::{ObjectName, Schema};
use super::rows::{self, ColumnRow, ConstraintRow, FunctionRow, RelationRow};
use crate::settings::EngineSettings;

/// Names of types that the SQL grammar knows, but not the catalogue.
const TYPE_SYNONYMS: [(&str, &str); 21] = [
    ("int", "integer"),
    ("integer", "integer"),
    ("smallint", "smallint"),
    ("bigint", "bigint"),
    ("real", "real"),
    ("float", "double precision"),
    ("double precision", "double precision"),
    ("decimal", "numeric"),
    ("dec", "numeric"),
    ("boolean", "boolean"),
    ("char", "character"),
    ("character", "character"),
    ("character varying", "character varying"),
    ("char varying", "character varying"),
    ("time with time zone", "time with time zone"),
    ("time without time zone", "time without time zone"),
    ("timestamp with time zone", "timestamp with time zone"),
    ("timestamp without time zone", "timestamp without time zone"),
    ("bit varying", "bit varying"),
    ("bit", "bit"),
    ("string", "text"),
];

/// Loads everything. All queries see one snapshot and leave in one write.
pub(super) async fn load(client: &Client, settings: &EngineSettings) -> Result<Schema, Error> {
    let mut search_path = settings.schemas.clone();
    search_path.extend(settings.extra_search_path.iter().cloned());
    let exposed: [Value<'_>; 1] = [(&settings.schemas, Type::TEXT_ARRAY)];
    let searched: [Value<'_>; 1] = [(&search_path, Type::TEXT_ARRAY)];
    let queries: [(&str, &[Value<'_>]); 10] = [
        (rows::RELATIONS, &[]),
        (rows::COLUMNS, &[]),
        (rows::CONSTRAINTS, &[]),
        (rows::FUNCTIONS, &exposed),
        (rows::VIEWS, &[]),
        (rows::TYPES, &searched),
        (rows::REPRESENTATIONS, &[]),
        (rows::MEDIA_HANDLERS, &[]),
        (rows::ROLE_SETTINGS, &[]),
        (rows::SERVER_VERSION, &[]),
    ];
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = ''";
    let ((), results, ()) = try_join!(
        client.batch_execute(begin),
        try_join_all(
            queries
                .iter()
                .map(|(text, values)| client.query_typed(text, values))
        ),
        client.batch_execute("COMMIT"),
    )?;
    let mut results = results.into_iter();
    let mut next = || results.next().unwrap_or_default();
    let (relations, columns, constraints) = (next(), next(), next());
    let (functions, views, types) = (next(), next(), next());
    let (casts, handlers, roles, version) = (next(), next(), next(), next());
    let relation_rows: Vec<_> = read_all(&relations, RelationRow::read)?;
    let column_rows: Vec<_> = read_all(&columns, ColumnRow::read)?;
    let constraint_rows: Vec<_> = read_all(&constraints, ConstraintRow::read)?;
    let function_rows: Vec<_> = read_all(&functions, FunctionRow::read)?;
    let trees: Vec<(u32, String)> = read_all(&views, |row| Ok((row.try_get(0)?, row.try_get(1)?)))?;
    let mut names: HashMap<String, String> = TYPE_SYNONYMS
        .iter()
        .map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned()))
        .collect();
    for (name, sql) in read_all(&types, |row| Ok((row.try_get(0)?, row.try_get(1)?)))? {
        names.entry(name).or_insert(sql);
    }
    let casts = representations(&read_all(&casts, |row| {
        Ok((
            row.try_get(0)?,
            row.try_get(1)?,
            row.try_get(2)?,
            row.try_get(3)?,
        ))
    })?);
    let mut words = Words::default();
    let columns = column_rows
        .into_iter()
        .map(|row| column(row, &casts, &mut words))
        .collect();
    let mut schema = build(
        relation_rows,
        columns,
        &constraint_rows,
        &function_rows,
        &trees,
    );
    schema.types = names;
    for (role, name, value) in read_all(&roles, |row| {
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
    })? {
        let settings: &mut Vec<(String, String)> = schema.role_settings.entry(role).or_default();
        settings.push((name, value));
    }
    schema.server_version = version.first().map_or(Ok(0), |row| row.try_get(0))?;
    schema.media_handlers = read_all(&handlers, media_handler)?.into_iter().collect();
    Ok(schema)
}

/// A value of a query, with its type.
type Value<'a> = (&'a (dyn ToSql + Sync), Type);

type MediaHandler = ((Option<ObjectName>, String), ObjectName);

fn media_handler(row: &tokio_postgres::Row) -> Result<MediaHandler, Error> {
    let function = ObjectName::new(row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?);
    let relation = match (row.try_get::<_, Option<String>>(3)?, row.try_get(4)?) {
        (Some(schema), Some(name)) => Some(ObjectName { schema, name }),
        _ => None,
    };
    Ok(((relation, row.try_get(2)?), function))
}

fn read_all<T>(
    rows: &[tokio_postgres::Row],
    read: impl Fn(&tokio_postgres::Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    rows.iter().map(read).collect()
}
