-- Extensions are used where they are installed, whenever that happens: the migration service calls
-- this each time that it has brought the database up.
create function system.use_extensions() returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_vector name := system.extension_schema('vector');
    v_http name := system.extension_schema('http');
begin
    if v_vector is not null and not exists (
        select
        from pg_attribute
        where attrelid = 'memory.memories'::regclass and attname = 'embedding' and not attisdropped
    ) then
        execute format('alter table memory.memories add column embedding %I.vector(1536)', v_vector);
        execute format(
            'create index idx_memories_embedding_cosine on memory.memories'
            ' using hnsw (embedding %I.vector_cosine_ops)',
            v_vector
        );
        -- What was remembered without one stays.
        if not exists (select from memory.memories) then
            alter table memory.memories alter column embedding set not null;
        end if;
    end if;

    if v_http is not null and to_regprocedure('schedules.build_http_headers(jsonb)') is null then
        execute format(
            'create function schedules.build_http_headers(headers_jsonb jsonb)'
            ' returns %1$I.http_header[]'
            ' language sql immutable set search_path = pg_catalog, pg_temp'
            ' return (select coalesce(array_agg(%1$I.http_header(key, value)), ''{}'')'
            ' from jsonb_each_text(headers_jsonb))',
            v_http
        );
    end if;

    -- Services schedule jobs; the log of their runs is kept short by a job of its own.
    if system.extension_schema('pg_cron') is not null then
        grant usage on schema cron to ingot_service;
        perform cron.schedule(
            'schedules-job-logs-retention', '0 * * * *', 'select schedules.cleanup_job_logs()'
        )
        where not exists (select from cron.job where jobname = 'schedules-job-logs-retention');
    end if;
end
$$;

revoke execute on function system.use_extensions() from public;
