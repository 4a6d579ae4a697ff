//! What is done with `http` and `pg_cron` where they are. Debian 12 has no packages of `http`, and
//! `pg_cron` is in one database of a server: here are functions of the same signatures, and the
//! entry of an extension.

use ingot_project::LoginRole;
use ingot_testkit::TestProject;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::database::{execute, session, session_as};

/// As pgsql-http has it, in `public`, where a database of the other platform has it. A call is
/// written down instead of made.
const HTTP: &str = "
    create domain public.http_method as text;
    create type public.http_header as (field varchar, value varchar);
    create type public.http_request as (method public.http_method, uri varchar,
        headers public.http_header[], content_type varchar, content varchar);
    create type public.http_response as (status integer, content_type varchar,
        headers public.http_header[], content varchar);
    create table public.calls (request text);
    grant all on public.calls to public;
    create function public.http_header(field varchar, value varchar) returns public.http_header
        language sql as 'select $1, $2';
    create function public.http_set_curlopt(curlopt varchar, value varchar) returns boolean
        language sql as 'select true';
    create function public.http(request public.http_request) returns public.http_response
        language sql as $$
            insert into public.calls values (request::text);
            select 204, null::varchar, null::public.http_header[], null::varchar
        $$";

/// As `pg_cron` has it: everybody sees and removes his own jobs.
const CRON: &str = "
    create schema cron;
    create table cron.job (jobid bigint generated always as identity, schedule text, command text,
        username text default current_user, jobname text);
    alter table cron.job enable row level security;
    create policy own on cron.job using (username = current_user);
    grant select on cron.job to public;
    create function cron.schedule(schedule text, command text) returns bigint
        language sql security definer as $$
            insert into cron.job (schedule, command, username) values ($1, $2, session_user)
            returning jobid
        $$;
    create function cron.schedule(name text, schedule text, command text) returns bigint
        language sql security definer as $$
            insert into cron.job (jobname, schedule, command, username) values ($1, $2, $3, session_user)
            returning jobid
        $$;
    create function cron.unschedule(id bigint) returns boolean
        language sql security definer as $$
            delete from cron.job where jobid = $1 and username = session_user returning true
        $$";

const JOB: &str = "'00000000-0000-4000-8000-000000000001'";

async fn install(owner: &mut PgConnection, name: &str, objects: &str, schema: &str) {
    let entry = format!(
        "{objects};
         insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
         select max(oid::bigint) + 70000, '{name}', 10, '{schema}'::regnamespace, false, '1'
         from pg_extension"
    );
    execute(owner, &entry).await.unwrap();
}

async fn text(connection: &mut PgConnection, sql: &str) -> String {
    let text: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(connection)
        .await
        .unwrap();
    text.unwrap_or_default()
}

/// `upsert_job` of [`JOB`] with such headers.
fn upsert(headers: &str) -> String {
    format!(
        "select concat_ws(' ', success, message) from schedules.upsert_job({JOB}, 'n', '* * * * *',
             'PUT', 'https://a', '{{\"A\": \"b\"}}', {headers}, '{{\"c\": 1}}')"
    )
}

const LOG: &str =
    "select string_agg(concat_ws(' ', success, status_code, message), ',' order by executed_at)
    from schedules.job_logs";

#[tokio::test]
async fn a_job_calls_what_it_should_with_the_headers_that_only_the_key_opens() {
    let project = TestProject::create().await.unwrap();
    let mut owner = project.superuser().await.unwrap();
    install(&mut owner, "http", HTTP, "public").await;
    install(&mut owner, "pg_cron", CRON, "pg_catalog").await;
    execute(
        &mut owner,
        "create extension pgcrypto schema public; select system.use_extensions()",
    )
    .await
    .unwrap();
    let mut service = session(&project, LoginRole::Service).await;
    let headers = "'{\"Authorization\": \"Bearer x\"}'";
    let told = text(&mut service, &upsert(headers)).await;
    assert_eq!(told, "f the setting app.encryption_key is missing");

    let run = format!("select schedules.execute_job({JOB})");
    execute(&mut service, "set app.encryption_key = 'k'")
        .await
        .unwrap();
    let told = text(&mut service, &upsert(headers)).await;
    assert_eq!(told, "t Job scheduled");
    execute(&mut service, &run).await.unwrap();
    assert_eq!(text(&mut service, LOG).await, "t 204 Success");
    let call = text(&mut service, "select request from public.calls").await;
    assert!(call.starts_with("(PUT,https://a,"), "{call}");
    assert!(
        call.contains("Authorization,") && call.contains("Bearer x"),
        "{call}"
    );
    let stored = text(
        &mut service,
        "select to_jsonb(j)::text from schedules.jobs as j",
    )
    .await;
    assert!(!stored.contains("Bearer"), "{stored}");

    // A session without the key calls nobody: the other side would not know who calls.
    execute(
        &mut service,
        "reset app.encryption_key; delete from schedules.job_logs",
    )
    .await
    .unwrap();
    execute(&mut service, &run).await.unwrap();
    let log = text(&mut service, LOG).await;
    assert_eq!(log, "f 500 the setting app.encryption_key is missing");
    assert_eq!(
        text(&mut service, "select count(*)::text from public.calls").await,
        "1"
    );
}

/// It may create functions in the schema of an extension that is in `public`.
#[tokio::test]
async fn a_projects_functions_beside_an_extensions_are_not_called() {
    let project = TestProject::create().await.unwrap();
    let mut owner = project.superuser().await.unwrap();
    install(&mut owner, "http", HTTP, "public").await;
    execute(&mut owner, "select system.use_extensions()")
        .await
        .unwrap();
    let mut admin = session_as(&project, "project_admin").await;
    execute(
        &mut admin,
        "create table public.trap (who text);
         grant all on public.trap to public;
         create function public.http_set_curlopt(text, text) returns boolean language sql as
             'insert into public.trap values (current_user) returning true';
         create function public.http_header(text, text) returns public.http_header language sql as
             'insert into public.trap values (current_user); select null::varchar, null::varchar'",
    )
    .await
    .unwrap();
    let mut service = session(&project, LoginRole::Service).await;
    execute(
        &mut service,
        &format!(
            "insert into schedules.jobs (id, name, cron_schedule, function_url)
             values ({JOB}, 'n', '* * * * *', 'https://a');
             select schedules.execute_job({JOB});
             select schedules.build_http_headers('{{\"a\": \"b\"}}')"
        ),
    )
    .await
    .unwrap();
    assert_eq!(text(&mut service, LOG).await, "t 204 Success");
    let trapped = "select string_agg(who, ',') from public.trap";
    assert_eq!(text(&mut owner, trapped).await, "");
}

#[tokio::test]
async fn jobs_are_the_services_whoever_had_made_them() {
    let project = TestProject::create().await.unwrap();
    let mut owner = project.superuser().await.unwrap();
    install(&mut owner, "pg_cron", CRON, "pg_catalog").await;
    // As another platform leaves one, as a backup brings one, and one that is none of ours.
    execute(
        &mut owner,
        &format!(
            "select cron.schedule('* * * * *', 'select 1');
             insert into schedules.jobs (id, name, cron_schedule, function_url, cron_job_id)
             select {JOB}, 'before', '* * * * *', 'https://a', cron.schedule('* * * * *', 'select 2');
             insert into schedules.jobs (name, cron_schedule, function_url, is_active)
             values ('restored', '1 * * * *', 'https://b', true),
                 ('stopped', '2 * * * *', 'https://c', false);
             select system.use_extensions();
             select system.use_extensions()"
        ),
    )
    .await
    .unwrap();
    let service_login = LoginRole::Service.name(&project.project().id);
    let jobs = format!(
        "select string_agg(concat_ws(' ', schedule, coalesce(j.name, c.jobname), username = '{service_login}'),
             ',' order by jobid)
         from cron.job as c left join schedules.jobs as j on j.cron_job_id = c.jobid"
    );
    assert_eq!(
        text(&mut owner, &jobs).await,
        "* * * * * f,* * * * * before t,0 * * * * schedules-job-logs-retention t,1 * * * * restored t"
    );

    let mut service = session(&project, LoginRole::Service).await;
    let stop = format!("select concat_ws(' ', success, message) from schedules.disable_job({JOB})");
    assert_eq!(text(&mut service, &stop).await, "t Job disabled");
    assert!(!text(&mut owner, &jobs).await.contains("before"));
    let changed = text(&mut service, &upsert("null")).await;
    assert_eq!(changed, "t Job scheduled");

    // Without pg_cron there is nothing to stop.
    execute(
        &mut owner,
        "delete from pg_extension where extname = 'pg_cron'; drop schema cron cascade",
    )
    .await
    .unwrap();
    let delete =
        format!("select concat_ws(' ', success, message) from schedules.delete_job({JOB})");
    assert_eq!(text(&mut service, &delete).await, "t Job deleted");
}

/// An extension may be too old, or its objects in the way of others.
#[tokio::test]
async fn an_extension_that_cannot_be_used_keeps_no_project_down() {
    let project = TestProject::create().await.unwrap();
    let mut owner = project.superuser().await.unwrap();
    install(&mut owner, "vector", "select", "public").await;
    install(
        &mut owner,
        "http",
        "create table public.http_header ()",
        "public",
    )
    .await;
    install(&mut owner, "pg_cron", CRON, "pg_catalog").await;
    execute(&mut owner, "select system.use_extensions()")
        .await
        .unwrap();
    let jobs = "select string_agg(jobname, ',') from cron.job";
    assert_eq!(text(&mut owner, jobs).await, "schedules-job-logs-retention");
}

#[tokio::test]
async fn an_extension_of_the_project_is_not_used_and_the_advice_says_so() {
    let project = TestProject::create().await.unwrap();
    let mut admin = session_as(&project, "project_admin").await;
    execute(&mut admin, "create extension pgcrypto schema public")
        .await
        .unwrap();
    let mut service = session(&project, LoginRole::Service).await;
    let error = execute(
        &mut service,
        "set app.encryption_key = 'k'; select schedules.encrypt_headers('{\"a\": \"b\"}')",
    )
    .await
    .unwrap_err();
    let error = error.as_database_error().unwrap().message().to_owned();
    assert!(error.contains("because the project made it"), "{error}");
}
