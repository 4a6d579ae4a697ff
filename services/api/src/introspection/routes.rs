//! `GET /api/database/{schemas,functions,indexes,policies,triggers}`. There are no rules between
//! these routes and the catalogue, hence no service.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use ingot_http::{ApiError, Forwarded, Query, Routes, sql_error};
use ingot_identity::VerifyAdmin;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::store::{self, Function, Index, Part, Policy, SchemaEntry, Trigger};
use crate::app::App;
use crate::database::Schema;
use crate::query::whole_number;

/// What the handlers of this file take and answer.
#[derive(utoipa::OpenApi)]
#[openapi(paths(schemas, functions, indexes, policies, triggers))]
pub(crate) struct Document;

/// The routes under `/api/database`.
pub(crate) fn router() -> Routes<App> {
    Routes::new()
        .route("/schemas", get(schemas))
        .route("/functions", get(functions))
        .route("/indexes", get(indexes))
        .route("/policies", get(policies))
        .route("/triggers", get(triggers))
}

#[derive(Serialize, utoipa::ToSchema)]
struct Schemas {
    schemas: Vec<SchemaEntry>,
}

#[utoipa::path(
    get,
    path = "/api/database/schemas",
    tag = "catalogue",
    operation_id = "listSchemas",
    responses(
        (status = 200, body = Schemas),
        ApiError
    ),
)]
async fn schemas(
    State(app): State<App>,
    _: VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<Schemas>, ApiError> {
    let schemas = store::schemas(&app.sql_pool(&forwarded)?)
        .await
        .map_err(sql_error)?;
    Ok(Json(Schemas { schemas }))
}

/// A route that lists one kind of object of a schema under one key.
macro_rules! listing {
    ($handler:ident: $listing:ident of $item:ty, $path:literal, $operation:literal) => {
        #[derive(Serialize, utoipa::ToSchema)]
        struct $listing {
            $handler: Vec<$item>,
        }

        #[utoipa::path(
                                            get,
                                            path = $path,
                                            tag = "catalogue",
                                            operation_id = $operation,
                                            params(Schema, Parameters),
                                            responses((status = 200, body = $listing), ApiError),
                                        )]
        async fn $handler(
            State(app): State<App>,
            _: VerifyAdmin,
            forwarded: Forwarded,
            schema: Schema,
            Query(parameters): Query<Parameters>,
        ) -> Result<Json<$listing>, ApiError> {
            let part = parameters.read();
            let pool: PgPool = app.sql_pool(&forwarded)?;
            let $handler = store::$handler(&pool, &schema.0, &part)
                .await
                .map_err(sql_error)?;
            Ok(Json($listing { $handler }))
        }
    };
}

/// Which part of a listing is wanted; what makes no sense counts as not given.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// A part of the name of the object or of its table, in any case.
    search: Option<String>,
    /// All unless given.
    #[param(value_type = Option<i64>, minimum = 0)]
    limit: Option<String>,
    #[param(value_type = Option<i64>, minimum = 0)]
    offset: Option<String>,
}

impl Parameters {
    fn read(self) -> Part {
        let search = self.search.map(|words| words.trim().to_owned());
        Part {
            search: search.filter(|words| !words.is_empty()),
            limit: whole_number(self.limit.as_deref()),
            offset: whole_number(self.offset.as_deref()).unwrap_or(0),
        }
    }
}

listing!(functions: Functions of Function, "/api/database/functions", "listFunctions");
listing!(indexes: Indexes of Index, "/api/database/indexes", "listIndexes");
listing!(policies: Policies of Policy, "/api/database/policies", "listPolicies");
listing!(triggers: Triggers of Trigger, "/api/database/triggers", "listTriggers");
