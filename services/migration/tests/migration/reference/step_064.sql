-- On top of step 047: what the steps up to 064 change, and what a project put into it.
alter table payments.products rename to stripe_products;
alter table payments.stripe_products rename column stripe_product_id to product_id;
alter table payments.stripe_products add column metadata jsonb not null default '{}';
-- What was paid and paid back, whoever the provider is: for reports.
create table payments.transactions (
    id uuid not null default gen_random_uuid(),
    provider text not null,
    environment text not null,
    type text not null,
    status text not null,
    subject_type text,
    subject_id text,
    provider_customer_id text,
    customer_email_snapshot text,
    provider_object_type text,
    provider_object_id text,
    provider_parent_object_type text,
    provider_parent_object_id text,
    related_object_ids jsonb not null default '{}',
    amount bigint,
    amount_refunded bigint not null default 0,
    currency text,
    description text,
    paid_at timestamptz,
    failed_at timestamptz,
    refunded_at timestamptz,
    provider_created_at timestamptz,
    raw jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint transactions_pkey primary key (id),
    constraint transactions_environment_check check (environment in ('test', 'live')),
    constraint transactions_provider_check check (provider ~ '^[a-z][a-z0-9_]*$'),
    constraint transactions_status_check
        check (status in ('succeeded', 'failed', 'pending', 'refunded', 'partially_refunded')),
    constraint transactions_type_check
        check (type in ('one_time_payment', 'subscription_invoice', 'refund', 'failed_payment'))
);

create index idx_payments_transactions_provider_created
    on payments.transactions (provider, environment, provider_created_at desc);
create index idx_payments_transactions_provider_customer
    on payments.transactions (provider, environment, provider_customer_id)
    where provider_customer_id is not null;
create unique index idx_payments_transactions_provider_object
    on payments.transactions (provider, environment, provider_object_type, provider_object_id)
    where provider_object_type is not null and provider_object_id is not null;
create index idx_payments_transactions_provider_status
    on payments.transactions (provider, environment, status);
create index idx_payments_transactions_provider_subject
    on payments.transactions (provider, environment, subject_type, subject_id)
    where subject_type is not null and subject_id is not null;
create index idx_payments_transactions_related_object_ids
    on payments.transactions using gin (related_object_ids);

create trigger trg_payments_transactions_updated_at
    before update on payments.transactions
    for each row execute function system.update_updated_at();

-- Copies of what providers know.
create table payments.customers (
    id uuid not null default gen_random_uuid(),
    environment text not null,
    email text,
    name text,
    phone text,
    deleted boolean not null default false,
    metadata jsonb not null default '{}',
    raw jsonb not null default '{}',
    synced_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    provider text not null,
    provider_customer_id text not null,
    provider_created_at timestamptz,
    constraint customers_pkey primary key (id),
    constraint chk_payments_customers_provider_format check (provider ~ '^[a-z][a-z0-9_]*$'),
    constraint customers_environment_check check (environment in ('test', 'live'))
);

create index idx_payments_customers_environment_deleted
    on payments.customers (environment, deleted);
create index idx_payments_customers_environment_email
    on payments.customers (environment, email) where email is not null;
create index idx_payments_customers_provider on payments.customers (provider, environment);
create index idx_payments_customers_provider_created
    on payments.customers (provider, environment, provider_created_at desc);
create unique index idx_payments_customers_provider_customer_id
    on payments.customers (provider, environment, provider_customer_id);

create trigger trg_payments_customers_updated_at
    before update on payments.customers
    for each row execute function system.update_updated_at();

-- What providers told; each event once.
create table payments.webhook_events (
    id uuid not null default gen_random_uuid(),
    environment text not null,
    event_type text not null,
    livemode boolean not null,
    object_type text,
    object_id text,
    processing_status text not null default 'pending',
    attempt_count integer not null default 0,
    last_error text,
    payload jsonb not null,
    received_at timestamptz not null default now(),
    processed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    provider text not null,
    provider_event_id text not null,
    provider_account_id text,
    constraint webhook_events_pkey primary key (id),
    constraint chk_payments_webhook_events_provider_format check (provider ~ '^[a-z][a-z0-9_]*$'),
    constraint webhook_events_environment_check check (environment in ('test', 'live')),
    constraint webhook_events_processing_status_check
        check (processing_status in ('pending', 'processed', 'failed', 'ignored'))
);

create index idx_payments_webhook_events_environment_object
    on payments.webhook_events (environment, object_type, object_id) where object_id is not null;
create index idx_payments_webhook_events_environment_status
    on payments.webhook_events (environment, processing_status);
create unique index idx_payments_webhook_events_provider_event
    on payments.webhook_events (provider, environment, provider_event_id);

create trigger trg_payments_webhook_events_updated_at
    before update on payments.webhook_events
    for each row execute function system.update_updated_at();

-- What end users began to buy.
create table payments.stripe_checkout_sessions (
    id uuid not null default gen_random_uuid(),
    environment text not null,
    mode text not null,
    status text not null default 'initialized',
    payment_status text,
    subject_type text,
    subject_id text,
    customer_email text,
    line_items jsonb not null default '[]',
    success_url text not null,
    cancel_url text not null,
    idempotency_key text,
    metadata jsonb not null default '{}',
    checkout_session_id text,
    customer_id text,
    payment_intent_id text,
    subscription_id text,
    url text,
    last_error text,
    raw jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    request_hash text,
    constraint checkout_sessions_pkey primary key (id),
    constraint checkout_sessions_environment_check check (environment in ('test', 'live')),
    constraint checkout_sessions_line_items_check check (jsonb_typeof(line_items) = 'array'),
    constraint checkout_sessions_mode_check check (mode in ('payment', 'subscription')),
    constraint checkout_sessions_payment_status_check
        check (payment_status is null or payment_status in ('paid', 'unpaid',
            'no_payment_required')),
    constraint checkout_sessions_status_check
        check (status in ('initialized', 'open', 'completed', 'expired', 'failed'))
);

create index idx_payments_stripe_checkout_sessions_environment_customer
    on payments.stripe_checkout_sessions (environment, customer_id) where customer_id is not null;
create unique index idx_payments_stripe_checkout_sessions_environment_idempotency
    on payments.stripe_checkout_sessions (environment, idempotency_key)
    where idempotency_key is not null;
create unique index idx_payments_stripe_checkout_sessions_environment_session
    on payments.stripe_checkout_sessions (environment, checkout_session_id)
    where checkout_session_id is not null;
create index idx_payments_stripe_checkout_sessions_environment_status
    on payments.stripe_checkout_sessions (environment, status);
create index idx_payments_stripe_checkout_sessions_environment_subject
    on payments.stripe_checkout_sessions (environment, subject_type, subject_id)
    where subject_type is not null and subject_id is not null;

create trigger trg_payments_stripe_checkout_sessions_updated_at
    before update on payments.stripe_checkout_sessions
    for each row execute function system.update_updated_at();

-- What end users began to buy. Without `order_id` it is not known at Razorpay yet.
create table payments.razorpay_orders (
    id uuid not null default gen_random_uuid(),
    environment text not null,
    status text not null default 'initialized',
    subject_type text,
    subject_id text,
    customer_name text,
    customer_email text,
    customer_contact text,
    order_id text,
    receipt text,
    amount bigint not null,
    amount_paid bigint,
    amount_due bigint,
    currency text not null,
    attempts integer,
    verified_payment_id text,
    verified_at timestamptz,
    description text,
    callback_url text,
    notes jsonb not null default '{}',
    raw jsonb not null default '{}',
    last_error text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint razorpay_orders_pkey primary key (id),
    constraint razorpay_orders_environment_check check (environment in ('test', 'live')),
    constraint razorpay_orders_status_check
        check (status in ('initialized', 'created', 'attempted', 'paid', 'failed'))
);

create unique index idx_payments_razorpay_orders_environment_order
    on payments.razorpay_orders (environment, order_id) where order_id is not null;
create index idx_payments_razorpay_orders_environment_status
    on payments.razorpay_orders (environment, status);
create index idx_payments_razorpay_orders_environment_subject
    on payments.razorpay_orders (environment, subject_type, subject_id)
    where subject_type is not null and subject_id is not null;
create index idx_payments_razorpay_orders_environment_verified_payment
    on payments.razorpay_orders (environment, verified_payment_id)
    where verified_payment_id is not null;

create trigger trg_payments_razorpay_orders_updated_at
    before update on payments.razorpay_orders
    for each row execute function system.update_updated_at();
insert into payments.transactions (provider, environment, type, status, amount)
values ('stripe', 'live', 'one_time_payment', 'succeeded', 4200);
alter table payments.stripe_checkout_sessions enable row level security;
create policy buyers on payments.stripe_checkout_sessions for select to authenticated
    using (subject_id = auth.jwt() ->> 'sub');
alter table compute.services add column provider text;
update compute.services set provider = 'docker';
alter table compute.services alter column provider set not null;
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
