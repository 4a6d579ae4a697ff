-- The schemas of what apps run beside the database: containers, sites, schedules, payments, and the
-- memories of agents. As in step 2, their tables are read by administrators from their creation on
-- and written by services.

-- A project that has made a schema of such a name would own what is put into it.
do $$
declare
    taken text;
begin
    select string_agg(quote_ident(nspname), ', ' order by nspname)
    into taken
    from pg_namespace
    where nspname in ('compute', 'deployments', 'memory', 'payments', 'schedules')
        and pg_has_role('project_admin', nspowner, 'member');
    if taken is not null then
        raise exception using
            errcode = 'duplicate_schema',
            message = format('the project has schemas whose names Ingot needs now: %s', taken),
            hint = 'Rename each: ALTER SCHEMA ... RENAME TO ...';
    end if;
end
$$;

create schema if not exists compute;
create schema if not exists deployments;
create schema if not exists memory;
create schema if not exists payments;
create schema if not exists schedules;

grant usage on schema payments to anon, authenticated;

do $$
declare
    platform_schema text;
begin
    foreach platform_schema in array array[
        'compute', 'deployments', 'memory', 'payments', 'schedules'
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

-- A container that a provider runs. Who makes the row names the provider.
create table compute.services (
    id uuid not null default gen_random_uuid(),
    project_id text not null,
    name text not null,
    image_url text not null,
    port integer not null default 8080,
    cpu text not null default 'shared-1x',
    memory integer not null default 512,
    env_vars_encrypted text,
    region text not null default 'iad',
    provider_app_id text,
    provider_instance_id text,
    status text not null default 'creating',
    endpoint_url text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    protocol text not null default 'http',
    scale_to_zero boolean not null default true,
    provider text not null,
    ingress text not null default 'none',
    constraint services_pkey primary key (id),
    constraint services_project_id_name_key unique (project_id, name),
    constraint chk_compute_services_protocol check (protocol in ('http', 'tcp')),
    constraint compute_services_ingress_check check (ingress in ('none', 'port', 'host')),
    constraint compute_services_provider_check check (provider in ('fly', 'docker')),
    constraint services_port_check check (port >= 1 and port <= 65535),
    constraint services_status_check
        check (status in ('creating', 'deploying', 'running', 'stopped', 'failed', 'destroying'))
);

create index idx_compute_services_project on compute.services (project_id);
create index idx_compute_services_provider on compute.services (provider);
create index idx_compute_services_status on compute.services (status);

create trigger update_compute_services_updated_at
    before update on compute.services
    for each row execute function system.update_updated_at();

-- One row for each time that a site is put online.
create table deployments.runs (
    id uuid not null default gen_random_uuid(),
    provider text not null default 'vercel',
    provider_deployment_id text,
    status text not null default 'WAITING',
    url text,
    metadata jsonb,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint deployments_pkey primary key (id),
    constraint deployments_provider_deployment_id_key unique (provider_deployment_id)
);

create index idx_deployments_created_at on deployments.runs (created_at desc);
create index idx_deployments_provider on deployments.runs (provider);
create index idx_deployments_status on deployments.runs (status);

create trigger update_runs_updated_at
    before update on deployments.runs
    for each row execute function system.update_updated_at();

-- What was uploaded for a run; `sha` is SHA-1, as providers ask for it.
create table deployments.files (
    id uuid not null default gen_random_uuid(),
    deployment_id uuid not null,
    file_path text not null,
    sha text not null,
    size_bytes integer not null,
    uploaded_at timestamptz,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint files_pkey primary key (id),
    constraint files_deployment_id_file_path_key unique (deployment_id, file_path),
    constraint files_deployment_id_fkey
        foreign key (deployment_id) references deployments.runs (id) on delete cascade,
    constraint files_sha_check check (sha ~ '^[a-f0-9]{40}$'),
    constraint files_size_bytes_check check (size_bytes >= 0)
);

create index idx_deployment_files_deployment_id on deployments.files (deployment_id);
create index idx_deployment_files_uploaded_at on deployments.files (deployment_id, uploaded_at);

create trigger update_files_updated_at
    before update on deployments.files
    for each row execute function system.update_updated_at();

-- What agents keep for later, found by words and, where the extension `vector` is installed, by
-- meaning: it brings the column `embedding` (see `system.use_extensions`).
create table memory.memories (
    id uuid not null default gen_random_uuid(),
    scope text not null,
    kind text not null,
    title text not null,
    content text not null,
    embedding_model text not null default 'openai/text-embedding-3-small',
    source text,
    content_tsv tsvector generated always as (
        to_tsvector('english', title || ' ' || content)
    ) stored,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint memories_pkey primary key (id),
    constraint memories_kind_check check (kind in ('fact', 'decision', 'preference', 'reference'))
);

create index idx_memories_content_tsv on memory.memories using gin (content_tsv);
create index idx_memories_scope on memory.memories (scope);

create trigger trg_memories_updated_at
    before update on memory.memories
    for each row execute function system.update_updated_at();
