//! Whether services would start with given settings, found out without starting them.

use std::path::Path;

use ingot_config::{Environment, Problems, Settings as _, Variable};
use ingot_telemetry::TelemetrySettings;

use crate::settings::Servers;
use crate::{Plan, Secrets, Service, Settings};

/// Tries the settings of `ingot up` with every service; `known` are all that there are.
///
/// # Errors
/// All that is wrong, missing or unknown, each once; else a file that cannot be used.
pub(crate) fn installation(environment: &Environment, known: &[Variable]) -> anyhow::Result<()> {
    let plan = Plan::usual();
    let secrets = Secrets::passing(environment)?;
    let settings = Settings::beside(&Servers::PLANNED, &secrets, Path::new("."), environment);
    let mut found = environment.unknown(known);
    found.extend(complaints::<TelemetrySettings>(environment));
    let mut edge = None;
    for member in plan.members() {
        let environment = environment.clone().with(settings.of(member, &plan));
        match member.service {
            Service::Edge => match ingot_edge::Config::load(&environment) {
                Ok(config) => edge = Some(config),
                Err(problems) => found.extend(problems),
            },
            Service::Api => found.extend(complaints::<ingot_api::Config>(&environment)),
            Service::RecordsProxy => {
                found.extend(complaints::<ingot_records_proxy::Config>(&environment));
            }
            Service::Migration => found.extend(complaints::<ingot_migration::Config>(&environment)),
            Service::RealtimeFanout => {
                found.extend(complaints::<ingot_realtime_fanout::Config>(&environment));
            }
            Service::ListenRelay => {
                found.extend(complaints::<ingot_listen_relay::Config>(&environment));
            }
        }
    }
    match edge {
        Some(config) if found.is_empty() => ingot_edge::check_files(&config),
        _ => Err(found.each_once().into()),
    }
}

fn complaints<C: ingot_config::Settings>(environment: &Environment) -> Problems {
    C::load(environment).err().unwrap_or_default()
}

/// Loads the settings as the service would, and what they name as far as that is files.
///
/// # Errors
/// All that is wrong, missing or unknown; else a file that cannot be used.
pub(crate) fn config(service: Service, environment: &Environment) -> anyhow::Result<()> {
    match service {
        Service::Edge => {
            let config: ingot_edge::Config = load(environment)?;
            ingot_edge::check_files(&config)
        }
        Service::Api => load::<ingot_api::Config>(environment).map(drop),
        Service::RecordsProxy => load::<ingot_records_proxy::Config>(environment).map(drop),
        Service::Migration => load::<ingot_migration::Config>(environment).map(drop),
        Service::RealtimeFanout => load::<ingot_realtime_fanout::Config>(environment).map(drop),
        Service::ListenRelay => load::<ingot_listen_relay::Config>(environment).map(drop),
    }
}

fn load<C: ingot_config::Settings>(environment: &Environment) -> anyhow::Result<C> {
    let known = [C::variables(), TelemetrySettings::variables()].concat();
    let mut problems = environment.unknown(&known);
    problems.extend(complaints::<TelemetrySettings>(environment));
    match C::load(environment) {
        Ok(config) if problems.is_empty() => Ok(config),
        loaded => {
            problems.extend(loaded.err().unwrap_or_default());
            Err(problems.into())
        }
    }
}
