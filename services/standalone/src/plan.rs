//! Which services run, how many of each, and on which addresses.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Context, ensure};
use ingot_private_servers::free_port;

use crate::Service;

/// First port tried for an edge's health and metrics.
const EDGE_ADMIN_PORT: u16 = 7129;

/// Distance of the ports that are tried first for two processes of one service.
const STRIDE: u16 = 10;

/// How many of each service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Edges.
    pub edges: u16,
    /// api services.
    pub api: u16,
    /// records services.
    pub records: u16,
    /// Socket.IO nodes.
    pub fanout: u16,
    /// Relays; one is active.
    pub relays: u16,
}

impl Counts {
    /// One of each.
    pub const ONE: Self = Self {
        edges: 1,
        api: 1,
        records: 1,
        fanout: 1,
        relays: 1,
    };

    fn of(&self, service: Service) -> u16 {
        match service {
            Service::Edge => self.edges,
            Service::Api => self.api,
            Service::RecordsProxy => self.records,
            Service::RealtimeFanout => self.fanout,
            Service::ListenRelay => self.relays,
            Service::Migration => 1,
        }
    }
}

/// One running service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Which service.
    pub service: Service,
    /// Its number among those of its kind, from 1.
    pub number: u16,
    /// Where it is used.
    pub address: SocketAddr,
    /// Where `/readyz` is.
    pub health: SocketAddr,
}

impl Member {
    /// `api`, or `api-2` for a further one.
    pub fn name(&self) -> String {
        match self.number {
            1 => self.service.name().to_owned(),
            number => format!("{}-{number}", self.service.name()),
        }
    }

    /// Whether clients are connected to it, through it or behind it.
    pub(crate) fn is_front(&self) -> bool {
        matches!(self.service, Service::Edge | Service::RealtimeFanout)
    }
}

/// What runs where.
#[derive(Debug, Clone)]
pub struct Plan {
    members: Vec<Member>,
}

impl Plan {
    /// Chooses free ports of 127.0.0.1: the usual ones where they are free, else others. With
    /// `edge_port`, the first edge gets that one and no other; if it is 0, all ports are any.
    ///
    /// # Errors
    /// `edge_port` is taken, or no port is free.
    pub fn choose(counts: Counts, edge_port: Option<u16>) -> anyhow::Result<Self> {
        let mut ports = Ports {
            promised: BTreeSet::new(),
            any: edge_port == Some(0),
        };
        // Before all others, for one of them might take the edge's wish.
        let first_edge = match edge_port {
            None | Some(0) => None,
            Some(port) => Some(ports.exactly(port)?),
        };
        let mut members = Vec::new();
        for service in Service::ALL {
            for number in 1..=counts.of(service) {
                let offset = STRIDE.saturating_mul(number - 1);
                let wish = service.preferred_port().saturating_add(offset);
                let address = match (service, number, first_edge) {
                    (Service::Edge, 1, Some(address)) => address,
                    _ => ports.near(wish)?,
                };
                let health = match service {
                    Service::Edge => ports.near(EDGE_ADMIN_PORT.saturating_sub(offset))?,
                    _ => address,
                };
                members.push(Member {
                    service,
                    number,
                    address,
                    health,
                });
            }
        }
        Ok(Self { members })
    }

    /// One of each service on its usual port, taken or not.
    pub(crate) fn usual() -> Self {
        let members = Service::ALL.into_iter().map(|service| {
            let address = local(service.preferred_port());
            Member {
                service,
                number: 1,
                address,
                health: match service {
                    Service::Edge => local(EDGE_ADMIN_PORT),
                    _ => address,
                },
            }
        });
        Self {
            members: members.collect(),
        }
    }

    /// All that runs.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Those of one service.
    pub fn of(&self, service: Service) -> impl Iterator<Item = &Member> {
        self.members
            .iter()
            .filter(move |member| member.service == service)
    }

    /// Their addresses, separated by commas.
    pub(crate) fn addresses(&self, service: Service) -> String {
        let addresses: Vec<_> = self.of(service).map(|it| it.address.to_string()).collect();
        addresses.join(",")
    }

    /// URLs of the edges.
    pub fn edge_urls(&self) -> Vec<String> {
        self.of(Service::Edge)
            .map(|edge| format!("http://{}", edge.address))
            .collect()
    }
}

/// Members that somebody else chose addresses for.
impl FromIterator<Member> for Plan {
    fn from_iter<T: IntoIterator<Item = Member>>(members: T) -> Self {
        Self {
            members: members.into_iter().collect(),
        }
    }
}

/// Chooses ports.
#[derive(Debug)]
struct Ports {
    /// Those that were given out; nobody listens on them yet.
    promised: BTreeSet<u16>,
    /// Leave the choice to the system.
    any: bool,
}

impl Ports {
    fn exactly(&mut self, port: u16) -> anyhow::Result<SocketAddr> {
        ensure!(
            free_port(Some(port))? == port,
            "port {port} is in use: set PORT to another one, or leave it unset and a free one is \
             chosen"
        );
        self.promised.insert(port);
        Ok(local(port))
    }

    fn near(&mut self, wish: u16) -> anyhow::Result<SocketAddr> {
        let mut candidate = (!self.any).then_some(wish);
        loop {
            let free = free_port(candidate).context("no port is free")?;
            if self.promised.insert(free) {
                return Ok(local(free));
            }
            candidate = candidate.and_then(|_| free.checked_add(1));
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn every_member_has_addresses_of_its_own() {
        let counts = Counts {
            edges: 2,
            relays: 3,
            ..Counts::ONE
        };
        let plan = Plan::choose(counts, None).unwrap();
        assert_eq!(plan.members().len(), Service::ALL.len() + 1 + 2);
        let names: Vec<_> = plan.of(Service::Edge).map(Member::name).collect();
        assert_eq!(names, ["edge", "edge-2"]);
        let distinct: BTreeSet<_> = plan
            .members()
            .iter()
            .flat_map(|member| [member.address, member.health])
            .collect();
        // Edges have one more, for health.
        assert_eq!(distinct.len(), plan.members().len() + 2);
    }

    #[test]
    fn a_usual_port_that_is_taken_gives_way_to_the_next() {
        // Taken by us, or by somebody else already.
        let _taken = TcpListener::bind(("127.0.0.1", 7130));
        let plan = Plan::choose(Counts::ONE, None).unwrap();
        let edge = plan.of(Service::Edge).next().unwrap().address.port();
        assert!((7131..7230).contains(&edge), "{edge}");
    }

    #[test]
    fn a_port_that_was_asked_for_is_taken_or_refused() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(Plan::choose(Counts::ONE, Some(port)).is_err());
        drop(taken);
        let plan = Plan::choose(Counts::ONE, Some(port)).unwrap();
        assert_eq!(plan.of(Service::Edge).next().unwrap().address.port(), port);
    }
}
