//! The data of the schema cache. Every identifier that ever appears in a statement comes from here.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::relationships::Relationship;

/// A schema-qualified name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// Schema.
    pub schema: String,
    /// Name inside the schema.
    pub name: String,
}

impl ObjectName {
    /// Both parts.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Columns that every table has, but no catalogue of columns lists.
pub(crate) const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// What kind of relation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// A table, also a foreign or partitioned one.
    Table,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
}

/// A table or view.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Schema and name.
    pub name: ObjectName,
    /// Table or view.
    pub kind: RelationKind,
    /// A partition of another table.
    pub is_partition: bool,
    /// `COMMENT ON`.
    pub comment: Option<String>,
    /// INSERT is possible (by kind and rules, not by privilege).
    pub insertable: bool,
    /// UPDATE is possible.
    pub updatable: bool,
    /// DELETE is possible.
    pub deletable: bool,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// Names of the primary key's columns. For views, those of the tables below.
    pub primary_key: Vec<String>,
    /// Column sets of UNIQUE constraints and of the primary key.
    pub unique_keys: Vec<Vec<String>>,
    /// Functions that take a row of this relation and return one value: computed columns.
    pub computed: BTreeMap<String, ObjectName>,
    /// A write runs code that somebody declared VOLATILE: triggers, also of rows that follow by
    /// foreign keys, or the rules of a view.
    pub(crate) runs_code: bool,
    pub(crate) oid: u32,
    /// Places of the columns in the order of their names.
    by_name: Vec<usize>,
}

impl Relation {
    pub(crate) fn new(name: ObjectName, oid: u32, kind: RelationKind) -> Self {
        Self {
            name,
            kind,
            is_partition: false,
            comment: None,
            insertable: false,
            updatable: false,
            deletable: false,
            columns: Vec::new(),
            primary_key: Vec::new(),
            unique_keys: Vec::new(),
            computed: BTreeMap::new(),
            runs_code: false,
            oid,
            by_name: Vec::new(),
        }
    }

    pub(crate) fn push_column(&mut self, column: Column) {
        let place = self.search(&column.name).unwrap_or_else(|place| place);
        self.by_name.insert(place, self.columns.len());
        self.columns.push(column);
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        let place = self.search(name).ok()?;
        self.columns.get(*self.by_name.get(place)?)
    }

    fn search(&self, name: &str) -> Result<usize, usize> {
        self.by_name.binary_search_by(|place| {
            let column = self.columns.get(*place).map(|column| column.name.as_str());
            column.cmp(&Some(name))
        })
    }
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Position in the catalogue (`attnum`).
    pub position: i16,
    /// Type as PostgreSQL writes it, without length: `integer`, `character varying`, `app.mood`.
    pub data_type: Arc<str>,
    /// Type with its length or precision: `character varying(20)`.
    pub full_type: Arc<str>,
    /// For domains the type below that is none, else the same as `data_type`.
    pub base_type: Arc<str>,
    /// Most characters or bits, if the type, or that right below a domain, says so.
    pub max_length: Option<u32>,
    /// May be null.
    pub nullable: bool,
    /// Expression of the default, if there is one.
    pub default: Option<Arc<str>>,
    /// `COMMENT ON`.
    pub comment: Option<String>,
    /// Labels, if the type is an enumeration.
    pub enum_labels: Vec<String>,
    /// GENERATED ALWAYS, stored or as identity.
    pub generated: bool,
    pub(crate) representation: Option<Arc<Representation>>,
}

impl Column {
    /// The representation's function for one direction.
    pub(crate) fn function(
        &self,
        direction: impl Fn(&Representation) -> &Option<ObjectName>,
    ) -> Option<ObjectName> {
        direction(self.representation.as_ref()?).clone()
    }
}

/// Functions behind casts of a domain, by which its values are shown and read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Representation {
    pub(crate) to_json: Option<ObjectName>,
    pub(crate) from_json: Option<ObjectName>,
    pub(crate) from_text: Option<ObjectName>,
}

impl Column {
    /// The value is JSON already, so that a path can go into it.
    pub fn is_json(&self) -> bool {
        matches!(&*self.base_type, "json" | "jsonb")
    }
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Constraint name.
    pub name: String,
    /// The table that has the constraint.
    pub source: ObjectName,
    /// Its columns.
    pub source_columns: Vec<String>,
    /// The table that is referenced.
    pub target: ObjectName,
    /// Its columns, in the same order.
    pub target_columns: Vec<String>,
}

/// How much a function may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volatility {
    /// Anything.
    Volatile,
    /// Reads only.
    Stable,
    /// Neither.
    Immutable,
}

/// A parameter that a caller may give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Name; empty for an unnamed one.
    pub name: String,
    /// Type as PostgreSQL writes it.
    pub data_type: String,
    /// Must be given: it has no default.
    pub required: bool,
    /// VARIADIC.
    pub variadic: bool,
}

/// What a function returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Returns {
    Void,
    /// One value of a type that is not composite.
    Scalar,
    /// A row: of this relation, or of an anonymous type.
    Row(Option<ObjectName>),
}

/// A function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Schema and name.
    pub name: ObjectName,
    /// `COMMENT ON`.
    pub comment: Option<String>,
    /// IN, INOUT and VARIADIC parameters in order.
    pub parameters: Vec<Parameter>,
    pub(crate) returns: Returns,
    /// Name of the returned type, as PostgreSQL writes it.
    pub return_type: String,
    /// RETURNS SETOF or TABLE.
    pub returns_set: bool,
    /// Names and types of OUT, INOUT and TABLE columns.
    pub out_columns: Vec<(String, String)>,
    /// Volatility.
    pub volatility: Volatility,
    pub(crate) oid: u32,
    /// Its text mentions PREPARE, or is in a language that may hide it.
    pub(crate) prepares: bool,
    /// Media type of the result: the returned type is a domain of that name.
    pub(crate) media: Option<String>,
    /// `SET name = value` clauses that the transaction takes over.
    pub settings: Vec<(String, String)>,
}

/// One version of the schema cache.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    pub(crate) relations: HashMap<ObjectName, Arc<Relation>>,
    pub(crate) functions: HashMap<ObjectName, Vec<Arc<Function>>>,
    pub(crate) relationships: HashMap<ObjectName, Vec<Arc<Relationship>>>,
    /// Castable types: the name in a request to the name in SQL.
    pub(crate) types: HashMap<String, String>,
    /// Aggregates that make a media type of the rows of a relation, or of any (`None`).
    pub(crate) media_handlers: HashMap<(Option<ObjectName>, String), ObjectName>,
    /// What `ALTER ROLE … SET` wants for a role.
    pub(crate) role_settings: HashMap<String, Vec<(String, String)>>,
    /// Counts up with every version, so that what was derived from an older one can be dropped.
    pub(crate) version: u64,
    /// A policy or a view calls a function that is declared VOLATILE.
    pub(crate) reads_run_code: bool,
    /// `server_version_num`
    pub(crate) server_version: i32,
}

impl Schema {
    /// A table or view.
    pub fn relation(&self, schema: &str, name: &str) -> Option<&Arc<Relation>> {
        self.relations.get(&ObjectName::new(schema, name))
    }

    /// Settings that transactions of a role begin with.
    pub(crate) fn role_settings(&self, role: &str) -> &[(String, String)] {
        self.role_settings
            .get(role)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// All functions of a name.
    pub fn functions(&self, schema: &str, name: &str) -> &[Arc<Function>] {
        self.functions
            .get(&ObjectName::new(schema, name))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// All tables and views, in no particular order.
    pub fn relations(&self) -> impl Iterator<Item = &Arc<Relation>> {
        self.relations.values()
    }
}
