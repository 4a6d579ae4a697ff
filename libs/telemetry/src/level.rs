//! The log's level, changed while the process runs: SIGUSR1 logs everything down to `debug`, SIGUSR2
//! goes back to `LOG_LEVEL`.

use ingot_config::SettingValue;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, ParseError};
use tracing_subscriber::{EnvFilter, Registry, reload};

/// The proxy library reports clients that hang up as errors; the edge's request log tells what
/// became of each request. `LOG_LEVEL` may bring the lines back.
const QUIET: &str = "pingora_proxy=off,pingora_core=warn";

/// What SIGUSR1 asks for: our own lines, not those of every library's every step.
const LOUD: &str = "debug,h2=info,hyper=info,hyper_util=info,rustls=info,sqlx=info";

/// Which lines are logged: a level, or a filter by modules.
#[derive(Debug, Clone)]
pub struct LogLevel(String);

impl SettingValue for LogLevel {
    const KIND: &'static str = "error, warn, info, debug or trace";

    fn parse(text: &str) -> Result<Self, String> {
        filter(text)
            .map_err(|error| format!("`{text}` is no level ({error}): use {}", Self::KIND))?;
        Ok(Self(text.to_owned()))
    }
}

/// A filter that can be replaced.
pub(crate) type Filter = reload::Layer<EnvFilter, Registry>;

/// Replaces the filter.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    handle: reload::Handle<EnvFilter, Registry>,
    usual: LogLevel,
}

impl Level {
    /// A filter as `LOG_LEVEL` says, and what replaces it.
    pub(crate) fn new(usual: &LogLevel) -> Result<(Filter, Self), ParseError> {
        let (filter, handle) = reload::Layer::new(filter(&usual.0)?);
        let usual = usual.clone();
        Ok((filter, Self { handle, usual }))
    }

    /// Follows the signals for as long as the runtime lives.
    pub(crate) fn follow_signals(self) -> std::io::Result<()> {
        let (mut louder, mut usual) = (
            signal(SignalKind::user_defined1())?,
            signal(SignalKind::user_defined2())?,
        );
        tokio::spawn(async move {
            loop {
                let level = tokio::select! {
                    Some(()) = louder.recv() => LOUD,
                    Some(()) = usual.recv() => self.usual.0.as_str(),
                    else => return,
                };
                self.change(level);
            }
        });
        Ok(())
    }

    fn change(&self, level: &str) {
        let changed = filter(level).map(|filter| self.handle.reload(filter));
        match changed {
            Ok(Ok(())) => tracing::info!(level, "the log level was changed"),
            other => tracing::warn!(?other, "the log level stays"),
        }
    }
}

fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    // The library takes a word that is no level for the name of a module, and is silent then.
    for directive in level.split(',').map(str::trim) {
        if !directive.is_empty() && !directive.contains(['=', '[']) {
            directive.parse::<LevelFilter>()?;
        }
    }
    EnvFilter::try_new(format!("{QUIET},{level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for good in ["info", "WARN", "off", "info,sqlx=debug", "warn,h2=off"] {
            assert!(LogLevel::parse(good).is_ok(), "{good}");
        }
        for bad in ["inof", "verbose", "info,loud", "sqlx=loud"] {
            assert!(LogLevel::parse(bad).is_err(), "{bad}");
        }
    }
}
