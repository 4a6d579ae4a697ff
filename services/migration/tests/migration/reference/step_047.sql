-- On top of step 018: what the steps up to 047 change, and what a project put into it.
create schema schedules;
create table schedules.jobs (
    id uuid not null default gen_random_uuid(), name text not null, cron_schedule text not null,
    function_url text not null, http_method text not null default 'POST', encrypted_headers text, headers jsonb,
    body jsonb, is_active boolean not null default true, cron_job_id bigint, last_executed_at timestamptz,
    created_at timestamptz default now(), updated_at timestamptz default now(),
    constraint jobs_pkey primary key (id)
);
create index idx_jobs_cron_job_id on schedules.jobs (cron_job_id);
create index idx_jobs_is_active on schedules.jobs (is_active);
create trigger trg_jobs_updated_at before update on schedules.jobs
    for each row execute function system.update_updated_at();
create table schedules.job_logs (
    id uuid not null default gen_random_uuid(), job_id uuid, executed_at timestamptz default now(),
    status_code integer, success boolean, duration_ms bigint, message text,
    constraint job_logs_pkey primary key (id),
    constraint job_logs_job_id_fkey foreign key (job_id) references schedules.jobs (id) on delete cascade
);
create index idx_job_logs_executed_at on schedules.job_logs (executed_at DESC);
create index idx_job_logs_job_id on schedules.job_logs (job_id);
create table schedules.config (
    id uuid not null default gen_random_uuid(), retention_days integer default 7,
    created_at timestamptz default now(), updated_at timestamptz default now(),
    constraint config_pkey primary key (id),
    constraint config_retention_days_check check ((retention_days IS NULL) OR (retention_days > 0))
);
create unique index idx_schedules_config_singleton on schedules.config ((1));
create trigger update_schedules_config_updated_at before update on schedules.config
    for each row execute function system.update_updated_at();
insert into schedules.config (retention_days) values (3);
insert into schedules.jobs (name, cron_schedule, function_url, cron_job_id)
    values ('nightly', '0 0 * * *', 'https://example.com', 7);
create function schedules.encrypt_headers(p_headers jsonb) returns text language plpgsql security definer as
    $$ begin return null; end $$;
-- As pg_cron's.
create schema cron;
create table cron.job (
    jobid bigint primary key, schedule text, command text, username text not null default current_user, jobname text
);
insert into cron.job (jobid, schedule, command, jobname) values
    (7, '0 0 * * *', 'select schedules.execute_job(...)', null),
    (8, '0 * * * *', 'select schedules.cleanup_job_logs()', 'schedules-job-logs-retention');

create schema compute;
create table compute.services (
    id uuid not null default gen_random_uuid(), project_id text not null, name text not null,
    image_url text not null, port integer not null default 8080, cpu text not null default 'shared-1x',
    memory integer not null default 512, env_vars_encrypted text, region text not null default 'iad',
    fly_app_id text, fly_machine_id text, status text not null default 'creating', endpoint_url text,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    protocol text not null default 'http',
    constraint services_pkey primary key (id),
    constraint services_project_id_name_key unique (project_id, name),
    constraint chk_compute_services_protocol check (protocol in ('http', 'tcp')),
    constraint services_port_check check ((port >= 1) AND (port <= 65535)),
    constraint services_status_check check (status in ('creating', 'deploying', 'running', 'stopped', 'failed', 'destroying'))
);
create index idx_compute_services_project on compute.services (project_id);
create index idx_compute_services_status on compute.services (status);
create trigger update_compute_services_updated_at before update on compute.services
    for each row execute function system.update_updated_at();
insert into compute.services (project_id, name, image_url, fly_app_id) values ('p', 'worker', 'image', 'app-1');

create schema deployments;
create table deployments.runs (
    id uuid not null default gen_random_uuid(), provider text not null default 'vercel',
    provider_deployment_id text, status text not null default 'WAITING', url text, metadata jsonb,
    created_at timestamptz default now(), updated_at timestamptz default now(),
    constraint deployments_pkey primary key (id),
    constraint deployments_provider_deployment_id_key unique (provider_deployment_id)
);
create index idx_deployments_created_at on deployments.runs (created_at DESC);
create index idx_deployments_provider on deployments.runs (provider);
create index idx_deployments_status on deployments.runs (status);
create trigger update_runs_updated_at before update on deployments.runs
    for each row execute function system.update_updated_at();
create table deployments.files (
    id uuid not null default gen_random_uuid(), deployment_id uuid not null, file_path text not null,
    sha text not null, size_bytes integer not null, uploaded_at timestamptz,
    created_at timestamptz default now(), updated_at timestamptz default now(),
    constraint files_pkey primary key (id),
    constraint files_deployment_id_file_path_key unique (deployment_id, file_path),
    constraint files_deployment_id_fkey foreign key (deployment_id) references deployments.runs (id) on delete cascade,
    constraint files_sha_check check (sha ~ '^[a-f0-9]{40}$'),
    constraint files_size_bytes_check check (size_bytes >= 0)
);
create index idx_deployment_files_deployment_id on deployments.files (deployment_id);
create index idx_deployment_files_uploaded_at on deployments.files (deployment_id, uploaded_at);
create trigger update_files_updated_at before update on deployments.files
    for each row execute function system.update_updated_at();
insert into deployments.runs (provider_deployment_id) values ('d1');
insert into deployments.files (deployment_id, file_path, sha, size_bytes)
    select id, 'index.html', repeat('a', 40), 5 from deployments.runs;

-- Payments, when there was one provider. Each row is the least that its table takes.
create schema payments;
create function pg_temp.payments_table(name text, columns text) returns void language plpgsql as $$
begin
    execute format(
        'create table payments.%1$s (
             id uuid not null default gen_random_uuid() constraint %1$s_pkey primary key,
             environment text not null constraint %1$s_environment_check check (environment in (''test'', ''live'')),
             %2$s,
             created_at timestamptz not null default now(), updated_at timestamptz not null default now()
         )', name, columns);
    execute format(
        'create trigger trg_payments_%1$s_updated_at before update on payments.%1$s
             for each row execute function system.update_updated_at()', name);
end
$$;
select pg_temp.payments_table('stripe_connections', 'raw jsonb not null default ''{}'',
    stripe_account_id text, stripe_account_email text,
    account_livemode boolean, status text not null default ''unconfigured'', webhook_endpoint_id text,
    webhook_endpoint_url text, webhook_configured_at timestamptz, last_synced_at timestamptz,
    last_sync_status text, last_sync_error text, last_sync_counts jsonb not null default ''{}'',
    unique (environment)');
select pg_temp.payments_table('products', 'raw jsonb not null default ''{}'',
    stripe_product_id text not null, name text not null, description text,
    active boolean not null, default_price_id text, metadata jsonb not null default ''{}'',
    synced_at timestamptz not null default now(), unique (environment, stripe_product_id)');
select pg_temp.payments_table('prices', 'raw jsonb not null default ''{}'',
    stripe_price_id text not null, stripe_product_id text,
    active boolean not null, currency text not null, unit_amount bigint, unit_amount_decimal text,
    type text not null, lookup_key text, billing_scheme text, tax_behavior text, recurring_interval text,
    recurring_interval_count integer, metadata jsonb not null default ''{}'',
    synced_at timestamptz not null default now(), unique (environment, stripe_price_id)');
select pg_temp.payments_table('stripe_customer_mappings', 'subject_type text not null, subject_id text not null,
    stripe_customer_id text not null, unique (environment, subject_type, subject_id),
    unique (environment, stripe_customer_id)');
select pg_temp.payments_table('customers', 'raw jsonb not null default ''{}'',
    stripe_customer_id text not null, email text, name text, phone text,
    deleted boolean not null default false, metadata jsonb not null default ''{}'', stripe_created_at timestamptz,
    synced_at timestamptz not null default now(), unique (environment, stripe_customer_id)');
select pg_temp.payments_table('checkout_sessions', 'raw jsonb not null default ''{}'',
    mode text not null, status text not null default ''initialized'',
    payment_status text, subject_type text, subject_id text, customer_email text,
    line_items jsonb not null default ''[]'', success_url text not null, cancel_url text not null,
    idempotency_key text, metadata jsonb not null default ''{}'', stripe_checkout_session_id text,
    stripe_customer_id text, stripe_payment_intent_id text, stripe_subscription_id text, url text,
    last_error text, unique (environment, stripe_checkout_session_id)');
select pg_temp.payments_table('customer_portal_sessions', 'raw jsonb not null default ''{}'',
    status text not null default ''initialized'',
    subject_type text not null, subject_id text not null, stripe_customer_id text, return_url text,
    configuration_id text, url text, last_error text');
select pg_temp.payments_table('subscriptions', 'raw jsonb not null default ''{}'',
    stripe_subscription_id text not null,
    stripe_customer_id text not null, subject_type text, subject_id text, status text not null,
    current_period_start timestamptz, current_period_end timestamptz,
    cancel_at_period_end boolean not null default false, cancel_at timestamptz, canceled_at timestamptz,
    trial_start timestamptz, trial_end timestamptz, latest_invoice_id text,
    metadata jsonb not null default ''{}'', synced_at timestamptz not null default now(),
    unique (environment, stripe_subscription_id)');
select pg_temp.payments_table('subscription_items', 'raw jsonb not null default ''{}'',
    stripe_subscription_item_id text not null,
    stripe_subscription_id text not null, stripe_product_id text, stripe_price_id text, quantity bigint,
    metadata jsonb not null default ''{}'', unique (environment, stripe_subscription_item_id)');
select pg_temp.payments_table('payment_history', 'raw jsonb not null default ''{}'',
    type text not null, status text not null, subject_type text,
    subject_id text, stripe_customer_id text, customer_email_snapshot text, stripe_checkout_session_id text,
    stripe_payment_intent_id text, stripe_invoice_id text, stripe_charge_id text, stripe_refund_id text,
    stripe_subscription_id text, stripe_product_id text, stripe_price_id text, amount bigint,
    amount_refunded bigint, currency text, description text, paid_at timestamptz, failed_at timestamptz,
    refunded_at timestamptz, stripe_created_at timestamptz');
select pg_temp.payments_table('webhook_events', 'stripe_event_id text not null, event_type text not null,
    livemode boolean not null, stripe_account_id text, object_type text, object_id text,
    processing_status text not null default ''pending'', attempt_count integer not null default 0,
    last_error text, payload jsonb not null, received_at timestamptz not null default now(),
    processed_at timestamptz, unique (environment, stripe_event_id)');
create index idx_payments_products_environment_active on payments.products (environment, active);
create unique index idx_payments_checkout_sessions_environment_idempotency
    on payments.checkout_sessions (environment, idempotency_key) where idempotency_key is not null;
create unique index idx_payments_payment_history_environment_refund
    on payments.payment_history (environment, stripe_refund_id) where stripe_refund_id is not null;
create index idx_payments_webhook_events_environment_status
    on payments.webhook_events (environment, processing_status);
insert into payments.stripe_connections (environment, stripe_account_id, stripe_account_email)
    values ('test', 'acct_1', 'shop@example.com');
insert into payments.products (environment, stripe_product_id, name, active) values ('test', 'prod_1', 'Pen', true);
insert into payments.prices (environment, stripe_price_id, stripe_product_id, active, currency, type)
    values ('test', 'price_1', 'prod_1', true, 'eur', 'one_time');
insert into payments.stripe_customer_mappings (environment, subject_type, subject_id, stripe_customer_id)
    values ('test', 'user', 'ada', 'cus_1');
insert into payments.customers (environment, stripe_customer_id, email, stripe_created_at)
    values ('test', 'cus_1', 'ada@example.com', '2025-01-01 00:00+00');
insert into payments.checkout_sessions (environment, mode, success_url, cancel_url, stripe_checkout_session_id)
    values ('test', 'payment', 'https://a', 'https://b', 'cs_1');
insert into payments.subscriptions (environment, stripe_subscription_id, stripe_customer_id, status)
    values ('test', 'sub_1', 'cus_1', 'active');
insert into payments.subscription_items (environment, stripe_subscription_item_id, stripe_subscription_id)
    values ('test', 'si_1', 'sub_1');
insert into payments.payment_history
    (environment, type, status, stripe_customer_id, stripe_payment_intent_id, stripe_refund_id, amount) values
    ('test', 'one_time_payment', 'refunded', 'cus_1', 'pi_1', null, 4200),
    ('test', 'refund', 'succeeded', 'cus_1', 'pi_1', 're_1', 4200);
insert into payments.webhook_events (environment, stripe_event_id, event_type, livemode, payload)
    values ('test', 'evt_1', 'charge.refunded', false, '{}');
drop function pg_temp.payments_table(text, text);

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
