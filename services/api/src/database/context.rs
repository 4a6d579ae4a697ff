//! How work that runs no code of the project reaches the database as its administrator.

use std::time::Duration;

use ingot_project::set_trace;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

/// The role until the end of the transaction.
const ENTER_ADMIN_LOCALLY: &str = "set local role project_admin; \
     set local request.jwt.claims = '{\"role\":\"project_admin\"}'";

/// The limit of a request's statements, in words.
pub(crate) const LIMIT: &str = "30 seconds";

/// When statements together, or one that lifted its own limit, are ended from outside.
pub(crate) const DEADLINE: Duration = Duration::from_secs(35);

/// Begins a transaction as `project_admin` on the login role whose only right is to become it
/// (contract, database §11).
pub(crate) async fn begin_as_admin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut transaction = pool.begin().await?;
    let enter = format!("{ENTER_ADMIN_LOCALLY}{}", set_trace("set local"));
    sqlx::raw_sql(AssertSqlSafe(enter))
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}
