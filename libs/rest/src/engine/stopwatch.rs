//! How long each stage of a request took, for `Server-Timing`.

use std::time::Instant;

/// Measures stages that follow each other.
pub(super) struct Stopwatch {
    begun: Instant,
    stages: Vec<String>,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self {
            begun: Instant::now(),
            stages: Vec::new(),
        }
    }

    /// A stage is over and the next one begins.
    pub(super) fn lap(&mut self, stage: &str) {
        let milliseconds = self.begun.elapsed().as_secs_f64() * 1000.0;
        self.stages.push(format!("{stage};dur={milliseconds:.1}"));
        self.begun = Instant::now();
    }

    /// Value of the header.
    pub(super) fn header(&self) -> String {
        self.stages.join(", ")
    }
}
