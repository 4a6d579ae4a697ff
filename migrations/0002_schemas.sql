-- The platform's schemas, and what every table in them grants from its creation on.

create schema if not exists auth;
create schema if not exists system;
create schema if not exists realtime;
create schema if not exists storage;
create schema if not exists functions;
create schema if not exists email;

-- Policies and column defaults of any role call the claim helpers in `auth`.
grant usage on schema auth to public;
grant usage on schema realtime to anon, authenticated;
grant usage on schema storage to authenticated;

do $$
declare
    platform_schema text;
begin
    foreach platform_schema in array array[
        'auth', 'system', 'realtime', 'storage', 'functions', 'email'
    ] loop
        execute format(
            'grant usage on schema %I to project_admin, ingot_service',
            platform_schema
        );
        execute format(
            'alter default privileges in schema %I grant select on tables to project_admin',
            platform_schema
        );
        execute format(
            'alter default privileges in schema %I'
            ' grant select, insert, update, delete on tables to ingot_service',
            platform_schema
        );
        execute format(
            'alter default privileges in schema %I grant usage, select on sequences to ingot_service',
            platform_schema
        );
    end loop;
end
$$;

-- The ledger of these steps exists before the first of them. Everybody of the platform reads it,
-- only the owner writes it.
grant select on system.schema_steps to project_admin, ingot_service;
