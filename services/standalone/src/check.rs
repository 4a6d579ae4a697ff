//! Whether a service would start with given settings, found out without starting it.

use ingot_config::{Environment, Settings};
use ingot_telemetry::TelemetrySettings;

use crate::Service;

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

fn load<C: Settings>(environment: &Environment) -> anyhow::Result<C> {
    let known = [C::variables(), TelemetrySettings::variables()].concat();
    let mut problems = environment.unknown(&known);
    problems.extend(
        TelemetrySettings::load(environment)
            .err()
            .unwrap_or_default(),
    );
    match C::load(environment) {
        Ok(config) if problems.is_empty() => Ok(config),
        loaded => {
            problems.extend(loaded.err().unwrap_or_default());
            Err(problems.into())
        }
    }
}
