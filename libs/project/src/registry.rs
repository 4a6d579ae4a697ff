//! Which projects exist. One-project mode reads the environment, with InsForge's variable names.

use std::collections::HashMap;
use std::sync::Arc;

use ingot_config::{Environment, Problems, Secret, Settings, Variable};

use crate::{Database, DatabaseSettings, InvalidProjectId, Project, ProjectId};

ingot_config::settings! {
    /// The project of one-project mode.
    pub struct ProjectSettings {
        /// Name of the project; part of role names and bus subjects.
        id: String = "INGOT_PROJECT", default "default";
        /// Hosts that lead to the project, separated by commas; unset means every host.
        hosts: Vec<String> = "INGOT_PROJECT_HOSTS";
        /// Signs refresh tokens, CSRF values and third-party tokens. At least 32 characters.
        jwt_secret: Secret = "JWT_SECRET";
        /// Encrypts stored secrets; the JWT secret when unset.
        encryption_key: Option<Secret> = "ENCRYPTION_KEY";
        /// Whether a token that somebody else signed with `JWT_SECRET` may name `project_admin`.
        /// Off, whoever gets hold of that secret is no administrator by it.
        third_party_admins: bool = "INGOT_THIRD_PARTY_ADMINS", default "true";
        /// Id of the project at a cloud control plane, which may then let its administrators in.
        cloud_project: Option<String> = "PROJECT_ID";
    }
}

/// The projects that this process serves.
#[derive(Debug, Clone)]
pub struct ProjectRegistry {
    by_id: HashMap<ProjectId, Arc<Project>>,
    by_host: HashMap<String, ProjectId>,
    any_host: Option<ProjectId>,
}

/// The projects could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A setting is missing or unusable.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// The name is no project id.
    #[error("INGOT_PROJECT: {0}")]
    Id(#[from] InvalidProjectId),
    /// Two projects claim one host, or two claim all of them.
    #[error("host `{0}` leads to two projects")]
    HostTaken(String),
}

impl ProjectRegistry {
    /// One project, from the environment.
    pub fn from_environment(environment: &Environment) -> Result<Self, RegistryError> {
        let settings = ProjectSettings::load(environment)?;
        let database = DatabaseSettings::load(environment)?;
        let mut problems = Problems::default();
        check_secret("JWT_SECRET", &settings.jwt_secret, &mut problems);
        if let Some(key) = &settings.encryption_key {
            check_secret("ENCRYPTION_KEY", key, &mut problems);
        }
        let tls = database.tls.parse();
        if tls.is_err() {
            problems.add(
                "POSTGRES_SSLMODE",
                "use disable, prefer, require, verify-ca or verify-full",
            );
        }
        let tls = problems.into_result(|| tls.ok())?;
        let project = Project {
            id: settings.id.parse()?,
            hosts: settings
                .hosts
                .iter()
                .map(|host| host.to_ascii_lowercase())
                .collect(),
            database: Database {
                host: database.host,
                port: database.port,
                name: database.name,
                tls,
            },
            encryption_key: settings
                .encryption_key
                .unwrap_or_else(|| settings.jwt_secret.clone()),
            jwt_secret: settings.jwt_secret,
            third_party_admins: settings.third_party_admins,
            cloud_project: settings.cloud_project,
        };
        Self::of([project])
    }

    /// A registry of exactly these projects.
    pub fn of(projects: impl IntoIterator<Item = Project>) -> Result<Self, RegistryError> {
        let mut registry = Self {
            by_id: HashMap::new(),
            by_host: HashMap::new(),
            any_host: None,
        };
        for project in projects {
            if project.hosts.is_empty() && registry.any_host.replace(project.id.clone()).is_some() {
                return Err(RegistryError::HostTaken("*".to_owned()));
            }
            for host in &project.hosts {
                if registry
                    .by_host
                    .insert(host.clone(), project.id.clone())
                    .is_some()
                {
                    return Err(RegistryError::HostTaken(host.clone()));
                }
            }
            registry.by_id.insert(project.id.clone(), Arc::new(project));
        }
        Ok(registry)
    }

    /// The project of that name.
    pub fn get(&self, id: &ProjectId) -> Option<&Arc<Project>> {
        self.by_id.get(id)
    }

    /// The project of that name, as a header carries it.
    pub fn find(&self, id: &str) -> Option<&Arc<Project>> {
        id.parse().ok().and_then(|id: ProjectId| self.get(&id))
    }

    /// The project that a `Host` header leads to; a port in it is ignored.
    pub fn by_host(&self, host: &str) -> Option<&Arc<Project>> {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let id = self
            .by_host
            .get(name.to_ascii_lowercase().as_str())
            .or(self.any_host.as_ref())?;
        self.get(id)
    }

    /// All projects.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Project>> {
        self.by_id.values()
    }
}

impl Settings for ProjectRegistry {
    fn variables() -> Vec<Variable> {
        [ProjectSettings::variables(), DatabaseSettings::variables()].concat()
    }

    fn load(environment: &Environment) -> Result<Self, Problems> {
        Self::from_environment(environment).map_err(|error| match error {
            RegistryError::Settings(problems) => problems,
            RegistryError::Id(error) => Problems::of("INGOT_PROJECT", error.to_string()),
            taken @ RegistryError::HostTaken(_) => {
                Problems::of("INGOT_PROJECT_HOSTS", taken.to_string())
            }
        })
    }
}

fn check_secret(name: &str, secret: &Secret, problems: &mut Problems) {
    if secret.expose().len() < 32 {
        problems.add(name, "is shorter than 32 characters: generate a longer one");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: (&str, &str) = ("JWT_SECRET", "0123456789abcdef0123456789abcdef");

    #[test]
    fn every_host_leads_to_the_only_project() {
        let registry =
            ProjectRegistry::from_environment(&Environment::from_pairs([SECRET])).unwrap();
        assert_eq!(
            registry.by_host("anything:7130").unwrap().id.as_str(),
            "default"
        );
    }

    #[test]
    fn a_named_host_is_the_only_way_in() {
        let env = Environment::from_pairs([SECRET, ("INGOT_PROJECT_HOSTS", "App.example.com")]);
        let registry = ProjectRegistry::from_environment(&env).unwrap();
        assert!(registry.by_host("APP.example.com:443").is_some());
        assert!(registry.by_host("other.example.com").is_none());
    }

    #[test]
    fn weak_and_public_secrets_are_refused() {
        for secret in ["short", "your_jwt_secret"] {
            let env = Environment::from_pairs([("JWT_SECRET", secret)]);
            assert!(ProjectRegistry::from_environment(&env).is_err());
        }
    }
}
