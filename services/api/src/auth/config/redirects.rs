//! Entries of the redirect allow-list (contract, auth §10.5).

/// Schemes that run or read something in the browser instead of going somewhere.
const REFUSED_SCHEMES: [&str; 4] = ["javascript", "data", "file", "vbscript"];

/// Whether `entry` may stand in the list: `http(s)://host[:port][/path]`, where the host may
/// contain `*`, or a deep link of an app such as `myapp://callback`.
pub(super) fn is_entry(entry: &str) -> bool {
    if entry.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return false;
    }
    let Some((scheme, rest)) = entry.split_once(':') else {
        return false;
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => rest.strip_prefix("//").is_some_and(is_web_target),
        scheme => is_app_scheme(scheme) && is_app_target(rest),
    }
}

fn is_web_target(target: &str) -> bool {
    let authority = target.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port_fits = port.is_none_or(|port| {
        !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit())
    });
    let host_fits = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            host.contains(|c: char| c.is_ascii_alphanumeric())
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.*".contains(&b))
        }
    };
    port_fits && host_fits
}

fn is_app_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        && !REFUSED_SCHEMES.contains(&scheme)
}

fn is_app_target(rest: &str) -> bool {
    let target = rest.strip_prefix("//").or_else(|| rest.strip_prefix('/'));
    target.is_some_and(|target| !target.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        for good in [
            "https://example.com",
            "http://localhost:3000/**",
            "https://*.example.com",
            "http://[::1]:8080/x",
            "https://example.com/?session=*",
            "myapp://callback",
            "com.example.app:/cb",
        ] {
            assert!(is_entry(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "https://*",
            "https://",
            "https://a.b:*",
            "https://a.b:",
            "https://a.b?x=1",
            "https://a b.c",
            "javascript:alert(1)",
            "JavaScript://x",
            "data:/x",
            "a.b.c",
            "://x",
        ] {
            assert!(!is_entry(bad), "{bad}");
        }
    }
}
