//! The service's own face: health and version, key sets, metadata.

mod routes;

pub(crate) use routes::router;

ingot_config::settings! {
    /// What the service says about itself.
    pub struct PlatformSettings {
        /// Id of the project at a cloud control plane, for tools that ask for it.
        cloud_project: Option<String> = "PROJECT_ID";
    }
}
