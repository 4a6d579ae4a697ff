//! Names of tables, functions and schemas, and which schema a request means (contract, database
//! §4.1, §4.3, §10.5).

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;

/// The schema of a request that names none.
pub(super) const DEFAULT: &str = "public";

const ACCEPT_PROFILE: HeaderName = HeaderName::from_static("accept-profile");
const CONTENT_PROFILE: HeaderName = HeaderName::from_static("content-profile");

/// A name that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    /// Nothing but white space.
    #[error("the name is empty")]
    Blank,
    /// A quote or a control character.
    #[error("the name contains a double quote or a control character")]
    Forbidden,
    /// `schema` was given more than once.
    #[error("the schema is given more than once")]
    Repeated,
    /// A schema of PostgreSQL itself.
    #[error("schemas of PostgreSQL itself cannot be used")]
    Internal,
    /// Not a text in UTF-8.
    #[error("the name is not encoded in UTF-8")]
    Encoding,
}

/// Checks a table's, function's or schema's name.
pub(super) fn check_name(name: &str) -> Result<(), NameError> {
    if name.trim().is_empty() {
        Err(NameError::Blank)
    } else if name.contains(|c: char| c == '"' || c.is_ascii_control()) {
        Err(NameError::Forbidden)
    } else {
        Ok(())
    }
}

/// What the schema choice leaves of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// The schema; `None` leaves it to the engine's default.
    pub(super) schema: Option<String>,
    /// The query string without `schema`, otherwise untouched.
    pub(super) query: String,
}

/// Finds the schema that a request means and writes it to the profile header of its method.
pub(super) fn choose(
    method: &Method,
    query: &str,
    headers: &mut HeaderMap,
) -> Result<Choice, NameError> {
    let header = if [Method::GET, Method::HEAD].contains(method) {
        ACCEPT_PROFILE
    } else {
        CONTENT_PROFILE
    };
    let (named, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(|pair| {
        decode(pair.split('=').next().unwrap_or_default()).as_deref() == Ok("schema")
    });
    let schema = match named.as_slice() {
        [] => from_header(headers, &header)?,
        [pair] => {
            let value = pair.split_once('=').map_or("", |(_, value)| value);
            Some(decode(value)?.trim().to_owned())
        }
        _ => return Err(NameError::Repeated),
    };
    if let Some(schema) = &schema {
        check_name(schema)?;
        if schema == "information_schema" || schema.starts_with("pg_") {
            return Err(NameError::Internal);
        }
        // A name without control characters always fits into a header, as UTF-8.
        let value = HeaderValue::from_bytes(schema.as_bytes()).map_err(|_| NameError::Forbidden)?;
        headers.insert(header, value);
    }
    Ok(Choice {
        schema,
        query: rest.join("&"),
    })
}

fn from_header(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, NameError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(NameError::Repeated);
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| NameError::Encoding)?;
    Ok(Some(text.trim().to_owned()))
}

/// Decodes one side of a query parameter.
fn decode(text: &str) -> Result<Cow<'_, str>, NameError> {
    if !text.contains(['+', '%']) {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(|text| Cow::Owned(text.into_owned()))
        .map_err(|_| NameError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(
        method: &Method,
        query: &str,
        header: Option<(HeaderName, &str)>,
    ) -> (Result<Choice, NameError>, HeaderMap) {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        (choose(method, query, &mut headers), headers)
    }

    #[test]
    fn the_parameter_wins_and_goes_into_the_header_of_the_method() {
        let (choice, headers) = chosen(
            &Method::GET,
            "a=gte.1&schema=%20sales+&a=lte.5&b=eq.%22x%22",
            Some((ACCEPT_PROFILE, "other")),
        );
        let choice = choice.unwrap();
        assert_eq!(choice.schema.as_deref(), Some("sales"));
        assert_eq!(choice.query, "a=gte.1&a=lte.5&b=eq.%22x%22");
        assert_eq!(headers[ACCEPT_PROFILE], "sales");
        let (_, headers) = chosen(&Method::DELETE, "schema=sales", None);
        assert_eq!(headers[CONTENT_PROFILE], "sales");
        assert!(!headers.contains_key(ACCEPT_PROFILE));
    }

    #[test]
    fn the_header_of_the_method_counts_and_the_other_passes() {
        let (choice, _) = chosen(&Method::POST, "", Some((CONTENT_PROFILE, " sales ")));
        assert_eq!(choice.unwrap().schema.as_deref(), Some("sales"));
        let (choice, headers) = chosen(&Method::POST, "", Some((ACCEPT_PROFILE, "pg_catalog")));
        assert_eq!(choice.unwrap().schema, None);
        assert_eq!(headers[ACCEPT_PROFILE], "pg_catalog");
    }

    #[test]
    fn unusable_schemas_are_refused() {
        let refused = [
            ("schema=", NameError::Blank),
            ("schema", NameError::Blank),
            ("schema=a&schema=b", NameError::Repeated),
            ("sch%65ma=pg_catalog", NameError::Internal),
            ("schema=information_schema", NameError::Internal),
            ("schema=a%22b", NameError::Forbidden),
            ("schema=a%00", NameError::Forbidden),
            ("schema=%FF", NameError::Encoding),
        ];
        for (query, error) in refused {
            assert_eq!(chosen(&Method::GET, query, None).0, Err(error), "{query}");
        }
        let header = Some((CONTENT_PROFILE, "pg_temp"));
        assert_eq!(
            chosen(&Method::POST, "", header).0,
            Err(NameError::Internal)
        );
    }

    #[test]
    fn names_may_be_odd_but_not_unquotable() {
        for name in ["_t", "my table", "a.b", "naïve;'", "rpc/f"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        assert_eq!(check_name(" \t"), Err(NameError::Blank));
        assert_eq!(check_name("a\"b"), Err(NameError::Forbidden));
        assert_eq!(check_name("a\u{7f}"), Err(NameError::Forbidden));
    }
}
