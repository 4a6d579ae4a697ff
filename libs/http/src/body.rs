//! Request bodies: JSON or form, with errors that name the field.
//!
//! A body that is absent, empty or of another content type reaches the handler as an empty object
//! (contract, platform §2). The top level must be an object or an array.

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, Visitor};
use serde_json::de::SliceRead;
use serde_path_to_error::Segment;

use crate::{ApiError, Code};

ingot_config::settings! {
    /// How large a request body may be.
    pub struct BodySettings {
        /// Largest JSON body.
        max_json: ingot_config::ByteSize = "MAX_JSON_BODY_SIZE", default "100mb";
        /// Largest form body.
        max_form: ingot_config::ByteSize = "MAX_URLENCODED_BODY_SIZE", default "10mb";
    }
}

impl BodySettings {
    /// Limit of what a handler reads into memory, for `axum::extract::DefaultBodyLimit`.
    pub fn json_limit(&self) -> usize {
        usize::try_from(self.max_json.0).unwrap_or(usize::MAX)
    }
}

/// A body read as `T` from JSON (`application/json`) or a form (`application/x-www-form-urlencoded`).
///
/// Answers 400 `INVALID_INPUT` with `<field path>: <what is wrong>` (contract, platform §7.3), and
/// 413 when the body is over the limit.
#[derive(Debug, Clone, Copy)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let kind = BodyKind::of(request.headers());
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    ApiError::new(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        Code::InvalidInput,
                        "The request body is larger than this server accepts",
                    )
                    .with_hint("Send less, or raise MAX_JSON_BODY_SIZE")
                    .into_response()
                } else {
                    unreadable().into_response()
                }
            })?;
        kind.read(&bytes)
            .map(Body)
            .map_err(IntoResponse::into_response)
    }
}

/// A body that says by itself what is wrong with its values.
pub trait Validate {
    /// Collects complaints as `(field path, what is wrong)`.
    fn validate(&self, complain: &mut dyn FnMut(&str, &str));
}

/// A [`Body`] whose values were checked, too.
#[derive(Debug, Clone, Copy)]
pub struct Valid<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Validate> FromRequest<S> for Valid<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let Body(value) = Body::<T>::from_request(request, state).await?;
        let mut complaints = Vec::new();
        value.validate(&mut |path, complaint| complaints.push(format!("{path}: {complaint}")));
        if complaints.is_empty() {
            Ok(Self(value))
        } else {
            Err(ApiError::invalid_input(complaints.join(", ")).into_response())
        }
    }
}

/// What a body is by its content type.
pub(crate) enum BodyKind {
    Json,
    Form,
    Other,
}

impl BodyKind {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let value = headers
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            Self::Json
        } else if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Self::Form
        } else {
            Self::Other
        }
    }

    fn read<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, ApiError> {
        match self {
            Self::Json if !bytes.iter().all(u8::is_ascii_whitespace) => read_json(bytes),
            Self::Form if !bytes.is_empty() => serde_urlencoded::from_bytes(bytes)
                .map_err(|error| complaint("", &error.to_string())),
            _ => read_json(b"{}"),
        }
    }

    /// Whether a body is what it claims to be, whatever it says.
    pub(crate) fn well_formed(&self, bytes: &[u8]) -> Result<(), ApiError> {
        match self {
            Self::Json => self.read::<IgnoredAny>(bytes).map(drop),
            Self::Form | Self::Other => Ok(()),
        }
    }
}

fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if !matches!(first, Some(b'{' | b'[')) {
        return Err(malformed("the top level must be an object or an array"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let top = TopLevel {
        json: &mut json,
        is_array: first == Some(&b'['),
    };
    let value = serde_path_to_error::deserialize(top).map_err(|error| {
        let path = dotted(error.path());
        let inner = error.into_inner();
        if inner.is_data() {
            complaint(&path, without_position(&inner.to_string()))
        } else {
            malformed(&inner.to_string())
        }
    })?;
    json.end().map_err(|error| malformed(&error.to_string()))?;
    Ok(value)
}

/// What a body says at its top level. A list there is no object with its fields in order, which is
/// how the library would read one.
struct TopLevel<'a, 'de> {
    json: &'a mut serde_json::Deserializer<SliceRead<'de>>,
    is_array: bool,
}

impl TopLevel<'_, '_> {
    fn must_be_object(&self) -> Result<(), serde_json::Error> {
        if self.is_array {
            return Err(serde::de::Error::custom("expected an object, not an array"));
        }
        Ok(())
    }
}

impl<'de> Deserializer<'de> for TopLevel<'_, 'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.json.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.must_be_object()?;
        self.json.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.json.deserialize_option(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.json.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.json.deserialize_ignored_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map enum identifier
    }
}

fn malformed(problem: &str) -> ApiError {
    ApiError::invalid_input(format!("The request body is not valid JSON: {problem}"))
        .with_hint("Send a JSON object or array with double-quoted keys and strings")
}

/// Where in the body, as the contract writes paths: `users.0.email` (platform §7.3).
fn dotted(path: &serde_path_to_error::Path) -> String {
    let segments = path.iter().map(|segment| match segment {
        Segment::Seq { index } => index.to_string(),
        Segment::Map { key } => key.clone(),
        Segment::Enum { variant } => variant.clone(),
        Segment::Unknown => "?".to_owned(),
    });
    segments.collect::<Vec<_>>().join(".")
}

/// The library places a missing field at the object that lacks it; the path names the field.
fn complaint(path: &str, reason: &str) -> ApiError {
    let missing = reason
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'));
    ApiError::invalid_input(match missing {
        Some(field) if path.is_empty() => format!("{field}: is required"),
        Some(field) => format!("{path}.{field}: is required"),
        None => format!("{path}: {}", in_json_terms(reason)),
    })
}

/// The library says what it would have made of the value: `expected struct ScheduleBody`.
fn in_json_terms(reason: &str) -> String {
    let Some((found, expected)) = reason.rsplit_once(", expected ") else {
        return reason.to_owned();
    };
    let found = match found {
        "invalid type: sequence" => "invalid type: array",
        "invalid type: map" => "invalid type: object",
        found => found,
    };
    let expected = match expected.split(' ').next() {
        Some("struct") => "an object",
        Some("enum") => "one of the documented values",
        _ => match expected {
            "a map" => "an object",
            "a sequence" => "an array",
            expected => expected,
        },
    };
    format!("{found}, expected {expected}")
}

/// serde_json appends " at line x column y"; the field path already says where.
fn without_position(message: &str) -> &str {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(text, _)| text)
}

pub(crate) fn unreadable() -> ApiError {
    ApiError::invalid_input("The request body could not be read")
        .with_hint("Send it whole, and in the encoding that its headers name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    struct User {
        email: String,
    }

    fn read(text: &str) -> Result<User, String> {
        BodyKind::Json
            .read(text.as_bytes())
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn errors_name_the_field() {
        assert_eq!(read(r#"{"email":"a@b.c"}"#).unwrap().email, "a@b.c");
        assert!(
            read(r#"{"email":5}"#)
                .unwrap_err()
                .starts_with("email: invalid type")
        );
        assert_eq!(read("{}").unwrap_err(), "email: is required");
        assert_eq!(read("").unwrap_err(), "email: is required");
    }

    #[test]
    fn places_in_lists_are_numbers_between_dots() {
        let read = |text: &str| {
            let read = BodyKind::Json.read::<BTreeMap<String, Vec<User>>>(text.as_bytes());
            read.unwrap_err().message().to_owned()
        };
        assert_eq!(
            read(r#"{"users":[{"email":"x"},{}]}"#),
            "users.1.email: is required"
        );
        assert!(read(r#"{"users":[{"email":1}]}"#).starts_with("users.0.email: invalid type"));
    }

    #[test]
    fn values_of_another_kind_are_told_in_terms_of_json() {
        let read = |text: &str| {
            let read = BodyKind::Json.read::<BTreeMap<String, Vec<User>>>(text.as_bytes());
            read.unwrap_err().message().to_owned()
        };
        for (body, told) in [
            (
                r#"{"a":[5]}"#,
                "a.0: invalid type: integer `5`, expected an object",
            ),
            (r#"{"a":{}}"#, "a: invalid type: object, expected an array"),
            (
                r#"{"a":[{"email":[]}]}"#,
                "a.0.email: invalid type: array, expected a string",
            ),
        ] {
            assert_eq!(read(body), told);
        }
    }

    #[test]
    fn a_list_is_no_object_with_its_fields_in_order() {
        let refused = read(r#"["a@b.c"]"#).unwrap_err();
        assert_eq!(refused, ": expected an object, not an array");
        let list: Vec<User> = BodyKind::Json.read(br#"[{"email":"x"}]"#).unwrap();
        assert_eq!(list.len(), 1);
        assert!(BodyKind::Json.well_formed(b"[1]").is_ok());
    }

    #[test]
    fn only_objects_and_arrays_are_bodies() {
        for text in ["5", "nonsense", "{", "{\"email\":\"x\"} trailing"] {
            assert!(read(text).unwrap_err().contains("not valid JSON"), "{text}");
        }
    }
}
