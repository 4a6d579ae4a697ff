//! Ways out of the administrator's role, tried without the guard: PostgreSQL alone must hold.
//!
//! Each attempt runs on a connection of its own, prepared as the service prepares it. Afterwards a
//! probe looks for what an escape would have left.

use ingot_project::LoginRole;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::harness::{Api, PASSWORD, send};

/// Texts that try to become someone else, or to use what only others may.
const ATTEMPTS: &[&str] = &[
    // A cast that runs inside the check of a foreign key, which is made as the table's owner.
    "CREATE TYPE public.ck AS (v uuid); \
     CREATE FUNCTION public.ck_uuid(public.ck) RETURNS uuid LANGUAGE plpgsql AS \
     $$ BEGIN EXECUTE 'CREATE ROLE evil SUPERUSER'; RETURN ($1).v; END $$; \
     CREATE CAST (public.ck AS uuid) WITH FUNCTION public.ck_uuid(public.ck) AS IMPLICIT; \
     CREATE TABLE public.r (u public.ck REFERENCES auth.users (id)); \
     INSERT INTO public.r SELECT ROW(id)::public.ck FROM auth.users",
    // Another role.
    "RESET ROLE; CREATE ROLE evil SUPERUSER",
    "RESET ROLE; UPDATE system.secrets SET key = 'evil'",
    "DO $$ BEGIN RESET ROLE; CREATE ROLE evil SUPERUSER; END $$",
    "DO $$ BEGIN EXECUTE 'RESET ' || 'ROLE'; EXECUTE 'ALTER ROLE project_admin SUPERUSER'; END $$",
    "SET ROLE postgres; CREATE ROLE evil SUPERUSER",
    "SET ROLE ingot_service; UPDATE system.secrets SET key = 'evil'",
    "SET SESSION AUTHORIZATION postgres; CREATE ROLE evil",
    "SELECT set_config('role', 'ingot_service', false); UPDATE system.secrets SET key = 'evil'",
    "SELECT set_config('session_authorization', 'postgres', false); CREATE ROLE evil",
    "ALTER ROLE project_admin SUPERUSER",
    "ALTER ROLE project_admin CREATEROLE",
    "ALTER ROLE CURRENT_USER SET session_preload_libraries = 'evil'",
    "ALTER ROLE ingot_service SET search_path = public",
    "GRANT ingot_service TO project_admin",
    "GRANT pg_execute_server_program TO project_admin",
    "CREATE USER evil PASSWORD 'x' SUPERUSER",
    "ALTER TABLE system.secrets OWNER TO project_admin",
    "REASSIGN OWNED BY ingot_service TO project_admin",
    "CREATE FUNCTION public.e() RETURNS void LANGUAGE sql SECURITY DEFINER SET role = 'ingot_service'
        AS 'UPDATE system.secrets SET key = ''evil'''; SELECT public.e()",
    "CREATE FUNCTION public.e() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN SET ROLE ingot_service; UPDATE system.secrets SET key = 'evil'; END $$; SELECT public.e()",
    // The platform's tables. Accounts are the administrator's to manage; their tables are not his.
    "DELETE FROM system.audit_logs",
    "TRUNCATE system.secrets",
    "DROP TABLE system.secrets CASCADE",
    "DROP SCHEMA system CASCADE",
    "ALTER TABLE auth.users ADD COLUMN evil text",
    "CREATE TABLE auth.evil ()",
    "CREATE FUNCTION system.evil() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION system.update_updated_at() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE POLICY evil ON auth.users USING (true)",
    "CREATE RULE evil AS ON INSERT TO auth.users DO INSTEAD NOTHING",
    "ALTER TABLE realtime.messages ADD COLUMN evil text",
    "DROP TABLE realtime.channels CASCADE",
    "CREATE TRIGGER evil AFTER INSERT ON realtime.messages FOR EACH ROW EXECUTE FUNCTION system.update_updated_at()",
    "CREATE VIEW public.evil AS SELECT * FROM pg_catalog.pg_authid; SELECT * FROM public.evil",
    "SELECT rolpassword FROM pg_catalog.pg_authid",
    "SELECT * FROM pg_catalog.pg_user_mapping",
    // Files, programs, other databases, the server.
    "COPY (SELECT 1) TO PROGRAM 'touch /tmp/evil'",
    "COPY (SELECT 1) TO '/tmp/evil'",
    "CREATE TABLE public.e (l text); COPY public.e FROM '/etc/passwd'",
    "SELECT pg_catalog.pg_read_file('/etc/passwd')",
    "SELECT pg_catalog.pg_ls_dir('/')",
    "SELECT pg_catalog.lo_import('/etc/passwd')",
    "SELECT pg_catalog.lo_export(1, '/tmp/evil')",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION postgres_fdw",
    "CREATE EXTENSION file_fdw",
    "CREATE EXTENSION adminpack",
    "CREATE LANGUAGE plpython3u",
    "CREATE FUNCTION public.e(cstring) RETURNS int LANGUAGE c AS 'libc.so.6', 'system'",
    "CREATE FUNCTION public.e() RETURNS int LANGUAGE internal AS 'pg_backend_pid'",
    "CREATE DATABASE evil",
    "ALTER DATABASE template1 SET search_path = evil",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET role = postgres', current_database()); END $$",
    "ALTER SYSTEM SET log_statement = 'all'",
    "LOAD 'auto_explain'",
    "CREATE EVENT TRIGGER evil ON ddl_command_end EXECUTE FUNCTION system.on_ddl_command_end()",
    "ALTER EVENT TRIGGER ingot_guard_end DISABLE",
    "SET session_replication_role = replica",
    "SET session_preload_libraries = 'evil'",
    "SET log_min_messages = 'panic'",
    "CREATE SUBSCRIPTION evil CONNECTION 'dbname=postgres' PUBLICATION p",
    "CREATE SERVER evil FOREIGN DATA WRAPPER postgres_fdw",
    "CREATE TABLESPACE evil LOCATION '/tmp'",
    "SELECT pg_catalog.pg_create_logical_replication_slot('evil', 'test_decoding')",
    "SELECT pg_catalog.pg_reload_conf()",
    "SELECT pg_catalog.pg_rotate_logfile()",
    "CHECKPOINT",
    "CREATE CAST (text AS integer) WITHOUT FUNCTION",
    "CREATE OPERATOR pg_catalog.= (leftarg = text, rightarg = integer, function = texteq)",
    "CREATE FUNCTION pg_catalog.lower(text) RETURNS text LANGUAGE sql AS 'SELECT ''evil'''",
    "UPDATE pg_catalog.pg_authid SET rolsuper = true",
    "INSERT INTO pg_catalog.pg_auth_members VALUES (10, 10, 10, true)",
    "SECURITY LABEL ON ROLE project_admin IS 'evil'",
];

/// PostgreSQL accepts these with a warning and does nothing.
const WITHOUT_EFFECT: &[&str] = &[
    "GRANT ALL ON system.secrets TO anon",
    "REVOKE ALL ON system.secrets FROM ingot_service",
];

async fn as_service_prepares(api: &Api) -> PgConnection {
    let options = api.project.project().connect_options(LoginRole::Sql);
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let prepare = "set role project_admin; set statement_timeout = '5s'";
    sqlx::raw_sql(prepare)
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

/// Everything that an escape would change. Other tests make projects in the same cluster, so of
/// what is shared only the platform's and this project's part is looked at.
const PROBE: &str = "with ours as (
    select oid from pg_authid
    where rolname ~ '^(pg_|anon$|authenticated$|project_admin$|ingot_)' or rolname = 'evil'
       or oid = 10 or rolname like current_database() || '\\_%')
select array[
    (select string_agg(r::text, ',' order by oid) from pg_authid r where oid in (select oid from ours)),
    (select string_agg(m::text, ',' order by roleid, member) from pg_auth_members m
     where member in (select oid from ours)),
    (select string_agg(concat(datname, datdba, datacl), ',' order by oid) from pg_database
     where datname in (current_database(), 'postgres', 'template1', 'evil')),
    (select string_agg(d::text, ',' order by setrole) from pg_db_role_setting d
     where setrole in (select oid from ours) or setrole = 0),
    (select string_agg(concat(nspname, nspowner, nspacl), ',' order by oid) from pg_namespace
     where nspname not like 'pg\\_%temp%'),
    (select string_agg(concat(c.relname, relowner, relacl, relrowsecurity), ',' order by c.oid)
     from pg_class c join pg_namespace n on n.oid = relnamespace
     where nspname in ('auth', 'system', 'realtime', 'storage', 'functions', 'email', 'pg_catalog')),
    (select string_agg(concat(proname, proowner, proacl, prosrc, proconfig), ',' order by p.oid)
     from pg_proc p join pg_namespace n on n.oid = pronamespace where nspname <> 'public'),
    (select string_agg(concat(tgname, tgrelid, tgenabled), ',' order by oid) from pg_trigger),
    (select string_agg(concat(evtname, evtenabled), ',' order by oid) from pg_event_trigger),
    (select concat_ws(',', (select count(*) from pg_extension), (select count(*) from pg_cast),
        (select count(*) from pg_operator), (select count(*) from pg_language),
        (select count(*) from pg_policy), (select count(*) from pg_rewrite),
        (select count(*) from pg_replication_slots), (select count(*) from pg_subscription),
        (select count(*) from pg_foreign_server), (select count(*) from system.audit_logs))),
    (select string_agg(s::text, ',' order by id) from system.secrets s),
    (select string_agg(u::text, ',' order by id) from auth.users u)]";

#[tokio::test]
async fn postgresql_holds_without_the_guard() {
    let api = Api::start().await;
    api.sign_up("ann@example.com").await;
    let mut owner = api.project.superuser().await.unwrap();
    let mut scene = async || -> Vec<Option<String>> {
        sqlx::query_scalar(AssertSqlSafe(PROBE))
            .fetch_one(&mut owner)
            .await
            .unwrap()
    };
    let before = scene().await;
    let mut succeeded = Vec::new();
    for attempt in ATTEMPTS {
        let mut connection = as_service_prepares(&api).await;
        if sqlx::raw_sql(*attempt)
            .execute(&mut connection)
            .await
            .is_ok()
        {
            succeeded.push(*attempt);
        }
        connection.close().await.ok();
    }
    assert!(succeeded.is_empty(), "these succeeded: {succeeded:#?}");
    for attempt in WITHOUT_EFFECT {
        let mut connection = as_service_prepares(&api).await;
        sqlx::raw_sql(*attempt)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    assert_eq!(scene().await, before, "an attempt left something behind");
    assert!(!std::path::Path::new("/tmp/evil").exists());
}

#[tokio::test]
async fn a_role_that_is_reset_can_do_nothing() {
    let api = Api::start().await;
    let mut connection = as_service_prepares(&api).await;
    sqlx::raw_sql("RESET ROLE")
        .execute(&mut connection)
        .await
        .unwrap();
    for attempt in [
        "SELECT * FROM auth.users",
        "SELECT * FROM system.secrets",
        "CREATE TABLE public.t ()",
        "CREATE SCHEMA s",
        "SET ROLE authenticated",
        "SET ROLE anon",
    ] {
        let result = sqlx::raw_sql(attempt).execute(&mut connection).await;
        assert!(result.is_err(), "this succeeded: {attempt}");
    }
    let back = sqlx::raw_sql("SET ROLE project_admin")
        .execute(&mut connection)
        .await;
    assert!(back.is_ok());
}

#[tokio::test]
async fn other_databases_are_closed() {
    let api = Api::start().await;
    let options = api.project.project().connect_options(LoginRole::Sql);
    let other = Api::start().await;
    let foreign = &other.project.project().database.name;
    assert!(
        PgConnection::connect_with(&options.clone().database(foreign))
            .await
            .is_err()
    );
}

/// Code of the project on every change of an account: in the trigger's function, in its condition,
/// and in functions that take PostgreSQL's place in a search path that outlives the change.
const TRAPS: &str = "
    CREATE TABLE public.seen (place text, login text, role text, secrets boolean, became boolean);
    GRANT ALL ON public.seen TO PUBLIC;
    CREATE FUNCTION public.look(place text) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE became boolean := false; self text := current_user; BEGIN
        BEGIN SET LOCAL ROLE ingot_service; became := true; EXCEPTION WHEN OTHERS THEN NULL; END;
        PERFORM pg_catalog.set_config('role', self, true);
        INSERT INTO public.seen VALUES (place, session_user, self,
            has_table_privilege('system.secrets', 'UPDATE'), became);
    END $$;
    CREATE FUNCTION public.condition() RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN PERFORM public.look('condition'); RETURN true; END $$;
    CREATE FUNCTION public.trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM public.look(TG_OP);
        PERFORM pg_catalog.set_config('search_path', 'public, pg_catalog', false);
        RETURN NULL;
    END $$;
    CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE plpgsql AS
        $$ BEGIN PERFORM public.look('now'); RETURN pg_catalog.now(); END $$;
    CREATE TRIGGER trap AFTER INSERT OR UPDATE OR DELETE ON auth.users
        FOR EACH ROW WHEN (public.condition()) EXECUTE FUNCTION public.trap()";

#[tokio::test]
async fn triggers_on_accounts_have_only_the_administrators_rights() {
    let api = Api::start().await;
    let mut connection = as_service_prepares(&api).await;
    sqlx::raw_sql(TRAPS).execute(&mut connection).await.unwrap();

    // Each of these changes an account; what follows must not meet what the change left behind.
    let user = api.sign_up("ann@example.com").await;
    let body = json!({ "profile": { "name": "Bea" } });
    let request = api.request("PATCH", "/api/auth/profiles/current");
    let request = request.bearer_auth(user.text("accessToken")).json(&body);
    assert_eq!(send(request).await.status, 200);
    for _ in 0..5 {
        let body = json!({ "email": "ann@example.com", "password": PASSWORD });
        let request = api.anon("POST", "/api/auth/sessions").json(&body);
        assert_eq!(send(request).await.status, 200);
    }
    let body = json!({ "userIds": [user.body["user"]["id"]] });
    let request = api.admin("DELETE", "/api/auth/users").json(&body);
    assert_eq!(send(request).await.status, 200);
    assert_eq!(send(api.admin("GET", "/api/auth/users")).await.status, 200);

    let mut owner = api.project.superuser().await.unwrap();
    let places: Vec<String> = sqlx::query_scalar("select distinct place from seen order by place")
        .fetch_all(&mut owner)
        .await
        .unwrap();
    assert_eq!(places, ["DELETE", "INSERT", "UPDATE", "condition"]);
    let login = LoginRole::Sql.name(&api.project.project().id);
    let escaped: Vec<String> = sqlx::query_scalar(
        "select seen::text from seen
         where login <> $1 or role <> 'project_admin' or secrets or became",
    )
    .bind(login)
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(escaped.is_empty(), "{escaped:#?}");
    let left: i64 =
        sqlx::query_scalar("select count(*) from auth.sessions where user_id is not null")
            .fetch_one(&mut owner)
            .await
            .unwrap();
    assert_eq!(left, 0, "sessions end with their account");
}
