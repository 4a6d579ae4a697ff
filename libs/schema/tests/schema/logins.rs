//! Login roles and grants: who can reach what.

use ingot_project::LoginRole;
use ingot_schema::{SchemaError, prepare_logins};
use ingot_testkit::{TestProject, test_servers};
use sqlx::ConnectOptions;

use crate::database::{DENIED, execute, refusal, session, session_as};

#[tokio::test]
async fn no_login_is_powerful_and_each_becomes_only_what_it_should() {
    let project = TestProject::create().await.unwrap();
    let superuser = test_servers().await.unwrap().postgres_user.clone();
    for login in LoginRole::ALL {
        let mut session = session(&project, login).await;
        let powers: bool = sqlx::query_scalar(
            "select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls
             from pg_roles where rolname = current_user",
        )
        .fetch_one(&mut session)
        .await
        .unwrap();
        assert!(!powers, "{login:?}");

        let allowed: &[&str] = match login {
            LoginRole::Service => &["ingot_service"],
            LoginRole::Authenticator => &["anon", "authenticated", "project_admin"],
            LoginRole::Sql => &["project_admin"],
        };
        for role in [
            "anon",
            "authenticated",
            "project_admin",
            "ingot_service",
            &superuser,
        ] {
            let becomes = execute(&mut session, &format!("set role {role}"))
                .await
                .is_ok();
            assert_eq!(becomes, allowed.contains(&role), "{login:?} as {role}");
            execute(&mut session, "reset role").await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_login_reaches_its_own_database_only() {
    let (one, two) = (
        TestProject::create().await.unwrap(),
        TestProject::create().await.unwrap(),
    );
    for login in LoginRole::ALL {
        let stranger = one
            .project()
            .connect_options(login)
            .database(&two.project().database.name);
        let error = stranger.connect().await.unwrap_err();
        let code = error.as_database_error().unwrap().code().unwrap();
        assert_eq!(code, DENIED, "{login:?}: {error}");
    }
}

#[tokio::test]
async fn end_users_cannot_touch_the_platforms_tables() {
    let project = TestProject::create().await.unwrap();
    for role in ["anon", "authenticated"] {
        let mut user = session_as(&project, role).await;
        for statement in [
            "select * from auth.users",
            "select * from auth.sessions",
            "select * from system.secrets",
            "select * from system.schema_steps",
            "select * from realtime.messages",
            "insert into realtime.channels (pattern) values ('x')",
            "select realtime.publish('x', 'e', '{}')",
            "select realtime.cleanup_messages()",
            "create table public.mine ()",
            "create schema mine",
        ] {
            assert_eq!(
                refusal(&mut user, statement).await,
                DENIED,
                "{role}: {statement}"
            );
        }
        // Policies and defaults of theirs call these.
        execute(
            &mut user,
            "select auth.uid(), auth.role(), auth.email(), auth.jwt(), realtime.channel_name()",
        )
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn services_have_the_platforms_tables_and_no_others() {
    let project = TestProject::create().await.unwrap();
    let mut admin = session_as(&project, "project_admin").await;
    execute(&mut admin, "create table public.notes (id int)")
        .await
        .unwrap();
    let mut service = session(&project, LoginRole::Service).await;
    execute(
        &mut service,
        "select * from auth.users;
         insert into auth.sessions (subject, session_type, csrf_nonce, expires_at)
             values ('local:admin', 'admin', 'n', now());
         update system.secrets set is_active = true;
         delete from system.audit_logs;
         select * from system.schema_steps",
    )
    .await
    .unwrap();
    for statement in [
        "select * from public.notes",
        "create table public.mine ()",
        "create table system.mine ()",
        "delete from system.schema_steps",
        "update system.metadata set project = 'other'",
        // The project's triggers would run as the service.
        "insert into auth.users (email) values ('a@example.com')",
        "update auth.users set email = 'b@example.com'",
        "delete from auth.users",
        "truncate auth.users",
    ] {
        assert_eq!(
            refusal(&mut service, statement).await,
            DENIED,
            "{statement}"
        );
    }
}

#[tokio::test]
async fn administrators_change_accounts_but_not_the_platform() {
    let project = TestProject::create().await.unwrap();
    let mut admin = session_as(&project, "project_admin").await;
    execute(
        &mut admin,
        "insert into auth.users (email) values ('b@example.com');
         create table public.profiles (id uuid primary key references auth.users (id));
         select key from system.secrets",
    )
    .await
    .unwrap();
    for statement in [
        "insert into system.secrets (key, value_ciphertext) values ('k', 'v')",
        "select * from auth.sessions",
        "select * from auth.refresh_tokens",
        "insert into system.schema_steps values (1000, 'x', 'y')",
        "alter table auth.users add column x int",
        "create table auth.mine ()",
        "create role friend",
        "create event trigger mine on ddl_command_end execute function system.on_schema_ddl()",
    ] {
        assert_eq!(refusal(&mut admin, statement).await, DENIED, "{statement}");
    }
}

#[tokio::test]
async fn preparing_again_repairs_what_was_changed_by_hand() {
    let project = TestProject::create().await.unwrap();
    let name = LoginRole::Sql.name(&project.project().id);
    project
        .execute(&format!(
            "alter role {name} inherit createdb password 'stolen'; grant ingot_service to {name}"
        ))
        .await
        .unwrap();
    let mut owner = project.superuser().await.unwrap();
    prepare_logins(&mut owner, project.project()).await.unwrap();

    let mut sql = session(&project, LoginRole::Sql).await;
    let repaired: bool = sqlx::query_scalar(
        "select not rolcreatedb and not rolinherit
            and not pg_has_role(current_user, 'ingot_service', 'member')
         from pg_roles where rolname = current_user",
    )
    .fetch_one(&mut sql)
    .await
    .unwrap();
    assert!(repaired);
}

#[tokio::test]
async fn a_database_serves_one_project() {
    let (one, two) = (
        TestProject::create().await.unwrap(),
        TestProject::create().await.unwrap(),
    );
    let mut owner = one.superuser().await.unwrap();
    let error = prepare_logins(&mut owner, two.project()).await.unwrap_err();
    assert!(matches!(error, SchemaError::OtherProject { .. }), "{error}");
}
