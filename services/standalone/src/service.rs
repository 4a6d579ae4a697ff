//! The services of Ingot, as a table.

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Keeps the schema current.
    Migration,
    /// Accounts, tables, administration.
    Api,
    /// Rows and functions.
    RecordsProxy,
    /// Socket.IO nodes.
    RealtimeFanout,
    /// From PostgreSQL's notifications to NATS.
    ListenRelay,
    /// The one address that clients talk to.
    Edge,
}

impl Service {
    /// All of them, in the order in which people expect them to come up.
    pub const ALL: [Self; 6] = [
        Self::Migration,
        Self::Api,
        Self::RecordsProxy,
        Self::RealtimeFanout,
        Self::ListenRelay,
        Self::Edge,
    ];

    /// Name, as in the name of its program after `ingot-`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Migration => "migration",
            Self::Api => "api",
            Self::RecordsProxy => "records-proxy",
            Self::RealtimeFanout => "realtime-fanout",
            Self::ListenRelay => "listen-relay",
            Self::Edge => "edge",
        }
    }

    /// First port that is tried for it.
    pub(crate) fn preferred_port(self) -> u16 {
        match self {
            Self::Edge => 7130,
            Self::Api => 7131,
            Self::RecordsProxy => 7132,
            Self::RealtimeFanout => 7134,
            Self::ListenRelay => 7135,
            Self::Migration => 7136,
        }
    }

    /// The variable by which the edge learns its addresses.
    pub(crate) fn upstream_variable(self) -> Option<&'static str> {
        match self {
            Self::Api => Some("INGOT_UPSTREAM_API"),
            Self::RecordsProxy => Some("INGOT_UPSTREAM_RECORDS"),
            Self::Migration => Some("INGOT_UPSTREAM_MIGRATION"),
            Self::RealtimeFanout => Some("INGOT_UPSTREAM_REALTIME"),
            Self::Edge | Self::ListenRelay => None,
        }
    }

    /// Its name in variables: `RECORDS_PROXY`.
    pub(crate) fn variable_prefix(self) -> String {
        self.name().to_ascii_uppercase().replace('-', "_")
    }
}
