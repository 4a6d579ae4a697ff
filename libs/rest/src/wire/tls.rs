//! TLS to PostgreSQL: whether, and with which certificates.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::db::rfc5912;

use super::any_server::AnyServer;
use super::socket::Stream;

/// Protocol name under which PostgreSQL takes TLS without being asked first.
const ALPN: &[u8] = b"postgresql";

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

    /// Whoever the server is: what libpq does for `prefer` and `require`. It keeps listeners out,
    /// not impostors.
    ///
    /// # Errors
    /// The TLS library has no protocol version in common with itself.
    pub fn any_server() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = AnyServer(provider.signature_verification_algorithms);
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self(Some(Arc::new(config))))
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

    /// Encrypts a fresh connection to PostgreSQL on behalf of a client that cannot. `None` where
    /// this does not ask for it, or the server offers none: it waits for a startup packet then.
    ///
    /// # Errors
    /// The connection breaks, or the server's certificate is not accepted for `host`.
    pub async fn encrypt(
        &self,
        mut connection: TcpStream,
        host: &str,
    ) -> io::Result<Option<TlsStream<TcpStream>>> {
        let Some(config) = &self.0 else {
            return Ok(None);
        };
        if !offered(&mut connection).await? {
            return Ok(None);
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::clone(config));
        connector.connect(name, connection).await.map(Some)
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

/// What to do with a fresh socket.
#[derive(Debug, Clone)]
pub(super) struct Security {
    pub(super) tls: Tls,
    pub(super) mode: SslMode,
    pub(super) negotiation: SslNegotiation,
    /// Name that the server's certificate must have. Sockets of the file system have none.
    pub(super) host: Option<String>,
}

/// A stream that may be used, and what binds a password to its TLS session (RFC 5929,
/// `tls-server-end-point`).
pub(super) struct Secured {
    pub(super) stream: Stream,
    pub(super) binding: Option<Vec<u8>>,
}

impl Security {
    /// Encrypts a fresh socket, as far as mode and server want it.
    pub(super) async fn apply(&self, mut stream: Stream) -> io::Result<Secured> {
        let plain = |stream| {
            Ok(Secured {
                stream,
                binding: None,
            })
        };
        let (Some(config), Some(host)) = (&self.tls.0, &self.host) else {
            // libpq ignores sslmode on sockets of the file system, too.
            return if self.mode == SslMode::Require && self.host.is_some() {
                Err(io::Error::other("sslmode=require, but TLS is not set up"))
            } else {
                plain(stream)
            };
        };
        if self.mode == SslMode::Disable {
            return plain(stream);
        }
        let mut config = config.clone();
        if self.negotiation == SslNegotiation::Direct {
            Arc::make_mut(&mut config).alpn_protocols = vec![ALPN.to_vec()];
        } else if !offered(&mut stream).await? {
            return if self.mode == SslMode::Require {
                Err(io::Error::other("the server does not support TLS"))
            } else {
                plain(stream)
            };
        }
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let binding = certificate.and_then(|certificate| end_point(certificate));
        Ok(Secured {
            stream: Box::new(stream),
            binding,
        })
    }
}

async fn offered(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<bool> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await?;
    Ok(stream.read_u8().await? == b'S')
}

/// Digest of a certificate by the algorithm that signed it, but SHA-256 for the weak ones
/// (RFC 5929, section 4.1). None for algorithms without a digest of their own.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let parsed = Certificate::from_der(certificate).ok()?;
    match parsed.signature_algorithm.oid {
        rfc5912::SHA_1_WITH_RSA_ENCRYPTION
        | rfc5912::SHA_256_WITH_RSA_ENCRYPTION
        | rfc5912::ECDSA_WITH_SHA_256 => Some(Sha256::digest(certificate).to_vec()),
        rfc5912::SHA_384_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_384 => {
            Some(Sha384::digest(certificate).to_vec())
        }
        rfc5912::SHA_512_WITH_RSA_ENCRYPTION => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}
