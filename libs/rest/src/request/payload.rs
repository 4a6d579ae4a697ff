//! Request bodies. JSON is only looked at as far as needed: its outer shape and the keys of its
//! objects; the values go to PostgreSQL as they came.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::deep_json;
use super::media::MediaType;
use crate::error::RestError;

/// A body, ready to become one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payload {
    /// A JSON document with the keys that its objects share.
    Json {
        text: Bytes,
        keys: BTreeSet<String>,
        is_object: bool,
        is_empty_array: bool,
    },
    /// A JSON document that has no keys for arguments: an array of anything, or a bare value.
    Whole { text: Bytes, is_array: bool },
    /// JSON that is not looked into, because the `columns` parameter names the keys.
    Unchecked { text: Bytes, is_object: bool },
    /// Form fields: arguments of a function.
    Fields(Vec<(String, String)>),
    /// Any other media type, for functions with one unnamed parameter.
    Raw(Bytes),
}

impl Payload {
    /// The bytes that PostgreSQL gets.
    pub(crate) fn text(&self) -> Bytes {
        match self {
            Self::Json { text, .. }
            | Self::Whole { text, .. }
            | Self::Unchecked { text, .. }
            | Self::Raw(text) => text.clone(),
            Self::Fields(fields) => Bytes::from(fields_to_json(fields)),
        }
    }

    pub(crate) fn is_object(&self) -> bool {
        match self {
            Self::Json { is_object, .. } | Self::Unchecked { is_object, .. } => *is_object,
            Self::Fields(_) => true,
            Self::Raw(_) | Self::Whole { .. } => false,
        }
    }

    /// Keys of the object, or of all objects of the array.
    pub(crate) fn keys(&self) -> BTreeSet<String> {
        match self {
            Self::Json { keys, .. } => keys.clone(),
            Self::Fields(fields) => fields.iter().map(|(key, _)| key.clone()).collect(),
            Self::Unchecked { .. } | Self::Raw(_) | Self::Whole { .. } => BTreeSet::new(),
        }
    }
}

/// What a body is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Rows of a table.
    Rows,
    /// Arguments of a function, where no body means no arguments.
    Arguments,
}

/// Reads a body. `columns_given`: the `columns` parameter is present.
pub(crate) fn read(
    body: &Bytes,
    media: &MediaType,
    purpose: Purpose,
    columns_given: bool,
) -> Result<Payload, RestError> {
    match media {
        MediaType::Json if columns_given => Ok(Payload::Unchecked {
            is_object: first_byte(body) == Some(b'{'),
            text: body.clone(),
        }),
        MediaType::Json => {
            if body.is_empty() && purpose == Purpose::Arguments {
                return json(&Bytes::from_static(b"{}"), purpose);
            }
            json(body, purpose)
        }
        MediaType::Csv => csv(body),
        MediaType::FormUrlEncoded => {
            let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(body)
                .map_err(|_| RestError::invalid_body("Invalid form-encoded body"))?;
            match purpose {
                Purpose::Arguments => Ok(Payload::Fields(fields)),
                Purpose::Rows => json(&Bytes::from(fields_to_json(&fields)), purpose),
            }
        }
        MediaType::Text | MediaType::Xml | MediaType::OctetStream
            if purpose == Purpose::Arguments =>
        {
            Ok(Payload::Raw(body.clone()))
        }
        other => Err(RestError::content_type_unacceptable(
            &other.with_parameters(),
        )),
    }
}

fn first_byte(body: &[u8]) -> Option<u8> {
    body.iter()
        .copied()
        .find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

fn json(body: &Bytes, purpose: Purpose) -> Result<Payload, RestError> {
    let shape = serde_json::from_slice(body).or_else(|error| match deep_json::shallow(body) {
        Some(kept) => serde_json::from_slice(&kept),
        None => Err(error),
    });
    let shape: Shape = shape.map_err(|_| RestError::invalid_body("Empty or invalid json"))?;
    let (keys, is_object, is_empty_array) = match shape {
        Shape::Object(keys) => (keys, true, false),
        Shape::Array(None) => (BTreeSet::new(), false, true),
        Shape::Array(Some(keys)) => (keys, false, false),
        // As an argument without a name, any document will do.
        Shape::Uneven | Shape::Scalar if purpose == Purpose::Arguments => {
            return Ok(Payload::Whole {
                is_array: matches!(shape, Shape::Uneven),
                text: body.clone(),
            });
        }
        Shape::Uneven => return Err(RestError::uneven_keys()),
        // A bare value has no rows in it.
        Shape::Scalar => return json(&Bytes::from_static(b"[]"), purpose),
    };
    Ok(Payload::Json {
        text: body.clone(),
        keys,
        is_object,
        is_empty_array,
    })
}

/// CSV with a header line becomes a JSON array of objects; `NULL` means null.
fn csv(body: &[u8]) -> Result<Payload, RestError> {
    if body.is_empty() {
        return Err(RestError::invalid_body(
            "parse error (not enough input) at \"\"",
        ));
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(body);
    let invalid = |_| RestError::invalid_body("Invalid CSV body");
    let header = reader.headers().map_err(invalid)?.clone();
    let mut json = String::from("[");
    let mut empty = true;
    let mut named = None;
    for record in reader.records() {
        let record = record.map_err(invalid)?;
        // What is more than the header names is ignored. Lines may be shorter if all are.
        let fields = record.len().min(header.len());
        if *named.get_or_insert(fields) != fields {
            return Err(RestError::invalid_body(
                "All lines must have same number of fields",
            ));
        }
        json.push(if empty { '{' } else { ',' });
        if !empty {
            json.push('{');
        }
        empty = false;
        for (index, (key, value)) in header.iter().zip(record.iter()).enumerate() {
            if index > 0 {
                json.push(',');
            }
            push_string(&mut json, key);
            json.push(':');
            if value == "NULL" {
                json.push_str("null");
            } else {
                push_string(&mut json, value);
            }
        }
        json.push('}');
    }
    json.push(']');
    Ok(Payload::Json {
        text: Bytes::from(json),
        keys: header
            .iter()
            .take(named.unwrap_or_default())
            .map(str::to_owned)
            .collect(),
        is_object: false,
        is_empty_array: empty,
    })
}

fn fields_to_json(fields: &[(String, String)]) -> String {
    let mut json = String::from("{");
    for (index, (key, value)) in fields.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        push_string(&mut json, key);
        json.push(':');
        push_string(&mut json, value);
    }
    json.push('}');
    json
}

fn push_string(json: &mut String, text: &str) {
    json.push_str(&serde_json::Value::from(text).to_string());
}

/// The outer shape of a JSON document.
enum Shape {
    Object(BTreeSet<String>),
    /// An array of objects with the same keys; `None` if it is empty.
    Array(Option<BTreeSet<String>>),
    /// An array whose elements are not objects with the same keys.
    Uneven,
    Scalar,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            keys.insert(key);
        }
        Ok(Shape::Object(keys))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut shared: Option<BTreeSet<String>> = None;
        let mut even = true;
        while let Some(element) = seq.next_element::<Shape>()? {
            match (element, &shared) {
                (Shape::Object(keys), None) => shared = Some(keys),
                (Shape::Object(keys), Some(first)) if keys == *first => {}
                _ => even = false,
            }
        }
        Ok(if even {
            Shape::Array(shared)
        } else {
            Shape::Uneven
        })
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }
}
