//! Where log lines go: into a bounded buffer that one thread empties to standard output.
//!
//! Whoever logs pays for a copy in memory and never waits for the log's reader. One write takes
//! all lines of some milliseconds; a writer that wakes its thread for every line, as
//! `tracing-appender`'s does, costs several times as much under load.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Bytes that wait to be written; beyond, lines are dropped and counted.
const CAPACITY: usize = 4 << 20;
/// How long lines gather before they are written.
const GATHER: Duration = Duration::from_millis(20);
/// With so many bytes, they are written at once.
const PLENTY: usize = 256 << 10;
/// Longest wait for the reader of the log when the process ends.
const PATIENCE: Duration = Duration::from_secs(2);

static OUTPUT: Output = Output {
    state: Mutex::new(State {
        lines: Vec::new(),
        mode: Mode::Direct,
    }),
    changed: Condvar::new(),
};

/// Standard output as the log's end.
struct Output {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    lines: Vec<u8>,
    mode: Mode,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// No thread is there: whoever logs writes.
    Direct,
    /// The thread writes.
    Buffered,
    /// The thread writes what is left, and ends.
    Ending,
}

/// Lines are buffered while this lives; dropping it writes what is left.
#[derive(Debug)]
pub(crate) struct Buffering(());

/// Starts buffering.
pub(crate) fn start() -> Buffering {
    OUTPUT.lock().mode = Mode::Buffered;
    let thread = std::thread::Builder::new().name("log-output".to_owned());
    if let Err(error) = thread.spawn(|| OUTPUT.write_until_the_end()) {
        OUTPUT.lock().mode = Mode::Direct;
        tracing::warn!(%error, "log lines are written where they arise");
    }
    Buffering(())
}

impl Drop for Buffering {
    fn drop(&mut self) {
        OUTPUT.end();
    }
}

/// Takes one whole line.
pub(crate) fn append(line: &[u8]) {
    OUTPUT.append(line);
}

/// The log's end for tracing's formatter, which hands over one whole line per write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

impl Output {
    fn append(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.mode == Mode::Direct {
            drop(state);
            write_out(line);
            return;
        }
        let (before, after) = (state.lines.len(), state.lines.len() + line.len());
        if after > CAPACITY {
            drop(state);
            count_dropped(1);
            return;
        }
        state.lines.extend_from_slice(line);
        drop(state);
        if before == 0 || (before < PLENTY && after >= PLENTY) {
            self.changed.notify_all();
        }
    }

    fn write_until_the_end(&self) {
        let mut batch = Vec::new();
        loop {
            let idle = |state: &mut State| state.lines.is_empty() && state.mode == Mode::Buffered;
            let few =
                |state: &mut State| state.lines.len() < PLENTY && state.mode == Mode::Buffered;
            let state = self.changed.wait_while(self.lock(), idle);
            let state = state.unwrap_or_else(PoisonError::into_inner);
            let gathered = self.changed.wait_timeout_while(state, GATHER, few);
            let (mut state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            if state.mode == Mode::Ending && state.lines.is_empty() {
                state.mode = Mode::Direct;
                drop(state);
                self.changed.notify_all();
                return;
            }
            std::mem::swap(&mut batch, &mut state.lines);
            drop(state);
            write_out(&batch);
            batch.clear();
            batch.shrink_to(PLENTY);
        }
    }

    fn end(&self) {
        let mut state = self.lock();
        if state.mode == Mode::Buffered {
            state.mode = Mode::Ending;
            self.changed.notify_all();
            let under_way = |state: &mut State| state.mode == Mode::Ending;
            // Who does not read for so long loses the last lines; the process has to end.
            drop(self.changed.wait_timeout_while(state, PATIENCE, under_way));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in a locked section can leave a line half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes to standard output. A log that nobody takes any more must not end the process.
fn write_out(lines: &[u8]) {
    let mut output = io::stdout().lock();
    if output
        .write_all(lines)
        .and_then(|()| output.flush())
        .is_err()
    {
        let lost = lines.split(|byte| *byte == b'\n').count() - 1;
        count_dropped(u64::try_from(lost).unwrap_or(u64::MAX));
    }
}

fn count_dropped(lines: u64) {
    metrics::counter!("log_lines_dropped_total").increment(lines);
}
