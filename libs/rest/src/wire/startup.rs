//! The first messages of a connection: who we are, the password, the server's greeting.

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use tokio_postgres::Config;
use tokio_postgres::config::ChannelBinding as BindingWish;

use super::cancel::CancelKey;
use super::connection::Connection;
use super::error::{Fault, WireError};

/// Signs in and waits until the server is ready. `binding` is what SCRAM binds to, if there is TLS.
pub(super) async fn sign_in(
    connection: &mut Connection,
    config: &Config,
    binding: Option<Vec<u8>>,
) -> Result<CancelKey, WireError> {
    let user = config.get_user();
    let user = user.ok_or_else(|| WireError::refused("no database user is named"))?;
    let mut parameters = vec![("client_encoding", "UTF8"), ("user", user)];
    let optional = [
        ("database", config.get_dbname()),
        ("options", config.get_options()),
        ("application_name", config.get_application_name()),
    ];
    parameters.extend(
        optional
            .into_iter()
            .filter_map(|(name, v)| Some((name, v?))),
    );
    say(connection, |out| frontend::startup_message(parameters, out)).await?;
    let bound = authenticate(connection, config, user, binding).await?;
    if !bound && config.get_channel_binding() == BindingWish::Require {
        return Err(WireError::refused("the server did not use channel binding"));
    }
    greeting(connection).await
}

/// True if the password was bound to the TLS session.
async fn authenticate(
    connection: &mut Connection,
    config: &Config,
    user: &str,
    binding: Option<Vec<u8>>,
) -> Result<bool, WireError> {
    let password = || {
        let password = config.get_password();
        password.ok_or_else(|| WireError::refused("the server asks for a password"))
    };
    let mut bound = false;
    match hear(connection).await? {
        Message::AuthenticationOk => return Ok(false),
        Message::AuthenticationCleartextPassword => {
            let password = password()?;
            say(connection, |out| frontend::password_message(password, out)).await?;
        }
        Message::AuthenticationMd5Password(body) => {
            let hash = md5_hash(user.as_bytes(), password()?, body.salt());
            let hash = hash.as_bytes();
            say(connection, |out| frontend::password_message(hash, out)).await?;
        }
        Message::AuthenticationSasl(body) => {
            let binding = binding.filter(|_| config.get_channel_binding() != BindingWish::Disable);
            bound = scram(connection, password()?, &body, binding).await?;
        }
        _ => {
            return Err(WireError::refused(
                "the server wants an authentication method that is not supported",
            ));
        }
    }
    match hear(connection).await? {
        Message::AuthenticationOk => Ok(bound),
        _ => Err(WireError::unexpected()),
    }
}

/// SCRAM-SHA-256 (RFC 7677), bound to the TLS session if both sides can.
async fn scram(
    connection: &mut Connection,
    password: &[u8],
    offer: &AuthenticationSaslBody,
    binding: Option<Vec<u8>>,
) -> Result<bool, WireError> {
    let offered: Vec<&str> = offer.mechanisms().collect().unwrap_or_default();
    let (binding, mechanism) = match binding {
        Some(binding) if offered.contains(&SCRAM_SHA_256_PLUS) => (
            ChannelBinding::tls_server_end_point(binding),
            SCRAM_SHA_256_PLUS,
        ),
        Some(_) => (ChannelBinding::unrequested(), SCRAM_SHA_256),
        None => (ChannelBinding::unsupported(), SCRAM_SHA_256),
    };
    if !offered.contains(&mechanism) {
        return Err(WireError::refused(
            "the server wants a SASL mechanism that is not supported",
        ));
    }
    let mut scram = ScramSha256::new(password, binding);
    say(connection, |out| {
        frontend::sasl_initial_response(mechanism, scram.message(), out)
    })
    .await?;
    let Message::AuthenticationSaslContinue(body) = hear(connection).await? else {
        return Err(WireError::unexpected());
    };
    scram.update(body.data()).map_err(WireError::refused)?;
    say(connection, |out| {
        frontend::sasl_response(scram.message(), out)
    })
    .await?;
    let Message::AuthenticationSaslFinal(body) = hear(connection).await? else {
        return Err(WireError::unexpected());
    };
    scram.finish(body.data()).map_err(WireError::refused)?;
    Ok(mechanism == SCRAM_SHA_256_PLUS)
}

async fn greeting(connection: &mut Connection) -> Result<CancelKey, WireError> {
    let mut key = CancelKey::default();
    loop {
        match hear(connection).await? {
            Message::BackendKeyData(body) => {
                key = CancelKey {
                    process: body.process_id(),
                    secret: body.secret_key(),
                };
            }
            Message::ReadyForQuery(_) => return Ok(key),
            _ => return Err(WireError::unexpected()),
        }
    }
}

async fn say(
    connection: &mut Connection,
    encode: impl FnOnce(&mut BytesMut) -> std::io::Result<()>,
) -> Result<(), WireError> {
    let mut out = BytesMut::new();
    encode(&mut out).map_err(WireError::refused)?;
    connection.send(&mut out).await.map_err(WireError::refused)
}

/// Here an error means that we are not let in.
async fn hear(connection: &mut Connection) -> Result<Message, WireError> {
    match connection.receive().await? {
        Message::ErrorResponse(body) => Err(WireError::Refused(Fault::read(body.fields()).message)),
        message => Ok(message),
    }
}
