//! Payments, schedules and memories: who may do what, and what is told where an extension is missing.

use ingot_project::LoginRole;
use ingot_testkit::TestProject;
use sqlx::{AssertSqlSafe, PgConnection};

use ingot_schema::{migrate, migrate_to};

use crate::database::{DENIED, EmptyDatabase, execute, refusal, session, session_as};

async fn text(connection: &mut PgConnection, sql: &str) -> String {
    let text: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(connection)
        .await
        .unwrap();
    text.unwrap_or_default()
}

const SESSION: &str = "insert into payments.stripe_checkout_sessions
    (environment, mode, success_url, cancel_url, subject_id)
    values ('test', 'payment', 'https://a', 'https://b', 'ann')";

#[tokio::test]
async fn end_users_begin_to_buy_and_only_policies_are_the_projects() {
    let project = TestProject::create().await.unwrap();
    let mut admin = session_as(&project, "project_admin").await;
    execute(
        &mut admin,
        "alter table payments.stripe_checkout_sessions enable row level security;
         create policy buy on payments.stripe_checkout_sessions for insert to anon
             with check (subject_id = 'ann');
         create function public.greet() returns trigger language plpgsql as 'begin return null; end';
         create trigger greet after insert on payments.stripe_checkout_sessions
             for each row execute function public.greet();
         create trigger greet after insert on payments.customers
             for each row execute function public.greet()",
    )
    .await
    .unwrap();
    let mut anon = session_as(&project, "anon").await;
    execute(&mut anon, SESSION).await.unwrap();
    let other = SESSION.replace("'ann'", "'bob'");
    assert_eq!(refusal(&mut anon, &other).await, DENIED);
    for forbidden in [
        "update payments.stripe_checkout_sessions set status = 'completed'",
        "delete from payments.stripe_checkout_sessions",
        "select from payments.transactions",
        "select from payments.razorpay_subscriptions",
        "select from schedules.jobs",
    ] {
        assert_eq!(refusal(&mut anon, forbidden).await, DENIED, "{forbidden}");
    }
    for forbidden in [
        "update payments.stripe_checkout_sessions set status = 'completed'",
        "delete from payments.razorpay_orders",
        "truncate payments.razorpay_subscriptions",
        "insert into payments.transactions (provider, environment, type, status)
            values ('stripe', 'test', 'refund', 'succeeded')",
        "drop trigger guard_rows on payments.stripe_checkout_sessions",
        "alter table payments.stripe_checkout_sessions disable trigger guard_rows",
        "create trigger greet after insert on payments.razorpay_orders
            for each row execute function public.greet()",
        "alter table payments.razorpay_orders add column more text",
        "create table public.r (o uuid references payments.razorpay_orders (id))",
    ] {
        assert_eq!(refusal(&mut admin, forbidden).await, DENIED, "{forbidden}");
    }
    execute(
        &mut admin,
        "insert into payments.razorpay_orders (environment, amount, currency) values ('test', 5, 'INR');
         update payments.razorpay_orders set status = 'paid'",
    )
    .await
    .unwrap();
    let mut service = session(&project, LoginRole::Service).await;
    // It would run the project's triggers.
    let customer = "insert into payments.customers (environment, provider, provider_customer_id)
        values ('test', 'stripe', 'c')";
    assert_eq!(refusal(&mut service, customer).await, DENIED);
}

#[tokio::test]
async fn a_job_that_misses_an_extension_says_how_to_get_it() {
    let project = TestProject::create().await.unwrap();
    let mut service = session(&project, LoginRole::Service).await;
    let told = text(
        &mut service,
        "select success || ' ' || message from schedules.upsert_job(
            gen_random_uuid(), 'n', '* * * * *', 'POST', 'https://a', null, null, null)",
    )
    .await;
    assert!(told.starts_with("false the extension pg_cron"), "{told}");
    assert!(told.contains("apt-get install postgresql-"), "{told}");
    assert_eq!(
        text(&mut service, "select count(*)::text from schedules.jobs").await,
        "0"
    );
    execute(
        &mut service,
        "insert into schedules.jobs (id, name, cron_schedule, function_url)
         values ('00000000-0000-4000-8000-000000000001', 'n', '* * * * *', 'https://a');
         select schedules.execute_job('00000000-0000-4000-8000-000000000001');
         insert into schedules.job_logs (job_id, executed_at)
         values ('00000000-0000-4000-8000-000000000001', now() - interval '8 days')",
    )
    .await
    .unwrap();
    let log = "select string_agg(concat(success, ' ', status_code, ' ', message), ',')
        from schedules.job_logs where status_code is not null";
    let told = text(&mut service, log).await;
    assert!(told.starts_with("f 500 the extension http"), "{told}");
    let removed = "select schedules.cleanup_job_logs()::text";
    assert_eq!(text(&mut service, removed).await, "1");
    let mut admin = session_as(&project, "project_admin").await;
    for forbidden in [
        "select schedules.encrypt_headers('{}')",
        "select schedules.cleanup_job_logs()",
        "select system.use_extensions()",
    ] {
        assert_eq!(refusal(&mut admin, forbidden).await, DENIED, "{forbidden}");
    }
}

#[tokio::test]
async fn memories_are_found_by_words_without_the_extension() {
    let project = TestProject::create().await.unwrap();
    let mut service = session(&project, LoginRole::Service).await;
    execute(
        &mut service,
        "insert into memory.memories (scope, kind, title, content)
         values ('app', 'fact', 'Colours', 'The house is green')",
    )
    .await
    .unwrap();
    let found = "select count(*)::text from memory.memories
        where content_tsv @@ to_tsquery('english', 'colour & houses')";
    assert_eq!(text(&mut service, found).await, "1");
}

/// Its owner could drop what the platform puts into it.
#[tokio::test]
async fn a_schema_of_the_project_is_not_taken_for_the_platforms() {
    let database = EmptyDatabase::create("taken").await;
    let mut owner = database.owner().await;
    migrate_to(&mut owner, 14).await.unwrap();
    execute(
        &mut owner,
        "create schema memory authorization ingot_row_security;
         create schema payments authorization project_admin",
    )
    .await
    .unwrap();
    let error = format!("{:?}", migrate(&mut owner).await.unwrap_err());
    assert!(
        error.contains("names Ingot needs now: memory, payments"),
        "{error}"
    );
    execute(
        &mut owner,
        "alter schema memory rename to mine; alter schema payments rename to shop",
    )
    .await
    .unwrap();
    migrate(&mut owner).await.unwrap();
    drop(owner);
    database.drop().await;
}
