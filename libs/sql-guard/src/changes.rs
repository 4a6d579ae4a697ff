//! What a statement changes, for dashboards (contract, database §10.3).

use pg_query::NodeEnum;
use pg_query::protobuf::{CopyStmt, ObjectType, RangeVar};

use crate::script::{Change, ChangeKind};

/// The change that a top-level statement makes, if dashboards care.
pub(crate) fn of(node: &NodeEnum) -> Option<Change> {
    let unnamed = |kind| Some(Change { kind, name: None });
    let named = |kind, relation: Option<&RangeVar>| {
        Some(Change {
            kind,
            name: relation.map(qualified),
        })
    };
    match node {
        NodeEnum::InsertStmt(s) => named(ChangeKind::Records, s.relation.as_ref()),
        NodeEnum::UpdateStmt(s) => named(ChangeKind::Records, s.relation.as_ref()),
        NodeEnum::DeleteStmt(s) => named(ChangeKind::Records, s.relation.as_ref()),
        NodeEnum::CreateStmt(_) => unnamed(ChangeKind::Tables),
        NodeEnum::AlterTableStmt(s) => named(ChangeKind::Table, s.relation.as_ref()),
        NodeEnum::RenameStmt(s) => named(ChangeKind::Table, s.relation.as_ref()),
        NodeEnum::IndexStmt(_) => unnamed(ChangeKind::Index),
        NodeEnum::CreateTrigStmt(_) => unnamed(ChangeKind::Trigger),
        NodeEnum::CreateExtensionStmt(_) => unnamed(ChangeKind::Extension),
        NodeEnum::CreateFunctionStmt(_) => unnamed(ChangeKind::Function),
        NodeEnum::CreatePolicyStmt(_) | NodeEnum::AlterPolicyStmt(_) => unnamed(ChangeKind::Policy),
        NodeEnum::DropStmt(s) => dropped(s.remove_type).and_then(unnamed),
        _ => None,
    }
}

/// The table that a top-level statement makes or adds rows to, as `schema.table`.
pub(crate) fn filled_table(node: &NodeEnum) -> Option<String> {
    let relation = match node {
        NodeEnum::InsertStmt(s) => s.relation.as_ref(),
        NodeEnum::CreateStmt(s) => s.relation.as_ref(),
        NodeEnum::CreateTableAsStmt(s) => s.into.as_ref()?.rel.as_ref(),
        NodeEnum::CopyStmt(s) if s.is_from => s.relation.as_ref(),
        _ => None,
    };
    relation.map(qualified)
}

/// Whether the statement is a `COPY ... FROM STDIN`.
pub(crate) fn reads_copy_data(node: &NodeEnum) -> bool {
    let from_client = |s: &CopyStmt| s.is_from && !s.is_program && s.filename.is_empty();
    matches!(node, NodeEnum::CopyStmt(s) if from_client(s))
}

fn dropped(object: i32) -> Option<ChangeKind> {
    match ObjectType::try_from(object).ok()? {
        ObjectType::ObjectTable => Some(ChangeKind::Tables),
        ObjectType::ObjectIndex => Some(ChangeKind::Index),
        ObjectType::ObjectTrigger => Some(ChangeKind::Trigger),
        ObjectType::ObjectPolicy => Some(ChangeKind::Policy),
        ObjectType::ObjectFunction => Some(ChangeKind::Function),
        ObjectType::ObjectExtension => Some(ChangeKind::Extension),
        _ => None,
    }
}

fn qualified(relation: &RangeVar) -> String {
    let schema = match relation.schemaname.as_str() {
        "" => "public",
        schema => schema,
    };
    format!("{schema}.{}", relation.relname)
}
