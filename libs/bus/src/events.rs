//! Small events between services. They are hints, delivered at most once: whoever misses one
//! refreshes by time or on reconnect.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Part of a project that dashboards show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Tables, records, policies, migrations.
    Database,
    /// Accounts.
    Users,
    /// Storage buckets and objects.
    Buckets,
    /// Edge functions.
    Functions,
    /// Site deployments.
    Deployments,
    /// Containers.
    ComputeServices,
}

/// One changed thing (contract, platform §6.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Change {
    /// `records`, `table`, `tables`, `index`, `trigger`, `policy`, `function`, `extension`,
    /// `migration`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the changed thing; tables as `schema.table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Something that dashboards refresh on; becomes `data:update` on Socket.IO and `data-update` on
/// the event stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DashboardEvent {
    /// What changed.
    pub resource: Resource,
    /// Single changes; empty means "anything of the resource".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Further fields of the event's data, such as `bucketName` or `slug`.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub data: serde_json::Map<String, serde_json::Value>,
}

impl DashboardEvent {
    /// Changes in the database.
    pub fn database(changes: Vec<Change>) -> Self {
        Self {
            resource: Resource::Database,
            changes,
            data: serde_json::Map::new(),
        }
    }

    /// An event that only names its resource.
    pub fn of(resource: Resource) -> Self {
        Self {
            resource,
            changes: Vec::new(),
            data: serde_json::Map::new(),
        }
    }
}

/// How many sockets of one node got which messages since it last told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Message id and number of sockets.
    pub counts: Vec<(Uuid, u32)>,
}

/// Accounts of a project that are no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersDeleted {
    /// The project's id.
    pub project: String,
    /// The users' ids.
    pub users: Vec<Uuid>,
}

/// Caches of a project that no longer hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invalidation {
    /// API keys, anon keys or the signing key changed.
    Keys,
    /// Tables, columns or functions changed.
    Schema,
    /// Realtime channels or their policies changed.
    Channels,
    /// A user was deleted or signed out everywhere.
    Sessions,
}
