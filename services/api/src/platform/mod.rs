//! The service's own face: health and version, key sets, metadata.

mod routes;

pub(crate) use routes::router;
