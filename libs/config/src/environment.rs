//! Where settings come from: process variables, a `KEY=value` file below them, and for each
//! setting a file of its own, as orchestrators hand over secrets.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Problems, SettingValue};

/// Variable that names the settings file.
const FILE_VARIABLE: &str = "INGOT_CONFIG_FILE";

/// `JWT_SECRET_FILE` names the file that has the value of `JWT_SECRET`.
const FILE_SUFFIX: &str = "_FILE";

/// A snapshot of the variables. Variables of the process win over the file's; an empty value
/// counts as unset (contract, platform §13).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    values: BTreeMap<String, String>,
}

/// The settings file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// It could not be read.
    #[error("cannot read the settings file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not `KEY=value`, blank or a `#` comment.
    #[error("{path}, line {line}: expected KEY=value")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
    },
}

impl Environment {
    /// The process environment, above the file that `INGOT_CONFIG_FILE` names, if any.
    pub fn from_process() -> Result<Self, EnvironmentError> {
        match std::env::var_os(FILE_VARIABLE) {
            Some(path) if !path.is_empty() => Self::above(Path::new(&path)),
            _ => Ok(Self::process_above(BTreeMap::new())),
        }
    }

    /// The process environment, above this file.
    pub fn above(file: &Path) -> Result<Self, EnvironmentError> {
        Ok(Self::process_above(read_file(file)?))
    }

    /// This environment, below a file: what the file says wins.
    ///
    /// # Errors
    /// The file cannot be read, or a line is not `KEY=value`.
    pub fn below(self, file: &Path) -> Result<Self, EnvironmentError> {
        Ok(self.with(read_file(file)?))
    }

    fn process_above(mut values: BTreeMap<String, String>) -> Self {
        values.extend(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }));
        Self { values }
    }

    /// An environment of its own, for tests and for services that share a process.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self {
            values: pairs
                .into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
        }
    }

    /// The same environment with some variables replaced.
    #[must_use]
    pub fn with<K: Into<String>, V: Into<String>>(
        mut self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.values
            .extend(pairs.into_iter().map(|(k, v)| (k.into(), v.into())));
        self
    }

    /// A variable's text; empty counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A setting's text: the variable's, else the content, without the final line end, of the
    /// file that `<name>_FILE` names. Empty counts as unset.
    ///
    /// # Errors
    /// The file cannot be read; the message names it.
    pub fn text(&self, name: &str) -> Result<Option<Cow<'_, str>>, String> {
        if let Some(text) = self.get(name) {
            return Ok(Some(Cow::Borrowed(text)));
        }
        let Some(path) = self.get(&format!("{name}{FILE_SUFFIX}")) else {
            return Ok(None);
        };
        let content = std::fs::read_to_string(path).map_err(|error| {
            format!("cannot read the file {path} that {name}{FILE_SUFFIX} names: {error}")
        })?;
        let text = content.trim_end_matches(['\r', '\n']);
        Ok((!text.is_empty()).then(|| Cow::Owned(text.to_owned())))
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Reads one setting and notes what is wrong with it.
    #[doc(hidden)]
    pub fn read<T: SettingValue>(
        &self,
        names: &[&str],
        default: Option<&str>,
        problems: &mut Problems,
    ) -> Option<T> {
        let set = names.iter().find_map(|name| match self.text(name) {
            Ok(text) => Some((*name, Ok(text?))),
            Err(complaint) => Some((*name, Err(complaint))),
        });
        let (name, text) = match set {
            Some((name, Ok(text))) => (name, Some(text)),
            Some((name, Err(complaint))) => {
                problems.add(name, complaint);
                return None;
            }
            None => (
                names.first().copied().unwrap_or_default(),
                default.map(Cow::Borrowed),
            ),
        };
        let Some(text) = text else {
            let absent = T::when_absent();
            if absent.is_none() {
                problems.add(name, format!("is required: set it to {}", T::KIND));
            }
            return absent;
        };
        T::parse(&text)
            .map_err(|complaint| problems.add(name, complaint))
            .ok()
    }

    /// Complains about `INGOT_*` variables that no declaration knows: most often a typing error.
    pub fn unknown(&self, known: &[crate::Variable]) -> Problems {
        let mut problems = Problems::default();
        let is_known = |name: &str| {
            let declared = |v: &crate::Variable| v.name == name || v.aliases.contains(&name);
            known.iter().any(declared)
        };
        for name in self.values.keys().filter(|name| name.starts_with("INGOT_")) {
            let declared = name == FILE_VARIABLE
                || is_known(name)
                || name.strip_suffix(FILE_SUFFIX).is_some_and(is_known);
            if !declared {
                problems.add(
                    name,
                    "is not a setting of Ingot: correct the name or remove it",
                );
            }
        }
        problems
    }
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>, EnvironmentError> {
    let text = std::fs::read_to_string(path).map_err(|source| EnvironmentError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let mut values = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(EnvironmentError::Malformed {
                path: path.to_owned(),
                line: index + 1,
            });
        };
        values.insert(
            key.trim().to_owned(),
            value.trim().trim_matches('"').to_owned(),
        );
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Secret, Settings};

    crate::settings! {
        /// Settings of this test.
        struct Sample {
            /// A port.
            port: u16 = "PORT", default "7130";
            /// A required secret.
            secret: Secret = "JWT_SECRET";
            /// Something optional with an old name.
            admin: Option<String> = "ROOT_ADMIN_USERNAME" or "ADMIN_EMAIL";
        }
    }

    #[test]
    fn defaults_aliases_and_required_values() {
        let env = Environment::from_pairs([("JWT_SECRET", "s"), ("ADMIN_EMAIL", "a@b.c")]);
        let sample = Sample::load(&env).unwrap();
        assert_eq!(
            (sample.port, sample.admin.as_deref()),
            (7130, Some("a@b.c"))
        );
        assert_eq!(format!("{:?}", sample.secret), "***");
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let problems = Sample::load(&Environment::from_pairs([("PORT", "70000")])).unwrap_err();
        let named: Vec<_> = problems.iter().map(|p| p.variable.as_str()).collect();
        assert_eq!(named, ["PORT", "JWT_SECRET"]);
    }

    #[test]
    fn an_unknown_ingot_variable_is_named() {
        let env = Environment::from_pairs([("INGOT_PROT", "1"), ("HOME", "/root")]);
        assert_eq!(env.unknown(&[]).iter().count(), 1);
        let known = crate::Variable {
            name: "INGOT_EDGE_KEY",
            aliases: &[],
            default: None,
            kind: "",
            meaning: &[],
        };
        let env = Environment::from_pairs([("INGOT_EDGE_KEY_FILE", "/a"), ("INGOT_X_FILE", "/b")]);
        let unknown: Vec<_> = env.unknown(&[known]).iter().cloned().collect();
        assert_eq!(unknown.len(), 1);
        assert_eq!(unknown[0].variable, "INGOT_X_FILE");
    }

    #[test]
    fn a_setting_may_be_the_content_of_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from the file\n").unwrap();
        let path = file.path().to_str().unwrap();
        let secret = |pairs: &[(&str, &str)]| {
            let env = Environment::from_pairs(pairs.iter().copied());
            Sample::load(&env).map(|sample| sample.secret.expose().to_owned())
        };
        let named = ("JWT_SECRET_FILE", path);
        assert_eq!(secret(&[named]).unwrap(), "from the file");
        let both = [named, ("JWT_SECRET", "from the variable")];
        assert_eq!(secret(&both).unwrap(), "from the variable");

        std::fs::write(file.path(), "\n").unwrap();
        assert!(
            secret(&[named])
                .unwrap_err()
                .to_string()
                .contains("is required")
        );
        let problems = secret(&[("JWT_SECRET_FILE", "/nowhere/secret")]).unwrap_err();
        let problem = problems.iter().next().unwrap();
        assert_eq!(problem.variable, "JWT_SECRET");
        assert!(problem.complaint.contains("/nowhere/secret"), "{problems}");
    }
}
