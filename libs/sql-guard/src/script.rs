//! The statements of a text: where each stands, and what it changes.

use pg_query::NodeEnum;
use pg_query::protobuf::ParseResult;

use crate::changes;
use crate::risks::{self, Risk};

/// A parsed and admitted text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Its statements in order; none for a text of comments only.
    pub statements: Vec<Statement>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its text, without leading comments and without the `;`.
    pub text: String,
    /// Whether it is a query: `SELECT`, `VALUES`, `TABLE`, with or without `WITH`.
    pub is_query: bool,
    /// Whether it starts with `INSERT` (common table expressions aside).
    pub is_insert: bool,
    /// Whether PostgreSQL says how many rows it touched.
    pub counts_rows: bool,
    /// Whether it may change the schema, so that schema caches must be dropped after it.
    pub changes_schema: bool,
    /// Whether it is a `COPY`, with which the server and the client change their roles.
    pub is_copy: bool,
    /// Whether it is a `COPY ... FROM STDIN`: rows are expected after it.
    pub reads_copy_data: bool,
    /// The table that it makes or adds rows to, as `schema.table`; a name without a schema counts to
    /// `public`.
    pub filled_table: Option<String>,
    /// What dashboards should refresh (contract, database §10.3).
    pub change: Option<Change>,
    /// What it may destroy or break.
    pub risks: Vec<Risk>,
}

/// Something that a statement changes (contract, database §10.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    /// What kind of thing.
    pub kind: ChangeKind,
    /// The relation as `schema.table`; a name without a schema counts to `public`.
    pub name: Option<String>,
}

/// Kinds of changed things, as dashboards know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants are the wire names")]
pub enum ChangeKind {
    Tables,
    Table,
    Records,
    Index,
    Trigger,
    Policy,
    Function,
    Extension,
}

impl ChangeKind {
    /// The kind as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tables => "tables",
            Self::Table => "table",
            Self::Records => "records",
            Self::Index => "index",
            Self::Trigger => "trigger",
            Self::Policy => "policy",
            Self::Function => "function",
            Self::Extension => "extension",
        }
    }
}

impl Statement {
    /// A statement of which nothing is known but its text.
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.trim_end().to_owned(),
            is_query: false,
            is_insert: false,
            counts_rows: false,
            changes_schema: false,
            is_copy: false,
            reads_copy_data: false,
            filled_table: None,
            change: None,
            risks: Vec::new(),
        }
    }

    /// An `INSERT` into `table`.
    pub(crate) fn insert(text: &str, table: String) -> Self {
        Self {
            is_insert: true,
            counts_rows: true,
            filled_table: Some(table.clone()),
            change: Some(Change {
                kind: ChangeKind::Records,
                name: Some(table),
            }),
            ..Self::new(text)
        }
    }
}

impl Script {
    /// All changes, each once, in the order of the statements.
    pub fn changes(&self) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        for change in self.statements.iter().filter_map(|s| s.change.as_ref()) {
            if !changes.contains(change) {
                changes.push(change.clone());
            }
        }
        changes
    }

    /// Whether any statement may change the schema.
    pub fn changes_schema(&self) -> bool {
        self.statements.iter().any(|s| s.changes_schema)
    }

    /// Whether there are statements and all of them are queries.
    pub fn is_only_queries(&self) -> bool {
        !self.statements.is_empty() && self.statements.iter().all(|s| s.is_query)
    }

    pub(crate) fn of(text: &str, parsed: &ParseResult) -> Self {
        let statements = parsed
            .stmts
            .iter()
            .filter_map(|raw| {
                let node = raw.stmt.as_ref()?.node.as_ref()?;
                let start = usize::try_from(raw.stmt_location).ok()?;
                let length = usize::try_from(raw.stmt_len).ok()?;
                // The parser writes 0 for "up to the end".
                let slice = if length == 0 {
                    text.get(start..)?
                } else {
                    text.get(start..start + length)?
                };
                Some(Statement {
                    text: without_leading_comments(slice).trim_end().to_owned(),
                    is_query: matches!(node, NodeEnum::SelectStmt(_)),
                    is_insert: matches!(node, NodeEnum::InsertStmt(_)),
                    counts_rows: counts_rows(node),
                    changes_schema: changes_schema(node),
                    is_copy: matches!(node, NodeEnum::CopyStmt(_)),
                    reads_copy_data: changes::reads_copy_data(node),
                    filled_table: changes::filled_table(node),
                    change: changes::of(node),
                    risks: risks::of(node),
                })
            })
            .collect();
        Self { statements }
    }
}

fn counts_rows(node: &NodeEnum) -> bool {
    matches!(
        node,
        NodeEnum::SelectStmt(_)
            | NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::DeleteStmt(_)
            | NodeEnum::MergeStmt(_)
            | NodeEnum::CreateTableAsStmt(_)
            | NodeEnum::FetchStmt(_)
            | NodeEnum::CopyStmt(_)
    )
}

/// Everything but the statements that are known to leave the schema alone.
fn changes_schema(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::SelectStmt(select) => select.into_clause.is_some(),
        NodeEnum::InsertStmt(_)
        | NodeEnum::UpdateStmt(_)
        | NodeEnum::DeleteStmt(_)
        | NodeEnum::MergeStmt(_)
        | NodeEnum::TruncateStmt(_)
        | NodeEnum::CopyStmt(_)
        | NodeEnum::ExplainStmt(_)
        | NodeEnum::VariableSetStmt(_)
        | NodeEnum::VariableShowStmt(_)
        | NodeEnum::LockStmt(_)
        | NodeEnum::VacuumStmt(_)
        | NodeEnum::ReindexStmt(_)
        | NodeEnum::NotifyStmt(_)
        | NodeEnum::ListenStmt(_)
        | NodeEnum::UnlistenStmt(_)
        | NodeEnum::PrepareStmt(_)
        | NodeEnum::DeallocateStmt(_)
        | NodeEnum::DeclareCursorStmt(_)
        | NodeEnum::FetchStmt(_)
        | NodeEnum::ClosePortalStmt(_)
        | NodeEnum::ConstraintsSetStmt(_)
        | NodeEnum::RefreshMatViewStmt(_) => false,
        _ => true,
    }
}

/// The parser counts comments before a statement to the statement.
fn without_leading_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if rest.starts_with("/*") {
            after_block_comment(rest)
        } else {
            return rest;
        }
        .trim_start();
    }
}

/// Block comments nest in PostgreSQL.
fn after_block_comment(text: &str) -> &str {
    let mut depth = 0_usize;
    let mut rest = text;
    loop {
        let opens = rest.starts_with("/*");
        if opens {
            depth += 1;
        } else if rest.starts_with("*/") {
            depth -= 1;
        }
        let step = if opens || rest.starts_with("*/") {
            2
        } else {
            rest.chars().next().map_or(0, char::len_utf8)
        };
        rest = rest.get(step..).unwrap_or_default();
        if depth == 0 || rest.is_empty() {
            return rest;
        }
    }
}
