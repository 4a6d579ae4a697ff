//! The service's own face: health and version, key sets, metadata.

mod routes;

use ingot_config::Secret;
pub(crate) use routes::router;

ingot_config::settings! {
    /// Services beside the backend that an environment made for InsForge names. They are read and
    /// checked, so that such an environment starts unchanged; nothing calls them yet.
    pub struct BesideSettings {
        /// Runtime of edge functions; not called yet.
        functions: url::Url = "DENO_RUNTIME_URL", default "http://localhost:7133";
        /// Token for containers on Fly; not used yet.
        fly_token: Option<Secret> = "FLY_API_TOKEN";
        /// Organisation on Fly; not used yet.
        fly_organisation: Option<String> = "FLY_ORG";
    }
}
