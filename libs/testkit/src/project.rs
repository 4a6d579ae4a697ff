//! A project for one test: its own database, roles, secrets and data folder.

use std::sync::Arc;

use anyhow::Context;
use ingot_config::{Environment, Secret, Settings};
use ingot_project::{
    Database, LoginRole, PoolSettings, Pools, Project, ProjectId, ProjectRegistry,
};
use sqlx::postgres::PgSslMode;
use sqlx::{Connection, PgConnection, PgPool};
use tempfile::TempDir;

use crate::servers::own_servers;
use crate::{TestServers, template, test_servers};

/// A fresh project. Its database and roles are dropped with the value.
#[derive(Debug)]
pub struct TestProject {
    servers: &'static TestServers,
    project: Arc<Project>,
    pools: Pools,
    edge_key: Secret,
    admin_password: Secret,
    api_key: Secret,
    anon_key: Secret,
    data: TempDir,
}

/// Login of the administrator of every test's project.
const ADMIN: &str = "admin";

impl TestProject {
    /// Copies the migrated template and makes the project's login roles.
    ///
    /// # Errors
    /// The servers do not start, or the migrations fail.
    pub async fn create() -> anyhow::Result<Self> {
        Self::on(test_servers().await?).await
    }

    /// A project on servers that no other process has: for what changes a whole server. It takes
    /// some seconds more.
    ///
    /// # Errors
    /// The servers do not start, or the migrations fail.
    pub async fn create_apart() -> anyhow::Result<Self> {
        Self::on(own_servers().await?).await
    }

    async fn on(servers: &'static TestServers) -> anyhow::Result<Self> {
        // reqwest and others share one TLS provider; a second call changes nothing.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let mut admin = template::ensure(servers).await?;
        let name = format!("t{}", random_hex().split_off(20));
        let database = format!("create database {name} template {}", template::TEMPLATE);
        template::run(&mut admin, database).await?;
        admin.close().await?;

        let id: ProjectId = name.parse()?;
        let project = Project {
            id: id.clone(),
            hosts: Vec::new(),
            database: Database {
                host: "127.0.0.1".to_owned(),
                port: servers.postgres_port,
                name,
                tls: PgSslMode::Disable,
            },
            jwt_secret: Secret::new(random_hex()),
            encryption_key: Secret::new(random_hex()),
            third_party_admins: true,
            cloud_project: None,
        };
        let registry = Arc::new(ProjectRegistry::of([project])?);
        let project = registry.get(&id).cloned().context("just registered")?;
        let pools = Pools::new(registry, PoolSettings::load(&Environment::default())?);
        let created = Self {
            servers,
            project,
            pools,
            edge_key: Secret::new(random_hex()),
            admin_password: Secret::new(random_hex()),
            api_key: Secret::new(format!("ik_{}{}", random_hex(), random_hex())),
            anon_key: Secret::new(format!("anon_{}{}", random_hex(), random_hex())),
            data: tempfile::tempdir()?,
        };
        let mut owner = created.superuser().await?;
        ingot_schema::prepare_logins(&mut owner, &created.project)
            .await
            .context("the project's login roles cannot be made")?;
        owner.close().await?;
        Ok(created)
    }

    /// The project.
    pub fn project(&self) -> &Arc<Project> {
        &self.project
    }

    /// A registry with this project alone.
    pub fn registry(&self) -> &Arc<ProjectRegistry> {
        self.pools.registry()
    }

    /// Its pools.
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// Its pool for one login role.
    pub fn pool(&self, role: LoginRole) -> anyhow::Result<PgPool> {
        Ok(self.pools.get(&self.project.id, role)?)
    }

    /// A new superuser's connection to its database, for setting a scene.
    pub async fn superuser(&self) -> anyhow::Result<PgConnection> {
        let options = self.servers.superuser_options(&self.project.database.name);
        Ok(PgConnection::connect_with(&options).await?)
    }

    /// URL of the same connection.
    pub fn superuser_url(&self) -> String {
        self.servers.superuser_url(&self.project.database.name)
    }

    /// Runs statements as the superuser.
    pub async fn execute(&self, sql: &str) -> anyhow::Result<()> {
        let mut connection = self.superuser().await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .with_context(|| sql.to_owned())?;
        Ok(connection.close().await?)
    }

    /// URL of NATS, with user and password.
    pub fn nats_url(&self) -> &str {
        &self.servers.nats_url
    }

    /// The key that services expect from the edge.
    pub fn edge_key(&self) -> &Secret {
        &self.edge_key
    }

    /// Login of the administrator.
    pub fn admin_username(&self) -> &'static str {
        ADMIN
    }

    /// Password of the administrator.
    pub fn admin_password(&self) -> &str {
        self.admin_password.expose()
    }

    /// The API key that the migration service seeds.
    pub fn api_key(&self) -> &Secret {
        &self.api_key
    }

    /// The anon key that the migration service seeds.
    pub fn anon_key(&self) -> &Secret {
        &self.anon_key
    }

    /// All variables that services of this project need, for `Config::load`. Listen
    /// addresses are up to [`crate::TestService`].
    pub fn environment(&self) -> Environment {
        let Project {
            id,
            database,
            jwt_secret,
            encryption_key,
            ..
        } = self.project.as_ref();
        Environment::from_pairs([
            ("POSTGRES_HOST", database.host.clone()),
            ("POSTGRES_PORT", database.port.to_string()),
            ("POSTGRES_DB", database.name.clone()),
            ("POSTGRES_USER", self.servers.postgres_user.clone()),
            ("POSTGRES_PASSWORD", self.servers.postgres_password.clone()),
            ("POSTGRES_SSLMODE", "disable".to_owned()),
            ("INGOT_PROJECT", id.to_string()),
            ("JWT_SECRET", jwt_secret.expose().to_owned()),
            ("ENCRYPTION_KEY", encryption_key.expose().to_owned()),
            ("INGOT_EDGE_KEY", self.edge_key.expose().to_owned()),
            ("ROOT_ADMIN_USERNAME", ADMIN.to_owned()),
            ("ROOT_ADMIN_PASSWORD", self.admin_password().to_owned()),
            ("ACCESS_API_KEY", self.api_key.expose().to_owned()),
            ("ACCESS_ANON_KEY", self.anon_key.expose().to_owned()),
            ("NATS_URL", self.servers.nats_url.clone()),
            ("INGOT_DATA_DIR", self.data.path().display().to_string()),
            // No edge has to notice that a service of a test stops.
            ("INGOT_DRAIN_DELAY", "0".to_owned()),
        ])
    }
}

impl Drop for TestProject {
    /// Drops the database and the roles, from a thread of its own: a test's runtime is busy with
    /// this very call. What fails is left to the end of the throw-away cluster.
    fn drop(&mut self) {
        let (servers, id) = (self.servers, self.project.id.clone());
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(remove(servers, &id))
        });
        cleaner.join().ok();
    }
}

async fn remove(servers: &TestServers, id: &ProjectId) -> anyhow::Result<()> {
    let mut admin = PgConnection::connect_with(&servers.superuser_options("postgres")).await?;
    template::run(&mut admin, format!("drop database {id} with (force)")).await?;
    for role in LoginRole::ALL {
        let drop = format!("drop role if exists {}", role.name(id));
        template::run(&mut admin, drop).await?;
    }
    Ok(admin.close().await?)
}

/// 32 random hexadecimal digits.
fn random_hex() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
