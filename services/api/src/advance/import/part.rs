//! The parts of a dump, and what is wrong with one that has none.

use std::io;

use super::lexer::Lexer;

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
        let mut lexer = Lexer::new();
        self.sql
            .split_inclusive(move |c: char| {
                let mut bytes = [0; 4];
                let bytes = c.encode_utf8(&mut bytes).as_bytes();
                // Only a byte of its own ends a statement, so no end is passed over.
                bytes.iter().filter_map(|b| lexer.take(*b)).count() > 0
            })
            .filter(|text| !text.trim().is_empty())
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
