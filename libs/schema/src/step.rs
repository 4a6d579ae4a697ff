//! The embedded steps.

use sha2::{Digest, Sha256};

/// One numbered file of `migrations/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its number: 1, 2, 3, … without gaps.
    pub number: u32,
    /// The rest of the file name.
    pub name: &'static str,
    /// The whole file.
    pub sql: &'static str,
}

/// All steps of this build, in order.
pub const STEPS: &[Step] = include!(concat!(env!("OUT_DIR"), "/steps.rs"));

impl Step {
    /// SHA-256 of the file in lower-case hex, as the ledger records it.
    pub fn checksum(&self) -> String {
        hex::encode(Sha256::digest(self.sql.as_bytes()))
    }
}

/// Number of the newest step of this build.
pub fn latest_version() -> u32 {
    STEPS.last().map_or(0, |step| step.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_without_gaps() {
        assert!(
            STEPS
                .iter()
                .map(|step| step.number)
                .eq(1..=latest_version())
        );
        assert!(latest_version() >= 8);
    }
}
