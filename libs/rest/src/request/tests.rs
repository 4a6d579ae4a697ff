//! The grammar, the preferences, the media types and the bodies.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::condition::{Operation, Operator, Quantifier};
use super::media::{MediaType, accepted};
use super::payload::{Payload, Purpose, read};
use super::preferences::{Count, Honoured, Preferences, Representation};
use super::query::{Query, parse};
use super::range::{Window, requested};
use super::select::SelectItem;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn query(raw: &str) -> Query {
    parse(raw, false).unwrap()
}

#[test]
fn parameters_go_where_they_belong() {
    let query =
        query("select=a&b.c.order=d&b.limit=3&b.offset=1&b.or=(x.eq.1)&e.f=gt.2&g=eq.h%2Bi");
    let path = |names: &[&str]| -> Vec<String> { names.iter().map(|&n| n.to_owned()).collect() };
    assert_eq!(query.order[0].0, path(&["b", "c"]));
    let window = Window {
        offset: 1,
        limit: Some(3),
    };
    assert_eq!(query.windows[&path(&["b"])], window);
    assert_eq!(query.logic[0].0, path(&["b"]));
    let (at, filter) = &query.filters[0];
    assert_eq!((at, filter.field.name.as_str()), (&path(&["e"]), "f"));
    let Operation::Compare { value, .. } = &query.filters[1].1.condition.operation else {
        panic!("a comparison");
    };
    assert_eq!(value, "h+i");
    assert_eq!(parse("z=1&a=2", true).unwrap().arguments.len(), 2);
    assert_eq!(parse("z=eq.1&a=2", true).unwrap().canonical, "a=2&z=eq.1");
}

#[test]
fn conditions_keep_their_parts() {
    let query = query("a=not.gte(any).{1,2}");
    let condition = &query.filters[0].1.condition;
    assert!(condition.negated);
    let expected = Operation::Compare {
        operator: Operator::GreaterOrEqual,
        quantifier: Some(Quantifier::Any),
        value: "{1,2}".to_owned(),
    };
    assert_eq!(condition.operation, expected);
}

#[test]
fn selects_nest() {
    let query = query("select=x:a->b::text,...c!hint!inner(d,e:f(*)),count()");
    let [
        SelectItem::Column(a),
        SelectItem::Relation(c),
        SelectItem::Column(count),
    ] = query.select.as_slice()
    else {
        panic!("three items: {:?}", query.select);
    };
    assert_eq!(
        (a.alias.as_deref(), a.cast.as_deref()),
        (Some("x"), Some("text"))
    );
    assert_eq!(a.field.path.len(), 1);
    assert!(c.spread && c.inner && c.items.len() == 2);
    assert_eq!(c.hint.as_deref(), Some("hint"));
    assert!(count.aggregate.is_some());
}

#[test]
fn preferences_are_read_and_reported() {
    let prefer = "return=representation, count=exact , return=minimal, foo";
    let preferences =
        Preferences::parse(&headers(&[("prefer", prefer), ("prefer", "tx=rollback")]));
    assert_eq!(preferences.representation, Some(Representation::Full));
    assert_eq!(preferences.count, Some(Count::Exact));
    let honoured = Honoured {
        representation: true,
        ..Honoured::default()
    };
    let applied = preferences.applied(honoured);
    assert_eq!(
        applied.as_deref(),
        Some("return=representation, count=exact")
    );
    assert!(preferences.check().is_ok(), "lenient by default");
}

#[test]
fn media_ranges_sort_by_quality() {
    let accept = "text/csv;q=0.5, application/json;q=0.9, application/vnd.pgrst.object+json";
    let expected = vec![
        MediaType::Object { stripped: false },
        MediaType::Json,
        MediaType::Csv,
    ];
    assert_eq!(accepted(&headers(&[("accept", accept)])), expected);
    assert_eq!(accepted(&HeaderMap::new()), vec![MediaType::Any]);
}

#[test]
fn ranges_intersect_with_limits() {
    let limit = Window {
        offset: 2,
        limit: Some(10),
    };
    let range = requested(&headers(&[("range", "0-4")]), limit).unwrap();
    assert_eq!(
        range,
        Window {
            offset: 2,
            limit: Some(3)
        }
    );
    assert!(requested(&headers(&[("range", "4-2")]), Window::default()).is_err());
}

#[test]
fn bodies_are_looked_at_but_not_changed() {
    let read = |body: &'static str, media| {
        read(
            &Bytes::from_static(body.as_bytes()),
            &media,
            Purpose::Rows,
            false,
        )
    };
    let text = r#"[{"a":1.10,"b":9007199254740993},{"b":null,"a":"x"}]"#;
    let payload = read(text, MediaType::Json).unwrap();
    assert_eq!(payload.text(), text);
    assert_eq!(payload.keys().into_iter().collect::<Vec<_>>(), ["a", "b"]);
    assert!(read(r#"[{"a":1},{"b":1}]"#, MediaType::Json).is_err());
    assert!(read(r#"{"a":1"#, MediaType::Json).is_err());
    let csv = read("a,b\n1,\"x \"\"y\"\"\"\nNULL,\n", MediaType::Csv).unwrap();
    assert_eq!(csv.text(), r#"[{"a":"1","b":"x \"y\""},{"a":null,"b":""}]"#);
    assert!(read("a,b\n1,2\n3\n", MediaType::Csv).is_err());
    let short = read("a,b\n1\n", MediaType::Csv).unwrap();
    assert_eq!(short.keys(), ["a".to_owned()].into());
    let long = read("a\n1,2\n3\n", MediaType::Csv).unwrap();
    assert_eq!(long.text(), r#"[{"a":"1"},{"a":"3"}]"#);
    assert!(matches!(
        read("5", MediaType::Json),
        Ok(Payload::Json {
            is_empty_array: true,
            ..
        })
    ));
}

/// Place and text of the error of a query.
fn fault(raw: &str) -> (String, String) {
    let body = parse(raw, false).unwrap_err().body();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let message = body["message"].as_str().unwrap();
    let (_, column) = message.rsplit_once("column ").unwrap();
    let details = body["details"].as_str().unwrap();
    (column.trim_end_matches(')').to_owned(), details.to_owned())
}

#[test]
fn errors_name_place_and_alternatives() {
    let cases = [
        (
            "id=0",
            "1",
            r#"unexpected "0" expecting "not" or operator (eq, gt, ...)"#,
        ),
        (
            "id=is.nil",
            "5",
            r#"unexpected "i" expecting null or trilean value (unknown, true, false)"#,
        ),
        (
            "id=is.ok",
            "4",
            r#"unexpected "o" expecting null or trilean value (unknown, true, false)"#,
        ),
        (
            "or=()",
            "4",
            r#"unexpected ")" expecting field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)"#,
        ),
        ("or=)(id.eq.1", "3", r#"unexpected ")" expecting "(""#),
        (
            "and=(ord(id.eq.1,id.eq.1),id.eq.2)",
            "7",
            r#"unexpected "d" expecting "(""#,
        ),
        (
            "or=(id.eq.1,not.xor(id.eq.2,id.eq.3))",
            "16",
            r#"unexpected "x" expecting logic operator (and, or)"#,
        ),
        (
            "order=id.ac",
            "4",
            r#"unexpected "c" expecting "asc", "desc", "nullsfirst" or "nullslast""#,
        ),
        (
            "order=id.descc",
            "8",
            r#"unexpected 'c' expecting delimiter (.), "," or end of input"#,
        ),
        (
            "select=data->>--34",
            "9",
            r#"unexpected "-" expecting digit"#,
        ),
        (
            "select=data->>-78xy",
            "11",
            r#"unexpected 'x' expecting digit, "->", "::", ".", "," or end of input"#,
        ),
        (
            "select=id,clients(name[])",
            "16",
            r#"unexpected '[' expecting letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input"#,
        ),
        ("a=in.1,2", "4", r#"unexpected "1" expecting "(""#),
    ];
    for (raw, column, details) in cases {
        assert_eq!(fault(raw), (column.to_owned(), details.to_owned()), "{raw}");
    }
}

#[test]
fn parsing_takes_linear_time() {
    use super::cursor::{Cursor, Parsed, steps};
    use super::{condition, logic, order, select};
    fn take<'a, T>(source: &'a str, rule: impl Fn(&mut Cursor<'a>) -> Parsed<T>) -> usize {
        steps(source, rule)
    }
    let condition =
        |cursor: &mut Cursor<'_>| condition::condition(cursor, condition::ValueEnd::ListItem);
    let units = [
        "a",
        "a,",
        "a(",
        "a.",
        "\"",
        "\"a,",
        "\\\"",
        "{",
        "{a,",
        "a:",
        "a::",
        "a->",
        "->>1",
        "not.",
        "and(",
        "or(a.eq.",
        "a.in.(\"",
        "...a(",
        "!a",
        "-",
        " ",
        "a.eq.{",
        "(",
        ")",
        "in.(\"a\",",
        "a.sum()",
        "é",
    ];
    for head in ["", "in.(", "and(", "a.eq.", "a("] {
        for unit in units {
            let of = |times: usize| {
                let text = format!("{head}{}", unit.repeat(times));
                take(&text, select::items)
                    .max(take(&text, order::terms))
                    .max(take(&text, logic::group))
                    .max(take(&text, condition))
            };
            let (small, large) = (of(200), of(2000));
            assert!(
                large <= 11 * small + 2000,
                "{head}{unit}…: {small} steps, then {large}"
            );
        }
    }
}
