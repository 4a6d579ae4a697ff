//! `ws_audience_count`: what the nodes counted, summed and written in batches.

mod service;
mod store;

pub(crate) use service::count;
