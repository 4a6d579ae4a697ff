//! What untrusted bytes go through before anything is planned: for `cargo fuzz` (see `fuzz/`), and
//! for the tests that replay its corpus. Nothing here may panic, or take more than linear time.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::request::media::{self, MediaType};
use crate::request::payload::{self, Purpose};
use crate::request::preferences::{Honoured, Preferences};
use crate::request::range::{self, Window};
use crate::request::{profile, query};

/// A raw query string, of a relation and of a function.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for arguments_allowed in [false, true] {
        query::parse(text, arguments_allowed).ok();
    }
}

/// Headers, one per line.
pub fn headers(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(100) {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        let name = HeaderName::from_bytes(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let preferences = Preferences::parse(&headers);
    preferences.check().ok();
    preferences.applied(Honoured {
        resolution: true,
        missing: true,
        representation: true,
        single_object: true,
        transaction: true,
        max_affected: true,
    });
    for media in media::accepted(&headers) {
        media.content_type();
        media.with_parameters();
    }
    media::content_type(&headers);
    range::requested(&headers, Window::default()).ok();
    let exposed = ["public".to_owned(), "other".to_owned()];
    for method in [Method::GET, Method::POST] {
        profile::negotiate(&method, &headers, &exposed).ok();
    }
}

/// A CSV body.
pub fn csv(data: &[u8]) {
    body(data, &MediaType::Csv);
}

/// A JSON body, and the same bytes as a form.
pub fn json(data: &[u8]) {
    body(data, &MediaType::Json);
    body(data, &MediaType::FormUrlEncoded);
}

fn body(data: &[u8], media: &MediaType) {
    let data = Bytes::copy_from_slice(data);
    for purpose in [Purpose::Rows, Purpose::Arguments] {
        if let Ok(payload) = payload::read(&data, media, purpose, false) {
            payload.text();
            payload.keys();
        }
    }
}
