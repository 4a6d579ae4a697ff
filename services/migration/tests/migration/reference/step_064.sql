-- On top of step 047: what the steps up to 064 change beside payments, and what a project put into it.
alter table compute.services rename column fly_app_id to provider_app_id;
alter table compute.services rename column fly_machine_id to provider_instance_id;
alter table compute.services add column scale_to_zero boolean not null default true;
alter table compute.services add column provider text;
update compute.services set provider = 'docker';
alter table compute.services alter column provider set not null;
alter table compute.services add constraint compute_services_provider_check check (provider in ('fly', 'docker'));
create index idx_compute_services_provider on compute.services (provider);
alter table compute.services add column ingress text not null default 'none';
alter table compute.services add constraint compute_services_ingress_check
    check (ingress in ('none', 'port', 'host'));

-- In the place of the extension's type, which the servers of the tests do not have.
create domain public.vector as real[];
create schema memory;
create table memory.memories (
    id uuid not null default gen_random_uuid(), scope text not null, kind text not null, title text not null,
    content text not null, embedding public.vector not null,
    embedding_model text not null default 'openai/text-embedding-3-small', source text,
    content_tsv tsvector generated always as (to_tsvector('english', title || ' ' || content)) stored,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    constraint memories_pkey primary key (id),
    constraint memories_kind_check check (kind in ('fact', 'decision', 'preference', 'reference'))
);
create index idx_memories_content_tsv on memory.memories using gin (content_tsv);
create index idx_memories_scope on memory.memories (scope);
create trigger trg_memories_updated_at before update on memory.memories
    for each row execute function system.update_updated_at();
insert into memory.memories (scope, kind, title, content, embedding)
    values ('app', 'fact', 'Colours', 'The house is green', '{0.5,-1}');

create table system.database_backups (
    id uuid not null default gen_random_uuid() constraint database_backups_pkey primary key,
    name text,
    trigger_source text not null default 'manual',
    status text not null default 'running',
    storage_key text,
    size_bytes bigint,
    error_message text,
    created_by text,
    completed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
insert into system.database_backups (name, status) values ('before', 'completed');
alter table storage.buckets add column cors_rules jsonb;
alter table storage.buckets add column versioning_status text not null default 'Disabled';
create table storage.object_tags (
    bucket text not null,
    key text not null,
    tag_key text not null,
    tag_value text not null,
    constraint object_tags_pkey primary key (bucket, key, tag_key),
    constraint object_tags_bucket_key_fkey foreign key (bucket, key)
        references storage.objects (bucket, key) on delete cascade
);
insert into storage.object_tags values ('photos', 'a.png', 'kind', 'cat');
alter table system.custom_migrations drop constraint custom_migrations_version_check;
alter table system.custom_migrations add constraint custom_migrations_version_check
    check (version ~ '^[0-9]{1,64}$');
create function system.is_exposed_schema(p_schema text) returns boolean language sql stable as
    $$ select p_schema = 'public' $$;
create function system.sync_postgrest_exposed_schemas() returns void language plpgsql security definer as
    $$ begin return; end $$;
create function system.on_schema_ddl() returns event_trigger language plpgsql security definer as
    $$ begin return; end $$;
create event trigger insforge_sync_postgrest_schemas on ddl_command_end
    when tag in ('CREATE SCHEMA', 'ALTER SCHEMA', 'DROP SCHEMA') execute function system.on_schema_ddl();
create function system.reassign_public_objects_to_project_admin() returns void language plpgsql as
    $$ begin return; end $$;
create table system.advisor_scans (
    id uuid not null default gen_random_uuid() constraint advisor_scans_pkey primary key,
    status text not null,
    scan_type text not null default 'manual',
    scanned_at timestamptz not null default now(),
    error_message text
);
insert into system.advisor_scans (status) values ('completed');
alter table auth.users add column is_project_admin boolean not null default false;
alter table auth.users add column is_anonymous boolean not null default false;
alter table auth.email_otps add column attempts_count integer not null default 0;
alter table auth.email_otps add column otp_type text not null default 'NUMERIC_CODE';
alter table auth.oauth_configs add column native_client_ids text[] not null default '{}';
create table system.database_config (
    id uuid not null default gen_random_uuid() constraint database_config_pkey primary key,
    backup_enabled boolean not null default false,
    backup_cron_schedule text not null default '0 0 * * *',
    backup_retention_days integer default 7,
    backup_schedule_anchor timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create unique index idx_database_config_singleton on system.database_config ((1));
insert into system.database_config (backup_enabled, backup_retention_days) values (true, 3);
create schema shop;
create table shop.orders (id uuid primary key default gen_random_uuid(), buyer uuid references auth.users (id));
insert into shop.orders (buyer) values ('00000000-0000-0000-0000-000000000001');
