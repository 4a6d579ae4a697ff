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
