//! Why a schema could not be brought to, or is not at, the state of this build.

use std::time::Duration;

use ingot_project::ProjectId;

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// PostgreSQL refused something or could not be reached.
    #[error("the database did not do what the schema needs: {0}")]
    Database(#[from] sqlx::Error),

    /// Another runner held the lock all the time.
    #[error(
        "another migration has been running for more than {} s: wait for it to finish, or end \
         the session that holds the advisory lock", .waited.as_secs()
    )]
    Busy {
        /// How long this runner waited.
        waited: Duration,
    },

    /// A step failed; its transaction was rolled back and the steps before it stay.
    #[error(
        "step {number} ({name}) failed and was rolled back: {source}; remove the cause and run \
         the migration again"
    )]
    StepFailed {
        /// Number of the step.
        number: u32,
        /// Its name.
        name: String,
        /// What PostgreSQL said.
        source: sqlx::Error,
    },

    /// A step was applied with another content.
    #[error(
        "step {number} ({name}) was applied to this database with other content: recorded \
         {recorded}, this build has {built}; never edit a released step: restore the file, put \
         the change into a new step and build again"
    )]
    StepChanged {
        /// Number of the step.
        number: u32,
        /// Its name in the ledger.
        name: String,
        /// `name@checksum` in the ledger, the checksum cut to 12 digits.
        recorded: String,
        /// The same of this build.
        built: String,
    },

    /// The ledger has a step that this build lacks.
    #[error(
        "step {number} ({name}) was applied to this database but this build, which ends at step \
         {latest}, does not have it: deploy the build that applied it, or a newer one"
    )]
    StepMissing {
        /// Number of the step.
        number: u32,
        /// Its name in the ledger.
        name: String,
        /// Newest step of this build.
        latest: u32,
    },

    /// The ledger skips a step that this build has.
    #[error(
        "step {number} ({name}) was never applied to this database although step {later} was: \
         the ledger system.schema_steps lost a row; restore it from a backup before migrating"
    )]
    StepSkipped {
        /// Number of the step.
        number: u32,
        /// Its name.
        name: String,
        /// A later step that was applied.
        later: u32,
    },

    /// The database lacks steps of this build.
    #[error(
        "the schema is at step {applied} and this build needs step {needed}: run the migration \
         service"
    )]
    Behind {
        /// Newest applied step, 0 for none.
        applied: u32,
        /// Newest step of this build.
        needed: u32,
    },

    /// Platform tables exist, but no ledger of Ingot.
    #[error(
        "the database already has {table} but no ledger of Ingot's steps: it was provisioned by \
         another platform; give Ingot an empty database, or let `ingot adopt` take this one over"
    )]
    ForeignSchema {
        /// A table that gives it away.
        table: String,
    },

    /// The database is another project's.
    #[error(
        "the database belongs to project `{found}` and cannot serve `{wanted}` too: give every \
         project a database of its own (POSTGRES_DB)"
    )]
    OtherProject {
        /// Whose it is.
        found: String,
        /// Who asked.
        wanted: ProjectId,
    },
}
