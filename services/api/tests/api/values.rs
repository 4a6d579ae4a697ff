//! Values of every kind that lose something when they are handled as JavaScript would, and what
//! PostgreSQL itself prints for them.

use std::fmt::Write;

use futures::TryStreamExt;
use sqlx::AssertSqlSafe;

use crate::harness::Api;

/// A table with a column of each kind.
pub(crate) const TABLE: &str = "CREATE TYPE mood AS ENUM ('good', 'so so');
    CREATE TYPE pair AS (a int, b text); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE TABLE samples (id int PRIMARY KEY, big bigint, exact numeric,
    single real, double double precision, bytes bytea, day date, at timestamptz, local timestamp,
    span interval, doc jsonb, raw json, list text[], matrix int[], range int8range, during tstzrange,
    address inet, place point, key uuid, flag boolean, body text, bits varbit, money money,
    clock time, zoned timetz, mac macaddr, net cidr, fixed char(5), short smallint, mask bit(3),
    words tsvector, search tsquery, line line, segment lseg, box box, path path, shape polygon,
    circle circle, span_n numrange, span_d daterange, spans int4multirange, lsn pg_lsn, path_j jsonpath,
    number oid, label name, times timestamptz[], numbers numeric[], blobs bytea[], docs jsonb[],
    feeling mood, pairing pair, counted positive, pairs pair[], wide macaddr8)";

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
        "23:59:59.999999",
        "04:05:06.000007-08",
        "08:00:2b:01:02:03",
        "10.1.0.0/16",
        "ab",
        "-32768",
        "101",
        "'a':1A 'it''s':2",
        "'fat' & !'rat':*A",
        "{1,-1,0.5}",
        "[(0,0),(1,1e-7)]",
        "(3,4),(1,2)",
        "[(0,0),(1,2),(3,4)]",
        "((0,0),(1,0),(1,1))",
        "<(1,2),3.5>",
        "(0.10,1e30]",
        "[2026-01-01,2026-02-01)",
        "{[1,3),[5,7)}",
        "16/B374D848",
        "$.\"a\"[*]?(@ > 1.5)",
        "4294967295",
        "a name",
        "{\"2026-01-31 03:35:00.123456+00\",infinity,NULL}",
        "{1.10,NaN,12345678901234567890.5}",
        "{\"\\\\x00ff\",NULL}",
        "{\"{\\\"n\\\": 12345678901234567890}\",null}",
        "so so",
        "(7,\"say \"\"hi\"\", you\")",
        "1",
        "{\"(1,a)\",\"(,)\"}",
        "08:00:2b:ff:fe:01:02:03",
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
        "24:00:00",
        "00:00:00+15:59",
        "ff:ff:ff:ff:ff:ff",
        "::/0",
        "ünïcö",
        "32767",
        "000",
        "'漢字'",
        "'a' <-> 'b'",
        "{0,1,0}",
        "[(-1,-1),(NaN,Infinity)]",
        "(0,0),(0,0)",
        "((0,0),(1,1))",
        "((1e300,-1e300))",
        "<(0,0),0>",
        "empty",
        "(,)",
        "{}",
        "0/0",
        "strict $",
        "0",
        "\"quoted\" name",
        "{}",
        "{{1,2},{3,4.000}}",
        "{}",
        "{}",
        "good",
        "(,)",
        "2147483647",
        "{}",
        "00:00:00:00:00:00:00:00",
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
        "00:00:00.5",
        "12:00:00+00",
        "00:00:00:00:00:00",
        "192.168.100.128/25",
        ".",
        "0",
        "010",
        "'tab\there':3",
        "!'x'",
        "{1,2,3}",
        "[(1,2),(1,2)]",
        "(1.5,2.5),(-1.5,-2.5)",
        "[(0,0)]",
        "((0,0),(2,2),(4,0))",
        "<(-1,-2),1e-9>",
        "[NaN,)",
        "[-infinity,infinity)",
        "{(,)}",
        "FFFFFFFF/FFFFFFFF",
        "lax $.*",
        "1",
        "n",
        "{NULL}",
        "{-Infinity,0,-0.00}",
        "{\"\\\\x\"}",
        "{\"[]\",\"\\\"a,b\\\"\"}",
        "good",
        "(-1,\"back\\\\slash\")",
        "3",
        "{NULL}",
        "ff:ff:ff:ff:ff:ff:ff:ff",
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
pub(crate) const NAMES: &str = "-- id big exact single double bytes day at local span doc raw list matrix range during address place key flag body bits money clock zoned mac net fixed short mask words search line segment box path shape circle span_n span_d spans lsn path_j number label times numbers blobs docs feeling pairing counted pairs wide";

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

/// The columns and rows as `psql` prints them.
pub(crate) fn by_psql(api: &Api, table: &str) -> Vec<Vec<String>> {
    let output = std::process::Command::new("psql")
        .arg(api.project.superuser_url())
        .args([
            "--no-psqlrc",
            "--csv",
            "--quiet",
            "--pset=null=(null)",
            "--command",
        ])
        .arg(format!("select * from {table} order by id"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(output.stdout.as_slice())
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect()
}
