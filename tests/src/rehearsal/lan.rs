//! A network of our own: network namespaces as machines, on a switch, each with one address.
//!
//! Nothing of it is seen outside but one interface of ours and its route. Debian's `iproute2` makes
//! it, as root. What a killed run left behind, the next one with its number removes.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use ingot_private_servers::Place;
use nix::fcntl::{Flock, FlockArg};

use crate::TestCluster;

/// Networks that may exist at the same time. Addresses are 198.18.*number*.*machine*: that range
/// is for benchmarks of network devices and routed nowhere (RFC 2544).
const NETWORKS: u8 = 250;
/// Our own address ends with it.
const OURSELVES: u8 = 1;

/// The network. Goes away when dropped, with everything on it.
#[derive(Debug)]
pub struct Lan {
    number: u8,
    last: u8,
    _lock: Flock<File>,
}

/// A machine on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    namespace: String,
    number: u8,
    /// Its only address.
    pub address: Ipv4Addr,
}

impl Lan {
    /// Why there can be none here, if there cannot.
    pub fn impediment() -> Option<String> {
        if !nix::unistd::geteuid().is_root() {
            return Some("network namespaces need root".to_owned());
        }
        for program in ["ip", "dnsmasq"] {
            if Command::new(program).arg("--help").output().is_err() {
                return Some(format!(
                    "`{program}` is missing: install iproute2 and dnsmasq-base"
                ));
            }
        }
        let probe = format!("ingot-probe-{}", std::process::id());
        let made = ip(&["netns", "add", &probe]);
        ip(&["netns", "delete", &probe]).ok();
        made.err()
            .map(|error| format!("network namespaces are not permitted: {error:#}"))
    }

    /// A network without machines.
    ///
    /// # Errors
    /// It cannot be made; see [`Lan::impediment`].
    pub fn create() -> anyhow::Result<Self> {
        let (number, lock) = (1..=NETWORKS)
            .find_map(|number| Some((number, lock(number)?)))
            .context("too many networks at once")?;
        sweep(number);
        let lan = Self {
            number,
            last: OURSELVES,
            _lock: lock,
        };
        let (switch, ours) = (lan.switch(), lan.our_interface());
        ip(&["netns", "add", &switch])?;
        ip(&["-n", &switch, "link", "add", "switch", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "switch", "up"])?;
        let ends = [
            "link", "add", &ours, "type", "veth", "peer", "name", "host", "netns", &switch,
        ];
        ip(&ends)?;
        lan.plug("host")?;
        let address = format!("{}/24", lan.address(OURSELVES));
        ip(&["address", "add", &address, "dev", &ours])?;
        ip(&["link", "set", &ours, "up"])?;
        Ok(lan)
    }

    /// A new machine with an address that no other had. With `resolver`, it looks names up there.
    ///
    /// # Errors
    /// No address is left.
    pub fn machine(&mut self, resolver: Option<&Machine>) -> anyhow::Result<Machine> {
        self.last = self.last.checked_add(1).context("no address is left")?;
        let machine = Machine {
            namespace: format!("{}{}", self.prefix(), self.last),
            number: self.last,
            address: self.address(self.last),
        };
        let name = machine.namespace.as_str();
        if let Some(resolver) = resolver {
            let folder = resolver_folder(name);
            std::fs::create_dir_all(&folder)?;
            let text = format!(
                "nameserver {}\noptions timeout:1 attempts:2\n",
                resolver.address
            );
            std::fs::write(folder.join("resolv.conf"), text)?;
        }
        ip(&["netns", "add", name])?;
        let (switch, port) = (self.switch(), machine.port());
        let ends = [
            "-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns",
            name,
        ];
        ip(&ends)?;
        self.plug(&port)?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        let address = format!("{}/24", machine.address);
        ip(&["-n", name, "address", "add", &address, "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        Ok(machine)
    }

    /// Takes a machine on which nothing runs any more off the network.
    ///
    /// # Errors
    /// It is gone already.
    pub fn remove(&self, machine: &Machine) -> anyhow::Result<()> {
        remove(&machine.namespace)
    }

    /// Pulls the machine's cable: from now on nobody hears of it, not even that it is gone.
    ///
    /// # Errors
    /// It is gone.
    pub fn unplug(&self, machine: &Machine) -> anyhow::Result<()> {
        ip(&["-n", &self.switch(), "link", "set", &machine.port(), "down"])
    }

    /// What `server` sends to `client` gets lost: connections stay open and are silent, and no
    /// new ones come about.
    ///
    /// # Errors
    /// One of them is gone.
    pub fn part(&self, server: &Machine, client: &Machine) -> anyhow::Result<()> {
        let lost = client.address.to_string();
        ip(&["-n", &server.namespace, "route", "add", "blackhole", &lost])
    }

    /// Ends [`Lan::part`].
    ///
    /// # Errors
    /// They were not parted.
    pub fn join(&self, server: &Machine, client: &Machine) -> anyhow::Result<()> {
        let lost = client.address.to_string();
        ip(&[
            "-n",
            &server.namespace,
            "route",
            "delete",
            "blackhole",
            &lost,
        ])
    }

    fn plug(&self, port: &str) -> anyhow::Result<()> {
        let switch = self.switch();
        ip(&["-n", &switch, "link", "set", port, "master", "switch"])?;
        ip(&["-n", &switch, "link", "set", port, "up"])
    }

    fn address(&self, machine: u8) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, machine)
    }

    fn prefix(&self) -> String {
        prefix(self.number)
    }

    fn switch(&self) -> String {
        format!("{}switch", self.prefix())
    }

    fn our_interface(&self) -> String {
        our_interface(self.number)
    }
}

impl Machine {
    /// For servers that run on it.
    pub fn place(&self) -> Place {
        Place::namespace(&self.namespace, IpAddr::V4(self.address))
    }

    /// Its end at the switch.
    fn port(&self) -> String {
        format!("port{}", self.number)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        sweep(self.number);
    }
}

fn prefix(number: u8) -> String {
    format!("ingot-{number}-")
}

fn our_interface(number: u8) -> String {
    format!("ingot{number}")
}

fn resolver_folder(namespace: &str) -> PathBuf {
    Path::new("/etc/netns").join(namespace)
}

fn lock(number: u8) -> Option<Flock<File>> {
    let file = File::create(format!("/run/ingot-network-{number}.lock")).ok()?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()
}

/// Removes what there is of the network, which nobody uses.
fn sweep(number: u8) {
    let listed = Command::new("ip").args(["netns", "list"]).output();
    let listed = listed.map(|output| output.stdout).unwrap_or_default();
    for line in String::from_utf8_lossy(&listed).lines() {
        // The name, then perhaps its number in brackets.
        let name = line.split_whitespace().next().unwrap_or_default();
        if name.starts_with(&prefix(number)) {
            remove(name).ok();
        }
    }
    // It goes with the switch, but not at once.
    ip(&["link", "delete", &our_interface(number)]).ok();
}

/// What still runs there ends: it would keep the namespace alive.
fn remove(namespace: &str) -> anyhow::Result<()> {
    let listed = Command::new("ip")
        .args(["netns", "pids", namespace])
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    for pid in String::from_utf8_lossy(&listed).split_whitespace() {
        if let Ok(pid) = pid.parse() {
            TestCluster::signal_process(pid, "-KILL").ok();
        }
    }
    std::fs::remove_dir_all(resolver_folder(namespace)).ok();
    ip(&["netns", "delete", namespace])
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments).output();
    let output = match output {
        Ok(output) => output,
        Err(error) => bail!("cannot run `ip`: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`ip {}`: {}",
        arguments.join(" "),
        said.trim()
    );
    Ok(())
}
