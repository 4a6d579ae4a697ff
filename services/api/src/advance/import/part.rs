//! The parts of a dump, and what is wrong with one that has none.

use std::{io, iter};

use ingot_sql_guard::boundary;

/// One part of a dump, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Complete statements.
    Statements(Batch),
    /// A `COPY ... FROM STDIN`, whose lines follow as [`Part::CopyData`] up to a [`Part::CopyEnd`].
    Copy(Batch),
    CopyData(Vec<u8>),
    CopyEnd,
}

/// Statements that run together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) sql: String,
    /// The line, from 1, on which each statement begins.
    pub(crate) lines: Vec<u64>,
}

impl Batch {
    /// The statements one by one.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &str> {
        let mut rest = self.sql.as_str();
        iter::from_fn(move || {
            rest = rest.get(boundary::gap(rest.as_bytes())..)?;
            let length = boundary::statement(rest.as_bytes()).unwrap_or(rest.len());
            let (statement, after) = rest.split_at_checked(length)?;
            rest = after;
            (!statement.is_empty()).then_some(statement)
        })
    }
}

/// Why a dump cannot be cut.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScriptError {
    #[error("the dump cannot be read back")]
    Read(#[from] io::Error),
    #[error("the dump is blank")]
    Empty,
    #[error("The statement that begins on line {0} is longer than 16 MiB: split it")]
    TooLong(u64),
    #[error(
        "The rows of the COPY on line {0} have no end: a line with \\. must follow the last one, so the \
         dump was cut off"
    )]
    OpenCopy(u64),
    #[error("The statement that begins on line {0} is not UTF-8: export the dump in UTF-8")]
    Encoding(u64),
    #[error("Line {line} is a psql command ({command}): remove it, only SQL can be imported")]
    Command { line: u64, command: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_tells_its_statements() {
        let batch = Batch {
            sql: "SELECT 'ü;';\nSELECT $$;$$;\nSELECT 3\n".to_owned(),
            lines: vec![1, 2, 3],
        };
        let statements: Vec<_> = batch.statements().map(str::trim).collect();
        assert_eq!(statements, ["SELECT 'ü;';", "SELECT $$;$$;", "SELECT 3"]);
    }
}
