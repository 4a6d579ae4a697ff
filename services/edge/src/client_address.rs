//! Who the client is, when proxies stand before the edge (`TRUST_PROXY`; contract, platform §13).
//!
//! The chain of addresses starts with the connection's peer and goes on through
//! `X-Forwarded-For` from right to left. The client is the first address that is not trusted, or
//! the last one that can be read.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ingot_config::Hops;

/// The chain of clients and proxies before the connection's peer.
pub(crate) const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address, as far as the trusted proxies tell.
///
/// `forwarded` are the `X-Forwarded-For` lines of the request.
pub(crate) fn client_address<'a>(
    peer: IpAddr,
    forwarded: impl Iterator<Item = &'a [u8]>,
    trust: &Hops,
) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusts(trust, peer, 0) {
        return peer;
    }
    let mut client = peer;
    let mut lines: [&[u8]; MAX_LINES] = [b""; MAX_LINES];
    let mut count = 0;
    for (slot, line) in lines.iter_mut().zip(forwarded) {
        *slot = line;
        count += 1;
    }
    let addresses = lines
        .iter()
        .take(count)
        .rev()
        .flat_map(|line| line.rsplit(|byte| *byte == b','));
    for (hop, text) in addresses.enumerate() {
        let Some(address) = parse(text) else {
            return client;
        };
        client = address;
        if !trusts(trust, client, hop + 1) {
            return client;
        }
    }
    client
}

/// Further `X-Forwarded-For` lines are not read.
const MAX_LINES: usize = 8;

/// Whether the hop at that distance is believed about the hop before it.
fn trusts(trust: &Hops, address: IpAddr, distance: usize) -> bool {
    match trust {
        Hops::Count(hops) => distance < *hops,
        Hops::All => true,
        Hops::Networks(networks) => networks.iter().any(|network| network.contains(&address)),
    }
}

/// Whether the connection's peer is believed at all.
pub(crate) fn trusts_peer(trust: &Hops, peer: IpAddr) -> bool {
    trusts(trust, peer.to_canonical(), 0)
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    text.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|with_port| with_port.ip()))
        .ok()
        .or_else(|| {
            let inner = text.strip_prefix('[')?.strip_suffix(']')?;
            inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        })
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(forwarded: &[&str], trust: &Hops) -> String {
        let lines = forwarded.iter().map(|line| line.as_bytes());
        client_address("10.0.0.1".parse().unwrap(), lines, trust).to_string()
    }

    #[test]
    fn hops_count_from_the_edge_outwards() {
        let chain = ["1.1.1.1, 2.2.2.2", "3.3.3.3"];
        for (hops, expected) in [
            (0, "10.0.0.1"),
            (1, "3.3.3.3"),
            (2, "2.2.2.2"),
            (3, "1.1.1.1"),
            (9, "1.1.1.1"),
        ] {
            assert_eq!(client(&chain, &Hops::Count(hops)), expected, "{hops}");
        }
        assert_eq!(client(&chain, &Hops::All), "1.1.1.1");
        assert_eq!(client(&[], &Hops::Count(2)), "10.0.0.1");
    }

    #[test]
    fn networks_are_skipped_until_a_stranger() {
        let trust = Hops::Networks(vec!["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(client(&["6.6.6.6, 5.5.5.5, 10.2.3.4"], &trust), "5.5.5.5");
        let elsewhere = Hops::Networks(vec!["192.168.0.0/16".parse().unwrap()]);
        assert_eq!(client(&["5.5.5.5"], &elsewhere), "10.0.0.1");
    }

    #[test]
    fn nonsense_ends_the_chain() {
        assert_eq!(client(&["1.1.1.1, <script>"], &Hops::Count(2)), "10.0.0.1");
        assert_eq!(
            client(&["[2001:db8::1]:443"], &Hops::Count(1)),
            "2001:db8::1"
        );
        assert_eq!(client(&["::ffff:9.9.9.9"], &Hops::Count(1)), "9.9.9.9");
    }
}
