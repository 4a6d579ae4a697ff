//! Every route of the service, on one page.

use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use ingot_http::{EdgeKey, Routes, with_bodies};

use crate::app::App;
use crate::{
    Config, admin_records, advance, audit, auth, backups, dashboard, introspection, openapi,
    platform, realtime, secrets, tables,
};

/// The routes behind the edge guard. Unknown paths get the contract's 404 from `ingot_http`.
pub(crate) fn router(config: &Config, app: App) -> Routes {
    let guard = EdgeKey::new(&config.edge, app.pools.registry().clone());
    let routes = Routes::new()
        .merge(platform::router())
        .nest("/api/auth", auth::router())
        .route("/api/auth/tokens/anon", post(secrets::anon_token))
        .nest("/api/metadata", secrets::metadata_router())
        .nest("/api/secrets", secrets::router())
        .nest("/api/logs/audits", audit::router())
        .route("/api/database/openapi.json", get(openapi::show))
        .nest("/api/database/tables", tables::router())
        .nest("/api/database/advance", advance::router())
        .nest("/api/database/admin", admin_records::router())
        .nest("/api/database/backups", backups::router())
        .nest("/api/database/config", backups::config_router())
        .nest("/api/database", introspection::router())
        .nest("/api/dashboard", dashboard::router())
        .nest("/api/realtime", realtime::router());
    routes.map(|router| {
        with_bodies(router, &config.body)
            .layer(from_fn_with_state(guard, EdgeKey::require))
            .with_state(app)
    })
}
