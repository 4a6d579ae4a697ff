//! The database itself.

use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, query, query_scalar};

use crate::SchemaError;

/// Creates the project's database when the server does not have it, and says whether it did.
/// `maintenance` leads, as the owner, to a database that always exists (`postgres`). The new
/// database is UTF-8 whatever the server's default, and closed to everybody else from the start.
///
/// # Errors
/// The server cannot be reached, or the owner may not create databases.
pub async fn create_database_if_missing(
    maintenance: &PgConnectOptions,
    name: &str,
) -> Result<bool, SchemaError> {
    let mut connection = maintenance.connect().await?;
    let created = create(&mut connection, name).await;
    connection.close().await.ok();
    created
}

async fn create(connection: &mut PgConnection, name: &str) -> Result<bool, SchemaError> {
    let exists: bool =
        query_scalar("select exists (select from pg_catalog.pg_database where datname = $1)")
            .bind(name)
            .fetch_one(&mut *connection)
            .await?;
    if exists {
        return Ok(false);
    }
    let quoted = quote_identifier(name);
    let create = format!("create database {quoted} template template0 encoding 'UTF8'");
    match query(AssertSqlSafe(create)).execute(&mut *connection).await {
        Ok(_) => {}
        // Another runner was faster.
        Err(error) if is_duplicate(&error) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let close = format!("revoke all on database {quoted} from public");
    query(AssertSqlSafe(close)).execute(connection).await?;
    tracing::info!(database = name, "database created");
    Ok(true)
}

/// Takes CONNECT on all other databases of the server from PUBLIC, and returns their names. For
/// servers that nobody but Ingot uses: without it a project's logins reach `postgres`, where they
/// find nothing but the names of roles and databases.
///
/// # Errors
/// The owner of the connection does not own one of the databases.
pub async fn close_other_databases(owner: &mut PgConnection) -> Result<Vec<String>, SchemaError> {
    let open: Vec<String> = query_scalar(
        "select datname::text from pg_catalog.pg_database
        where datallowconn and datname <> current_database()
            and (datacl is null or exists (
                select from pg_catalog.aclexplode(datacl)
                where grantee = 0 and privilege_type = 'CONNECT'
            ))",
    )
    .fetch_all(&mut *owner)
    .await?;
    for name in &open {
        let quoted = quote_identifier(name);
        let close = format!("revoke connect on database {quoted} from public");
        query(AssertSqlSafe(close)).execute(&mut *owner).await?;
    }
    Ok(open)
}

/// `duplicate_database`, `duplicate_object`, or the race for the same name that ends on the
/// catalogue's unique index.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(DatabaseError::code)
        .is_some_and(|code| matches!(&*code, "42P04" | "42710" | "23505"))
}

/// An identifier in double quotes.
pub(crate) fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
