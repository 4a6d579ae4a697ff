-- `payments`: what only one provider has, and what end users and administrators may do about it.

-- Copies of Stripe's catalogue and subscriptions.
create table payments.stripe_products (
    id uuid not null default gen_random_uuid(),
    environment text not null,
    product_id text not null,
    name text not null,
    description text,
    active boolean not null,
    default_price_id text,
    metadata jsonb not null default '{}',
    raw jsonb not null default '{}',
    synced_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint products_pkey primary key (id),
    constraint products_environment_check check (environment in ('test', 'live'))
);

create index idx_payments_stripe_products_environment_active
    on payments.stripe_products (environment, active);
create index idx_payments_stripe_products_environment_default_price
    on payments.stripe_products (environment, default_price_id) where default_price_id is not null;
create unique index idx_payments_stripe_products_environment_product
    on payments.stripe_products (environment, product_id);

create trigger trg_payments_stripe_products_updated_at
    before update on payments.stripe_products
    for each row execute function system.update_updated_at();

create table payments.stripe_prices (
    id uuid not null default gen_random_uuid(),
    environment text not null,
    price_id text not null,
    product_id text,
    active boolean not null,
    currency text not null,
    unit_amount bigint,
    unit_amount_decimal text,
    type text not null,
    lookup_key text,
    billing_scheme text,
    tax_behavior text,
    recurring_interval text,
    recurring_interval_count integer,
    metadata jsonb not null default '{}',
    raw jsonb not null default '{}',
    synced_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint prices_pkey primary key (id),
    constraint prices_environment_check check (environment in ('test', 'live'))
);

create index idx_payments_stripe_prices_environment_lookup_key
    on payments.stripe_prices (environment, lookup_key) where lookup_key is not null;
create unique index idx_payments_stripe_prices_environment_price
    on payments.stripe_prices (environment, price_id);
create index idx_payments_stripe_prices_environment_product
    on payments.stripe_prices (environment, product_id);

create trigger trg_payments_stripe_prices_updated_at
    before update on payments.stripe_prices
    for each row execute function system.update_updated_at();

create table payments.stripe_subscriptions (
    id uuid not null default gen_random_uuid(),
    environment text not null,
    subscription_id text not null,
    customer_id text not null,
    subject_type text,
    subject_id text,
    status text not null,
    current_period_start timestamptz,
    current_period_end timestamptz,
    cancel_at_period_end boolean not null default false,
    cancel_at timestamptz,
    canceled_at timestamptz,
    trial_start timestamptz,
    trial_end timestamptz,
    latest_invoice_id text,
    metadata jsonb not null default '{}',
    raw jsonb not null default '{}',
    synced_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint subscriptions_pkey primary key (id),
    constraint subscriptions_environment_check check (environment in ('test', 'live'))
);

create index idx_payments_stripe_subscriptions_environment_customer
    on payments.stripe_subscriptions (environment, customer_id);
create index idx_payments_stripe_subscriptions_environment_status
    on payments.stripe_subscriptions (environment, status);
create index idx_payments_stripe_subscriptions_environment_subject
    on payments.stripe_subscriptions (environment, subject_type, subject_id)
    where subject_type is not null and subject_id is not null;
create unique index idx_payments_stripe_subscriptions_environment_subscription
    on payments.stripe_subscriptions (environment, subscription_id);

create trigger trg_payments_stripe_subscriptions_updated_at
    before update on payments.stripe_subscriptions
    for each row execute function system.update_updated_at();

create table payments.stripe_subscription_items (
    id uuid not null default gen_random_uuid(),
    environment text not null,
    subscription_item_id text not null,
    subscription_id text not null,
    product_id text,
    price_id text,
    quantity bigint,
    metadata jsonb not null default '{}',
    raw jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint subscription_items_pkey primary key (id),
    constraint subscription_items_environment_check check (environment in ('test', 'live'))
);

create unique index idx_payments_stripe_subscription_items_environment_item
    on payments.stripe_subscription_items (environment, subscription_item_id);
create index idx_payments_stripe_subscription_items_environment_price
    on payments.stripe_subscription_items (environment, price_id) where price_id is not null;
create index idx_payments_stripe_subscription_items_environment_subscription
    on payments.stripe_subscription_items (environment, subscription_id);

create trigger trg_payments_stripe_subscription_items_updated_at
    before update on payments.stripe_subscription_items
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

-- Ways that end users took to their own contracts.
create table payments.stripe_customer_portal_sessions (
    id uuid not null default gen_random_uuid(),
    environment text not null,
    status text not null default 'initialized',
    subject_type text not null,
    subject_id text not null,
    customer_id text,
    return_url text,
    configuration_id text,
    url text,
    last_error text,
    raw jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint customer_portal_sessions_pkey primary key (id),
    constraint customer_portal_sessions_environment_check check (environment in ('test', 'live')),
    constraint customer_portal_sessions_status_check
        check (status in ('initialized', 'created', 'failed'))
);

create index idx_payments_stripe_customer_portal_sessions_environment_custom
    on payments.stripe_customer_portal_sessions (environment, customer_id)
    where customer_id is not null;
create index idx_payments_stripe_customer_portal_sessions_environment_status
    on payments.stripe_customer_portal_sessions (environment, status);
create index idx_payments_stripe_customer_portal_sessions_environment_subjec
    on payments.stripe_customer_portal_sessions (environment, subject_type, subject_id);

create trigger trg_payments_stripe_customer_portal_sessions_updated_at
    before update on payments.stripe_customer_portal_sessions
    for each row execute function system.update_updated_at();

-- Copies of Razorpay's catalogue.
create table payments.razorpay_items (
    id uuid not null default gen_random_uuid(),
    environment text not null,
    item_id text not null,
    name text not null,
    description text,
    active boolean not null default true,
    amount bigint,
    unit_amount bigint,
    currency text not null,
    type text,
    raw jsonb not null default '{}',
    provider_created_at timestamptz,
    synced_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint razorpay_items_pkey primary key (id),
    constraint razorpay_items_environment_item_id_key unique (environment, item_id),
    constraint razorpay_items_environment_check check (environment in ('test', 'live'))
);

create index idx_payments_razorpay_items_environment_active
    on payments.razorpay_items (environment, active);

create trigger trg_payments_razorpay_items_updated_at
    before update on payments.razorpay_items
    for each row execute function system.update_updated_at();

create table payments.razorpay_plans (
    id uuid not null default gen_random_uuid(),
    environment text not null,
    plan_id text not null,
    item_id text not null,
    period text not null,
    "interval" integer not null,
    amount bigint,
    unit_amount bigint,
    currency text not null,
    active boolean not null default true,
    notes jsonb not null default '{}',
    raw jsonb not null default '{}',
    provider_created_at timestamptz,
    synced_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint razorpay_plans_pkey primary key (id),
    constraint razorpay_plans_environment_plan_id_key unique (environment, plan_id),
    constraint razorpay_plans_environment_check check (environment in ('test', 'live'))
);

create index idx_payments_razorpay_plans_environment_item
    on payments.razorpay_plans (environment, item_id);

create trigger trg_payments_razorpay_plans_updated_at
    before update on payments.razorpay_plans
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

-- Copies of subscriptions.
create table payments.razorpay_subscriptions (
    id uuid not null default gen_random_uuid(),
    environment text not null,
    subscription_id text not null,
    plan_id text not null,
    customer_id text,
    subject_type text,
    subject_id text,
    status text not null,
    current_start timestamptz,
    current_end timestamptz,
    ended_at timestamptz,
    quantity bigint,
    charge_at timestamptz,
    start_at timestamptz,
    end_at timestamptz,
    total_count bigint,
    auth_attempts bigint,
    paid_count bigint,
    remaining_count bigint,
    short_url text,
    has_scheduled_changes boolean not null default false,
    change_scheduled_at timestamptz,
    offer_id text,
    authorization_payment_id text,
    authorization_verified_at timestamptz,
    notes jsonb not null default '{}',
    raw jsonb not null default '{}',
    provider_created_at timestamptz,
    synced_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint razorpay_subscriptions_pkey primary key (id),
    constraint razorpay_subscriptions_environment_subscription_id_key
        unique (environment, subscription_id),
    constraint razorpay_subscriptions_environment_check check (environment in ('test', 'live')),
    constraint razorpay_subscriptions_status_check
        check (status in ('created', 'authenticated', 'active', 'pending', 'halted',
            'cancelled', 'completed', 'expired', 'paused'))
);

create index idx_payments_razorpay_subscriptions_environment_authorization_p
    on payments.razorpay_subscriptions (environment, authorization_payment_id)
    where authorization_payment_id is not null;
create index idx_payments_razorpay_subscriptions_environment_customer
    on payments.razorpay_subscriptions (environment, customer_id) where customer_id is not null;
create index idx_payments_razorpay_subscriptions_environment_plan
    on payments.razorpay_subscriptions (environment, plan_id);
create index idx_payments_razorpay_subscriptions_environment_status
    on payments.razorpay_subscriptions (environment, status);
create index idx_payments_razorpay_subscriptions_environment_subject
    on payments.razorpay_subscriptions (environment, subject_type, subject_id)
    where subject_type is not null and subject_id is not null;

create trigger trg_payments_razorpay_subscriptions_updated_at
    before update on payments.razorpay_subscriptions
    for each row execute function system.update_updated_at();
