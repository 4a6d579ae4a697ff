//! A project's database and the login roles that services use on it.

use hmac::{Hmac, Mac};
use ingot_config::Secret;
use sha2::Sha256;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::{Project, ProjectId};

ingot_config::settings! {
    /// The database server. Variable names are the ones that InsForge deployments already have.
    pub struct DatabaseSettings {
        /// Host name or address of PostgreSQL.
        host: String = "POSTGRES_HOST", default "localhost";
        /// Port of PostgreSQL.
        port: u16 = "POSTGRES_PORT", default "5432";
        /// Name of the project's database.
        name: String = "POSTGRES_DB", default "insforge";
        /// Role that owns the platform's objects. Only the migration service uses it.
        owner: String = "POSTGRES_USER", default "postgres";
        /// Password of the owner role. Only the migration service needs it.
        owner_password: Option<Secret> = "POSTGRES_PASSWORD";
        /// TLS to PostgreSQL: disable, prefer, require, verify-ca or verify-full.
        tls: String = "POSTGRES_SSLMODE", default "prefer";
    }
}

/// Who a service is to PostgreSQL. None of these roles is a superuser, owns a platform table, or
/// may connect to another project's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginRole {
    /// The services themselves: reads and writes the platform's tables (`auth`, `system`,
    /// `realtime`, ...) through the group role `ingot_service`. Never runs a user's SQL, hence only
    /// reads accounts, whose changes set off a project's triggers.
    Service,
    /// End users' requests: may only `SET ROLE` to `anon`, `authenticated` or `project_admin`.
    Authenticator,
    /// SQL that a project's administrator wrote, and what sets off his triggers: may only become
    /// `project_admin`.
    Sql,
}

impl LoginRole {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Service, Self::Authenticator, Self::Sql];

    /// Name of the role in PostgreSQL, for example `default_service`.
    pub fn name(self, project: &ProjectId) -> String {
        format!("{project}_{}", self.label())
    }

    /// What comes after the project in its name, which is also its name in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Authenticator => "authenticator",
            Self::Sql => "sql",
        }
    }
}

/// Address of a project's database.
#[derive(Debug, Clone)]
pub struct Database {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database name.
    pub name: String,
    /// TLS mode.
    pub tls: PgSslMode,
}

impl Database {
    fn options(&self, user: &str, password: Option<&str>) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .database(&self.name)
            .username(user)
            .ssl_mode(self.tls)
            // A slow statement would be logged with its text, which holds what people keep secret.
            // That one was slow is told by measurements and traces.
            .disable_statement_logging();
        match password {
            Some(password) => options.password(password),
            None => options,
        }
    }

    /// How the owner of the platform's objects connects: the migration service only.
    pub fn owner_options(&self, user: &str, password: Option<&Secret>) -> PgConnectOptions {
        self.options(user, password.map(Secret::expose))
            .application_name("ingot-migration")
    }
}

impl Project {
    /// Password of a login role. It is derived from the project's key, so that services need no
    /// further secret and the migration service can set it without telling anyone.
    pub fn login_password(&self, role: LoginRole) -> Secret {
        self.derived(&format!("ingot:login:v1:{}", role.name(&self.id)))
    }

    /// Key with which the project's webhooks are signed; their receivers know it, too. Derived as
    /// the passwords are.
    pub fn webhook_secret(&self) -> Secret {
        self.derived(&format!("ingot:webhook:v1:{}", self.id))
    }

    /// Key with which the project's backups are signed. Derived as the passwords are.
    pub fn backup_key(&self) -> Secret {
        self.derived(&format!("ingot:backup:v1:{}", self.id))
    }

    fn derived(&self, purpose: &str) -> Secret {
        // HMAC takes a key of any length, so this cannot fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.encryption_key.expose().as_bytes())
        else {
            unreachable!("HMAC-SHA-256 accepts keys of every length")
        };
        mac.update(purpose.as_bytes());
        Secret::new(hex::encode(mac.finalize().into_bytes()))
    }

    /// How a service connects as `role`.
    pub fn connect_options(&self, role: LoginRole) -> PgConnectOptions {
        self.database.options(
            &role.name(&self.id),
            Some(self.login_password(role).expose()),
        )
    }
}
