//! Debian's `dnsmasq` on a machine of its own, with lists of addresses that change.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use ingot_private_servers::{Running, Signal, guarded_command};
use tokio::net::TcpStream;

use super::lan::Machine;
use crate::{TestCluster, eventually};

/// Port of the protocol (RFC 1035 §4.2).
const DNS: u16 = 53;

/// All names end with it.
const DOMAIN: &str = "ingot.test";

/// The resolver and what it knows.
#[derive(Debug)]
pub(super) struct Resolver {
    process: Running,
    hosts: PathBuf,
    names: BTreeMap<String, BTreeSet<Ipv4Addr>>,
}

impl Resolver {
    /// Starts it, with files in `folder`.
    pub(super) async fn start(machine: &Machine, folder: &Path) -> anyhow::Result<Self> {
        let hosts = folder.join("hosts");
        std::fs::write(&hosts, "")?;
        let command: Command = guarded_command(Path::new("dnsmasq"), "KILL")?;
        let mut command = machine.place().enter(command);
        command
            .args(["--keep-in-foreground", "--no-resolv", "--no-hosts"])
            .args(["--conf-file=/dev/null", "--log-facility=-", "--pid-file="])
            .args(["--user=root", "--bind-interfaces", "--local-ttl=1"])
            .arg(format!("--addn-hosts={}", hosts.display()))
            .arg(format!("--local=/{DOMAIN}/"))
            .arg(format!("--listen-address={}", machine.address));
        let log = folder.join("resolver.log");
        let process = Running::spawn("resolver", command, log, Signal::SIGKILL).await?;
        eventually(async || Ok(TcpStream::connect((machine.address, DNS)).await?))
            .await
            .context("the resolver does not answer")?;
        Ok(Self {
            process,
            hosts,
            names: BTreeMap::new(),
        })
    }

    /// The full name of a service.
    pub(super) fn name(service: &str) -> String {
        format!("{service}.{DOMAIN}")
    }

    /// Adds an address to a name's.
    pub(super) fn add(&mut self, service: &str, address: Ipv4Addr) -> anyhow::Result<()> {
        let addresses = self.names.entry(service.to_owned()).or_default();
        addresses.insert(address);
        self.publish()
    }

    /// Takes an address from a name's.
    pub(super) fn remove(&mut self, service: &str, address: Ipv4Addr) -> anyhow::Result<()> {
        if let Some(addresses) = self.names.get_mut(service) {
            addresses.remove(&address);
        }
        self.publish()
    }

    /// Stands still: questions get no answer.
    pub(super) fn pause(&self) -> anyhow::Result<()> {
        TestCluster::signal_process(self.process.pid(), "-STOP")
    }

    /// Ends [`Resolver::pause`].
    pub(super) fn resume(&self) -> anyhow::Result<()> {
        TestCluster::signal_process(self.process.pid(), "-CONT")
    }

    fn publish(&self) -> anyhow::Result<()> {
        let mut text = String::new();
        for (service, addresses) in &self.names {
            for address in addresses {
                text.extend([&address.to_string(), " ", &Self::name(service), "\n"]);
            }
        }
        std::fs::write(&self.hosts, text)?;
        // It reads its files anew.
        TestCluster::signal_process(self.process.pid(), "-HUP")
    }
}
