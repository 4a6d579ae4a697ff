//! Function calls.

use super::builder::{Parameter as Bound, Sql};
use super::mutate::rows_of_body;
use super::predicate::array_literal;
use crate::plan::call::{Arguments, CallPlan};
use crate::plan::mutate::{Target, Values};
use crate::schema::Parameter;

/// `SELECT pgrst_call.… FROM …`
pub(super) fn write(sql: &mut Sql, plan: &CallPlan) {
    let single_value = plan.read.is_none();
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
        full_type: parameter.data_type.clone(),
        default: None,
        from_json: None,
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
                    .push(&parameter.data_type)
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
