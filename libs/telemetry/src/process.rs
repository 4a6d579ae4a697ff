//! What the process itself uses: memory, CPU, descriptors, and the limit that its container sets.

use std::sync::OnceLock;

use metrics_process::Collector;

/// Where a container's kernel tells its memory limit (cgroup v2, v1).
const LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

/// Without a limit, cgroup v1 says nearly 2^63.
const NO_LIMIT: u64 = 1 << 62;

/// Sets `process_*`.
pub(crate) fn read() {
    Collector::default().collect();
    if let Some(limit) = memory_limit() {
        #[allow(clippy::cast_precision_loss, reason = "a metric is as exact as that")]
        metrics::gauge!("process_memory_limit_bytes").set(limit as f64);
    }
}

/// Bytes of memory that the process's container may use; `None` where nothing limits it.
pub fn memory_limit() -> Option<u64> {
    static LIMIT: OnceLock<Option<u64>> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let text = LIMITS
            .iter()
            .find_map(|file| std::fs::read_to_string(file).ok())?;
        limit_in(&text)
    })
}

/// Bytes of memory that the process uses (its resident set).
pub fn memory_in_use() -> Option<u64> {
    resident_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// `max` means none.
fn limit_in(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit < NO_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_that_limits() {
        assert_eq!(limit_in("536870912\n"), Some(536_870_912));
        assert_eq!(limit_in("max\n"), None);
        assert_eq!(limit_in("9223372036854771712"), None);
    }

    #[test]
    fn the_resident_set_is_found() {
        let status = "VmSize:\t 1000 kB\nVmRSS:\t   512 kB\n";
        assert_eq!(resident_in(status), Some(524_288));
        assert!(memory_in_use().is_some_and(|bytes| bytes > 1 << 20));
    }
}
