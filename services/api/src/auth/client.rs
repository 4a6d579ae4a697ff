//! How a client keeps its refresh token (contract, auth §3).

use ingot_identity::Transport;
use serde::Deserialize;

/// The query parameter `client_type`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ClientQuery {
    client_type: Option<String>,
}

impl ClientQuery {
    /// Native apps and servers keep tokens themselves; everything else is a browser, whose token
    /// stays in a cookie that scripts cannot read.
    pub(super) fn transport(&self) -> Transport {
        match self.client_type.as_deref() {
            Some("mobile" | "desktop" | "server") => Transport::Body,
            _ => Transport::Cookie,
        }
    }
}
