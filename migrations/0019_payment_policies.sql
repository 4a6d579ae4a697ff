-- What end users and administrators may do about payments.

grant select, insert
    on payments.stripe_checkout_sessions, payments.stripe_customer_portal_sessions,
        payments.razorpay_orders
    to anon, authenticated;
-- The API tries a change of `updated_at`, undone at once, to learn what a policy says.
grant select, insert, update (updated_at) on payments.razorpay_subscriptions to authenticated;

grant insert, trigger
    on payments.stripe_checkout_sessions, payments.stripe_customer_portal_sessions
    to project_admin;
grant insert, update on payments.razorpay_orders, payments.razorpay_subscriptions to project_admin;
grant trigger on payments.customers, payments.webhook_events to project_admin;

-- A project's trigger runs with the rights of whoever changes the table: services may not. The
-- sessions have triggers of the project, too, but services share their ownership for the policies:
-- there it is a rule of theirs (see README.md).
revoke insert, update, delete on payments.customers, payments.webhook_events from ingot_service;

create or replace function system.guard_platform_rows() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    if current_user = 'project_admin' or current_setting('role') = 'ingot_row_security' then
        raise exception using
            errcode = 'insufficient_privilege',
            message = format('permission denied to %s rows of %s.%s', lower(tg_op),
                tg_table_schema, tg_table_name),
            hint = 'They are written through the API.';
    end if;
    return null;
end
$$;

create trigger guard_rows before update or delete or truncate on payments.stripe_checkout_sessions
    for each statement execute function system.guard_platform_rows();
create trigger guard_rows before update or delete or truncate
    on payments.stripe_customer_portal_sessions
    for each statement execute function system.guard_platform_rows();
create trigger guard_rows before delete or truncate on payments.razorpay_orders
    for each statement execute function system.guard_platform_rows();
create trigger guard_rows before delete or truncate on payments.razorpay_subscriptions
    for each statement execute function system.guard_platform_rows();

-- Their policies are the project's, as those of channels, messages and objects are (step 8).
grant usage, create on schema payments to ingot_row_security;

alter table payments.stripe_checkout_sessions owner to ingot_row_security;
alter table payments.stripe_customer_portal_sessions owner to ingot_row_security;
alter table payments.razorpay_orders owner to ingot_row_security;
alter table payments.razorpay_subscriptions owner to ingot_row_security;

revoke create on schema payments from ingot_row_security;

-- The tables whose shape is kept (step 9).
create or replace function system.platform_tables() returns setof oid
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select to_regclass(name)::oid
    from unnest(array[
        'realtime.channels', 'realtime.messages', 'storage.objects', 'auth.users',
        'payments.stripe_checkout_sessions', 'payments.stripe_customer_portal_sessions',
        'payments.razorpay_orders', 'payments.razorpay_subscriptions'
    ]) as name
    where to_regclass(name) is not null
$$;

-- As in step 9, with more tables. Triggers are the project's on the accounts and on the sessions.
create or replace function system.platform_tables_shape() returns text
    language plpgsql
    stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        with platform_table as (
            select
                c.*,
                c.oid = to_regclass('auth.users') as is_accounts,
                c.oid in (
                    to_regclass('payments.stripe_checkout_sessions'),
                    to_regclass('payments.stripe_customer_portal_sessions')
                ) as has_own_triggers
            from pg_class as c
            where c.oid in (select system.platform_tables())
        ),
        owner (oid) as (
            values (to_regrole('ingot_row_security')::oid), (to_regrole('ingot_accounts')::oid)
        ),
        part (description) as (
            select concat_ws(' ', 'table', oid::regclass, relkind, relowner::regrole, relacl,
                reloptions, relpersistence, reltablespace, relreplident, relforcerowsecurity,
                relispartition, relrowsecurity and is_accounts)
            from platform_table
            union all
            select concat_ws(' ', 'column', t.oid::regclass, a.attnum, a.attname,
                format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attisdropped,
                a.attcollation::regcollation, a.attstorage, a.attidentity, a.attgenerated, a.attacl,
                pg_get_expr(d.adbin, d.adrelid))
            from pg_attribute as a
            join platform_table as t on t.oid = a.attrelid
            left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
            where a.attnum > 0
            union all
            select concat_ws(' ', 'constraint', t.oid::regclass, c.conname, pg_get_constraintdef(c.oid))
            from pg_constraint as c
            join platform_table as t on t.oid = c.conrelid
            union all
            select concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid))
            from pg_index as i
            join platform_table as t on t.oid = i.indrelid
            where i.indisvalid
            union all
            select concat_ws(' ', 'trigger', g.tgenabled, pg_get_triggerdef(g.oid))
            from pg_trigger as g
            join platform_table as t on t.oid = g.tgrelid
            where not t.is_accounts and not g.tgisinternal
                -- The platform's own are kept by their names.
                and (
                    not t.has_own_triggers
                    or g.tgname = 'guard_rows'
                    or g.tgname = 'trg_payments_' || t.relname || '_updated_at'
                )
            union all
            select concat_ws(' ', 'policy', p.polname)
            from pg_policy as p
            join platform_table as t on t.oid = p.polrelid
            where t.is_accounts
            union all
            select concat_ws(' ', 'rule', r.ev_enabled, pg_get_ruledef(r.oid))
            from pg_rewrite as r
            join platform_table as t on t.oid = r.ev_class
            union all
            select concat_ws(' ', 'inheritance', i.inhrelid::regclass, i.inhparent::regclass)
            from pg_inherits as i
            where i.inhrelid in (select oid from platform_table)
                or i.inhparent in (select oid from platform_table)
            union all
            select concat_ws(' ', 'publication', t.oid::regclass, p.prpubid)
            from pg_publication_rel as p
            join platform_table as t on t.oid = p.prrelid
            union all
            select concat_ws(' ', 'statistics', t.oid::regclass, s.stxname)
            from pg_statistic_ext as s
            join platform_table as t on t.oid = s.stxrelid
            union all
            -- Whoever could make an object theirs could run code as them.
            select concat_ws(' ', 'owned', pg_describe_object(d.classid, d.objid, 0))
            from pg_shdepend as d
            join pg_database as b on b.oid = d.dbid and b.datname = current_database()
            where d.deptype = 'o' and d.refclassid = 'pg_authid'::regclass
                and d.refobjid in (select oid from owner)
                and d.classid <> 'pg_policy'::regclass
            union all
            select concat_ws(' ', 'function', p.oid::regprocedure, p.proacl, p.prosecdef, p.proconfig,
                p.prosrc)
            from pg_proc as p
            where p.proowner in (select oid from owner)
        )
        select md5(string_agg(description, E'\n' order by description))
        from part
    );
end
$$;

-- As in step 9: only accounts and objects may be referred to.
create or replace function system.has_unsafe_reference(p_table oid) returns boolean
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select
        from pg_constraint as c
        where c.contype = 'f' and c.conrelid = p_table
            and c.confrelid in (select system.platform_tables())
            and c.conrelid not in (select system.platform_tables())
            and (
                c.confrelid not in (to_regclass('auth.users'), to_regclass('storage.objects'))
                or exists (
                    select
                    from pg_attribute as a
                    join pg_type as t on t.oid = a.atttypid
                    left join pg_type as base on t.typtype = 'd' and base.oid = t.typbasetype
                    where a.attrelid = c.conrelid and a.attnum = any (c.conkey)
                        and coalesce(base.typnamespace, t.typnamespace)
                            <> 'pg_catalog'::regnamespace
                )
            )
    )
$$;

create or replace function system.guard_platform_tables() returns event_trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if system.session_is_owner() then
        perform system.note_platform_shape();
        return;
    end if;
    -- The commands of an extension's script: the one that runs the script is judged at its end.
    if (select bool_and(in_extension) from pg_event_trigger_ddl_commands()) then
        return;
    end if;
    if (select platform_shape from system.metadata)
        is distinct from system.platform_tables_shape()
    then
        raise exception using
            errcode = 'insufficient_privilege',
            message = format('%s would change a table of the platform', tg_tag),
            hint = 'On realtime.channels, realtime.messages, storage.objects and the sessions, orders'
                ' and subscriptions of payments only policies and ENABLE or DISABLE ROW LEVEL SECURITY'
                ' are yours to define, on auth.users only triggers, on the sessions both.';
    end if;
    if tg_tag in ('CREATE TABLE', 'ALTER TABLE', 'CREATE SCHEMA') and exists (
        select
        from pg_event_trigger_ddl_commands() as command
        where command.classid = 'pg_class'::regclass
            and system.has_unsafe_reference(command.objid)
    ) then
        raise exception using
            errcode = 'insufficient_privilege',
            message = 'a foreign key cannot refer to this table of the platform in this way',
            hint = 'Refer to auth.users or storage.objects, with columns of the same types as'
                ' theirs; keep the ids of channels and messages without a constraint.';
    end if;
    if tg_tag in ('CREATE EXTENSION', 'ALTER EXTENSION') and exists (
        select
        from pg_event_trigger_ddl_commands() as command
        join pg_extension as e on command.classid = 'pg_extension'::regclass and e.oid = command.objid
        join pg_namespace as n on n.oid = e.extnamespace
        where n.nspname in (
            'pg_catalog', 'information_schema', 'auth', 'system', 'realtime', 'storage',
            'functions', 'email', 'compute', 'deployments', 'memory', 'payments', 'schedules'
        )
    ) then
        raise exception using
            errcode = 'insufficient_privilege',
            message = 'an extension cannot be put into a schema of the platform',
            hint = 'Put it into public or a schema of your own: CREATE EXTENSION ... SCHEMA ...';
    end if;
end
$$;

select system.note_platform_shape();
