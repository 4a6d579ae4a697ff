//! The contract of `/api/database`, route by route, through the edge: what each answers when it
//! succeeds, and each of its refusals with its code.
//!
//! The answers are in `snapshots/`. A change of one is a change for clients: `INSTA_UPDATE=always`
//! writes it down, and the diff shows what they would see.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed step of a test is a failed test"
)]

mod advance;
mod rows;
mod schema;
mod suite;

use serde_json::json;

use crate::suite::{Call, Suite, Who, call};

/// Every route with something plausible; what matters is who calls it.
const ROUTES: [&str; 30] = [
    "GET /tables",
    "POST /tables",
    "GET /tables/t/schema",
    "PATCH /tables/t/schema",
    "DELETE /tables/t",
    "GET /schemas",
    "GET /functions",
    "GET /indexes",
    "GET /policies",
    "GET /triggers",
    "GET /admin/tables/t/records",
    "GET /admin/tables/t/records/lookup?column=a&value=b",
    "POST /admin/tables/t/records",
    "PATCH /admin/tables/t/records",
    "DELETE /admin/tables/t/records",
    "POST /advance/rawsql",
    "POST /advance/rawsql/unrestricted",
    "POST /advance/export",
    "POST /advance/import",
    "POST /advance/bulk-upsert",
    "GET /backups",
    "POST /backups",
    "PATCH /backups/00000000-0000-0000-0000-000000000000",
    "DELETE /backups/00000000-0000-0000-0000-000000000000",
    "POST /backups/00000000-0000-0000-0000-000000000000/restore",
    "GET /config",
    "PATCH /config",
    "GET /migrations",
    "POST /migrations",
    "POST /migrations/dry-run",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_administrators_pass() {
    let suite = Suite::start().await;
    let strangers = [
        ("nobody", Who::Nobody),
        ("a key that is none", Who::Forger),
        ("the anon key", Who::Anon),
        ("a user", Who::User),
    ];
    let calls = ROUTES
        .into_iter()
        .flat_map(|line| strangers.map(|(name, who)| call(name, line).by(who)));
    suite.shows("credentials", calls).await;
    suite.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_is_refused() {
    let suite = Suite::start().await;
    let odd = [
        ("an unknown route", "GET /nothing"),
        ("another method", "PUT /tables"),
        ("an unknown route below admin", "GET /admin/nothing"),
    ];
    let bodies = [
        ("a body that ends early", "{"),
        ("a body that is a number", "5"),
        ("a body that is null", "null"),
        ("a body of another shape", "[]"),
        ("a body without anything", "{}"),
    ];
    let routes = [
        "POST /tables",
        "POST /admin/tables/t/records",
        "POST /advance/rawsql",
        "POST /migrations",
        "PATCH /config",
    ];
    let bodies = routes
        .into_iter()
        .flat_map(|line| bodies.map(|(name, body)| call(name, line).text(body)));
    let calls = odd.map(|(name, line)| call(name, line)).into_iter();
    suite.shows("requests", calls.chain(bodies)).await;
    suite.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups() {
    let suite = Suite::start().await;
    let name = |name: &str| json!({ "name": name });
    let calls: Vec<Call> = vec![
        call("none yet", "GET /backups"),
        call("a name that is too long", "POST /backups").json(name(&"x".repeat(65))),
        call("a blank name", "POST /backups").json(name("  ")),
        call("a name that is a number", "POST /backups").json(json!({ "name": 5 })),
        call("one is made", "POST /backups").json(name(" first ")),
        call("until it is complete", "GET /backups").until("\"completed\""),
        call("the name is taken", "POST /backups").json(name("first")),
        call("renamed", "PATCH /backups/[id]").json(name("second")),
        call("nameless", "PATCH /backups/[id]").json(json!({ "name": null })),
        call("renamed to nothing", "PATCH /backups/[id]").json(json!({})),
        call("renamed, no uuid", "PATCH /backups/x").json(name("x")),
        call("restored", "POST /backups/[id]/restore"),
        call("restored, no uuid", "POST /backups/x/restore"),
        call("removed", "DELETE /backups/[id]"),
        call("removed again", "DELETE /backups/[id]"),
        call("renamed, unknown", "PATCH /backups/[id]").json(name("x")),
        call("restored, unknown", "POST /backups/[id]/restore"),
        call("removed, no uuid", "DELETE /backups/x"),
    ];
    suite.shows("backups", calls).await;
    let schedule = |settings| json!({ "backup": settings });
    let calls: Vec<Call> = vec![
        call("by default", "GET /config"),
        call("nothing known", "PATCH /config").json(schedule(json!({ "x": 1 }))),
        call("another shape", "PATCH /config").json(json!({ "backup": 5 })),
        call("four fields", "PATCH /config").json(schedule(json!({ "cronSchedule": "0 0 * *" }))),
        call("every minute", "PATCH /config")
            .json(schedule(json!({ "cronSchedule": "* * * * *" }))),
        call("no such hour", "PATCH /config")
            .json(schedule(json!({ "cronSchedule": "0 24 * * *" }))),
        call("never", "PATCH /config").json(schedule(json!({ "cronSchedule": "0 0 31 2 *" }))),
        call("for no day", "PATCH /config").json(schedule(json!({ "retentionDays": 0 }))),
        call("for too long", "PATCH /config").json(schedule(json!({ "retentionDays": 3651 }))),
        call("for half a day", "PATCH /config").json(schedule(json!({ "retentionDays": 0.5 }))),
        call("on", "PATCH /config").json(schedule(
            json!({ "enabled": true, "cronSchedule": " 30 3 * * 1 ", "retentionDays": null }),
        )),
        call("off", "PATCH /config").json(schedule(json!({ "enabled": false }))),
    ];
    suite.shows("config", calls).await;
    suite.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations() {
    let suite = Suite::start().await;
    let new = |version: &str, name: &str, sql: &str| {
        call("", "POST /migrations").json(json!({ "version": version, "name": name, "sql": sql }))
    };
    let calls: Vec<Call> = vec![
        call("none yet", "GET /migrations"),
        new(
            "0001",
            " first ",
            "create table t (a int); insert into t values (1);",
        )
        .titled("one"),
        new("1", "again", "select 1").titled("the same number"),
        new("0", "before", "select 1").titled("a smaller one"),
        new("1a", "x", "select 1").titled("a version that is none"),
        new("", "x", "select 1").titled("no version"),
        new("2", "Bad Name", "select 1").titled("a name that is none"),
        new("2", "x", "  ").titled("blank"),
        new("2", "x", "-- nothing").titled("only a comment"),
        new("2", "x", "creat table x ()").titled("not SQL"),
        new("2", "x", "set role postgres").titled("another role"),
        new("2", "x", "create table t (a int)").titled("a table that is there"),
        new("2", "x", "create index concurrently on t (a)").titled("out of transactions"),
        new("2", "x", "drop table system.secrets").titled("the platform's"),
        new("2", "x", "create table u (a int); select 1 / 0")
            .titled("a failing one leaves nothing"),
        new("2", "next", "alter table t add b text").titled("the next"),
        call("all", "GET /migrations"),
    ];
    suite.shows("migrations", calls).await;
    let dry = |name: &'static str, sql: &str| {
        call(name, "POST /migrations/dry-run").json(json!({ "sql": sql }))
    };
    let calls: Vec<Call> = vec![
        dry(
            "harmless",
            "create table v (a int); insert into v values (1)",
        ),
        dry("a dropped table", "drop table t"),
        dry("an emptied table", "truncate t"),
        dry("a dropped schema", "create schema s; drop schema s"),
        dry(
            "columns",
            "alter table t drop column b, alter column a type bigint",
        ),
        dry(
            "a constraint",
            "alter table t add constraint c check (a > 0); alter table t drop constraint c",
        ),
        dry("refused", "reset role"),
        dry("not SQL", "drop tabel t"),
        dry("blank", " "),
        dry("only a comment", "-- nothing"),
        dry("failing", "select 1 / 0"),
        dry("dangerous and failing", "drop table t; drop table t"),
        call("no text", "POST /migrations/dry-run").json(json!({ "sql": 5 })),
        call("nothing was done", "GET /migrations"),
    ];
    suite.shows("dry-run", calls).await;
    suite.stop().await;
}
