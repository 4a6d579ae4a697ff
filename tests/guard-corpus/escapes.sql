-- Ways out: another role, another database, files, programs, the platform's own rows, or something
-- that outlives its session. Whether a statement fails does not matter; what it leaves does.
-- `[spring]`: the platform then does its own work, which would spring a trap.

--# reset role and create
RESET ROLE; CREATE ROLE evil§ SUPERUSER
--# reset role in a block
DO $$ BEGIN RESET ROLE; CREATE ROLE evil§ SUPERUSER; END $$
--# reset role at run time
DO $$ BEGIN EXECUTE reverse('ELOR TESER'); EXECUTE reverse('§live ELOR ETAERC'); END $$
--# role by another spelling
DO $$ BEGIN EXECUTE convert_from(decode('U0VUIFJPTEUgcG9zdGdyZXM=', 'base64'), 'utf8'); EXECUTE 'CREATE ROLE evil§'; END $$
--# role from a table
CREATE TABLE public.t§ (s text); INSERT INTO t§ VALUES ('SET ROLE postgres'); DO $$ DECLARE s text; BEGIN SELECT t.s INTO s FROM t§ t; EXECUTE s; CREATE ROLE evil§; END $$
--# service role
SET ROLE ingot_service; UPDATE system.secrets SET key = 'evil§'
--# service role at run time
DO $$ BEGIN EXECUTE chr(83) || 'ET ROLE ingot_service'; UPDATE system.secrets SET key = 'evil§'; END $$
--# row security role at run time
DO $$ BEGIN EXECUTE chr(83) || 'ET ROLE ingot_row_security'; DELETE FROM realtime.messages; UPDATE storage.objects SET size = 0; END $$
--# accounts role at run time
DO $$ BEGIN EXECUTE chr(83) || 'ET ROLE ingot_accounts'; ALTER TABLE auth.users ADD COLUMN evil§ text; END $$
--# set_config by an aggregate
CREATE AGGREGATE public.a§ (text, boolean) (sfunc = pg_catalog.set_config, stype = text, initcond = 'role'); SELECT public.a§('ingot_service', false); UPDATE system.secrets SET key = 'evil§'
--# set_config through its regprocedure
DO $$ DECLARE f text := 'set_config(text,text,boolean)'::regprocedure::regproc::text; BEGIN EXECUTE 'SELECT ' || f || '(''role'', ''ingot_service'', false)'; UPDATE system.secrets SET key = 'evil§'; END $$
--# set_config in a query as text
SELECT query_to_xml('SEL' || 'ECT set_' || 'config(''role'', ''ingot_service'', false)', true, true, ''); UPDATE system.secrets SET key = 'evil§'
--# session authorization at run time
DO $$ BEGIN EXECUTE 'SET SESS' || lower('ION AUTHORIZATION ') || 'postgres'; CREATE ROLE evil§; END $$
--# session authorization by a setting
SELECT set_config('session_authorization', 'postgres', false); CREATE ROLE evil§
--# update pg_settings
UPDATE pg_settings SET setting = 'ingot_service' WHERE name = 'role'; UPDATE system.secrets SET key = 'evil§'
--# own password
DO $$ BEGIN EXECUTE 'SET ROLE ' || 'none'; EXECUTE 'ALTER ROLE ' || quote_ident(session_user) || ' PASSWORD ''evil'''; END $$
--# own password, plainly
RESET ROLE; ALTER USER CURRENT_USER PASSWORD 'evil'
--# own defaults
RESET ROLE; ALTER ROLE CURRENT_USER SET search_path = evil§; ALTER ROLE CURRENT_USER SET statement_timeout = 0
--# own defaults at run time
DO $$ BEGIN EXECUTE 'RESET' || ' ROLE'; EXECUTE format('ALTER ROLE %I SET role = %L', session_user, 'project_admin'); EXECUTE format('ALTER ROLE %I IN DATABASE %I SET statement_timeout = 1', session_user, current_database()); END $$
--# own limits gone
RESET ROLE; ALTER ROLE CURRENT_USER RESET ALL
--# group role's defaults
DO $$ BEGIN EXECUTE 'ALTER ROLE project_admin SET statement_timeout' || ' = 1'; END $$
--# group role's password
DO $$ BEGIN EXECUTE 'ALTER ROLE project_admin PASSWORD' || ' ''evil'''; END $$
--# row security role's defaults
DO $$ BEGIN EXECUTE 'SET ROLE ' || 'ingot_row_security'; EXECUTE 'ALTER ROLE CURRENT_USER SET search_path' || ' = x'; END $$
--# membership for others
DO $$ BEGIN EXECUTE 'RESET' || ' ROLE'; EXECUTE format('GRANT %I TO anon, ingot_service', session_user); END $$
--# membership for oneself
DO $$ BEGIN EXECUTE 'GRANT ' || 'pg_execute_server_program, pg_read_all_data, ingot_service TO project_admin'; END $$
--# superuser
DO $$ BEGIN EXECUTE 'ALTER ROLE ' || 'project_admin SUPERUSER CREATEROLE REPLICATION'; END $$
--# create role
DO $$ BEGIN EXECUTE 'CREATE ' || 'ROLE evil§ LOGIN IN ROLE project_admin'; END $$
--# drop role
DO $$ BEGIN EXECUTE 'DROP ' || 'ROLE anon'; END $$
--# reassign to oneself
DO $$ BEGIN EXECUTE 'REASSIGN ' || 'OWNED BY ingot_row_security TO project_admin'; END $$
--# drop owned
DO $$ BEGIN EXECUTE 'DROP ' || 'OWNED BY ingot_row_security CASCADE'; END $$
--# write the catalogue
UPDATE pg_catalog.pg_authid SET rolsuper = true; INSERT INTO pg_catalog.pg_auth_members VALUES (1, 10, 10, true); UPDATE pg_class SET relowner = 1; DELETE FROM pg_catalog.pg_event_trigger
--# write the catalogue after a setting
SET allow_system_table_mods = on; UPDATE pg_catalog.pg_proc SET proowner = 10
--# platform rows
UPDATE system.secrets SET key = 'evil§'; DELETE FROM system.audit_logs; INSERT INTO system.config VALUES ('evil', '{}'); DELETE FROM system.schema_steps; UPDATE system.metadata SET project = 'evil', platform_shape = ''; UPDATE system.logins SET verifier = ''
--# each platform row by itself
DO $$ DECLARE r record; BEGIN FOR r IN SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('system', 'functions', 'storage') LOOP BEGIN EXECUTE format('DELETE FROM %I.%I', r.schemaname, r.tablename); EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE format('TRUNCATE %I.%I CASCADE', r.schemaname, r.tablename); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
--# every table's structure
DO $$ DECLARE r record; BEGIN FOR r IN SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('system', 'functions', 'storage', 'auth', 'realtime', 'email') LOOP BEGIN EXECUTE format('ALTER TABLE %I.%I ADD COLUMN evil int', r.schemaname, r.tablename); EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE format('ALTER TABLE %I.%I OWNER TO project_admin', r.schemaname, r.tablename); EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE format('DROP TABLE %I.%I CASCADE', r.schemaname, r.tablename); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
--# every table's grants
DO $$ DECLARE r record; BEGIN FOR r IN SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('system', 'functions', 'storage', 'auth', 'realtime', 'email') LOOP BEGIN EXECUTE format('GRANT ALL ON %I.%I TO PUBLIC', r.schemaname, r.tablename); EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE format('REVOKE ALL ON %I.%I FROM ingot_service', r.schemaname, r.tablename); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
--# every table's rules and policies
DO $$ DECLARE r record; BEGIN FOR r IN SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('system', 'functions', 'auth', 'email') LOOP BEGIN EXECUTE format('CREATE RULE evil AS ON INSERT TO %I.%I DO INSTEAD NOTHING', r.schemaname, r.tablename); EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE format('CREATE POLICY evil ON %I.%I USING (true)', r.schemaname, r.tablename); EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE format('CREATE INDEX evil§ ON %I.%I ((1))', r.schemaname, r.tablename); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
--# platform functions replaced
DO $$ DECLARE r record; BEGIN FOR r IN SELECT oid::regprocedure AS f FROM pg_proc WHERE pronamespace IN ('system'::regnamespace, 'auth'::regnamespace, 'realtime'::regnamespace) LOOP BEGIN EXECUTE format('DROP FUNCTION %s CASCADE', r.f); EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE format('ALTER FUNCTION %s OWNER TO project_admin', r.f); EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE format('ALTER FUNCTION %s SET search_path = public', r.f); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
--# platform functions called
SELECT system.mend_logins(); SELECT system.end_session(pid) FROM pg_stat_activity; SELECT system.note_platform_shape(); SELECT system.platform_tables_shape()
--# platform schemas
DROP SCHEMA system CASCADE; ALTER SCHEMA auth RENAME TO evil§; ALTER SCHEMA storage OWNER TO project_admin; CREATE TABLE realtime.evil§ (a int); CREATE FUNCTION system.evil§() RETURNS int LANGUAGE sql AS 'SELECT 1'
--# grants on schemas
GRANT ALL ON SCHEMA system, auth TO PUBLIC; GRANT CREATE ON SCHEMA pg_catalog TO project_admin
--# default privileges of others
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA system GRANT ALL ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES FOR ROLE ingot_service GRANT ALL ON TABLES TO PUBLIC
--# extension in the catalogue
CREATE EXTENSION citext SCHEMA pg_catalog
--# extension in a platform schema
CREATE EXTENSION seg SCHEMA system; CREATE EXTENSION cube SCHEMA auth; CREATE EXTENSION hstore SCHEMA storage
--# extension moved to a platform schema
CREATE EXTENSION IF NOT EXISTS lo SCHEMA public; ALTER EXTENSION lo SET SCHEMA auth
--# extensions that nobody should have
CREATE EXTENSION adminpack
--# more such extensions
DO $$ DECLARE e text; BEGIN FOREACH e IN ARRAY ARRAY['dblink', 'postgres_fdw', 'file_fdw', 'pageinspect', 'pg_buffercache', 'pg_stat_statements', 'pg_surgery', 'pg_walinspect', 'sslinfo', 'xml2', 'amcheck', 'pg_prewarm', 'plpython3u', 'plperlu', 'pltclu', 'old_snapshot', 'pg_visibility', 'pgrowlocks', 'insert_username'] LOOP BEGIN EXECUTE 'CREATE EXTENSION ' || quote_ident(e); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
--# publication of messages by row
CREATE PUBLICATION p§ FOR TABLE realtime.messages WHERE (event_name = 'x')
--# publication of everything
CREATE PUBLICATION p§ FOR ALL TABLES
--# publication of a schema
CREATE PUBLICATION p§ FOR TABLES IN SCHEMA realtime
--# statistics over messages
CREATE STATISTICS public.s§ ON event_name, channel_name FROM realtime.messages
--# forged shape, check [spring]
INSERT INTO realtime.channels (pattern) VALUES ('c§'); SELECT realtime.publish('c§', 'e', '{}'); CREATE FUNCTION public.forge§(x text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT set_' || 'config(''ingot.platform_tables_shape'', system.platform_tables_shape(), true)'; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$; ALTER TABLE realtime.messages ADD CONSTRAINT c§ CHECK (public.forge§(event_name))
--# forged shape, nested [spring]
CREATE FUNCTION public.forge§(x text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_user <> 'project_admin' THEN UPDATE system.secrets SET key = 'evil§'; END IF; EXECUTE 'CREATE TEMP TABLE IF NOT EXISTS nest§ ()'; RETURN true; END $$; SELECT realtime.publish('corpus', 'e', '{}'); ALTER TABLE realtime.messages ADD CONSTRAINT c§ CHECK (public.forge§(event_name))
--# default that runs code [spring]
CREATE FUNCTION public.spy§() RETURNS text LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN 'x'; EXCEPTION WHEN OTHERS THEN RETURN 'y'; END $$; ALTER TABLE realtime.messages ALTER COLUMN event_name SET DEFAULT public.spy§(); ALTER TABLE realtime.messages ADD COLUMN spy§ text DEFAULT public.spy§()
--# generated column
CREATE FUNCTION public.gen§(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN EXECUTE 'UPDATE system.secrets SET key = ''evil§'''; RETURN x; EXCEPTION WHEN OTHERS THEN RETURN x; END $$; ALTER TABLE realtime.messages ADD COLUMN g§ text GENERATED ALWAYS AS (public.gen§(event_name)) STORED
--# index expression
CREATE FUNCTION public.idx§(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN EXECUTE 'CREATE ROLE evil§'; RETURN x; EXCEPTION WHEN OTHERS THEN RETURN x; END $$; CREATE INDEX ON realtime.messages (public.idx§(event_name))
--# index expression, concurrently
CREATE INDEX CONCURRENTLY evil§ ON realtime.messages ((lower(event_name)))
--# index expression on the accounts
CREATE INDEX evil§ ON auth.users (lower(email))
--# trigger on messages [spring]
CREATE FUNCTION public.trap§() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN NEW; EXCEPTION WHEN OTHERS THEN RETURN NEW; END $$; CREATE TRIGGER trap BEFORE INSERT OR UPDATE OR DELETE ON realtime.messages FOR EACH ROW EXECUTE FUNCTION public.trap§()
--# trigger on channels and objects
CREATE FUNCTION public.trap§() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; DO $$ BEGIN CREATE TRIGGER trap BEFORE INSERT ON realtime.channels FOR EACH ROW EXECUTE FUNCTION public.trap§(); EXCEPTION WHEN OTHERS THEN NULL; END $$; CREATE TRIGGER trap BEFORE DELETE ON storage.objects FOR EACH ROW EXECUTE FUNCTION public.trap§()
--# trigger switched off
ALTER TABLE realtime.messages DISABLE TRIGGER USER; ALTER TABLE storage.objects DISABLE TRIGGER ALL
--# trigger dropped
DO $$ DECLARE r record; BEGIN FOR r IN SELECT tgname, tgrelid::regclass AS t FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text ~ '^(realtime|storage|system|auth)' LOOP BEGIN EXECUTE format('DROP TRIGGER %I ON %s', r.tgname, r.t); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
--# trigger on the accounts that wants more [spring]
CREATE FUNCTION public.trap§() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN BEGIN UPDATE system.secrets SET key = 'evil§'; EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE 'SET LOCAL ROLE ' || 'ingot_service'; UPDATE system.secrets SET key = 'evil§'; EXCEPTION WHEN OTHERS THEN NULL; END; EXECUTE 'SELECT set_' || 'config(''search_path'', ''public, pg_catalog'', false)'; RETURN NEW; END $$; CREATE TRIGGER trap§ AFTER INSERT OR UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION public.trap§()
--# trigger on the accounts that takes the place of prepared statements [spring]
CREATE FUNCTION public.trap§() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DEALLOCATE ALL'; FOR i IN 1..9 LOOP EXECUTE format('PREPARE sqlx_s_%s AS UPDATE system.secrets SET key = ''evil''', i); END LOOP; RETURN NULL; END $$; CREATE TRIGGER trap§ AFTER INSERT OR UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION public.trap§()
--# cascade from channels [spring]
CREATE TABLE public.refs§ (c uuid REFERENCES realtime.channels (id) ON DELETE CASCADE)
--# cascade from messages
CREATE TABLE public.refs§ (c uuid REFERENCES realtime.messages (id) ON DELETE SET NULL)
--# reference added later
CREATE TABLE public.refs§ (c uuid); ALTER TABLE public.refs§ ADD FOREIGN KEY (c) REFERENCES realtime.channels (id) ON DELETE CASCADE
--# reference to the accounts through a cast [spring]
CREATE SCHEMA lair§; GRANT ALL ON SCHEMA lair§ TO PUBLIC; CREATE TYPE public.ck§ AS (v uuid); CREATE FUNCTION public.as_uuid§(public.ck§) RETURNS uuid LANGUAGE plpgsql AS $$ BEGIN BEGIN EXECUTE 'CREATE FUNCTION lair§.run(t text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS ''BEGIN EXECUTE t; END'''; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN ($1).v; END $$; CREATE CAST (public.ck§ AS uuid) WITH FUNCTION public.as_uuid§(public.ck§) AS IMPLICIT; CREATE TABLE public.r§ (u public.ck§ REFERENCES auth.users (id)); INSERT INTO public.r§ SELECT ROW(id)::public.ck§ FROM auth.users; SELECT lair§.run('ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY'); SELECT lair§.run('CREATE POLICY p ON auth.users USING (false)')
--# reference to the accounts, its type changed later
CREATE TYPE public.ck§ AS (v uuid); CREATE FUNCTION public.as_uuid§(public.ck§) RETURNS uuid LANGUAGE sql AS 'SELECT ($1).v'; CREATE CAST (public.ck§ AS uuid) WITH FUNCTION public.as_uuid§(public.ck§) AS IMPLICIT; CREATE TABLE public.r§ (u uuid REFERENCES auth.users (id)); ALTER TABLE public.r§ ALTER COLUMN u TYPE public.ck§ USING ROW(u)::public.ck§
--# reference to objects through a cast
CREATE TYPE public.ck§ AS (v text); CREATE FUNCTION public.as_text§(public.ck§) RETURNS text LANGUAGE sql AS 'SELECT ($1).v'; CREATE CAST (public.ck§ AS text) WITH FUNCTION public.as_text§(public.ck§) AS IMPLICIT; CREATE TABLE public.r§ (b public.ck§, k public.ck§, FOREIGN KEY (b, k) REFERENCES storage.objects (bucket, key))
--# policy on the accounts
CREATE POLICY p§ ON auth.users USING (true); ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY
--# policy that runs code on messages [spring]
CREATE FUNCTION public.spy§() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$; ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY; CREATE POLICY p§ ON realtime.messages USING (public.spy§()) WITH CHECK (public.spy§())
--# policy that runs code on channels [spring]
CREATE FUNCTION public.spy§() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$; ALTER TABLE realtime.channels ENABLE ROW LEVEL SECURITY; CREATE POLICY p§ ON realtime.channels USING (public.spy§())
--# row level security forced [spring]
ALTER TABLE realtime.messages FORCE ROW LEVEL SECURITY
--# inheritance from messages
CREATE TABLE public.child§ () INHERITS (realtime.messages)
--# messages as a partition
CREATE TABLE public.parent§ (LIKE realtime.messages) PARTITION BY LIST (event_name); ALTER TABLE public.parent§ ATTACH PARTITION realtime.messages DEFAULT
--# messages turned into something else
ALTER TABLE realtime.messages RENAME TO gone§; ALTER TABLE realtime.channels SET SCHEMA public; ALTER TABLE storage.objects SET UNLOGGED
--# rows of messages
UPDATE realtime.messages SET event_name = 'evil§'; DELETE FROM realtime.messages; TRUNCATE realtime.messages
--# rows of objects
INSERT INTO storage.objects (bucket, key, size) VALUES ('corpus', 'evil§', 1); UPDATE storage.objects SET uploaded_by = 'evil§'; DELETE FROM storage.objects
--# rows of objects by merge
MERGE INTO storage.objects o USING (VALUES (1)) v ON true WHEN MATCHED THEN DELETE
--# rows of objects by a view
CREATE VIEW public.v§ AS SELECT * FROM storage.objects; DELETE FROM public.v§
--# rows of objects emptied
TRUNCATE storage.objects, realtime.channels CASCADE
--# rows of objects as their owner
DO $$ BEGIN EXECUTE 'SET LOCAL ROLE ' || 'ingot_row_security'; DELETE FROM storage.objects; END $$
--# rows through a rule
CREATE TABLE public.t§ (a int); CREATE RULE r AS ON INSERT TO public.t§ DO ALSO DELETE FROM storage.objects; INSERT INTO public.t§ VALUES (1)
--# rows through a definer's function
CREATE FUNCTION public.f§() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM storage.objects'; DO $$ BEGIN EXECUTE 'ALTER FUNCTION public.f§() OWNER TO ' || 'ingot_row_security'; END $$; SELECT public.f§()
--# function given to the row security role
CREATE SCHEMA lair§; GRANT ALL ON SCHEMA lair§ TO ingot_row_security; CREATE FUNCTION lair§.f() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM storage.objects'; ALTER FUNCTION lair§.f() OWNER TO ingot_row_security; SELECT lair§.f()
--# table given to the row security role
CREATE SCHEMA lair§; GRANT ALL ON SCHEMA lair§ TO ingot_row_security; CREATE TABLE lair§.t (a int); ALTER TABLE lair§.t OWNER TO ingot_row_security
--# definer's function with another role
CREATE FUNCTION public.f§() RETURNS void LANGUAGE sql SECURITY DEFINER SET role = 'ingot_service' AS 'UPDATE system.secrets SET key = ''evil§'''; SELECT public.f§()
--# search path of a definer's function of the platform
CREATE FUNCTION public.length(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN 1; END $$; SELECT realtime.publish('corpus', 'e', '{}'); DROP FUNCTION public.length(text)
--# shadows in a temporary schema
CREATE TEMP TABLE channels (id uuid, enabled boolean, pattern text); CREATE FUNCTION pg_temp.length(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN 1; END $$; SELECT realtime.publish('corpus', 'e', '{}')
--# shadows of the catalogue
CREATE TEMP TABLE pg_class (a int); CREATE TEMP VIEW pg_roles AS SELECT 'postgres' AS rolname, true AS rolsuper; CREATE TABLE public.x§ (a int); SELECT system.reload_postgrest_schema()
--# operators before the platform's
CREATE FUNCTION public.eq§(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$; CREATE OPERATOR public.= (leftarg = text, rightarg = text, function = public.eq§); SELECT realtime.publish('corpus', 'e', '{}'); DROP OPERATOR public.= (text, text)
--# operators in the catalogue
CREATE OPERATOR pg_catalog.= (leftarg = text, rightarg = integer, function = texteq); CREATE FUNCTION pg_catalog.lower(text) RETURNS text LANGUAGE sql AS 'SELECT ''evil'''
--# cast between PostgreSQL's types
CREATE CAST (text AS integer) WITHOUT FUNCTION; CREATE CAST (text AS jsonb) WITH INOUT AS IMPLICIT
--# operator class
DO $$ BEGIN EXECUTE 'CREATE OPERATOR ' || 'CLASS public.c§ DEFAULT FOR TYPE uuid USING hash AS OPERATOR 1 ='; END $$
--# conversion
CREATE DEFAULT CONVERSION pg_catalog.c§ FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8
--# view as the owner
CREATE VIEW public.v§ AS SELECT * FROM pg_catalog.pg_authid; SELECT * FROM public.v§
--# hashes by a function
SELECT passwd FROM pg_shadow; SELECT rolpassword FROM pg_authid; SELECT umoptions FROM pg_user_mapping
--# hashes by statistics
SELECT * FROM pg_stats WHERE tablename = 'pg_authid'; SELECT stavalues1 FROM pg_statistic
--# hashes of the logins table
SELECT * FROM system.logins; TABLE system.logins
--# hashes in an error
DO $$ DECLARE v text; BEGIN SELECT verifier INTO v FROM system.logins LIMIT 1; RAISE EXCEPTION '%', v; END $$
--# sessions of users
SELECT csrf_nonce FROM auth.sessions; SELECT * FROM auth.refresh_tokens
--# sessions through a planner's function
CREATE FUNCTION public.leak§(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE EXCEPTION 'saw %', $1; END $$; SELECT * FROM auth.sessions WHERE public.leak§(csrf_nonce)
--# read a file
SELECT pg_read_file('/etc/passwd')
--# read a file at run time
DO $$ DECLARE x text; BEGIN EXECUTE 'SELECT pg_read' || '_file(''/etc/passwd'')' INTO x; RAISE EXCEPTION '%', x; END $$
--# read a file by copy
CREATE TABLE public.e§ (l text); DO $$ BEGIN EXECUTE 'COPY public.e§ FROM ' || quote_literal('/etc/passwd'); END $$; SELECT * FROM public.e§
--# read a file by a large object
SELECT lo_import('/etc/passwd', 4711)
--# read a file by xml
SELECT xmlparse(DOCUMENT '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>')
--# read a file by a dictionary
CREATE TEXT SEARCH DICTIONARY public.d§ (TEMPLATE = synonym, SYNONYMS = '../../../../../../etc/passwd')
--# read the configuration
SELECT * FROM pg_file_settings; SELECT * FROM pg_hba_file_rules; SELECT pg_current_logfile()
--# read folders
SELECT pg_ls_dir('.'), pg_ls_logdir(), pg_ls_waldir(), pg_ls_tmpdir()
--# write a file
COPY (SELECT 'evil') TO '/tmp/ingot-escape-§'
--# write a file at run time
DO $$ BEGIN EXECUTE 'COPY (SELECT 1) TO ' || quote_literal('/tmp/ingot-escape-§'); END $$
--# write a file by a large object
SELECT lo_from_bytea(47§, 'evil'); SELECT lo_export(47§, '/tmp/ingot-escape-§')
--# run a program
COPY (SELECT 1) TO PROGRAM 'touch /tmp/ingot-escape-§'
--# run a program at run time
DO $$ BEGIN EXECUTE 'COPY (SELECT 1) TO PRO' || 'GRAM ''touch /tmp/ingot-escape-§'''; END $$
--# run a program from
CREATE TABLE public.o§ (l text); DO $$ BEGIN EXECUTE replace('COPY public.o§ FROM P-R-OGRAM ''touch /tmp/ingot-escape-§''', '-', ''); END $$
--# run a program by C
DO $$ BEGIN EXECUTE 'CREATE FUNCTION public.sys§(cstring) RETURNS int LANGUAGE ' || 'c AS ''libc.so.6'', ''system'''; END $$
--# an internal function
DO $$ BEGIN EXECUTE 'CREATE FUNCTION public.i§(text, text, boolean) RETURNS text LANGUAGE ' || 'internal AS ''set_config_by_name'''; END $$
--# another language
DO $$ BEGIN EXECUTE 'CREATE ' || 'LANGUAGE plpython3u'; END $$
--# a language of one's own
DO $$ BEGIN EXECUTE 'CREATE ' || 'LANGUAGE evil§ HANDLER plpgsql_call_handler'; END $$
--# alter system
ALTER SYSTEM SET log_statement = 'all'
--# load
DO $$ BEGIN EXECUTE 'LO' || 'AD ''auto_explain'''; END $$
--# event trigger
CREATE FUNCTION public.et§() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN EXECUTE ''CREATE ROLE evil§''; END'; DO $$ BEGIN EXECUTE 'CREATE EVENT ' || 'TRIGGER evil§ ON ddl_command_end EXECUTE FUNCTION public.et§()'; END $$
--# event triggers off
DO $$ DECLARE r record; BEGIN FOR r IN SELECT evtname FROM pg_event_trigger LOOP BEGIN EXECUTE format('ALTER EVENT ' || 'TRIGGER %I DISABLE', r.evtname); EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE format('DROP EVENT ' || 'TRIGGER %I', r.evtname); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
--# replica
DO $$ BEGIN EXECUTE 'SET session_replication' || '_role = replica'; DELETE FROM storage.objects; END $$
--# settings of superusers
DO $$ DECLARE s text; BEGIN FOREACH s IN ARRAY ARRAY['session_preload_libraries = x', 'log_min_messages = panic', 'log_statement = none', 'temp_file_limit = -1', 'allow_in_place_tablespaces = on', 'lc_messages = x', 'deadlock_timeout = 1', 'commit_delay = 100000', 'zero_damaged_pages = on', 'ignore_system_indexes = on'] LOOP BEGIN EXECUTE 'SET ' || s; EXCEPTION WHEN insufficient_privilege OR invalid_parameter_value OR cant_change_runtime_param THEN NULL; END; END LOOP; END $$
--# database
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET role = postgres', current_database()); END $$
--# every database
DO $$ DECLARE d text; BEGIN FOR d IN SELECT datname FROM pg_database LOOP BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = evil', d); EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO PUBLIC', d); EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE format('ALTER DATABASE %I ALLOW_CONNECTIONS false', d); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
--# create database
CREATE DATABASE evil§
--# create tablespace
CREATE TABLESPACE evil§ LOCATION '/tmp'
--# another database by dblink
DO $$ BEGIN EXECUTE 'CREATE EXTENSION ' || 'dblink'; PERFORM dblink('dbname=postgres', 'SELECT 1'); END $$
--# another database by a wrapper
DO $$ BEGIN EXECUTE 'CREATE ' || 'SERVER evil§ FOREIGN DATA WRAPPER postgres_fdw'; END $$
--# a wrapper without a handler
DO $$ BEGIN EXECUTE 'CREATE FOREIGN DATA ' || 'WRAPPER evil§'; END $$
--# another database's tables
SELECT * FROM postgres.pg_catalog.pg_authid
--# subscription
DO $$ BEGIN EXECUTE 'CREATE ' || 'SUBSCRIPTION evil§ CONNECTION ''dbname=postgres'' PUBLICATION p WITH (connect = false)'; END $$
--# replication slots
DO $$ BEGIN EXECUTE 'SELECT pg_create_' || 'logical_replication_slot(''evil§'', ''test_decoding'')'; END $$
--# physical slot
DO $$ BEGIN EXECUTE 'SELECT pg_create_' || 'physical_replication_slot(''evil§'', true)'; END $$
--# drop slots
DO $$ BEGIN EXECUTE 'SELECT pg_drop_' || 'replication_slot(slot_name) FROM pg_replication_slots'; END $$
--# origin
DO $$ BEGIN EXECUTE 'SELECT pg_replication_' || 'origin_create(''evil§'')'; END $$
--# end all others
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
--# end all others at run time
DO $$ BEGIN EXECUTE 'SET ROLE no' || 'ne'; EXECUTE 'SELECT pg_terminate' || '_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = session_user'; END $$
--# end each other, whatever it costs
DO $$ DECLARE r record; BEGIN EXECUTE 'SET ROLE no' || 'ne'; FOR r IN SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() LOOP BEGIN EXECUTE 'SELECT pg_terminate' || '_backend(' || r.pid || ')'; EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE 'SELECT pg_cancel' || '_backend(' || r.pid || ')'; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
--# reload and rotate
DO $$ BEGIN EXECUTE 'SELECT pg_reload' || '_conf()'; END $$
--# what others run
DO $$ DECLARE q text; BEGIN SELECT string_agg(query, ' ') INTO q FROM pg_stat_activity WHERE pid <> pg_backend_pid(); RAISE EXCEPTION 'saw %', q; END $$
--# advisory locks of the session
SELECT pg_advisory_lock(g) FROM generate_series(1, 100) AS g
--# advisory lock of migrations
SELECT pg_advisory_lock(x'696e676f7401'::bigint), pg_advisory_lock(7241865325823964), pg_advisory_lock(x'72656c6179'::bigint)
--# locks on the platform's tables
LOCK TABLE auth.users IN ACCESS EXCLUSIVE MODE; LOCK TABLE realtime.messages IN ACCESS EXCLUSIVE MODE
--# listening
LISTEN pgrst; LISTEN realtime_message; LISTEN evil§
--# a flood of notices to the relay [spring]
SELECT count(pg_notify('realtime_message', g || repeat('x', 200))) FROM generate_series(1, 5000) AS g; SELECT pg_notify('realtime_message', gen_random_uuid()::text), pg_notify('realtime_message', '')
--# a flood of notices to the engines
SELECT count(pg_notify('pgrst', 'reload schema' || g)) FROM generate_series(1, 2000) AS g
--# a cursor that is held
CREATE TABLE public.h§ (a int); DECLARE c§ CURSOR WITH HOLD FOR SELECT * FROM public.h§
--# temporary tables and prepared statements
CREATE TEMP TABLE users (id int); CREATE TEMP TABLE t§ AS SELECT 1; PREPARE sqlx_s_1 AS SELECT 1; PREPARE ingot_statement AS SELECT 1
--# settings that stay
SET row_security = off; SET work_mem = '1GB'; SET default_transaction_read_only = on; SET my.role = 'evil'; SET request.jwt.claims = '{"role":"evil"}'; SET lock_timeout = 1; SET idle_in_transaction_session_timeout = 0; SET client_connection_check_interval = 0
--# a prepared transaction
PREPARE TRANSACTION 'evil§'
--# leave the transaction
COMMIT; BEGIN; CREATE TABLE public.left§ (a int); COMMIT; RESET ROLE; CREATE ROLE evil§
--# leave the transaction in a block
DO $$ BEGIN COMMIT; EXECUTE 'RESET' || ' ROLE'; CREATE ROLE evil§; END $$
--# leave the transaction in a procedure
CREATE PROCEDURE public.p§() LANGUAGE plpgsql AS $$ BEGIN COMMIT; EXECUTE 'RESET' || ' ROLE'; EXECUTE 'CREATE ROLE ' || 'evil§'; END $$; CALL public.p§()
--# encoding that hides a quote
SET client_encoding = 'SJIS'; SELECT E'表\'; RESET ROLE; CREATE ROLE evil§; --'
--# backslashes that hide a quote
SET standard_conforming_strings = off; SELECT 'a\'; RESET ROLE; CREATE ROLE evil§; --'
--# newer grammar
SELECT 1_000; SELECT 0x1F; RESET ROLE; CREATE ROLE evil§
--# security label
DO $$ BEGIN EXECUTE 'SECURITY LABEL ON ROLE ' || 'project_admin IS ''evil'''; END $$
--# comments on shared objects
COMMENT ON ROLE project_admin IS 'evil§'; COMMENT ON DATABASE postgres IS 'evil'
--# ledger of steps
INSERT INTO system.schema_steps (number, name, checksum) VALUES (9999, 'evil', 'x')
--# vacuum and reindex the platform
REINDEX TABLE realtime.messages; CREATE TABLE public.after§ (a int)
--# cluster the platform [raw]
CLUSTER realtime.messages USING messages_pkey
--# a user who is administrator
INSERT INTO auth.config (password_min_length) VALUES (4); UPDATE auth.config SET disable_signup = false
--# secrets of providers
UPDATE storage.s3_access_keys SET access_key_id = 'evil'; INSERT INTO storage.buckets (name) VALUES ('evil§'); UPDATE email.config SET host = 'evil'
--# definitions of functions
INSERT INTO functions.definitions (slug, name, code) VALUES ('evil§', 'evil', 'x')
--# the owner's name in a view's rule
CREATE VIEW public.v§ AS SELECT 1 AS a; DO $$ BEGIN EXECUTE 'ALTER VIEW public.v§ OWNER TO ' || 'postgres'; END $$
--# index of one's own table as a trap for maintenance [spring]
CREATE TABLE public.m§ (a int); INSERT INTO public.m§ VALUES (1); CREATE FUNCTION public.im§(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN EXECUTE 'UPDATE system.secrets SET key = ''evil§'''; RETURN $1; EXCEPTION WHEN OTHERS THEN RETURN $1; END $$; CREATE INDEX ON public.m§ (public.im§(a)); ANALYZE public.m§
--# sleep past the statement's limit in pieces
DO $$ BEGIN EXECUTE 'SET LOCAL statement' || '_timeout = 0'; END $$
--# order of messages
SELECT setval('realtime.messages_sequence_seq', 9223372036854775807)
--# order of messages by one
SELECT nextval('realtime.messages_sequence_seq'), currval('realtime.messages_sequence_seq')
--# order of messages as their owner
DO $$ BEGIN EXECUTE 'SET LOCAL ROLE ' || 'ingot_row_security'; PERFORM setval('realtime.messages_sequence_seq', 9223372036854775807); END $$
--# order of messages by its definition
ALTER SEQUENCE realtime.messages_sequence_seq MAXVALUE 9 RESTART WITH 1
--# order of messages by its column
ALTER TABLE realtime.messages ALTER COLUMN sequence RESTART WITH 9223372036854775806
--# order of messages by its column's step
ALTER TABLE realtime.messages ALTER COLUMN sequence SET INCREMENT BY -1
--# order of messages by a grant
GRANT ALL ON SEQUENCE realtime.messages_sequence_seq TO project_admin; SELECT setval('realtime.messages_sequence_seq', 9223372036854775807)
--# order of messages by a grant on all
GRANT ALL ON ALL SEQUENCES IN SCHEMA realtime TO PUBLIC
--# order of messages taken over
ALTER SEQUENCE realtime.messages_sequence_seq OWNED BY NONE; DROP SEQUENCE realtime.messages_sequence_seq CASCADE
--# default privileges of the row security role
ALTER DEFAULT PRIVILEGES FOR ROLE ingot_row_security GRANT ALL ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES FOR ROLE ingot_row_security IN SCHEMA realtime GRANT ALL ON TABLES TO anon
--# default privileges of the accounts role
ALTER DEFAULT PRIVILEGES FOR ROLE ingot_accounts GRANT ALL ON TABLES TO PUBLIC
--# schema for the row security role
CREATE SCHEMA lair§ AUTHORIZATION ingot_row_security
--# schema for the row security role, with contents
CREATE SCHEMA AUTHORIZATION ingot_row_security CREATE TABLE t§ (a int) CREATE VIEW v§ AS SELECT * FROM storage.objects
--# type given to the row security role
CREATE SCHEMA lair§; GRANT ALL ON SCHEMA lair§ TO ingot_row_security; CREATE TYPE lair§.t AS (a int); ALTER TYPE lair§.t OWNER TO ingot_row_security
--# materialized view given to the row security role
CREATE SCHEMA lair§; GRANT ALL ON SCHEMA lair§ TO ingot_row_security; CREATE MATERIALIZED VIEW lair§.v AS SELECT 1 AS a; ALTER MATERIALIZED VIEW lair§.v OWNER TO ingot_row_security
--# function made as the row security role
CREATE SCHEMA lair§; GRANT ALL ON SCHEMA lair§ TO ingot_row_security; DO $$ BEGIN EXECUTE 'SET LOCAL ROLE ' || 'ingot_row_security'; EXECUTE 'CREATE FUNCTION lair§.f() RETURNS void LANGUAGE sql SECURITY DEFINER AS ''DELETE FROM storage.objects'''; END $$; SELECT lair§.f()
--# messages in an extension
CREATE EXTENSION IF NOT EXISTS cube SCHEMA public; ALTER EXTENSION cube ADD TABLE realtime.messages; DROP EXTENSION cube CASCADE
--# messages in an extension that stays
CREATE EXTENSION IF NOT EXISTS cube SCHEMA public; ALTER EXTENSION cube ADD TABLE realtime.channels
--# publishing that goes with an extension
CREATE EXTENSION IF NOT EXISTS isn SCHEMA public; ALTER FUNCTION realtime.publish(text, text, jsonb) DEPENDS ON EXTENSION isn; DROP EXTENSION isn CASCADE
--# platform schema in an extension
CREATE EXTENSION IF NOT EXISTS seg SCHEMA public; ALTER EXTENSION seg ADD SCHEMA realtime; DROP EXTENSION seg CASCADE
--# indexes made again without a lock [raw]
REINDEX TABLE CONCURRENTLY realtime.messages
--# indexes renamed
ALTER INDEX realtime.messages_pkey RENAME TO evil§; DROP INDEX realtime.idx_realtime_messages_cursor
--# constraints gone
ALTER TABLE realtime.messages DROP CONSTRAINT messages_pkey CASCADE; ALTER TABLE storage.objects DROP CONSTRAINT objects_pkey CASCADE
--# statistics with an expression
CREATE FUNCTION public.st§(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'; CREATE STATISTICS public.s§ ON (public.st§(event_name)), channel_name FROM realtime.messages; ANALYZE realtime.messages
--# own defaults that need a library
DO $$ BEGIN EXECUTE 'RESET' || ' ROLE'; EXECUTE 'ALTER ROLE CURRENT_USER SET local_preload' || '_libraries = ''evil'''; END $$
--# own defaults that forbid work
DO $$ BEGIN EXECUTE 'RESET' || ' ROLE'; EXECUTE 'ALTER ROLE CURRENT_USER SET ro' || 'le = ''project_admin'''; EXECUTE 'ALTER ROLE CURRENT_USER SET default_transaction_read_only = on'; EXECUTE 'ALTER ROLE CURRENT_USER SET lock_timeout = 1'; END $$
--# own defaults in the database
DO $$ BEGIN EXECUTE 'RESET' || ' ROLE'; EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET pgrst.db_schemas = ''auth''', current_database()); END $$
--# defaults of everybody
DO $$ BEGIN EXECUTE 'ALTER ROLE ' || 'ALL SET search_path = evil§'; END $$
--# password that ends
DO $$ BEGIN EXECUTE 'RESET' || ' ROLE'; EXECUTE 'ALTER ROLE CURRENT_USER VALID' || ' UNTIL ''2000-01-01'''; END $$
--# no connection for others
DO $$ BEGIN EXECUTE 'RESET' || ' ROLE'; EXECUTE 'ALTER ROLE CURRENT_USER CONNECTION' || ' LIMIT 0'; END $$
--# rename oneself
DO $$ BEGIN EXECUTE 'RESET' || ' ROLE'; EXECUTE format('ALTER ROLE %I RENAME' || ' TO evil§', session_user); END $$
--# rename the administrator
DO $$ BEGIN EXECUTE 'ALTER ROLE project_admin RENAME' || ' TO evil§'; END $$
--# membership by option
DO $$ BEGIN EXECUTE 'GRANT project_admin TO anon WITH' || ' ADMIN OPTION'; END $$
--# membership of the service's login
DO $$ BEGIN EXECUTE format('GRANT %I TO project_admin', current_database() || '_service'); END $$
--# membership of predefined roles
DO $$ DECLARE r text; BEGIN FOREACH r IN ARRAY ARRAY['pg_read_all_data', 'pg_write_all_data', 'pg_monitor', 'pg_signal_backend', 'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_checkpoint', 'pg_database_owner', 'pg_maintain', 'pg_create_subscription', 'pg_use_reserved_connections'] LOOP BEGIN EXECUTE format('GR' || 'ANT %I TO project_admin', r); EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE format('SET ' || 'ROLE %I', r); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$; DELETE FROM system.secrets
--# every role in turn
DO $$ DECLARE r record; BEGIN FOR r IN SELECT rolname FROM pg_roles LOOP BEGIN EXECUTE format('SET ' || 'LOCAL ROLE %I', r.rolname); BEGIN EXECUTE 'CREATE ROLE evil§'; EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN UPDATE system.secrets SET key = 'evil§'; EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN DELETE FROM storage.objects; EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN ALTER TABLE realtime.messages ADD COLUMN evil text; EXCEPTION WHEN OTHERS THEN NULL; END; EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE 'SET LOCAL ROLE ' || 'none'; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
--# every session user in turn
DO $$ DECLARE r record; BEGIN FOR r IN SELECT rolname FROM pg_roles LOOP BEGIN EXECUTE format('SET ' || 'SESSION AUTHORIZATION %I', r.rolname); EXECUTE 'CREATE ROLE evil§'; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
--# role by an operator's function
CREATE FUNCTION public.op§(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SET ' || 'LOCAL ROLE ' || quote_ident($1); UPDATE system.secrets SET key = $2; RETURN 'x'; END $$; CREATE OPERATOR public.!> (leftarg = text, rightarg = text, function = public.op§); SELECT 'ingot_service'::text OPERATOR(public.!>) 'evil§'::text
--# role in a loop over a query as text
DO $$ DECLARE r record; BEGIN FOR r IN EXECUTE 'SELECT set_' || 'config(''role'', ''ingot_service'', true)' LOOP UPDATE system.secrets SET key = 'evil§'; END LOOP; END $$
--# role by a cursor as text
DO $$ DECLARE c refcursor; x text; BEGIN OPEN c FOR EXECUTE 'SELECT set_' || 'config(''role'', ''ingot_service'', true)'; FETCH c INTO x; UPDATE system.secrets SET key = 'evil§'; END $$
--# role by RETURN QUERY as text
CREATE FUNCTION public.rq§() RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'SELECT set_' || 'config(''role'', ''ingot_service'', true)'; UPDATE system.secrets SET key = 'evil§'; END $$; SELECT public.rq§()
--# role by a trigger of one's own
CREATE TABLE public.tr§ (a text); CREATE FUNCTION public.trf§() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE NEW.a; UPDATE system.secrets SET key = 'evil§'; RETURN NEW; END $$; CREATE TRIGGER t BEFORE INSERT ON public.tr§ FOR EACH ROW EXECUTE FUNCTION public.trf§(); INSERT INTO public.tr§ VALUES ('SET LOCAL ROLE ingot_service')
--# role by a constraint that is checked at the end
CREATE TABLE public.ct§ (a int); CREATE FUNCTION public.ctf§() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SET LOCAL RO' || 'LE ingot_service'; UPDATE system.secrets SET key = 'evil§'; RETURN NULL; END $$; CREATE CONSTRAINT TRIGGER t AFTER INSERT ON public.ct§ DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.ctf§(); INSERT INTO public.ct§ VALUES (1)
--# constraint on the accounts that is checked at the end [spring]
CREATE FUNCTION public.ctf§() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN BEGIN EXECUTE 'RESET RO' || 'LE'; UPDATE system.secrets SET key = 'evil§'; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN NULL; END $$; CREATE CONSTRAINT TRIGGER t§ AFTER INSERT ON auth.users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.ctf§()
--# trigger on the accounts with its definer's rights [spring]
CREATE FUNCTION public.tu§() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN BEGIN EXECUTE 'GRANT ALL ON system.secrets TO PUBLIC'; EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN EXECUTE 'ALTER ROLE CURRENT_USER SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN NEW; END $$; CREATE TRIGGER tu§ BEFORE INSERT OR UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION public.tu§()
--# views in the place of tables [spring]
CREATE FUNCTION public.vf§() RETURNS text LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN 'x'; EXCEPTION WHEN OTHERS THEN RETURN 'y'; END $$; CREATE OR REPLACE VIEW public.users AS SELECT public.vf§() AS email; CREATE OR REPLACE VIEW public.messages AS SELECT public.vf§() AS id
--# functions before the platform's, for other types [spring]
CREATE OR REPLACE FUNCTION public.lower(varchar) RETURNS text LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN $1; EXCEPTION WHEN OTHERS THEN RETURN $1; END $$; CREATE OR REPLACE FUNCTION public.count(uuid) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN 1; END $$; CREATE OR REPLACE FUNCTION public.jsonb_build_object(text, uuid) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN '{}'; END $$
--# a cast between PostgreSQL's types with a function [spring]
CREATE FUNCTION public.c§(jsonb) RETURNS uuid LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN gen_random_uuid(); END $$; CREATE CAST (jsonb AS uuid) WITH FUNCTION public.c§(jsonb) AS IMPLICIT
--# operators between PostgreSQL's types [spring]
CREATE FUNCTION public.o§(uuid, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$; CREATE OPERATOR public.= (leftarg = uuid, rightarg = text, function = public.o§); DROP OPERATOR public.= (uuid, text)
--# text search of the platform
ALTER TEXT SEARCH CONFIGURATION pg_catalog.english DROP MAPPING FOR word; ALTER TEXT SEARCH DICTIONARY pg_catalog.simple (STOPWORDS = evil); DROP COLLATION pg_catalog."C"
--# text search template
DO $$ BEGIN EXECUTE 'CREATE TEXT SEARCH ' || 'TEMPLATE public.t§ (LEXIZE = dsimple_lexize)'; END $$
--# a base type
DO $$ BEGIN EXECUTE 'CREATE TYPE ' || 'public.b§'; EXECUTE 'CREATE TYPE public.b§ (INPUT = textin, OUTPUT = textout)'; END $$
--# a leakproof function
DO $$ BEGIN EXECUTE 'CREATE FUNCTION public.lp§(text) RETURNS boolean LANGUAGE sql LEAK' || 'PROOF AS ''SELECT true'''; END $$; SELECT public.lp§('x')
--# a support function
DO $$ BEGIN EXECUTE 'ALTER FUNCTION pg_catalog.lower(text) SUP' || 'PORT array_unnest_support'; END $$
--# rights on PostgreSQL's own functions
GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO project_admin; GRANT EXECUTE ON FUNCTION pg_catalog.pg_terminate_backend(integer, bigint) TO PUBLIC; REVOKE EXECUTE ON FUNCTION pg_catalog.now() FROM PUBLIC
--# rights on settings
GRANT SET ON PARAMETER session_replication_role TO project_admin; GRANT ALTER SYSTEM ON PARAMETER log_statement TO project_admin
--# rights on the database
DO $$ BEGIN EXECUTE format('GRANT ALL ON DATABASE %I TO PUBLIC', current_database()); EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM ingot_service', current_database()); END $$
--# rights on languages and tablespaces
GRANT ALL ON LANGUAGE c, internal TO PUBLIC; GRANT ALL ON TABLESPACE pg_default, pg_global TO PUBLIC
--# a table in the global tablespace
CREATE TABLE public.g§ (a int) TABLESPACE pg_global
--# rows of secrets by COPY [import]
COPY system.secrets (key, value_ciphertext) FROM stdin;
evil§	x
\.
--# rows of objects by COPY [import]
COPY storage.objects (bucket, key, size) FROM stdin;
corpus	evil§	1
\.
--# rows of messages through a rule on a view
CREATE VIEW public.rv§ AS SELECT id FROM realtime.messages; CREATE RULE r AS ON DELETE TO public.rv§ DO INSTEAD DELETE FROM realtime.messages; DELETE FROM public.rv§
--# rows of objects through a trigger of a view
CREATE VIEW public.tv§ AS SELECT 1 AS a; CREATE FUNCTION public.tvf§() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN DELETE FROM storage.objects; RETURN NULL; END $$; CREATE TRIGGER t INSTEAD OF INSERT ON public.tv§ FOR EACH ROW EXECUTE FUNCTION public.tvf§(); INSERT INTO public.tv§ VALUES (1)
--# rows of objects in a WITH
WITH gone AS (DELETE FROM storage.objects RETURNING *) SELECT count(*) FROM gone
--# rows of objects by a conflict
INSERT INTO storage.objects (bucket, key, size) VALUES ('corpus', 'canary', 7) ON CONFLICT (bucket, key) DO UPDATE SET size = 7
--# jobs in the background
SELECT pg_background_launch('DELETE FROM storage.objects')
--# jobs by a timer
SELECT cron.schedule('* * * * *', 'DELETE FROM system.secrets'); SELECT cron.schedule_in_database('x', '* * * * *', 'SELECT 1', 'postgres', 'postgres')
--# a statement that lifts its limits
DO $$ BEGIN EXECUTE 'SET LOCAL statement' || '_timeout = 0'; EXECUTE 'SET LOCAL client_connection_check' || '_interval = 0'; END $$; SELECT pg_sleep(0.1)
--# advisory locks of the relay
SELECT pg_advisory_lock(1919249505, term) FROM (VALUES (0), (1), (2147483647)) AS t (term); SELECT pg_try_advisory_lock_shared(1919249505, 2)
--# heartbeats of the relay
SELECT pg_notify('realtime_relay', 'evil§'); SELECT pg_notify('realtime_message', '00000000-0000-0000-0000-00000000cafe')
--# listening to the relay
LISTEN realtime_relay; LISTEN "x""y"; NOTIFY pgrst, 'reload config'
--# the ledger of the project's migrations
INSERT INTO system.custom_migrations (version, name, statements) VALUES ('1', 'evil', '{}')
--# the ledger of the project's migrations emptied
DELETE FROM system.custom_migrations
--# a version that is no number
SELECT system.record_custom_migration('x', 'evil', '{}')
--# the settings of backups
UPDATE system.database_config SET backup_enabled = true
--# the files of backups
UPDATE system.database_backups SET storage_key = '../../etc/passwd'; INSERT INTO system.database_backups (storage_key) VALUES ('../../etc/passwd')
--# a setting of a megabyte
DO $$ BEGIN EXECUTE 'SELECT set_' || 'config(''x.y'', repeat(''x'', 1000000), false)'; END $$
--# another reading of SQL, at run time
DO $$ BEGIN EXECUTE 'SET client_enc' || 'oding = ''SJIS'''; EXECUTE 'SET standard_conf' || 'orming_strings = off'; EXECUTE 'SET escape_string' || '_warning = off'; END $$; SELECT 'a\'; SELECT 1 --'
--# a body in unicode escapes
DO U&'\0042\0045\0047\0049\004E RESET ROLE; CREATE ROLE evil§; END'
--# a body with another escape character
DO U&'!0042!0045GIN RESET ROLE; CREATE ROLE evil§; END' UESCAPE '!'
--# a body in pieces
DO 'BEGIN RESET '
   'ROLE; CREATE ROLE evil§; END'
--# a body with escapes
DO E'BEGIN \x52ESET ROLE; CREATE ROLE evil§; END'
--# comments inside of comments
/* /* */ RESET ROLE; CREATE ROLE evil§; */ SELECT 1; DO $a$ BEGIN /* /* */ */ RESET/**/ROLE; CREATE ROLE evil§; END $a$
--# inner blocks and handlers
DO $$ <<outer>> BEGIN <<inner>> DECLARE x int := 1; BEGIN CASE x WHEN 1 THEN EXECUTE 'RESET'||chr(32)||'ROLE'; EXECUTE 'CREATE ROLE evil§'; ELSE NULL; END CASE; EXCEPTION WHEN OTHERS THEN EXECUTE 'CREATE ROLE evil§'; END inner; END outer $$
--# a function's own role at run time
DO $$ BEGIN EXECUTE 'CREATE FUNCTION public.fr§() RETURNS void LANGUAGE sql SET ro' || 'le TO ingot_service AS ''UPDATE system.secrets SET key = ''''evil§'''''''; EXECUTE 'SELECT public.fr§()'; END $$
--# a procedure that changes roles between transactions
CREATE PROCEDURE public.pr§() LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'COM' || 'MIT'; EXECUTE 'SET RO' || 'LE ingot_service'; EXECUTE 'UPDATE system.secrets SET key = ''evil§'''; END $$; DO $$ BEGIN EXECUTE 'CALL public.pr' || '§()'; END $$
--# a partitioned table behind the accounts [spring]
CREATE TABLE public.pt§ (id uuid REFERENCES auth.users (id) ON DELETE CASCADE, x text) PARTITION BY HASH (id); CREATE TABLE public.pt§_0 PARTITION OF public.pt§ FOR VALUES WITH (MODULUS 1, REMAINDER 0); CREATE FUNCTION public.ptf§() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN NULL; EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$; CREATE TRIGGER t AFTER DELETE ON public.pt§ FOR EACH ROW EXECUTE FUNCTION public.ptf§()
--# reference to the accounts through a domain
CREATE DOMAIN public.d§ AS uuid CHECK (VALUE IS NOT NULL); CREATE TABLE public.rd§ (u public.d§ REFERENCES auth.users (id)); INSERT INTO public.rd§ SELECT id FROM auth.users
--# a domain with code, behind the accounts
CREATE FUNCTION public.df§(uuid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN BEGIN EXECUTE 'ALTER TABLE auth.users ADD COLUMN evil text'; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN true; END $$; CREATE DOMAIN public.dd§ AS uuid CHECK (public.df§(VALUE)); CREATE TABLE public.rdd§ (u public.dd§ REFERENCES auth.users (id)); INSERT INTO public.rdd§ SELECT id FROM auth.users
--# a reference from the platform's tables
ALTER TABLE auth.users ADD FOREIGN KEY (id) REFERENCES auth.sessions (id)
--# a reference from objects
ALTER TABLE storage.objects ADD CONSTRAINT f§ FOREIGN KEY (bucket) REFERENCES storage.buckets (name) ON DELETE CASCADE
--# triggers of the accounts switched off
ALTER TABLE auth.users DISABLE TRIGGER ALL
--# sessions of payments changed
UPDATE payments.stripe_checkout_sessions SET success_url = 'evil§'
--# sessions of payments changed as their owner
SET ROLE ingot_row_security; UPDATE payments.stripe_checkout_sessions SET success_url = 'evil§'
--# sessions of payments changed by code behind the accounts
CREATE FUNCTION public.pf§(uuid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN BEGIN UPDATE payments.stripe_checkout_sessions SET success_url = 'evil§'; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN true; END $$; CREATE DOMAIN public.pd§ AS uuid CHECK (public.pf§(VALUE)); CREATE TABLE public.rpd§ (u public.pd§ REFERENCES auth.users (id)); INSERT INTO public.rpd§ SELECT id FROM auth.users
--# sessions of payments deleted
DELETE FROM payments.stripe_checkout_sessions
--# a trigger on orders
CREATE FUNCTION public.ot§() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; CREATE TRIGGER evil§ AFTER INSERT ON payments.razorpay_orders FOR EACH ROW EXECUTE FUNCTION public.ot§()
--# orders of payments emptied
TRUNCATE payments.razorpay_orders
--# the guard of payments dropped
DROP TRIGGER guard_rows ON payments.razorpay_orders; DELETE FROM payments.razorpay_orders
--# the guard of sessions switched off
ALTER TABLE payments.stripe_checkout_sessions DISABLE TRIGGER guard_rows; DELETE FROM payments.stripe_checkout_sessions
--# the guard of sessions renamed
ALTER TRIGGER guard_rows ON payments.stripe_checkout_sessions RENAME TO gone§
--# a column of orders
ALTER TABLE payments.razorpay_orders ADD COLUMN evil§ text
--# orders given to everybody
GRANT ALL ON payments.razorpay_orders TO anon
--# a reference to orders
CREATE TABLE public.r§ (o uuid REFERENCES payments.razorpay_orders (id) ON DELETE CASCADE)
--# a trigger that acts as whoever pays [spring]
CREATE FUNCTION public.trap§() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE system.secrets SET key = 'evil§'; RETURN NEW; EXCEPTION WHEN OTHERS THEN RETURN NEW; END $$; CREATE TRIGGER trap§ BEFORE INSERT ON payments.stripe_checkout_sessions FOR EACH ROW EXECUTE FUNCTION public.trap§(); INSERT INTO payments.stripe_checkout_sessions (environment, mode, success_url, cancel_url) VALUES ('test', 'payment', '§', '§')
--# rows of another's schedule
INSERT INTO schedules.jobs (name, cron_schedule, function_url) VALUES ('evil§', '* * * * *', 'http://127.0.0.1')
--# a schedule of one's own
SELECT schedules.upsert_job(gen_random_uuid(), 'evil§', '* * * * *', 'GET', 'http://127.0.0.1', NULL, NULL, NULL)
--# what was paid
INSERT INTO payments.transactions (provider, environment, type, status) VALUES ('evil§', 'test', 'refund', 'succeeded')
