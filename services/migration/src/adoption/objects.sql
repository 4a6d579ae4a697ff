-- Kind and name, quoted, of each object outside of the platforms' schemas that is not
-- project_admin's: schemas first, for their new owner must be able to use them.
with project_schema as (
    select n.*
    from pg_catalog.pg_namespace as n
    where n.nspname not like 'pg\_%'
        and n.nspname not in (
            'information_schema', 'ai', 'auth', 'compute', 'cron', 'deployments', 'email',
            'functions', 'ingot_adoption', 'memory', 'payments', 'realtime', 'schedules', 'storage',
            'system'
        )
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
                and d.objid = n.oid and d.deptype = 'e'
        )
),
object (place, kind, name, owner, class, id) as (
    select 1, 'schema', pg_catalog.quote_ident(nspname), nspowner,
        'pg_catalog.pg_namespace'::pg_catalog.regclass, oid
    from project_schema
    where nspname <> 'public'
    union all
    select 2,
        case c.relkind when 'v' then 'view' when 'm' then 'materialized view'
            when 'f' then 'foreign table' when 'S' then 'sequence' else 'table' end,
        c.oid::pg_catalog.regclass::text, c.relowner,
        'pg_catalog.pg_class'::pg_catalog.regclass, c.oid
    from pg_catalog.pg_class as c
    join project_schema as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        -- A sequence that belongs to a column goes with its table.
        and not exists (
            select from pg_catalog.pg_depend as d
            where c.relkind = 'S' and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                and d.objid = c.oid and d.deptype in ('a', 'i')
        )
    union all
    select 3, case p.prokind when 'a' then 'aggregate' else 'routine' end,
        p.oid::pg_catalog.regprocedure::text, p.proowner,
        'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid
    from pg_catalog.pg_proc as p
    join project_schema as n on n.oid = p.pronamespace
    union all
    select 4, case t.typtype when 'd' then 'domain' else 'type' end,
        pg_catalog.format_type(t.oid, null), t.typowner,
        'pg_catalog.pg_type'::pg_catalog.regclass, t.oid
    from pg_catalog.pg_type as t
    join project_schema as n on n.oid = t.typnamespace
    -- Row types and arrays go with what they belong to.
    where t.typtype in ('d', 'e', 'r')
        or t.typtype = 'c' and exists (
            select from pg_catalog.pg_class as c
            where c.oid = t.typrelid and c.relkind = 'c'
        )
)
select kind, name
from object
where owner <> 'project_admin'::pg_catalog.regrole
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = object.class and d.objid = object.id and d.deptype = 'e'
    )
order by place, name
