-- `payments`: what is the same for every provider.

-- One row for each provider and environment.
create table payments.provider_connections (
    id uuid not null default gen_random_uuid(),
    provider text not null,
    environment text not null,
    status text not null default 'unconfigured',
    provider_account_id text,
    account_email text,
    account_name text,
    account_livemode boolean,
    webhook_endpoint_id text,
    webhook_endpoint_url text,
    webhook_configured_at timestamptz,
    last_synced_at timestamptz,
    last_sync_status text,
    last_sync_error text,
    last_sync_counts jsonb not null default '{}',
    raw jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint provider_connections_pkey primary key (id),
    constraint provider_connections_provider_environment_key unique (provider, environment),
    constraint provider_connections_environment_check check (environment in ('test', 'live')),
    constraint provider_connections_last_sync_status_check
        check (last_sync_status is null or last_sync_status in ('succeeded', 'failed')),
    constraint provider_connections_provider_check check (provider ~ '^[a-z][a-z0-9_]*$'),
    constraint provider_connections_status_check
        check (status in ('unconfigured', 'connected', 'error'))
);

create trigger trg_payments_provider_connections_updated_at
    before update on payments.provider_connections
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

-- Which customer at a provider stands for a subject of the app.
create table payments.customer_mappings (
    id uuid not null default gen_random_uuid(),
    provider text not null,
    environment text not null,
    subject_type text not null,
    subject_id text not null,
    provider_customer_id text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint customer_mappings_pkey primary key (id),
    constraint customer_mappings_provider_environment_provider_customer_id_key
        unique (provider, environment, provider_customer_id),
    constraint customer_mappings_provider_environment_subject_type_subject_key
        unique (provider, environment, subject_type, subject_id),
    constraint customer_mappings_environment_check check (environment in ('test', 'live')),
    constraint customer_mappings_provider_check check (provider ~ '^[a-z][a-z0-9_]*$')
);

create trigger trg_payments_customer_mappings_updated_at
    before update on payments.customer_mappings
    for each row execute function system.update_updated_at();

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
