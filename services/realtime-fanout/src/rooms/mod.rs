//! Who is where, and what reaches them.
//!
//! [`registry`] keeps the rooms of all projects, [`room`] one room and its members, [`body`] makes
//! what clients see of a message, [`feed`] brings messages from the bus, [`store`] reads payloads
//! that are too long for it. [`replay`] gives a client what it missed, out of the room's
//! [`log`]. [`patience`] bounds how long a room waits for sockets that are behind.

mod body;
mod feed;
mod log;
mod patience;
mod registry;
mod replay;
mod room;
mod store;

pub(crate) use body::{Meta, with_meta};
pub(crate) use registry::Rooms;
pub(crate) use replay::{Replay, SILENT};
pub(crate) use room::{Room, RoomName};
