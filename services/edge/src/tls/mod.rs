//! TLS towards clients: the listener's half here and in [`certificates`]; what HTTP has to do with
//! it (redirects, HSTS) in [`policy`].

mod certificates;
mod policy;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ingot_config::Problems;
use rustls::ServerConfig;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

pub(crate) use policy::{TlsPolicy, is_tls};

use crate::http2;
use crate::plain_stream::PlainStream;
use crate::settings::TlsSettings;
use certificates::Certificates;

/// Longest handshake; who connects and says nothing is not waited for.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Makes TLS of connections, with certificates that may change meanwhile.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
    check: Duration,
}

impl Tls {
    /// With the certificates in the folders of the settings.
    ///
    /// # Errors
    /// There is none, or one cannot be used; the message names the file.
    pub(crate) fn new(settings: &TlsSettings) -> anyhow::Result<Self> {
        let folders = &settings.certificates;
        if folders.is_empty() {
            let complaint = "is required with INGOT_EDGE_TLS_PORT: name folders that have tls.crt \
                             and tls.key";
            return Err(Problems::of("INGOT_EDGE_TLS_CERTIFICATES", complaint).into());
        }
        let certificates = Certificates::load(folders).context("INGOT_EDGE_TLS_CERTIFICATES")?;
        let certificates = Arc::new(certificates);
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as _);
        let protocols = [http2::PROTOCOL, b"http/1.1"];
        let offered = protocols.iter().skip(usize::from(!settings.http2));
        config.alpn_protocols = offered.map(|protocol| protocol.to_vec()).collect();
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificates,
            check: settings.check.0.max(Duration::from_secs(1)),
        })
    }

    /// Shakes hands; `None` when the client does not.
    pub(crate) async fn accept(&self, stream: PlainStream) -> Option<Box<TlsStream<PlainStream>>> {
        match timeout(HANDSHAKE, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS handshake");
                None
            }
            Err(_late) => None,
        }
    }

    /// Takes over files that change, until `stop`. Connections keep the certificate that they were
    /// made with; a file that cannot be used changes nothing.
    pub(crate) async fn follow_files(self, stop: CancellationToken) {
        let following = async {
            loop {
                tokio::time::sleep(self.check).await;
                self.certificates.refresh();
            }
        };
        tokio::select! {
            () = following => {}
            () = stop.cancelled() => {}
        }
    }
}
