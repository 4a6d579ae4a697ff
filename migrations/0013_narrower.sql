-- Ways in which a project's code could still stop the platform's work, made narrower.

-- The order of messages comes from an identity column. Its sequence belongs to the owner of the
-- table, and so to whoever shares the ownership: `setval` and `alter sequence` could end all
-- publishing. Inserting takes no right on the sequence of an identity, so nobody gets one.
create function system.platform_sequences() returns setof oid
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select d.objid
    from pg_depend as d
    join pg_class as c on c.oid = d.objid and c.relkind = 'S'
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
        and d.deptype in ('a', 'i')
        and d.refobjid in (select system.platform_tables())
$$;

do $$
declare
    sequence regclass;
    grantee text;
begin
    for sequence in select system.platform_sequences() loop
        for grantee in
            select distinct coalesce(r.rolname::text, 'public')
            from pg_class as c, aclexplode(coalesce(c.relacl, acldefault('s', c.relowner))) as a
            left join pg_roles as r on r.oid = a.grantee
            where c.oid = sequence
        loop
            if grantee = 'public' then
                execute format('revoke all on sequence %s from public', sequence);
            else
                execute format('revoke all on sequence %s from %I', sequence, grantee);
            end if;
        end loop;
    end loop;
end
$$;

-- What belongs to an extension, or depends on one, goes with it; and extensions are the project's.
create function system.platform_depends_on_extension() returns boolean
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select
        from pg_depend as d
        where d.refclassid = 'pg_extension'::regclass and d.deptype in ('e', 'x')
            and case d.classid
                when 'pg_class'::regclass then
                    d.objid in (select system.platform_tables())
                    or d.objid in (select system.platform_sequences())
                    or d.objid in (
                        select indexrelid
                        from pg_index
                        where indrelid in (select system.platform_tables())
                    )
                when 'pg_proc'::regclass then
                    d.objid in (
                        select oid
                        from pg_proc
                        where proowner in (
                            to_regrole('ingot_row_security'), to_regrole('ingot_accounts')
                        )
                    )
                else false
            end
    )
$$;

create function system.guard_platform_parts() returns event_trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if system.session_is_owner() then
        return;
    end if;
    if exists (
        select
        from pg_event_trigger_ddl_commands() as command
        where command.classid = 'pg_class'::regclass
            and command.objid in (select system.platform_sequences())
    ) or exists (
        select
        from pg_class
        where oid in (select system.platform_sequences())
            -- Without an entry the owner has every right.
            and coalesce(cardinality(relacl), 1) > 0
    ) then
        raise exception using
            errcode = 'insufficient_privilege',
            message = format('%s would change a sequence of the platform', tg_tag),
            hint = 'The order of messages is the platform''s own: leave it as it is.';
    end if;
    if system.platform_depends_on_extension() then
        raise exception using
            errcode = 'insufficient_privilege',
            message = format('%s would tie a table of the platform to an extension', tg_tag),
            hint = 'Add objects of your own to extensions.';
    end if;
end
$$;

do $$
begin
    if (select rolsuper from pg_roles where rolname = current_user) then
        create event trigger ingot_guard_parts on ddl_command_end
            execute function system.guard_platform_parts();
    end if;
end
$$;

-- Ends a session of the project, now also one that runs end users' requests: functions of the
-- project run there and could hold what services wait for.
create or replace function system.end_session(p_process integer) returns boolean
    language sql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce(bool_or(pg_terminate_backend(a.pid)), false)
    from pg_stat_activity as a
    where a.pid = p_process
        and a.datname = current_database()
        and a.usename in (
            select project || suffix
            from system.metadata
            cross join (values ('_sql'), ('_service'), ('_authenticator')) as login (suffix)
        )
$$;

-- As before (step 8), except that an owner who is no superuser may not write the setting, which only
-- PostgREST reads: then it is left out instead of failing everything else.
create or replace function system.sync_postgrest_exposed_schemas() returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_login text := (select project || '_authenticator' from system.metadata);
begin
    if exists (select from pg_roles where rolname = v_login) then
        begin
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
        exception
            when insufficient_privilege then
                null;
        end;
    end if;
    perform pg_notify('pgrst', 'reload config');
    perform pg_notify('pgrst', 'reload schema');
end
$$;
