//! How far it is, for whoever watches a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error that changes, if that is a terminal.
#[derive(Debug)]
pub(super) struct Meter {
    bar: ProgressBar,
}

impl Meter {
    /// Of so many bytes, if that is known.
    pub(super) fn new(bytes: Option<u64>) -> anyhow::Result<Self> {
        let (bar, form) = match bytes {
            Some(bytes) => (
                ProgressBar::new(bytes),
                "{bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left  {msg}",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{spinner} {bytes}, {bytes_per_sec}, {elapsed}  {msg}",
            ),
        };
        let bar = bar.with_style(ProgressStyle::with_template(form)?);
        bar.enable_steady_tick(Duration::from_millis(200));
        Ok(Self { bar })
    }

    /// What it is about now.
    pub(super) fn at(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
    }

    /// Bytes so far.
    pub(super) fn reached(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
