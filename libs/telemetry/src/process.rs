//! What the process itself uses: memory, CPU, descriptors, and the limit that its container sets.

use std::sync::OnceLock;

use metrics_process::Collector;

/// Where a container's kernel tells its memory limit (cgroup v2, v1).
const LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

/// Without a limit, cgroup v1 says nearly 2^63.
const NO_LIMIT: f64 = 9.0e18;

/// Sets `process_*`.
pub(crate) fn read() {
    static LIMIT: OnceLock<Option<f64>> = OnceLock::new();
    Collector::default().collect();
    if let Some(limit) = LIMIT.get_or_init(memory_limit) {
        metrics::gauge!("process_memory_limit_bytes").set(*limit);
    }
}

fn memory_limit() -> Option<f64> {
    let text = LIMITS
        .iter()
        .find_map(|file| std::fs::read_to_string(file).ok())?;
    limit_in(&text)
}

/// `max` means none.
fn limit_in(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|limit| *limit < NO_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_that_limits() {
        assert_eq!(limit_in("536870912\n"), Some(536_870_912.0));
        assert_eq!(limit_in("max\n"), None);
        assert_eq!(limit_in("9223372036854771712"), None);
    }
}
