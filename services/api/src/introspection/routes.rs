//! `GET /api/database/{schemas,functions,indexes,policies,triggers}`. There are no rules between
//! these routes and the catalogue, hence no service.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use ingot_http::{ApiError, Forwarded, Routes};
use ingot_identity::VerifyAdmin;
use serde::Serialize;
use sqlx::PgPool;

use super::store::{self, Function, Index, Policy, SchemaEntry, Trigger};
use crate::app::App;
use crate::database::{Schema, sql_error};

/// The routes under `/api/database`.
pub(crate) fn router() -> Routes<App> {
    Routes::new()
        .route("/schemas", get(schemas))
        .route("/functions", get(functions))
        .route("/indexes", get(indexes))
        .route("/policies", get(policies))
        .route("/triggers", get(triggers))
}

#[derive(Serialize)]
struct Schemas {
    schemas: Vec<SchemaEntry>,
}

async fn schemas(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<Schemas>, ApiError> {
    let schemas = store::schemas(&app.sql_pool(&forwarded)?)
        .await
        .map_err(sql_error)?;
    Ok(Json(Schemas { schemas }))
}

/// A route that lists one kind of object of a schema under one key.
macro_rules! listing {
    ($handler:ident, $item:ty) => {
        async fn $handler(
            State(app): State<App>,
            VerifyAdmin(_): VerifyAdmin,
            forwarded: Forwarded,
            schema: Schema,
        ) -> Result<Json<Listing<$item>>, ApiError> {
            let pool: PgPool = app.sql_pool(&forwarded)?;
            let items = store::$handler(&pool, &schema.0).await.map_err(sql_error)?;
            Ok(Json(Listing::from([(stringify!($handler), items)])))
        }
    };
}

type Listing<T> = std::collections::BTreeMap<&'static str, Vec<T>>;

listing!(functions, Function);
listing!(indexes, Index);
listing!(policies, Policy);
listing!(triggers, Trigger);
