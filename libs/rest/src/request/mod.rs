//! What a client asks for, as data: the query grammar, preferences, media types, ranges and bodies.
//! Nothing here knows the database's schema.

mod blame;
pub(crate) mod condition;
pub(crate) mod cursor;
mod deep_json;
pub(crate) mod field;
pub(crate) mod logic;
pub(crate) mod media;
pub(crate) mod order;
pub(crate) mod payload;
pub(crate) mod preferences;
pub(crate) mod profile;
pub(crate) mod query;
pub(crate) mod range;
pub(crate) mod select;

use bytes::Bytes;
use http::{HeaderMap, Method};

/// Characters that need no escape in a query string (RFC 3986).
pub(crate) const UNRESERVED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Characters that need no escape in the query string of `Content-Location`.
pub(crate) const CANONICAL: &percent_encoding::AsciiSet = &UNRESERVED
    .remove(b'!')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*');

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// `/`: the description of the whole API.
    Root,
    /// `/<name>`: a table or view.
    Relation(String),
    /// `/rpc/<name>`: a function.
    Function(String),
}

/// A request, as far as the engine is concerned.
#[derive(Debug, Clone)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// The decoded name from the path.
    pub target: Target,
    /// Raw query string without `?`, percent-encoded as it came.
    pub query: String,
    /// All request headers; the database sees them as `request.headers`.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Request {
    /// Path as the database and `Location` see it.
    pub(crate) fn path(&self) -> String {
        match &self.target {
            Target::Root => "/".to_owned(),
            Target::Relation(name) => format!("/{name}"),
            Target::Function(name) => format!("/rpc/{name}"),
        }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Session {
    /// PostgreSQL role of the transaction.
    pub role: String,
    /// The token's claims as a JSON object: `request.jwt.claims`.
    pub claims: String,
    /// The client proved who it is. Decides between 401 and 403 when a privilege is missing.
    pub authenticated: bool,
    /// More settings for the transaction, for example `app.settings.*`.
    pub settings: Vec<(String, String)>,
}

#[cfg(test)]
mod tests;
