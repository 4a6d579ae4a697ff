//! Channels: subscribing, leaving, publishing (contract, realtime §4 to §7 and §11).
//!
//! [`events`] reads what clients emit and answers it, [`service`] has the rules, [`store`] asks
//! PostgreSQL, whose policies decide; [`permissions`] remembers what it said.

mod arguments;
mod events;
mod permissions;
mod service;
mod store;

pub(crate) use events::handle;
pub(crate) use permissions::{Permissions, watch};
pub(crate) use service::leave;

/// Names that Socket.IO gives a meaning of its own: a client that receives such an event takes it
/// for news of its connection.
const PROTOCOL_EVENTS: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// Whether an event name belongs to the protocol.
pub(crate) fn is_protocol_event(event: &str) -> bool {
    PROTOCOL_EVENTS.contains(&event)
}

/// Whether only the server may say this: clients must not be able to forge it.
fn is_server_event(event: &str) -> bool {
    is_protocol_event(event)
        || ["presence:", "realtime:"]
            .iter()
            .any(|prefix| event.starts_with(prefix))
        || ["notification", "data:update", "mcp:connected"].contains(&event)
}
