//! `realtime.publish`: what is stored, and who hears of it when.

use std::time::Duration;

use ingot_project::LoginRole;
use ingot_testkit::TestProject;
use sqlx::PgConnection;
use sqlx::postgres::PgListener;

use crate::database::{execute, session, session_as};

async fn project_with_channels() -> TestProject {
    let project = TestProject::create().await.unwrap();
    let mut admin = session_as(&project, "project_admin").await;
    execute(
        &mut admin,
        "insert into realtime.channels (pattern, enabled) values
            ('order:%', true), ('order:1:%', true), ('order:1:2', true), ('closed', false)",
    )
    .await
    .unwrap();
    project
}

async fn listen(project: &TestProject) -> PgListener {
    let mut listener = PgListener::connect(&project.superuser_url()).await.unwrap();
    listener.listen("realtime_message").await.unwrap();
    listener
}

async fn publish(connection: &mut PgConnection, channel: &str) -> Option<String> {
    sqlx::query_scalar("select realtime.publish($1, 'created', '{\"a\": 1}')::text")
        .bind(channel)
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_committed_message_is_announced_by_its_id_and_a_rolled_back_one_is_not() {
    let project = project_with_channels().await;
    let mut listener = listen(&project).await;
    let mut admin = session_as(&project, "project_admin").await;

    execute(&mut admin, "begin").await.unwrap();
    publish(&mut admin, "order:7").await.unwrap();
    execute(&mut admin, "rollback").await.unwrap();
    let silence = tokio::time::timeout(Duration::from_millis(300), listener.recv()).await;
    assert!(silence.is_err(), "{silence:?}");

    let id = publish(&mut admin, "order:7").await.unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(5), listener.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(heard.payload(), id);
}

#[tokio::test]
async fn a_large_payload_does_not_fail_the_insert() {
    let project = project_with_channels().await;
    let mut admin = session_as(&project, "project_admin").await;
    execute(
        &mut admin,
        "select realtime.publish('order:7', 'big', jsonb_build_object('text', repeat('x', 1000000)))",
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn the_exact_pattern_wins_then_the_longest_and_disabled_ones_never() {
    let project = project_with_channels().await;
    let mut admin = session_as(&project, "project_admin").await;
    for (channel, pattern) in [
        ("order:1:2", Some("order:1:2")),
        ("order:1:3", Some("order:1:%")),
        ("order:", Some("order:%")),
        ("closed", None),
        ("elsewhere", None),
    ] {
        let id = publish(&mut admin, channel).await;
        let found: Option<String> = sqlx::query_scalar(
            "select c.pattern from realtime.messages as m
             join realtime.channels as c on c.id = m.channel_id where m.id = $1::uuid",
        )
        .bind(id)
        .fetch_optional(&mut admin)
        .await
        .unwrap();
        assert_eq!(found.as_deref(), pattern, "{channel}");
    }
}

#[tokio::test]
async fn users_publish_through_functions_that_their_administrator_wrote() {
    let project = project_with_channels().await;
    let mut admin = session_as(&project, "project_admin").await;
    execute(
        &mut admin,
        "create table public.orders (id int);
         create function public.announce() returns trigger language plpgsql security definer as $$
         begin
             perform realtime.publish('order:' || new.id, tg_op, to_jsonb(new));
             return null;
         end $$;
         create trigger announce after insert on public.orders
             for each row execute function public.announce()",
    )
    .await
    .unwrap();
    let mut listener = listen(&project).await;
    let mut user = session_as(&project, "authenticated").await;
    execute(&mut user, "insert into public.orders values (5)")
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(5), listener.recv())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn nobody_chooses_the_transaction_that_a_message_belongs_to() {
    let project = project_with_channels().await;
    let mut user = session_as(&project, "anon").await;
    execute(
        &mut user,
        "insert into realtime.messages (event_name, channel_name, xid)
         values ('e', 'order:1', '999999999999')",
    )
    .await
    .unwrap();
    let mut service = session(&project, LoginRole::Service).await;
    let honest: bool = sqlx::query_scalar(
        "select bool_and(xid < pg_snapshot_xmax(pg_current_snapshot())) from realtime.messages",
    )
    .fetch_one(&mut service)
    .await
    .unwrap();
    assert!(honest);
}

#[tokio::test]
async fn only_messages_past_their_retention_are_deleted() {
    let project = project_with_channels().await;
    let mut service = session(&project, LoginRole::Service).await;
    execute(
        &mut service,
        "insert into realtime.messages (event_name, channel_name, created_at)
         select 'e', 'c', now() - make_interval(days => n, hours => -1) from generate_series(0, 9) as n",
    )
    .await
    .unwrap();
    let mut clean = async || -> i32 {
        sqlx::query_scalar("select realtime.cleanup_messages(2)")
            .fetch_one(&mut service)
            .await
            .unwrap()
    };
    assert_eq!(clean().await, 0, "no retention is set");
    project
        .execute("update realtime.config set retention_days = 4")
        .await
        .unwrap();
    assert_eq!(clean().await, 5);
    assert_eq!(clean().await, 0);
}
