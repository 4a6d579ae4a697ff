-- What happens when somebody changes the schema: everybody who caches it hears of it, new schemas
-- become routable, and the platform's tables keep their shape.
--
-- Event triggers need a superuser. Without one they are left out, with a notice: services then
-- announce the changes that they make themselves.

-- Tells PostgREST and the records engine to read the schema again.
create function system.reload_postgrest_schema() returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_notify('pgrst', 'reload schema');
    raise notice 'schema reload requested';
end
$$;

grant execute on function system.reload_postgrest_schema() to project_admin, ingot_service;

-- A schema is routable over the records API unless it is PostgreSQL's, the platform's or an
-- extension's. The list is fixed here on purpose: a setting could be changed by any session.
create function system.is_exposed_schema(p_schema text) returns boolean
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select p_schema is not null
        and p_schema not like 'pg\_%'
        and p_schema <> all (array[
            'information_schema', 'ai', 'auth', 'compute', 'deployments', 'email', 'functions',
            'memory', 'payments', 'realtime', 'schedules', 'storage', 'system'
        ])
        and not exists (
            select
            from pg_depend as d
            join pg_namespace as n on n.oid = d.objid
            where d.classid = 'pg_namespace'::regclass
                and d.deptype = 'e'
                and n.nspname = p_schema
        )
$$;

-- The routable schemas, `public` first. Exposed is not accessible: grants are the developer's.
create function system.exposed_schemas() returns text[]
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        array_agg(nspname::text order by nspname <> 'public', nspname),
        array['public']
    )
    from pg_namespace
    where system.is_exposed_schema(nspname)
$$;

-- Hands the list to PostgREST, which reads it from its login role's settings. The native engine
-- calls `system.exposed_schemas()` itself. PostgREST splits the text at commas and trims the
-- pieces, so a schema named `x, auth` would expose another one: only plain names are listed.
create function system.sync_postgrest_exposed_schemas() returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_login text := (select project || '_authenticator' from system.metadata);
begin
    if exists (select from pg_roles where rolname = v_login) then
        execute format(
            'alter role %I in database %I set pgrst.db_schemas = %L',
            v_login,
            current_database(),
            (
                select string_agg(name, ', ' order by position)
                from unnest(system.exposed_schemas()) with ordinality as exposed (name, position)
                where name ~ '^[A-Za-z0-9_$-]+$'
            )
        );
    end if;
    perform pg_notify('pgrst', 'reload config');
    perform pg_notify('pgrst', 'reload schema');
end
$$;

revoke execute on function system.sync_postgrest_exposed_schemas() from public;
grant execute on function system.sync_postgrest_exposed_schemas() to project_admin;

create function system.on_schema_ddl() returns event_trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform system.sync_postgrest_exposed_schemas();
end
$$;

-- Temporary objects are nobody else's business, and functions create them by the thousand.
create function system.on_ddl_command_end() returns event_trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select
        from pg_event_trigger_ddl_commands()
        where schema_name is distinct from 'pg_temp'
    ) then
        perform pg_notify('pgrst', 'reload schema');
    end if;
end
$$;

create function system.on_sql_drop() returns event_trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from pg_event_trigger_dropped_objects() where not is_temporary) then
        perform pg_notify('pgrst', 'reload schema');
    end if;
end
$$;

-- Row level security that projects define.
--
-- A project writes policies on these three tables to say who may subscribe, publish and store.
-- PostgreSQL allows that to the owner only, so a role of its own owns them, and the administrator
-- is a member of it. The role owns nothing else and no superuser's code runs on the tables, so
-- the worst that the ownership could be bent to is harm to the project's own messages. The event
-- triggers below forbid that too: whatever the administrator runs, the tables keep their shape.
--
-- Foreign keys and the functions below act as the owner, hence the grants.
grant usage on schema realtime, storage to ingot_row_security;
grant select on realtime.config to ingot_row_security;
grant create on schema realtime, storage to ingot_row_security;

alter table realtime.channels owner to ingot_row_security;
alter table realtime.messages owner to ingot_row_security;
alter table storage.objects owner to ingot_row_security;
alter function realtime.publish(text, text, jsonb) owner to ingot_row_security;
alter function realtime.cleanup_messages(integer) owner to ingot_row_security;

revoke create on schema realtime, storage from ingot_row_security;

-- Everything about the three tables that is not row level security, as one digest.
create function system.platform_tables_shape() returns text
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    with platform_table as (
        select c.*
        from pg_class as c
        where c.oid in (
            to_regclass('realtime.channels'),
            to_regclass('realtime.messages'),
            to_regclass('storage.objects')
        )
    ),
    part (description) as (
        select concat_ws(' ', 'table', oid, relowner, relacl, reloptions, relpersistence,
            reltablespace, relreplident, relforcerowsecurity, relpartbound)
        from platform_table
        union all
        select concat_ws(' ', 'column', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod,
            a.attnotnull, a.attisdropped, a.attcollation, a.attstorage, a.attidentity, a.attacl,
            pg_get_expr(d.adbin, d.adrelid))
        from pg_attribute as a
        join platform_table as t on t.oid = a.attrelid
        left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attnum > 0
        union all
        select concat_ws(' ', 'constraint', c.oid, c.conname, pg_get_constraintdef(c.oid))
        from pg_constraint as c
        join platform_table as t on t.oid = c.conrelid
        union all
        select concat_ws(' ', 'index', i.indexrelid, pg_get_indexdef(i.indexrelid), i.indisclustered)
        from pg_index as i
        join platform_table as t on t.oid = i.indrelid
        union all
        select concat_ws(' ', 'trigger', g.oid, g.tgname, g.tgenabled, pg_get_triggerdef(g.oid))
        from pg_trigger as g
        join platform_table as t on t.oid = g.tgrelid
        -- A project's own foreign key to a platform table puts internal triggers here.
        where not g.tgisinternal
        union all
        select concat_ws(' ', 'rule', r.oid, pg_get_ruledef(r.oid))
        from pg_rewrite as r
        join platform_table as t on t.oid = r.ev_class
        union all
        select concat_ws(' ', 'inheritance', i.inhrelid, i.inhparent)
        from pg_inherits as i
        where i.inhrelid in (select oid from platform_table)
            or i.inhparent in (select oid from platform_table)
        union all
        select concat_ws(' ', 'function', p.oid, p.proowner, p.proacl, p.prosecdef, p.proconfig,
            p.prosrc)
        from pg_proc as p
        where p.proowner = to_regrole('ingot_row_security')
    )
    select md5(string_agg(description, E'\n' order by description))
    from part
$$;

-- Whether the session itself, and not a role it switched to, may change the platform's tables.
create function system.session_is_owner() returns boolean
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (
            select r.rolsuper or pg_has_role(session_user, n.nspowner, 'member')
            from pg_roles as r, pg_namespace as n
            where r.rolname = session_user and n.nspname = 'system'
        ),
        false
    )
$$;

create function system.on_ddl_command_start() returns event_trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if not system.session_is_owner() then
        perform set_config('ingot.platform_tables_shape', system.platform_tables_shape(), true);
    end if;
end
$$;

create function system.guard_platform_tables() returns event_trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if not system.session_is_owner()
        and current_setting('ingot.platform_tables_shape', true)
            is distinct from system.platform_tables_shape()
    then
        raise exception using
            errcode = 'insufficient_privilege',
            message = format('%s would change a table of the platform', tg_tag),
            hint = 'On realtime.channels, realtime.messages and storage.objects only policies and'
                ' ENABLE or DISABLE ROW LEVEL SECURITY are yours to define.';
    end if;
end
$$;

do $$
begin
    if not (select rolsuper from pg_roles where rolname = current_user) then
        raise notice 'no superuser: event triggers are left out';
        return;
    end if;

    create event trigger ingot_guard_start on ddl_command_start
        execute function system.on_ddl_command_start();
    create event trigger ingot_guard_end on ddl_command_end
        execute function system.guard_platform_tables();
    create event trigger ingot_reload_on_ddl on ddl_command_end
        execute function system.on_ddl_command_end();
    create event trigger ingot_reload_on_drop on sql_drop
        execute function system.on_sql_drop();
    create event trigger insforge_sync_postgrest_schemas on ddl_command_end
        when tag in ('CREATE SCHEMA', 'ALTER SCHEMA', 'DROP SCHEMA')
        execute function system.on_schema_ddl();
end
$$;
