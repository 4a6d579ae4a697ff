//! The binary `ingot-rest` in a process of its own, told by its variables and asked over HTTP.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use ingot_rest::{EngineSettings, OpenApiMode, Session, TransactionEnding};
use ingot_testkit::TestProject;
use jsonwebtoken::{EncodingKey, Header, encode};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::world::{Answer, login};

/// What tokens are signed with.
pub(crate) const SECRET: &str = "a secret of at least thirty-two characters";

/// A running server. It ends with the value.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    /// Of the admin server, if there is one.
    pub(crate) admin: Option<SocketAddr>,
}

impl Server {
    /// Starts it with these variables besides those that lead to the database.
    pub(crate) async fn start(project: &TestProject, variables: Vec<(String, String)>) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ingot-rest"))
            .env_clear()
            .env("PGRST_DB_URI", login(project))
            .env("PGRST_SERVER_HOST", "127.0.0.1")
            .env("PGRST_SERVER_PORT", "0")
            .env("PGRST_ADMIN_SERVER_PORT", "0")
            .env("PGRST_JWT_SECRET", SECRET)
            .envs(variables)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (mut address, mut admin) = (None, None);
        while let Some(line) = lines.next_line().await.unwrap() {
            let place = line.rsplit(' ').next().unwrap();
            if line.contains("API server listening on ") {
                address = Some(place.parse().unwrap());
            }
            if line.contains("Admin server listening on ") {
                admin = Some(place.parse().unwrap());
                break;
            }
        }
        // Nobody reads it any more, but the server must not wait for that.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            process,
            address: address.expect("the server says where it listens"),
            admin,
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id().unwrap().to_string();
        let sent = std::process::Command::new("kill")
            .args([name, &id])
            .status();
        assert!(sent.unwrap().success());
    }

    pub(crate) async fn send(
        &self,
        session: &Session,
        method: Method,
        url: &str,
        mut headers: HeaderMap,
        body: &str,
    ) -> Answer {
        if let Some(token) = token(session) {
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        ask(self.address, method, url, headers, body).await
    }
}

impl Server {
    /// Waits until it has seen what was changed in the database.
    pub(crate) async fn reload(&self) {
        let before = self.schema_loads().await;
        self.signal("-USR1");
        while self.schema_loads().await == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How often the schema was read.
    async fn schema_loads(&self) -> String {
        let admin = self.admin.expect("an admin server is set up");
        let metrics = ask(admin, Method::GET, "/metrics", HeaderMap::new(), "").await;
        let text = metrics.text();
        let mut lines = text.lines();
        let name = "pgrst_schema_cache_loads_total{status=\"SUCCESS\"}";
        lines
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(
    address: SocketAddr,
    method: Method,
    url: &str,
    headers: HeaderMap,
    body: &str,
) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let connecting = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = connecting.await.unwrap();
    tokio::spawn(connection);
    let mut request = http::Request::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *request.method_mut() = method;
    *request.uri_mut() = escaped(url).parse().unwrap();
    *request.headers_mut() = headers;
    request
        .headers_mut()
        .insert("host", "localhost".parse().unwrap());
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

/// What must not be in a URL, escaped.
fn escaped(url: &str) -> String {
    const UNSAFE: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'}')
        .add(b'|')
        .add(b'\\')
        .add(b'#');
    percent_encoding::utf8_percent_encode(url, UNSAFE).to_string()
}

/// A token for a session; none for who has no claims but the anonymous role.
pub(crate) fn token(session: &Session) -> Option<String> {
    if session.role == "anon" && !session.authenticated {
        return None;
    }
    let mut claims: serde_json::Value = serde_json::from_str(&session.claims).unwrap();
    claims["role"] = session.role.clone().into();
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    Some(encode(&Header::default(), &claims, &key).unwrap())
}

/// The variables that say what engine settings say; none if they cannot.
pub(crate) fn variables(settings: &EngineSettings) -> Option<Vec<(String, String)>> {
    let mut expressible = settings.clone();
    let defaults = EngineSettings::default();
    let mut given = vec![("PGRST_DB_ANON_ROLE".to_owned(), "anon".to_owned())];
    let mut give = |name: &str, value: String| given.push((format!("PGRST_{name}"), value));
    give("DB_SCHEMAS", settings.schemas.join(","));
    give("DB_EXTRA_SEARCH_PATH", settings.extra_search_path.join(","));
    give(
        "DB_AGGREGATES_ENABLED",
        settings.aggregates_enabled.to_string(),
    );
    give("DB_PLAN_ENABLED", settings.plan_enabled.to_string());
    give("SERVER_TIMING_ENABLED", settings.server_timing.to_string());
    give("DB_POOL", settings.pool_size.to_string());
    give(
        "DB_PREPARED_STATEMENTS",
        (settings.statement_cache_size > 0).to_string(),
    );
    if let Some(rows) = settings.max_rows {
        give("DB_MAX_ROWS", rows.to_string());
    }
    if let Some(function) = &settings.pre_request {
        give("DB_PRE_REQUEST", function.clone());
    }
    if let Some(uri) = &settings.openapi_server_uri {
        give("OPENAPI_SERVER_PROXY_URI", uri.clone());
    }
    let mode = match settings.openapi_mode {
        OpenApiMode::FollowPrivileges => "follow-privileges",
        OpenApiMode::IgnorePrivileges => "ignore-privileges",
        OpenApiMode::Disabled => "disabled",
    };
    give("OPENAPI_MODE", mode.to_owned());
    let ending = match settings.transaction_ending {
        TransactionEnding::Commit => "commit",
        TransactionEnding::CommitAllowOverride => "commit-allow-override",
        TransactionEnding::Rollback => "rollback",
        TransactionEnding::RollbackAllowOverride => "rollback-allow-override",
    };
    give("DB_TX_END", ending.to_owned());
    // What has no variable must be as it is without one.
    expressible.statement_cache_size = match settings.statement_cache_size {
        0 => 0,
        _ => defaults.statement_cache_size,
    };
    expressible.max_response_bytes = defaults.max_response_bytes;
    expressible.request_timeout = defaults.request_timeout;
    expressible.pool_queue = defaults.pool_queue;
    expressible.pool_timeout = defaults.pool_timeout;
    expressible.statement_timeout = defaults.statement_timeout;
    (expressible == *settings).then_some(given)
}
