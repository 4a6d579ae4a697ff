//! The platform's schema on many projects at once, for `ingot migrate`: a few databases at a time,
//! each on its own, so that one that fails stops nobody else. Whoever was stopped half-way runs it
//! again: what is done is in the ledgers, and nothing is applied twice.

mod members;
mod work;

pub use members::{Fleet, FleetError};
pub use work::{Action, Report, State};
