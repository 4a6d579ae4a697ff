//! Reads the catalogue: ten set-based queries in one flush.

use std::collections::HashMap;

use super::build::{Words, build, column, representations};
use super::model::{ObjectName, Schema};
use super::rows::{self, ColumnRow, ConstraintRow, FunctionRow, RelationRow};
use crate::error::{RestError, from_wire};
use crate::executor::{Connections, query};
use crate::settings::EngineSettings;
use crate::wire::{Row, WireError};

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

/// Version of PostgreSQL since which settings can be granted.
const PARAMETERS_ARE_GRANTED: i32 = 150_000;

/// Loads everything. All queries see one snapshot and leave in one write.
pub(super) async fn load(
    pool: &Connections,
    settings: &EngineSettings,
) -> Result<Schema, RestError> {
    let mut search_path = settings.schemas.clone();
    search_path.extend(settings.extra_search_path.iter().cloned());
    let (exposed, searched) = (text_array(&settings.schemas), text_array(&search_path));
    let queries: [(&str, &[&str]); 10] = [
        (rows::RELATIONS, &[]),
        (rows::COLUMNS, &[]),
        (rows::CONSTRAINTS, &[]),
        (rows::FUNCTIONS, &[&exposed]),
        (rows::VIEWS, &[]),
        (rows::TYPES, &[&searched]),
        (rows::REPRESENTATIONS, &[]),
        (rows::MEDIA_HANDLERS, &[]),
        (rows::ROLE_SETTINGS, &[]),
        (rows::SERVER, &[]),
    ];
    let catalogue = query(pool, settings.pool_queue, queries).await?;
    let mut schema = assemble(&catalogue, &settings.hoisted_settings)
        .map_err(|error| from_wire(&error, true))?;
    let [.., roles, _] = &catalogue;
    schema.role_settings = role_settings(roles, schema.server_version, pool, settings).await?;
    Ok(schema)
}

/// Settings by role, as far as the login role may set them.
async fn role_settings(
    rows: &[Row],
    server_version: i32,
    pool: &Connections,
    settings: &EngineSettings,
) -> Result<HashMap<String, Vec<(String, String)>>, RestError> {
    let found: Vec<(String, String, String, String)> = read_all(rows, |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })
    .map_err(|error| from_wire(&error, true))?;
    let free = |context: &str| context == "user";
    let others: Vec<String> = found
        .iter()
        .filter(|(.., context)| !free(context))
        .map(|(_, name, ..)| name.clone())
        .collect();
    let mut granted: Vec<String> = Vec::new();
    if !others.is_empty() && server_version >= PARAMETERS_ARE_GRANTED {
        let others = text_array(&others);
        let names: &[&str] = &[&others];
        let queries = [(rows::GRANTED_SETTINGS, names)];
        let [names] = query(pool, settings.pool_queue, queries).await?;
        granted = read_all(&names, |row| row.get(0)).map_err(|error| from_wire(&error, true))?;
    }
    let mut of_roles: HashMap<String, Vec<(String, String)>> = HashMap::new();
    for (role, name, value, context) in found {
        if free(&context) || granted.contains(&name) {
            of_roles.entry(role).or_default().push((name, value));
        }
    }
    Ok(of_roles)
}

/// A text array as PostgreSQL reads it.
fn text_array(items: &[String]) -> String {
    let quoted = items.iter().map(|item| {
        let escaped = item.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    });
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

fn assemble(catalogue: &[Vec<Row>; 10], hoisted: &[String]) -> Result<Schema, WireError> {
    let [
        relations,
        columns,
        constraints,
        functions,
        views,
        types,
        casts,
        handlers,
        _,
        server,
    ] = catalogue;
    let relation_rows: Vec<_> = read_all(relations, RelationRow::read)?;
    let column_rows: Vec<_> = read_all(columns, ColumnRow::read)?;
    let constraint_rows: Vec<_> = read_all(constraints, ConstraintRow::read)?;
    let mut function_rows: Vec<_> = read_all(functions, FunctionRow::read)?;
    for row in &mut function_rows {
        let name = |setting: &str| setting.split('=').next().map(str::to_owned);
        row.settings
            .retain(|setting| name(setting).is_some_and(|name| hoisted.contains(&name)));
    }
    let trees: Vec<(u32, String)> = read_all(views, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut names: HashMap<String, String> = TYPE_SYNONYMS
        .iter()
        .map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned()))
        .collect();
    for (name, sql) in read_all(types, |row| Ok((row.get(0)?, row.get(1)?)))? {
        names.entry(name).or_insert(sql);
    }
    let casts = representations(&read_all(casts, |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
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
    if let Some(server) = server.first() {
        schema.server_version = server.get(0)?;
        schema.reads_run_code = server.get(1)?;
    }
    schema.media_handlers = read_all(handlers, media_handler)?.into_iter().collect();
    Ok(schema)
}

type MediaHandler = ((Option<ObjectName>, String), ObjectName);

fn media_handler(row: &Row) -> Result<MediaHandler, WireError> {
    let function = ObjectName::new(row.get::<String>(0)?, row.get::<String>(1)?);
    let relation = match (row.get::<Option<String>>(3)?, row.get(4)?) {
        (Some(schema), Some(name)) => Some(ObjectName { schema, name }),
        _ => None,
    };
    Ok(((relation, row.get(2)?), function))
}

fn read_all<T>(
    rows: &[Row],
    read: impl Fn(&Row) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    rows.iter().map(read).collect()
}
