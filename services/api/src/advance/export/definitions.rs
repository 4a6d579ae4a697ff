//! Queries on the catalogue that write definitions, as SQL statements or as JSON.
//!
//! `$1` is a table as SQL (`public.notes`) where there is one. The statements are such that a dump
//! can be imported into an empty database and into one that has the same objects already.

/// `$1`: names, or an empty array for all. A partition comes with its parent unless it is named.
pub(super) const TABLES: &str = "
select coalesce(c.relname::text, wanted.name) as name,
    format('public.%I', coalesce(c.relname::text, wanted.name)) as quoted,
    c.oid is not null as exists
from unnest($1::text[]) with ordinality as wanted (name, place)
left join pg_catalog.pg_class c on c.relname = wanted.name
    and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
where cardinality($1::text[]) > 0
union all
select relname::text, format('public.%I', relname), true
from (
    select relname from pg_catalog.pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
        and cardinality($1::text[]) = 0
    order by relname
) as every";

/// The columns as a `Column`.
pub(super) const COLUMNS: &str = "
select a.attname::text as name,
    case when t.typtype = 'd' then t.typbasetype else t.oid end as type_oid,
    a.attidentity = 'a' as always_identity, a.attgenerated <> '' as computed
from pg_catalog.pg_attribute a
join pg_catalog.pg_type t on t.oid = a.atttypid
where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped
order by a.attnum";

/// Enumerations, composite types and domains of `public`, in the order of their making.
pub(super) const TYPES: &str = "
select format(E'DO $ingot$ BEGIN\\n    CREATE %s;\\nEXCEPTION WHEN duplicate_object THEN NULL;\\nEND $ingot$;',
    case t.typtype
        when 'e' then format('TYPE public.%I AS ENUM (%s)', t.typname,
            (select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder)
             from pg_catalog.pg_enum where enumtypid = t.oid))
        when 'c' then format('TYPE public.%I AS (%s)', t.typname,
            (select string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', '
                 order by attnum)
             from pg_catalog.pg_attribute
             where attrelid = t.typrelid and attnum > 0 and not attisdropped))
        else format('DOMAIN public.%I AS %s%s%s%s', t.typname, format_type(t.typbasetype, t.typtypmod),
            ' DEFAULT ' || t.typdefault, case when t.typnotnull then ' NOT NULL' end,
            (select string_agg(format(' CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)), ''
                 order by conname)
             from pg_catalog.pg_constraint where contypid = t.oid and contype = 'c'))
    end)
from pg_catalog.pg_type t
where t.typnamespace = 'public'::regnamespace and $1 = ''
    and (t.typtype in ('e', 'd') or (t.typtype = 'c' and exists (
        select from pg_catalog.pg_class where oid = t.typrelid and relkind = 'c')))
    and not exists (select from pg_catalog.pg_depend where objid = t.oid and deptype = 'e')
order by t.oid";

/// What would refuse or change rows while they come in, where the table is there already.
pub(super) const CLEARANCE: &str = "
select format('ALTER TABLE IF EXISTS %s DROP CONSTRAINT IF EXISTS %I;', $1, conname)
from pg_catalog.pg_constraint
where conrelid = to_regclass($1) and contype = 'f' and conparentid = 0
union all
select format('DROP TRIGGER IF EXISTS %I ON %s;', tgname, $1)
from pg_catalog.pg_trigger
where tgrelid = to_regclass($1) and not tgisinternal and tgparentid = 0";

/// The sequences that a table's defaults use, before the table.
pub(super) const OWN_SEQUENCES: &str = "
select distinct format('CREATE SEQUENCE IF NOT EXISTS %s AS %s START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s;',
    s.seqrelid::regclass, format_type(s.seqtypid, null), s.seqstart, s.seqincrement, s.seqmin,
    s.seqmax, s.seqcache, case when s.seqcycle then ' CYCLE' else '' end)
from pg_catalog.pg_attrdef d
join pg_catalog.pg_depend on classid = 'pg_catalog.pg_attrdef'::regclass and objid = d.oid
    and refclassid = 'pg_catalog.pg_class'::regclass
join pg_catalog.pg_sequence s on s.seqrelid = refobjid
where d.adrelid = to_regclass($1)";

/// Every sequence of `public` that is no part of an identity column.
pub(super) const SEQUENCES: &str = "
select format('CREATE SEQUENCE IF NOT EXISTS %s AS %s START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s;',
    s.seqrelid::regclass, format_type(s.seqtypid, null), s.seqstart, s.seqincrement, s.seqmin,
    s.seqmax, s.seqcache, case when s.seqcycle then ' CYCLE' else '' end)
from pg_catalog.pg_sequence s
join pg_catalog.pg_class c on c.oid = s.seqrelid
where c.relnamespace = 'public'::regnamespace and $1 = ''
    and not exists (select from pg_catalog.pg_depend where objid = c.oid and deptype in ('i', 'e'))
order by c.relname";

/// Where the sequences stand that belong to a table's columns.
pub(super) const SEQUENCE_VALUES: &str = "
select format('SELECT pg_catalog.setval(%L, %s);', s.oid::regclass, v.last_value)
    || case when d.deptype = 'a'
        then format(E'\\nALTER SEQUENCE %s OWNED BY %s.%I;', s.oid::regclass, $1, a.attname)
        else '' end
from pg_catalog.pg_depend d
join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
join pg_catalog.pg_namespace n on n.oid = s.relnamespace
join pg_catalog.pg_sequences v on v.schemaname = n.nspname and v.sequencename = s.relname
join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where d.refobjid = to_regclass($1) and d.classid = 'pg_catalog.pg_class'::regclass
    and d.deptype in ('a', 'i') and v.last_value is not null
order by s.relname";

/// The table with its columns, keys and checks, and its partitions.
pub(super) const TABLE: &str = "
select format(E'CREATE TABLE IF NOT EXISTS %s (\\n    %s\\n)%s;', $1,
    (select string_agg(part, E',\\n    ' order by kind, place) from (
        select 1 as kind, a.attnum::text::int as place, format('%I %s%s%s%s', a.attname,
            format_type(a.atttypid, a.atttypmod),
            case when a.attcollation <> t.typcollation and a.attcollation <> 0
                then ' COLLATE ' || a.attcollation::regcollation end,
            case when a.attgenerated <> ''
                    then format(' GENERATED ALWAYS AS (%s)%s', pg_get_expr(d.adbin, d.adrelid),
                        case a.attgenerated when 's' then ' STORED' end)
                when a.attidentity = 'a' then ' GENERATED ALWAYS AS IDENTITY'
                when a.attidentity = 'd' then ' GENERATED BY DEFAULT AS IDENTITY'
                else ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) end,
            case when a.attnotnull then ' NOT NULL' end) as part
        from pg_catalog.pg_attribute a
        join pg_catalog.pg_type t on t.oid = a.atttypid
        left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        union all
        select 2, row_number() over (order by contype <> 'p', conname)::int,
            format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid))
        from pg_catalog.pg_constraint where conrelid = c.oid and contype in ('p', 'u', 'c', 'x')
    ) as parts),
    case when c.relkind = 'p' then ' PARTITION BY ' || pg_get_partkeydef(c.oid) end)
from pg_catalog.pg_class c where c.oid = to_regclass($1)
union all
select format('CREATE TABLE IF NOT EXISTS %s PARTITION OF %s %s%s;', p.relid, p.parentrelid,
    pg_get_expr(c.relpartbound, c.oid),
    case when c.relkind = 'p' then ' PARTITION BY ' || pg_get_partkeydef(c.oid) end)
from pg_catalog.pg_partition_tree(to_regclass($1)) p
join pg_catalog.pg_class c on c.oid = p.relid
where p.level > 0";

/// Indexes, foreign keys, policies and triggers, after the rows.
pub(super) const TABLE_EXTRAS: &str = "
with target as (select oid, relrowsecurity, relforcerowsecurity from pg_catalog.pg_class
    where oid = to_regclass($1))
select statement from (
    select 1 as kind, i.relname::text as name, regexp_replace(pg_get_indexdef(i.oid),
        '^CREATE (UNIQUE )?INDEX ', 'CREATE \\1INDEX IF NOT EXISTS ') || ';' as statement
    from target join pg_catalog.pg_index x on x.indrelid = target.oid
    join pg_catalog.pg_class i on i.oid = x.indexrelid
    where not exists (select from pg_catalog.pg_constraint where conindid = i.oid
        and contype in ('p', 'u', 'x'))
    union all
    select 2, conname::text, format('ALTER TABLE %s ADD CONSTRAINT %I %s;', $1, conname,
        pg_get_constraintdef(k.oid))
    from target join pg_catalog.pg_constraint k on k.conrelid = target.oid
    where contype = 'f' and conparentid = 0
    union all
    select 3, '', format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', $1)
    from target where relrowsecurity
    union all
    select 4, '', format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', $1)
    from target where relforcerowsecurity
    union all
    select 5, polname::text, format(E'DROP POLICY IF EXISTS %I ON %s;\\nCREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s;',
        polname, $1, polname, $1, case when polpermissive then 'PERMISSIVE' else 'RESTRICTIVE' end,
        case polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE'
            when 'd' then 'DELETE' else 'ALL' end,
        (select string_agg(case role when 0 then 'PUBLIC' else quote_ident(pg_get_userbyid(role)) end, ', ')
         from unnest(polroles) as role),
        format(' USING (%s)', nullif(pg_get_expr(polqual, polrelid), '')),
        format(' WITH CHECK (%s)', nullif(pg_get_expr(polwithcheck, polrelid), '')))
    from target join pg_catalog.pg_policy on polrelid = target.oid
    union all
    select 6, tgname::text, pg_get_triggerdef(g.oid) || ';'
    from target join pg_catalog.pg_trigger g on tgrelid = target.oid
    where not tgisinternal and tgparentid = 0
) as extras
order by kind, name";

/// Functions and procedures of `public` that need no table of it to be there.
pub(super) const EARLY_FUNCTIONS: &str = "
select pg_get_functiondef(p.oid) || ';'
from pg_catalog.pg_proc p
where p.pronamespace = 'public'::regnamespace and p.prokind in ('f', 'p', 'w') and $1 = ''
    and not exists (select from pg_catalog.pg_depend where objid = p.oid and deptype = 'e')
    and p.prosqlbody is null
    and not exists (
        select from unnest(p.proargtypes::oid[] || p.prorettype || coalesce(p.proallargtypes, '{}')) as used
        join pg_catalog.pg_type t on t.oid = used
        left join pg_catalog.pg_type e on e.oid = t.typelem
        join pg_catalog.pg_class c on c.oid in (t.typrelid, e.typrelid) and c.relkind <> 'c')
order by p.oid";

/// The other ones.
pub(super) const LATE_FUNCTIONS: &str = "
select pg_get_functiondef(p.oid) || ';'
from pg_catalog.pg_proc p
where p.pronamespace = 'public'::regnamespace and p.prokind in ('f', 'p', 'w') and $1 = ''
    and not exists (select from pg_catalog.pg_depend where objid = p.oid and deptype = 'e')
    and (p.prosqlbody is not null or exists (
        select from unnest(p.proargtypes::oid[] || p.prorettype || coalesce(p.proallargtypes, '{}')) as used
        join pg_catalog.pg_type t on t.oid = used
        left join pg_catalog.pg_type e on e.oid = t.typelem
        join pg_catalog.pg_class c on c.oid in (t.typrelid, e.typrelid) and c.relkind <> 'c'))
order by p.oid";

/// Views of `public`, in the order of their making, so that a view comes after those that it uses.
pub(super) const VIEWS: &str = "
select format('CREATE %s public.%I%s AS %s',
    case c.relkind when 'v' then 'OR REPLACE VIEW' else 'MATERIALIZED VIEW IF NOT EXISTS' end,
    c.relname, ' WITH (' || array_to_string(c.reloptions, ', ') || ')', pg_get_viewdef(c.oid))
from pg_catalog.pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('v', 'm') and $1 = ''
    and not exists (select from pg_catalog.pg_depend where objid = c.oid and deptype = 'e')
order by c.oid";

/// A table's definition as JSON, without the closing brace: rows follow.
pub(super) const TABLE_JSON: &str = "
select rtrim(json_build_object(
    'schema', coalesce((
        select json_agg(json_build_object('columnName', column_name, 'dataType', data_type,
            'characterMaximumLength', character_maximum_length, 'isNullable', is_nullable,
            'columnDefault', column_default) order by ordinal_position)
        from information_schema.columns
        where table_schema = 'public' and format('public.%I', table_name) = $1), '[]'),
    'indexes', coalesce((
        select json_agg(json_build_object('indexname', i.relname, 'indexdef', pg_get_indexdef(i.oid),
            'isUnique', x.indisunique, 'isPrimary', x.indisprimary) order by i.relname)
        from pg_catalog.pg_index x join pg_catalog.pg_class i on i.oid = x.indexrelid
        where x.indrelid = to_regclass($1)), '[]'),
    'foreignKeys', coalesce((
        select json_agg(json_build_object(
            'constraintName', k.conname,
            'referenceTable', case when rn.nspname = 'public' then r.relname::text
                else rn.nspname || '.' || r.relname end,
            'referenceColumns', (
                select json_agg(json_build_object('sourceColumn', s.attname, 'referenceColumn', t.attname)
                    order by pair.place)
                from unnest(k.conkey, k.confkey) with ordinality as pair (source, target, place)
                join pg_catalog.pg_attribute s on s.attrelid = k.conrelid and s.attnum = pair.source
                join pg_catalog.pg_attribute t on t.attrelid = k.confrelid and t.attnum = pair.target),
            'onDelete', actions ->> k.confdeltype::text, 'onUpdate', actions ->> k.confupdtype::text)
            order by k.conname)
        from pg_catalog.pg_constraint k
        join pg_catalog.pg_class r on r.oid = k.confrelid
        join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
        cross join (select json_build_object('c', 'CASCADE', 'n', 'SET NULL', 'd', 'SET DEFAULT',
            'r', 'RESTRICT', 'a', 'NO ACTION') as actions) as named
        where k.contype = 'f' and k.conrelid = to_regclass($1)), '[]'),
    'rlsEnabled', coalesce((select relrowsecurity from pg_catalog.pg_class where oid = to_regclass($1)), false),
    'policies', coalesce((
        select json_agg(json_build_object('policyname', policyname, 'cmd', cmd, 'roles', roles,
            'qual', qual, 'withCheck', with_check) order by policyname)
        from pg_catalog.pg_policies
        where schemaname = 'public' and format('public.%I', tablename) = $1), '[]'),
    'triggers', coalesce((
        select json_agg(json_build_object('triggerName', trigger_name, 'actionTiming', action_timing,
            'eventManipulation', event_manipulation, 'actionOrientation', action_orientation,
            'actionCondition', action_condition, 'actionStatement', action_statement,
            'newTable', action_reference_new_table, 'oldTable', action_reference_old_table)
            order by trigger_name, event_manipulation)
        from information_schema.triggers
        where event_object_schema = 'public' and format('public.%I', event_object_table) = $1), '[]')
)::text, '}')";

/// Functions, sequences and views as JSON arrays.
pub(super) const FUNCTIONS_JSON: &str = "
select json_build_object('functionName', proname, 'functionDef', pg_get_functiondef(p.oid), 'kind', prokind)::text
from pg_catalog.pg_proc p
where p.pronamespace = 'public'::regnamespace and p.prokind in ('f', 'p', 'w') and $1 = ''
    and not exists (select from pg_catalog.pg_depend where objid = p.oid and deptype = 'e')
order by proname, p.oid";

/// All fields are texts (contract, database §7.3).
pub(super) const SEQUENCES_JSON: &str = "
select json_build_object('sequenceName', c.relname, 'startValue', s.seqstart::text,
    'increment', s.seqincrement::text, 'minValue', s.seqmin::text, 'maxValue', s.seqmax::text,
    'cycle', case when s.seqcycle then 'YES' else 'NO' end)::text
from pg_catalog.pg_sequence s join pg_catalog.pg_class c on c.oid = s.seqrelid
where c.relnamespace = 'public'::regnamespace and $1 = ''
order by c.relname";

/// Views and materialised views.
pub(super) const VIEWS_JSON: &str = "
select json_build_object('viewName', relname, 'definition', pg_get_viewdef(oid))::text
from pg_catalog.pg_class
where relnamespace = 'public'::regnamespace and relkind in ('v', 'm') and $1 = ''
order by relname";
