//! What a service makes of the variables that a deployment file gives it: the services' own
//! declarations load them, so that no list here can fall behind.

use std::net::SocketAddr;
use std::time::Duration;

use ingot_config::{Environment, Problems, Secret, SettingValue, Settings, Variable};
use ingot_telemetry::TelemetrySettings;

/// What a process needs at its end besides the drain: last spans, last events.
const LAST_THINGS: Duration = Duration::from_secs(5);

/// A service as it would run.
pub(crate) struct Process {
    /// Where it is used; jobs are not.
    pub(crate) listen: Option<SocketAddr>,
    /// Where its health is.
    pub(crate) health: Option<SocketAddr>,
    /// How long it may take to stop.
    pub(crate) stop: Duration,
    /// The addresses behind it, `host:port`.
    pub(crate) upstreams: Vec<String>,
    variables: Vec<Variable>,
}

impl Process {
    /// Loads the settings of a command, as its start would.
    ///
    /// # Errors
    /// What is wrong with the settings; also those that the command does not know.
    pub(crate) fn load(command: &[String], environment: &Environment) -> Result<Self, Problems> {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let process = match words.as_slice() {
            ["ingot-edge"] => edge(environment),
            ["ingot-api"] => service::<ingot_api::Config>(environment, |config| &config.listen),
            ["ingot-records-proxy"] => {
                service::<ingot_records_proxy::Config>(environment, |config| &config.listen)
            }
            ["ingot-realtime-fanout"] => {
                service::<ingot_realtime_fanout::Config>(environment, |config| &config.listen)
            }
            ["ingot-listen-relay"] => {
                service::<ingot_listen_relay::Config>(environment, |config| &config.listen)
            }
            ["ingot-migration"] => {
                service::<ingot_migration::Config>(environment, |config| &config.listen)
            }
            ["ingot-migration", "--once"] => {
                ingot_migration::BootstrapConfig::load(environment)?;
                Ok(Self {
                    listen: None,
                    health: None,
                    stop: LAST_THINGS,
                    upstreams: Vec::new(),
                    variables: ingot_migration::BootstrapConfig::variables(),
                })
            }
            other => panic!("no service is started by {other:?}"),
        }?;
        TelemetrySettings::load(environment)?;
        let mut known = process.variables.clone();
        known.extend(TelemetrySettings::variables());
        let mut problems = environment.unknown(&known);
        for (name, _) in environment.iter() {
            let setting = name.strip_suffix("_FILE").unwrap_or(name);
            let declared = known
                .iter()
                .any(|v| v.name == setting || v.aliases.contains(&setting));
            if !declared && !name.starts_with("INGOT_") {
                problems.add(name, "is not a setting of this service");
            }
        }
        problems.into_result(|| Some(process))
    }

    /// Whether a setting is declared.
    pub(crate) fn reads(&self, name: &str) -> bool {
        self.variables.iter().any(|variable| variable.name == name)
    }

    /// Whether a setting is one of the secrets.
    pub(crate) fn is_secret(&self, name: &str) -> bool {
        self.variables.iter().any(|variable| {
            variable.name == name && variable.kind.starts_with(<Secret as SettingValue>::KIND)
        })
    }
}

fn edge(environment: &Environment) -> Result<Process, Problems> {
    let config = ingot_edge::Config::load(environment)?;
    let (listen, upstream) = (config.listen, config.upstream);
    Ok(Process {
        listen: Some(SocketAddr::new(listen.address, listen.port)),
        health: Some(listen.admin),
        stop: listen.drain_delay.0 + listen.drain_timeout.0 + LAST_THINGS,
        upstreams: [
            upstream.api,
            upstream.records,
            upstream.migration,
            upstream.realtime,
        ]
        .concat(),
        variables: ingot_edge::Config::variables(),
    })
}

fn service<C: Settings>(
    environment: &Environment,
    listen: impl Fn(&C) -> &ingot_http::ListenSettings,
) -> Result<Process, Problems> {
    let config = C::load(environment)?;
    let listen = listen(&config);
    Ok(Process {
        listen: listen.listen,
        health: listen.listen,
        stop: listen.drain_delay.0 + listen.drain_timeout.0 + LAST_THINGS,
        upstreams: Vec::new(),
        variables: C::variables(),
    })
}
