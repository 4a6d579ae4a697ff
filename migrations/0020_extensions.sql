-- Extensions are used where they are installed, whenever that happens: the migration service calls
-- this each time that it has brought the database up. One that cannot be used is told of, and keeps
-- nothing else from working.
create function system.use_extensions() returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    begin
        perform system.use_vector(system.extension_schema('vector'));
    exception
        when others then
            raise warning 'the extension vector is not used: %', sqlerrm;
    end;
    begin
        perform system.use_http(system.extension_schema('http'));
    exception
        when others then
            raise warning 'the extension http is not used: %', sqlerrm;
    end;
    begin
        perform system.use_cron((
            select l.name
            from system.logins as l
            where system.extension_schema('pg_cron') is not null
                and pg_has_role(l.name, 'ingot_service', 'member')
        ));
    exception
        when others then
            raise warning 'the extension pg_cron is not used: %', sqlerrm;
    end;
end
$$;

-- Memories are found by meaning.
create function system.use_vector(p_schema name) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    if p_schema is null or exists (
        select
        from pg_attribute
        where attrelid = 'memory.memories'::regclass and attname = 'embedding' and not attisdropped
    ) then
        return;
    end if;
    execute format('alter table memory.memories add column embedding %I.vector(1536)', p_schema);
    execute format(
        'create index idx_memories_embedding_cosine on memory.memories'
        ' using hnsw (embedding %I.vector_cosine_ops)',
        p_schema
    );
    -- What was remembered without one stays.
    if not exists (select from memory.memories) then
        alter table memory.memories alter column embedding set not null;
    end if;
end
$$;

create function system.use_http(p_schema name) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    if p_schema is null or to_regprocedure('schedules.build_http_headers(jsonb)') is not null then
        return;
    end if;
    -- The types are exactly those of the extension's function, as in `schedules.execute_job`.
    execute format(
        'create function schedules.build_http_headers(headers_jsonb jsonb)'
        ' returns %1$I.http_header[]'
        ' language sql immutable set search_path = pg_catalog, pg_temp'
        ' return (select coalesce(array_agg(%1$I.http_header(key::varchar, value::varchar)), ''{}'')'
        ' from jsonb_each_text(headers_jsonb))',
        p_schema
    );
end
$$;

-- The services' login schedules jobs and is who runs them, also those that were there before: of
-- another platform's they ran as a superuser. The log of runs is kept short by a job of its own.
-- A job that came out of a backup begins here.
create function system.use_cron(p_login name) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    if p_login is null then
        return;
    end if;
    grant usage on schema cron to ingot_service;
    perform cron.schedule(
        'schedules-job-logs-retention', '0 * * * *', 'select schedules.cleanup_job_logs()'
    )
    where not exists (select from cron.job where jobname = 'schedules-job-logs-retention');
    update schedules.jobs
    set cron_job_id = schedules.start_job(id, cron_schedule)
    where is_active and cron_job_id is null;
    update cron.job
    set username = p_login
    where username <> p_login and (
        jobname = 'schedules-job-logs-retention'
        or jobid in (select j.cron_job_id from schedules.jobs as j)
    );
end
$$;

revoke execute on function
    system.use_extensions(), system.use_vector(name), system.use_http(name), system.use_cron(name)
    from public;
