//! An empty database for a test of the runner, and how a role sees a project's database.

use ingot_project::LoginRole;
use ingot_testkit::{TestProject, test_servers};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

/// A database without a single step, dropped by [`EmptyDatabase::drop`].
pub(crate) struct EmptyDatabase {
    server: PgConnectOptions,
    pub(crate) name: String,
}

impl EmptyDatabase {
    /// One on the servers of this test run.
    pub(crate) async fn create(name: &str) -> Self {
        let servers = test_servers().await.unwrap();
        Self::on(servers.superuser_options("postgres"), name).await
    }

    /// One on another server.
    pub(crate) async fn on(server: PgConnectOptions, name: &str) -> Self {
        let name = format!("schema_{name}_{}", std::process::id());
        assert!(
            ingot_schema::create_database_if_missing(&server, &name)
                .await
                .unwrap()
        );
        Self { server, name }
    }

    /// A new connection as the owner.
    pub(crate) async fn owner(&self) -> PgConnection {
        let options = self.server.clone().database(&self.name);
        options.connect().await.unwrap()
    }

    pub(crate) async fn drop(self) {
        let mut connection = self.server.connect().await.unwrap();
        let statement = format!("drop database {} with (force)", self.name);
        execute(&mut connection, &statement).await.unwrap();
        connection.close().await.unwrap();
    }
}

/// Runs any number of statements.
pub(crate) async fn execute(
    connection: &mut PgConnection,
    statements: &str,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(connection)
        .await?;
    Ok(())
}

/// A session of one of the project's login roles.
pub(crate) async fn session(project: &TestProject, login: LoginRole) -> PgConnection {
    let options = project.project().connect_options(login);
    options.connect().await.unwrap()
}

/// A session that became `role`, as requests and administrators' SQL do.
pub(crate) async fn session_as(project: &TestProject, role: &str) -> PgConnection {
    let login = match role {
        "project_admin" => LoginRole::Sql,
        _ => LoginRole::Authenticator,
    };
    let mut session = session(project, login).await;
    execute(&mut session, &format!("set role {role}"))
        .await
        .unwrap();
    session
}

/// The SQLSTATE that the statements fail with.
pub(crate) async fn refusal(connection: &mut PgConnection, statements: &str) -> String {
    let error = execute(connection, statements).await.unwrap_err();
    error.as_database_error().unwrap().code().unwrap().into()
}

/// `insufficient_privilege`
pub(crate) const DENIED: &str = "42501";
