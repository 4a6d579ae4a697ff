-- Payments after step 064, with a row in each table.
drop schema payments cascade;
create schema payments;
create table payments.customer_mappings (
    id uuid not null default gen_random_uuid(), provider text not null, environment text not null,
    subject_type text not null, subject_id text not null, provider_customer_id text not null,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    constraint customer_mappings_pkey primary key (id),
    constraint customer_mappings_provider_environment_provider_customer_id_key unique (provider, environment, provider_customer_id),
    constraint customer_mappings_provider_environment_subject_type_subject_key unique (provider, environment, subject_type, subject_id),
    constraint customer_mappings_environment_check check (environment in ('test', 'live')),
    constraint customer_mappings_provider_check check (provider ~ '^[a-z][a-z0-9_]*$')
);
create trigger trg_payments_customer_mappings_updated_at before update on payments.customer_mappings
    for each row execute function system.update_updated_at();
create table payments.customers (
    id uuid not null default gen_random_uuid(), environment text not null, email text, name text, phone text,
    deleted boolean not null default false, metadata jsonb not null default '{}',
    raw jsonb not null default '{}', synced_at timestamptz not null default now(),
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    provider text not null, provider_customer_id text not null, provider_created_at timestamptz,
    constraint customers_pkey primary key (id),
    constraint chk_payments_customers_provider_format check (provider ~ '^[a-z][a-z0-9_]*$'),
    constraint customers_environment_check check (environment in ('test', 'live'))
);
create index idx_payments_customers_environment_deleted on payments.customers (environment, deleted);
create index idx_payments_customers_environment_email on payments.customers (environment, email) where email is
    not null;
create index idx_payments_customers_provider on payments.customers (provider, environment);
create index idx_payments_customers_provider_created on payments.customers (provider, environment,
    provider_created_at DESC);
create unique index idx_payments_customers_provider_customer_id on payments.customers (provider, environment,
    provider_customer_id);
create trigger trg_payments_customers_updated_at before update on payments.customers
    for each row execute function system.update_updated_at();
create table payments.provider_connections (
    id uuid not null default gen_random_uuid(), provider text not null, environment text not null,
    status text not null default 'unconfigured', provider_account_id text, account_email text,
    account_name text, account_livemode boolean, webhook_endpoint_id text, webhook_endpoint_url text,
    webhook_configured_at timestamptz, last_synced_at timestamptz, last_sync_status text, last_sync_error text,
    last_sync_counts jsonb not null default '{}', raw jsonb not null default '{}',
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    constraint provider_connections_pkey primary key (id),
    constraint provider_connections_provider_environment_key unique (provider, environment),
    constraint provider_connections_environment_check check (environment in ('test', 'live')),
    constraint provider_connections_last_sync_status_check check ((last_sync_status IS NULL) OR last_sync_status in ('succeeded', 'failed')),
    constraint provider_connections_provider_check check (provider ~ '^[a-z][a-z0-9_]*$'),
    constraint provider_connections_status_check check (status in ('unconfigured', 'connected', 'error'))
);
create trigger trg_payments_provider_connections_updated_at before update on payments.provider_connections
    for each row execute function system.update_updated_at();
create table payments.razorpay_items (
    id uuid not null default gen_random_uuid(), environment text not null, item_id text not null,
    name text not null, description text, active boolean not null default true, amount bigint,
    unit_amount bigint, currency text not null, type text, raw jsonb not null default '{}',
    provider_created_at timestamptz, synced_at timestamptz not null default now(),
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    constraint razorpay_items_pkey primary key (id),
    constraint razorpay_items_environment_item_id_key unique (environment, item_id),
    constraint razorpay_items_environment_check check (environment in ('test', 'live'))
);
create index idx_payments_razorpay_items_environment_active on payments.razorpay_items (environment, active);
create trigger trg_payments_razorpay_items_updated_at before update on payments.razorpay_items
    for each row execute function system.update_updated_at();
create table payments.razorpay_orders (
    id uuid not null default gen_random_uuid(), environment text not null,
    status text not null default 'initialized', subject_type text, subject_id text, customer_name text,
    customer_email text, customer_contact text, order_id text, receipt text, amount bigint not null,
    amount_paid bigint, amount_due bigint, currency text not null, attempts integer, verified_payment_id text,
    verified_at timestamptz, description text, callback_url text, notes jsonb not null default '{}',
    raw jsonb not null default '{}', last_error text, created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(), constraint razorpay_orders_pkey primary key (id),
    constraint razorpay_orders_environment_check check (environment in ('test', 'live')),
    constraint razorpay_orders_status_check check (status in ('initialized', 'created', 'attempted', 'paid', 'failed'))
);
create unique index idx_payments_razorpay_orders_environment_order on payments.razorpay_orders (environment,
    order_id) where order_id is not null;
create index idx_payments_razorpay_orders_environment_status on payments.razorpay_orders (environment, status);
create index idx_payments_razorpay_orders_environment_subject on payments.razorpay_orders (environment,
    subject_type, subject_id) where subject_type is not null and subject_id is not null;
create index idx_payments_razorpay_orders_environment_verified_payment on payments.razorpay_orders (environment,
    verified_payment_id) where verified_payment_id is not null;
create trigger trg_payments_razorpay_orders_updated_at before update on payments.razorpay_orders
    for each row execute function system.update_updated_at();
create table payments.razorpay_plans (
    id uuid not null default gen_random_uuid(), environment text not null, plan_id text not null,
    item_id text not null, period text not null, "interval" integer not null, amount bigint, unit_amount bigint,
    currency text not null, active boolean not null default true, notes jsonb not null default '{}',
    raw jsonb not null default '{}', provider_created_at timestamptz,
    synced_at timestamptz not null default now(), created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(), constraint razorpay_plans_pkey primary key (id),
    constraint razorpay_plans_environment_plan_id_key unique (environment, plan_id),
    constraint razorpay_plans_environment_check check (environment in ('test', 'live'))
);
create index idx_payments_razorpay_plans_environment_item on payments.razorpay_plans (environment, item_id);
create trigger trg_payments_razorpay_plans_updated_at before update on payments.razorpay_plans
    for each row execute function system.update_updated_at();
create table payments.razorpay_subscriptions (
    id uuid not null default gen_random_uuid(), environment text not null, subscription_id text not null,
    plan_id text not null, customer_id text, subject_type text, subject_id text, status text not null,
    current_start timestamptz, current_end timestamptz, ended_at timestamptz, quantity bigint,
    charge_at timestamptz, start_at timestamptz, end_at timestamptz, total_count bigint, auth_attempts bigint,
    paid_count bigint, remaining_count bigint, short_url text,
    has_scheduled_changes boolean not null default false, change_scheduled_at timestamptz, offer_id text,
    authorization_payment_id text, authorization_verified_at timestamptz, notes jsonb not null default '{}',
    raw jsonb not null default '{}', provider_created_at timestamptz,
    synced_at timestamptz not null default now(), created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(), constraint razorpay_subscriptions_pkey primary key (id),
    constraint razorpay_subscriptions_environment_subscription_id_key unique (environment, subscription_id),
    constraint razorpay_subscriptions_environment_check check (environment in ('test', 'live')),
    constraint razorpay_subscriptions_status_check check (status in ('created', 'authenticated', 'active', 'pending', 'halted', 'cancelled', 'completed', 'expired', 'paused'))
);
create index idx_payments_razorpay_subscriptions_environment_authorization_p on payments.razorpay_subscriptions
    (environment, authorization_payment_id) where authorization_payment_id is not null;
create index idx_payments_razorpay_subscriptions_environment_customer on payments.razorpay_subscriptions
    (environment, customer_id) where customer_id is not null;
create index idx_payments_razorpay_subscriptions_environment_plan on payments.razorpay_subscriptions
    (environment, plan_id);
create index idx_payments_razorpay_subscriptions_environment_status on payments.razorpay_subscriptions
    (environment, status);
create index idx_payments_razorpay_subscriptions_environment_subject on payments.razorpay_subscriptions
    (environment, subject_type, subject_id) where subject_type is not null and subject_id is not null;
create trigger trg_payments_razorpay_subscriptions_updated_at before update on payments.razorpay_subscriptions
    for each row execute function system.update_updated_at();
create table payments.stripe_checkout_sessions (
    id uuid not null default gen_random_uuid(), environment text not null, mode text not null,
    status text not null default 'initialized', payment_status text, subject_type text, subject_id text,
    customer_email text, line_items jsonb not null default '[]', success_url text not null,
    cancel_url text not null, idempotency_key text, metadata jsonb not null default '{}',
    checkout_session_id text, customer_id text, payment_intent_id text, subscription_id text, url text,
    last_error text, raw jsonb not null default '{}', created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(), request_hash text,
    constraint checkout_sessions_pkey primary key (id),
    constraint checkout_sessions_environment_check check (environment in ('test', 'live')),
    constraint checkout_sessions_line_items_check check (jsonb_typeof(line_items) = 'array'),
    constraint checkout_sessions_mode_check check (mode in ('payment', 'subscription')),
    constraint checkout_sessions_payment_status_check check ((payment_status IS NULL) OR payment_status in ('paid', 'unpaid', 'no_payment_required')),
    constraint checkout_sessions_status_check check (status in ('initialized', 'open', 'completed', 'expired', 'failed'))
);
create index idx_payments_stripe_checkout_sessions_environment_customer on payments.stripe_checkout_sessions
    (environment, customer_id) where customer_id is not null;
create unique index idx_payments_stripe_checkout_sessions_environment_idempotency on
    payments.stripe_checkout_sessions (environment, idempotency_key) where idempotency_key is not null;
create unique index idx_payments_stripe_checkout_sessions_environment_session on
    payments.stripe_checkout_sessions (environment, checkout_session_id) where checkout_session_id is not null;
create index idx_payments_stripe_checkout_sessions_environment_status on payments.stripe_checkout_sessions
    (environment, status);
create index idx_payments_stripe_checkout_sessions_environment_subject on payments.stripe_checkout_sessions
    (environment, subject_type, subject_id) where subject_type is not null and subject_id is not null;
create trigger trg_payments_stripe_checkout_sessions_updated_at before update on payments.stripe_checkout_sessions
    for each row execute function system.update_updated_at();
create table payments.stripe_customer_portal_sessions (
    id uuid not null default gen_random_uuid(), environment text not null,
    status text not null default 'initialized', subject_type text not null, subject_id text not null,
    customer_id text, return_url text, configuration_id text, url text, last_error text,
    raw jsonb not null default '{}', created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(), constraint customer_portal_sessions_pkey primary key (id),
    constraint customer_portal_sessions_environment_check check (environment in ('test', 'live')),
    constraint customer_portal_sessions_status_check check (status in ('initialized', 'created', 'failed'))
);
create index idx_payments_stripe_customer_portal_sessions_environment_custom on
    payments.stripe_customer_portal_sessions (environment, customer_id) where customer_id is not null;
create index idx_payments_stripe_customer_portal_sessions_environment_status on
    payments.stripe_customer_portal_sessions (environment, status);
create index idx_payments_stripe_customer_portal_sessions_environment_subjec on
    payments.stripe_customer_portal_sessions (environment, subject_type, subject_id);
create trigger trg_payments_stripe_customer_portal_sessions_updated_at before update on payments.stripe_customer_portal_sessions
    for each row execute function system.update_updated_at();
create table payments.stripe_prices (
    id uuid not null default gen_random_uuid(), environment text not null, price_id text not null,
    product_id text, active boolean not null, currency text not null, unit_amount bigint,
    unit_amount_decimal text, type text not null, lookup_key text, billing_scheme text, tax_behavior text,
    recurring_interval text, recurring_interval_count integer, metadata jsonb not null default '{}',
    raw jsonb not null default '{}', synced_at timestamptz not null default now(),
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    constraint prices_pkey primary key (id),
    constraint prices_environment_check check (environment in ('test', 'live'))
);
create index idx_payments_stripe_prices_environment_lookup_key on payments.stripe_prices (environment,
    lookup_key) where lookup_key is not null;
create unique index idx_payments_stripe_prices_environment_price on payments.stripe_prices (environment,
    price_id);
create index idx_payments_stripe_prices_environment_product on payments.stripe_prices (environment, product_id);
create trigger trg_payments_stripe_prices_updated_at before update on payments.stripe_prices
    for each row execute function system.update_updated_at();
create table payments.stripe_products (
    id uuid not null default gen_random_uuid(), environment text not null, product_id text not null,
    name text not null, description text, active boolean not null, default_price_id text,
    metadata jsonb not null default '{}', raw jsonb not null default '{}',
    synced_at timestamptz not null default now(), created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(), constraint products_pkey primary key (id),
    constraint products_environment_check check (environment in ('test', 'live'))
);
create index idx_payments_stripe_products_environment_active on payments.stripe_products (environment, active);
create index idx_payments_stripe_products_environment_default_price on payments.stripe_products (environment,
    default_price_id) where default_price_id is not null;
create unique index idx_payments_stripe_products_environment_product on payments.stripe_products (environment,
    product_id);
create trigger trg_payments_stripe_products_updated_at before update on payments.stripe_products
    for each row execute function system.update_updated_at();
create table payments.stripe_subscription_items (
    id uuid not null default gen_random_uuid(), environment text not null, subscription_item_id text not null,
    subscription_id text not null, product_id text, price_id text, quantity bigint,
    metadata jsonb not null default '{}', raw jsonb not null default '{}',
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    constraint subscription_items_pkey primary key (id),
    constraint subscription_items_environment_check check (environment in ('test', 'live'))
);
create unique index idx_payments_stripe_subscription_items_environment_item on
    payments.stripe_subscription_items (environment, subscription_item_id);
create index idx_payments_stripe_subscription_items_environment_price on payments.stripe_subscription_items
    (environment, price_id) where price_id is not null;
create index idx_payments_stripe_subscription_items_environment_subscription on
    payments.stripe_subscription_items (environment, subscription_id);
create trigger trg_payments_stripe_subscription_items_updated_at before update on payments.stripe_subscription_items
    for each row execute function system.update_updated_at();
create table payments.stripe_subscriptions (
    id uuid not null default gen_random_uuid(), environment text not null, subscription_id text not null,
    customer_id text not null, subject_type text, subject_id text, status text not null,
    current_period_start timestamptz, current_period_end timestamptz,
    cancel_at_period_end boolean not null default false, cancel_at timestamptz, canceled_at timestamptz,
    trial_start timestamptz, trial_end timestamptz, latest_invoice_id text,
    metadata jsonb not null default '{}', raw jsonb not null default '{}',
    synced_at timestamptz not null default now(), created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(), constraint subscriptions_pkey primary key (id),
    constraint subscriptions_environment_check check (environment in ('test', 'live'))
);
create index idx_payments_stripe_subscriptions_environment_customer on payments.stripe_subscriptions
    (environment, customer_id);
create index idx_payments_stripe_subscriptions_environment_status on payments.stripe_subscriptions (environment,
    status);
create index idx_payments_stripe_subscriptions_environment_subject on payments.stripe_subscriptions
    (environment, subject_type, subject_id) where subject_type is not null and subject_id is not null;
create unique index idx_payments_stripe_subscriptions_environment_subscription on payments.stripe_subscriptions
    (environment, subscription_id);
create trigger trg_payments_stripe_subscriptions_updated_at before update on payments.stripe_subscriptions
    for each row execute function system.update_updated_at();
create table payments.transactions (
    id uuid not null default gen_random_uuid(), provider text not null, environment text not null,
    type text not null, status text not null, subject_type text, subject_id text, provider_customer_id text,
    customer_email_snapshot text, provider_object_type text, provider_object_id text,
    provider_parent_object_type text, provider_parent_object_id text,
    related_object_ids jsonb not null default '{}', amount bigint, amount_refunded bigint not null default 0,
    currency text, description text, paid_at timestamptz, failed_at timestamptz, refunded_at timestamptz,
    provider_created_at timestamptz, raw jsonb not null default '{}',
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    constraint transactions_pkey primary key (id),
    constraint transactions_environment_check check (environment in ('test', 'live')),
    constraint transactions_provider_check check (provider ~ '^[a-z][a-z0-9_]*$'),
    constraint transactions_status_check check (status in ('succeeded', 'failed', 'pending', 'refunded', 'partially_refunded')),
    constraint transactions_type_check check (type in ('one_time_payment', 'subscription_invoice', 'refund', 'failed_payment'))
);
create index idx_payments_transactions_provider_created on payments.transactions (provider, environment,
    provider_created_at DESC);
create index idx_payments_transactions_provider_customer on payments.transactions (provider, environment,
    provider_customer_id) where provider_customer_id is not null;
create unique index idx_payments_transactions_provider_object on payments.transactions (provider, environment,
    provider_object_type, provider_object_id) where (provider_object_type is not null) and (provider_object_id
    is not null);
create index idx_payments_transactions_provider_status on payments.transactions (provider, environment, status);
create index idx_payments_transactions_provider_subject on payments.transactions (provider, environment,
    subject_type, subject_id) where subject_type is not null and subject_id is not null;
create index idx_payments_transactions_related_object_ids on payments.transactions using gin
    (related_object_ids);
create trigger trg_payments_transactions_updated_at before update on payments.transactions
    for each row execute function system.update_updated_at();
create table payments.webhook_events (
    id uuid not null default gen_random_uuid(), environment text not null, event_type text not null,
    livemode boolean not null, object_type text, object_id text,
    processing_status text not null default 'pending', attempt_count integer not null default 0,
    last_error text, payload jsonb not null, received_at timestamptz not null default now(),
    processed_at timestamptz, created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(), provider text not null, provider_event_id text not null,
    provider_account_id text, constraint webhook_events_pkey primary key (id),
    constraint chk_payments_webhook_events_provider_format check (provider ~ '^[a-z][a-z0-9_]*$'),
    constraint webhook_events_environment_check check (environment in ('test', 'live')),
    constraint webhook_events_processing_status_check check (processing_status in ('pending', 'processed', 'failed', 'ignored'))
);
create index idx_payments_webhook_events_environment_object on payments.webhook_events (environment,
    object_type, object_id) where object_id is not null;
create index idx_payments_webhook_events_environment_status on payments.webhook_events (environment,
    processing_status);
create unique index idx_payments_webhook_events_provider_event on payments.webhook_events (provider,
    environment, provider_event_id);
create trigger trg_payments_webhook_events_updated_at before update on payments.webhook_events
    for each row execute function system.update_updated_at();

insert into payments.provider_connections (provider, environment) values ('stripe', 'test'), ('razorpay', 'test');
insert into payments.stripe_products (environment, product_id, name, active) values ('test', 'prod_1', 'Pen', true);
insert into payments.stripe_prices (environment, price_id, product_id, active, currency, type)
    values ('test', 'price_1', 'prod_1', true, 'eur', 'one_time');
insert into payments.customer_mappings (provider, environment, subject_type, subject_id, provider_customer_id)
    values ('stripe', 'test', 'user', 'ada', 'cus_1');
insert into payments.customers (environment, provider, provider_customer_id) values ('test', 'stripe', 'cus_1');
insert into payments.stripe_checkout_sessions (environment, mode, success_url, cancel_url)
    values ('test', 'payment', 'https://a', 'https://b');
insert into payments.stripe_customer_portal_sessions (environment, subject_type, subject_id)
    values ('test', 'user', 'ada');
insert into payments.stripe_subscriptions (environment, subscription_id, customer_id, status)
    values ('test', 'sub_1', 'cus_1', 'active');
insert into payments.stripe_subscription_items (environment, subscription_item_id, subscription_id)
    values ('test', 'si_1', 'sub_1');
insert into payments.razorpay_items (environment, item_id, name, currency) values ('test', 'item_1', 'Pen', 'INR');
insert into payments.razorpay_plans (environment, plan_id, item_id, period, "interval", currency)
    values ('test', 'plan_1', 'item_1', 'monthly', 1, 'INR');
insert into payments.razorpay_orders (environment, amount, currency) values ('test', 500, 'INR');
insert into payments.razorpay_subscriptions (environment, subscription_id, plan_id, status)
    values ('test', 'sub_2', 'plan_1', 'active');
insert into payments.transactions (provider, environment, type, status, amount)
    values ('stripe', 'live', 'one_time_payment', 'succeeded', 4200);
insert into payments.webhook_events (provider, environment, provider_event_id, event_type, livemode, payload)
    values ('stripe', 'test', 'evt_1', 'charge.refunded', false, '{}');
alter table payments.stripe_checkout_sessions enable row level security;
create policy buyers on payments.stripe_checkout_sessions for select to authenticated
    using (subject_id = auth.jwt() ->> 'sub');
