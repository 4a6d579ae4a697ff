//! `stack.env`: where everything is, for programs, and the same in words for people.

use std::fmt::Write;
use std::path::Path;

use ingot_private_servers::PrivateServers;

use crate::data_folder::{DataFolder, write_private};
use crate::keys::Keys;
use crate::settings::DATABASE;
use crate::variables_file::{quote, read_variables};
use crate::{Plan, Secrets, Service};

/// Where the private servers are, with names and passwords.
#[derive(Debug, Clone)]
pub(crate) struct ServerUrls {
    postgres: String,
    nats: String,
}

impl ServerUrls {
    pub(crate) fn of(servers: &PrivateServers) -> Self {
        Self {
            postgres: servers.postgres().url(DATABASE),
            nats: servers.nats().url(),
        }
    }
}

/// The variables of `stack.env`, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stack(Vec<(String, String)>);

impl Stack {
    /// Describes what runs.
    pub(crate) fn describe(
        folder: &DataFolder,
        urls: &ServerUrls,
        plan: &Plan,
        secrets: &Secrets,
        keys: &Keys,
    ) -> Self {
        let edges = plan.edge_urls();
        let pid_file = |name: &str| folder.pid_file(name).display().to_string();
        let secret = |variable| secrets.get(variable).to_owned();
        let mut stack = Self::default();
        stack.set("BASE_URL", edges.first().cloned().unwrap_or_default());
        stack.set("API_KEY", keys.api.expose().to_owned());
        stack.set("ANON_KEY", keys.anon.expose().to_owned());
        stack.set("ADMIN_USERNAME", secret("ROOT_ADMIN_USERNAME"));
        stack.set("ADMIN_PASSWORD", secret("ROOT_ADMIN_PASSWORD"));
        stack.set("DATABASE_URL", urls.postgres.clone());
        stack.set("NATS_URL", urls.nats.clone());
        stack.set("INGOT_PIDFILE", pid_file("ingot"));
        stack.set("POSTGRES_PIDFILE", pid_file("postgres"));
        stack.set("NATS_PIDFILE", pid_file("nats"));
        stack.set("EDGE_URLS", edges.join(","));
        for service in Service::ALL {
            let prefix = service.variable_prefix();
            let (mut pid_files, mut health) = (Vec::new(), Vec::new());
            for member in plan.of(service) {
                pid_files.push(pid_file(&member.name()));
                health.push(member.health.to_string());
            }
            let first = pid_files.first().cloned().unwrap_or_default();
            stack.set(&format!("{prefix}_ADDRESSES"), plan.addresses(service));
            stack.set(&format!("{prefix}_HEALTH_ADDRESSES"), health.join(","));
            stack.set(&format!("{prefix}_PIDFILE"), first);
            stack.set(&format!("{prefix}_PIDFILES"), pid_files.join(","));
        }
        stack
    }

    fn set(&mut self, variable: &str, value: String) {
        self.0.push((variable.to_owned(), value));
    }

    fn get(&self, variable: &str) -> &str {
        self.0
            .iter()
            .find(|(name, _)| name == variable)
            .map_or("", |(_, value)| value)
    }

    /// Reads the file.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        Ok(Self(read_variables(file)?))
    }

    /// Writes the file: `KEY=value` lines, fit for a shell's `source`, readable by us alone.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let mut text = String::new();
        for (variable, value) in &self.0 {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{variable}={}", quote(value));
        }
        write_private(file, &text)
    }

    /// What a person wants to know.
    pub(crate) fn text(&self, file: &Path) -> String {
        format!(
            "
Ingot is ready.

  URL             {}
  admin login     {}
  admin password  {}
  API key         {}
  anon key        {}

Programs find this and more in {}
",
            self.get("EDGE_URLS").replace(',', " "),
            self.get("ADMIN_USERNAME"),
            self.get("ADMIN_PASSWORD"),
            self.get("API_KEY"),
            self.get("ANON_KEY"),
            file.display(),
        )
    }
}
