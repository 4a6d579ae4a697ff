//! Extensions that a restored database gets before its tables, some of which depend on them.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection, PgConnection, query_scalar, raw_sql};

use super::Extension;
use super::tables::quote;

/// An extension that can only be in the one database that the server's settings name.
const ELSEWHERE: &str = "pg_cron";

/// Installs them, each as the one that it was installed by.
pub(super) async fn install(
    connection: &mut PgConnection,
    extensions: &[Extension],
) -> anyhow::Result<()> {
    for extension in extensions.iter().filter(|it| it.name != ELSEWHERE) {
        let installed = extend(connection, extension).await;
        installed.with_context(|| {
            format!(
                "the extension {} of the backup cannot be installed here",
                extension.name
            )
        })?;
    }
    Ok(())
}

async fn extend(connection: &mut PgConnection, extension: &Extension) -> anyhow::Result<()> {
    let (name, schema) = (quote(&extension.name), quote(&extension.schema));
    let mut transaction = connection.begin().await?;
    let mut steps = Vec::new();
    // PostgreSQL's own schemas cannot even be made "if not exists".
    let exists = "select exists (select from pg_catalog.pg_namespace where nspname = $1)";
    let there: bool = query_scalar(exists)
        .bind(&extension.schema)
        .fetch_one(&mut *transaction)
        .await?;
    if !there {
        let of_project = extension.of_project || extension.schema_of_project;
        let owner = if of_project {
            "project_admin"
        } else {
            "current_user"
        };
        steps.push(format!("create schema {schema} authorization {owner}"));
    }
    if extension.of_project {
        steps.push("set local role project_admin".to_owned());
    }
    steps.push(format!(
        "create extension if not exists {name} schema {schema} cascade"
    ));
    for step in steps {
        raw_sql(AssertSqlSafe(step))
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction.commit().await?)
}
