//! One program for all services, as in the container image: `ingot` under the name of a service is
//! that service. What they have in common is there once.

use std::path::Path;
use std::process::ExitCode;

use crate::Service;

/// Runs the service whose name this program was started by, if it is one.
pub(crate) fn run_by_name() -> Option<ExitCode> {
    let started_as = std::env::args_os().next()?;
    let service = service_of(Path::new(&started_as))?;
    Some(match service {
        Service::Edge => ingot_telemetry::run("ingot-edge", ingot_edge::serve_changing),
        Service::Api => ingot_telemetry::run("ingot-api", ingot_api::serve),
        Service::RecordsProxy => {
            ingot_telemetry::run("ingot-records-proxy", ingot_records_proxy::serve)
        }
        Service::Migration => ingot_migration::main(),
        Service::RealtimeFanout => {
            ingot_telemetry::run("ingot-realtime-fanout", ingot_realtime_fanout::serve)
        }
        Service::ListenRelay => {
            ingot_telemetry::run("ingot-listen-relay", ingot_listen_relay::serve)
        }
    })
}

fn service_of(program: &Path) -> Option<Service> {
    let name = program.file_name()?.to_str()?.strip_prefix("ingot-")?;
    let mut services = Service::ALL.into_iter();
    services.find(|service| service.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_known_by_its_name_and_ingot_is_none() {
        let of = |path: &str| service_of(Path::new(path));
        assert_eq!(of("/usr/local/bin/ingot-edge"), Some(Service::Edge));
        assert_eq!(of("ingot-records-proxy"), Some(Service::RecordsProxy));
        assert_eq!(of("/usr/local/bin/ingot"), None);
        assert_eq!(of("ingot-nothing"), None);
    }
}
