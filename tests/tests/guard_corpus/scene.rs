//! What an escape would change, read out and killed: looked at after every case.

use std::time::{Duration, Instant};

use ingot_project::LoginRole;
use reqwest::Method;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::paths::{Path, Stage, send};

/// What no answer may contain: password verifiers, `/etc/passwd`, a session's secret, what another
/// session is doing.
const SECRETS: [&str; 4] = ["SCRAM-SHA-256$", "root:x:0", "nonce-canary", "query-canary"];

/// How long a session may go on after its answer: it is ended in the background.
const PATIENCE: Duration = Duration::from_secs(5);

/// Rows that must stay as they are.
const CANARIES: &str = "
    insert into auth.users (id, email) values ('00000000-0000-0000-0000-00000000cafe', 'canary@example.com');
    insert into auth.sessions (subject, session_type, csrf_nonce, expires_at)
        values ('canary', 'admin', 'nonce-canary', 'infinity');
    insert into realtime.channels (id, pattern)
        values ('00000000-0000-0000-0000-00000000cafe', 'corpus');
    insert into realtime.messages (id, event_name, channel_name, sender_type)
        values ('00000000-0000-0000-0000-00000000cafe', 'canary', 'corpus', 'system');
    insert into storage.buckets (name) values ('corpus');
    insert into storage.objects (bucket, key, size) values ('corpus', 'canary', 1);
    insert into storage.s3_access_keys (access_key_id, secret_access_key_encrypted)
        values ('canary', 'x');
    insert into payments.transactions (provider, environment, type, status)
        values ('canary', 'test', 'refund', 'pending');
    insert into payments.stripe_checkout_sessions (environment, mode, success_url, cancel_url)
        values ('test', 'payment', 'canary', 'canary');
    insert into payments.razorpay_orders (environment, amount, currency) values ('test', 1, 'canary');
    insert into schedules.jobs (name, cron_schedule, function_url) values ('canary', 'x', 'x')";

/// Everything that an escape would change. Other tests make projects in the same cluster, so of
/// what is shared only the platform's and this project's part is looked at.
const SCENE: &str = r"
with ours as (
    select oid from pg_authid
    where rolname ~ '^(pg_|anon$|authenticated$|project_admin$|ingot_)' or rolname like 'evil%'
       or oid = 10 or rolname like current_database() || '\_%'
),
platform as (
    select oid from pg_namespace
    where nspname in ('auth', 'system', 'realtime', 'storage', 'functions', 'email', 'compute',
        'deployments', 'memory', 'payments', 'schedules', 'pg_catalog', 'information_schema')
),
scene (part, state) as (values
    ('roles', (select string_agg(r::text, ',' order by oid) from pg_authid r
        where oid in (select oid from ours))),
    ('memberships', (select string_agg(m::text, ',' order by roleid, member) from pg_auth_members m
        where member in (select oid from ours) or roleid in (select oid from ours)
            -- Other tests' logins come and go.
            and member not in (select oid from pg_authid
                where rolname ~ '_(service|authenticator|sql)$'))),
    ('role settings', (select string_agg(concat_ws(' ', setrole, setdatabase, s), ',' order by setrole, setdatabase, s)
        from pg_db_role_setting d, unnest(setconfig) s where setrole in (select oid from ours) or setrole = 0)),
    ('databases', (select string_agg(concat(datname, datdba, coalesce(datacl, acldefault('d', datdba)), datallowconn), ',' order by oid)
        from pg_database where datname in (current_database(), 'postgres', 'template1')
            or datname like 'evil%')),
    ('comments', (select string_agg(s::text, ',' order by objoid) from pg_shdescription s)),
    ('tablespaces', (select string_agg(spcname, ',') from pg_tablespace)),
    ('schemas', (select string_agg(concat(nspname, nspowner, nspacl), ',' order by oid)
        from pg_namespace where oid in (select oid from platform))),
    ('relations', (select string_agg(concat(relname, relkind, relowner, relacl, relforcerowsecurity,
            relnatts, relchecks, relhasrules, relpersistence), ',' order by oid)
        from pg_class where relnamespace in (select oid from platform) and relkind <> 'i')),
    ('indexes', (select string_agg(pg_get_indexdef(i.indexrelid), ',' order by i.indexrelid::regclass::text)
        from pg_index i join pg_class c on c.oid = i.indrelid
        where c.relnamespace in (select oid from platform) and c.relnamespace <> 'pg_catalog'::regnamespace)),
    ('functions', (select concat(count(*), ' ', max(xmin::text::bigint)) from pg_proc
        where pronamespace in (select oid from platform))),
    ('definers', (select string_agg(proname, ',') from pg_proc
        where prosecdef and proowner not in (select oid from pg_authid where rolname = 'project_admin')
            and pronamespace not in (select oid from platform))),
    ('sequences', (select string_agg(concat(s.schemaname, s.sequencename, s.sequenceowner, s.start_value,
            s.min_value, s.max_value, s.increment_by, s.cycle, coalesce(s.last_value, 0) < 1000000), ',' order by s.sequencename)
        from pg_sequences s where s.schemaname::regnamespace in (select oid from platform))),
    ('parameters', (select string_agg(p::text, ',') from pg_parameter_acl p)),
    ('ledger', (select string_agg(m.version || m.name, ',' order by m.created_at) from system.custom_migrations m
        where m.name <> 'case')),
    ('members of extensions', (select string_agg(pg_describe_object(classid, objid, objsubid), ',')
        from pg_depend where deptype in ('e', 'x') and (objid in (select oid from platform)
            or objid in (select oid from pg_class where relnamespace in (select oid from platform)
                and relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace))))),
    ('triggers', (select string_agg(concat(tgname, tgrelid::regclass, tgenabled), ',' order by t.oid)
        from pg_trigger t join pg_class c on c.oid = tgrelid
        where relnamespace in (select oid from platform) and not tgisinternal
            and tgrelid <> 'auth.users'::regclass
            -- Where triggers are the project's own, only the platform's matter.
            and (concat('payments.', relname) not in ('payments.customers', 'payments.webhook_events',
                    'payments.stripe_checkout_sessions', 'payments.stripe_customer_portal_sessions')
                or tgname in ('guard_rows', concat('trg_payments_', relname, '_updated_at'))))),
    ('references', (select string_agg(conname, ',') from pg_constraint where contype = 'f'
        and confrelid in (select oid from pg_class where relnamespace in (select oid from platform))
        and confrelid not in ('auth.users'::regclass, 'storage.objects'::regclass)
        and connamespace not in (select oid from platform))),
    ('event triggers', (select string_agg(concat(evtname, evtenabled, evtowner), ',' order by oid)
        from pg_event_trigger)),
    ('policies', (select string_agg(concat(polname, polrelid::regclass), ',') from pg_policy
        join pg_class c on c.oid = polrelid
        where relnamespace in (select oid from platform)
            and relowner <> 'ingot_row_security'::regrole)),
    ('row security', (select string_agg(concat(relname, relrowsecurity), ',' order by oid) from pg_class
        where relnamespace in (select oid from platform) and relkind = 'r'
            and relowner <> 'ingot_row_security'::regrole)),
    ('default privileges', (select string_agg(d::text, ',') from pg_default_acl d
        where defaclrole not in (select oid from pg_authid where rolname = 'project_admin'))),
    ('extensions', (select string_agg(extname, ',' order by extname) from pg_extension
        where extnamespace in (select oid from platform) or extname in ('dblink', 'postgres_fdw',
            'file_fdw', 'adminpack', 'pageinspect', 'pg_surgery', 'plpython3u'))),
    ('catalogue', (select concat_ws(',',
        (select count(*) from pg_cast where castsource < 16384 and casttarget < 16384),
        (select count(*) from pg_operator where oprnamespace in (select oid from platform)),
        (select count(*) from pg_conversion where connamespace in (select oid from platform)),
        (select count(*) from pg_opclass where opcnamespace in (select oid from platform)),
        (select count(*) from pg_language), (select count(*) from pg_am),
        (select count(*) from pg_replication_slots), (select count(*) from pg_subscription),
        (select count(*) from pg_foreign_server), (select count(*) from pg_foreign_data_wrapper),
        (select count(*) from pg_prepared_xacts), (select count(*) from pg_replication_origin),
        (select count(*) from pg_seclabels),
        (select count(*) from pg_publication_rel where prrelid::regclass::text ~ '^(realtime|storage|auth|system|payments|schedules)\.')))),
    ('settings', (select md5(string_agg(name || coalesce(setting, ''), ',' order by name)) from pg_settings
        where context in ('sighup', 'postmaster'))),
    ('secrets', (select string_agg(s::text, ',' order by id) from (select id, key, value_ciphertext from system.secrets) s)),
    ('metadata', (select string_agg(s::text, ',') from system.metadata s)),
    ('logins', (select string_agg(s::text, ',' order by name) from system.logins s)),
    ('steps', (select string_agg(s::text, ',' order by number) from system.schema_steps s)),
    ('config', (select concat((select json_agg(c) from system.config c), (select json_agg(c) from auth.config c),
        (select json_agg(c) from storage.config c), (select json_agg(c) from email.config c),
        (select json_agg(c) from system.database_config c)))),
    ('keys', (select concat((select json_agg(c) from storage.s3_access_keys c), (select json_agg(c) from storage.buckets c)))),
    ('objects', (select string_agg(o::text, ',') from storage.objects o)),
    ('payments', (select concat((select json_agg(t) from payments.transactions t),
        (select json_agg(t) from payments.stripe_checkout_sessions t where success_url = 'canary'),
        (select json_agg(t) from payments.razorpay_orders t where currency = 'canary')))),
    ('jobs', (select json_agg(j)::text from schedules.jobs j)),
    ('message', (select string_agg(m.event_name, ',') from realtime.messages m
        where id = '00000000-0000-0000-0000-00000000cafe')),
    ('channel', (select string_agg(c::text, ',') from realtime.channels c
        where id = '00000000-0000-0000-0000-00000000cafe')),
    ('user', (select string_agg(u::text, ',') from auth.users u
        where id = '00000000-0000-0000-0000-00000000cafe')),
    ('session', (select string_agg(s::text, ',') from auth.sessions s where subject = 'canary')),
    ('definitions', (select count(*)::text from functions.definitions)),
    ('audit', (select min(created_at)::text from system.audit_logs))
)
select part, state from scene";

/// What a session begins with; nothing of an earlier one may show.
const FRESH: &str = "select current_user, session_user, current_setting('search_path') as path,
    current_setting('statement_timeout') as timeout, current_setting('row_security') as rls,
    current_setting('work_mem') as mem, current_setting('client_encoding') as encoding,
    current_setting('default_transaction_read_only') as read_only,
    current_setting('request.jwt.claims') as claims, current_setting('my.role', true) as mine,
    (select count(*) from pg_prepared_statements where name !~ '^sqlx_s_') as prepared,
    (select count(*) from pg_cursors where name <> '') as cursors,
    (select count(*) from pg_listening_channels()) as listening,
    (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
    (select count(*) from pg_class where relnamespace = pg_my_temp_schema()) as temporary";

type State = Vec<(String, Option<String>)>;

/// Watches for what must not happen.
pub(crate) struct Scene {
    owner: PgConnection,
    /// Another administrator's session, and one of a service.
    victims: [PgConnection; 2],
    state: State,
    fresh: String,
}

impl Scene {
    pub(crate) async fn set(stage: &Stage) -> anyhow::Result<Self> {
        let mut owner = stage.project.superuser().await?;
        sqlx::raw_sql(CANARIES).execute(&mut owner).await?;
        // The first audit entry.
        let fresh = stage.run(Path::Raw, FRESH).await?.text;
        let state = sqlx::query_as(SCENE).fetch_all(&mut owner).await?;
        let victims = victims(stage).await?;
        Ok(Self {
            owner,
            victims,
            state,
            fresh,
        })
    }

    /// What is not as it should be after a case; each finding is told once.
    pub(crate) async fn damage(
        &mut self,
        stage: &Stage,
        answer: &str,
    ) -> anyhow::Result<Vec<String>> {
        let mut damage = Vec::new();
        for secret in SECRETS.iter().filter(|secret| answer.contains(**secret)) {
            damage.push(format!("the answer contains {secret}"));
        }
        if !self.sessions_end(stage).await? {
            damage.push("its session goes on".to_owned());
        }
        let state: State = sqlx::query_as(SCENE).fetch_all(&mut self.owner).await?;
        for (before, after) in self.state.iter().zip(&state).filter(|(a, b)| a != b) {
            damage.push(format!("{}: {:?} became {:?}", before.0, before.1, after.1));
        }
        self.state = state;
        let fresh = stage.run(Path::Raw, FRESH).await?.text;
        if fresh != self.fresh {
            damage.push(format!("the next session begins with {fresh}"));
        }
        for victim in &mut self.victims {
            if sqlx::raw_sql("select 'query-canary'")
                .execute(victim)
                .await
                .is_err()
            {
                damage.push("a session of somebody else was ended".to_owned());
            }
        }
        if damage.iter().any(|found| found.starts_with("a session")) {
            self.victims = victims(stage).await?;
        }
        for entry in std::fs::read_dir("/tmp")?.flatten() {
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with("ingot-escape-")
            {
                std::fs::remove_file(entry.path()).ok();
                damage.push("a file was written".to_owned());
            }
        }
        Ok(damage)
    }

    async fn sessions_end(&mut self, stage: &Stage) -> anyhow::Result<bool> {
        let login = LoginRole::Sql.name(&stage.project.project().id);
        let deadline = Instant::now() + PATIENCE;
        loop {
            // One is a victim; idle ones of the pool have run nothing of a case.
            let going_on: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity a where usename = $1
                 and (state <> 'idle' or exists (select from pg_locks l
                      where l.pid = a.pid and locktype in ('advisory', 'relation')))",
            )
            .bind(&login)
            .fetch_one(&mut self.owner)
            .await?;
            if going_on == 0 {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn victims(stage: &Stage) -> anyhow::Result<[PgConnection; 2]> {
    let service = stage.project.project().connect_options(LoginRole::Service);
    Ok([
        stage.session().await?,
        PgConnection::connect_with(&service).await?,
    ])
}

/// The platform's own work, on everything that a project may have laid a trap at. Returns what of
/// it failed.
pub(crate) async fn spring(stage: &Stage, number: usize) -> anyhow::Result<Vec<String>> {
    let mut failures = Vec::new();
    let email = format!("user{number}@example.com");
    let user = json!({ "email": email, "password": "correct horse", "name": "Ann" });
    let users = "/api/auth/users?client_type=mobile";
    let channel = json!({ "pattern": format!("spring{number}"), "enabled": true });
    let channels = "/api/realtime/channels";
    let signed_up = send(stage.anon(Method::POST, users).json(&user)).await?;
    let sessions = "/api/auth/sessions?client_type=mobile";
    let signed_in = send(stage.anon(Method::POST, sessions).json(&user)).await?;
    let created = send(stage.admin(Method::POST, channels).json(&channel)).await?;
    let one = format!("{channels}/{}", created.field("id"));
    let deleted = send(stage.admin(Method::DELETE, &one)).await?;
    for answer in [signed_up, signed_in, created, deleted] {
        if !(200..300).contains(&answer.status) {
            failures.push(format!("the platform answers {}", answer.text));
        }
    }
    // As the relay does, on a session that it goes on using.
    let pool = stage.project.pool(LoginRole::Service)?;
    let work = "select realtime.publish('corpus', 'spring', '{}');
        update realtime.messages set ws_audience_count = ws_audience_count + 1;
        select u.email from auth.users as u; select pattern from realtime.channels";
    if let Err(error) = sqlx::raw_sql(work).execute(&pool).await {
        failures.push(format!("the relay's work fails: {error}"));
    }
    // Triggers are the project's there.
    let refused = "update payments.customers set deleted = true";
    if sqlx::raw_sql(refused).execute(&pool).await.is_ok() {
        failures.push(format!("a service may: {refused}"));
    }
    Ok(failures)
}
