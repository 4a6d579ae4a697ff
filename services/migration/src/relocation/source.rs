//! A project's database at one moment, as its owner sees it.

use std::sync::Arc;

use anyhow::{Context, ensure};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use ingot_project::Project;
use sqlx::{PgConnection, query_as, query_scalar, raw_sql};

use super::{Extension, Origin, Table, only_project, tables};
use crate::BootstrapConfig;
use crate::bootstrap::Owner;

/// Row level security that would hide rows from the owner is an error and no gap.
const BEGIN: &str = "begin isolation level repeatable read read only;
    set local statement_timeout = 0;
    set local idle_in_transaction_session_timeout = 0;
    set local row_security = off;
    set local search_path = ''";

/// The moment. As long as this lives, others may look at the same one through its snapshot.
#[derive(Debug)]
pub struct Source {
    project: Arc<Project>,
    connection: PgConnection,
    snapshot: String,
    origin: Origin,
}

impl Source {
    /// Opens the database of the one project of `config`.
    ///
    /// # Errors
    /// It cannot be reached, or is not Ingot's.
    pub async fn open(config: &BootstrapConfig) -> anyhow::Result<Self> {
        let project = only_project(config)?;
        let mut connection = Owner::new(config).connect(&project).await?;
        raw_sql(BEGIN).execute(&mut connection).await?;
        let snapshot = query_scalar("select pg_catalog.pg_export_snapshot()")
            .fetch_one(&mut connection)
            .await?;
        let origin = origin(&mut connection).await?;
        Ok(Self {
            project,
            connection,
            snapshot,
            origin,
        })
    }

    /// Whose it is.
    pub fn project(&self) -> &Arc<Project> {
        &self.project
    }

    /// What other sessions on the database take to see the same moment.
    pub fn snapshot(&self) -> &str {
        &self.snapshot
    }

    /// What it is like.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The tables of the platform whose rows are carried, in an order in which they can be written.
    ///
    /// # Errors
    /// PostgreSQL cannot be asked.
    pub async fn tables(&mut self) -> anyhow::Result<Vec<Table>> {
        Ok(tables::carried(&mut self.connection).await?)
    }

    /// The rows of a table, in the text form of `COPY`: a line each.
    ///
    /// # Errors
    /// PostgreSQL refuses.
    pub async fn rows(
        &mut self,
        table: &Table,
    ) -> anyhow::Result<BoxStream<'_, anyhow::Result<bytes::Bytes>>> {
        let copy = format!(
            "copy {} ({}) to stdout",
            table.quoted(),
            table.quoted_columns()
        );
        let rows = self.connection.copy_out_raw(&copy).await?;
        Ok(rows.map_err(anyhow::Error::from).boxed())
    }

    /// Schemas with tables that neither the project shows nor the platform knows: nobody carries them.
    ///
    /// # Errors
    /// PostgreSQL cannot be asked.
    pub async fn strangers(&mut self) -> anyhow::Result<Vec<String>> {
        Ok(query_scalar(
            "select distinct n.nspname::text
             from pg_catalog.pg_class as c
             join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
             where c.relkind in ('r', 'p', 'm') and n.nspname not like 'pg\\_%'
                 and n.nspname <> 'information_schema' and n.nspname::text <> all ($1)
                 and not system.is_exposed_schema(n.nspname)
                 and not exists (select from pg_catalog.pg_depend as d
                     where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
                         and d.deptype = 'e')
             order by 1",
        )
        .bind(tables::SCHEMAS.map(str::to_owned).to_vec())
        .fetch_all(&mut self.connection)
        .await?)
    }
}

async fn origin(connection: &mut PgConnection) -> anyhow::Result<Origin> {
    let status = ingot_schema::status(connection).await?;
    let newest = status.applied.iter().map(|step| step.number).max();
    let schema_step =
        newest.context("the database has no schema of Ingot: there is nothing to back up")?;
    let version: String = query_scalar("show server_version")
        .fetch_one(&mut *connection)
        .await?;
    let postgresql = version.split(' ').next().unwrap_or_default().to_owned();
    let extensions: Vec<(String, String, bool, bool)> = query_as(
        "select e.extname::text, n.nspname::text, e.extowner = 'project_admin'::regrole,
             n.nspowner = 'project_admin'::regrole
         from pg_catalog.pg_extension as e
         join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
         where e.extname <> 'plpgsql'
         order by e.oid",
    )
    .fetch_all(connection)
    .await?;
    ensure!(!postgresql.is_empty(), "PostgreSQL tells no version");
    let extensions = extensions
        .into_iter()
        .map(|(name, schema, of_project, schema_of_project)| Extension {
            name,
            schema,
            of_project,
            schema_of_project,
        });
    Ok(Origin {
        schema_step,
        postgresql,
        extensions: extensions.collect(),
    })
}
