//! `db-uri`: a connection string of libpq's, completed from its variables.

use std::path::Path;

use anyhow::{Context, bail};
use ingot_rest::Tls;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// How to connect.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
}

/// Parameters that say nothing to us, or that are dealt with here.
const SET_APART: [&str; 4] = ["sslmode", "sslrootcert", "gssencmode", "passfile"];

/// Folders where PostgreSQL puts its socket, the usual one first.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

impl Database {
    /// Reads a URI or a list of keywords and values. `variable` looks up libpq's variables.
    pub(crate) fn parse(
        uri: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let (rest, apart) = set_apart(uri);
        let mut config: Config = rest.parse().context("db-uri is not a connection string")?;
        complete(&mut config, &variable)?;
        let named = |name: &str| {
            apart
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.clone())
        };
        let mode = named("sslmode").or_else(|| variable("PGSSLMODE"));
        let tls = match mode.as_deref().unwrap_or("prefer") {
            "disable" | "allow" => {
                config.ssl_mode(SslMode::Disable);
                Tls::off()
            }
            "prefer" => {
                config.ssl_mode(SslMode::Prefer);
                Tls::any_server()?
            }
            "require" => {
                config.ssl_mode(SslMode::Require);
                Tls::any_server()?
            }
            "verify-ca" | "verify-full" => {
                config.ssl_mode(SslMode::Require);
                Tls::system_roots()
            }
            other => bail!("sslmode={other} does not exist"),
        };
        if named("sslrootcert").is_some_and(|file| file != "system") {
            bail!("sslrootcert is not supported: the system's certificates are used");
        }
        Ok(Self { config, tls })
    }
}

fn complete(config: &mut Config, variable: &impl Fn(&str) -> Option<String>) -> anyhow::Result<()> {
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        match variable("PGHOST") {
            Some(host) => config.host(host),
            None => match SOCKET_FOLDERS
                .iter()
                .find(|folder| Path::new(folder).is_dir())
            {
                Some(folder) => config.host(*folder),
                None => config.host("localhost"),
            },
        };
    }
    if config.get_ports().is_empty()
        && let Some(port) = variable("PGPORT")
    {
        config.port(port.parse().context("PGPORT is not a port")?);
    }
    if config.get_user().is_none() {
        let user = variable("PGUSER").or_else(|| variable("USER"));
        config.user(user.context("db-uri names no user")?);
    }
    if config.get_password().is_none()
        && let Some(password) = variable("PGPASSWORD")
    {
        config.password(password);
    }
    if config.get_dbname().is_none()
        && let Some(name) = variable("PGDATABASE")
    {
        config.dbname(name);
    }
    if config.get_application_name().is_none() {
        let name = variable("PGAPPNAME");
        config.application_name(name.as_deref().unwrap_or("ingot-rest"));
    }
    Ok(())
}

/// Takes parameters out that the parser does not know.
fn set_apart(uri: &str) -> (String, Vec<(String, String)>) {
    let is_uri = uri.starts_with("postgres://") || uri.starts_with("postgresql://");
    let (base, parameters, separator) = match (is_uri, uri.split_once('?')) {
        (true, None) => return (uri.to_owned(), Vec::new()),
        (true, Some((base, parameters))) => (base, parameters, '&'),
        (false, _) => ("", uri, ' '),
    };
    let mut apart = Vec::new();
    let mut kept = Vec::new();
    for part in parameters.split(separator) {
        match part.split_once('=') {
            Some((name, value)) if SET_APART.contains(&name.trim()) => {
                let value = value.trim().trim_matches('\'');
                apart.push((name.trim().to_owned(), value.to_owned()));
            }
            _ => kept.push(part),
        }
    }
    let kept = kept.join(&separator.to_string());
    let rest = if is_uri && !kept.is_empty() {
        format!("{base}?{kept}")
    } else {
        format!("{base}{kept}")
    };
    (rest, apart)
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::Host;

    use super::*;

    fn variable(name: &str) -> Option<String> {
        let value = match name {
            "PGUSER" => "someone",
            "PGPORT" => "5433",
            "PGHOST" => "db.example.org",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn what_the_string_leaves_out_comes_from_variables() {
        let config = Database::parse("postgresql://", variable).unwrap().config;
        assert_eq!(config.get_user(), Some("someone"));
        assert_eq!(config.get_ports(), [5433]);
        assert_eq!(config.get_hosts(), [Host::Tcp("db.example.org".to_owned())]);
        let config = Database::parse("postgres://me@/app?host=/run/pg&sslmode=disable", variable);
        let config = config.unwrap().config;
        assert_eq!(
            (config.get_user(), config.get_dbname()),
            (Some("me"), Some("app"))
        );
        assert_eq!(config.get_hosts(), [Host::Unix("/run/pg".into())]);
    }

    #[test]
    fn sslmode_is_libpq_s() {
        let mode = |uri: &str| Database::parse(uri, variable).map(|d| d.config.get_ssl_mode());
        assert_eq!(
            mode("host=a sslmode=disable user=u").unwrap(),
            SslMode::Disable
        );
        assert_eq!(
            mode("postgres://u@a/d?sslmode=verify-full").unwrap(),
            SslMode::Require
        );
        assert_eq!(mode("postgres://u@a/d").unwrap(), SslMode::Prefer);
        assert!(mode("host=a sslmode=sometimes").is_err());
        assert!(mode("host=a nonsense=1").is_err());
    }
}
