//! The cases of the records engine, page by page of PostgREST's reference, through an edge and the
//! records service. What only the engine or its server has is tested with them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

#[path = "../../../libs/rest/tests/dialect/embedding.rs"]
mod embedding;
#[path = "../../../libs/rest/tests/dialect/functions.rs"]
mod functions;
#[path = "../../../libs/rest/tests/dialect/media.rs"]
mod media;
#[path = "../../../libs/rest/tests/dialect/pagination.rs"]
mod pagination;
#[path = "../../../libs/rest/tests/dialect/read.rs"]
mod read;
mod server;
#[allow(dead_code, reason = "some of it is for cases of the engine alone")]
#[path = "../../../libs/rest/tests/dialect/world.rs"]
mod world;
#[path = "../../../libs/rest/tests/dialect/write.rs"]
mod write;
