//! NATS: which subjects exist, what travels on them, and the connection that survives outages.
//!
//! Services publish and subscribe only through this crate, so that subjects, encodings and trace
//! propagation are decided in one place. Room messages go through a JetStream stream per project:
//! [`RoomPublisher`] writes it in order and without doubles, [`RoomSubscription`] reads a room of
//! it without holes.

mod connection;
mod events;
mod history;
mod observer;
mod presence;
mod publisher;
mod room;
mod stored;
mod subjects;
mod subscription;

pub use connection::{Bus, BusError, BusSettings, Headers};
pub use events::{Audience, Change, DashboardEvent, Invalidation, Resource, UsersDeleted};
pub use presence::{Interruptions, Member, PeerNews, PeerWord, PresenceChange, PresenceNews};
pub use publisher::RoomPublisher;
pub use room::{MAX_INLINE_PAYLOAD, RoomMessage, SenderType};
pub use stored::StoredFrom;
pub use subjects::{Room, RoomToken};
pub use subscription::{RoomDelivery, RoomNews, RoomSubscription};
