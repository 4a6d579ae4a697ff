//! Bounds how much of a file is read for one row: a quote or a bracket without an end would take the
//! rest of the file into memory.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Most bytes of one row, which are also those of one statement of an import. What is read ahead
/// comes to it.
pub(super) const MAX_ROW: usize = ingot_sql_guard::MAX_SQL_BYTES;

/// How much was read since the last row. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(Rc<Cell<usize>>);

impl Meter {
    /// A row has come to its end.
    pub(super) fn begin_row(&self) {
        self.0.set(0);
    }

    /// Whether a row was too long, so that reading was refused.
    pub(super) fn is_exceeded(&self) -> bool {
        self.0.get() > MAX_ROW
    }
}

/// A file whose rows are measured.
#[derive(Debug)]
pub(super) struct Metered<R> {
    pub(super) file: R,
    pub(super) meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.meter.is_exceeded() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let count = self.file.read(buffer)?;
        self.meter.0.set(self.meter.0.get() + count);
        Ok(count)
    }
}
