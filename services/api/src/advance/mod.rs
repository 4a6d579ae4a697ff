//! What administrators do with a whole database: SQL of their own, dumps, files of rows (contract,
//! database §7).

mod bulk_upsert;
mod export;
pub(crate) mod import;
mod raw_sql;
mod upload;

use ingot_http::Routes;

use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use crate::app::App;
pub use upload::UploadSettings;
pub(crate) use upload::Uploads;

/// The routes under `/api/database/advance`.
pub(crate) fn router() -> Routes<App> {
    Routes::new()
        .merge(raw_sql::router())
        .merge(bulk_upsert::router())
        .merge(export::router())
        .merge(import::router())
}

/// What the handlers of this folder take and answer.
pub(crate) fn document() -> OpenApi {
    let mut document = raw_sql::Document::openapi();
    document.merge(export::Document::openapi());
    document.merge(import::Document::openapi());
    document.merge(bulk_upsert::Document::openapi());
    document
}
