//! Who is where, and what reaches them.
//!
//! [`registry`] keeps the rooms of all projects, [`room`] one room and its members, [`body`] makes
//! what clients see of a message, [`feed`] brings messages from the bus, [`store`] reads payloads
//! that are too long for it.

mod body;
mod feed;
mod registry;
mod room;
mod store;

pub(crate) use body::{Meta, with_meta};
pub(crate) use registry::Rooms;
pub(crate) use room::{Room, RoomName};
