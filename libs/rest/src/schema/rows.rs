//! The catalogue queries and their rows.

use crate::wire::{Row, WireError};

/// Schemas that are never looked at.
macro_rules! user_schemas {
    () => {
        "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
    };
}

pub(super) const RELATIONS: &str = concat!(
    "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind, c.relispartition, \
     obj_description(c.oid, 'pg_class'), \
     CASE WHEN c.relkind IN ('r', 'p') THEN 28 WHEN c.relkind = 'm' THEN 0 \
          ELSE pg_relation_is_updatable(c.oid, true) END, \
     c.relkind IN ('v', 'f') OR c.relhasrules OR (c.relhastriggers AND EXISTS (SELECT FROM pg_trigger g \
          JOIN pg_proc h ON h.oid = g.tgfoid WHERE g.tgrelid = c.oid \
          AND (NOT g.tgisinternal OR h.proname ~ '^RI_FKey_(cascade|setnull|setdefault)'))) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND ",
    user_schemas!(),
);

pub(super) const COLUMNS: &str = concat!(
    "WITH RECURSIVE domains (oid, base) AS ( \
         SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd' UNION ALL \
         SELECT d.oid, b.typbasetype FROM domains d JOIN pg_type b ON b.oid = d.base \
         WHERE b.typtype = 'd'), \
     roots AS (SELECT d.oid, d.base FROM domains d JOIN pg_type b ON b.oid = d.base \
         WHERE b.typtype <> 'd') \
     SELECT a.attrelid, a.attname::text, a.attnum, format_type(a.atttypid, null), \
     format_type(a.atttypid, a.atttypmod), \
     format_type(r.base, null), format_type(nullif(t.typbasetype, 0), t.typtypmod), \
     NOT (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull)), \
     CASE WHEN a.attgenerated = 's' THEN null \
          WHEN a.attidentity = 'd' THEN (SELECT format('nextval(%L)', q.objid::regclass) \
               FROM pg_depend q WHERE q.classid = 'pg_class'::regclass AND q.deptype = 'i' \
               AND q.refclassid = 'pg_class'::regclass AND q.refobjid = a.attrelid \
               AND q.refobjsubid = a.attnum) \
          WHEN d.adbin IS NOT NULL THEN pg_get_expr(d.adbin, d.adrelid) \
          ELSE t.typdefault END, \
     s.description, \
     CASE WHEN t.typtype IN ('d', 'e') THEN ARRAY(SELECT e.enumlabel::text FROM pg_enum e \
          WHERE e.enumtypid = coalesce(r.base, t.oid) ORDER BY e.enumsortorder) END, \
     a.attgenerated = 's' OR a.attidentity = 'a' \
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
     JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid \
     LEFT JOIN roots r ON r.oid = t.oid \
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
     LEFT JOIN pg_description s ON s.objoid = a.attrelid AND s.objsubid = a.attnum \
          AND s.classoid = 'pg_class'::regclass \
     WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'm', 'f', 'p') AND ",
    user_schemas!(),
    " ORDER BY a.attrelid, a.attnum",
);

pub(super) const CONSTRAINTS: &str = concat!(
    "SELECT k.conname::text, k.contype, k.conrelid, k.conkey, k.confrelid, \
     coalesce(k.confkey, '{}') FROM pg_constraint k \
     JOIN pg_namespace n ON n.oid = k.connamespace \
     WHERE k.contype IN ('p', 'u', 'f') AND k.conrelid <> 0 \
     AND (k.contype <> 'f' OR k.conparentid = 0) AND ",
    user_schemas!(),
    " ORDER BY k.conrelid, k.conname",
);

/// `$1`: the exposed schemas. Functions elsewhere matter only as computed columns.
pub(super) const FUNCTIONS: &str = concat!(
    "SELECT n.nspname::text, p.proname::text, obj_description(p.oid, 'pg_proc'), \
     coalesce(p.proargnames, '{}'), \
     ARRAY(SELECT format_type(x.t, null) FROM unnest(p.proargtypes) WITH ORDINALITY x(t, i) \
           ORDER BY x.i), \
     CASE WHEN p.proallargtypes IS NULL THEN '{}' ELSE \
          ARRAY(SELECT format_type(x.t, null) FROM unnest(p.proallargtypes) \
                WITH ORDINALITY x(t, i) ORDER BY x.i) END, \
     coalesce(p.proargmodes::text[], '{}'), p.pronargdefaults, p.proretset, p.provolatile, \
     format_type(p.prorettype, null), \
     coalesce(b.typtype, t.typtype), coalesce(nullif(b.typrelid, 0), t.typrelid), \
     coalesce(p.proconfig, '{}'), a.typrelid, p.prorows = 1, n.nspname = ANY ($1::text[]), \
     CASE WHEN t.typtype = 'd' AND t.typname ~ '^[^/]+/[^/]+$' THEN t.typname::text END, \
     p.oid, p.prosrc ~* 'prepare' OR y.lanname NOT IN ('sql', 'plpgsql', 'c', 'internal') \
     FROM pg_proc p JOIN pg_language y ON y.oid = p.prolang \
     JOIN pg_namespace n ON n.oid = p.pronamespace \
     JOIN pg_type t ON t.oid = p.prorettype LEFT JOIN pg_type b ON b.oid = t.typbasetype \
     LEFT JOIN pg_type a ON p.pronargs = 1 AND a.oid = p.proargtypes[0] AND a.typrelid <> 0 \
     WHERE p.prokind = 'f' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) \
     AND (n.nspname = ANY ($1::text[]) OR a.typrelid IS NOT NULL) AND ",
    user_schemas!(),
    " ORDER BY n.nspname, p.proname, p.oid",
);

pub(super) const VIEWS: &str = concat!(
    "SELECT c.oid, r.ev_action::text FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class \
     JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('v', 'm') AND r.rulename = '_RETURN' AND ",
    user_schemas!(),
);

/// `$1`: the schemas whose types may be named in casts, besides `pg_catalog`.
pub(super) const TYPES: &str = "SELECT t.typname::text, format_type(t.oid, null) FROM pg_type t \
     JOIN pg_namespace n ON n.oid = t.typnamespace \
     LEFT JOIN pg_class c ON c.oid = t.typrelid \
     WHERE (n.nspname = 'pg_catalog' OR n.nspname = ANY ($1::text[])) AND t.typtype <> 'p' \
     AND (c.oid IS NULL OR c.relkind = 'c') \
     ORDER BY n.nspname = 'pg_catalog', array_position($1::text[], n.nspname::text) DESC";

/// Aggregates that return a domain named after a media type, and the relation whose rows they take.
pub(super) const MEDIA_HANDLERS: &str = concat!(
    "SELECT n.nspname::text, p.proname::text, m.typname::text, rn.nspname::text, rc.relname::text \
     FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
     JOIN pg_type m ON m.oid = p.prorettype AND m.typtype = 'd' AND m.typname ~ '^[^/]+/[^/]+$' \
     JOIN pg_type a ON a.oid = p.proargtypes[0] \
     LEFT JOIN pg_class rc ON rc.oid = a.typrelid LEFT JOIN pg_namespace rn ON rn.oid = rc.relnamespace \
     WHERE p.prokind = 'a' AND (rc.oid IS NOT NULL OR a.oid = 'anyelement'::regtype) AND ",
    user_schemas!(),
);

/// Casts by function between a domain and JSON or text.
pub(super) const REPRESENTATIONS: &str = "SELECT format_type(k.castsource, null), format_type(k.casttarget, null), n.nspname::text, \
     p.proname::text FROM pg_cast k JOIN pg_proc p ON p.oid = k.castfunc \
     JOIN pg_namespace n ON n.oid = p.pronamespace \
     JOIN pg_type s ON s.oid = k.castsource JOIN pg_type t ON t.oid = k.casttarget \
     WHERE k.castcontext = 'i' AND ((s.typtype = 'd' AND t.oid = 'json'::regtype) \
     OR (t.typtype = 'd' AND s.oid IN ('json'::regtype, 'text'::regtype)))";

/// `ALTER ROLE … SET` of the roles that the login role may become, and who may set that: `user` or,
/// with a grant, `superuser`.
pub(super) const ROLE_SETTINGS: &str = "SELECT r.rolname::text, split_part(x.entry, '=', 1), \
     substr(x.entry, strpos(x.entry, '=') + 1), coalesce(s.context, 'user') \
     FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid, unnest(r.rolconfig) x(entry) \
     LEFT JOIN pg_settings s ON s.name = split_part(x.entry, '=', 1) \
     WHERE m.member = current_user::regrole::oid AND coalesce(s.context, 'user') IN ('user', 'superuser')";

/// Those of the settings `$1` that the login role was granted. Since PostgreSQL 15.
pub(super) const GRANTED_SETTINGS: &str = "SELECT name FROM unnest($1::text[]) AS name \
     WHERE has_parameter_privilege(current_user, name, 'SET')";

/// The version, and whether reading may run VOLATILE code: a policy or a view calls such a function.
/// Those of PostgreSQL itself and those in C are trusted.
pub(super) const SERVER: &str = "SELECT current_setting('server_version_num')::int4, EXISTS ( \
     SELECT FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid \
     JOIN pg_language y ON y.oid = p.prolang \
     WHERE d.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass) \
     AND d.refclassid = 'pg_proc'::regclass AND p.provolatile = 'v' \
     AND y.lanname NOT IN ('internal', 'c'))";

type Decoded<T> = Result<T, WireError>;

/// `"char"` columns arrive as one byte.
fn letter(row: &Row, index: usize) -> Decoded<char> {
    let byte: i8 = row.get(index)?;
    Ok(char::from(u8::try_from(byte).unwrap_or_default()))
}

pub(super) struct RelationRow {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) kind: char,
    pub(super) is_partition: bool,
    pub(super) comment: Option<String>,
    /// Bits as `pg_relation_is_updatable` gives them: 4 update, 8 insert, 16 delete.
    pub(super) events: i32,
    pub(super) runs_code: bool,
}

impl RelationRow {
    pub(super) fn read(row: &Row) -> Decoded<Self> {
        Ok(Self {
            oid: row.get(0)?,
            schema: row.get(1)?,
            name: row.get(2)?,
            kind: letter(row, 3)?,
            is_partition: row.get(4)?,
            comment: row.get(5)?,
            events: row.get(6)?,
            runs_code: row.get(7)?,
        })
    }
}

pub(super) struct ColumnRow {
    pub(super) relation: u32,
    pub(super) name: String,
    pub(super) position: i16,
    pub(super) data_type: String,
    pub(super) full_type: String,
    /// What a domain is, domains below it left out.
    pub(super) base_type: Option<String>,
    /// The type right below a domain, with its length.
    pub(super) below: Option<String>,
    pub(super) nullable: bool,
    pub(super) default: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) enum_labels: Option<Vec<String>>,
    pub(super) generated: bool,
}

impl ColumnRow {
    pub(super) fn read(row: &Row) -> Decoded<Self> {
        Ok(Self {
            relation: row.get(0)?,
            name: row.get(1)?,
            position: row.get(2)?,
            data_type: row.get(3)?,
            full_type: row.get(4)?,
            base_type: row.get(5)?,
            below: row.get(6)?,
            nullable: row.get(7)?,
            default: row.get(8)?,
            comment: row.get(9)?,
            enum_labels: row.get(10)?,
            generated: row.get(11)?,
        })
    }
}

pub(super) struct ConstraintRow {
    pub(super) name: String,
    pub(super) kind: char,
    pub(super) relation: u32,
    pub(super) columns: Vec<i16>,
    pub(super) target: u32,
    pub(super) target_columns: Vec<i16>,
}

impl ConstraintRow {
    pub(super) fn read(row: &Row) -> Decoded<Self> {
        Ok(Self {
            name: row.get(0)?,
            kind: letter(row, 1)?,
            relation: row.get(2)?,
            columns: row.get(3)?,
            target: row.get(4)?,
            target_columns: row.get(5)?,
        })
    }
}

pub(super) struct FunctionRow {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) comment: Option<String>,
    pub(super) argument_names: Vec<String>,
    pub(super) input_types: Vec<String>,
    pub(super) all_types: Vec<String>,
    pub(super) modes: Vec<String>,
    pub(super) defaults: i16,
    pub(super) returns_set: bool,
    pub(super) volatility: char,
    pub(super) return_type: String,
    pub(super) return_kind: char,
    pub(super) return_relation: u32,
    pub(super) settings: Vec<String>,
    /// Relation whose row the only argument is.
    pub(super) row_argument: Option<u32>,
    pub(super) one_row: bool,
    pub(super) exposed: bool,
    /// The media type that the returned domain is named after.
    pub(super) media: Option<String>,
    pub(super) oid: u32,
    pub(super) prepares: bool,
}

impl FunctionRow {
    pub(super) fn read(row: &Row) -> Decoded<Self> {
        Ok(Self {
            schema: row.get(0)?,
            name: row.get(1)?,
            comment: row.get(2)?,
            argument_names: row.get(3)?,
            input_types: row.get(4)?,
            all_types: row.get(5)?,
            modes: row.get(6)?,
            defaults: row.get(7)?,
            returns_set: row.get(8)?,
            volatility: letter(row, 9)?,
            return_type: row.get(10)?,
            return_kind: letter(row, 11)?,
            return_relation: row.get(12)?,
            settings: row.get(13)?,
            row_argument: row.get(14)?,
            one_row: row.get(15)?,
            exposed: row.get(16)?,
            media: row.get(17)?,
            oid: row.get(18)?,
            prepares: row.get(19)?,
        })
    }
}
