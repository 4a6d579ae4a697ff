//! Where a server runs: on this machine's loopback address, or in a network namespace of its own,
//! as if it had a machine to itself.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

/// A network namespace and the address in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name of the namespace, as `ip netns` knows it; `None` is ours.
    namespace: Option<String>,
    address: IpAddr,
}

impl Place {
    /// This machine, for this machine alone.
    pub const LOCAL: Self = Self {
        namespace: None,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };

    /// A namespace that `ip netns add` made and that has this address.
    pub fn namespace(name: &str, address: IpAddr) -> Self {
        Self {
            namespace: Some(name.to_owned()),
            address,
        }
    }

    /// The address that servers listen on.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether the server is out of reach of everybody else by its address alone.
    pub(crate) fn is_local(&self) -> bool {
        self.namespace.is_none()
    }

    /// The same command, in the namespace. Names are then looked up as
    /// `/etc/netns/<namespace>/resolv.conf` says. Variables and folder of `command` are not taken
    /// over: set them afterwards.
    pub fn enter(&self, command: Command) -> Command {
        let Some(namespace) = &self.namespace else {
            return command;
        };
        // It becomes what it runs: the process id and the parent-death signal are the program's.
        let mut entering = Command::new("ip");
        entering
            .args(["netns", "exec", namespace])
            .arg(command.get_program())
            .args(command.get_args());
        entering
    }
}
