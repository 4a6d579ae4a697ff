//! Which project a request belongs to, told by its host.

use std::collections::HashMap;

use http::HeaderValue;
use ingot_project::{InvalidProjectId, ProjectId};

/// A project as the edge needs it: no secrets, only what every request is marked with.
#[derive(Debug, Clone)]
pub(crate) struct HostedProject {
    /// Its name as a header value.
    pub(crate) header: HeaderValue,
    /// Keeps the rate limits of two projects apart; the same on every replica.
    pub(crate) limit_key: u64,
}

/// The projects by host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts {
    by_name: HashMap<String, HostedProject>,
    any: Option<HostedProject>,
}

impl Hosts {
    /// One project; without hosts, every host leads to it.
    pub(crate) fn of_one(project: &str, hosts: &[String]) -> Result<Self, InvalidProjectId> {
        let id: ProjectId = project.parse()?;
        let hosted = HostedProject::new(&id);
        let by_name = hosts
            .iter()
            .map(|host| (host.to_ascii_lowercase(), hosted.clone()))
            .collect();
        let any = hosts.is_empty().then_some(hosted);
        Ok(Self { by_name, any })
    }

    /// The project that a `Host` header leads to; case and port do not matter.
    pub(crate) fn find(&self, host: &str) -> Option<&HostedProject> {
        if self.by_name.is_empty() {
            return self.any.as_ref();
        }
        let name = without_port(host);
        let known = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.by_name.get(&name.to_ascii_lowercase())
        } else {
            self.by_name.get(name)
        };
        known.or(self.any.as_ref())
    }
}

impl HostedProject {
    fn new(id: &ProjectId) -> Self {
        // A project id is made of a-z, 0-9 and _, all of them fit for a header.
        let header = HeaderValue::from_str(id.as_str())
            .unwrap_or_else(|_| HeaderValue::from_static("invalid"));
        Self {
            header,
            limit_key: fnv1a(id.as_str().as_bytes()),
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// FNV-1a: stable over processes and releases, unlike the standard library's hashers.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_hosts_every_host_leads_to_the_project() {
        let hosts = Hosts::of_one("default", &[]).unwrap();
        assert_eq!(hosts.find("anything:1").unwrap().header, "default");
        assert!(hosts.find("").is_some());
    }

    #[test]
    fn named_hosts_are_the_only_way_in() {
        let hosts = Hosts::of_one("shop", &["Shop.Example.com".to_owned()]).unwrap();
        assert!(hosts.find("SHOP.example.com:443").is_some());
        assert!(hosts.find("shop.example.com").is_some());
        assert!(hosts.find("example.com").is_none());
        assert!(hosts.find("").is_none());
    }
}
