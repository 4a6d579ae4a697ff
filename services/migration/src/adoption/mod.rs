//! Taking over a database that the InsForge server made: its accounts, secrets, channels and files
//! stay where they are, and the tables around them get the shape that Ingot's steps describe.
//!
//! All of it is one transaction. [`reference`] knows what the other platform left, [`payments`] what
//! they were of old, [`replay`] runs Ingot's steps over what is there, [`powers`] takes back what an
//! administrator could reach, [`rows`] counts that nothing was lost.

mod payments;
mod powers;
mod reference;
mod replay;
mod rows;
mod table;

use ingot_project::Project;
use ingot_schema::{LOCK_WAIT, RunnerLock, SchemaError};
use sqlx::{Connection as _, PgConnection};

use crate::BootstrapConfig;
use crate::bootstrap::{BringUpError, Owner};

/// What an adoption did, or would do.
#[derive(Debug)]
pub struct Adoption {
    /// Newest step of the InsForge server.
    pub found: String,
    /// What was changed, in its order, a sentence each.
    pub actions: Vec<String>,
    /// What somebody should look at, a sentence each.
    pub remarks: Vec<String>,
    /// Tables of the platform and of the project, with their rows, none of which was lost.
    pub rows: Vec<(String, i64)>,
}

/// Why a database was not adopted. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AdoptionError {
    /// PostgreSQL refused something or could not be reached.
    #[error("the database was left as it was: {0}")]
    Database(#[from] sqlx::Error),
    /// No database for Ingot's schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A statement failed.
    #[error("{doing} failed, and the database was left as it was: {source}")]
    Failed {
        /// What was being done.
        doing: String,
        /// What PostgreSQL said.
        source: sqlx::Error,
    },
    /// The database is nothing to adopt, or not yet.
    #[error("{0}")]
    Unfit(String),
    /// A table had fewer rows afterwards.
    #[error(
        "{table} would have had {after} rows instead of {before}: the database was left as it was"
    )]
    Loss {
        /// The table.
        table: String,
        /// Its rows before.
        before: i64,
        /// And after.
        after: i64,
    },
    /// It was adopted, but what follows failed.
    #[error(
        "the database was adopted, but its logins and keys were not made: {0}; run `ingot migrate up`"
    )]
    Afterwards(#[from] BringUpProblem),
}

/// Why a database that has the schema is not up.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BringUpProblem(BringUpError);

/// What was done so far.
#[derive(Debug, Default)]
struct Journal {
    actions: Vec<String>,
    remarks: Vec<String>,
}

impl Journal {
    fn did(&mut self, action: impl Into<String>) {
        self.actions.push(action.into());
    }

    fn remark(&mut self, remark: impl Into<String>) {
        self.remarks.push(remark.into());
    }
}

/// Adopts the database of the one project of `config`, and brings it up. Unless `apply`, all of it
/// is undone: a dry run takes the locks of the real thing.
///
/// # Errors
/// The database is none that the InsForge server made, a newer one than this build knows, or its
/// rows do not fit the schema; it is then left as it was.
pub async fn adopt(config: &BootstrapConfig, apply: bool) -> Result<Adoption, AdoptionError> {
    let owner = Owner::new(config);
    let mut projects = config.registry.iter();
    let (Some(project), None) = (projects.next(), projects.next()) else {
        return Err(AdoptionError::Unfit(
            "adopt one project at a time".to_owned(),
        ));
    };
    let mut connection = owner.connect(project).await?;
    let lock = RunnerLock::acquire(&mut connection, LOCK_WAIT).await?;
    let adopted = within_lock(lock.connection, project, apply).await;
    let released = lock.release().await;
    let adopted = adopted?;
    released?;
    connection.close().await.ok();
    if apply {
        owner.bring_up(project).await.map_err(BringUpProblem)?;
    }
    Ok(adopted)
}

async fn within_lock(
    connection: &mut PgConnection,
    project: &Project,
    apply: bool,
) -> Result<Adoption, AdoptionError> {
    let mut transaction = connection.begin().await?;
    let session = "set local search_path = '';
        set local lock_timeout = '10s';
        set local statement_timeout = 0;
        set local idle_in_transaction_session_timeout = 0;
        -- No trigger and no event trigger that somebody left runs as the owner.
        set local session_replication_role = replica";
    run(&mut transaction, session, "preparing the session").await?;
    let mut journal = Journal::default();
    let found = reference::examine(&mut transaction).await?;
    reference::check_key(&mut transaction, project).await?;
    let before = rows::count(&mut transaction).await?;
    reference::mend(&mut transaction, found.step, &mut journal).await?;
    let shed = powers::shed_before(&mut transaction, &mut journal).await?;
    replay::run_steps(&mut transaction, &mut journal).await?;
    powers::shed_after(&mut transaction, shed, &mut journal).await?;
    reference::note_leftovers(&mut transaction, &mut journal).await?;
    let rows = rows::compare(&mut transaction, before).await?;
    if apply {
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(Adoption {
        found: found.name,
        actions: journal.actions,
        remarks: journal.remarks,
        rows,
    })
}

/// Runs statements that this module wrote: names in them are quoted, values are its own.
async fn run(
    connection: &mut PgConnection,
    sql: &str,
    doing: impl Into<String>,
) -> Result<(), AdoptionError> {
    match sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(connection)
        .await
    {
        Ok(_) => Ok(()),
        Err(source) => Err(AdoptionError::Failed {
            doing: doing.into(),
            source,
        }),
    }
}
