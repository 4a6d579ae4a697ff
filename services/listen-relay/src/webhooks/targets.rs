//! Where webhooks may go: to public addresses, whatever a name or a redirect leads to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

/// The address is one of this machine or of a private network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is in a private network, to which webhooks are not sent")]
pub(super) struct PrivateTarget;

/// Resolves names to public addresses only.
#[derive(Debug)]
pub(super) struct PublicAddresses;

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|found| is_public(found.ip())).collect();
            if public.is_empty() {
                return Err(PrivateTarget.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Refuses an address that is written as a number; names are looked at when they are resolved.
pub(super) fn check(url: &Url) -> Result<(), PrivateTarget> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    is_public(address).then_some(()).ok_or(PrivateTarget)
}

/// Whether an address is reachable for everybody (RFC 6890 and its registries).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    // This network, shared by a carrier's customers, protocol assignments, benchmarks, reserved.
    let reserved = matches!(
        (a, b, c),
        (0 | 240.., ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _)
    );
    !(reserved
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // An address of version 4 in a wrapping: mapped, translated (RFC 6052), tunnelled.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            inner(high, low)
        }
        [0x2002, high, low, ..] => inner(high, low),
        // Documentation.
        [0x2001, 0xdb8, ..] => false,
        // Global unicast; everything else is local, multicast or not assigned.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_reached() {
        for private in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:a00:1::]",
            "[fd00::1]",
            "[fe80::1]",
            "[ff02::1]",
        ] {
            let url = format!("http://{private}/").parse().unwrap();
            assert_eq!(check(&url), Err(PrivateTarget), "{private}");
        }
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.63.0.1",
            "[2606:4700::1111]",
            "[::ffff:1.1.1.1]",
            "example.com",
        ] {
            let url = format!("https://{public}/").parse().unwrap();
            assert_eq!(check(&url), Ok(()), "{public}");
        }
    }

    #[tokio::test]
    async fn a_name_of_this_machine_leads_nowhere() {
        let name = "localhost".parse().unwrap();
        let found = PublicAddresses.resolve(name).await;
        let error = found.err().unwrap();
        assert!(error.is::<PrivateTarget>(), "{error}");
    }
}
