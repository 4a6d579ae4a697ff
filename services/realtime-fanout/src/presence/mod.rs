//! Who is in a channel, over all nodes (contract, realtime §6).
//!
//! A node decides for its own sockets and tells the others: [`changes`] is what joins and leaves,
//! here and elsewhere; [`roster`] keeps the members of one channel; [`feed`] hears of one channel
//! from the other nodes, [`peers`] of the nodes themselves. A node that is not heard any more has
//! no members. Nobody keeps more than the members of the rooms that its own sockets are in.

mod changes;
mod feed;
mod peers;
mod roster;

pub(crate) use changes::{enter, exit};
pub(crate) use feed::feed;
pub(crate) use peers::{Peers, keep_company, say_bye};
pub(crate) use roster::Roster;
