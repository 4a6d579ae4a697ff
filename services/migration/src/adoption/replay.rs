//! Ingot's own steps over a database that has part of it: what is there is brought to the shape
//! that the step describes, what is missing is made, and the ledger says so.

use ingot_schema::{STEPS, Step};
use pg_query::NodeEnum;
use sqlx::{PgConnection, query_scalar};

use super::{AdoptionError, Journal, run, table};

/// A statement of a step, as far as it matters whether its object is there already.
enum Statement {
    Table { name: String, sql: String },
    Index { name: String, sql: String },
    Function { name: String, sql: String },
    Other { sql: String },
}

/// Runs all steps and writes the ledger.
pub(super) async fn run_steps(
    connection: &mut PgConnection,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    ingot_schema::create_ledger(connection).await?;
    run(
        connection,
        "create schema ingot_adoption",
        "making a schema to compare with",
    )
    .await?;
    for step in STEPS {
        for statement in statements(step)? {
            let doing = format!("step {} ({})", step.number, step.name);
            run_statement(connection, statement, doing, journal).await?;
        }
        ingot_schema::record_step(connection, step).await?;
    }
    run(
        connection,
        "drop schema ingot_adoption",
        "removing the schema to compare with",
    )
    .await?;
    journal.did(format!("{} steps of Ingot were recorded", STEPS.len()));
    Ok(())
}

/// The tables that the steps make, as `schema.name`.
pub(super) fn platform_tables() -> Result<Vec<String>, AdoptionError> {
    let mut names = Vec::new();
    for step in STEPS {
        for statement in statements(step)? {
            if let Statement::Table { name, .. } = statement {
                names.push(name);
            }
        }
    }
    Ok(names)
}

async fn run_statement(
    connection: &mut PgConnection,
    statement: Statement,
    doing: String,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    match statement {
        Statement::Table { name, sql } if is_there(connection, &name).await? => {
            table::reconcile(connection, &name, &sql, journal).await
        }
        Statement::Table { name, sql } => {
            run(connection, &sql, doing).await?;
            journal.did(format!("{name} was made"));
            Ok(())
        }
        Statement::Index { name, .. } if is_there(connection, &name).await? => Ok(()),
        Statement::Function { name, sql } => {
            forget_grants(connection, &name).await?;
            run(connection, &sql, format!("{doing}: {name}")).await
        }
        Statement::Index { sql, .. } | Statement::Other { sql } => {
            run(connection, &sql, doing).await
        }
    }
}

/// What a function is executable by from its creation on.
async fn forget_grants(connection: &mut PgConnection, name: &str) -> Result<(), AdoptionError> {
    let signatures: Vec<String> = query_scalar(
        "select p.oid::pg_catalog.regprocedure::text
         from pg_catalog.pg_proc as p
         join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
         where n.nspname || '.' || p.proname = $1",
    )
    .bind(name)
    .fetch_all(&mut *connection)
    .await?;
    for signature in signatures {
        let sql = format!(
            "alter routine {signature} owner to current_user;
             revoke all on routine {signature} from public, anon, authenticated, project_admin;
             grant execute on routine {signature} to public"
        );
        run(connection, &sql, format!("taking over {name}")).await?;
    }
    Ok(())
}

async fn is_there(connection: &mut PgConnection, name: &str) -> Result<bool, AdoptionError> {
    Ok(
        query_scalar("select pg_catalog.to_regclass($1) is not null")
            .bind(name)
            .fetch_one(connection)
            .await?,
    )
}

/// The statements of a step, those that would mind what is there put so that they do not.
fn statements(step: &Step) -> Result<Vec<Statement>, AdoptionError> {
    let unreadable = |detail: String| {
        AdoptionError::Unfit(format!("step {} of this build: {detail}", step.number))
    };
    let parsed = pg_query::parse(step.sql, 0).map_err(|error| unreadable(error.to_string()))?;
    let mut statements = Vec::new();
    for raw in &parsed.protobuf.stmts {
        let start = usize::try_from(raw.stmt_location).unwrap_or_default();
        let length = usize::try_from(raw.stmt_len).unwrap_or_default();
        // Without a semicolon at its end, the last statement has no length.
        let end = if length == 0 {
            step.sql.len()
        } else {
            start + length
        };
        let text = step.sql.get(start..end).unwrap_or_default();
        let node = raw.stmt.as_ref().and_then(|it| it.node.as_ref());
        let node = node.ok_or_else(|| unreadable("a statement has no kind".to_owned()))?;
        statements.push(statement(node, without_comments(text)));
    }
    Ok(statements)
}

fn statement(node: &NodeEnum, text: &str) -> Statement {
    let replaced = |from: &str, to: &str| text.replacen(from, to, 1);
    match node {
        NodeEnum::CreateStmt(it) => Statement::Table {
            name: it.relation.as_ref().map_or_else(String::new, |relation| {
                format!("{}.{}", relation.schemaname, relation.relname)
            }),
            sql: text.to_owned(),
        },
        NodeEnum::IndexStmt(it) => Statement::Index {
            name: it.relation.as_ref().map_or_else(String::new, |relation| {
                format!("{}.{}", relation.schemaname, it.idxname)
            }),
            sql: text.to_owned(),
        },
        NodeEnum::CreateFunctionStmt(it) if !it.replace => Statement::Function {
            name: qualified(&it.funcname),
            sql: replaced("create function", "create or replace function"),
        },
        NodeEnum::CreateTrigStmt(_) => Statement::Other {
            sql: replaced("create trigger", "create or replace trigger"),
        },
        NodeEnum::InsertStmt(_) => Statement::Other {
            sql: format!("{text} on conflict do nothing"),
        },
        _ => Statement::Other {
            sql: text.to_owned(),
        },
    }
}

fn qualified(name: &[pg_query::protobuf::Node]) -> String {
    let parts: Vec<&str> = name
        .iter()
        .filter_map(|part| match part.node.as_ref() {
            Some(NodeEnum::String(text)) => Some(text.sval.as_str()),
            _ => None,
        })
        .collect();
    parts.join(".")
}

/// The text from its first word on.
fn without_comments(text: &str) -> &str {
    let mut rest = text.trim();
    while let Some(comment) = rest.strip_prefix("--") {
        rest = comment
            .split_once('\n')
            .map_or("", |(_, after)| after)
            .trim_start();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the replay knows how to put differently is all that the steps say about objects.
    #[test]
    fn every_statement_of_the_steps_is_understood() {
        let mut tables = 0;
        for step in STEPS {
            for statement in statements(step).unwrap() {
                let sql = match &statement {
                    Statement::Table { name, sql } => {
                        tables += 1;
                        assert!(sql.starts_with(&format!("create table {name} (")), "{sql}");
                        sql
                    }
                    Statement::Index { name, sql } => {
                        assert!(name.contains('.'), "{sql}");
                        sql
                    }
                    Statement::Function { name, sql } => {
                        let beginning = format!("create or replace function {name}(");
                        assert!(sql.starts_with(&beginning), "{sql}");
                        sql
                    }
                    Statement::Other { sql } => sql,
                };
                assert!(!sql.starts_with("create trigger"), "{sql}");
                assert!(!sql.starts_with("--"), "{sql}");
            }
        }
        assert_eq!(platform_tables().unwrap().len(), tables);
        assert!(tables > 30);
    }
}
