-- `system`: settings, secrets, audit trail and ledgers of the platform itself.

-- Before-update row trigger of every table that has `updated_at` kept by the database.
create function system.update_updated_at() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    new.updated_at := now();
    return new;
end
$$;

grant execute on function system.update_updated_at() to project_admin;

-- Settings of the platform that belong to the database and not to a process.
create table system.config (
    key text not null,
    value jsonb not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint config_pkey primary key (key)
);

create trigger update_system_config_updated_at
    before update on system.config
    for each row execute function system.update_updated_at();

-- One row: which project the database belongs to. It is written when the project's login roles
-- are prepared, and a second project is refused: two projects in one database would share users.
create table system.metadata (
    id boolean not null default true,
    project text,
    created_at timestamptz not null default now(),
    constraint metadata_pkey primary key (id),
    constraint metadata_id_check check (id)
);

insert into system.metadata default values;

revoke insert, update, delete on system.metadata from ingot_service;

-- Encrypted secrets, among them the project's own keys.
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
    constraint _secrets_pkey primary key (id),
    constraint _secrets_name_key unique (key)
);

create index idx_secrets_name on system.secrets (key);

create trigger update_secrets_updated_at
    before update on system.secrets
    for each row execute function system.update_updated_at();

-- Who did what.
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

create index idx_audit_logs_actor on system.audit_logs (actor);
create index idx_audit_logs_created_at on system.audit_logs (created_at desc);
create index idx_audit_logs_module on system.audit_logs (module);

create trigger update_audit_logs_updated_at
    before update on system.audit_logs
    for each row execute function system.update_updated_at();

-- Calls of the tools that coding assistants use.
create table system.mcp_usage (
    id uuid not null default gen_random_uuid(),
    tool_name varchar(255) not null,
    success boolean default true,
    created_at timestamptz default current_timestamp,
    constraint _mcp_usage_pkey primary key (id)
);

create index idx_mcp_usage_created_at on system.mcp_usage (created_at desc);

-- Migrations that the project's developers applied over the API.
create table system.custom_migrations (
    version text not null,
    name text not null,
    statements text[] not null,
    created_at timestamptz not null default now(),
    constraint custom_migrations_pkey primary key (version),
    constraint custom_migrations_version_check check (version ~ '^[0-9]{1,64}$')
);

-- A migration and its ledger row commit together, and the migration runs as the administrator,
-- who may not write here: hence this function. Forging a row hurts only the forger's project.
create function system.record_custom_migration(
    p_version text,
    p_name text,
    p_statements text[]
) returns timestamptz
    language sql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    insert into system.custom_migrations (version, name, statements)
    values (p_version, p_name, p_statements)
    returning created_at
$$;

revoke execute on function system.record_custom_migration(text, text, text[]) from public;
grant execute on function system.record_custom_migration(text, text, text[]) to project_admin;

-- Findings of the advisor.
create table system.advisor_scans (
    id uuid not null default gen_random_uuid(),
    status text not null,
    scan_type text not null default 'manual',
    scanned_at timestamptz not null default now(),
    error_message text,
    constraint advisor_scans_pkey primary key (id),
    constraint advisor_scans_scan_type_check check (scan_type in ('manual', 'scheduled')),
    constraint advisor_scans_status_check check (status in ('running', 'completed', 'failed'))
);

create index idx_advisor_scans_scanned_at on system.advisor_scans (scanned_at desc);
create index idx_advisor_scans_status on system.advisor_scans (status);

create table system.advisor_findings (
    id uuid not null default gen_random_uuid(),
    scan_id uuid not null,
    rule_id text not null,
    severity text not null,
    category text not null,
    title text not null,
    description text not null,
    affected_object text,
    recommendation text,
    created_at timestamptz not null default now(),
    constraint advisor_findings_pkey primary key (id),
    constraint advisor_findings_scan_id_fkey
        foreign key (scan_id) references system.advisor_scans (id) on delete cascade,
    constraint advisor_findings_category_check
        check (category in ('security', 'performance', 'health')),
    constraint advisor_findings_severity_check
        check (severity in ('critical', 'warning', 'info'))
);

create index idx_advisor_findings_scan_id on system.advisor_findings (scan_id);

create table system.advisor_suppressions (
    id uuid not null default gen_random_uuid(),
    rule_id text not null,
    affected_object text,
    scope text not null default 'instance',
    reason text not null,
    note text,
    created_by text,
    created_at timestamptz not null default now(),
    constraint advisor_suppressions_pkey primary key (id),
    constraint advisor_suppressions_reason_check
        check (reason in ('false_positive', 'accepted_risk', 'wont_fix', 'other')),
    constraint advisor_suppressions_scope_check check (scope in ('instance', 'rule')),
    constraint advisor_suppressions_scope_object_ck check (
        (scope = 'rule' and affected_object is null)
        or (scope = 'instance' and affected_object is not null)
    )
);

create unique index idx_advisor_suppressions_fingerprint
    on system.advisor_suppressions (rule_id, coalesce(affected_object, ''));

-- Backups and their schedule.
create table system.database_backups (
    id uuid not null default gen_random_uuid(),
    name text,
    trigger_source text not null default 'manual',
    status text not null default 'running',
    storage_key text,
    size_bytes bigint,
    error_message text,
    created_by text,
    completed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint database_backups_pkey primary key (id),
    constraint database_backups_status_check check (status in ('running', 'completed', 'failed')),
    constraint database_backups_trigger_source_check
        check (trigger_source in ('manual', 'scheduled'))
);

create unique index idx_database_backups_name
    on system.database_backups (name) where name is not null;
create index idx_database_backups_status on system.database_backups (status);
create index idx_database_backups_trigger_source_created_at
    on system.database_backups (trigger_source, created_at desc);

create trigger update_database_backups_updated_at
    before update on system.database_backups
    for each row execute function system.update_updated_at();

create table system.database_config (
    id uuid not null default gen_random_uuid(),
    backup_enabled boolean not null default false,
    backup_cron_schedule text not null default '0 0 * * *',
    backup_retention_days integer default 7,
    backup_schedule_anchor timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint database_config_pkey primary key (id),
    constraint database_config_backup_retention_days_check
        check (backup_retention_days is null or backup_retention_days > 0)
);

create unique index idx_database_config_singleton on system.database_config ((1));

create trigger update_database_config_updated_at
    before update on system.database_config
    for each row execute function system.update_updated_at();

insert into system.database_config default values;
