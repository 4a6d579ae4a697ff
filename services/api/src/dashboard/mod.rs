//! Live news for dashboards (contract, platform §6.5).

mod events;

pub(crate) use events::{MAX_STREAMS, router};
