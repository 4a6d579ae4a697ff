//! Which projects a fleet has. Each is told by settings of its own, as its services are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_config::{Environment, EnvironmentError, Problems, Settings as _};
use ingot_project::Project;

use crate::BootstrapConfig;
use crate::bootstrap::Owner;

/// What the files of projects end in.
const EXTENSION: &str = "env";

/// The projects that one command works on.
#[derive(Debug, Clone)]
pub struct Fleet {
    pub(super) members: Vec<Member>,
}

/// A project, and who brings it up.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) project: Arc<Project>,
    pub(super) owner: Arc<Owner>,
}

/// Why there is no fleet.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The folder cannot be read.
    #[error("cannot read the folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] EnvironmentError),
    /// Settings are missing or unusable.
    #[error("{origin}: {problems}")]
    Settings {
        /// The file, or the environment.
        origin: String,
        /// What is wrong.
        problems: Problems,
    },
    /// The folder has no projects.
    #[error(
        "there is no *.env file in {0}: give each project one, with at least INGOT_PROJECT, POSTGRES_DB and JWT_SECRET"
    )]
    Empty(PathBuf),
    /// Two files name one project or one database.
    #[error("{first} and {second} both name {what}")]
    Twice {
        /// What they share.
        what: String,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
}

impl Fleet {
    /// The one project of the environment.
    ///
    /// # Errors
    /// A setting is missing or unusable.
    pub fn of_environment(environment: &Environment) -> Result<Self, FleetError> {
        let members = members(environment, "the environment")?;
        Ok(Self { members })
    }

    /// A project for each `*.env` file of the folder: `KEY=value` lines that win over the
    /// environment, which has what the projects share (`POSTGRES_HOST`, the owner's password).
    ///
    /// # Errors
    /// The folder or a file cannot be read, a setting is missing, or two files name one project.
    pub fn of_folder(folder: &Path, environment: &Environment) -> Result<Self, FleetError> {
        let mut fleet = Self {
            members: Vec::new(),
        };
        let mut seen = BTreeMap::new();
        for file in files(folder)? {
            let origin = file.display().to_string();
            let of_file = environment.clone().below(&file)?;
            for member in members(&of_file, &origin)? {
                for what in member.identities() {
                    if let Some(first) = seen.insert(what.clone(), origin.clone()) {
                        return Err(FleetError::Twice {
                            what,
                            first,
                            second: origin,
                        });
                    }
                }
                fleet.members.push(member);
            }
        }
        if fleet.members.is_empty() {
            return Err(FleetError::Empty(folder.to_owned()));
        }
        Ok(fleet)
    }

    /// How many projects it has.
    pub fn size(&self) -> usize {
        self.members.len()
    }
}

impl Member {
    /// What no other member may have: two projects in one database would share their users.
    fn identities(&self) -> [String; 2] {
        let database = &self.project.database;
        [
            format!("project {}", self.project.id),
            format!(
                "database {} of {}:{}",
                database.name, database.host, database.port
            ),
        ]
    }
}

fn members(environment: &Environment, origin: &str) -> Result<Vec<Member>, FleetError> {
    let config = BootstrapConfig::load(environment).map_err(|problems| FleetError::Settings {
        origin: origin.to_owned(),
        problems,
    })?;
    let owner = Arc::new(Owner::new(&config));
    let projects = config.registry.iter().map(|project| Member {
        project: Arc::clone(project),
        owner: Arc::clone(&owner),
    });
    Ok(projects.collect())
}

/// Sorted, so that every run goes the same way.
fn files(folder: &Path) -> Result<Vec<PathBuf>, FleetError> {
    let unreadable = |source| FleetError::Folder {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == EXTENSION)
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
