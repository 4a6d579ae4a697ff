//! Conditions, fields and orderings.

use super::builder::Sql;
use crate::plan::{Ordering, PlannedField, Predicate};
use crate::request::condition::{Condition, Operation, Operator, Quantifier, SearchParser, Truth};
use crate::request::field::JsonOperand;

/// What conditions on embedded resources and related orderings refer to.
pub(super) struct Scope<'a> {
    /// Alias of the rows.
    pub(super) alias: &'a str,
    /// Aliases of the embedded resources, with whether each has one row.
    pub(super) embeds: &'a [(String, bool)],
}

/// `alias."column"->…`
pub(super) fn field(sql: &mut Sql, alias: &str, field: &PlannedField) {
    if field.convert {
        sql.push("to_jsonb(").column(alias, &field.name).push(")");
    } else {
        sql.column(alias, &field.name);
    }
    for step in &field.path {
        sql.push(if step.as_text { "->>" } else { "->" });
        match &step.operand {
            JsonOperand::Key(key) => sql.push("CAST(").value(key.as_str()).push(" AS text)"),
            JsonOperand::Index(index) => sql
                .push("CAST(")
                .value(index.to_string())
                .push(" AS integer)"),
        };
    }
}

/// ` WHERE a AND b`, or nothing.
pub(super) fn filter_clause(sql: &mut Sql, scope: &Scope<'_>, predicates: &[Predicate]) {
    if !predicates.is_empty() {
        sql.push(" WHERE ");
        sql.list(" AND ", predicates, |sql, predicate| {
            write(sql, scope, predicate);
        });
    }
}

pub(super) fn write(sql: &mut Sql, scope: &Scope<'_>, predicate: &Predicate) {
    match predicate {
        Predicate::Filter { field, condition } => filter(sql, scope.alias, field, condition),
        Predicate::Group {
            negated,
            any,
            members,
        } => {
            sql.push(if *negated { "NOT (" } else { "(" });
            let separator = if *any { " OR " } else { " AND " };
            sql.list(separator, members, |sql, member| write(sql, scope, member));
            sql.push(")");
        }
        Predicate::Embed { index, present } => {
            let Some((alias, to_one)) = scope.embeds.get(*index) else {
                return;
            };
            if *to_one {
                sql.name(alias);
                sql.push(if *present {
                    " IS DISTINCT FROM NULL"
                } else {
                    " IS NOT DISTINCT FROM NULL"
                });
            } else {
                sql.column(alias, alias);
                sql.push(if *present { " IS NOT NULL" } else { " IS NULL" });
            }
        }
    }
}

fn filter(sql: &mut Sql, alias: &str, target: &PlannedField, condition: &Condition) {
    sql.push(if condition.negated { "NOT (" } else { "" });
    field(sql, alias, target);
    match &condition.operation {
        Operation::Compare {
            operator,
            quantifier,
            value,
        } => compare(sql, target, *operator, *quantifier, value),
        Operation::In(values) => {
            // `in.()` is the empty list, not a list of one empty string.
            let values = if values.as_slice() == [""] {
                &[][..]
            } else {
                values
            };
            sql.push(" = ANY (");
            list(sql, target, array_literal(values));
            sql.push(")");
        }
        Operation::Is(truth) => {
            sql.push(match truth {
                Truth::Null => " IS NULL",
                Truth::True => " IS TRUE",
                Truth::False => " IS FALSE",
                Truth::Unknown => " IS UNKNOWN",
            });
        }
        Operation::IsDistinctFrom(value) => {
            sql.push(" IS DISTINCT FROM ");
            single(sql, target, value.clone());
        }
        Operation::Search {
            parser,
            language,
            value,
        } => {
            sql.push(" @@ ").push(match parser {
                SearchParser::Raw => "to_tsquery(",
                SearchParser::Plain => "plainto_tsquery(",
                SearchParser::Phrase => "phraseto_tsquery(",
                SearchParser::Web => "websearch_to_tsquery(",
            });
            if let Some(language) = language {
                sql.value(language.as_str()).push(", ");
            }
            sql.value(value.as_str()).push(")");
        }
    }
    sql.push(if condition.negated { ")" } else { "" });
}

/// A value to compare with, read by the domain's function if there is one.
fn single(sql: &mut Sql, target: &PlannedField, value: String) {
    match &target.from_text {
        None => sql.value(value),
        Some(function) => sql
            .object(function)
            .push("(CAST(")
            .value(value)
            .push(" AS text))"),
    };
}

fn list(sql: &mut Sql, target: &PlannedField, array: String) {
    match &target.from_text {
        None => sql.value(array),
        Some(function) => {
            sql.push("ARRAY(SELECT ")
                .object(function)
                .push("(v) FROM unnest(CAST(");
            sql.value(array).push(" AS text[])) v)")
        }
    };
}

fn compare(
    sql: &mut Sql,
    target: &PlannedField,
    operator: Operator,
    quantifier: Option<Quantifier>,
    value: &str,
) {
    sql.push(" ").push(symbol(operator)).push(" ");
    // In patterns an asterisk may stand for the percent sign, which URLs must escape.
    let value = match operator {
        Operator::Like | Operator::ILike => value.replace('*', "%"),
        _ => value.to_owned(),
    };
    match quantifier {
        // A pattern is no value of the domain.
        None if matches!(operator, Operator::Like | Operator::ILike) => {
            sql.value(value);
        }
        None => single(sql, target, value),
        Some(quantifier) => {
            sql.push(if quantifier == Quantifier::Any {
                "ANY ("
            } else {
                "ALL ("
            });
            list(sql, target, value);
            sql.push(")");
        }
    }
}

const fn symbol(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal => "=",
        Operator::NotEqual => "<>",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Like => "LIKE",
        Operator::ILike => "ILIKE",
        Operator::Match => "~",
        Operator::IMatch => "~*",
        Operator::Contains => "@>",
        Operator::Contained => "<@",
        Operator::Overlap => "&&",
        Operator::StrictlyLeft => "<<",
        Operator::StrictlyRight => ">>",
        Operator::NotExtendRight => "&<",
        Operator::NotExtendLeft => "&>",
        Operator::Adjacent => "-|-",
    }
}

/// PostgreSQL's text form of an array of text.
pub(super) fn array_literal(values: &[String]) -> String {
    let mut literal = String::from("{");
    for (index, value) in values.iter().enumerate() {
        literal.push_str(if index > 0 { ",\"" } else { "\"" });
        for c in value.chars() {
            if matches!(c, '"' | '\\') {
                literal.push('\\');
            }
            literal.push(c);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

/// ` ORDER BY …`, or nothing. `related` writes the value of a field of an embedded resource.
pub(super) fn order_clause(
    sql: &mut Sql,
    scope: &Scope<'_>,
    orderings: &[Ordering],
    related: impl Fn(&mut Sql, usize, &PlannedField),
) {
    if orderings.is_empty() {
        return;
    }
    sql.push(" ORDER BY ");
    sql.list(", ", orderings, |sql, ordering| {
        match ordering.embed {
            None => field(sql, scope.alias, &ordering.field),
            Some(index) => related(sql, index, &ordering.field),
        }
        sql.push(match ordering.descending {
            Some(true) => " DESC",
            Some(false) => " ASC",
            None => "",
        });
        sql.push(match ordering.nulls_first {
            Some(true) => " NULLS FIRST",
            Some(false) => " NULLS LAST",
            None => "",
        });
    });
}
