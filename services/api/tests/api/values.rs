//! Values of every kind that lose something when they are handled as JavaScript would, and what
//! PostgreSQL itself prints for them.

use std::fmt::Write;

use futures::TryStreamExt;
use sqlx::AssertSqlSafe;

use crate::harness::Api;

/// A table with a column of each kind.
pub(crate) const TABLE: &str = "CREATE TABLE samples (id int PRIMARY KEY, big bigint, exact numeric,
    single real, double double precision, bytes bytea, day date, at timestamptz, local timestamp,
    span interval, doc jsonb, raw json, list text[], matrix int[], range int8range, during tstzrange,
    address inet, place point, key uuid, flag boolean, body text, bits varbit, money money)";

/// Rows of it as SQL literals, in the order of the columns after `id`.
pub(crate) const ROWS: &[&[&str]] = &[
    &[
        "9223372036854775807",
        "12345678901234567890123456789.000000000000000010",
        "NaN",
        "Infinity",
        "\\x00ff27225c0a",
        "2026-02-28",
        "2026-01-31 09:05:00.123456+05:30",
        "2026-01-31 09:05:00.000001",
        "1 year -2 mons 3 days -04:05:06.000007",
        "{\"n\": 12345678901234567890.5, \"s\": \"\\u00e4\\\\ \\\"\"}",
        "{\"b\":1, \"a\":1e300, \"a\":  2}",
        "{NULL,\"NULL\",\"\",\"a,b\",\"\\\"\\\\\"}",
        "[0:1][2:3]={{1,2},{3,NULL}}",
        "[1,9007199254740993)",
        "[\"2026-01-01 00:00:00.000001+00\",)",
        "fe80::1/64",
        "(1.5,-2e-10)",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "true",
        "ünïcode 漢字 \t 'quotes' \"double\" \\n; -- 😀\n$$ end",
        "1011",
        "-1234.56",
    ],
    &[
        "-9223372036854775808",
        "NaN",
        "3.4028235e38",
        "2.2250738585072014e-308",
        "\\x",
        "infinity",
        "-infinity",
        "0044-03-15 12:00:00 BC",
        "00:00:00.000001",
        "[null]",
        "[]",
        "{}",
        "{}",
        "empty",
        "(,)",
        "10.0.0.0/8",
        "(NaN,Infinity)",
        "00000000-0000-0000-0000-000000000000",
        "false",
        "\\N",
        "0",
        "0",
    ],
    &[
        "0",
        "-0.000",
        "-0",
        "0.1",
        "\\xdeadbeef",
        "5874897-12-31",
        "9999-12-31 23:59:59.999999+00",
        "epoch",
        "-00:00:00.5",
        "\"\\\\.\"",
        "1.10",
        "{{a,b},{c,\" d \"}}",
        "{2147483647,-2147483648}",
        "(-9223372036854775808,0]",
        "[\"1999-12-31 23:59:59.5+00\",infinity]",
        "::ffff:1.2.3.4",
        "(0,0)",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "true",
        "\\.",
        "1",
        "92233720368547758.07",
    ],
];

/// The rows as `INSERT` statements, values as plain literals of unknown type.
pub(crate) fn inserts() -> String {
    let mut sql = String::new();
    for (id, row) in ROWS.iter().enumerate() {
        let literals: Vec<String> = row
            .iter()
            .map(|value| format!("'{}'", value.replace('\'', "''")))
            .collect();
        writeln!(
            sql,
            "INSERT INTO samples VALUES ({id}, {});",
            literals.join(", ")
        )
        .unwrap();
    }
    sql
}

/// What PostgreSQL prints for the rows when they are inserted without Ingot.
pub(crate) async fn expected(api: &Api) -> String {
    let mut owner = api.project.superuser().await.unwrap();
    let scene = format!(
        "DROP SCHEMA IF EXISTS truth CASCADE; CREATE SCHEMA truth; SET search_path = truth; {TABLE}; {}",
        inserts()
    );
    sqlx::raw_sql(AssertSqlSafe(scene))
        .execute(&mut owner)
        .await
        .unwrap();
    printed(api, "truth.samples").await
}

/// What PostgreSQL prints for the rows of a table.
pub(crate) async fn printed(api: &Api, table: &str) -> String {
    let sql = format!("COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT");
    let mut owner = api.project.superuser().await.unwrap();
    let chunks: Vec<_> = owner
        .copy_out_raw(&sql)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let text = chunks.concat();
    assert!(!text.is_empty(), "{table} is empty");
    String::from_utf8(text).unwrap()
}

fn names() -> Vec<&'static str> {
    NAMES.trim_start_matches("-- ").split(' ').collect()
}

/// The columns' names, as a comment.
pub(crate) const NAMES: &str = "-- id big exact single double bytes day at local span doc raw list matrix range during address place key flag body bits money";

/// The rows as CSV. It has no empty text: an empty field is NULL.
pub(crate) fn csv() -> String {
    let mut csv = names().join(",") + "\n";
    for (id, row) in ROWS.iter().enumerate() {
        csv.push_str(&id.to_string());
        for value in *row {
            write!(csv, ",\"{}\"", value.replace('"', "\"\"")).unwrap();
        }
        csv.push('\n');
    }
    csv
}

/// The rows as JSON: documents, numbers and flags as themselves, the rest as texts.
pub(crate) fn json() -> String {
    let mut rows = Vec::new();
    for (id, row) in ROWS.iter().enumerate() {
        let mut fields = vec![format!("\"id\":{id}")];
        for (name, value) in names().iter().skip(1).zip(*row) {
            let plain = matches!(*name, "doc" | "raw" | "flag")
                || (matches!(*name, "big" | "exact")
                    && *value != "NaN"
                    && !value.contains("inity"));
            let value = if plain {
                (*value).to_owned()
            } else {
                serde_json::json!(value).to_string()
            };
            fields.push(format!("\"{name}\":{value}"));
        }
        rows.push(format!("{{{}}}", fields.join(",")));
    }
    format!("[{}]", rows.join(",\n"))
}
