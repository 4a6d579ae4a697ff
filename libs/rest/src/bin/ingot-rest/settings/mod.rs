//! Settings: what PostgREST's are called, where they come from, and what they mean to us.

mod database;
mod names;
mod sources;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use ingot_rest::{EngineSettings, OpenApiMode, TransactionEnding};

pub(crate) use database::Database;
pub(crate) use names::SETTINGS;
pub(crate) use sources::Values;

use sources::truth;

use crate::token::Verifier;

/// What keeps a statement from running forever is `statement_timeout`; this is a last resort.
const LONGEST_REQUEST: Duration = Duration::from_hours(1);

/// Everything that can change while the server runs.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) engine: EngineSettings,
    pub(crate) anonymous: Option<String>,
    pub(crate) verifier: Verifier,
    /// `app.settings.*`
    pub(crate) app: Vec<(String, String)>,
    pub(crate) root_function: Option<String>,
    pub(crate) trace_header: Option<http::HeaderName>,
    /// None: every origin.
    pub(crate) origins: Option<Vec<String>>,
    pub(crate) log_level: LogLevel,
    /// The admin server shows `values`.
    pub(crate) shows_values: bool,
    /// Memory for large answers, in bytes. Read once.
    pub(crate) answer_memory: u64,
    /// The same as text, for `--dump-config` and `/config`.
    pub(crate) values: Values,
}

/// Where the server listens. Read once.
#[derive(Debug, Clone)]
pub(crate) struct Listening {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Instead of host and port.
    pub(crate) socket: Option<(PathBuf, u32)>,
    /// Host and port of the admin server.
    pub(crate) admin: Option<(String, u16)>,
}

/// From which status on requests are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogLevel {
    Crit,
    Error,
    Warn,
    Info,
    Debug,
}

impl Settings {
    /// Makes sense of values.
    pub(crate) fn of(values: Values) -> anyhow::Result<Self> {
        let text = |name: &str| values.get(name).map(str::to_owned);
        let trace_header = text("server-trace-header").map(|name| name.parse());
        Ok(Self {
            engine: engine(&values)?,
            anonymous: text("db-anon-role"),
            verifier: Verifier::new(
                secret(&values)?.as_deref(),
                flag(&values, "jwt-secret-is-base64"),
                text("jwt-aud"),
                values.get("jwt-role-claim-key").unwrap_or_default(),
            )?,
            app: values.app.clone().into_iter().collect(),
            root_function: values.get("db-root-spec").map(without_schema),
            trace_header: trace_header.transpose().context("server-trace-header")?,
            origins: text("server-cors-allowed-origins").map(|list| items(&list)),
            shows_values: flag(&values, "admin-server-config-enabled"),
            answer_memory: mebibytes(&values, "ingot-answer-memory")?,
            log_level: log_level(values.get("log-level").unwrap_or_default())?,
            values,
        })
    }
}

impl Listening {
    pub(crate) fn of(values: &Values) -> anyhow::Result<Self> {
        let host = values.get("server-host").unwrap_or_default().to_owned();
        let admin_host = values.get("admin-server-host").unwrap_or(&host).to_owned();
        let mode = values.get("server-unix-socket-mode").unwrap_or_default();
        let mode = u32::from_str_radix(mode, 8).ok();
        let mode = mode.filter(|mode| (0o600..=0o777).contains(mode));
        let mode = mode.context("server-unix-socket-mode must be octal, from 600 to 777")?;
        let socket = values.get("server-unix-socket");
        Ok(Self {
            port: required(values, "server-port")?,
            socket: socket.map(|path| (path.into(), mode)),
            admin: optional(values, "admin-server-port")?.map(|port| (admin_host, port)),
            host,
        })
    }
}

fn engine(values: &Values) -> anyhow::Result<EngineSettings> {
    // An empty list is one, too.
    let list = |name: &str| {
        items(
            values
                .given(name)
                .or_else(|| values.get(name))
                .unwrap_or_default(),
        )
    };
    let seconds = |name: &str| required(values, name).map(Duration::from_secs);
    let prepared = flag(values, "db-prepared-statements");
    let listens = flag(values, "db-channel-enabled");
    let defaults = EngineSettings::default();
    Ok(EngineSettings {
        schemas: items(values.get("db-schemas").unwrap_or_default()),
        extra_search_path: list("db-extra-search-path"),
        max_rows: optional(values, "db-max-rows")?,
        max_response_bytes: Some(mebibytes(values, "ingot-max-answer")?),
        aggregates_enabled: flag(values, "db-aggregates-enabled"),
        plan_enabled: flag(values, "db-plan-enabled"),
        server_timing: flag(values, "server-timing-enabled"),
        openapi_mode: match values.get("openapi-mode").unwrap_or_default() {
            "follow-privileges" => OpenApiMode::FollowPrivileges,
            "ignore-privileges" => OpenApiMode::IgnorePrivileges,
            "disabled" => OpenApiMode::Disabled,
            other => bail!("openapi-mode cannot be {other:?}"),
        },
        openapi_server_uri: Some(public_address(values)?),
        openapi_security: flag(values, "openapi-security-active"),
        transaction_ending: match values.get("db-tx-end").unwrap_or_default() {
            "commit" => TransactionEnding::Commit,
            "commit-allow-override" => TransactionEnding::CommitAllowOverride,
            "rollback" => TransactionEnding::Rollback,
            "rollback-allow-override" => TransactionEnding::RollbackAllowOverride,
            other => bail!("db-tx-end cannot be {other:?}"),
        },
        request_timeout: LONGEST_REQUEST,
        pre_request: values.get("db-pre-request").map(str::to_owned),
        pool_size: required(values, "db-pool")?,
        pool_timeout: seconds("db-pool-acquisition-timeout")?,
        pool_idle_timeout: seconds("db-pool-max-idletime")?,
        pool_max_lifetime: seconds("db-pool-max-lifetime")?,
        hoisted_settings: list("db-hoisted-tx-settings"),
        statement_cache_size: if prepared {
            defaults.statement_cache_size
        } else {
            0
        },
        notification_channel: values
            .get("db-channel")
            .filter(|_| listens)
            .map(str::to_owned),
        ..defaults
    })
}

/// A function is looked for in the schema that a request asks for, whatever schema is named here.
fn without_schema(name: &str) -> String {
    let (_, function) = name.split_once('.').unwrap_or(("", name));
    function.to_owned()
}

/// Where clients reach the API, as far as we know.
fn public_address(values: &Values) -> anyhow::Result<String> {
    if let Some(uri) = values.get("openapi-server-proxy-uri") {
        let parsed = uri.parse::<http::Uri>().ok();
        let parsed = parsed.filter(|parsed| {
            matches!(parsed.scheme_str(), Some("http" | "https")) && parsed.host().is_some()
        });
        parsed
            .context("openapi-server-proxy-uri must be like https://example.com:8443/basePath")?;
        return Ok(uri.to_owned());
    }
    let host = values.get("server-host").unwrap_or_default();
    let host = if host.starts_with(['*', '!']) {
        "0.0.0.0"
    } else {
        host
    };
    let port = values.get("server-port").unwrap_or_default();
    Ok(format!("http://{host}:{port}"))
}

/// The secret, from a file if it begins with `@`.
fn secret(values: &Values) -> anyhow::Result<Option<String>> {
    values.get("jwt-secret").map(from_file).transpose()
}

/// `@name` is the content of a file.
pub(crate) fn from_file(value: &str) -> anyhow::Result<String> {
    let Some(path) = value.strip_prefix('@') else {
        return Ok(value.to_owned());
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn items(list: &str) -> Vec<String> {
    let items = list.split(',').map(str::trim);
    items
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// True or false. What is neither has no effect, as with PostgREST, but that is said.
pub(crate) fn flag(values: &Values, name: &str) -> bool {
    let text = values.get(name).unwrap_or_default();
    truth(text).unwrap_or_else(|| {
        crate::say(&format!("{name} must be true or false, not {text:?}"));
        truth(default(name)).unwrap_or_default()
    })
}

/// A number, if one is set. What is none has no effect, as with PostgREST, but that is said.
fn optional<T: FromStr>(values: &Values, name: &str) -> anyhow::Result<Option<T>> {
    let Some(text) = values.get(name) else {
        return Ok(None);
    };
    match text.trim().parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) if text.trim().parse::<i128>().is_ok() => bail!("{name} cannot be {text}"),
        Err(_) => {
            crate::say(&format!("{name} must be a number, not {text:?}"));
            Ok(default(name).parse().ok())
        }
    }
}

fn required<T: FromStr>(values: &Values, name: &str) -> anyhow::Result<T> {
    optional(values, name)?.with_context(|| format!("{name} is missing"))
}

fn default(name: &str) -> &'static str {
    let default = names::setting(name).and_then(|setting| setting.default);
    default.unwrap_or_default()
}

fn mebibytes(values: &Values, name: &str) -> anyhow::Result<u64> {
    let bytes = required::<u64>(values, name)?.checked_mul(1 << 20);
    bytes.with_context(|| format!("{name} is too large"))
}

fn log_level(name: &str) -> anyhow::Result<LogLevel> {
    Ok(match name {
        "crit" => LogLevel::Crit,
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "info" => LogLevel::Info,
        "debug" => LogLevel::Debug,
        other => bail!("log-level cannot be {other:?}"),
    })
}
