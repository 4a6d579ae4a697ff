//! The processes behind an edge.

use std::time::Duration;

use ingot_config::{Environment, Settings as _};
use ingot_edge::UpstreamSettings;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::Report;
use crate::readiness;

const AREA: &str = "services";
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the settings say where they are. Only an edge's do; its defaults are for one machine.
pub(super) fn are_named(environment: &Environment) -> bool {
    UpstreamSettings::variables()
        .iter()
        .any(|variable| environment.get(variable.name).is_some())
}

pub(super) async fn examine(environment: &Environment, report: &mut Report) {
    let settings = match UpstreamSettings::load(environment) {
        Ok(settings) => settings,
        Err(problems) => return report.problems(&problems),
    };
    let services = [
        ("api", &settings.api),
        ("records-proxy", &settings.records),
        ("migration", &settings.migration),
        ("realtime-fanout", &settings.realtime),
    ];
    for (service, targets) in services {
        for target in targets {
            look_up(service, target, report).await;
        }
    }
}

async fn look_up(service: &str, target: &str, report: &mut Report) {
    let addresses: Vec<_> = match timeout(PATIENCE, lookup_host(target)).await {
        Ok(Ok(addresses)) => addresses.collect(),
        failed => {
            let why = failed.map_or_else(
                |_late| "no answer".to_owned(),
                |result| {
                    result
                        .err()
                        .map(|error| error.to_string())
                        .unwrap_or_default()
                },
            );
            return report.broken(
                AREA,
                format!("{service}: {target}: {why}"),
                "the name must lead to the service's addresses: look at DNS and INGOT_UPSTREAM_*",
            );
        }
    };
    let mut ready = 0;
    for address in &addresses {
        match readiness::ask(&address.to_string()).await {
            Ok(()) => ready += 1,
            Err(error) => report.broken(
                AREA,
                format!("{service} at {error:#}"),
                "start it; if it runs, its answer says what it waits for, and its log has more",
            ),
        }
    }
    if ready > 0 {
        let all = addresses.len();
        report.fine(AREA, format!("{service}: {ready} of {all} ready"));
    }
}
