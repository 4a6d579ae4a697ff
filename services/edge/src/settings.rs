//! The edge's settings. What they mean in detail stands in the module that uses them.

use ingot_bus::BusSettings;
use ingot_config::{ByteSize, Hops, Seconds};
use ingot_http::{BodySettings, EdgeSettings};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

ingot_config::settings! {
    /// The public listener, and the private one for health and metrics.
    pub struct ListenSettings {
        /// Address to listen on for HTTP and WebSocket; `::` takes IPv4 as well.
        address: IpAddr = "INGOT_EDGE_ADDRESS", default "::";
        /// Port to listen on for HTTP and WebSocket.
        port: u16 = "PORT", default "7130";
        /// Address of /livez, /readyz and /metrics. Keep it off the public network.
        admin: SocketAddr = "INGOT_EDGE_ADMIN_LISTEN", default "127.0.0.1:7129";
        /// Whether every client connection begins with the PROXY protocol (version 1 or 2), as a load
        /// balancer that passes bytes on sends it. Then nobody else may reach the ports.
        proxy_protocol: bool = "INGOT_EDGE_PROXY_PROTOCOL", default "false";
        /// Worker threads for traffic; 0 shares the threads of the process.
        threads: usize = "INGOT_EDGE_THREADS", default "0";
        /// Milliseconds that an idle client connection is kept open.
        keep_alive_ms: u64 = "KEEP_ALIVE_TIMEOUT_MS", default "65000";
        /// Longest drain on shutdown, in seconds; what is still running then is cut. Long polls
        /// take up to 25.
        drain_timeout: Seconds = "INGOT_EDGE_DRAIN_TIMEOUT", default "30";
        /// Path of a Unix socket over which a new process takes the listeners of this one over and
        /// has it drain: a new version serves before the old one ends. Unset, nobody can.
        upgrade_socket: Option<PathBuf> = "INGOT_EDGE_UPGRADE_SOCKET";
        /// Pause, in seconds, between "not ready" and closing the listener, in which a load
        /// balancer notices. 0 closes at once.
        drain_delay: Seconds = "INGOT_EDGE_DRAIN_DELAY", default "0";
    }
}

ingot_config::settings! {
    /// TLS towards clients.
    pub struct TlsSettings {
        /// Port to listen on for HTTPS. Unset, a proxy before the edge ends TLS.
        port: Option<u16> = "INGOT_EDGE_TLS_PORT";
        /// Folders that have a chain of certificates, `tls.crt`, and its key, `tls.key`. A client
        /// gets the one for the name that it asks for, or the first.
        certificates: Vec<PathBuf> = "INGOT_EDGE_TLS_CERTIFICATES";
        /// Whether clients may speak HTTP/2. WebSockets go over HTTP/1.1 beside it.
        http2: bool = "INGOT_EDGE_HTTP2", default "true";
        /// Seconds between two looks for changed files.
        check: Seconds = "INGOT_EDGE_TLS_CHECK", default "10";
        /// Whether requests over plain HTTP are led to HTTPS, except those of a trusted proxy that
        /// says `X-Forwarded-Proto: https`.
        redirect: bool = "INGOT_EDGE_TLS_REDIRECT", default "false";
        /// Port that clients use for HTTPS, which redirects lead to.
        public_port: u16 = "INGOT_EDGE_TLS_PUBLIC_PORT", default "443";
        /// Seconds for which browsers are told to use HTTPS alone (HSTS); 0 does not tell them.
        hsts: Seconds = "INGOT_EDGE_TLS_HSTS", default "0";
    }
}

ingot_config::settings! {
    /// The services behind the edge: addresses, or DNS names that may have many addresses.
    pub struct UpstreamSettings {
        /// Addresses of the api service, `host:port`, separated by commas.
        api: Vec<String> = "INGOT_UPSTREAM_API", default "127.0.0.1:7131";
        /// Addresses of the records service.
        records: Vec<String> = "INGOT_UPSTREAM_RECORDS", default "127.0.0.1:7132";
        /// Addresses of the migration service.
        migration: Vec<String> = "INGOT_UPSTREAM_MIGRATION", default "127.0.0.1:7136";
        /// Addresses of the realtime nodes.
        realtime: Vec<String> = "INGOT_UPSTREAM_REALTIME", default "127.0.0.1:7134";
        /// Milliseconds between two health checks of an upstream.
        check_ms: u64 = "INGOT_UPSTREAM_CHECK_MS", default "1000";
        /// Seconds between two look-ups of an upstream's DNS name.
        resolve: Seconds = "INGOT_UPSTREAM_RESOLVE", default "5";
        /// Milliseconds that a connection to an upstream may take.
        connect_ms: u64 = "INGOT_UPSTREAM_CONNECT_MS", default "2000";
        /// Seconds of silence after which a request to an upstream is given up; not for WebSocket.
        silence: Seconds = "INGOT_UPSTREAM_TIMEOUT", default "300";
        /// Idle connections kept to all upstreams together.
        idle_connections: usize = "INGOT_UPSTREAM_IDLE_CONNECTIONS", default "512";
    }
}

ingot_config::settings! {
    /// What the edge demands of a request.
    pub struct RequestSettings {
        /// Name of the project that is served.
        project: String = "INGOT_PROJECT", default "default";
        /// Hosts that lead to the project, separated by commas; unset means every host.
        hosts: Vec<String> = "INGOT_PROJECT_HOSTS";
        /// Proxies before the edge that are believed about the client's address.
        trust_proxy: Hops = "TRUST_PROXY", default "2";
        /// Requests that one client address may make per window.
        rate_limit: u32 = "INGOT_RATE_LIMIT", default "3000";
        /// Length of the window, in seconds.
        rate_window: Seconds = "INGOT_RATE_WINDOW", default "900";
        /// Memory that the edge may use: from nine tenths of it on, new requests get a 503 with
        /// `Retry-After`. Unset, what its container may use; without a container, no limit.
        memory: Option<ByteSize> = "INGOT_EDGE_MEMORY";
        /// Seconds for which the next piece of a request's body is waited for. A small body has to be
        /// there as a whole within them, any body over HTTP/2 at 512 bytes a second beyond them.
        body_wait: Seconds = "INGOT_EDGE_BODY_TIMEOUT", default "60";
        /// Client addresses that are remembered at once; the longest unseen is forgotten first.
        rate_addresses: usize = "INGOT_RATE_ADDRESSES", default "200000";
    }
}

ingot_config::configuration! {
    /// Everything that the edge is told from outside.
    pub struct Config {
        /// Listeners and drain.
        listen: ListenSettings;
        /// TLS towards clients.
        tls: TlsSettings;
        /// Services behind the edge.
        upstream: UpstreamSettings;
        /// Demands on requests.
        request: RequestSettings;
        /// How large bodies may be, except for uploads.
        body: BodySettings;
        /// What proves to the services that a request came through the edge.
        edge: EdgeSettings;
        /// The bus over which replicas share the counts of the rate limit.
        bus: BusSettings;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingot_config::{Environment, Settings};

    #[test]
    fn defaults_need_only_the_edge_key() {
        let config = Config::load(&Environment::from_pairs([(
            "INGOT_EDGE_KEY",
            "0123456789abcdef0123456789abcdef",
        )]))
        .unwrap();
        assert_eq!(config.listen.port, 7130);
        assert_eq!(config.upstream.records, ["127.0.0.1:7132"]);
        assert_eq!(config.request.trust_proxy, Hops::Count(2));
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let problems = Config::load(&Environment::from_pairs([
            ("PORT", "banana"),
            ("MAX_JSON_BODY_SIZE", "huge"),
        ]))
        .unwrap_err();
        let named: Vec<_> = problems.iter().map(|p| p.variable.as_str()).collect();
        assert_eq!(named, ["PORT", "MAX_JSON_BODY_SIZE", "INGOT_EDGE_KEY"]);
    }
}
