//! NATS: which subjects exist, what travels on them, and the connection that survives outages.
//!
//! Services publish and subscribe only through this crate, so that subjects, encodings and trace
//! propagation are decided in one place.

mod connection;
mod events;
mod subjects;

pub use connection::{Bus, BusError, BusSettings, Headers};
pub use events::{Change, DashboardEvent, Invalidation, Resource};
pub use subjects::{Room, RoomToken};
