-- What a database of the InsForge server has after its step 018, as the contract describes it, and
-- what a project then put into it. Accounts carry row level security and a policy of their own.
do $$
declare
    name text;
begin
    foreach name in array array['anon', 'authenticated', 'project_admin'] loop
        if not exists (select from pg_roles where rolname = name) then
            execute format('create role %I nologin', name);
        end if;
    end loop;
end
$$;
grant usage on schema public to anon, authenticated, project_admin;

create schema system;
create schema auth;
create schema ai;
create schema storage;
create schema functions;
create schema realtime;
grant usage on schema auth to public;

create table system.migrations (id serial primary key, name varchar(255) not null, run_on timestamp not null);
create function system.update_updated_at() returns trigger language plpgsql as
    $$ begin new.updated_at = now(); return new; end $$;
create function system.reload_postgrest_schema() returns void language plpgsql as
    $$ begin notify pgrst, 'reload schema'; end $$;

create table system.secrets (
    id uuid not null default gen_random_uuid(),
    key text not null,
    value_ciphertext text not null,
    is_active boolean default true,
    last_used_at timestamptz,
    expires_at timestamptz,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    is_reserved boolean default false,
    constraint _secrets_pkey primary key (id)
);
create index idx_secrets_name on system.secrets (key);
create trigger update_secrets_updated_at before update on system.secrets
    for each row execute function system.update_updated_at();
create table system.audit_logs (
    id uuid not null default gen_random_uuid(),
    actor text not null,
    action text not null,
    module text not null,
    details jsonb,
    ip_address inet,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint _audit_logs_pkey primary key (id)
);
create table system.mcp_usage (
    id uuid not null default gen_random_uuid(),
    tool_name varchar(255) not null,
    success boolean default true,
    created_at timestamptz default current_timestamp,
    constraint _mcp_usage_pkey primary key (id)
);

create function auth.uid() returns uuid language sql stable as
    $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
create function auth.role() returns text language sql stable as
    $$ select nullif(current_setting('request.jwt.claim.role', true), '') $$;
create function auth.email() returns text language sql stable as
    $$ select nullif(current_setting('request.jwt.claim.email', true), '') $$;
create table auth.users (
    id uuid not null default gen_random_uuid(),
    email text not null,
    password text,
    email_verified boolean default false,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    profile jsonb default '{}',
    metadata jsonb default '{}',
    constraint _user_pkey primary key (id),
    constraint _user_email_key unique (email)
);
alter table auth.users enable row level security;
create policy "own profile" on auth.users for update to authenticated using (id = auth.uid());
grant select, insert, update, delete on auth.users to project_admin;
grant select (id, profile), update (profile) on auth.users to authenticated;
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
    constraint _account_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
    constraint user_providers_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);
create table auth.configs (
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
    sign_in_redirect_to text,
    constraint _auth_configs_pkey primary key (id)
);
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
    constraint _oauth_configs_pkey primary key (id),
    constraint _oauth_configs_provider_key unique (provider)
);
create table auth.email_otps (
    id uuid not null default gen_random_uuid(),
    email text not null,
    purpose text not null,
    otp_hash text not null,
    expires_at timestamptz not null,
    consumed_at timestamptz,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint _email_otps_pkey primary key (id),
    constraint _email_otps_email_purpose_key unique (email, purpose)
);

create table functions.definitions (
    id uuid not null default gen_random_uuid(),
    slug varchar(255) not null,
    name varchar(255) not null,
    description text,
    code text not null,
    status varchar(50) default 'draft',
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    deployed_at timestamptz,
    constraint _edge_functions_pkey primary key (id),
    constraint _edge_functions_slug_key unique (slug)
);

create table storage.buckets (
    name text not null,
    public boolean default true,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint _storage_buckets_pkey primary key (name)
);
create table storage.objects (
    bucket text not null,
    key text not null,
    size integer not null,
    mime_type text,
    uploaded_at timestamptz default now(),
    uploaded_by uuid,
    constraint _storage_pkey primary key (bucket, key),
    constraint objects_bucket_fkey foreign key (bucket) references storage.buckets (name) on delete cascade,
    constraint objects_uploaded_by_fkey foreign key (uploaded_by) references auth.users (id)
);
grant select, insert, update, delete on storage.buckets, storage.objects to authenticated;

create table realtime.channels (
    id uuid not null default gen_random_uuid(),
    pattern text not null,
    description text,
    webhook_urls text[],
    enabled boolean not null default true,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint channels_pkey primary key (id),
    constraint channels_pattern_key unique (pattern)
);
create table realtime.messages (
    id uuid not null default gen_random_uuid(),
    event_name text not null,
    channel_id uuid,
    channel_name text not null,
    payload jsonb not null default '{}',
    sender_type text not null default 'system',
    sender_id uuid,
    ws_audience_count integer not null default 0,
    wh_audience_count integer not null default 0,
    wh_delivered_count integer not null default 0,
    created_at timestamptz default now(),
    constraint messages_pkey primary key (id),
    constraint messages_channel_id_fkey
        foreign key (channel_id) references realtime.channels (id) on delete set null
);
create function realtime.notify_on_message_insert() returns trigger language plpgsql as
    $$ begin perform pg_notify('realtime_message', new.id::text); return new; end $$;
create trigger trg_message_notify after insert on realtime.messages
    for each row execute function realtime.notify_on_message_insert();
create function realtime.channel_name() returns text language sql stable as
    $$ select current_setting('realtime.channel_name', true) $$;
create function realtime.publish(p_channel_name text, p_event_name text, p_payload jsonb) returns uuid
    language plpgsql security definer as $$ begin return null; end $$;

-- Gives tables their policy for administrators, as long as these see rows by policies only.
create function system.create_default_policies() returns event_trigger language plpgsql as
    $$ begin return; end $$;
create event trigger create_policies_on_table_create on ddl_command_end when tag in ('CREATE TABLE')
    execute function system.create_default_policies();

-- The project's own.
insert into auth.users (id, email, password, profile) values
    ('00000000-0000-0000-0000-000000000001', 'ada@example.com', '$2b$10$abc', '{"name": "Ada"}'),
    ('00000000-0000-0000-0000-000000000002', 'Grace@example.com', null, '{}');
insert into auth.user_providers (user_id, provider, provider_account_id)
    values ('00000000-0000-0000-0000-000000000002', 'github', '42');
insert into auth.configs (password_min_length) values (10);
insert into auth.email_otps (email, purpose, otp_hash, expires_at) values
    ('ada@example.com', 'verify', '$2b$10$abc', now()), ('ada@example.com', 'reset', 'abcdef', now());
insert into functions.definitions (slug, name, code) values ('hello', 'Hello', 'export default 1');
insert into storage.buckets (name) values ('photos');
insert into storage.objects (bucket, key, size, uploaded_by)
    values ('photos', 'Ä.png', 7, '00000000-0000-0000-0000-000000000001'), ('photos', 'a.png', 8, null);
insert into realtime.channels (id, pattern) values ('00000000-0000-0000-0000-000000000003', 'room:%');
insert into realtime.messages (event_name, channel_id, channel_name)
    select 'said', '00000000-0000-0000-0000-000000000003', 'room:1' from generate_series(1, 3);
insert into system.audit_logs (actor, action, module) values ('ada', 'LOOKED', 'AUTH');

create table public.notes (
    id bigint generated always as identity primary key,
    owner uuid default auth.uid() references auth.users (id) on delete cascade,
    text text
);
alter table public.notes enable row level security;
create policy mine on public.notes to authenticated using (owner = auth.uid());
create policy project_admin_policy on public.notes to project_admin using (true) with check (true);
create trigger touched before update on public.notes
    for each row execute function system.update_updated_at();
insert into public.notes (owner, text) values ('00000000-0000-0000-0000-000000000001', 'first');
create type public.mood as enum ('good', 'bad');
create view public.note_count as select count(*) from public.notes;
create function public.as_the_owner() returns text language sql security definer as
    $$ select string_agg(value_ciphertext, ',') from system.secrets $$;
create function public.greet() returns trigger language plpgsql security definer as
    $$ begin insert into public.notes (owner, text) values (new.id, 'welcome'); return new; end $$;
create trigger welcome after insert on auth.users for each row execute function public.greet();
