-- `schedules`: calls that are made at set times, and what came of them. `pg_cron` knows the time,
-- `http` makes the calls, `pgcrypto` keeps their headers secret. None of them is needed until a job
-- is made, and a function that misses one says how to get it.

-- One row: for how long runs are remembered; null is for ever.
create table schedules.config (
    id uuid not null default gen_random_uuid(),
    retention_days integer default 7,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint config_pkey primary key (id),
    constraint config_retention_days_check check (retention_days is null or retention_days > 0)
);

create unique index idx_schedules_config_singleton on schedules.config ((1));

create trigger update_schedules_config_updated_at
    before update on schedules.config
    for each row execute function system.update_updated_at();

-- `headers` is what the administrator wrote, `encrypted_headers` what is sent.
create table schedules.jobs (
    id uuid not null default gen_random_uuid(),
    name text not null,
    cron_schedule text not null,
    function_url text not null,
    http_method text not null default 'POST',
    encrypted_headers text,
    headers jsonb,
    body jsonb,
    is_active boolean not null default true,
    cron_job_id bigint,
    last_executed_at timestamptz,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint jobs_pkey primary key (id)
);

create index idx_jobs_cron_job_id on schedules.jobs (cron_job_id);
create index idx_jobs_is_active on schedules.jobs (is_active);

create trigger trg_jobs_updated_at
    before update on schedules.jobs
    for each row execute function system.update_updated_at();

-- One row for each run.
create table schedules.job_logs (
    id uuid not null default gen_random_uuid(),
    job_id uuid,
    executed_at timestamptz default now(),
    status_code integer,
    success boolean,
    duration_ms bigint,
    message text,
    constraint job_logs_pkey primary key (id),
    constraint job_logs_job_id_fkey
        foreign key (job_id) references schedules.jobs (id) on delete cascade
);

create index idx_job_logs_executed_at on schedules.job_logs (executed_at desc);
create index idx_job_logs_job_id on schedules.job_logs (job_id);

insert into schedules.config default values;

-- Where an extension's functions are; null if it is not installed. One that a project made is as
-- good as none: it could put functions of its own in their place.
create function system.extension_schema(p_extension text) returns name
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select n.nspname
    from pg_extension as e
    join pg_namespace as n on n.oid = e.extnamespace
    join pg_roles as r on r.oid = e.extowner
    where e.extname = p_extension and r.rolsuper
$$;

-- As above, but an error with the way out if it is not installed.
create function system.require_extension(p_extension text) returns name
    language plpgsql
    stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_schema name := system.extension_schema(p_extension);
    v_version integer := current_setting('server_version_num')::integer / 10000;
begin
    if v_schema is null and exists (select from pg_extension where extname = p_extension) then
        raise exception using
            errcode = 'feature_not_supported',
            message = format('the extension %s is not used, because the project made it', p_extension),
            hint = format('Drop it; then, as a superuser in this database: create extension %s',
                p_extension);
    end if;
    if v_schema is null then
        raise exception using
            errcode = 'feature_not_supported',
            message = format(
                'the extension %s is not installed in this database: %s',
                p_extension,
                case p_extension
                    when 'pg_cron' then format(
                        'apt-get install postgresql-%s-cron; set shared_preload_libraries = ''pg_cron'''
                        ' and cron.database_name = %L and restart PostgreSQL', v_version,
                        current_database()
                    )
                    when 'http' then format(
                        'apt-get install postgresql-%s-http, a package of apt.postgresql.org', v_version
                    )
                    else 'apt-get install postgresql-contrib'
                end
            ),
            hint = format('Then, as a superuser in this database: create extension %s', p_extension);
    end if;
    return v_schema;
end
$$;

-- The key that the session was given for the headers of jobs.
create function schedules.header_key() returns text
    language plpgsql
    stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_key text := nullif(current_setting('app.encryption_key', true), '');
begin
    if v_key is null then
        raise exception using
            message = 'the setting app.encryption_key is missing',
            hint = 'Set it for the session that writes or runs jobs with headers.';
    end if;
    return v_key;
end
$$;

-- The headers of a job, encrypted.
create function schedules.encrypt_headers(p_headers jsonb) returns text
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_text text;
begin
    if p_headers is null or p_headers = '{}' then
        return null;
    end if;
    execute format(
        'select encode(%I.pgp_sym_encrypt($1, $2), ''base64'')',
        system.require_extension('pgcrypto')
    )
    into v_text
    using p_headers::text, schedules.header_key();
    return v_text;
end
$$;

create function schedules.decrypt_headers(p_encrypted_headers text) returns jsonb
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_text text;
begin
    if coalesce(p_encrypted_headers, '') = '' then
        return '{}';
    end if;
    execute format(
        'select %I.pgp_sym_decrypt(decode($1, ''base64''), $2)',
        system.require_extension('pgcrypto')
    )
    into v_text
    using p_encrypted_headers, schedules.header_key();
    return v_text::jsonb;
exception
    when others then
        raise warning 'schedules.decrypt_headers: %', sqlerrm;
        raise;
end
$$;

create function schedules.log_job_execution(
    p_job_id uuid,
    p_job_name text,
    p_success boolean,
    p_response_status integer,
    p_duration_ms bigint,
    p_message text default null
) returns void
    language sql
    set search_path = pg_catalog, pg_temp
as $$
    insert into schedules.job_logs (job_id, success, status_code, duration_ms, message)
    values (p_job_id, p_success, p_response_status, p_duration_ms, p_message);
    update schedules.jobs
    set last_executed_at = now()
    where id = p_job_id;
$$;

-- Makes the call of a job; what comes of it, or what prevents it, is in the log. Arguments have
-- exactly the types of the extension's functions: a function of the project beside them fits worse.
create function schedules.execute_job(p_job_id uuid) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_job schedules.jobs;
    v_http name;
    v_started timestamptz := clock_timestamp();
    v_status integer;
    v_message text;
begin
    select * into v_job from schedules.jobs as j where j.id = p_job_id;
    if not found then
        raise warning 'schedules.execute_job: there is no job %', p_job_id;
        return;
    end if;
    begin
        v_http := system.require_extension('http');
        execute format(
            'select %1$I.http_set_curlopt(''CURLOPT_TIMEOUT_MS''::varchar, ''300000''::varchar),'
            ' %1$I.http_set_curlopt(''CURLOPT_CONNECTTIMEOUT_MS''::varchar, ''5000''::varchar)',
            v_http
        );
        execute format(
            'select (%1$I.http(('
            ' $1, $2, (select array_agg(%1$I.http_header(key::varchar, value::varchar))'
            ' from jsonb_each_text($3)),'
            ' ''application/json'', $4)::%1$I.http_request)).status',
            v_http
        )
        into v_status
        using v_job.http_method, v_job.function_url,
            schedules.decrypt_headers(v_job.encrypted_headers), coalesce(v_job.body, '{}')::text;
        v_message := case
            when v_status between 200 and 299 then 'Success'
            else format('HTTP %s', v_status)
        end;
    exception
        when query_canceled or others then
            v_status := 500;
            v_message := sqlerrm;
    end;
    perform schedules.log_job_execution(
        p_job_id,
        v_job.name,
        v_status between 200 and 299,
        v_status,
        (extract(epoch from clock_timestamp() - v_started) * 1000)::bigint,
        v_message
    );
end
$$;

-- Has `pg_cron` call a job, which may take the five minutes that `execute_job` gives it; returns the
-- number that it gave.
create function schedules.start_job(p_job_id uuid, p_cron_expression text) returns bigint
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform system.require_extension('pg_cron');
    return cron.schedule(
        p_cron_expression,
        format('set statement_timeout = ''310s''; select schedules.execute_job(%L)', p_job_id)
    );
end
$$;

-- Has it forget one, also where it does not know it any more or is gone itself.
create function schedules.stop_job(p_cron_job_id bigint) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    if p_cron_job_id is not null and system.extension_schema('pg_cron') is not null then
        perform cron.unschedule(j.jobid) from cron.job as j where j.jobid = p_cron_job_id;
    end if;
end
$$;

create function schedules.upsert_job(
    p_job_id uuid,
    p_name text,
    p_cron_expression text,
    p_http_method text,
    p_function_url text,
    p_headers_template jsonb,
    p_resolved_headers jsonb,
    p_body jsonb
) returns table (cron_job_id bigint, success boolean, message text)
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_encrypted text;
    v_cron bigint;
begin
    v_encrypted := schedules.encrypt_headers(p_resolved_headers);
    perform schedules.stop_job((select j.cron_job_id from schedules.jobs as j where j.id = p_job_id));
    v_cron := schedules.start_job(p_job_id, p_cron_expression);
    insert into schedules.jobs as j (
        id, name, cron_schedule, http_method, function_url, headers, encrypted_headers, body,
        cron_job_id, is_active
    )
    values (
        p_job_id, p_name, p_cron_expression, p_http_method, p_function_url, p_headers_template,
        v_encrypted, p_body, v_cron, true
    )
    on conflict (id) do update
    set name = excluded.name,
        cron_schedule = excluded.cron_schedule,
        http_method = excluded.http_method,
        function_url = excluded.function_url,
        headers = excluded.headers,
        encrypted_headers = excluded.encrypted_headers,
        body = excluded.body,
        cron_job_id = excluded.cron_job_id,
        is_active = true;
    return query select v_cron, true, 'Job scheduled'::text;
exception
    when others then
        return query select null::bigint, false, sqlerrm;
end
$$;

create function schedules.disable_job(p_job_id uuid) returns table (success boolean, message text)
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_cron bigint := (select j.cron_job_id from schedules.jobs as j where j.id = p_job_id);
begin
    if v_cron is null then
        return query select false, 'The job is not scheduled'::text;
        return;
    end if;
    perform schedules.stop_job(v_cron);
    update schedules.jobs set is_active = false, cron_job_id = null where id = p_job_id;
    return query select true, 'Job disabled'::text;
exception
    when others then
        return query select false, sqlerrm;
end
$$;

create function schedules.enable_job(p_job_id uuid) returns table (success boolean, message text)
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_job schedules.jobs;
begin
    select * into v_job from schedules.jobs as j where j.id = p_job_id;
    if not found then
        return query select false, 'There is no such job'::text;
        return;
    end if;
    perform schedules.stop_job(v_job.cron_job_id);
    update schedules.jobs
    set is_active = true, cron_job_id = schedules.start_job(p_job_id, v_job.cron_schedule)
    where id = p_job_id;
    return query select true, 'Job enabled'::text;
exception
    when others then
        return query select false, sqlerrm;
end
$$;

create function schedules.delete_job(p_job_id uuid) returns table (success boolean, message text)
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform schedules.stop_job((select j.cron_job_id from schedules.jobs as j where j.id = p_job_id));
    delete from schedules.jobs where id = p_job_id;
    return query select true, 'Job deleted'::text;
exception
    when others then
        return query select false, sqlerrm;
end
$$;

-- Deletes old entries of the log in batches, as `realtime.cleanup_messages` does messages.
create function schedules.cleanup_job_logs(p_batch_size integer default 1000) returns integer
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_retention_days integer;
    v_deleted integer;
    v_total integer := 0;
begin
    if p_batch_size is null or p_batch_size < 1 then
        raise warning 'schedules.cleanup_job_logs: the batch size must be at least 1';
        return 0;
    end if;

    select c.retention_days into v_retention_days from schedules.config as c;
    if v_retention_days is null or v_retention_days <= 0 then
        return 0;
    end if;

    loop
        delete from schedules.job_logs
        where id in (
            select l.id
            from schedules.job_logs as l
            where l.executed_at < now() - make_interval(days => v_retention_days)
            order by l.executed_at
            limit p_batch_size
        );
        get diagnostics v_deleted = row_count;
        v_total := v_total + v_deleted;
        exit when v_deleted < p_batch_size;
    end loop;

    return v_total;
exception
    when others then
        -- What was deleted is there again.
        raise warning 'schedules.cleanup_job_logs stopped: %', sqlerrm;
        return 0;
end
$$;

revoke execute on function schedules.header_key() from public;
revoke execute on function schedules.encrypt_headers(jsonb) from public;
revoke execute on function schedules.decrypt_headers(text) from public;
revoke execute on function schedules.cleanup_job_logs(integer) from public;
grant execute on function schedules.header_key() to ingot_service;
grant execute on function schedules.encrypt_headers(jsonb) to ingot_service;
grant execute on function schedules.decrypt_headers(text) to ingot_service;
grant execute on function schedules.cleanup_job_logs(integer) to ingot_service;
