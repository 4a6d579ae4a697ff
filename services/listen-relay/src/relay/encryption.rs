//! TLS for the log, with the same meaning of `POSTGRES_SSLMODE` as for all other connections.
//!
//! The log's client brings a TLS stack and trusted roots of its own, or none. It gets none, and
//! speaks to a port of this process that takes one connection, its own; from there on what it says
//! is encrypted. The server's certificate is judged before the client says anything.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ingot_project::Database;
use ingot_rest::Tls;
use sqlx::postgres::PgSslMode;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longest time until the connection is encrypted, and then until the client is there.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an end may take to hear of the other one's.
const FAREWELL: Duration = Duration::from_secs(1);

/// Host and port that the log's client has to connect to: the database's own, or those of a
/// passage that leads there, encrypted.
///
/// # Errors
/// The server does not answer, shows a certificate that is not accepted, or offers no TLS where it
/// is asked for.
pub(super) async fn way_to(database: &Database) -> io::Result<(String, u16)> {
    let plain = (database.host.clone(), database.port);
    let Some(tls) = tls_for(database)? else {
        return Ok(plain);
    };
    let encrypting = async {
        let connection = TcpStream::connect((database.host.as_str(), database.port)).await?;
        connection.set_nodelay(true)?;
        tls.encrypt(connection, &database.host).await
    };
    let encrypted = timeout(PATIENCE, encrypting)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no TLS within ten seconds"))??;
    match encrypted {
        Some(server) => {
            let passage = lead(server).await?;
            Ok((passage.ip().to_string(), passage.port()))
        }
        None if matches!(database.tls, PgSslMode::Prefer) => Ok(plain),
        None => Err(io::Error::other(
            "the database server offers no TLS, which POSTGRES_SSLMODE asks for: no password is \
             sent to it",
        )),
    }
}

/// How the connection is encrypted, if it may be.
fn tls_for(database: &Database) -> io::Result<Option<Tls>> {
    // As libpq: sockets of the file system are nobody else's.
    if database.host.starts_with('/') {
        return Ok(None);
    }
    match database.tls {
        PgSslMode::Disable | PgSslMode::Allow => Ok(None),
        PgSslMode::Prefer | PgSslMode::Require => {
            Tls::any_server().map(Some).map_err(io::Error::other)
        }
        PgSslMode::VerifyCa | PgSslMode::VerifyFull => Ok(Some(Tls::system_roots())),
    }
}

/// Lets one client in, and passes on what it and the server say until either ends.
async fn lead(
    server: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        // Dropped at once, so that nobody else is let in.
        let accepted = timeout(PATIENCE, listener.accept()).await;
        drop(listener);
        if let Ok(Ok((client, _))) = accepted {
            client.set_nodelay(true).ok();
            pass(client, server).await;
        }
    });
    Ok(address)
}

async fn pass(client: TcpStream, server: impl AsyncRead + AsyncWrite + Unpin) {
    let (mut from_client, mut to_client) = split(client);
    let (mut from_server, mut to_server) = split(server);
    // Whichever ends first has said all that it had to say.
    let _broken = tokio::select! {
        up = copy(&mut from_client, &mut to_server) => up,
        down = copy(&mut from_server, &mut to_client) => down,
    };
    let ends = async { tokio::join!(to_server.shutdown(), to_client.shutdown()) };
    let _late = timeout(FAREWELL, ends).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::task::JoinHandle;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring::default_provider;

    /// A server that answers the question for TLS, and then what it still hears.
    async fn server(tls: Option<TlsAcceptor>) -> (Database, JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let database = Database {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
            name: "any".to_owned(),
            tls: PgSslMode::Require,
        };
        let serving = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut question = [0; 8];
            client.read_exact(&mut question).await.unwrap();
            let mut heard = Vec::new();
            match tls {
                None => {
                    client.write_all(b"N").await.unwrap();
                    client.read_to_end(&mut heard).await.unwrap();
                }
                Some(tls) => {
                    client.write_all(b"S").await.unwrap();
                    if let Ok(mut client) = tls.accept(client).await {
                        client.read_to_end(&mut heard).await.ok();
                    }
                }
            }
            heard
        });
        (database, serving)
    }

    /// With a certificate that nobody has signed but itself.
    fn acceptor() -> TlsAcceptor {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    #[tokio::test]
    async fn what_the_client_says_arrives_encrypted() {
        let (database, serving) = server(Some(acceptor())).await;
        let (host, port) = way_to(&database).await.unwrap();
        assert_ne!(port, database.port);
        let mut client = TcpStream::connect((host, port)).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(serving.await.unwrap(), b"hello");
    }

    #[tokio::test]
    async fn a_server_without_tls_hears_nothing_where_tls_is_asked_for() {
        let (mut database, serving) = server(None).await;
        let error = way_to(&database).await.unwrap_err().to_string();
        assert!(error.contains("offers no TLS"), "{error}");
        assert!(serving.await.unwrap().is_empty());
        let (same, _serving) = server(None).await;
        (database.port, database.tls) = (same.port, PgSslMode::Prefer);
        assert_eq!(way_to(&database).await.unwrap().1, same.port);
    }

    #[tokio::test]
    async fn an_impostor_hears_nothing_where_certificates_are_looked_at() {
        for mode in [PgSslMode::VerifyCa, PgSslMode::VerifyFull] {
            let (mut database, serving) = server(Some(acceptor())).await;
            database.tls = mode;
            let error = way_to(&database).await.unwrap_err().to_string();
            assert!(error.contains("certificate"), "{error}");
            assert!(serving.await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn one_client_is_let_in_and_ends_with_its_server() {
        let (server, mut other) = duplex(64);
        let address = lead(server).await.unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        other.write_all(b"ready").await.unwrap();
        let mut heard = [0; 5];
        client.read_exact(&mut heard).await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
        drop(other);
        assert_eq!(client.read(&mut heard).await.unwrap(), 0);
    }
}
