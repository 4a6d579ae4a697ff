//! What a backup says about itself: its head, and what each of its parts is.

use ingot_config::Secret;
use ingot_migration::{Origin, Table};
use ingot_project::Project;
use serde::{Deserialize, Serialize};

use super::frames::fingerprint;

/// The form that this build writes and reads.
pub(super) const FORMAT: u32 = 1;

/// The first frame.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) format: u32,
    /// Version of Ingot.
    pub(super) ingot: String,
    pub(super) project: String,
    /// Which key it is signed with.
    pub(super) key: String,
    /// The moment that all of it shows, in UTC.
    pub(super) taken_at: String,
    pub(super) origin: Origin,
}

/// What the bytes of a part are.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub(super) enum Part {
    /// Rows of a table of the platform, in the text form of `COPY`.
    Rows(Table),
    /// The project's schemas, in `pg_dump`'s own format.
    Objects,
    /// What the project defined on tables of the platform, as SQL.
    Definitions,
}

/// How a part ends.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PartEnd {
    /// Rows of a part that has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<u64>,
}

impl Head {
    /// Says why it is not a backup of this project, if it is not.
    pub(super) fn check(&self, project: &Project, key: &Secret) -> anyhow::Result<()> {
        let (found, wanted) = (&self.project, &project.id);
        anyhow::ensure!(
            found == wanted.as_str(),
            "it is of the project {found}, and the settings are those of {wanted}"
        );
        anyhow::ensure!(
            self.format == FORMAT,
            "it has the form {}, and this build reads {FORMAT}: restore it with the Ingot that made it ({})",
            self.format,
            self.ingot
        );
        anyhow::ensure!(
            self.key == fingerprint(key)?,
            "it was made with another ENCRYPTION_KEY (or JWT_SECRET, where that is unset): without that \
             key, the secrets in it cannot be read"
        );
        Ok(())
    }
}
