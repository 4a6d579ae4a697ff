//! The migrated template database, made once per cluster by whichever test comes first.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::TestServers;

/// Every test's database is a copy of this one.
pub(crate) const TEMPLATE: &str = "ingot_template";

/// The template while it is being made: an interrupted run leaves no half-migrated template.
const DRAFT: &str = "ingot_template_draft";

/// Key of the advisory lock under which the template is made ("ingot" in ASCII).
const LOCK: i64 = 0x69_6e_67_6f_74;

/// Makes the template unless it exists, and returns a superuser's connection to the cluster.
pub(crate) async fn ensure(servers: &TestServers) -> anyhow::Result<PgConnection> {
    let mut admin = PgConnection::connect_with(&servers.superuser_options("postgres"))
        .await
        .context("cannot reach the tests' PostgreSQL")?;
    if exists(&mut admin).await? {
        return Ok(admin);
    }
    sqlx::query("select pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut admin)
        .await?;
    if !exists(&mut admin).await? {
        create(servers, &mut admin).await?;
    }
    sqlx::query("select pg_advisory_unlock($1)")
        .bind(LOCK)
        .execute(&mut admin)
        .await?;
    Ok(admin)
}

async fn exists(admin: &mut PgConnection) -> anyhow::Result<bool> {
    let found = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(TEMPLATE)
        .fetch_one(admin)
        .await?;
    Ok(found)
}

async fn create(servers: &TestServers, admin: &mut PgConnection) -> anyhow::Result<()> {
    run(admin, format!("drop database if exists {DRAFT}")).await?;
    run(admin, format!("create database {DRAFT}")).await?;
    let mut draft = PgConnection::connect_with(&servers.superuser_options(DRAFT)).await?;
    ingot_schema::migrate(&mut draft)
        .await
        .context("the system migrations fail on an empty database")?;
    draft.close().await?;
    run(
        admin,
        format!("alter database {DRAFT} rename to {TEMPLATE}"),
    )
    .await
}

/// Runs a statement that cannot take parameters; names in it are ours.
pub(crate) async fn run(connection: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    sqlx::query(AssertSqlSafe(statement.as_str()))
        .execute(connection)
        .await
        .with_context(|| statement.clone())?;
    Ok(())
}
