//! `GET /api/database/openapi.json`: the database control plane for programs, made from what stands at
//! its handlers.

use std::sync::LazyLock;

use axum::Json;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, SecurityRequirement};
use utoipa::{OpenApi as _, ToSchema};

use crate::{admin_records, advance, backups, introspection, tables};

/// Name of the one security scheme.
const KEY: &str = "apiKey";

static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(document);

/// Every error's answer.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "it describes what ingot_http writes")]
pub(crate) struct Problem {
    /// For programs, such as `INVALID_INPUT`.
    error: String,
    /// For people.
    message: String,
    status_code: u16,
    /// What to do about it.
    next_actions: Option<String>,
}

#[derive(utoipa::OpenApi)]
#[openapi(info(title = "Ingot: the database control plane"))]
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
