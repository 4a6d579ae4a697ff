//! From nothing to a database that services can use, whatever is missing at the start.

use std::time::Duration;

use ingot_config::{Environment, Settings};
use ingot_migration::{BootstrapConfig, Config, run_once, serve};
use ingot_private_servers::PrivateServers;
use ingot_project::{LoginRole, ProjectRegistry};
use ingot_testkit::{TestProject, test_servers};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A project whose database does not exist, on the servers of `host`.
pub(crate) struct Newcomer {
    pub(crate) environment: Environment,
    pub(crate) name: String,
}

impl Newcomer {
    pub(crate) fn new(host: &TestProject, name: &str) -> Self {
        let name = format!("{name}_{}", std::process::id());
        let environment = host
            .environment()
            .with([("POSTGRES_DB", &name), ("INGOT_PROJECT", &name)]);
        Self { environment, name }
    }

    async fn run_once(&self) -> anyhow::Result<()> {
        let config = BootstrapConfig::load(&self.environment).unwrap();
        tokio::time::timeout(
            Duration::from_mins(1),
            run_once(config, CancellationToken::new()),
        )
        .await
        .unwrap()
    }

    pub(crate) async fn service(&self) -> PgConnection {
        let registry = ProjectRegistry::load(&self.environment).unwrap();
        let project = registry.find(&self.name).unwrap();
        let options = project.connect_options(LoginRole::Service);
        options.connect().await.unwrap()
    }

    pub(crate) async fn remove(self) {
        let servers = test_servers().await.unwrap();
        let mut admin = servers
            .superuser_options("postgres")
            .connect()
            .await
            .unwrap();
        let name = self.name;
        for statement in [
            format!("drop database {name} with (force)"),
            format!("drop role {name}_service, {name}_authenticator, {name}_sql"),
        ] {
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut admin)
                .await
                .unwrap();
        }
    }
}

async fn secrets(service: &mut PgConnection) -> Vec<(String, String)> {
    sqlx::query_as("select key, value_ciphertext from system.secrets order by key")
        .fetch_all(service)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_job_makes_everything_and_changes_nothing_the_second_time() {
    let host = TestProject::create().await.unwrap();
    let newcomer = Newcomer::new(&host, "job");
    newcomer.run_once().await.unwrap();
    let mut service = newcomer.service().await;
    let made = secrets(&mut service).await;
    for key in ["API_KEY", "ANON_KEY", "JWT_PRIVATE_KEY"] {
        assert!(made.iter().any(|(name, _)| name == key), "{key}");
    }
    newcomer.run_once().await.unwrap();
    assert_eq!(secrets(&mut service).await, made);
    newcomer.remove().await;
}

#[tokio::test]
async fn several_jobs_at_once_make_one_database() {
    let host = TestProject::create().await.unwrap();
    let newcomer = Newcomer::new(&host, "jobs");
    let (one, two, three) = tokio::join!(
        newcomer.run_once(),
        newcomer.run_once(),
        newcomer.run_once()
    );
    one.and(two).and(three).unwrap();
    newcomer.remove().await;
}

#[tokio::test]
async fn the_job_fails_at_once_where_waiting_cannot_help() {
    let host = TestProject::create().await.unwrap();
    host.execute("update system.schema_steps set checksum = 'x' where number = 2")
        .await
        .unwrap();
    let config = BootstrapConfig::load(&host.environment()).unwrap();
    let error = run_once(config, CancellationToken::new())
        .await
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains(host.project().id.as_str()), "{text}");
    assert!(text.contains("step 2 (schemas)"), "{text}");

    let environment = host.environment().with([("POSTGRES_PASSWORD", "wrong")]);
    let config = BootstrapConfig::load(&environment).unwrap();
    assert!(run_once(config, CancellationToken::new()).await.is_err());
}

/// On servers of its own, because it closes every database of them.
#[tokio::test]
async fn on_a_sealed_server_a_login_reaches_its_own_database_only() {
    let servers = PrivateServers::start_throw_away().await.unwrap();
    let postgres = servers.postgres();
    let environment = Environment::from_pairs([
        ("POSTGRES_HOST", "127.0.0.1".to_owned()),
        ("POSTGRES_PORT", postgres.port().to_string()),
        ("POSTGRES_USER", postgres.superuser().to_owned()),
        ("POSTGRES_PASSWORD", postgres.password().to_owned()),
        ("JWT_SECRET", "0123456789abcdef".repeat(2)),
        ("INGOT_SEAL_SERVER", "true".to_owned()),
    ]);
    let config = BootstrapConfig::load(&environment).unwrap();
    run_once(config, CancellationToken::new()).await.unwrap();

    let registry = ProjectRegistry::load(&environment).unwrap();
    let project = registry.find("default").unwrap();
    for login in LoginRole::ALL {
        let options = project.connect_options(login);
        options.connect().await.unwrap();
        for other in ["postgres", "template1"] {
            let stray = options.clone().database(other).connect().await;
            assert!(stray.is_err(), "{login:?} reaches {other}");
        }
    }
    servers.stop().await.unwrap();
}

#[tokio::test]
async fn the_service_waits_for_a_database_that_is_down() {
    let host = TestProject::create().await.unwrap();
    let newcomer = Newcomer::new(&host, "late");
    // Nothing listens there yet.
    let database = free_port();
    let listen = free_port();
    let environment = newcomer.environment.clone().with([
        ("POSTGRES_PORT", database.to_string()),
        ("INGOT_LISTEN", format!("127.0.0.1:{listen}")),
    ]);
    let shutdown = CancellationToken::new();
    let config = Config::load(&environment).unwrap();
    let serving = tokio::spawn(serve(config, shutdown.clone()));

    let status = async |path: &str| -> u16 {
        for _ in 0..100 {
            if let Ok(answer) = reqwest::get(format!("http://127.0.0.1:{listen}{path}")).await {
                return answer.status().as_u16();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        0
    };
    assert_eq!(status("/livez").await, 200);
    assert_eq!(status("/readyz").await, 503);

    let real = test_servers().await.unwrap().postgres_port;
    tokio::spawn(forward(database, real));
    let ready = async {
        while status("/readyz").await != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), ready)
        .await
        .unwrap();

    shutdown.cancel();
    serving.await.unwrap().unwrap();
    newcomer.remove().await;
}

fn free_port() -> u16 {
    ingot_private_servers::free_port(None).unwrap()
}

/// Passes connections on, as if the database had just come up.
async fn forward(from: u16, to: u16) {
    let listener = TcpListener::bind(("127.0.0.1", from)).await.unwrap();
    while let Ok((mut inbound, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut outbound = tokio::net::TcpStream::connect(("127.0.0.1", to)).await?;
            tokio::io::copy_bidirectional(&mut inbound, &mut outbound).await
        });
    }
}
