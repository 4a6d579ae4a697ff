//! Settings that change while the edge runs: after SIGHUP, and when the file that `INGOT_CONFIG_FILE`
//! names has another content. Settings that cannot be used change nothing.

use std::time::Duration;

use ingot_config::{Environment, Settings};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::settings::{Config, ListenSettings, TlsSettings};

/// Time between two looks at the file.
const CHECK: Duration = Duration::from_secs(5);

/// Settings as they change, for as long as somebody receives them.
///
/// # Errors
/// The signal cannot be heard.
pub(crate) fn follow() -> std::io::Result<mpsc::Receiver<Config>> {
    let mut hang_up = signal(SignalKind::hangup())?;
    let (changes, changed) = mpsc::channel(1);
    let mut known = Environment::from_process().unwrap_or_default();
    tokio::spawn(async move {
        loop {
            let asked = tokio::select! {
                _ = hang_up.recv() => true,
                () = tokio::time::sleep(CHECK) => false,
                () = changes.closed() => return,
            };
            match Environment::from_process() {
                Ok(now) if now == known && !asked => {}
                Ok(now) => {
                    known = now;
                    tell(&known, &changes).await;
                }
                Err(error) if asked => refuse(&error),
                // Whoever writes the file may not be done; it is looked at again.
                Err(_) => {}
            }
        }
    });
    Ok(changed)
}

async fn tell(environment: &Environment, changes: &mpsc::Sender<Config>) {
    match Config::load(environment) {
        // Nobody receives them at a stop, which nobody minds.
        Ok(config) => drop(changes.send(config).await),
        Err(problems) => refuse(&problems),
    }
}

/// Says why changed settings are not used.
pub(crate) fn refuse(why: &dyn std::fmt::Display) {
    let error = why.to_string();
    tracing::error!(
        error,
        "changed settings cannot be used: the former ones stay"
    );
}

/// Keeps addresses and ports as they are, for they are taken at the start alone.
pub(crate) fn keep_listeners(former: &Config, mut config: Config) -> Config {
    let listeners = |listen: &ListenSettings, tls: &TlsSettings| {
        (listen.address, listen.port, listen.admin, tls.port)
    };
    let before = listeners(&former.listen, &former.tls);
    if listeners(&config.listen, &config.tls) != before {
        tracing::warn!("addresses and ports of listeners change at the next start, not before");
    }
    (
        config.listen.address,
        config.listen.port,
        config.listen.admin,
        config.tls.port,
    ) = before;
    config
}
