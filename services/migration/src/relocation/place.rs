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

use super::inhabitants::inhabitants;
use super::tables::quote;
use super::{Origin, RowsIn, extensions, only_project};
use crate::BootstrapConfig;
use crate::bootstrap::{Owner, within_timeout};

/// Comment on a database that is not complete. What has it may be removed.
const UNFINISHED: &str = "An unfinished restore of Ingot; it may be dropped";

/// The step that makes the schemas; the one before it makes the roles.
const FIRST_STEPS: u32 = 2;

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
    /// connected to it; or PostgreSQL cannot do what is needed. No new database is left then, or the
    /// error names it.
    pub async fn prepare(
        config: &BootstrapConfig,
        origin: &Origin,
        replaced: bool,
    ) -> anyhow::Result<Self> {
        let project = only_project(config)?;
        is_known(origin)?;
        let owner = Owner::new(config);
        let maintenance = owner.maintenance(&project);
        let mut connection = connect(&maintenance).await?;
        let name = project.database.name.as_str();
        let replaces = exists(&mut connection, name).await?;
        if replaces {
            nobody_connected(&mut connection, name).await?;
            if !replaced {
                is_empty(&owner, &project).await?;
            }
        }
        let mut meanwhile = project.as_ref().clone();
        meanwhile.database.name = other_name(name, "restoring");
        make(&mut connection, &maintenance, &meanwhile.database.name).await?;
        let furnished = furnish(&mut connection, &owner, &meanwhile, origin).await;
        connection.close().await.ok();
        match furnished {
            Ok(connection) => Ok(Self {
                owner,
                project,
                meanwhile,
                maintenance,
                connection,
                replaces,
            }),
            Err(error) => {
                let outcome = discard(&maintenance, &meanwhile.database.name).await;
                Err(error.context(outcome))
            }
        }
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
    /// Somebody is connected to one of them, or has made another one meanwhile. The new database is
    /// removed then.
    pub async fn take_over(self) -> anyhow::Result<Option<String>> {
        self.connection.close().await.ok();
        let (name, new) = (&self.project.database.name, &self.meanwhile.database.name);
        match rename(&self.maintenance, name, new, self.replaces).await {
            Ok(kept) => Ok(kept),
            Err(error) => Err(error.context(discard(&self.maintenance, new).await)),
        }
    }

    /// Removes the new database. Returns what has become of everything, in words.
    pub async fn give_up(self) -> String {
        self.connection.close().await.ok();
        discard(&self.maintenance, &self.meanwhile.database.name).await
    }
}

fn is_known(origin: &Origin) -> anyhow::Result<()> {
    let newest = ingot_schema::latest_version();
    ensure!(
        origin.schema_step <= newest,
        "the backup was made by a newer Ingot, with step {} of the schema; this build knows {newest}: \
         restore it with that build, or a newer one",
        origin.schema_step
    );
    Ok(())
}

async fn is_empty(owner: &Owner, project: &Project) -> anyhow::Result<()> {
    let mut there = owner.connect(project).await?;
    let found = inhabitants(&mut there).await;
    there.close().await.ok();
    let found = found?;
    ensure!(
        found.is_empty(),
        "the database {} is not empty: it has {}. With --overwrite the restored one takes its place, \
         and it is kept under another name",
        project.database.name,
        found.join(", ")
    );
    Ok(())
}

/// Marks the new database, and gives it the steps and extensions of the other one.
async fn furnish(
    maintenance: &mut PgConnection,
    owner: &Owner,
    meanwhile: &Project,
    origin: &Origin,
) -> anyhow::Result<PgConnection> {
    let database = quote(&meanwhile.database.name);
    let note = format!("comment on database {database} is '{UNFINISHED}'");
    raw_sql(AssertSqlSafe(note)).execute(maintenance).await?;
    let mut connection = owner.connect(meanwhile).await?;
    match equip(&mut connection, &database, origin).await {
        Ok(()) => Ok(connection),
        Err(error) => {
            // Nobody can remove a database that this is connected to.
            connection.close().await.ok();
            Err(error)
        }
    }
}

async fn equip(
    connection: &mut PgConnection,
    database: &str,
    origin: &Origin,
) -> anyhow::Result<()> {
    // Roles and schemas; what follows has its shape by which extensions there are.
    ingot_schema::migrate_to(connection, FIRST_STEPS.min(origin.schema_step)).await?;
    let grant = format!("grant create on database {database} to project_admin");
    raw_sql(AssertSqlSafe(grant))
        .execute(&mut *connection)
        .await?;
    extensions::install(connection, &origin.extensions).await?;
    ingot_schema::migrate_to(connection, origin.schema_step).await?;
    raw_sql(USE_EXTENSIONS).execute(connection).await?;
    Ok(())
}

/// Gives the database `new` the name `name`, and the one that has it another one, at once.
async fn rename(
    maintenance: &PgConnectOptions,
    name: &str,
    new: &str,
    replaces: bool,
) -> anyhow::Result<Option<String>> {
    let mut connection = connect(maintenance).await?;
    ensure!(
        exists(&mut connection, name).await? == replaces,
        "the database {name} was made or removed during the restore: stop what does that, and run it \
         again"
    );
    let kept = replaces.then(|| other_name(name, &label(OffsetDateTime::now_utc())));
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
    let mut transaction = connection.begin().await?;
    for step in steps {
        let done = raw_sql(AssertSqlSafe(step)).execute(&mut *transaction);
        done.await.context(
            "the restored database did not get the project's name: nobody may be connected to either",
        )?;
    }
    transaction.commit().await?;
    connection.close().await.ok();
    Ok(kept)
}

/// What a database is called from this moment on that was the project's before.
fn label(now: OffsetDateTime) -> String {
    let (date, time) = (now.date(), now.time());
    format!(
        "before_{:04}{:02}{:02}_{:02}{:02}{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// Removes an unfinished database. Returns what is true then, to be told with the error that led to
/// it.
async fn discard(maintenance: &PgConnectOptions, name: &str) -> String {
    match drop_unfinished(maintenance, name).await {
        Ok(()) => "nothing was changed".to_owned(),
        Err(error) => format!(
            "nothing was changed, but the unfinished database {name} is still there, until the next \
             restore or `drop database {}` ({error})",
            quote(name)
        ),
    }
}

async fn drop_unfinished(maintenance: &PgConnectOptions, name: &str) -> anyhow::Result<()> {
    let mut connection = connect(maintenance).await?;
    let drop = format!("drop database {}", quote(name));
    let dropped = raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await;
    connection.close().await.ok();
    dropped?;
    Ok(())
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
