//! A transaction of the project's administrator.

use sqlx::{PgPool, Postgres, Transaction};

/// Makes a session of the login role for administrators' SQL act as `project_admin`. Outside of a
/// transaction it holds for the session, so the connection must not be used for anything else.
pub(crate) const ENTER_ADMIN: &str = "set role project_admin; \
     set request.jwt.claims = '{\"role\":\"project_admin\"}'";

/// The same until the end of the transaction.
const ENTER_ADMIN_LOCALLY: &str = "set local role project_admin; \
     set local request.jwt.claims = '{\"role\":\"project_admin\"}'";

/// Begins a transaction as `project_admin` on the login role whose only right is to become it
/// (contract, database §11).
pub(crate) async fn begin_as_admin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut transaction = pool.begin().await?;
    sqlx::raw_sql(ENTER_ADMIN_LOCALLY)
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}
