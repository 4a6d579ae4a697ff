//! Open files: what limits how many connections a process can have.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit of this process and of those that it starts as far as it may.
pub(crate) fn raise_limit() {
    const WANTED: u64 = 65_536;
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Only administrators may raise the upper limit.
        if most >= WANTED || setrlimit(Resource::RLIMIT_NOFILE, WANTED, WANTED).is_err() {
            setrlimit(Resource::RLIMIT_NOFILE, most, most).ok();
        }
    }
}

/// Files that each process may have.
pub(crate) fn limit() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(limit, _)| limit);
    usize::try_from(limit).unwrap_or(usize::MAX)
}
