-- Everything about the platform's schemas that services and administrators depend on, a line each.
-- $1: tables of the platform.
with platform_table as (
    select c.oid, c.relowner, c.relacl, c.oid::regclass::text as name, c.relrowsecurity
    from pg_class as c
    where c.oid in (select to_regclass(name) from unnest($1::text[]) as name)
)
select concat_ws(' ', 'table', name, relowner::regrole) from platform_table
union all
select concat_ws(' ', 'grant', name, case grantee when 0 then 'public' else grantee::regrole::text end,
    privilege_type)
from platform_table, aclexplode(relacl)
union all
select concat_ws(' ', 'grant', t.name, a.attname, grantee::regrole, privilege_type)
from platform_table as t join pg_attribute as a on a.attrelid = t.oid, aclexplode(a.attacl)
union all
select concat_ws(' ', 'column', t.name, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    a.attidentity, a.attgenerated, a.attcollation::regcollation, pg_get_expr(d.adbin, d.adrelid))
from platform_table as t
join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef as d on d.adrelid = t.oid and d.adnum = a.attnum
union all
select concat_ws(' ', 'constraint', t.name, c.conname, pg_get_constraintdef(c.oid))
from platform_table as t
-- What may not be null is told with the columns; PostgreSQL 18 has constraints for it, too.
join pg_constraint as c on c.conrelid = t.oid and c.contype <> 'n'
union all
select concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid))
from platform_table as t join pg_index as i on i.indrelid = t.oid
union all
select concat_ws(' ', 'trigger', pg_get_triggerdef(g.oid))
from platform_table as t join pg_trigger as g on g.tgrelid = t.oid and not g.tgisinternal
union all
select concat_ws(' ', 'event trigger', evtname, evtevent, evtfoid::regproc, evtenabled)
from pg_event_trigger
union all
select concat_ws(' ', 'function', p.oid::regprocedure, p.proowner::regrole,
    (
        select string_agg(concat_ws('=', grantee, privilege_type), ',' order by grantee)
        from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner)))
    ), p.prosecdef,
    p.provolatile, p.proconfig, md5(pg_get_functiondef(p.oid)))
from pg_proc as p
where p.pronamespace::regnamespace::text in
    ('auth', 'system', 'realtime', 'storage', 'functions', 'email', 'compute', 'deployments', 'memory',
        'payments', 'schedules')
union all
select concat_ws(' ', 'schema', n.nspname, grantee, privilege_type)
from pg_namespace as n, aclexplode(n.nspacl)
where n.nspname in ('auth', 'system', 'realtime', 'storage', 'functions', 'email', 'compute', 'deployments',
    'memory', 'payments', 'schedules')
order by 1
