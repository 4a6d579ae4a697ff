//! Every route of the service, on one page.

use axum::middleware::from_fn_with_state;
use ingot_http::{EdgeKey, Routes, with_bodies};

use crate::app::App;
use crate::{Config, custom_migrations};

/// The routes behind the edge guard. Unknown paths get the contract's 404 from `ingot_http`.
pub(crate) fn router(config: &Config, app: App) -> Routes {
    let guard = EdgeKey::new(&config.edge, app.pools.registry().clone());
    let routes = Routes::new().nest("/api/database/migrations", custom_migrations::router());
    routes.map(|router| {
        with_bodies(router, &config.body)
            .layer(from_fn_with_state(guard, EdgeKey::require))
            .with_state(app)
    })
}
