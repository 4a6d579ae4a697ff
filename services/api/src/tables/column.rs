//! Column types and defaults of the API, and what they are in SQL (contract, database §3.2, §3.3).

use crate::database::quote_literal;

/// Columns that every table made by the API has, with their types.
pub(super) const RESERVED: [(&str, ColumnType); 3] = [
    ("id", ColumnType::Uuid),
    ("created_at", ColumnType::Datetime),
    ("updated_at", ColumnType::Datetime),
];

/// The type of a reserved column.
pub(super) fn reserved_type(column: &str) -> Option<ColumnType> {
    RESERVED
        .iter()
        .find(|(name, _)| *name == column)
        .map(|(_, column_type)| *column_type)
}

/// A column type of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnType {
    String,
    Date,
    Datetime,
    Integer,
    Float,
    Boolean,
    Uuid,
    Json,
}

impl ColumnType {
    /// All names, for error texts.
    pub(super) const NAMES: &'static str =
        "string, date, datetime, integer, float, boolean, uuid, json";

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::String,
            "date" => Self::Date,
            "datetime" => Self::Datetime,
            "integer" => Self::Integer,
            "float" => Self::Float,
            "boolean" => Self::Boolean,
            "uuid" => Self::Uuid,
            "json" => Self::Json,
            _ => return None,
        })
    }

    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::String => "TEXT",
            Self::Date => "DATE",
            Self::Datetime => "TIMESTAMPTZ",
            Self::Integer => "INTEGER",
            Self::Float => "DOUBLE PRECISION",
            Self::Boolean => "BOOLEAN",
            Self::Uuid => "UUID",
            Self::Json => "JSONB",
        }
    }

    /// Default of a column that must not be null and was given none.
    pub(super) fn natural_default(self) -> Option<&'static str> {
        match self {
            Self::Date | Self::Datetime => Some("now()"),
            Self::Boolean => Some("false"),
            Self::Uuid => Some("gen_random_uuid()"),
            _ => None,
        }
    }
}

/// A default as SQL. Two functions stay calls; everything else is a literal, so that no expression
/// of the caller's ever runs.
pub(super) fn default_sql(value: &str) -> String {
    let value = value.trim();
    for function in ["now()", "gen_random_uuid()"] {
        if value.eq_ignore_ascii_case(function) {
            return function.to_owned();
        }
    }
    quote_literal(value)
}

/// A catalogue's default expression as the API shows it.
pub(super) fn shown_default(expression: &str) -> String {
    if let Some(rest) = expression.strip_prefix('\'')
        && let Some((literal, _)) = rest.rsplit_once("'::")
    {
        return literal.replace("''", "'");
    }
    match expression.rsplit_once("::") {
        // A cast inside of a call, such as nextval('s'::regclass), is part of the expression.
        Some((value, cast)) if !cast.contains(')') => value.to_owned(),
        _ => expression.to_owned(),
    }
}

/// A catalogue's type as the API names it.
pub(super) fn shown_type(data_type: &str, type_name: &str) -> String {
    let name = match data_type {
        "uuid" => "uuid",
        "timestamp with time zone" => "datetime",
        "date" => "date",
        "integer" | "bigint" | "smallint" => "integer",
        "real" | "double precision" | "numeric" => "float",
        "boolean" => "boolean",
        "json" | "jsonb" | "ARRAY" => "json",
        "text" | "character varying" | "character" => "string",
        "USER-DEFINED" => type_name,
        other => return other.chars().take(8).collect(),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_never_run_as_expressions() {
        assert_eq!(default_sql(" NOW() "), "now()");
        assert_eq!(default_sql("5"), "'5'");
        assert_eq!(
            default_sql("x'; drop table t; --"),
            "'x''; drop table t; --'"
        );
    }

    #[test]
    fn defaults_are_shown_without_their_casts() {
        for (expression, shown) in [
            ("'it''s'::text", "it's"),
            ("now()", "now()"),
            ("5", "5"),
            ("'{}'::jsonb", "{}"),
            ("nextval('a.s'::regclass)", "nextval('a.s'::regclass)"),
            ("CURRENT_TIMESTAMP::date", "CURRENT_TIMESTAMP"),
        ] {
            assert_eq!(shown_default(expression), shown, "{expression}");
        }
    }

    #[test]
    fn types_are_shown_as_the_api_names_them() {
        assert_eq!(shown_type("bigint", "int8"), "integer");
        assert_eq!(shown_type("USER-DEFINED", "mood"), "mood");
        assert_eq!(
            shown_type("timestamp without time zone", "timestamp"),
            "timestam"
        );
    }
}
