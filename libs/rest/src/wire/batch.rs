//! Statements on their way out, encoded one after the other.

use std::io;

use bytes::{BufMut, BytesMut};
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend::{self, BindError};

use super::error::WireError;

/// Result format of every column.
const BINARY: i16 = 1;

/// Where a statement comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    /// Parsed and forgotten.
    Unnamed(&'a str),
    /// Parsed and kept under a name.
    Prepare { name: &'a str, text: &'a str },
    /// Kept under that name already. Its rows come without a description.
    Prepared(&'a str),
}

/// Statements that leave in one write.
///
/// What lies between two [`Batch::sync`] is one transaction, unless it says `BEGIN`. An error skips
/// the rest up to the next one.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(super) out: BytesMut,
    /// Names under which statements are parsed, in order; the unnamed among them.
    pub(super) parses: Vec<Option<String>>,
    pub(super) steps: usize,
    pub(super) syncs: usize,
    /// Something came after the last sync.
    open: bool,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Reuses a buffer.
    pub(super) fn within(mut out: BytesMut) -> Self {
        out.clear();
        Self {
            out,
            ..Self::default()
        }
    }

    /// Adds a statement and returns its place among the answers. Values are in text form, and
    /// PostgreSQL decides their types. Rows come in binary form.
    pub(crate) fn add<'v>(
        &mut self,
        source: Source<'_>,
        values: impl IntoIterator<Item = &'v [u8]>,
    ) -> Result<usize, WireError> {
        self.encode(source, values).map_err(WireError::refused)?;
        self.steps += 1;
        self.open = true;
        Ok(self.steps - 1)
    }

    fn encode<'v>(
        &mut self,
        source: Source<'_>,
        values: impl IntoIterator<Item = &'v [u8]>,
    ) -> io::Result<()> {
        let out = &mut self.out;
        let name = match source {
            Source::Unnamed(text) => {
                frontend::parse("", text, [], out)?;
                self.parses.push(None);
                ""
            }
            Source::Prepare { name, text } => {
                frontend::parse(name, text, [], out)?;
                self.parses.push(Some(name.to_owned()));
                name
            }
            Source::Prepared(name) => name,
        };
        let as_they_are = |value: &[u8], out: &mut BytesMut| {
            out.put_slice(value);
            Ok(IsNull::No)
        };
        let bound = frontend::bind("", name, [], values, as_they_are, [BINARY], out);
        bound.map_err(|error| match error {
            BindError::Serialization(error) => error,
            BindError::Conversion(error) => io::Error::other(error),
        })?;
        if !matches!(source, Source::Prepared(_)) {
            frontend::describe(b'P', "", out)?;
        }
        frontend::execute("", 0, out)
    }

    /// Forgets a statement that was kept.
    pub(crate) fn close(&mut self, name: &str) -> Result<(), WireError> {
        self.open = true;
        frontend::close(b'S', name, &mut self.out).map_err(WireError::refused)
    }

    /// Adds statements without values that are a transaction of their own, after what came before.
    pub(crate) fn add_text(&mut self, text: &str) -> Result<(), WireError> {
        self.finish();
        frontend::query(text, &mut self.out).map_err(WireError::refused)?;
        self.syncs += 1;
        Ok(())
    }

    /// Ends a transaction.
    pub(crate) fn sync(&mut self) {
        frontend::sync(&mut self.out);
        self.syncs += 1;
        self.open = false;
    }

    /// Ends the last transaction, if that was not done.
    pub(super) fn finish(&mut self) {
        if self.open {
            self.sync();
        }
    }
}
