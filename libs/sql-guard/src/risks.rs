//! What a statement may destroy or break, for whoever asks before running it (contract, database
//! §8.3).

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableType, ObjectType};

/// A consequence that is hard to undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Risk {
    /// Rows are lost. What does it.
    DataLoss(&'static str),
    /// Code that relies on the schema may fail. What does it.
    BreakingChange(&'static str),
}

/// The risks of a top-level statement, one for each of its parts.
pub(crate) fn of(node: &NodeEnum) -> Vec<Risk> {
    match node {
        NodeEnum::TruncateStmt(_) => vec![Risk::DataLoss("TRUNCATE removes every row of a table")],
        NodeEnum::DropdbStmt(_) => vec![Risk::DataLoss("DROP DATABASE removes the whole database")],
        NodeEnum::DropStmt(drop) => match ObjectType::try_from(drop.remove_type) {
            Ok(ObjectType::ObjectTable) => {
                vec![Risk::DataLoss("DROP TABLE removes a table and its rows")]
            }
            Ok(ObjectType::ObjectSchema) => {
                vec![Risk::DataLoss(
                    "DROP SCHEMA removes a schema with everything in it",
                )]
            }
            _ => Vec::new(),
        },
        NodeEnum::AlterTableStmt(alter) => {
            let commands = alter
                .cmds
                .iter()
                .filter_map(|command| match command.node.as_ref() {
                    Some(NodeEnum::AlterTableCmd(command)) => {
                        AlterTableType::try_from(command.subtype).ok()
                    }
                    _ => None,
                });
            commands.filter_map(altered).collect()
        }
        _ => Vec::new(),
    }
}

fn altered(command: AlterTableType) -> Option<Risk> {
    match command {
        AlterTableType::AtDropColumn => Some(Risk::BreakingChange("a column is dropped")),
        AlterTableType::AtDropConstraint => Some(Risk::BreakingChange("a constraint is dropped")),
        AlterTableType::AtAlterColumnType => {
            Some(Risk::BreakingChange("a column gets another type"))
        }
        _ => None,
    }
}
