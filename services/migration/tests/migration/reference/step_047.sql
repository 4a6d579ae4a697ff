-- On top of step 018: what the steps up to 047 change, and what a project put into it.
create schema schedules;
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
insert into schedules.config (retention_days) values (3);
insert into schedules.jobs (name, cron_schedule, function_url) values ('nightly', '0 0 * * *', 'https://example.com');
create function schedules.encrypt_headers(p_headers jsonb) returns text language plpgsql security definer as
    $$ begin return null; end $$;

create schema compute;
create table compute.services (
    id uuid not null default gen_random_uuid() constraint services_pkey primary key,
    project_id text not null,
    name text not null,
    image_url text not null,
    port integer not null default 8080,
    status text not null default 'creating',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint services_project_id_name_key unique (project_id, name)
);
insert into compute.services (project_id, name, image_url) values ('p', 'worker', 'image');

create schema deployments;
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
insert into deployments.runs (provider_deployment_id) values ('d1');

-- As before there was a second provider.
create schema payments;
create table payments.products (
    id uuid not null default gen_random_uuid() constraint products_pkey primary key,
    environment text not null,
    stripe_product_id text not null,
    name text not null,
    active boolean not null
);
insert into payments.products (environment, stripe_product_id, name, active) values ('test', 'prod_1', 'Pen', true);

create table functions.deployments (
    id text not null constraint deployments_pkey primary key,
    project_id text not null,
    status text not null default 'pending',
    url text,
    function_count integer,
    functions jsonb,
    error_message text,
    build_logs jsonb,
    created_at timestamptz default now()
);
create table realtime.config (
    id uuid not null default gen_random_uuid() constraint config_pkey primary key,
    retention_days integer,
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);
create unique index idx_realtime_config_singleton on realtime.config ((1));
insert into realtime.config (retention_days) values (30);
create function realtime.cleanup_messages(p_batch_size integer default 1000) returns integer
    language plpgsql security definer as $$ begin return 0; end $$;
create table storage.config (
    id uuid not null default gen_random_uuid() constraint config_pkey primary key,
    max_file_size_mb integer not null default 50,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create unique index idx_storage_config_singleton on storage.config ((1));
insert into storage.config (max_file_size_mb) values (120);
alter table system.secrets add constraint _secrets_name_key unique (key);
create table auth.custom_oauth_configs (
    id uuid not null default gen_random_uuid() constraint custom_oauth_configs_pkey primary key,
    key text not null constraint custom_oauth_configs_key_key unique,
    name text not null,
    discovery_endpoint text not null,
    client_id text not null,
    secret_id uuid not null constraint custom_oauth_configs_secret_id_fkey
        references system.secrets (id) on delete restrict,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
alter table auth.configs rename to config;
alter table auth.config drop column sign_in_redirect_to;
alter table auth.config add column allowed_redirect_urls text[] default '{}';
alter table auth.config add column disable_signup boolean not null default false;
alter table auth.email_otps add column redirect_to text;
create schema email;
create table email.config (
    id uuid not null default gen_random_uuid() constraint config_pkey primary key,
    enabled boolean not null default false,
    host text not null default '',
    port integer not null default 465,
    username text not null default '',
    password_encrypted text not null default '',
    sender_email text not null default '',
    sender_name text not null default '',
    min_interval_seconds integer not null default 60,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create unique index email_config_singleton_idx on email.config ((1));
insert into email.config (enabled, host) values (true, 'mail.example.com');
create table email.templates (
    id uuid not null default gen_random_uuid() constraint templates_pkey primary key,
    template_type text not null constraint email_templates_type_unique unique,
    subject text not null,
    body_html text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
insert into email.templates (template_type, subject, body_html)
    values ('reset-password-code', 'Our own words', '{{ token }}');
create table system.custom_migrations (
    version text not null constraint custom_migrations_pkey primary key,
    name text not null,
    statements text[] not null,
    created_at timestamptz not null default now(),
    constraint custom_migrations_version_check check (version ~ '^[0-9]{14}$')
);
insert into system.custom_migrations values ('20250101000000', 'first', '{select 1}');
create table storage.s3_access_keys (
    id uuid not null default gen_random_uuid() constraint s3_access_keys_pkey primary key,
    access_key_id text not null constraint s3_access_keys_access_key_id_key unique,
    secret_access_key_encrypted text not null,
    description text,
    created_at timestamptz not null default now(),
    last_used_at timestamptz
);
alter table storage.objects add column uploaded_via text not null default 'rest';
alter table storage.objects add column s3_access_key_id text;
alter table storage.objects add column etag text;
alter table storage.objects drop constraint objects_uploaded_by_fkey;
alter table storage.objects alter column uploaded_by type text;
create function auth.jwt() returns jsonb language sql stable as
    $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
create or replace function auth.uid() returns uuid language sql stable as
    $$ select nullif(auth.jwt() ->> 'sub', '')::uuid $$;
create function storage.foldername(name text) returns text[] language sql immutable parallel safe as
    $$ select (string_to_array(name, '/'))[1:array_length(string_to_array(name, '/'), 1) - 1] $$;
alter table storage.objects enable row level security;
create policy storage_objects_owner_select on storage.objects for select to authenticated
    using (uploaded_by = auth.jwt() ->> 'sub');
create policy "folders" on storage.objects for insert to authenticated
    with check ((storage.foldername(key))[1] = auth.jwt() ->> 'sub' and size < 100);
alter role project_admin bypassrls;
drop event trigger create_policies_on_table_create;
drop function system.create_default_policies();
drop policy project_admin_policy on public.notes;
drop policy "own profile" on auth.users;
alter table auth.users disable row level security;
revoke all on auth.users from authenticated;
alter table public.notes owner to project_admin;
create trigger seen after insert on storage.objects for each row execute function public.greet();
