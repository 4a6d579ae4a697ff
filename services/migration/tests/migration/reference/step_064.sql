-- On top of step 047: what the steps up to 064 change, and what a project put into it.
create schema payments;
create table payments.transactions (
    id uuid primary key default gen_random_uuid(), provider text not null, amount bigint
);
insert into payments.transactions (provider, amount) values ('stripe', 4200);
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
