//! `GET /api/database/openapi.json`: the database control plane for programs, made from what stands at
//! its handlers.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::Json;
use ingot_http::Problem;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, SecurityRequirement};
use utoipa::{OpenApi as _, ToSchema};

use crate::{admin_records, advance, backups, introspection, tables};

/// Name of the one security scheme.
const KEY: &str = "apiKey";

static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(document);

/// A row as JSON: a value for each of its columns.
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "it describes what handlers read and write themselves"
)]
pub(crate) struct Row(BTreeMap<String, serde_json::Value>);

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Ingot: the database control plane"),
    components(schemas(Problem))
)]
struct Frame;

/// Answers without a key: the document says nothing about a project.
pub(crate) async fn show() -> Json<&'static OpenApi> {
    Json(&DOCUMENT)
}

fn document() -> OpenApi {
    let mut document = Frame::openapi();
    for part in [
        tables::Document::openapi(),
        admin_records::Document::openapi(),
        introspection::Document::openapi(),
        backups::Document::openapi(),
        advance::document(),
    ] {
        document.merge(part);
    }
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(KEY, bearer);
    let nothing: [&str; 0] = [];
    document.security = Some(vec![SecurityRequirement::new(KEY, nothing)]);
    document
}
