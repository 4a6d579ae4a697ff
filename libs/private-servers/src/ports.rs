//! Free ports on the loopback address.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use crate::place::Place;

/// Ports tried after the wished one before the system is asked for any.
const NEIGHBOURS: u16 = 100;

/// A port of 127.0.0.1 that nobody listens on: `wish` if it is free, else the next free one above
/// it, else (and without a wish) any. Another process may take it before the caller does.
///
/// # Errors
/// No port is free at all.
pub fn free_port(wish: Option<u16>) -> io::Result<u16> {
    let wished = wish.and_then(|first| {
        (first..first.saturating_add(NEIGHBOURS)).find(|port| bind(*port).is_ok())
    });
    wished.map_or_else(any_port, Ok)
}

/// A port for a server at `place`: its usual one where nobody else can have it.
pub(crate) fn port_at(place: &Place, wish: Option<u16>, usual: u16) -> io::Result<u16> {
    if place.is_local() {
        free_port(wish)
    } else {
        Ok(usual)
    }
}

/// Somebody else may be given a port between the two steps of [`bind`]: then another one will do.
fn any_port() -> io::Result<u16> {
    (1..NEIGHBOURS)
        .find_map(|_| bind(0).ok())
        .map_or_else(|| bind(0), Ok)
}

/// A port for a server that wants the same one at its next start. It lies below those that the
/// system gives to outgoing connections, and is random so that two installations on one machine
/// do not take turns with theirs.
pub(crate) fn lasting_port() -> u16 {
    rand::random_range(20_000..30_000)
}

/// Binds both the loopback address and, like a server for everybody would, the wildcard one.
fn bind(port: u16) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let port = listener.local_addr()?.port();
    drop(listener);
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let wish = taken.local_addr().unwrap().port();
        assert_ne!(free_port(Some(wish)).unwrap(), wish);
    }

    #[test]
    fn a_free_port_is_taken_as_wished() {
        let wish = free_port(Some(21_000)).unwrap();
        assert_eq!(free_port(Some(wish)).unwrap(), wish);
    }
}
