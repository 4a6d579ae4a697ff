//! `POSTGRES_SSLMODE` for the engine's own connections, with the meaning that libpq gives it:
//! `prefer` and `require` encrypt without asking who the server is, the `verify` modes ask.

use std::sync::Arc;

use ingot_rest::Tls;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use sqlx::postgres::PgSslMode;
use tokio_postgres::config::SslMode;

use crate::engine::EngineError;

/// Whether connections are encrypted.
pub(super) fn ssl_mode(mode: PgSslMode) -> SslMode {
    match mode {
        PgSslMode::Disable | PgSslMode::Allow => SslMode::Disable,
        PgSslMode::Prefer => SslMode::Prefer,
        PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => SslMode::Require,
    }
}

/// How they are encrypted. `verify-ca` checks the host name, too: stricter than asked for.
pub(super) fn for_mode(mode: PgSslMode) -> Result<Tls, EngineError> {
    match mode {
        PgSslMode::Disable | PgSslMode::Allow => Ok(Tls::off()),
        PgSslMode::Prefer | PgSslMode::Require => any_server(),
        PgSslMode::VerifyCa | PgSslMode::VerifyFull => Ok(Tls::system_roots()),
    }
}

fn any_server() -> Result<Tls, EngineError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = AnyServer(provider.signature_verification_algorithms);
    let config = ClientConfig::builder_with_provider(provider as Arc<CryptoProvider>)
        .with_safe_default_protocol_versions()
        .map_err(EngineError::internal)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Tls::with(Arc::new(config)))
}

/// Accepts whichever certificate the server shows, as long as it holds its key.
#[derive(Debug)]
struct AnyServer(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
