-- `functions`: edge functions and their deployments. `email`: how mail is sent, and its texts.

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

create trigger update_definitions_updated_at
    before update on functions.definitions
    for each row execute function system.update_updated_at();

-- The id is the provider's.
create table functions.deployments (
    id text not null,
    project_id text not null,
    status text not null default 'pending',
    url text,
    function_count integer,
    functions jsonb,
    error_message text,
    build_logs jsonb,
    created_at timestamptz default now(),
    constraint deployments_pkey primary key (id)
);

create index idx_function_deployments_created on functions.deployments (created_at desc);
create index idx_function_deployments_status on functions.deployments (status);

create table email.config (
    id uuid not null default gen_random_uuid(),
    enabled boolean not null default false,
    host text not null default '',
    port integer not null default 465,
    username text not null default '',
    password_encrypted text not null default '',
    sender_email text not null default '',
    sender_name text not null default '',
    -- Shortest pause between two mails to one recipient.
    min_interval_seconds integer not null default 60,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint config_pkey primary key (id)
);

create unique index email_config_singleton_idx on email.config ((1));

insert into email.config default values;

create table email.templates (
    id uuid not null default gen_random_uuid(),
    template_type text not null,
    subject text not null,
    body_html text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint templates_pkey primary key (id),
    constraint email_templates_type_unique unique (template_type)
);

grant insert, update, delete on email.templates to project_admin;

-- Placeholders: `{{ token }}` or `{{ link }}`, and in every template `{{ name }}`, `{{ email }}`.
insert into email.templates (template_type, subject, body_html) values
(
    'email-verification-code',
    'Your verification code',
    '<p>Hello {{ name }},</p>
<p>enter this code to verify your email address:</p>
<p style="font-size:28px;letter-spacing:6px"><strong>{{ token }}</strong></p>
<p>It is valid for 15 minutes. If you did not ask for it, ignore this mail.</p>'
),
(
    'email-verification-link',
    'Verify your email address',
    '<p>Hello {{ name }},</p>
<p><a href="{{ link }}">Verify your email address</a></p>
<p>The link is valid for 24 hours. If you did not ask for it, ignore this mail.</p>'
),
(
    'reset-password-code',
    'Your code to reset the password',
    '<p>Hello {{ name }},</p>
<p>enter this code to set a new password:</p>
<p style="font-size:28px;letter-spacing:6px"><strong>{{ token }}</strong></p>
<p>It is valid for 15 minutes. If you did not ask for it, ignore this mail; your password stays as it is.</p>'
),
(
    'reset-password-link',
    'Reset your password',
    '<p>Hello {{ name }},</p>
<p><a href="{{ link }}">Set a new password</a></p>
<p>The link is valid for 24 hours. If you did not ask for it, ignore this mail; your password stays as it is.</p>'
),
(
    'request-otp',
    '{{ token }} is your sign-in code',
    '<p>Hello {{ name }},</p>
<p>enter this code to sign in:</p>
<p style="font-size:28px;letter-spacing:6px"><strong>{{ token }}</strong></p>
<p>It is valid for 5 minutes. If you did not ask for it, ignore this mail.</p>'
);
