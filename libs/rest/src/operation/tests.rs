//! From a request to its statement, without a database.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::Operation;
use crate::error::RestError;
use crate::plan::{self, Planner};
use crate::request::{Request, Target};
use crate::schema::{Schema, sample};
use crate::settings::EngineSettings;
use crate::sql::{Parameter, Statement};

pub(super) fn request(line: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let (method, url) = line.split_once(' ').unwrap();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let path = path.trim_start_matches('/');
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    Request {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        target: match path.strip_prefix("rpc/") {
            Some(name) => Target::Function(name.to_owned()),
            None => Target::Relation(path.to_owned()),
        },
        query: query.to_owned(),
        headers: map,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

pub(super) fn render(schema: &Schema, request: &Request) -> Result<Statement, RestError> {
    let settings = EngineSettings {
        aggregates_enabled: true,
        ..EngineSettings::default()
    };
    let parsed = plan::parse(request, &settings)?;
    let planner = Planner {
        schema,
        settings: &settings,
        profile: "public",
    };
    let operation = match (&parsed.target, &parsed.method) {
        (Target::Relation(name), &Method::GET) => Operation::read(&planner, &parsed, name),
        (Target::Relation(name), _) => Operation::write(&planner, &parsed, name),
        (Target::Function(name), _) => Operation::call(&planner, &parsed, name),
        (Target::Root, _) => unreachable!("not asked for here"),
    }?;
    Ok(operation.statement(&parsed, &settings, settings.max_response_bytes))
}

/// The statement and its parameters, readable.
fn shown(line: &str, headers: &[(&str, &str)], body: &str) -> String {
    let statement = render(&sample::schema(), &request(line, headers, body)).unwrap();
    let parameters: Vec<String> = statement
        .parameters
        .iter()
        .map(|parameter| match parameter {
            Parameter::Text(text) => format!("{text:?}"),
            Parameter::Body(body) => String::from_utf8_lossy(body).into_owned(),
        })
        .collect();
    format!("{}\n-- {}", statement.text, parameters.join(", "))
}

#[test]
fn reads() {
    insta::assert_snapshot!(
        "filters",
        shown(
            "GET /films?select=id,name:title,data->cast->>0::text&id=gte.1&id=lte.5\
             &or=(title.ilike.*a*,not.and(id.in.(1,2),data->>x.is.null))&order=id.desc.nullslast\
             &limit=10&offset=5",
            &[("prefer", "count=exact")],
            "",
        )
    );
    insta::assert_snapshot!(
        "embeds",
        shown(
            "GET /directors?select=name,films!inner(title,...directors(boss:name))\
             &films.title=eq.x&films.order=id&films.limit=2&films=not.is.null",
            &[],
            "",
        )
    );
    insta::assert_snapshot!(
        "aggregates",
        shown(
            "GET /films?select=director_id,id.count(),total:id.sum()::text",
            &[],
            ""
        )
    );
}

#[test]
fn writes() {
    let full = [("prefer", "return=representation")];
    insta::assert_snapshot!(
        "insert",
        shown("POST /films?select=id", &full, r#"[{"id":1,"title":"a"}]"#)
    );
    let upsert = [("prefer", "resolution=merge-duplicates, missing=default")];
    insta::assert_snapshot!(
        "upsert",
        shown("POST /films", &upsert, r#"{"id":1,"title":"a"}"#)
    );
    insta::assert_snapshot!(
        "update",
        shown(
            "PATCH /films?id=eq.1&select=title,directors(name)",
            &full,
            r#"{"title":"b"}"#
        )
    );
    insta::assert_snapshot!(
        "limited_delete",
        shown("DELETE /films?title=eq.x&order=id&limit=1", &[], "")
    );
}

#[test]
fn calls() {
    insta::assert_snapshot!(
        "call_by_get",
        shown("GET /rpc/find?a=1&b=x&b=y&id=gt.1", &[], "")
    );
    insta::assert_snapshot!("call_by_post", shown("POST /rpc/find", &[], r#"{"a":1}"#));
}

#[test]
fn no_query_string_panics() {
    let schema = sample::schema();
    let pieces = [
        "select", "=", "(", ")", ",", ".", "->", "->>", "\"", "\\", "!", ":", "::", "...", "or",
        "and", "not", "films", "id", "eq", "in", "*", "-", "{", "}", "é", "count()", "order",
        "limit", "is",
    ];
    // A fixed generator, so that a failure can be repeated.
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut next = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..next(12) {
            text.push_str(pieces[next(pieces.len())]);
        }
        let key = ["select", "id", "or", "order", "films.id", "data->a"][next(6)];
        let query = format!("{key}={text}");
        let _ = render(&schema, &request(&format!("GET /films?{query}"), &[], ""));
    }
}
