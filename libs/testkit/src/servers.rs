//! The servers that all tests of a run share.

use anyhow::Context;
use ingot_config::Environment;
use ingot_private_servers::PrivateServers;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::sync::OnceCell;

/// Carries the addresses of running servers to test processes, as JSON.
pub const VARIABLE: &str = "INGOT_TEST_SERVERS";

/// Where the servers of this test run are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestServers {
    /// Port of PostgreSQL on 127.0.0.1.
    pub postgres_port: u16,
    /// Its superuser.
    pub postgres_user: String,
    /// The superuser's password.
    pub postgres_password: String,
    /// URL of NATS, with user and password.
    pub nats_url: String,
}

impl From<&PrivateServers> for TestServers {
    fn from(servers: &PrivateServers) -> Self {
        let postgres = servers.postgres();
        Self {
            postgres_port: postgres.port(),
            postgres_user: postgres.superuser().to_owned(),
            postgres_password: postgres.password().to_owned(),
            nats_url: servers.nats().url(),
        }
    }
}

impl TestServers {
    /// How the superuser connects to `database`.
    pub fn superuser_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.postgres_port)
            .username(&self.postgres_user)
            .password(&self.postgres_password)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .application_name("ingot-testkit")
    }

    /// The superuser's connection URL to `database`.
    pub fn superuser_url(&self, database: &str) -> String {
        format!(
            "postgres://{}:{}@127.0.0.1:{}/{database}",
            self.postgres_user, self.postgres_password, self.postgres_port
        )
    }

    /// The value of [`VARIABLE`] that leads test processes to these servers.
    pub fn to_variable(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

/// The servers of this test run; starts some for this process when nobody did for the run.
pub async fn test_servers() -> anyhow::Result<&'static TestServers> {
    static SHARED: OnceCell<TestServers> = OnceCell::const_new();
    SHARED
        .get_or_try_init(|| async {
            let environment = Environment::from_process()?;
            if let Some(named) = environment.get(VARIABLE) {
                return serde_json::from_str(named)
                    .with_context(|| format!("{VARIABLE} is not what `cargo xtask test` sets"));
            }
            own_servers().await.cloned()
        })
        .await
}

/// Servers that no other process has.
///
/// They end with this process (see [`PrivateServers`]); the folder that they leave is removed by
/// the next run.
pub(crate) async fn own_servers() -> anyhow::Result<&'static TestServers> {
    static RUNNING: OnceCell<PrivateServers> = OnceCell::const_new();
    static OWN: OnceCell<TestServers> = OnceCell::const_new();
    OWN.get_or_try_init(|| async {
        let running = RUNNING.get_or_try_init(PrivateServers::start_throw_away);
        Ok(TestServers::from(running.await?))
    })
    .await
}
