-- What must be refused, with a clear answer. `=> rule` names the guard's rule (403 FORBIDDEN with its
-- sentence); `=> 403` and `=> 400` are PostgreSQL's own refusals, told with the contract's codes.
-- (An import tells PostgreSQL's refusals as 400 INVALID_INPUT, as the contract has it.)

--# create database => database-management
CREATE DATABASE other
--# drop database => database-management
DROP DATABASE IF EXISTS postgres
--# alter database set => database-management
ALTER DATABASE postgres SET role = 'postgres'
--# alter database rename => database-management
ALTER DATABASE postgres RENAME TO x
--# alter database owner => database-management
ALTER DATABASE postgres OWNER TO project_admin
--# alter database refresh => database-management
ALTER DATABASE postgres REFRESH COLLATION VERSION
--# tablespace => database-management
CREATE TABLESPACE t LOCATION '/tmp'
--# database in a comment and after it => database-management
/* harmless */ CREATE /* x */ DATABASE -- y
 other
--# create role => role-management
CREATE ROLE evil SUPERUSER LOGIN PASSWORD 'x'
--# create user => role-management
CREATE USER evil
--# create group => role-management
CREATE GROUP evil
--# alter role => role-management
ALTER ROLE project_admin SUPERUSER
--# alter user password => role-management
ALTER USER CURRENT_USER PASSWORD 'x'
--# alter role set => role-management
ALTER ROLE CURRENT_USER SET search_path = evil
--# alter role in database => role-management
ALTER ROLE ALL IN DATABASE postgres SET role = 'postgres'
--# drop role => role-management
DROP ROLE IF EXISTS anon
--# grant a role => role-management
GRANT postgres TO project_admin
--# revoke a role => role-management
REVOKE project_admin FROM CURRENT_USER
--# rename a role => role-management
ALTER ROLE project_admin RENAME TO admin
--# drop owned => role-management
DROP OWNED BY project_admin
--# reassign owned => role-management
REASSIGN OWNED BY CURRENT_USER TO project_admin
--# user mapping => role-management
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user 'x', password 'y')
--# set role => execution-role
SET ROLE postgres
--# set local role => execution-role
SET LOCAL ROLE anon
--# set role none => execution-role
SET ROLE NONE
--# set role as a setting => execution-role
SET "role" = 'postgres'
--# reset role => execution-role
RESET ROLE
--# role to default => execution-role
SET role TO DEFAULT
--# session authorization => execution-role
SET SESSION AUTHORIZATION 'postgres'
--# session authorization default => execution-role
SET LOCAL SESSION AUTHORIZATION DEFAULT
--# reset session authorization => execution-role
RESET SESSION AUTHORIZATION
--# reset all => execution-role
RESET ALL
--# discard all [raw] => execution-role
DISCARD ALL
--# discard temp => execution-role
DISCARD TEMP
--# reset role in a block => execution-role
DO $$ BEGIN RESET ROLE; END $$
--# set role in a block's branch => execution-role
DO $$ BEGIN IF true THEN SET LOCAL ROLE postgres; END IF; END $$
--# set role in dynamic SQL => execution-role
DO $$ BEGIN EXECUTE 'SET ' || 'ROLE postgres'; END $$
--# set role in formatted SQL => execution-role
DO $$ DECLARE r text := 'postgres'; BEGIN EXECUTE format('SET ROLE %I', r); END $$
--# set role in a function => execution-role
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET ROLE postgres; END $$
--# set role of a function => execution-role
CREATE FUNCTION f() RETURNS void LANGUAGE sql SET role = 'postgres' AS 'SELECT 1'
--# alter a function's role => execution-role
ALTER FUNCTION f() SET session_authorization = 'postgres'
--# set role in a function in SQL => execution-role
CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SET ROLE postgres'
--# set role in a block in a function => execution-role
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN EXECUTE 'DO $x$ BEGIN RESET ROLE; END $x$'; END $f$
--# set_config => set-config
SELECT set_config('role', 'postgres', false)
--# set_config qualified => set-config
SELECT pg_catalog.set_config('search_path', 'x', false)
--# set_config quoted => set-config
SELECT "set_config" ('a.b', 'c', true)
--# set_config in unicode => set-config
SELECT U&"set\005fconfig"('role', 'postgres', false)
--# set_config in a common table expression => set-config
WITH x AS (SELECT set_config('role', 'postgres', false)) SELECT * FROM x
--# set_config in a view => set-config
CREATE VIEW v AS SELECT set_config('role', 'postgres', false)
--# set_config as a default => set-config
CREATE TABLE t (a text DEFAULT set_config('role', 'postgres', false))
--# set_config in a check => set-config
CREATE TABLE t (a text CHECK (set_config('role', a, false) IS NOT NULL))
--# set_config in a policy => set-config
CREATE POLICY p ON storage.objects USING (set_config('role', 'postgres', false) = '')
--# set_config in a rule => set-config
CREATE RULE r AS ON INSERT TO t DO ALSO SELECT set_config('role', 'postgres', false)
--# set_config in a plan => set-config
EXPLAIN ANALYZE SELECT set_config('role', 'postgres', false)
--# set_config prepared => set-config
PREPARE p AS SELECT set_config('role', 'postgres', false)
--# set_config in an aggregate => set-config
CREATE AGGREGATE a (text, boolean) (sfunc = set_config, stype = text, initcond = 'role')
--# set_config in plpgsql => set-config
DO $$ BEGIN PERFORM set_config('role', 'postgres', false); END $$
--# set_config assigned in plpgsql => set-config
DO $$ DECLARE x text; BEGIN x := pg_catalog . set_config ('role', 'postgres', false); END $$
--# set_config in unicode in plpgsql => set-config
DO $$ BEGIN PERFORM U&"set\005fconfig"('role', 'postgres', false); END $$
--# set_config in a standard body => set-config
CREATE FUNCTION f() RETURNS text LANGUAGE sql RETURN set_config('role', 'postgres', false)
--# set_config in a query as text => set-config
SELECT query_to_xml('SELECT set_config(''role'', ''postgres'', false)', true, true, '')
--# search path [raw] [migration] => search-path
SET search_path = evil, pg_catalog
--# search path to another => search-path
SET search_path TO auth
--# set schema => search-path
SET SCHEMA 'auth'
--# search path in a block => search-path
DO $$ BEGIN SET search_path = evil; END $$
--# statement timeout [raw] [migration] => statement-timeout
SET statement_timeout = 0
--# statement timeout reset => statement-timeout
RESET statement_timeout
--# statement timeout in a block => statement-timeout
DO $$ BEGIN SET LOCAL statement_timeout = 0; PERFORM pg_sleep(1); END $$
--# encoding => reading-of-sql
SET client_encoding = 'SJIS'
--# names => reading-of-sql
SET NAMES 'LATIN1'
--# backslashes => reading-of-sql
SET standard_conforming_strings = off
--# backslashes of a function => reading-of-sql
CREATE FUNCTION f() RETURNS void LANGUAGE sql SET standard_conforming_strings = off AS 'SELECT 1'
--# quotes after backslashes => reading-of-sql
SET backslash_quote = on
--# begin => transaction-control
BEGIN
--# start transaction => transaction-control
START TRANSACTION ISOLATION LEVEL SERIALIZABLE
--# commit => transaction-control
SELECT 1; COMMIT; SELECT 2
--# end => transaction-control
END
--# rollback => transaction-control
ROLLBACK
--# abort and chain => transaction-control
ABORT AND CHAIN
--# savepoint => transaction-control
SAVEPOINT s
--# rollback to savepoint => transaction-control
ROLLBACK TO SAVEPOINT ingot_truncate
--# release => transaction-control
RELEASE SAVEPOINT s
--# prepare transaction => transaction-control
PREPARE TRANSACTION 'x'
--# commit prepared => transaction-control
COMMIT PREPARED 'x'
--# alter system => server-configuration
ALTER SYSTEM SET shared_preload_libraries = 'evil'
--# load => server-configuration
LOAD '/tmp/evil.so'
--# checkpoint => server-configuration
CHECKPOINT
--# event trigger => server-configuration
CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()
--# disable an event trigger => server-configuration
ALTER EVENT TRIGGER ingot_guard_end DISABLE
--# access method => server-configuration
CREATE ACCESS METHOD a TYPE INDEX HANDLER bthandler
--# language => language
CREATE LANGUAGE plpython3u
--# security label => server-configuration
SECURITY LABEL ON ROLE project_admin IS 'x'
--# operator class => server-configuration
CREATE OPERATOR CLASS c DEFAULT FOR TYPE uuid USING btree AS OPERATOR 1 <
--# replication role => server-configuration
SET session_replication_role = replica
--# copy to a program => server-files
COPY (SELECT 1) TO PROGRAM 'id'
--# copy from a program => server-files
COPY t FROM PROGRAM 'id'
--# copy to a file => server-files
COPY (SELECT 1) TO '/tmp/x'
--# copy from a file => server-files
COPY t FROM '/etc/passwd'
--# copy in a block => server-files
DO $$ BEGIN COPY t FROM '/etc/passwd'; END $$
--# copy in dynamic SQL => server-files
DO $$ BEGIN EXECUTE $x$COPY (SELECT 1) TO PROGRAM 'id'$x$; END $$
--# read a file => server-files
SELECT pg_read_file('/etc/passwd')
--# read a binary file => server-files
SELECT pg_catalog.pg_read_binary_file('/etc/passwd')
--# list a folder => server-files
SELECT * FROM pg_ls_dir('/')
--# stat a file => server-files
SELECT pg_stat_file('/etc/passwd')
--# import a large object => server-files
SELECT lo_import('/etc/passwd')
--# export a large object => server-files
SELECT lo_export(1, '/tmp/x')
--# rules of access => server-files
SELECT * FROM pg_hba_file_rules()
--# copy to the client [raw] [migration] => copy-stream
COPY (SELECT 1) TO STDOUT
--# copy from the client [raw] [migration] => copy-stream
COPY t FROM STDIN
--# copy to the client in an import [import] => 400
COPY (SELECT 1) TO STDOUT;
--# terminate => other-sessions
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
--# cancel => other-sessions
SELECT pg_cancel_backend(1)
--# reload => other-sessions
SELECT pg_reload_conf()
--# rotate => other-sessions
SELECT pg_rotate_logfile()
--# replication slot => other-sessions
SELECT pg_create_logical_replication_slot('x', 'pgoutput')
--# promote => other-sessions
SELECT pg_promote()
--# foreign data wrapper => other-databases
CREATE FOREIGN DATA WRAPPER w
--# foreign server => other-databases
CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'postgres')
--# foreign schema => other-databases
IMPORT FOREIGN SCHEMA public FROM SERVER s INTO public
--# subscription => other-databases
CREATE SUBSCRIPTION s CONNECTION 'dbname=postgres' PUBLICATION p
--# dblink => other-databases
CREATE EXTENSION dblink
--# dblink call => other-databases
SELECT dblink('dbname=postgres', 'SELECT 1')
--# postgres_fdw => other-databases
CREATE EXTENSION IF NOT EXISTS postgres_fdw WITH SCHEMA public
--# file_fdw => other-databases
CREATE EXTENSION file_fdw
--# untrusted language => language
CREATE FUNCTION f() RETURNS void LANGUAGE plpython3u AS 'import os'
--# C => language
CREATE FUNCTION f(cstring) RETURNS int LANGUAGE c AS 'libc.so.6', 'system'
--# internal => language
CREATE FUNCTION f(text, text, boolean) RETURNS text LANGUAGE internal AS 'set_config_by_name'
--# untrusted block => language
DO LANGUAGE plperlu $$ system('id'); $$
--# no SQL => 403
SELEC 1
--# open quote => 403
SELECT 'open
--# open dollar quote [raw] [migration] => 403
SELECT $$open
--# unknown table => 400
SELECT * FROM nowhere_at_all
--# unknown column => 400
SELECT nothing FROM auth.users
--# division by zero => 400
SELECT 1 / 0
--# bad value => 400
SELECT 'x'::int
--# platform table => 403
UPDATE system.secrets SET key = 'x'
--# platform schema => 403
CREATE TABLE auth.mine (a int)
--# platform function => 403
CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'
--# password hashes => 403
SELECT rolpassword FROM pg_authid
--# sessions => 403
SELECT * FROM auth.sessions
--# reference to channels => 403
CREATE TABLE refers (c uuid REFERENCES realtime.channels (id))
--# extension in a platform schema => 403
CREATE EXTENSION seg SCHEMA auth
--# rows of objects => 403
DELETE FROM storage.objects
