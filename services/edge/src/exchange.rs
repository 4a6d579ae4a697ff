//! What the edge remembers of one request while it is under way.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use http::HeaderValue;

use crate::drain::Flight;
use crate::limit::Quota;
use crate::routes::{Body, Match, Service};
use crate::session::NodeId;
use crate::trace::Trace;
use crate::upstream::{Lease, Purpose, Tried};

/// One request and its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// When the request's head had arrived.
    pub(crate) started: Instant,
    /// Counts it as under way.
    pub(crate) flight: Flight,
    /// The client after `TRUST_PROXY`.
    pub(crate) client: IpAddr,
    /// Whether the connection's peer is a proxy that is believed.
    pub(crate) peer_trusted: bool,
    /// Id in the logs of all services.
    pub(crate) request_id: HeaderValue,
    /// Place in a trace.
    pub(crate) trace: Trace,
    /// The span, where traces are exported.
    pub(crate) span: tracing::Span,
    /// The project's name.
    pub(crate) project: HeaderValue,
    /// The row of the route table.
    pub(crate) found: Option<Match>,
    /// What the client has left, when the request counts.
    pub(crate) quota: Option<Quota>,
    /// Largest body, in bytes.
    pub(crate) body_limit: u64,
    /// Body bytes that have arrived.
    pub(crate) body_seen: u64,
    /// Whether the connection is to become a WebSocket.
    pub(crate) upgrade: bool,
    /// The realtime node that the request belongs to.
    pub(crate) node: Option<NodeId>,
    /// Members tried so far.
    pub(crate) tried: Tried,
    /// The member that has the request.
    pub(crate) lease: Option<Lease>,
}

impl Exchange {
    /// A request of which only the connection is known.
    pub(crate) fn new(flight: Flight) -> Self {
        Self {
            started: Instant::now(),
            flight,
            client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            peer_trusted: false,
            request_id: HeaderValue::from_static(""),
            trace: Trace::none(),
            span: tracing::Span::none(),
            project: HeaderValue::from_static(""),
            found: None,
            quota: None,
            body_limit: u64::MAX,
            body_seen: 0,
            upgrade: false,
            node: None,
            tried: Tried::default(),
            lease: None,
        }
    }

    /// The member that has it has begun to answer.
    pub(crate) fn is_answered(&mut self, content_type: Option<&[u8]>) {
        if let Some(lease) = &self.lease {
            lease.member().succeeded();
        }
        if content_type.is_some_and(|kind| kind.starts_with(b"text/event-stream")) {
            self.flight.becomes_stream();
        }
    }

    /// What a connection to the service is for.
    pub(crate) fn purpose(&self) -> Purpose {
        let streamed = self
            .found
            .is_some_and(|found| found.route.body == Body::Streamed);
        if streamed {
            Purpose::Streaming
        } else {
            Purpose::Request
        }
    }

    /// Where a connection for it leads, once that is known.
    pub(crate) fn destination(&self) -> Option<(SocketAddr, Purpose)> {
        let lease = self.lease.as_ref()?;
        Some((lease.member().address, self.purpose()))
    }

    /// The service that the request goes to, once that is known.
    pub(crate) fn service(&self) -> Option<Service> {
        self.found.map(|found| found.route.service)
    }
}
