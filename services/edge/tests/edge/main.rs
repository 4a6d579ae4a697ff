//! The edge in front of real servers, spoken to over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what fails in a helper is a failed test"
)]

mod cors;
mod direct;
mod drain;
mod handover;
mod http2;
mod lane;
mod limits;
mod reload;
mod routing;
mod sessions;
mod slow_bodies;
mod support;
mod tls;
mod upstreams;
mod websocket;
