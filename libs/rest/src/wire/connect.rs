//! From a configuration to a connection that is ready: the hosts in turn, TLS, authentication.

use std::io;
use std::time::Duration;

use rand::seq::SliceRandom;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts, TargetSessionAttrs};

use super::batch::{Batch, Source};
use super::cancel::Canceller;
use super::connection::Connection;
use super::error::WireError;
use super::socket::Address;
use super::startup;
use super::tls::{Security, Tls};

/// Longest time that one host may take, unless the configuration says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_PORT: u16 = 5432;

/// Connects to the first host that takes us.
pub(crate) async fn connect(config: &Config, tls: &Tls) -> Result<Connection, WireError> {
    let mut last = WireError::refused("no host is named");
    for (address, host) in candidates(config).await? {
        let limit = config.get_connect_timeout().copied();
        let limit = limit.filter(|limit| !limit.is_zero());
        let attempt = connect_to(config, tls, address, host);
        match tokio::time::timeout(limit.unwrap_or(CONNECT_TIMEOUT), attempt).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => last = error,
            Err(_) => last = WireError::refused("the database did not answer in time"),
        }
    }
    Err(last)
}

/// Addresses to try, each with the name that its certificate must have.
async fn candidates(config: &Config) -> Result<Vec<(Address, Option<String>)>, WireError> {
    let (hosts, numbers) = (config.get_hosts(), config.get_hostaddrs());
    let ports = config.get_ports();
    let mut places: Vec<usize> = (0..hosts.len().max(numbers.len())).collect();
    let random = config.get_load_balance_hosts() == LoadBalanceHosts::Random;
    if random {
        places.shuffle(&mut rand::rng());
    }
    let mut found = Vec::new();
    for place in places {
        let port = ports.get(place).or(ports.first()).copied();
        let port = port.unwrap_or(DEFAULT_PORT);
        let name = match hosts.get(place) {
            Some(Host::Tcp(name)) => Some(name.clone()),
            _ => None,
        };
        match (hosts.get(place), numbers.get(place)) {
            (_, Some(number)) => {
                let host = name.unwrap_or_else(|| number.to_string());
                found.push((Address::Tcp((*number, port).into()), Some(host)));
            }
            (Some(Host::Unix(folder)), None) => {
                let path = folder.join(format!(".s.PGSQL.{port}"));
                found.push((Address::Unix(path), None));
            }
            (Some(Host::Tcp(host)), None) => {
                let resolved = tokio::net::lookup_host((host.as_str(), port)).await;
                let mut resolved: Vec<_> = resolved.into_iter().flatten().collect();
                if random {
                    resolved.shuffle(&mut rand::rng());
                }
                found.extend(
                    resolved
                        .into_iter()
                        .map(|a| (Address::Tcp(a), name.clone())),
                );
            }
            (None, None) => {}
        }
    }
    if found.is_empty() {
        return Err(WireError::refused("the database's host cannot be resolved"));
    }
    Ok(found)
}

async fn connect_to(
    config: &Config,
    tls: &Tls,
    address: Address,
    host: Option<String>,
) -> Result<Connection, WireError> {
    let security = Security {
        tls: tls.clone(),
        mode: config.get_ssl_mode(),
        negotiation: config.get_ssl_negotiation(),
        host,
    };
    let unreachable = |error: io::Error| {
        tracing::debug!(%error, ?address, "cannot connect");
        WireError::refused(format!("the database cannot be reached: {error}"))
    };
    let stream = address.dial(config).await.map_err(unreachable)?;
    let secured = security.apply(stream).await.map_err(unreachable)?;
    let mut connection = Connection::over(secured.stream);
    let key = startup::sign_in(&mut connection, config, secured.binding).await?;
    connection.set_canceller(Canceller::new(config.clone(), address, security, key));
    check_role(&mut connection, config.get_target_session_attrs()).await?;
    Ok(connection)
}

/// `target_session_attrs`: a primary or a replica may be wanted.
async fn check_role(
    connection: &mut Connection,
    wanted: TargetSessionAttrs,
) -> Result<(), WireError> {
    let unwanted = match wanted {
        TargetSessionAttrs::ReadWrite => "on",
        TargetSessionAttrs::ReadOnly => "off",
        _ => return Ok(()),
    };
    let mut batch = Batch::new();
    batch.add(Source::Unnamed("SHOW transaction_read_only"), [])?;
    let answers = connection.exchange(batch).await?.succeeded()?;
    let found = answers.first_text();
    if found.as_deref() == Some(unwanted) {
        return Err(WireError::refused("the server is in the wrong role"));
    }
    Ok(())
}
