//! What a transaction is told about its request.

use http::HeaderMap;

use crate::operation::Operation;
use crate::plan::Parsed;
use crate::request::{Request, Session};
use crate::settings::EngineSettings;

/// Setting that BEGIN takes, because it cannot be set later.
const ISOLATION: &str = "default_transaction_isolation";

/// A request with everything that its transaction's settings come from.
pub(super) struct Asked<'a> {
    pub(super) request: &'a Request,
    pub(super) session: &'a Session,
    pub(super) parsed: &'a Parsed,
    pub(super) operation: &'a Operation,
    /// What `ALTER ROLE … SET` wants for the session's role.
    pub(super) of_role: &'a [(String, String)],
}

impl<'a> Asked<'a> {
    /// The isolation level that the function or the role asks for, if it is not the default.
    pub(super) fn isolation(&self) -> Option<&'static str> {
        level(self.operation.settings()).or_else(|| level(self.of_role))
    }

    /// Names and values, in the order in which they are set.
    pub(super) fn settings(&self, engine: &'a EngineSettings) -> Vec<(&'a str, String)> {
        let (request, session) = (self.request, self.session);
        let schema = &self.parsed.profile.schema;
        let extra = engine
            .extra_search_path
            .iter()
            .filter(|extra| *extra != schema);
        let search_path: Vec<String> = std::iter::once(schema)
            .chain(extra)
            .map(|schema| format!("\"{}\"", schema.replace('"', "\"\"")))
            .collect();
        let own = |settings: &'a [(String, String)]| {
            let others = settings.iter().filter(|(name, _)| name != ISOLATION);
            others.map(|(name, value)| (name.as_str(), value.clone()))
        };
        let mut settings = vec![("search_path", search_path.join(", "))];
        if let Some(limit) = engine.statement_timeout {
            settings.push(("statement_timeout", limit.as_millis().to_string()));
        }
        // Before the role: it is the login role that may be allowed to set what others may not.
        settings.extend(own(self.of_role));
        settings.extend([
            ("role", session.role.clone()),
            ("request.jwt.claims", session.claims.clone()),
            ("request.method", request.method.as_str().to_owned()),
            ("request.path", request.path()),
            ("request.headers", headers_json(&request.headers)),
            ("request.cookies", cookies_json(&request.headers)),
        ]);
        if let Some(zone) = &self.parsed.preferences.timezone {
            settings.push(("timezone", zone.clone()));
        }
        settings.extend(own(self.operation.settings()));
        settings.extend(own(&session.settings));
        settings
    }
}

fn level(settings: &[(String, String)]) -> Option<&'static str> {
    let (_, level) = settings.iter().find(|(name, _)| name == ISOLATION)?;
    match level.trim_matches('\'').to_ascii_lowercase().as_str() {
        "serializable" => Some("SERIALIZABLE"),
        "repeatable read" => Some("REPEATABLE READ"),
        _ => None,
    }
}

/// All headers but the cookies as an object; the last of several values counts.
fn headers_json(headers: &HeaderMap) -> String {
    let mut object = serde_json::Map::new();
    for (name, value) in headers {
        if name != http::header::COOKIE {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            object.insert(name.as_str().to_owned(), value.into());
        }
    }
    serde_json::Value::Object(object).to_string()
}

fn cookies_json(headers: &HeaderMap) -> String {
    let mut object = serde_json::Map::new();
    for header in headers.get_all(http::header::COOKIE) {
        let text = String::from_utf8_lossy(header.as_bytes());
        for (name, value) in text.split(';').filter_map(|pair| pair.split_once('=')) {
            object.insert(name.trim().to_owned(), value.trim().into());
        }
    }
    serde_json::Value::Object(object).to_string()
}
