//! The database that a restored project gets. It is made beside the one that it replaces, under
//! another name, and takes the project's name as the last thing: a restore that does not come to its
//! end has changed nothing, and the replaced database is kept.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use ingot_project::Project;
use sqlx::postgres::PgConnectOptions;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, query_as, query_scalar, raw_sql,
};
use time::OffsetDateTime;

use super::tables::{SCHEMAS, quote};
use super::{Extension, Origin, RowsIn, only_project};
use crate::BootstrapConfig;
use crate::bootstrap::{Owner, within_timeout};

/// Comment on a database that is not complete. What has it may be removed.
const UNFINISHED: &str = "An unfinished restore of Ingot; it may be dropped";

/// The step that makes the schemas; the one before it makes the roles.
const FIRST_STEPS: u32 = 2;

/// An extension that can only be in the one database that the server's settings name.
const ELSEWHERE: &str = "pg_cron";

/// Lets the schema use the extensions, if it knows how.
const USE_EXTENSIONS: &str = "do $$
    begin
        if to_regprocedure('system.use_extensions()') is not null then
            perform system.use_extensions();
        end if;
    end
    $$";

/// Longest name of a database, in bytes (PostgreSQL, NAMEDATALEN).
const LONGEST_NAME: usize = 63;

/// The new database.
#[derive(Debug)]
pub struct Place {
    owner: Owner,
    /// The project as it will be.
    project: Arc<Project>,
    /// The project as it is until then, with the database's other name.
    meanwhile: Project,
    maintenance: PgConnectOptions,
    connection: PgConnection,
    /// Whether there was a database with the project's name.
    replaces: bool,
}

impl Place {
    /// Makes the database for the one project of `config`, with the steps that `origin` had.
    ///
    /// # Errors
    /// The project has a database with something in it, unless it may be `replaced`; somebody is
    /// connected to it; or PostgreSQL cannot do what is needed.
    pub async fn prepare(
        config: &BootstrapConfig,
        origin: &Origin,
        replaced: bool,
    ) -> anyhow::Result<Self> {
        let project = only_project(config)?;
        let newest = ingot_schema::latest_version();
        ensure!(
            origin.schema_step <= newest,
            "the backup was made by a newer Ingot, with step {} of the schema; this build knows {newest}: \
             restore it with that build, or a newer one",
            origin.schema_step
        );
        let owner = Owner::new(config);
        let maintenance = owner.maintenance(&project);
        let mut connection = connect(&maintenance).await?;
        let name = project.database.name.as_str();
        let replaces = exists(&mut connection, name).await?;
        if replaces {
            nobody_connected(&mut connection, name).await?;
            let mut there = owner.connect(&project).await?;
            let found = inhabitants(&mut there).await;
            there.close().await.ok();
            let found = found?;
            ensure!(
                replaced || found.is_empty(),
                "the database {name} is not empty: it has {}. With --overwrite the restored one takes \
                 its place, and it is kept under another name",
                found.join(", ")
            );
        }
        let mut meanwhile = project.as_ref().clone();
        meanwhile.database.name = other_name(name, "restoring");
        make(&mut connection, &maintenance, &meanwhile.database.name).await?;
        connection.close().await.ok();
        let mut connection = owner.connect(&meanwhile).await?;
        // Roles and schemas; what follows has its shape by which extensions there are.
        ingot_schema::migrate_to(&mut connection, FIRST_STEPS.min(origin.schema_step)).await?;
        let database = quote(&meanwhile.database.name);
        let grant = format!("grant create on database {database} to project_admin");
        raw_sql(AssertSqlSafe(grant))
            .execute(&mut connection)
            .await?;
        for extension in &origin.extensions {
            if extension.name != ELSEWHERE {
                let made = extend(&mut connection, extension).await;
                made.with_context(|| {
                    format!(
                        "the extension {} of the backup cannot be installed here",
                        extension.name
                    )
                })?;
            }
        }
        ingot_schema::migrate_to(&mut connection, origin.schema_step).await?;
        raw_sql(USE_EXTENSIONS).execute(&mut connection).await?;
        Ok(Self {
            owner,
            project,
            meanwhile,
            maintenance,
            connection,
            replaces,
        })
    }

    /// The project with the new database.
    pub fn project(&self) -> &Project {
        &self.meanwhile
    }

    /// Begins the transaction that writes the platform's rows.
    ///
    /// # Errors
    /// PostgreSQL refuses.
    pub async fn rows(&mut self) -> anyhow::Result<RowsIn<'_>> {
        RowsIn::begin(self.connection.begin().await?).await
    }

    /// Brings the rows up to this build, and makes the logins that the project's objects need.
    ///
    /// # Errors
    /// PostgreSQL refuses.
    pub async fn open(&mut self) -> anyhow::Result<()> {
        // Messages that come with the backup are not news. What the relay has to do begins now.
        let delivered = "update realtime.relay set delivered = pg_catalog.pg_current_snapshot()";
        raw_sql(delivered).execute(&mut self.connection).await?;
        Ok(self.owner.bring_up(&self.meanwhile).await.map(drop)?)
    }

    /// Gives the new database the project's name. Returns what the one that had it is called now.
    ///
    /// # Errors
    /// Somebody is connected to one of them, or has made another one meanwhile.
    pub async fn take_over(self) -> anyhow::Result<Option<String>> {
        self.connection.close().await.ok();
        let (name, new) = (&self.project.database.name, &self.meanwhile.database.name);
        let mut connection = connect(&self.maintenance).await?;
        ensure!(
            exists(&mut connection, name).await? == self.replaces,
            "the database {name} was made or removed during the restore: stop what does that, and \
             run it again"
        );
        let now = OffsetDateTime::now_utc();
        let (date, time) = (now.date(), now.time());
        let label = format!(
            "before_{:04}{:02}{:02}_{:02}{:02}{:02}",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        );
        let kept = self.replaces.then(|| other_name(name, &label));
        let mut transaction = connection.begin().await?;
        let mut steps = Vec::new();
        if let Some(kept) = &kept {
            steps.push(format!(
                "alter database {} rename to {}",
                quote(name),
                quote(kept)
            ));
        }
        steps.push(format!("comment on database {} is null", quote(new)));
        steps.push(format!(
            "alter database {} rename to {}",
            quote(new),
            quote(name)
        ));
        for step in steps {
            let done = raw_sql(AssertSqlSafe(step)).execute(&mut *transaction);
            done.await.context(
                "the restored database did not get the project's name: nobody may be connected to \
                 either; nothing was changed",
            )?;
        }
        transaction.commit().await?;
        connection.close().await.ok();
        Ok(kept)
    }

    /// Removes the new database.
    pub async fn give_up(self) {
        self.connection.close().await.ok();
        if let Ok(mut connection) = connect(&self.maintenance).await {
            let drop = format!("drop database {}", quote(&self.meanwhile.database.name));
            raw_sql(AssertSqlSafe(drop))
                .execute(&mut connection)
                .await
                .ok();
        }
    }
}

async fn extend(connection: &mut PgConnection, extension: &Extension) -> anyhow::Result<()> {
    let (name, schema) = (quote(&extension.name), quote(&extension.schema));
    let mut transaction = connection.begin().await?;
    let mut steps = vec![format!(
        "create schema if not exists {schema} authorization project_admin"
    )];
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

async fn connect(options: &PgConnectOptions) -> anyhow::Result<PgConnection> {
    Ok(within_timeout(options.connect()).await?)
}

async fn exists(connection: &mut PgConnection, name: &str) -> anyhow::Result<bool> {
    let sql = "select exists (select from pg_catalog.pg_database where datname = $1)";
    Ok(query_scalar(sql).bind(name).fetch_one(connection).await?)
}

/// A database that changes hands under somebody would leave him with what he had read of it.
async fn nobody_connected(connection: &mut PgConnection, name: &str) -> anyhow::Result<()> {
    let sessions: Vec<(String, i64)> = query_as(
        "select coalesce(usename::text, '?'), count(*)
         from pg_catalog.pg_stat_activity
         where datname = $1 and backend_type = 'client backend' group by 1 order by 1",
    )
    .bind(name)
    .fetch_all(connection)
    .await?;
    let sessions: Vec<_> = sessions
        .iter()
        .map(|(user, count)| format!("{count} of {user}"))
        .collect();
    if sessions.is_empty() {
        return Ok(());
    }
    bail!(
        "there are connections to the database {name} ({}): stop the project's services first",
        sessions.join(", ")
    )
}

/// What a project has put into the database, in words; nothing, if only Ingot has.
async fn inhabitants(connection: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let relations: i64 = query_scalar(
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
    .fetch_one(&mut *connection)
    .await?;
    if relations > 0 {
        found.push(format!("{relations} tables, views and sequences"));
    }
    for (table, things) in [
        ("auth.users", "accounts"),
        ("realtime.channels", "channels"),
        ("realtime.messages", "messages"),
        ("functions.definitions", "functions"),
        ("storage.buckets", "buckets"),
        ("system.custom_migrations", "migrations"),
    ] {
        let there: Option<String> = query_scalar("select pg_catalog.to_regclass($1)::text")
            .bind(table)
            .fetch_one(&mut *connection)
            .await?;
        let Some(table) = there else { continue };
        let count: i64 = query_scalar(AssertSqlSafe(format!("select count(*) from {table}")))
            .fetch_one(&mut *connection)
            .await?;
        if count > 0 {
            found.push(format!("{count} {things}"));
        }
    }
    Ok(found)
}

/// Makes the database, in the place of one that an earlier restore did not complete.
async fn make(
    connection: &mut PgConnection,
    maintenance: &PgConnectOptions,
    name: &str,
) -> anyhow::Result<()> {
    if exists(connection, name).await? {
        let comment: Option<String> = query_scalar(
            "select pg_catalog.shobj_description(oid, 'pg_database')
             from pg_catalog.pg_database where datname = $1",
        )
        .bind(name)
        .fetch_one(&mut *connection)
        .await?;
        ensure!(
            comment.as_deref() == Some(UNFINISHED),
            "there is a database {name}, which no restore has made: rename it"
        );
        let drop = format!("drop database {}", quote(name));
        let dropped = raw_sql(AssertSqlSafe(drop)).execute(&mut *connection).await;
        dropped.with_context(|| {
            format!("{name}, of an earlier restore, cannot be removed: does another one run?")
        })?;
    }
    let made = ingot_schema::create_database_if_missing(maintenance, name).await?;
    ensure!(made, "another restore has begun");
    let note = format!("comment on database {} is '{UNFINISHED}'", quote(name));
    raw_sql(AssertSqlSafe(note)).execute(connection).await?;
    Ok(())
}

/// `name_label`, cut so that PostgreSQL does not.
fn other_name(name: &str, label: &str) -> String {
    let room = LONGEST_NAME - label.len().min(LONGEST_NAME - 1) - 1;
    let mut cut = name;
    while cut.len() > room {
        let mut characters = cut.chars();
        characters.next_back();
        cut = characters.as_str();
    }
    format!("{cut}_{label}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_fit() {
        assert_eq!(other_name("app", "restoring"), "app_restoring");
        let long = other_name(&"ä".repeat(31), "before_20260131_090500");
        assert!(long.len() <= LONGEST_NAME, "{long}");
        assert!(long.ends_with("_before_20260131_090500"));
    }
}
