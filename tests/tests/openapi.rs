//! Schemathesis drives the services by the OpenAPI documents that they serve: thousands of requests,
//! good and bad, none of which may be answered with 5xx or with what the document does not describe.
//!
//! It generates the same requests in each run.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

use std::process::Command;

use ingot_e2e::{TestStack, tool};
use ingot_standalone::Counts;

/// What is looked at in each answer. That a caller without a key is refused is `ignored_auth`.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,ignored_auth";

/// A table for the requests that name one.
const PETS: &str = "create table public.pets (id int primary key, name text, born timestamptz, doc jsonb,
        tags text[], weight numeric(5, 2));
    alter table public.pets owner to project_admin;
    insert into public.pets select g, 'pet ' || g, now(), '{}', '{a,b}', 1 from generate_series(1, 20) as g";

/// The table that is named in paths then.
const NAMED: &str = "[parameters]\n\"path.table\" = \"pets\"\n";

/// Runs schemathesis against one of the documents with further arguments.
async fn check(stack: &TestStack, document: &str, arguments: &[&str]) {
    let key = stack.project().api_key().expose().to_owned();
    let mut command = Command::new(tool("python/bin/schemathesis").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let parameters = if arguments.is_empty() { "" } else { NAMED };
    std::fs::write(folder.path().join("schemathesis.toml"), parameters).unwrap();
    command
        // It keeps what it learnt there, too.
        .current_dir(folder.path())
        .args(["--config-file", "schemathesis.toml"])
        .args(["run", &stack.url(document)])
        .args(["--header", &format!("Authorization: Bearer {key}")])
        .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", "15", "--generation-deterministic"])
        .args(["--no-shrink", "--continue-on-failure", "--no-color"])
        .args(["--suppress-health-check", "all", "--warnings", "off"])
        .args(["--request-timeout", "60"])
        .args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).replace(&key, "…");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("generated,"), "it tried nothing: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_plane_does_what_its_document_says() {
    let stack = TestStack::start(Counts::ONE).await.unwrap();
    check(&stack, "/api/database/openapi.json", &[]).await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_table_that_exists_are_as_described() {
    let stack = TestStack::start(Counts::ONE).await.unwrap();
    let mut owner = stack.project().superuser().await.unwrap();
    sqlx::raw_sql(PETS).execute(&mut owner).await.unwrap();
    let arguments = [
        "--include-path-regex",
        "\\{table\\}",
        "--exclude-operation-id",
        "dropTable",
    ];
    check(&stack, "/api/database/openapi.json", &arguments).await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_do_what_their_document_says() {
    let stack = TestStack::start(Counts::ONE).await.unwrap();
    check(&stack, "/api/database/migrations/openapi.json", &[]).await;
    stack.stop().await.unwrap();
}
