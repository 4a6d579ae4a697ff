//! `ws_audience_count`: what the nodes counted, summed and written in batches.

mod service;
mod store;
mod sums;

pub(crate) use service::count;
