//! Policies on the platform's tables: the project's to write, and nothing else about the tables.

use ingot_project::LoginRole;
use ingot_testkit::TestProject;
use sqlx::PgConnection;

use crate::database::{DENIED, execute, refusal, session, session_as};

async fn visible_channels(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from realtime.channels")
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn policies_bind_users_and_neither_administrators_nor_services() {
    let project = TestProject::create().await.unwrap();
    let mut admin = session_as(&project, "project_admin").await;
    execute(
        &mut admin,
        "insert into realtime.channels (pattern) values ('public:%'), ('private:%');
         alter table realtime.channels enable row level security;
         create policy open on realtime.channels for select to anon
             using (pattern like 'public:%');
         create policy trap on realtime.channels as restrictive to public
             using (pattern <> 'private:%');
         alter table storage.objects enable row level security;
         create policy own on storage.objects to authenticated
             using (uploaded_by = auth.jwt() ->> 'sub')",
    )
    .await
    .unwrap();

    assert_eq!(
        visible_channels(&mut session_as(&project, "anon").await).await,
        1
    );
    assert_eq!(
        visible_channels(&mut session_as(&project, "authenticated").await).await,
        0
    );
    assert_eq!(visible_channels(&mut admin).await, 2);
    let mut service = session(&project, LoginRole::Service).await;
    assert_eq!(visible_channels(&mut service).await, 2);
    // The publishing function acts as the tables' owner.
    let id: Option<String> =
        sqlx::query_scalar("select realtime.publish('private:1', 'e', '{}')::text")
            .fetch_one(&mut service)
            .await
            .unwrap();
    assert!(id.is_some());

    execute(
        &mut admin,
        "alter policy open on realtime.channels to anon, authenticated;
         drop policy trap on realtime.channels;
         alter table realtime.channels disable row level security",
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn the_platforms_tables_keep_their_shape() {
    let project = TestProject::create().await.unwrap();
    let mut admin = session_as(&project, "project_admin").await;
    execute(
        &mut admin,
        "create function public.spy() returns trigger language plpgsql as 'begin return new; end'",
    )
    .await
    .unwrap();
    for statement in [
        "alter table realtime.messages add column x int",
        "alter table realtime.messages alter column payload drop not null",
        "alter table realtime.messages rename to gone",
        "alter table realtime.messages disable trigger trg_message_stamp",
        "alter table realtime.messages force row level security",
        "alter table realtime.messages set (fillfactor = 50)",
        "alter table storage.objects owner to project_admin",
        "alter table realtime.channels drop constraint channels_pattern_key",
        "create trigger spy before insert on realtime.messages
            for each row execute function public.spy()",
        "create rule r as on insert to realtime.messages do instead nothing",
        "create index on realtime.messages (event_name)",
        "create table public.child () inherits (realtime.channels)",
        "grant select on realtime.messages to anon",
        "revoke insert on realtime.messages from anon",
        "drop table storage.objects cascade",
        "drop trigger trg_message_notify on realtime.messages",
        "drop function realtime.publish(text, text, jsonb)",
        "alter function realtime.publish(text, text, jsonb) security invoker",
        "drop owned by ingot_row_security cascade",
        "reassign owned by ingot_row_security to project_admin",
        "do $$ begin execute 'alter table realtime.messages add column x int'; end $$",
    ] {
        assert_eq!(refusal(&mut admin, statement).await, DENIED, "{statement}");
    }
    // And what only looks like it is allowed.
    execute(
        &mut admin,
        "create table public.attachments (
             bucket text, key text collate \"C\",
             foreign key (bucket, key) references storage.objects (bucket, key)
         );
         alter table public.attachments add column note text;
         create trigger spy before insert on public.attachments
             for each row execute function public.spy();
         drop table public.attachments",
    )
    .await
    .unwrap();
}
