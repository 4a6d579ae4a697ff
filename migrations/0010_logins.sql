-- The project's login roles, and what keeps them as they are.
--
-- PostgreSQL lets every login change its own password and its own defaults (`alter role current_user
-- ...`), and nothing can forbid it. Whatever does that in a session that runs the project's code
-- changes nothing about what the login may do, but the next sessions would start with other
-- settings, or not at all. So it is written down how the logins should be, and services have it
-- put right after they ran such code.

create table system.logins (
    name text not null,
    -- SCRAM; never a password.
    verifier text not null,
    -- `name=value`, sorted, as in `pg_db_role_setting`.
    settings text[] not null,
    constraint logins_pkey primary key (name)
);

revoke all on system.logins from project_admin, ingot_service;

-- Puts back what differs; returns the names of the roles that it changed. Reading verifiers takes a
-- superuser: without one nothing is compared.
create function system.mend_logins() returns text[]
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    wanted record;
    setting text;
    mended text[] := '{}';
begin
    if not (select rolsuper from pg_roles where rolname = current_user) then
        return mended;
    end if;
    for wanted in
        select l.*
        from system.logins as l
        join pg_authid as r on r.rolname = l.name
        where r.rolpassword is distinct from l.verifier
            or coalesce(
                (
                    select array_agg(s order by s)
                    from pg_db_role_setting as d, unnest(d.setconfig) as s
                    where d.setrole = r.oid and d.setdatabase = 0
                ),
                '{}'
            ) <> l.settings
            or exists (
                select
                from pg_db_role_setting as d, unnest(d.setconfig) as s
                where d.setrole = r.oid and d.setdatabase <> 0 and s not like 'pgrst.db\_schemas=%'
            )
    loop
        execute format('alter role %I password %L', wanted.name, wanted.verifier);
        execute format('alter role %I reset all', wanted.name);
        execute format('alter role %I in database %I reset all', wanted.name, current_database());
        foreach setting in array wanted.settings loop
            -- A list stays a list; every other value is quoted.
            execute format(
                case when setting like 'search\_path=%' then 'alter role %I set %I = %s'
                    else 'alter role %I set %I = %L' end,
                wanted.name, split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)
            );
        end loop;
        mended := mended || wanted.name;
    end loop;
    -- Roles without a login that the project's code can act as, and whose settings nobody reads.
    for wanted in
        select r.rolname as name
        from pg_authid as r
        where r.rolname in ('project_admin', 'ingot_row_security', 'ingot_accounts')
            and (
                r.rolpassword is not null
                or exists (select from pg_db_role_setting as d where d.setrole = r.oid)
            )
    loop
        execute format('alter role %I password null', wanted.name);
        execute format('alter role %I reset all', wanted.name);
        execute format('alter role %I in database %I reset all', wanted.name, current_database());
        mended := mended || wanted.name;
    end loop;
    if mended <> '{}' then
        perform system.sync_postgrest_exposed_schemas();
    end if;
    return mended;
end
$$;

-- Ends a session of the project: one that runs an administrator's SQL and may have lifted its own
-- limits, or one of the services' own, as that of a relay that fell silent. It is for services,
-- which have no other way.
create function system.end_session(p_process integer) returns boolean
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
            from system.metadata cross join (values ('_sql'), ('_service')) as login (suffix)
        )
$$;

revoke execute on function system.mend_logins() from public;
revoke execute on function system.end_session(integer) from public;
grant execute on function system.mend_logins() to ingot_service;
grant execute on function system.end_session(integer) to ingot_service;

-- Every session of a login may end or cancel the login's others: an administrator's SQL could end
-- somebody's import. A managed server whose owner is no superuser keeps the rights as they are.
do $$
begin
    if (select rolsuper from pg_roles where rolname = current_user) then
        revoke execute on function pg_catalog.pg_terminate_backend(integer, bigint) from public;
        revoke execute on function pg_catalog.pg_cancel_backend(integer) from public;
    end if;
end
$$;
