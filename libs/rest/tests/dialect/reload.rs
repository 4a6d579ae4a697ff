//! Has the schema read again, for cases that change it behind the engine's back.

use crate::world::World;

/// Waits until the engine has seen what was changed in the database.
pub(crate) async fn reload(world: &World) {
    match world.server().await {
        Some(server) => server.reload().await,
        None => drop(world.engine.reload_schema().await.unwrap()),
    }
}
