//! The kinds of values that settings have.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::Secret;

/// A type that a setting may have.
pub trait SettingValue: Sized {
    /// The kind of value, completing "set it to …".
    const KIND: &'static str;

    /// Reads a non-empty text.
    ///
    /// # Errors
    /// What is wrong with it and what would be right, as half a sentence.
    fn parse(text: &str) -> Result<Self, String>;

    /// The value when nothing is set; `None` makes the setting required.
    fn when_absent() -> Option<Self> {
        None
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    const KIND: &'static str = T::KIND;

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn when_absent() -> Option<Self> {
        Some(None)
    }
}

macro_rules! numbers {
    ($($type:ty),*) => { $(
        impl SettingValue for $type {
            const KIND: &'static str = "a whole number";

            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| {
                    format!("`{text}` is not a whole number from {} to {}", <$type>::MIN, <$type>::MAX)
                })
            }
        }
    )* };
}
numbers!(u16, u32, u64, usize);

impl SettingValue for String {
    const KIND: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

/// Secrets that stand in public repositories; starting with one would leave the door open.
const PUBLIC_SECRETS: &[&str] = &[
    "your_jwt_secret",
    "your_api_key",
    "dev-secret-please-change-in-production",
    "change-this-password",
    "admin",
];

impl SettingValue for Secret {
    const KIND: &'static str = "a secret text";

    /// Refuses what is printed in public examples.
    fn parse(text: &str) -> Result<Self, String> {
        if PUBLIC_SECRETS.contains(&text) {
            return Err("is a value printed in public examples: choose one of your own".to_owned());
        }
        Ok(Self::new(text))
    }
}

impl SettingValue for PathBuf {
    const KIND: &'static str = "a path";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl SettingValue for bool {
    const KIND: &'static str = "true or false";

    /// `1, true, yes, on` and `0, false, no, off` in any case (contract, platform §13).
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(format!("`{text}` is neither true nor false")),
        }
    }
}

impl SettingValue for Url {
    const KIND: &'static str = "a URL";

    fn parse(text: &str) -> Result<Self, String> {
        Url::parse(text).map_err(|error| format!("`{text}` is not a URL: {error}"))
    }
}

impl SettingValue for SocketAddr {
    const KIND: &'static str = "an address with a port, such as 0.0.0.0:7130";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("`{text}` is not {}", Self::KIND))
    }
}

impl SettingValue for IpAddr {
    const KIND: &'static str = "an IP address";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("`{text}` is not {}", Self::KIND))
    }
}

impl<T: SettingValue> SettingValue for Vec<T> {
    const KIND: &'static str = "a list separated by commas";

    fn parse(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(T::parse)
            .collect()
    }

    fn when_absent() -> Option<Self> {
        Some(Vec::new())
    }
}

/// A number of bytes: `100mb`, `64kb`, `1gb` or plain digits (units of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl SettingValue for ByteSize {
    const KIND: &'static str = "a size such as 100mb";

    fn parse(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let split = lower
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(lower.len());
        let (digits, unit) = lower.split_at(split);
        let scale: u64 = match unit.trim() {
            "" | "b" => 1,
            "kb" | "k" => 1 << 10,
            "mb" | "m" => 1 << 20,
            "gb" | "g" => 1 << 30,
            _ => return Err(format!("`{text}` has no known unit: use b, kb, mb or gb")),
        };
        let whole: u64 = digits
            .parse()
            .map_err(|_| format!("`{text}` is not {}", Self::KIND))?;
        whole
            .checked_mul(scale)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is too large"))
    }
}

/// A duration given in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub Duration);

impl SettingValue for Seconds {
    const KIND: &'static str = "a number of seconds";

    fn parse(text: &str) -> Result<Self, String> {
        u64::parse(text).map(|seconds| Self(Duration::from_secs(seconds)))
    }
}

/// Which proxies before the edge are believed when they name the client (`TRUST_PROXY`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hops {
    /// The last `n` addresses of `X-Forwarded-For`; 0 believes nobody.
    Count(usize),
    /// Every hop: the leftmost address is the client.
    All,
    /// Hops whose address lies in one of these networks.
    Networks(Vec<IpNet>),
}

impl SettingValue for Hops {
    const KIND: &'static str = "a number of hops, true, false, or a list of networks";

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" => return Ok(Self::All),
            "false" => return Ok(Self::Count(0)),
            other => {
                if let Ok(count) = other.parse() {
                    return Ok(Self::Count(count));
                }
                if other.parse::<f64>().is_ok() {
                    return Err(format!(
                        "`{text}` must be a whole number of hops, 0 or more"
                    ));
                }
            }
        }
        let mut networks = Vec::new();
        for item in text.split(',').map(str::trim) {
            let named: &[&str] = match item {
                "loopback" => &["127.0.0.0/8", "::1/128"],
                "linklocal" => &["169.254.0.0/16", "fe80::/10"],
                "uniquelocal" => &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
                address => &[address],
            };
            for network in named {
                networks.push(parse_network(network)?);
            }
        }
        Ok(Self::Networks(networks))
    }
}

fn parse_network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}` is not {}", Hops::KIND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(ByteSize::parse("100mb"), Ok(ByteSize(100 << 20)));
        assert_eq!(ByteSize::parse("12"), Ok(ByteSize(12)));
        assert!(ByteSize::parse("12 parsecs").is_err());
        assert!(ByteSize::parse("99999999999999999gb").is_err());
    }

    #[test]
    fn hops() {
        assert_eq!(Hops::parse("2"), Ok(Hops::Count(2)));
        assert!(Hops::parse("-1").is_err() && Hops::parse("1.5").is_err());
        assert!(
            matches!(Hops::parse("loopback, 10.1.0.0/16"), Ok(Hops::Networks(n)) if n.len() == 3)
        );
        assert!(Hops::parse("nonsense").is_err());
    }
}
