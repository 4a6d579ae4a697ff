//! One socket's conversation, from its CONNECT packet to its end.
//!
//! [`link`] is what hangs on the Engine.IO session, [`client`] a socket that joined the namespace,
//! [`conversation`] handles its packets one after the other, at the [`pace`] that is allowed, [`frame`]
//! writes packets.

mod client;
mod conversation;
mod frame;
mod link;
mod pace;

pub(crate) use client::{Client, Offer, SocketId};
pub(crate) use conversation::{Membership, Violation, converse};
pub(crate) use frame::{ack_frame, event_frame};
pub(crate) use link::{EngineSocket, Link, receive_binary, receive_text};
