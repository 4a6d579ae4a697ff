//! The claims of a token: which of them must look like what, and when they hold.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

/// Difference of clocks that is put up with, in seconds.
const GRACE: f64 = 30.0;

/// What a token says.
pub(super) type Claims = Map<String, Value>;

/// Reads a token's payload. Errors are told to the client.
pub(super) fn read(payload: &[u8]) -> Result<Claims, String> {
    let undecodable = |what: &str| format!("JWTClaimsSetDecodeError {what:?}");
    match serde_json::from_slice(payload) {
        Ok(Value::Object(claims)) => match look(&claims) {
            None => Ok(claims),
            Some(fault) => Err(undecodable(&format!("Error in ${fault}"))),
        },
        Ok(other) => Err(undecodable(&format!(
            "Error in $: parsing JWT Claims Set failed, expected Object, but encountered {}",
            kind(&other)
        ))),
        Err(_) => Err(undecodable("Error in $: not a JSON document")),
    }
}

/// The first registered claim (RFC 7519) that is not of its type.
fn look(claims: &Claims) -> Option<String> {
    const EXPECTED: [(&str, &str, &str); 7] = [
        ("iss", "StringOrURI", "String"),
        ("sub", "StringOrURI", "String"),
        ("aud", "[]", "Array"),
        ("exp", "NumericDate", "Number"),
        ("nbf", "NumericDate", "Number"),
        ("iat", "NumericDate", "Number"),
        ("jti", "Text", "String"),
    ];
    EXPECTED.iter().find_map(|(name, what, expected)| {
        let found = claims.get(*name).filter(|value| !value.is_null())?;
        let fits = kind(found) == *expected || (*name == "aud" && found.is_string());
        (!fits).then(|| {
            format!(
                ".{name}: parsing {what} failed, expected {expected}, but encountered {}",
                kind(found)
            )
        })
    })
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "Null",
        Value::Bool(_) => "Boolean",
        Value::Number(_) => "Number",
        Value::String(_) => "String",
        Value::Array(_) => "Array",
        Value::Object(_) => "Object",
    }
}

/// The claims hold now, and for this audience.
pub(super) fn hold(claims: &Claims, audience: Option<&str>) -> Result<(), &'static str> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0.0, |since| since.as_secs_f64());
    let time = |name: &str| claims.get(name).and_then(Value::as_f64);
    if time("exp").is_some_and(|end| end + GRACE <= now) {
        return Err("JWT expired");
    }
    if time("iat").is_some_and(|issued| issued - GRACE > now) {
        return Err("JWTIssuedAtFuture");
    }
    if time("nbf").is_some_and(|start| start - GRACE > now) {
        return Err("JWTNotYetValid");
    }
    match (audience, claims.get("aud")) {
        (Some(audience), Some(named)) if !is_for(audience, named) => Err("JWTNotInAudience"),
        _ => Ok(()),
    }
}

fn is_for(audience: &str, named: &Value) -> bool {
    match named {
        Value::Null => true,
        Value::String(named) => named == audience,
        Value::Array(named) => named.is_empty() || named.iter().any(|n| n == audience),
        _ => false,
    }
}
