//! What administrators do with a whole database: SQL of their own, dumps, files of rows (contract,
//! database §7).

mod bulk_upsert;
mod export;
mod import;
mod raw_sql;
mod upload;

use ingot_http::Routes;

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
