//! What a client sends never becomes SQL: a corpus in every place of the grammar, judged by
//! PostgreSQL's own parser.
//!
//! For every place there are statements made from harmless words. One made from the corpus must be
//! one of them, but for labels: the same fingerprint, and no identifier that is not in them.

use std::collections::BTreeSet;

use pg_query::FingerprintOptions;
use pg_query::protobuf::Token;

use super::tests::{render, request};
use crate::schema::sample;

/// What somebody might try.
const CORPUS: [&str; 19] = [
    "'",
    "''; drop table films; --",
    "\"; drop table films; --",
    "\"\"; drop table films; --",
    "\\'; select 1; --",
    "\\\"; select 1; --",
    "$1",
    "$99",
    "$$; select pg_sleep(9); $$",
    "x\" union select 1 --",
    "1) or true --",
    "1)); delete from films; --",
    "/* */",
    "e'\\x27'",
    "U&\"\\0027\"",
    "\u{2019}; drop",
    "\\",
    "%00",
    "pg_sleep(9)",
];

/// Words that mean something in one place or another.
const HARMLESS: [&str; 26] = [
    "any",
    "english",
    "inner",
    "or",
    "sum",
    "minimal",
    "title",
    "1",
    "x",
    "null",
    "text",
    "desc",
    "id",
    "director_id",
    "eq",
    "films",
    "directors",
    "name",
    "a",
    "b",
    "count",
    "find",
    "public",
    "UTC",
    "0-1",
    "text/csv",
];

const MERGE: &str = "prefer: resolution=merge-duplicates, missing=default, return=representation";
const FULL: &str = "prefer: return=representation";
const CSV: &str = "content-type: text/csv";
const FORM: &str = "content-type: application/x-www-form-urlencoded";

/// Request line, header and body. `@` stands for a piece of the corpus.
const PLACES: [(&str, &str, &str); 76] = [
    ("GET /@", "", ""),
    ("GET /films?id=eq.@", "", ""),
    ("GET /films?id=not.neq.@", "", ""),
    ("GET /films?title=like.@", "", ""),
    ("GET /films?title=imatch.@", "", ""),
    ("GET /films?title=isdistinct.@", "", ""),
    ("GET /films?title=in.(@)", "", ""),
    ("GET /films?title=in.(a,\"@\")", "", ""),
    ("GET /films?title=fts(@).x", "", ""),
    ("GET /films?title=wfts.@", "", ""),
    ("GET /films?title=eq(any).{@}", "", ""),
    ("GET /films?title=like(@).{a}", "", ""),
    ("GET /films?title=is.@", "", ""),
    ("GET /films?title=@.x", "", ""),
    ("GET /films?title=not.@.x", "", ""),
    ("GET /films?title=cs.{@}", "", ""),
    ("GET /films?title=ov.[@,2]", "", ""),
    ("GET /films?@=eq.1", "", ""),
    ("GET /films?data->@=eq.1", "", ""),
    ("GET /films?data->>\"@\"=eq.1", "", ""),
    ("GET /films?data->a->>@=eq.1", "", ""),
    ("GET /films?or=(title.eq.@,id.eq.1)", "", ""),
    ("GET /films?and=(title.eq.\"@\",id.eq.1)", "", ""),
    ("GET /films?or=(title.in.(@),id.eq.1)", "", ""),
    ("GET /films?or=(@.eq.1,id.eq.1)", "", ""),
    ("GET /films?or=(title.@.1,id.eq.1)", "", ""),
    ("GET /films?or=(@(id.eq.1),id.eq.1)", "", ""),
    ("GET /films?@=(id.eq.1)", "", ""),
    ("GET /films?select=@", "", ""),
    ("GET /films?select=\"@\":title", "", ""),
    ("GET /films?select=@:title", "", ""),
    ("GET /films?select=title::@", "", ""),
    ("GET /films?select=data->@", "", ""),
    ("GET /films?select=data->>\"@\"", "", ""),
    ("GET /films?select=id.@()", "", ""),
    ("GET /films?select=@.sum()", "", ""),
    ("GET /films?select=\"@\":id.sum()", "", ""),
    ("GET /films?select=id.sum()::@", "", ""),
    ("GET /films?select=@(name)", "", ""),
    ("GET /films?select=directors(@)", "", ""),
    ("GET /films?select=directors!@(name)", "", ""),
    ("GET /films?select=directors!director_id!@(name)", "", ""),
    ("GET /films?select=\"@\":directors(name)", "", ""),
    ("GET /films?select=...directors(\"@\":name)", "", ""),
    ("GET /films?order=@", "", ""),
    ("GET /films?order=id.@", "", ""),
    ("GET /films?order=data->>@.desc", "", ""),
    (
        "GET /films?select=id,directors()&order=directors(@)",
        "",
        "",
    ),
    ("GET /films?select=id,directors()&order=@(name)", "", ""),
    ("GET /films?limit=@", "", ""),
    ("GET /films?offset=@", "", ""),
    (
        "GET /directors?select=name,films(id)&films.title=eq.@",
        "",
        "",
    ),
    ("GET /directors?select=name,films(id)&films.@=eq.1", "", ""),
    ("GET /directors?select=name,films(id)&@.id=eq.1", "", ""),
    ("GET /directors?select=name,films(id)&films.order=@", "", ""),
    ("GET /directors?select=name,films(id)&films.limit=@", "", ""),
    (
        "GET /directors?select=name,films(id)&films.or=(id.eq.@)",
        "",
        "",
    ),
    (
        "GET /directors?select=name,\"@\":films(id)&\"@\"=is.null",
        "",
        "",
    ),
    ("GET /films", "prefer: @", ""),
    ("GET /films", "prefer: timezone=@", ""),
    ("GET /films", "accept: @", ""),
    ("GET /films", "accept-profile: @", ""),
    ("GET /films", "range: @", ""),
    ("POST /films", FULL, r#"{"@":1}"#),
    ("POST /films", FULL, r#"[{"title":"@"},{"title":"b"}]"#),
    ("POST /films?columns=@", MERGE, r#"{"title":"@"}"#),
    ("POST /films?on_conflict=@", MERGE, r#"{"title":"@"}"#),
    ("POST /films", CSV, "title\n@"),
    ("POST /films", CSV, "@\nx"),
    ("POST /films", FORM, "title=@"),
    (
        "PATCH /films?id=eq.@&select=title",
        FULL,
        r#"{"title":"@"}"#,
    ),
    (
        "PUT /films?id=eq.@",
        "",
        r#"{"id":"@","title":"x","data":1,"director_id":2}"#,
    ),
    ("DELETE /films?title=eq.@&order=id&limit=1", "", ""),
    ("GET /rpc/find?a=@&b=@&title=eq.@", "", ""),
    ("GET /rpc/find?a=1&@=x", "", ""),
    ("POST /rpc/find", "", r#"{"a":"@","b":["@"]}"#),
];

/// A statement without its values and names.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    fingerprint: String,
    identifiers: BTreeSet<String>,
}

impl Shape {
    /// Panics if it is no statement, or more than one.
    fn of(text: &str) -> Self {
        let parsed = pg_query::parse(text, 0).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(parsed.protobuf.stmts.len(), 1, "{text}");
        let mut identifiers = BTreeSet::new();
        let mut unnamed = String::new();
        let mut at = 0;
        for token in pg_query::scan(text).unwrap().tokens {
            let (start, end) = (offset(token.start), offset(token.end));
            let comment = [Token::SqlComment, Token::CComment].map(|kind| kind as i32);
            assert!(!comment.contains(&token.token), "a comment: {text}");
            let word = text.get(start..end).unwrap();
            if token.token == Token::Ident as i32 && word.starts_with('"') {
                identifiers.insert(inside_quotes(word).replace("\"\"", "\""));
                unnamed.push_str(text.get(at..start).unwrap());
                unnamed.push_str("\"name\"");
                at = end;
            }
        }
        unnamed.push_str(text.get(at..).unwrap());
        Self {
            fingerprint: pg_query::fingerprint(&unnamed, 0, FingerprintOptions::FULL_RELNAME)
                .unwrap()
                .hex,
            identifiers,
        }
    }
}

fn inside_quotes(text: &str) -> &str {
    let text = text.strip_prefix('"').unwrap();
    text.strip_suffix('"').unwrap()
}

fn offset(place: i32) -> usize {
    usize::try_from(place).unwrap()
}

/// The statement for a piece in a place; `None` if it is refused, which it must be politely.
fn shape((line, header, body): (&str, &str, &str), piece: &str) -> Option<Shape> {
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, crate::request::UNRESERVED).to_string()
    };
    let url = match line.split_once('?') {
        // Names in paths arrive decoded.
        None => line.replace('@', piece),
        Some((path, query)) => {
            let pairs: Vec<String> = query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(key, value)| {
                    let put = |text: &str| encode(&text.replace('@', piece));
                    format!("{}={}", put(key), put(value))
                })
                .collect();
            format!("{path}?{}", pairs.join("&"))
        }
    };
    let body = match header {
        CSV => body.replace('@', &format!("\"{}\"", piece.replace('"', "\"\""))),
        FORM => body.replace('@', &encode(piece)),
        _ => {
            let quoted = serde_json::Value::from(piece).to_string();
            body.replace('@', inside_quotes(&quoted))
        }
    };
    let header = header.replace('@', piece);
    if !header.is_ascii() {
        return None;
    }
    let headers: Vec<(&str, &str)> = header.split_once(": ").into_iter().collect();
    match render(&sample::schema(), &request(&url, &headers, &body)) {
        Ok(statement) => Some(Shape::of(&statement.text)),
        Err(error) => {
            let status = error.status();
            let polite = status.is_client_error() || status.as_u16() == 300;
            assert!(polite, "{line} with {piece:?}: {error}");
            None
        }
    }
}

/// What a quoted name is without its backslashes.
fn unescaped(piece: &str) -> String {
    let mut characters = piece.chars();
    let mut text = String::new();
    while let Some(c) = characters.next() {
        text.extend(if c == '\\' {
            characters.next()
        } else {
            Some(c)
        });
    }
    text
}

#[test]
fn nothing_a_client_sends_becomes_sql() {
    let harmless: Vec<Vec<Shape>> = PLACES
        .iter()
        .map(|place| {
            HARMLESS
                .iter()
                .filter_map(|word| shape(*place, word))
                .collect()
        })
        .collect();
    let known: BTreeSet<&String> = harmless
        .iter()
        .flatten()
        .flat_map(|shape| &shape.identifiers)
        .collect();
    let mut rendered = 0;
    for (place, like) in PLACES.iter().zip(&harmless) {
        assert!(!like.is_empty(), "{place:?} lets nothing through");
        // Labels are the client's own, and nothing else is. A path is labelled by its last key.
        let mut labels = ["@:", "\"@\":", "select=data->"].into_iter();
        let labelled = labels.any(|label| place.0.contains(label));
        for piece in CORPUS {
            let Some(shape) = shape(*place, piece) else {
                continue;
            };
            rendered += 1;
            let mut fingerprints = like.iter().map(|shape| &shape.fingerprint);
            assert!(
                fingerprints.any(|known| *known == shape.fingerprint),
                "{place:?} with {piece:?}"
            );
            for identifier in &shape.identifiers {
                assert!(
                    known.contains(identifier)
                        || (labelled && [piece.to_owned(), unescaped(piece)].contains(identifier)),
                    "{place:?} with {piece:?} names {identifier:?}"
                );
            }
        }
    }
    assert!(rendered > 500, "the corpus must get through: {rendered}");
}

#[test]
fn what_would_be_an_injection_is_seen() {
    let sound = Shape::of(r#"select "a" from "t" where "b" = $1"#);
    for broken in [
        r#"select "a" from "t" where "b" = $1 or true"#,
        r#"select "a" from "t" where "b" = (select 1)"#,
        r#"select "a" from "t" where "b" = $1 limit 1"#,
    ] {
        assert_ne!(Shape::of(broken).fingerprint, sound.fingerprint, "{broken}");
    }
    assert_ne!(Shape::of(r#"select "c" from "t" where "b" = $1"#), sound);
}
