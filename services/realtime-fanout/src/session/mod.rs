//! One socket's conversation, from its CONNECT packet to its end.
//!
//! [`link`] is the Engine.IO session, [`inbox`] what its client sent, [`client`] a socket that joined
//! the namespace, [`conversation`] handles its packets one after the other, at the [`pace`] that is
//! allowed, [`frame`] writes packets.

mod client;
mod conversation;
mod frame;
mod inbox;
mod link;
mod pace;

pub(crate) use client::{Client, SocketId};
pub(crate) use conversation::{Membership, Violation, converse};
pub(crate) use frame::{Frame, ack_frame, event_frame};
pub(crate) use link::{EngineSocket, Link, Offer, Session};
