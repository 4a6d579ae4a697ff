//! Function calls.

use super::builder::{Parameter as Bound, Sql};
use super::mutate::rows_of_body;
use super::predicate::array_literal;
use crate::plan::call::{Arguments, CallPlan};
use crate::plan::mutate::{Target, Values};
use crate::schema::Parameter;

/// `SELECT pgrst_call.… FROM …`
pub(super) fn write(sql: &mut Sql, plan: &CallPlan) {
    let single_value = plan.returns_values();
    sql.push("SELECT ");
    sql.push(if single_value {
        "pgrst_call.pgrst_scalar"
    } else {
        "pgrst_call.*"
    });
    sql.push(" ");
    let arguments = &plan.arguments;
    if let Arguments::Json {
        body,
        is_object,
        parameters,
    } = arguments
        && !parameters.is_empty()
    {
        let values = Values {
            body: body.clone(),
            is_object: *is_object,
            columns: parameters.iter().map(target).collect(),
            defaults: false,
        };
        rows_of_body(sql, &values, true);
        sql.push(", LATERAL ");
    } else {
        sql.push("FROM ");
    }
    sql.push(if single_value { "(SELECT " } else { "" });
    sql.object(&plan.function.name).push("(");
    write_arguments(sql, arguments);
    sql.push(if single_value {
        ") AS pgrst_scalar) pgrst_call"
    } else {
        ") pgrst_call"
    });
}

fn target(parameter: &Parameter) -> Target {
    Target {
        name: parameter.name.clone(),
        full_type: roomy(&parameter.data_type),
        default: None,
        from_json: None,
    }
}

/// The type of an argument's value. Without a length some types would have one character or bit,
/// but parameters take any number.
fn roomy(data_type: &str) -> String {
    let (element, rest) = match data_type.split_once("[]") {
        Some((element, _)) => (element, "[]"),
        None => (data_type, ""),
    };
    match element {
        "character" | "bit" => format!("{element} varying{rest}"),
        _ => data_type.to_owned(),
    }
}

fn write_arguments(sql: &mut Sql, arguments: &Arguments) {
    match arguments {
        Arguments::Direct(values) => {
            sql.list(", ", values, |sql, (parameter, given)| {
                named(sql, parameter);
                let value = if parameter.variadic {
                    array_literal(given)
                } else {
                    given.first().cloned().unwrap_or_default()
                };
                sql.push("CAST(")
                    .value(value)
                    .push(" AS ")
                    .push(&roomy(&parameter.data_type))
                    .push(")");
            });
        }
        Arguments::Json { parameters, .. } => {
            sql.list(", ", parameters, |sql, parameter| {
                named(sql, parameter);
                sql.column("pgrst_body", &parameter.name);
            });
        }
        // Values travel as text, and the text form of bytes is hexadecimal.
        Arguments::Whole { body, data_type } if data_type == "bytea" => {
            let digits = format!("\\x{}", hex::encode(body));
            sql.push("CAST(").value(digits).push(" AS bytea)");
        }
        Arguments::Whole { body, data_type } => {
            sql.push("CAST(");
            sql.parameter(Bound::Body(body.clone()))
                .push(" AS ")
                .push(data_type)
                .push(")");
        }
    }
}

fn named(sql: &mut Sql, parameter: &Parameter) {
    sql.push(if parameter.variadic { "VARIADIC " } else { "" });
    sql.name(&parameter.name).push(" := ");
}
