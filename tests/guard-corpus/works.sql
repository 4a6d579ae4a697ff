-- What ordinary applications, their tools and their dumps write. All of it must work.
-- A case begins with `--# name`; `[raw]`, `[import]`, `[migration]` limit where it is tried. `--then`
-- begins a request of its own.
-- `§` becomes a number of the case's own, so that cases do not meet.

--# a table of an app
CREATE TABLE public.posts§ (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL, body text, role text DEFAULT 'user', created_at timestamptz NOT NULL DEFAULT now());
--# a table beside the accounts
CREATE TABLE profiles§ (id uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE, username text UNIQUE CHECK (char_length(username) >= 3), avatar_url text);
ALTER TABLE profiles§ ENABLE ROW LEVEL SECURITY;
CREATE POLICY "own profile" ON profiles§ FOR SELECT USING (auth.uid() = id);
CREATE POLICY "insert own" ON profiles§ FOR INSERT WITH CHECK (auth.uid() = id);
CREATE POLICY "update own" ON profiles§ FOR UPDATE TO authenticated USING (auth.uid() = id) WITH CHECK (auth.uid() = id);
--# a trigger on the accounts
CREATE TABLE public.seen§ (id uuid, email text);
CREATE FUNCTION public.handle_new_user§() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO public.seen§ (id, email) VALUES (new.id, new.email);
  RETURN new;
END;
$$;
CREATE TRIGGER on_auth_user_created§ AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.handle_new_user§();
--# a trigger that publishes
CREATE TABLE orders§ (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, status text);
CREATE FUNCTION notify_order§() RETURNS trigger AS $$ BEGIN PERFORM realtime.publish('order:' || NEW.id::text, TG_OP || '_order', jsonb_build_object('id', NEW.id, 'status', NEW.status)); RETURN NEW; END; $$ LANGUAGE plpgsql SECURITY DEFINER;
CREATE TRIGGER order_changed AFTER INSERT OR UPDATE ON orders§ FOR EACH ROW EXECUTE FUNCTION notify_order§();
INSERT INTO orders§ (status) VALUES ('new');
--# policies on channels
INSERT INTO realtime.channels (pattern, description, enabled) VALUES ('chat§:%', 'Chats', true);
ALTER TABLE realtime.channels ENABLE ROW LEVEL SECURITY;
CREATE POLICY subscribe§ ON realtime.channels FOR SELECT TO authenticated USING (pattern = 'chat§:%' AND auth.uid() IS NOT NULL);
--# policies on messages
ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY;
CREATE POLICY publish§ ON realtime.messages FOR INSERT TO authenticated WITH CHECK (channel_name LIKE 'room:%' AND realtime.channel_name() = channel_name);
ALTER POLICY publish§ ON realtime.messages WITH CHECK (auth.role() = 'authenticated');
DROP POLICY publish§ ON realtime.messages;
ALTER TABLE realtime.messages DISABLE ROW LEVEL SECURITY;
--# policies on payments
ALTER TABLE payments.stripe_checkout_sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY buyers§ ON payments.stripe_checkout_sessions FOR SELECT TO authenticated USING (subject_id = auth.jwt() ->> 'sub');
DROP POLICY buyers§ ON payments.stripe_checkout_sessions;
ALTER TABLE payments.stripe_checkout_sessions DISABLE ROW LEVEL SECURITY;
CREATE POLICY orders§ ON payments.razorpay_orders FOR INSERT TO anon WITH CHECK (amount > 0);
INSERT INTO payments.razorpay_orders (environment, amount, currency, receipt) VALUES ('test', 100, 'INR', '§');
UPDATE payments.razorpay_orders SET receipt = 'paid§' WHERE receipt = '§';
--# a trigger on what was bought
CREATE FUNCTION public.bought§() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER bought§ AFTER UPDATE ON payments.webhook_events FOR EACH ROW EXECUTE FUNCTION public.bought§();
CREATE TRIGGER bought§ AFTER INSERT ON payments.stripe_checkout_sessions FOR EACH ROW EXECUTE FUNCTION public.bought§();
--# policies on stored objects
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
CREATE POLICY avatars§ ON storage.objects FOR ALL TO authenticated USING (bucket = 'avatars' AND (storage.foldername(key))[1] = auth.jwt() ->> 'sub') WITH CHECK (bucket = 'avatars');
DROP POLICY avatars§ ON storage.objects;
--# rows beside stored objects
CREATE TABLE attachments§ (bucket text, key text COLLATE "C", note text, FOREIGN KEY (bucket, key) REFERENCES storage.objects (bucket, key));
--# an enum and its use
CREATE TYPE mood§ AS ENUM ('sad', 'ok', 'happy');
ALTER TYPE mood§ ADD VALUE IF NOT EXISTS 'great' AFTER 'happy';
CREATE TABLE people§ (name text, feels mood§);
--# an enum that may be there
DO $$ BEGIN CREATE TYPE "public"."Role§" AS ENUM ('USER', 'ADMIN'); EXCEPTION WHEN duplicate_object THEN null; END $$;
--# what prisma writes
CREATE TABLE "User§" ("id" SERIAL NOT NULL, "email" TEXT NOT NULL, "name" TEXT, CONSTRAINT "User§_pkey" PRIMARY KEY ("id"));
CREATE TABLE "Post§" ("id" SERIAL NOT NULL, "title" VARCHAR(255) NOT NULL, "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "content" TEXT, "published" BOOLEAN NOT NULL DEFAULT false, "authorId" INTEGER NOT NULL, CONSTRAINT "Post§_pkey" PRIMARY KEY ("id"));
CREATE UNIQUE INDEX "User§_email_key" ON "User§"("email");
ALTER TABLE "Post§" ADD CONSTRAINT "Post§_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "User§"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
--# what drizzle writes
CREATE TABLE IF NOT EXISTS "accounts§" (
	"userId" text NOT NULL,
	"type" text NOT NULL,
	"expires_at" integer,
	CONSTRAINT "accounts§_pk" PRIMARY KEY("userId","type")
);
--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "accounts§_idx" ON "accounts§" USING btree ("expires_at");
--# what typeorm writes
CREATE TABLE "photo§" ("id" uuid NOT NULL DEFAULT gen_random_uuid(), "tags" text array, "meta" jsonb NOT NULL DEFAULT '{}', "views" bigint DEFAULT '0', CONSTRAINT "PK_§" PRIMARY KEY ("id"));
COMMENT ON COLUMN "photo§"."meta" IS 'SET ROLE postgres; not really';
--# what rails writes
CREATE TABLE "articles§" ("id" bigserial primary key, "title" character varying, "body" text, "created_at" timestamp(6) NOT NULL, "updated_at" timestamp(6) NOT NULL);
CREATE TABLE IF NOT EXISTS "schema_migrations§" ("version" character varying NOT NULL PRIMARY KEY);
INSERT INTO "schema_migrations§" (version) VALUES ('20240101000000') ON CONFLICT DO NOTHING;
--# what django writes
CREATE TABLE "polls_question§" ("id" bigint NOT NULL PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, "question_text" varchar(200) NOT NULL, "pub_date" timestamp with time zone NOT NULL);
CREATE TABLE "polls_choice§" ("id" bigint NOT NULL PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, "votes" integer NOT NULL CHECK ("votes" >= 0), "question_id" bigint NOT NULL);
ALTER TABLE "polls_choice§" ADD CONSTRAINT "polls_choice_q§" FOREIGN KEY ("question_id") REFERENCES "polls_question§" ("id") DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX "polls_choice_idx§" ON "polls_choice§" ("question_id");
SET CONSTRAINTS ALL IMMEDIATE;
--# what a dump begins with
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
--# a whole dump [import]
--
-- PostgreSQL database dump
--
\restrict abc
SET statement_timeout = 0;
SET lock_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
SET default_tablespace = '';
CREATE TABLE public.dumped§ (id integer NOT NULL, name text);
CREATE SEQUENCE public.dumped§_id_seq AS integer START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1;
ALTER SEQUENCE public.dumped§_id_seq OWNED BY public.dumped§.id;
ALTER TABLE ONLY public.dumped§ ALTER COLUMN id SET DEFAULT nextval('public.dumped§_id_seq'::regclass);
COPY public.dumped§ (id, name) FROM stdin;
1	SET ROLE postgres;
2	\N
3	a\tb\\c
\.
SELECT pg_catalog.setval('public.dumped§_id_seq', 3, true);
ALTER TABLE ONLY public.dumped§ ADD CONSTRAINT dumped§_pkey PRIMARY KEY (id);
\unrestrict abc
--# csv in a dump [import]
CREATE TABLE public.csv§ (a int, b text);
COPY public.csv§ FROM stdin WITH (FORMAT csv, HEADER true);
a,b
1,"RESET ROLE; ""quoted"""
\.
--# default privileges of a dump
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO anon;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE SELECT ON TABLES FROM anon;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO anon;
--# forbidden words in literals
SELECT 'set_config', 'SET ROLE postgres; RESET ALL', 'DROP DATABASE x; COMMIT; ALTER SYSTEM', 'pg_read_file(''/etc/passwd'')' AS t;
--# forbidden words in comments
SELECT 1 -- set_config('role', 'postgres', false); RESET ROLE
 /* SET SESSION AUTHORIZATION postgres; /* COPY t TO PROGRAM 'sh' */ COMMIT; */ AS one;
--# forbidden words as identifiers
CREATE TABLE "set_config§" ("role" text, "session_authorization" text, "search_path" text, "commit" int, "alter system" text);
UPDATE "set_config§" SET "role" = 'admin', search_path = 'x';
--# forbidden words in dollar quotes
SELECT $$RESET ROLE; COPY x TO PROGRAM 'sh'$$, $a$ SET ROLE x; $$ nested $$ $a$ AS text;
--# forbidden words in escape strings
SELECT E'it\'s; SET ROLE postgres', U&'\0053ET ROLE x', 'a''; RESET ROLE; --' AS t;
--# a comment alone
-- nothing here: set_config
SELECT 1;
--# several statements
CREATE TABLE several§ (a int); INSERT INTO several§ VALUES (1); UPDATE several§ SET a = 2; DELETE FROM several§; DROP TABLE several§;
--# a semicolon too many
SELECT 1;;
SELECT 2;
--# a common table expression that writes
CREATE TABLE t§ (id int PRIMARY KEY, n int);
WITH moved AS (INSERT INTO t§ VALUES (1, 1), (2, 2) RETURNING *) SELECT count(*) FROM moved;
--# upsert
CREATE TABLE t§ (id int PRIMARY KEY, n int);
INSERT INTO t§ VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = t§.n + excluded.n RETURNING *;
--# merge
CREATE TABLE t§ (id int PRIMARY KEY, n int);
MERGE INTO t§ USING (VALUES (1, 2)) AS s (id, n) ON t§.id = s.id WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.n);
--# window functions
SELECT n, sum(n) OVER (ORDER BY n ROWS UNBOUNDED PRECEDING), rank() OVER w FROM generate_series(1, 5) AS n WINDOW w AS (ORDER BY n);
--# recursion
WITH RECURSIVE tree (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM tree WHERE n < 5) SELECT * FROM tree;
--# lateral joins and grouping sets
SELECT a, b, count(*) FROM generate_series(1, 3) AS a CROSS JOIN LATERAL (SELECT a * 2 AS b) AS x GROUP BY GROUPING SETS ((a, b), (a), ());
--# json
SELECT '{"a": [1, {"role": "SET ROLE x"}]}'::jsonb #>> '{a,1,role}', jsonb_path_query('{"a": 1}', '$.a'), to_jsonb(now()), json_agg(n) FROM generate_series(1, 2) AS n;
--# full text search
CREATE TABLE docs§ (body text, tsv tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(body, ''))) STORED);
CREATE INDEX ON docs§ USING gin (tsv);
INSERT INTO docs§ (body) VALUES ('the quick brown fox');
SELECT ts_rank(tsv, q), ts_headline('english', body, q) FROM docs§, websearch_to_tsquery('english', 'quick -lazy') AS q WHERE tsv @@ q;
--# a view
CREATE VIEW public.v§ AS SELECT 1 AS one, current_user AS who;
CREATE OR REPLACE VIEW public.v§ WITH (security_invoker = true) AS SELECT 1 AS one, current_user AS who;
GRANT SELECT ON public.v§ TO anon, authenticated;
--# a materialised view
CREATE MATERIALIZED VIEW mv§ AS SELECT n FROM generate_series(1, 3) AS n WITH NO DATA;
CREATE UNIQUE INDEX ON mv§ (n);
REFRESH MATERIALIZED VIEW mv§;
--# a function in SQL
CREATE FUNCTION add§(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT a + b';
SELECT add§(1), add§(a => 1, b => 2);
--# a function with a standard body
CREATE FUNCTION one§() RETURNS int LANGUAGE sql RETURN 1;
CREATE FUNCTION two§() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;
SELECT one§() + two§();
--# a function with its own search path
CREATE FUNCTION safe§() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$ SELECT current_user::text $$;
SELECT safe§();
--# a function with its own limits
CREATE FUNCTION slow§() RETURNS void LANGUAGE plpgsql SET statement_timeout = '5s' SET work_mem = '8MB' AS $$ BEGIN PERFORM pg_sleep(0); END $$;
SELECT slow§();
--# a function that returns a table
CREATE FUNCTION rows§(n int) RETURNS TABLE (id int, label text) LANGUAGE plpgsql AS $$
DECLARE
  i int;
BEGIN
  FOR i IN 1..n LOOP
    id := i; label := 'row ' || i;
    RETURN NEXT;
  END LOOP;
  RETURN QUERY SELECT 0, 'end'::text;
END $$;
SELECT * FROM rows§(3);
--# a function with dynamic SQL
CREATE FUNCTION count_of§(t text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
  EXECUTE format('SELECT count(*) FROM %I', t) INTO n;
  RETURN n;
END $$;
CREATE TABLE public.c§ (a int);
SELECT count_of§('c§');
--# a function with every control structure
CREATE FUNCTION flow§(x int) RETURNS text LANGUAGE plpgsql AS $fn$
<<outer>>
DECLARE
  role text := 'admin';
  r record;
  c CURSOR FOR SELECT 1 AS a;
BEGIN
  IF x > 0 THEN role := 'plus'; ELSIF x < 0 THEN role := 'minus'; ELSE NULL; END IF;
  CASE x WHEN 1 THEN NULL; ELSE NULL; END CASE;
  WHILE x < 3 LOOP x := x + 1; CONTINUE WHEN x = 2; EXIT outer WHEN x > 10; END LOOP;
  FOR r IN SELECT 1 AS a LOOP RAISE NOTICE 'SET ROLE %', r.a; END LOOP;
  FOREACH x IN ARRAY ARRAY[1, 2] LOOP NULL; END LOOP;
  OPEN c; FETCH c INTO r; CLOSE c;
  BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN GET STACKED DIAGNOSTICS role = MESSAGE_TEXT; END;
  RETURN role;
END outer $fn$;
SELECT flow§(1);
--# a procedure
CREATE PROCEDURE p§(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; END $$;
CALL p§(1);
--# a procedure that commits [raw]
CREATE TABLE batch§ (n int);
CREATE PROCEDURE work§() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..3 LOOP INSERT INTO batch§ VALUES (i); COMMIT; END LOOP; END $$;
--then
CALL work§()
--# a trigger for updated_at
CREATE TABLE t§ (id int PRIMARY KEY, updated_at timestamptz DEFAULT now());
CREATE TRIGGER touch BEFORE UPDATE ON t§ FOR EACH ROW EXECUTE FUNCTION system.update_updated_at();
INSERT INTO t§ VALUES (1); UPDATE t§ SET id = 2;
--# a statement trigger with transition tables
CREATE TABLE t§ (id int); CREATE TABLE log§ (n bigint);
CREATE FUNCTION log_it§() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log§ SELECT count(*) FROM added; RETURN NULL; END';
CREATE TRIGGER log AFTER INSERT ON t§ REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION log_it§();
INSERT INTO t§ VALUES (1), (2);
--# a constraint trigger
CREATE TABLE t§ (id int);
CREATE FUNCTION check_it§() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON t§ DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_it§();
ALTER TABLE t§ DISABLE TRIGGER later; ALTER TABLE t§ ENABLE TRIGGER later;
--# an instead-of trigger
CREATE TABLE base§ (id int); CREATE VIEW face§ AS SELECT * FROM base§;
CREATE FUNCTION into_base§() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO base§ VALUES (NEW.id); RETURN NEW; END';
CREATE TRIGGER i INSTEAD OF INSERT ON face§ FOR EACH ROW EXECUTE FUNCTION into_base§();
INSERT INTO face§ VALUES (1);
--# a rule
CREATE TABLE t§ (id int); CREATE TABLE t2§ (id int);
CREATE RULE also AS ON INSERT TO t§ DO ALSO INSERT INTO t2§ VALUES (NEW.id);
INSERT INTO t§ VALUES (1);
--# partitions
CREATE TABLE logs§ (at timestamptz NOT NULL, msg text) PARTITION BY RANGE (at);
CREATE TABLE logs§_2024 PARTITION OF logs§ FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE logs§_rest PARTITION OF logs§ DEFAULT;
ALTER TABLE logs§ DETACH PARTITION logs§_2024;
ALTER TABLE logs§ ATTACH PARTITION logs§_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
--# inheritance
CREATE TABLE parent§ (a int); CREATE TABLE child§ (b int) INHERITS (parent§);
--# indexes of all kinds
CREATE TABLE t§ (a int, b text, c jsonb, d tstzrange, e text[]);
CREATE INDEX ON t§ USING hash (a); CREATE INDEX ON t§ USING gin (c jsonb_path_ops); CREATE INDEX ON t§ USING gist (d);
CREATE INDEX ON t§ (lower(b)) WHERE a > 0; CREATE UNIQUE INDEX u§ ON t§ (a) INCLUDE (b) NULLS NOT DISTINCT; CREATE INDEX ON t§ USING brin (a);
--# an index while rows are written [raw]
CREATE TABLE busy§ (a int)
--then
CREATE INDEX CONCURRENTLY ON busy§ (a)
--then
REINDEX TABLE CONCURRENTLY busy§
--then
DROP INDEX CONCURRENTLY busy§_a_idx
--# exclusion
CREATE TABLE bookings§ (during tsrange, EXCLUDE USING gist (during WITH &&));
--# generated and identity columns
CREATE TABLE t§ (id bigint GENERATED ALWAYS AS IDENTITY (START WITH 10), a int, b int GENERATED ALWAYS AS (a * 2) STORED);
INSERT INTO t§ (a) VALUES (1); INSERT INTO t§ (id, a) OVERRIDING SYSTEM VALUE VALUES (1, 1);
--# changes of a table
CREATE TABLE t§ (a int, b text);
ALTER TABLE t§ ADD COLUMN c numeric(10, 2) NOT NULL DEFAULT 0, DROP COLUMN b, ALTER COLUMN a TYPE bigint USING a::bigint, ALTER COLUMN a SET NOT NULL, ADD CONSTRAINT pos CHECK (a > 0) NOT VALID;
ALTER TABLE t§ VALIDATE CONSTRAINT pos; ALTER TABLE t§ RENAME COLUMN c TO price; ALTER TABLE t§ RENAME TO renamed§;
--# ownership stays with the administrator
CREATE TABLE t§ (a int); ALTER TABLE t§ OWNER TO project_admin;
--# a schema of one's own
CREATE SCHEMA app§; CREATE TABLE app§.t (a int); GRANT USAGE ON SCHEMA app§ TO anon, authenticated; GRANT SELECT ON ALL TABLES IN SCHEMA app§ TO anon;
ALTER DEFAULT PRIVILEGES IN SCHEMA app§ GRANT SELECT ON TABLES TO authenticated; DROP SCHEMA app§ CASCADE;
--# a schema with its elements
CREATE SCHEMA bundle§ CREATE TABLE t (a int) CREATE VIEW v AS SELECT a FROM t;
--# a domain
CREATE DOMAIN email§ AS text CHECK (VALUE ~ '^[^@]+@[^@]+$'); CREATE TABLE t§ (e email§); INSERT INTO t§ VALUES ('a@b');
--# a composite type
CREATE TYPE address§ AS (street text, zip text); CREATE TABLE t§ (a address§); INSERT INTO t§ VALUES (ROW('x', '1')); SELECT (a).street FROM t§;
--# a range type
CREATE TYPE floatrange§ AS RANGE (subtype = float8, subtype_diff = float8mi); SELECT '[1.0,2.0)'::floatrange§ @> 1.5::float8;
--# an aggregate
CREATE AGGREGATE product§(numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = '1'); SELECT product§(n) FROM generate_series(1, 4) AS n;
--# an operator
CREATE FUNCTION near§(a int, b int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs(a - b) < 2';
CREATE SCHEMA op§; CREATE OPERATOR op§.<~> (LEFTARG = int, RIGHTARG = int, FUNCTION = near§); SELECT 1 OPERATOR(op§.<~>) 2;
--# a cast of one's own type
CREATE TYPE money§ AS (cents bigint); CREATE FUNCTION as_cents§(m money§) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT (m).cents'; CREATE CAST (money§ AS bigint) WITH FUNCTION as_cents§(money§);
--# a collation
CREATE COLLATION c§ (provider = libc, locale = 'C'); SELECT 'a' < 'B' COLLATE c§;
--# statistics
CREATE TABLE t§ (a int, b int); CREATE STATISTICS s§ ON a, b FROM t§; ANALYZE t§;
--# extensions that every server has
CREATE EXTENSION IF NOT EXISTS pgcrypto; CREATE EXTENSION IF NOT EXISTS "uuid-ossp"; CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
--# more of them
CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS ltree; CREATE EXTENSION IF NOT EXISTS btree_gin; CREATE EXTENSION IF NOT EXISTS btree_gist; CREATE EXTENSION IF NOT EXISTS unaccent; CREATE EXTENSION IF NOT EXISTS fuzzystrmatch; CREATE EXTENSION IF NOT EXISTS intarray; CREATE EXTENSION IF NOT EXISTS tablefunc; CREATE EXTENSION IF NOT EXISTS cube;
--# an extension in a schema of its own
CREATE SCHEMA IF NOT EXISTS extensions; CREATE EXTENSION IF NOT EXISTS isn WITH SCHEMA extensions; DROP EXTENSION isn;
--# cryptography
CREATE EXTENSION IF NOT EXISTS pgcrypto; SELECT crypt('x', gen_salt('bf', 4)) <> 'x', encode(digest('x', 'sha256'), 'hex'), gen_random_uuid(), encode(sha256('x'), 'base64');
--# sequences
CREATE SEQUENCE s§ INCREMENT BY 5 START 10; SELECT nextval('s§'), currval('s§'), setval('s§', 100); ALTER SEQUENCE s§ RESTART WITH 1; DROP SEQUENCE s§;
--# grants
CREATE TABLE t§ (a int, b int); GRANT SELECT (a), UPDATE (b) ON t§ TO authenticated; REVOKE ALL ON t§ FROM anon; GRANT SELECT ON t§ TO PUBLIC;
--# a function for nobody but the administrator
CREATE FUNCTION f§() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE EXECUTE ON FUNCTION f§() FROM PUBLIC, anon; GRANT EXECUTE ON FUNCTION f§() TO authenticated; ALTER FUNCTION f§() SET search_path = ''; ALTER FUNCTION f§() COST 5;
--# policies of all kinds
CREATE TABLE t§ (id uuid, owner uuid DEFAULT auth.uid(), tenant text); ALTER TABLE t§ ENABLE ROW LEVEL SECURITY; ALTER TABLE t§ FORCE ROW LEVEL SECURITY;
CREATE POLICY a ON t§ AS RESTRICTIVE FOR ALL TO public USING (tenant = auth.jwt() ->> 'tenant');
CREATE POLICY b ON t§ FOR DELETE TO authenticated USING ((SELECT auth.uid()) = owner);
CREATE POLICY c ON t§ FOR SELECT TO anon USING (true);
CREATE POLICY d ON t§ FOR SELECT TO authenticated USING (EXISTS (SELECT FROM auth.users WHERE id = auth.uid()));
ALTER POLICY c ON t§ RENAME TO open; DROP POLICY IF EXISTS nothing ON t§;
--# comments on things
CREATE TABLE t§ (a int); COMMENT ON TABLE t§ IS 'DROP ROLE x'; COMMENT ON COLUMN t§.a IS NULL;
--# settings that hurt nobody
SET TIME ZONE 'Europe/Berlin'; SET LOCAL work_mem = '16MB'; SET lock_timeout = '2s'; SET datestyle = 'ISO, DMY'; SET enable_seqscan = off; SET my.variable = 'x'; SHOW search_path; RESET work_mem;
--# reading settings
SELECT current_setting('server_version'), current_setting('request.jwt.claims', true), current_setting('my.thing', true), current_database(), current_user, session_user, version();
--# claims for a test of policies
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-0000-0000-000000000001", "role": "authenticated"}'; SELECT auth.uid(), auth.role();
--# temporary tables
CREATE TEMP TABLE scratch§ (a int) ON COMMIT DROP; INSERT INTO scratch§ VALUES (1);
--# a table from a query
CREATE TABLE t§ AS SELECT n, n * n AS square FROM generate_series(1, 10) AS n; SELECT * INTO TEMP copy§ FROM t§; CREATE UNLOGGED TABLE fast§ (LIKE t§ INCLUDING ALL);
--# emptying tables
CREATE TABLE t§ (id serial); INSERT INTO t§ DEFAULT VALUES; TRUNCATE t§ RESTART IDENTITY CASCADE;
--# locks of one's own table
CREATE TABLE t§ (id int); LOCK TABLE t§ IN SHARE ROW EXCLUSIVE MODE; SELECT * FROM t§ FOR UPDATE SKIP LOCKED;
--# advisory locks of a transaction
SELECT pg_advisory_xact_lock(72707369), pg_try_advisory_xact_lock(1, 2);
--# the lock of prisma's runner
SELECT pg_advisory_lock(72707369); SELECT pg_advisory_unlock(72707369);
--# asking for a schema reload
NOTIFY pgrst, 'reload schema'; SELECT pg_notify('pgrst', 'reload config');
--# prepared statements
PREPARE q§ (int) AS SELECT $1 + 1; EXECUTE q§(1); DEALLOCATE q§;
--# cursors
DECLARE c§ CURSOR FOR SELECT generate_series(1, 3); FETCH 2 FROM c§; CLOSE c§;
--# plans
EXPLAIN (FORMAT json) SELECT 1;
--# plans of writes
CREATE TABLE t§ (a int); EXPLAIN ANALYZE INSERT INTO t§ VALUES (1);
--# maintenance [raw]
CREATE TABLE dusty§ (a int)
--then
VACUUM (ANALYZE) dusty§
--then
REINDEX TABLE dusty§
--# large numbers and odd values
SELECT 9223372036854775807, 1e400::numeric, 'NaN'::float8, '-Infinity'::float4, 'infinity'::timestamptz, '\xdeadbeef'::bytea, '{1,NULL,3}'::int[], '[1,5)'::int4range, B'101', '1 year 2 days'::interval, '12:00+02'::timetz, '10.0.0.0/8'::cidr, '(1,2)'::point;
--# texts in many scripts
SELECT 'Grüße', '日本語', 'العربية', '😀', U&'\+01F600', E'\u00e9', 'tab	and
newline';
--# xml where the server has it
SELECT xmlelement(name a, 1), query_to_xml('SELECT 1 AS one', true, false, '');
--# large objects of one's own
SELECT lo_from_bytea(0, '\x00ff');
--# publications of one's own tables
CREATE TABLE t§ (id int PRIMARY KEY); CREATE PUBLICATION pub§ FOR TABLE t§; ALTER PUBLICATION pub§ SET (publish = 'insert'); DROP PUBLICATION pub§;
--# the catalogues
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 LIMIT 5;
--# the information schema
SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' LIMIT 5;
--# a look at the platform
SELECT id, email, created_at FROM auth.users LIMIT 5; SELECT version, name FROM system.custom_migrations; SELECT * FROM storage.buckets;
--# an administrator of users
UPDATE auth.users SET profile = profile || '{"plan": "pro"}' WHERE email = 'nobody@example.com'; SELECT count(*) FROM auth.users;
--# an index on a query of text
CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE TABLE t§ (name text); CREATE INDEX ON t§ USING gin (name gin_trgm_ops); SELECT similarity('a', 'b');
--# a block that does everything once
DO $do$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['one§', 'two§'] LOOP
    EXECUTE format('CREATE TABLE IF NOT EXISTS public.%I (id int)', t);
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE 'CREATE POLICY p ON public.' || quote_ident(t) || ' USING (true)';
  END LOOP;
  IF NOT EXISTS (SELECT 1 FROM pg_policies WHERE policyname = 'none') THEN RAISE NOTICE 'RESET ROLE'; END IF;
END $do$;
--# a block with forbidden words in texts
DO $$ BEGIN RAISE NOTICE 'SET ROLE postgres'; PERFORM 'set_config', 'COPY x TO PROGRAM'; END $$;
--# a seed
CREATE TABLE seed§ (id int PRIMARY KEY, name text, tags text[], meta jsonb);
INSERT INTO seed§ SELECT n, 'name ' || n, ARRAY['a', 'b'], jsonb_build_object('n', n) FROM generate_series(1, 200) AS n;
--# multi-tenant policies through a function
CREATE TABLE members§ (team uuid, member uuid);
CREATE FUNCTION is_member§(t uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$ SELECT EXISTS (SELECT FROM public.members§ m WHERE m.team = t AND m.member = auth.uid()) $$;
CREATE TABLE docs§ (team uuid, body text); ALTER TABLE docs§ ENABLE ROW LEVEL SECURITY;
CREATE POLICY team ON docs§ USING (is_member§(team));
--# soft delete and audit
CREATE TABLE audit§ (at timestamptz DEFAULT now(), who text DEFAULT current_setting('request.jwt.claims', true), old jsonb, new jsonb);
CREATE TABLE items§ (id int PRIMARY KEY, deleted_at timestamptz);
CREATE FUNCTION audit_it§() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit§ (old, new) VALUES (to_jsonb(OLD), to_jsonb(NEW)); RETURN COALESCE(NEW, OLD); END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON items§ FOR EACH ROW EXECUTE FUNCTION audit_it§();
INSERT INTO items§ VALUES (1, NULL); UPDATE items§ SET deleted_at = now(); DELETE FROM items§;
--# counters
CREATE TABLE counters§ (k text PRIMARY KEY, v bigint DEFAULT 0);
CREATE FUNCTION bump§(key text) RETURNS bigint LANGUAGE sql AS $$ INSERT INTO counters§ VALUES (key, 1) ON CONFLICT (k) DO UPDATE SET v = counters§.v + 1 RETURNING v $$;
SELECT bump§('a'), bump§('a');
--# drop what is not there
DROP TABLE IF EXISTS never§ CASCADE; DROP FUNCTION IF EXISTS never§(int); DROP TYPE IF EXISTS never§; DROP VIEW IF EXISTS never§; DROP TRIGGER IF EXISTS never ON auth.users; DROP POLICY IF EXISTS never ON storage.objects;
--# replace a function
CREATE OR REPLACE FUNCTION r§() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE OR REPLACE FUNCTION r§() RETURNS int LANGUAGE sql AS 'SELECT 2'; DROP FUNCTION r§();
--# polymorphic and variadic functions
CREATE FUNCTION firstof§(VARIADIC a anyarray) RETURNS anyelement LANGUAGE sql AS 'SELECT a[1]'; SELECT firstof§(1, 2, 3);
--# set-returning function over JSON
SELECT * FROM jsonb_to_recordset('[{"a":1,"role":"x"}]') AS x (a int, role text);
--# text with backslashes
SELECT 'C:\path\file', '\d+', regexp_replace('a.b', '\.', '\\', 'g');
