//! `POSTGRES_SSLMODE` for the engine's own connections, with the meaning that libpq gives it:
//! `prefer` and `require` encrypt without asking who the server is, the `verify` modes ask.

use ingot_rest::Tls;
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
        PgSslMode::Prefer | PgSslMode::Require => Tls::any_server().map_err(EngineError::internal),
        PgSslMode::VerifyCa | PgSslMode::VerifyFull => Ok(Tls::system_roots()),
    }
}
