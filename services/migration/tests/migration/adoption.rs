//! `adopt` on databases as the InsForge server leaves them, at three of its steps.

use std::collections::BTreeSet;

use anyhow::Context as _;
use ingot_config::Settings as _;
use ingot_identity::SecretCipher;
use ingot_migration::{Adoption, AdoptionError, BootstrapConfig, adopt};
use ingot_project::{LoginRole, ProjectRegistry};
use ingot_testkit::{TestProject, test_servers};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, raw_sql};

use crate::bootstrap::Newcomer;

const STEPS: [(u32, &str); 3] = [
    (18, include_str!("reference/step_018.sql")),
    (47, include_str!("reference/step_047.sql")),
    (
        64,
        concat!(
            include_str!("reference/payments_064.sql"),
            include_str!("reference/step_064.sql")
        ),
    ),
];

/// A database at that step of the other platform.
pub(crate) struct Reference {
    pub(crate) newcomer: Newcomer,
    owner: PgConnection,
}

impl Reference {
    pub(crate) async fn at(host: &TestProject, step: u32) -> Self {
        let newcomer = Newcomer::new(host, &format!("adopted_{step}"));
        let servers = test_servers().await.unwrap();
        let server = servers.superuser_options("postgres");
        ingot_schema::create_database_if_missing(&server, &newcomer.name)
            .await
            .unwrap();
        let owner = server.database(&newcomer.name).connect().await.unwrap();
        let mut reference = Self { newcomer, owner };
        for (_, sql) in STEPS.iter().filter(|(of, _)| *of <= step) {
            reference.execute(sql).await;
        }
        let mut numbers: Vec<u32> = (0..=step)
            .chain([33, 47])
            .filter(|it| *it <= step)
            .collect();
        numbers.sort_unstable();
        for number in numbers {
            reference
                .execute(&format!(
                    "insert into system.migrations (name, run_on) values ('{number:03}_a-step', now())"
                ))
                .await;
        }
        let project = reference
            .registry()
            .find(&reference.newcomer.name)
            .unwrap()
            .clone();
        let key = SecretCipher::new(&project)
            .encrypt("ik_of_the_reference")
            .unwrap();
        reference
            .execute(&format!(
                "insert into system.secrets (key, value_ciphertext, is_reserved)
                 values ('API_KEY', '{key}', true)"
            ))
            .await;
        reference
    }

    fn registry(&self) -> ProjectRegistry {
        ProjectRegistry::load(&self.newcomer.environment).unwrap()
    }

    pub(crate) async fn execute(&mut self, sql: &str) {
        raw_sql(AssertSqlSafe(sql))
            .execute(&mut self.owner)
            .await
            .with_context(|| sql.to_owned())
            .unwrap();
    }

    pub(crate) async fn text(&mut self, sql: &str) -> String {
        let text: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql))
            .persistent(false)
            .fetch_one(&mut self.owner)
            .await
            .with_context(|| sql.to_owned())
            .unwrap();
        text.unwrap_or_default()
    }

    pub(crate) async fn adopt(&self, apply: bool) -> Result<Adoption, AdoptionError> {
        let config = BootstrapConfig::load(&self.newcomer.environment).unwrap();
        adopt(&config, apply).await
    }

    pub(crate) async fn remove(self) {
        drop(self.owner);
        self.newcomer.remove().await;
    }

    /// Drops the database alone: a refused adoption made no logins.
    async fn drop_database(self) {
        drop(self.owner);
        let servers = test_servers().await.unwrap();
        let mut admin = servers
            .superuser_options("postgres")
            .connect()
            .await
            .unwrap();
        let drop = format!("drop database {} with (force)", self.newcomer.name);
        sqlx::query(AssertSqlSafe(drop))
            .execute(&mut admin)
            .await
            .unwrap();
    }
}

/// Every row of the tables that the platform and the project had, as text.
const CONTENT: &str = "select string_agg(line, E'\\n' order by line) from (
        select 'user ' || id || email || coalesce(password, '-') || profile::text from auth.users
        union all select 'provider ' || user_id || provider_account_id from auth.user_providers
        union all select 'object ' || bucket || key || size || coalesce(uploaded_by::text, '-') from storage.objects
        union all select 'channel ' || id || pattern from realtime.channels
        union all select 'message ' || id || channel_id || event_name from realtime.messages
        union all select 'function ' || slug || code from functions.definitions
        union all select 'note ' || id || owner || text from public.notes
        union all select 'audit ' || id || action from system.audit_logs
        union all select 'secret ' || key || value_ciphertext from system.secrets where key = 'API_KEY'
    ) as content (line)";

async fn shape(connection: &mut PgConnection) -> BTreeSet<String> {
    let made = |line: &str| {
        line.strip_prefix("create table ")?
            .split_once(" (")
            .map(|it| it.0.to_owned())
    };
    let tables: Vec<String> = ingot_schema::STEPS
        .iter()
        .flat_map(|step| step.sql.lines().filter_map(made))
        .collect();
    assert!(tables.len() > 30, "{tables:?}");
    sqlx::query_scalar(include_str!("reference/shape.sql"))
        .bind(tables)
        .fetch_all(connection)
        .await
        .unwrap()
        .into_iter()
        .collect()
}

#[tokio::test]
async fn a_database_of_each_step_is_taken_over_without_losing_a_row() {
    let fresh = TestProject::create().await.unwrap();
    let wanted = shape(&mut fresh.superuser().await.unwrap()).await;
    for (step, _) in STEPS {
        let mut reference = Reference::at(&fresh, step).await;
        let before = reference.text(CONTENT).await;

        let planned = reference.adopt(false).await.unwrap();
        let ledger = "select pg_catalog.to_regclass('system.schema_steps')::text";
        assert_eq!(
            reference.text(ledger).await,
            "",
            "a dry run changed step {step}"
        );
        assert_eq!(reference.text(CONTENT).await, before);

        let done = reference.adopt(true).await.unwrap();
        assert_eq!(done.actions, planned.actions);
        assert_eq!(done.found, format!("{step:03}_a-step"));
        assert_eq!(reference.text(CONTENT).await, before, "step {step}");
        let users = ("auth.users".to_owned(), 2);
        assert!(done.rows.contains(&users), "{:?}", done.rows);

        let found = shape(&mut reference.owner).await;
        let missing: Vec<_> = wanted.difference(&found).collect();
        assert!(missing.is_empty(), "step {step} lacks {missing:#?}");
        let extra: Vec<_> = found
            .difference(&wanted)
            .filter(|line| !line.starts_with("column") && !line.starts_with("constraint"))
            .filter(|line| !is_harmless(line))
            .collect();
        assert!(extra.is_empty(), "step {step} keeps {extra:#?}");
        if step == 64 {
            check_untouched(&done);
        }
        if step >= 47 {
            check_jobs(&done);
        }
        check_values(&mut reference, step).await;
        check_powers(&mut reference, &done).await;
        reference.remove().await;
    }
}

/// The newest tables beside the database are those of the steps, but for what an extension brings.
fn check_untouched(done: &Adoption) {
    let of_theirs = ["compute", "deployments", "memory", "payments", "schedules"];
    let changed: Vec<_> = done
        .actions
        .iter()
        .filter(|it| of_theirs.iter().any(|schema| it.starts_with(schema)))
        .collect();
    let relaxed = "memory.memories.embedding may be null, because Ingot does not fill it";
    assert_eq!(changed, [relaxed]);
}

/// Who runs which jobs is told.
fn check_jobs(done: &Adoption) {
    let told = done.remarks.join("\n");
    assert!(
        told.contains("1 jobs of pg_cron are those of schedules.jobs"),
        "{told}"
    );
    assert!(told.contains("1 other jobs of pg_cron go on"), "{told}");
}

/// The project's trigger on accounts, and functions that nobody else may execute.
fn is_harmless(line: &str) -> bool {
    line.contains("TRIGGER welcome AFTER INSERT ON auth.users")
        || line.starts_with("function system.reassign_public_objects_to_project_admin")
        || line.starts_with("function system.create_default_policies")
}

async fn check_values(reference: &mut Reference, step: u32) {
    for (sql, wanted) in [
        (
            "select min(password_min_length)::text from auth.config",
            "10",
        ),
        ("select count(*)::text from system.database_config", "1"),
        ("select count(*)::text from email.templates", "5"),
        (
            "select string_agg(distinct xid::text, ',') from realtime.messages",
            "3",
        ),
        (
            "select count(distinct sequence)::text from realtime.messages",
            "3",
        ),
        (
            "select relrowsecurity::text from pg_class where oid = 'storage.objects'::regclass",
            "true",
        ),
    ] {
        assert_eq!(reference.text(sql).await, wanted, "step {step}: {sql}");
    }
    if step < 60 {
        let kinds = "select string_agg(otp_type, ' ' order by otp_type) from auth.email_otps";
        assert_eq!(reference.text(kinds).await, "HASH_TOKEN NUMERIC_CODE");
    }
    if step >= 47 {
        for (sql, wanted) in [
            ("select retention_days::text from realtime.config", "30"),
            ("select max_file_size_mb::text from storage.config", "120"),
            ("select host from email.config", "mail.example.com"),
            ("select count(*)::text from schedules.jobs", "1"),
            ("select retention_days::text from schedules.config", "3"),
            (
                "select subject from email.templates where template_type = 'reset-password-code'",
                "Our own words",
            ),
            (
                "select pg_get_expr(polwithcheck, polrelid) from pg_policy where polname = 'folders'",
                "(((storage.foldername(key))[1] = (auth.jwt() ->> 'sub'::text)) AND (size < 100))",
            ),
        ] {
            assert_eq!(reference.text(sql).await, wanted, "step {step}: {sql}");
        }
    }
    check_services(reference, step).await;
    // The ledger is that of a database that was never anybody else's.
    ingot_schema::verify(&mut reference.owner).await.unwrap();
}

/// What older steps said of the one provider that they knew, and newer ones of each.
async fn check_services(reference: &mut Reference, step: u32) {
    let old = [
        (
            "select concat_ws(' ', provider, ingress, provider_app_id) from compute.services",
            "fly host app-1",
        ),
        (
            "select concat_ws(' ', provider, provider_account_id, account_email)
             from payments.provider_connections",
            "stripe acct_1 shop@example.com",
        ),
        (
            "select concat_ws(' ', provider, provider_customer_id, provider_created_at at time zone 'utc')
             from payments.customers",
            "stripe cus_1 2025-01-01 00:00:00",
        ),
        (
            "select concat_ws(' ', provider, provider_event_id) from payments.webhook_events",
            "stripe evt_1",
        ),
        (
            "select string_agg(concat_ws(' ', provider, type, provider_customer_id, provider_object_type,
                 provider_object_id, provider_parent_object_id, related_object_ids), ', ' order by type)
             from payments.transactions",
            "stripe one_time_payment cus_1 payment_intent pi_1 {\"payment_intent\": \"pi_1\"}, \
             stripe refund cus_1 refund re_1 pi_1 {\"refund\": \"re_1\", \"payment_intent\": \"pi_1\"}",
        ),
        // Another provider is not in the way of the first.
        (
            "with it as (insert into payments.provider_connections (provider, environment)
                 values ('razorpay', 'test') returning environment)
             select environment from it",
            "test",
        ),
    ];
    let new = [
        ("select provider from compute.services", "docker"),
        ("select amount::text from payments.transactions", "4200"),
        (
            "select polname::text from pg_policy
             where polrelid = 'payments.stripe_checkout_sessions'::regclass",
            "buyers",
        ),
        (
            "select title from memory.memories where content_tsv @@ to_tsquery('english', 'colour')",
            "Colours",
        ),
    ];
    let both = [
        (
            "select concat_ws(' ', p.product_id, p.name, r.price_id, r.product_id)
             from payments.stripe_products as p, payments.stripe_prices as r",
            "prod_1 Pen price_1 prod_1",
        ),
        (
            "select concat_ws(' ', i.subscription_item_id, i.subscription_id, s.subscription_id, s.customer_id)
             from payments.stripe_subscription_items as i, payments.stripe_subscriptions as s",
            "si_1 sub_1 sub_1 cus_1",
        ),
        (
            "select concat_ws(' ', provider, subject_id, provider_customer_id) from payments.customer_mappings",
            "stripe ada cus_1",
        ),
    ];
    let of_step = match step {
        47 => old.as_slice(),
        64 => &new,
        _ => return,
    };
    for (sql, wanted) in both.iter().chain(of_step) {
        assert_eq!(reference.text(sql).await, *wanted, "step {step}: {sql}");
    }
}

/// What the project had as a superuser's is the administrator's now, and its logins are weak.
async fn check_powers(reference: &mut Reference, done: &Adoption) {
    let owners = "select string_agg(distinct owner, ',') from (
        select pg_get_userbyid(relowner)::text from pg_class
        where relnamespace in ('public'::regnamespace, to_regnamespace('shop')) and relkind in ('r', 'v')
        union all select pg_get_userbyid(proowner) from pg_proc where pronamespace = 'public'::regnamespace
        union all select pg_get_userbyid(typowner) from pg_type where typname = 'mood'
        union all select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'shop'
    ) as object (owner)";
    assert_eq!(reference.text(owners).await, "project_admin");
    assert!(
        done.actions.iter().all(|action| !action.is_empty()) && done.actions.len() > 10,
        "{:#?}",
        done.actions
    );
    let registry = reference.registry();
    let project = registry.find(&reference.newcomer.name).unwrap();
    let options = project.connect_options(LoginRole::Sql);
    let mut administrator = options.connect().await.unwrap();
    let become_administrator = "set role project_admin";
    raw_sql(become_administrator)
        .execute(&mut administrator)
        .await
        .unwrap();
    for escape in [
        "update system.secrets set value_ciphertext = 'x'",
        "drop table auth.users",
        "alter table auth.users add column more text",
        "create trigger t after insert on storage.objects for each row execute function public.greet()",
        "insert into system.migrations (name, run_on) values ('x', now())",
    ] {
        let refused = raw_sql(escape).execute(&mut administrator).await;
        assert!(refused.is_err(), "{escape}");
    }
    // An account that is made now sets off the project's trigger, with its administrator's rights.
    raw_sql("insert into auth.users (email) values ('new@example.com')")
        .execute(&mut administrator)
        .await
        .unwrap();
    let welcome = "select count(*)::text from public.notes where text = 'welcome'";
    assert_eq!(reference.text(welcome).await, "1");
}

#[tokio::test]
async fn what_is_no_such_database_or_does_not_fit_is_left_alone() {
    let host = TestProject::create().await.unwrap();
    let config = BootstrapConfig::load(&host.environment()).unwrap();
    let error = adopt(&config, true).await.unwrap_err().to_string();
    assert!(error.contains("has Ingot's schema already"), "{error}");

    let mut reference = Reference::at(&host, 18).await;
    let refused = async |reference: &mut Reference, change: &str, part: &str, back: &str| {
        reference.execute(change).await;
        let error = reference.adopt(true).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        let untouched = "select pg_catalog.to_regclass('auth.sessions')::text";
        assert_eq!(reference.text(untouched).await, "");
        reference.execute(back).await;
    };
    refused(
        &mut reference,
        "insert into system.migrations (name, run_on) values ('065_unknown', now())",
        "up to step 064",
        "delete from system.migrations where name = '065_unknown'",
    )
    .await;
    refused(
        &mut reference,
        "update system.migrations set name = '000_again' where name = '003_a-step'",
        "are missing",
        "update system.migrations set name = '003_a-step' where name = '000_again'",
    )
    .await;
    refused(
        &mut reference,
        "update system.secrets set value_ciphertext = '00:00:00' where key = 'API_KEY'",
        "ENCRYPTION_KEY",
        "select 1",
    )
    .await;
    reference.drop_database().await;
}
