//! The platform's database schema: the numbered steps of `migrations/`, and what runs them.
//!
//! Steps are plain SQL, embedded at build time. [`migrate`] applies what a database lacks: one
//! runner at a time, each step in a transaction of its own, recorded with its checksum in
//! `system.schema_steps`. A step that was released is never edited; a change is a further step.
//! [`prepare_logins`] then gives the project its login roles, and [`wait_until_current`] is how
//! every other service waits for all this.
//!
//! The ledger is Ingot's own. `system.migrations`, which the InsForge server keeps, is left
//! alone, and a database that it provisioned is refused instead of half adopted: `ingot adopt` of the
//! migration service takes over such a one.

mod database;
mod error;
mod ledger;
mod lock;
mod logins;
mod policy;
mod readiness;
mod realtime;
mod runner;
mod step;

pub use database::{close_other_databases, create_database_if_missing};
pub use error::SchemaError;
pub use ledger::{AppliedStep, Status, create_ledger, record_step, status, verify};
pub use lock::{LOCK_WAIT, RunnerLock};
pub use logins::prepare_logins;
pub use policy::{CREATE_POLICY, PROJECT_POLICIES, PROJECT_TRIGGERS};
pub use readiness::{check_current, wait_until_current};
pub use realtime::{PUBLICATION, RealtimeSource, switch_realtime_source};
pub use runner::{migrate, migrate_to};
pub use step::{STEPS, Step, latest_version};
