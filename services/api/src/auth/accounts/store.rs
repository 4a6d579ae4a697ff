//! `auth.users` and the providers linked to them.
//!
//! Projects put triggers on `auth.users`, and a trigger runs with the rights of whoever changes the
//! table. So changes go through [`change`] as `project_admin`, whose code it is; the services'
//! login role may only read.

use std::io::ErrorKind;

use ingot_http::Timestamp;
use ingot_project::{AdminPools, AdminSession};
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::QueryAs;
use sqlx::{FromRow, PgExecutor, PgPool, Postgres};
use uuid::Uuid;

use crate::database::DEADLINE;

/// A user as clients see one (contract, auth §4).
#[derive(Debug, Clone, FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    email_verified: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Linked providers in order, `email` last if there is a password.
    providers: Vec<String>,
    profile: Option<Value>,
    metadata: Option<Value>,
}

impl User {
    /// Whether the address is known to be the user's.
    pub(crate) fn is_verified(&self) -> bool {
        self.email_verified
    }
}

/// `select` of a [`User`] from `auth.users as u`, with a rest of the statement.
macro_rules! select_user {
    ($rest:literal) => {
        concat!(
            "select u.id, u.email, coalesce(u.email_verified, false) as email_verified,
                coalesce(u.created_at, now()) as created_at,
                coalesce(u.updated_at, now()) as updated_at, u.profile, u.metadata,
                array(select distinct p.provider from auth.user_providers as p
                      where p.user_id = u.id order by p.provider)
                || case when u.password is not null and not exists
                           (select from auth.user_providers as p
                            where p.user_id = u.id and p.provider = 'email')
                        then array['email'] else '{}'::text[] end as providers
             from auth.users as u ",
            $rest
        )
    };
}

/// Runs one statement that changes accounts, on a connection of the login role for administrators'
/// SQL that nobody uses afterwards; returns what the statement returns.
async fn change<T>(
    admin: &AdminPools,
    statement: QueryAs<'_, Postgres, T, PgArguments>,
) -> sqlx::Result<Vec<T>>
where
    T: Send + Unpin + for<'r> FromRow<'r, PgRow>,
{
    let mut session = AdminSession::open(admin).await?;
    let running = statement.fetch_all(session.connection());
    let Ok(result) = tokio::time::timeout(DEADLINE, running).await else {
        session.end().await;
        return Err(sqlx::Error::Io(ErrorKind::TimedOut.into()));
    };
    let rows = result?;
    // The change stands, whatever the project's code did to the connection.
    if let Err(error) = session.close().await {
        tracing::debug!(%error, "a connection was not closed in order");
    }
    Ok(rows)
}

/// A user to be.
#[derive(Debug)]
pub(super) struct NewUser<'a> {
    pub(super) email: &'a str,
    pub(super) password_hash: &'a str,
    pub(super) email_verified: bool,
    pub(super) profile: Value,
}

/// Stores a user and returns the id; `None` if the address is taken.
pub(super) async fn insert(admin: &AdminPools, user: NewUser<'_>) -> sqlx::Result<Option<Uuid>> {
    let statement = sqlx::query_as(
        "insert into auth.users (email, password, email_verified, profile)
         values ($1, $2, $3, $4)
         on conflict (email) do nothing
         returning id",
    )
    .bind(user.email)
    .bind(user.password_hash)
    .bind(user.email_verified)
    .bind(user.profile);
    let created: Vec<(Uuid,)> = change(admin, statement).await?;
    Ok(created.first().map(|&(id,)| id))
}

/// Whether an account with exactly this address exists.
pub(super) async fn email_exists(pool: &PgPool, email: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from auth.users where email = $1)")
        .bind(email)
        .fetch_one(pool)
        .await
}

/// The user with this id.
pub(in crate::auth) async fn by_id(
    executor: impl PgExecutor<'_>,
    id: Uuid,
) -> sqlx::Result<Option<User>> {
    sqlx::query_as(select_user!("where u.id = $1"))
        .bind(id)
        .fetch_optional(executor)
        .await
}

/// What a password sign-in needs to know of an account.
#[derive(Debug, FromRow)]
pub(in crate::auth) struct Credentials {
    pub(in crate::auth) id: Uuid,
    /// `None` for accounts that only sign in elsewhere.
    pub(in crate::auth) password: Option<String>,
    pub(in crate::auth) email_verified: bool,
}

/// The credentials of exactly this address.
pub(in crate::auth) async fn credentials(
    pool: &PgPool,
    email: &str,
) -> sqlx::Result<Option<Credentials>> {
    sqlx::query_as(
        "select id, password, coalesce(email_verified, false) as email_verified
         from auth.users where email = $1",
    )
    .bind(email)
    .fetch_optional(pool)
    .await
}

/// One page of users, newest first, and how many there are. Anonymous accounts and
/// administrators' rows of older installations are left out. `%` and `_` in `search` are
/// wildcards.
pub(super) async fn page(
    pool: &PgPool,
    search: Option<&str>,
    limit: i64,
    offset: i64,
) -> sqlx::Result<(Vec<User>, i64)> {
    let total = sqlx::query_scalar(
        "select count(*) from auth.users as u
         where not u.is_anonymous and not u.is_project_admin
           and ($1::text is null or u.email like '%' || $1 || '%'
                or u.profile ->> 'name' like '%' || $1 || '%')",
    )
    .bind(search)
    .fetch_one(pool)
    .await?;
    let users = sqlx::query_as(select_user!(
        "where not u.is_anonymous and not u.is_project_admin
           and ($1::text is null or u.email like '%' || $1 || '%'
                or u.profile ->> 'name' like '%' || $1 || '%')
         order by u.created_at desc, u.id
         limit $2 offset $3"
    ))
    .bind(search)
    .bind(limit)
    .bind(offset)
    .fetch_all(pool)
    .await?;
    Ok((users, total))
}

/// Deletes users with all that hangs on them, their sessions included; unknown ids are ignored.
pub(super) async fn delete(admin: &AdminPools, ids: &[Uuid]) -> sqlx::Result<usize> {
    let statement = sqlx::query_as("delete from auth.users where id = any($1) returning id");
    let deleted: Vec<(Uuid,)> = change(admin, statement.bind(ids)).await?;
    Ok(deleted.len())
}

/// A profile as anybody may see it.
#[derive(Debug, FromRow, Serialize)]
pub(super) struct Profile {
    id: Uuid,
    profile: Option<Value>,
}

pub(super) async fn profile(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<Profile>> {
    sqlx::query_as("select id, profile from auth.users where id = $1")
        .bind(id)
        .fetch_optional(pool)
        .await
}

/// Lays `changes` over the profile, key by key.
pub(super) async fn merge_profile(
    admin: &AdminPools,
    id: Uuid,
    changes: Map<String, Value>,
) -> sqlx::Result<Option<Profile>> {
    let statement = sqlx::query_as(
        "update auth.users set profile = coalesce(profile, '{}') || $2, updated_at = now()
         where id = $1
         returning id, profile",
    )
    .bind(id)
    .bind(Value::Object(changes));
    Ok(change(admin, statement).await?.pop())
}
