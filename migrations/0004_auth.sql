-- `auth`: accounts, sign-in settings, sessions, and the claim helpers that policies call.

-- Claims of the request, as JSON in the transaction's setting `request.jwt.claims`. The helpers
-- have SQL-standard bodies: those are bound now and can be inlined, while a body in quotes would
-- be resolved anew with the search path of whoever calls.
create function auth.jwt() returns jsonb
    language sql
    stable
    return nullif(current_setting('request.jwt.claims', true), '')::jsonb;

-- The signed-in user. Raises on a subject that is no UUID: policies for accounts of third
-- parties compare `auth.jwt() ->> 'sub'` instead.
create function auth.uid() returns uuid
    language sql
    stable
    return nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')::uuid;

create function auth.role() returns text
    language sql
    stable
    return nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role', '');

create function auth.email() returns text
    language sql
    stable
    return nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email', '');

create table auth.users (
    id uuid not null default gen_random_uuid(),
    email text not null,
    -- bcrypt; null for accounts that only sign in elsewhere.
    password text,
    email_verified boolean default false,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    profile jsonb default '{}',
    metadata jsonb default '{}',
    is_project_admin boolean not null default false,
    is_anonymous boolean not null default false,
    constraint _user_pkey primary key (id),
    constraint _user_email_key unique (email)
);

create index idx_users_lower_email on auth.users (lower(email));

-- Projects keep tables beside the accounts: foreign keys to them, triggers on them.
grant insert, update, delete, references, trigger on auth.users to project_admin;

-- A trigger runs with the rights of whoever changes the table, so accounts are changed as
-- `project_admin` only. A service that wrote here would run the project's code with its own rights.
revoke insert, update, delete on auth.users from ingot_service;

-- PostgreSQL checks a project's foreign key to the accounts with the rights of their owner, and on
-- the way runs the casts that the project defined for its column's type. So the owner must not be
-- able to do anything else.
grant usage, create on schema auth to ingot_accounts;
alter table auth.users owner to ingot_accounts;
revoke create on schema auth from ingot_accounts;

-- Identities at OAuth providers.
create table auth.user_providers (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    provider text not null,
    provider_account_id text not null,
    access_token text,
    refresh_token text,
    provider_data jsonb,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint _account_pkey primary key (id),
    constraint _account_provider_provider_account_id_key unique (provider, provider_account_id),
    constraint _account_user_id_fkey
        foreign key (user_id) references auth.users (id) on delete cascade
);

create index idx_user_providers_user_id on auth.user_providers (user_id);

grant insert, update, delete on auth.user_providers to project_admin;

-- Settings; no row means the defaults.
create table auth.config (
    id uuid not null default gen_random_uuid(),
    require_email_verification boolean not null default false,
    password_min_length integer not null default 6,
    require_number boolean not null default false,
    require_lowercase boolean not null default false,
    require_uppercase boolean not null default false,
    require_special_char boolean not null default false,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    verify_email_method text not null default 'code',
    reset_password_method text not null default 'code',
    allowed_redirect_urls text[] default '{}',
    disable_signup boolean not null default false,
    constraint _auth_configs_pkey primary key (id),
    constraint _auth_configs_password_min_length_check
        check (password_min_length >= 4 and password_min_length <= 128),
    constraint _auth_configs_reset_password_method_check
        check (reset_password_method in ('code', 'link')),
    constraint _auth_configs_verify_email_method_check
        check (verify_email_method in ('code', 'link'))
);

create unique index idx_auth_configs_singleton on auth.config ((1));

create trigger update_config_updated_at
    before update on auth.config
    for each row execute function system.update_updated_at();

-- Built-in OAuth providers.
create table auth.oauth_configs (
    id uuid not null default gen_random_uuid(),
    provider text not null,
    client_id text,
    secret_id uuid,
    scopes text[],
    redirect_uri text,
    use_shared_key boolean default false,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    native_client_ids text[] not null default '{}',
    constraint _oauth_configs_pkey primary key (id),
    constraint _oauth_configs_provider_key unique (provider),
    constraint oauth_configs_secret_id_fkey
        foreign key (secret_id) references system.secrets (id) on delete restrict
);

create index idx_oauth_configs_provider on auth.oauth_configs (provider);

create trigger update_oauth_configs_updated_at
    before update on auth.oauth_configs
    for each row execute function system.update_updated_at();

grant insert, update, delete on auth.oauth_configs to project_admin;

-- OpenID Connect providers that the project adds.
create table auth.custom_oauth_configs (
    id uuid not null default gen_random_uuid(),
    key text not null,
    name text not null,
    discovery_endpoint text not null,
    client_id text not null,
    secret_id uuid not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint custom_oauth_configs_pkey primary key (id),
    constraint custom_oauth_configs_key_key unique (key),
    constraint custom_oauth_configs_secret_id_fkey
        foreign key (secret_id) references system.secrets (id) on delete restrict,
    constraint custom_oauth_configs_key_format_check check (key ~ '^[a-z0-9_-]+$')
);

create trigger update_custom_oauth_configs_updated_at
    before update on auth.custom_oauth_configs
    for each row execute function system.update_updated_at();

grant insert, update, delete on auth.custom_oauth_configs to project_admin;

-- Codes and links sent by mail: one live challenge per address and purpose.
create table auth.email_otps (
    id uuid not null default gen_random_uuid(),
    email text not null,
    purpose text not null,
    otp_hash text not null,
    expires_at timestamptz not null,
    consumed_at timestamptz,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    redirect_to text,
    attempts_count integer not null default 0,
    -- NUMERIC_CODE (bcrypt) or HASH_TOKEN (SHA-256).
    otp_type text not null default 'NUMERIC_CODE',
    constraint _email_otps_pkey primary key (id),
    constraint _email_otps_email_purpose_key unique (email, purpose)
);

create index idx_email_otps_email_purpose on auth.email_otps (email, purpose);
create index idx_email_otps_expires_at on auth.email_otps (expires_at);
create index idx_email_otps_otp_hash on auth.email_otps (otp_hash);

create trigger update_email_otps_updated_at
    before update on auth.email_otps
    for each row execute function system.update_updated_at();

grant insert, update, delete on auth.email_otps to project_admin;

-- Sessions. `user_id` is null for administrators, who have no account; `subject` names them.
create table auth.sessions (
    id uuid not null default gen_random_uuid(),
    user_id uuid,
    subject text not null,
    session_type text not null,
    -- Part of every refresh token of the session and of its CSRF value.
    csrf_nonce text not null,
    created_at timestamptz not null default now(),
    last_refreshed_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    constraint sessions_pkey primary key (id),
    constraint sessions_user_id_fkey
        foreign key (user_id) references auth.users (id) on delete cascade,
    constraint sessions_session_type_check check (session_type in ('user', 'admin'))
);

create index idx_sessions_user_id on auth.sessions (user_id) where user_id is not null;
create index idx_sessions_subject on auth.sessions (subject);
create index idx_sessions_expires_at on auth.sessions (expires_at);

-- Refresh tokens of a session. A token that comes a second time, and not just because two tabs
-- refreshed at once, was stolen: `used_at` and `replaced_by` show it.
create table auth.refresh_tokens (
    id uuid not null default gen_random_uuid(),
    session_id uuid not null,
    issued_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    replaced_by uuid,
    constraint refresh_tokens_pkey primary key (id),
    constraint refresh_tokens_session_id_fkey
        foreign key (session_id) references auth.sessions (id) on delete cascade
);

create index idx_refresh_tokens_session_id on auth.refresh_tokens (session_id);
create index idx_refresh_tokens_expires_at on auth.refresh_tokens (expires_at);

-- Nobody but the services needs to see these.
revoke all on auth.sessions, auth.refresh_tokens from project_admin;
