//! `/api/database/advance`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::header::CONTENT_TYPE;
use ingot_bus::{DashboardEvent, Invalidation};
use ingot_http::{ApiError, Forwarded, Query, Routes, Valid, Validate};
use ingot_identity::VerifyAdmin;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::service::{self, RawSql};
use crate::app::App;
use crate::database::Switches;
use crate::openapi::Row;

/// Characters of a query that the audit trail keeps.
const AUDITED_CHARACTERS: usize = 300;

/// What the handlers of this file take and answer.
#[derive(utoipa::OpenApi)]
#[openapi(paths(raw_sql, raw_sql_unrestricted))]
pub(crate) struct Document;

/// The routes of raw SQL.
///
/// The two ways to run SQL differ in their audit entry only: no connection of Ingot has more rights
/// than the other, so there is nothing to restrict.
pub(in crate::advance) fn router() -> Routes<App> {
    Routes::new()
        .route("/rawsql", post(raw_sql))
        .route("/rawsql/unrestricted", post(raw_sql_unrestricted))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = RawSqlBody)]
struct Body {
    #[schema(min_length = 1)]
    query: String,
    /// Values of `$1`, `$2`, …; for a single statement.
    #[serde(default)]
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    params: Option<Vec<Box<RawValue>>>,
    /// Answers with the plan instead; what ran is undone.
    #[serde(default)]
    explain: Option<bool>,
}

impl Validate for Body {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        if self.query.is_empty() {
            complain("query", "must not be empty");
        }
    }
}

/// What came of a query. A script of several statements has only `rows`, which are empty.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "it describes what the service writes")]
struct RawSqlAnswer {
    rows: Vec<Row>,
    /// Null when PostgreSQL does not count rows of such a statement.
    row_count: Option<u64>,
    #[schema(nullable = false)]
    fields: Option<Vec<RawSqlField>>,
}

/// A column of the result.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "it describes what the service writes")]
struct RawSqlField {
    name: String,
    /// OID of its type.
    #[schema(rename = "dataTypeID")]
    data_type: u32,
}

/// A way to run SQL, with its name in the audit trail.
macro_rules! way {
    ($handler:ident, $action:literal, $path:literal, $operation:literal) => {
        #[utoipa::path(
                                    post,
                                    path = $path,
                                    tag = "sql",
                                    operation_id = $operation,
                                    params(Switches),
                                    request_body = Body,
                                    responses((status = 200, body = RawSqlAnswer), ApiError),
                                )]
        async fn $handler(
            app: State<App>,
            caller: VerifyAdmin,
            forwarded: Forwarded,
            switches: Query<Switches>,
            body: Valid<Body>,
        ) -> Result<Response, ApiError> {
            run($action, app, caller, forwarded, switches, body).await
        }
    };
}

way!(
    raw_sql,
    "EXECUTE_RAW_SQL",
    "/api/database/advance/rawsql",
    "runSql"
);
way!(
    raw_sql_unrestricted,
    "EXECUTE_RAW_SQL_UNRESTRICTED",
    "/api/database/advance/rawsql/unrestricted",
    "runSqlUnrestricted"
);

async fn run(
    action: &'static str,
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Query(switches): Query<Switches>,
    Valid(body): Valid<Body>,
) -> Result<Response, ApiError> {
    let request = RawSql {
        query: body.query,
        params: body.params.unwrap_or_default(),
        explain: body.explain.unwrap_or_default(),
        values: switches.values()?,
    };
    let answer = service::run(&app.guard, &app.admin_pools(&forwarded)?, &request).await?;
    let project = &forwarded.project.id;
    if answer.schema_changed {
        app.invalidate(project, Invalidation::Schema).await;
    }
    let mut details = json!({
        "query": request.query.chars().take(AUDITED_CHARACTERS).collect::<String>(),
        "paramCount": request.params.len(),
        "executionRole": "project_admin",
        "explain": request.explain,
    });
    if let (false, Some(details)) = (request.explain, details.as_object_mut()) {
        details.insert("rowsAffected".to_owned(), json!(answer.affected));
    }
    app.record(&forwarded, caller.actor(), action, details)
        .await?;
    if !answer.changes.is_empty() {
        let event = DashboardEvent::database(answer.changes);
        app.announce(project, event).await;
    }
    Ok(([(CONTENT_TYPE, "application/json")], answer.body).into_response())
}
