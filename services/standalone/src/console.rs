//! What `ingot` says to the person who started it.

use std::io::Write;

/// Progress, on standard error: standard output is for results.
pub(crate) fn progress(text: &str) {
    // A closed terminal is no reason to stop.
    writeln!(std::io::stderr(), "{text}").ok();
}

/// A result, on standard output.
pub(crate) fn result(text: &str) {
    let mut output = std::io::stdout();
    write!(output, "{text}").and_then(|()| output.flush()).ok();
}
