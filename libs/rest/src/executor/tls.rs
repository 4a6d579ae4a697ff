//! TLS to PostgreSQL.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How connections to PostgreSQL are encrypted. Whether they must be is the `sslmode` of the
/// connection's configuration.
#[derive(Clone, Default)]
pub struct Tls(Option<Arc<ClientConfig>>);

impl Tls {
    /// No encryption.
    pub const fn off() -> Self {
        Self(None)
    }

    /// With a configuration of the host's making.
    pub const fn with(config: Arc<ClientConfig>) -> Self {
        Self(Some(config))
    }

    /// Verifies the server against the system's certificates.
    pub fn system_roots() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(Some(Arc::new(config)))
    }

    pub(super) fn connector(&self) -> Option<MakeRustlsConnect> {
        let config = self.0.as_ref()?;
        Some(MakeRustlsConnect::new(ClientConfig::clone(config)))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Tls(on)"
        } else {
            "Tls(off)"
        })
    }
}
