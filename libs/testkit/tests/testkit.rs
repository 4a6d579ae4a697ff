//! The test kit itself: databases that are apart, services that start, scripts that talk.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use ingot_http::{Health, ListenSettings};
use ingot_project::LoginRole;
use ingot_testkit::{Node, TestProject, TestService};
use serde_json::json;
use sqlx::Connection;

#[tokio::test]
async fn projects_are_apart_and_leave_nothing() {
    let one = TestProject::create().await.unwrap();
    let two = TestProject::create().await.unwrap();
    one.execute("create table public.mine (id int)")
        .await
        .unwrap();

    let mut other = two.superuser().await.unwrap();
    let found: bool = sqlx::query_scalar("select to_regclass('public.mine') is not null")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert!(!found);

    // A login of one project cannot reach the other's database.
    let stranger = one
        .project()
        .connect_options(LoginRole::Service)
        .database(&two.project().database.name);
    assert!(sqlx::PgConnection::connect_with(&stranger).await.is_err());

    let name = one.project().database.name.clone();
    drop(one);
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from pg_database where datname = $1)
              + (select count(*) from pg_roles where rolname like $1 || '\\_%')",
    )
    .bind(name)
    .fetch_one(&mut other)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn every_login_role_works() {
    let project = TestProject::create().await.unwrap();
    for role in LoginRole::ALL {
        let user: String = sqlx::query_scalar("select current_user::text")
            .fetch_one(&project.pool(role).unwrap())
            .await
            .unwrap();
        assert_eq!(user, role.name(&project.project().id));
    }
}

#[tokio::test]
async fn a_service_starts_on_a_free_port_and_stops() {
    let project = TestProject::create().await.unwrap();
    let serve = |settings: ListenSettings, shutdown| async move {
        let router = Router::new().route("/greeting", get(|| async { "hello" }));
        ingot_http::serve(&settings, 0, router, Health::new(Vec::new()), shutdown).await?;
        Ok(())
    };
    let service = TestService::start(&project, &[], serve).await.unwrap();
    let answer = service.request(reqwest::Method::GET, "/greeting");
    let text = answer.send().await.unwrap().text().await.unwrap();
    assert_eq!(text, "hello");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_script_talks_and_its_packages_are_there() {
    let mut node = Node::script("testkit/echo.mjs")
        .env("GREETING", "hi")
        .start()
        .unwrap();
    assert_eq!(
        node.next().await.unwrap().unwrap(),
        json!({"greeting": "hi", "packages": ["function", "function", "function"]})
    );
    node.send(&json!([1, 2])).await.unwrap();
    assert_eq!(
        node.next().await.unwrap().unwrap(),
        json!({"heard": [1, 2]})
    );
    assert!(node.finish().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_failing_and_a_hanging_script_are_told() {
    let failing = Node::script("testkit/echo.mjs")
        .env("FAIL", "1")
        .run()
        .await;
    assert!(failing.unwrap_err().to_string().contains("asked to fail"));

    let mut hanging = Node::script("testkit/echo.mjs")
        .timeout(Duration::from_secs(2))
        .start()
        .unwrap();
    hanging.next().await.unwrap().unwrap();
    let error = hanging.next().await.unwrap_err();
    assert!(error.to_string().contains("took too long"), "{error}");
}
