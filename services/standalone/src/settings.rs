//! What the services are told: where the servers and the other services are, and the secrets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use ingot_config::Environment;
use ingot_private_servers::PrivateServers;

use crate::{Member, Plan, Secrets, Service};

/// Name of the project's database.
pub(crate) const DATABASE: &str = "ingot";

/// How the private servers are reached.
#[derive(Clone, Copy)]
pub struct Servers<'a> {
    postgres: SocketAddr,
    postgres_user: &'a str,
    postgres_password: &'a str,
    nats: SocketAddr,
    nats_user: &'a str,
    nats_password: &'a str,
}

impl Servers<'static> {
    /// Stand for servers that do not run yet.
    pub(crate) const PLANNED: Self = Self {
        postgres: local(5432),
        postgres_user: "planned",
        postgres_password: "planned",
        nats: local(4222),
        nats_user: "planned",
        nats_password: "planned",
    };
}

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl<'a> From<&'a PrivateServers> for Servers<'a> {
    fn from(servers: &'a PrivateServers) -> Self {
        let (postgres, nats) = (servers.postgres(), servers.nats());
        Self {
            postgres: SocketAddr::new(postgres.address(), postgres.port()),
            postgres_user: postgres.superuser(),
            postgres_password: postgres.password(),
            nats: SocketAddr::new(nats.address(), nats.port()),
            nats_user: nats.user(),
            nats_password: nats.password(),
        }
    }
}

/// Variables on top of those of this process.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// For every service.
    shared: Vec<(String, String)>,
    /// For the migration service alone: the owner's password, and keys to begin with.
    migration: Vec<(String, String)>,
    /// Where clients outside reach the edge, when somebody said so.
    base_url: Option<String>,
}

impl Settings {
    /// The settings for services beside private servers. What people may want to set otherwise
    /// gives way to `environment`.
    pub fn beside(
        servers: &Servers<'_>,
        secrets: &Secrets,
        data: &Path,
        environment: &Environment,
    ) -> Self {
        let mut settings = Self::default();
        settings.share("POSTGRES_HOST", servers.postgres.ip().to_string());
        settings.share("POSTGRES_PORT", servers.postgres.port().to_string());
        settings.share("POSTGRES_DB", DATABASE);
        settings.share("POSTGRES_USER", servers.postgres_user);
        settings.share("POSTGRES_SSLMODE", "disable");
        // Empty counts as unset: nobody but the migration service is the owner.
        settings.share("POSTGRES_PASSWORD", "");
        settings.share("NATS_URL", format!("nats://{}", servers.nats));
        settings.share("NATS_USER", servers.nats_user);
        settings.share("NATS_PASSWORD", servers.nats_password);
        settings.share("INGOT_DATA_DIR", data.display().to_string());
        for variable in ["JWT_SECRET", "ENCRYPTION_KEY", "INGOT_EDGE_KEY"] {
            settings.share(variable, secrets.get(variable));
        }
        for variable in ["ROOT_ADMIN_USERNAME", "ROOT_ADMIN_PASSWORD"] {
            settings.share(variable, secrets.get(variable));
        }
        // No proxy is before this edge, nothing outside this machine reaches it, and a person who
        // pressed Ctrl-C is waiting.
        let changeable = [
            ("TRUST_PROXY", "0"),
            ("INGOT_EDGE_ADDRESS", "127.0.0.1"),
            ("INGOT_EDGE_DRAIN_TIMEOUT", "5"),
            ("INGOT_DRAIN_TIMEOUT", "5"),
            ("INGOT_LOG_FORMAT", "text"),
            // Who develops here receives webhooks here.
            ("INGOT_WEBHOOK_PRIVATE_TARGETS", "true"),
        ];
        for (variable, value) in changeable {
            settings.share(variable, environment.get(variable).unwrap_or(value));
        }
        settings.base_url = environment.get("API_BASE_URL").map(str::to_owned);
        settings.migration = vec![
            (
                "POSTGRES_PASSWORD".to_owned(),
                servers.postgres_password.to_owned(),
            ),
            // The cluster is ours alone.
            ("INGOT_SEAL_SERVER".to_owned(), "true".to_owned()),
        ];
        for variable in ["ACCESS_API_KEY", "ACCESS_ANON_KEY"] {
            settings
                .migration
                .push((variable.to_owned(), secrets.get(variable).to_owned()));
        }
        settings
    }

    fn share(&mut self, variable: &str, value: impl Into<String>) {
        self.shared.push((variable.to_owned(), value.into()));
    }

    /// The variables of the migration service: all that there are to know about the project.
    pub(crate) fn complete(&self) -> Vec<(String, String)> {
        [self.shared.clone(), self.migration.clone()].concat()
    }

    /// The variables of one member of the plan.
    pub fn of(&self, member: &Member, plan: &Plan) -> Vec<(String, String)> {
        let mut variables = self.shared.clone();
        let mut set = |variable: &str, value: String| variables.push((variable.to_owned(), value));
        let first_edge = plan.edge_urls().into_iter().next();
        if let Some(url) = self.base_url.clone().or(first_edge) {
            set("API_BASE_URL", url);
        }
        match member.service {
            Service::Edge => {
                set("PORT", member.address.port().to_string());
                set("INGOT_EDGE_ADMIN_LISTEN", member.health.to_string());
                for service in Service::ALL {
                    if let Some(variable) = service.upstream_variable() {
                        set(variable, plan.addresses(service));
                    }
                }
            }
            _ => set("INGOT_LISTEN", member.address.to_string()),
        }
        if member.service == Service::Migration {
            variables.extend(self.migration.iter().cloned());
        }
        variables
    }
}
