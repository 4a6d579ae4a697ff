//! Secrets that nobody set: made once, kept in the data folder, readable by its owner alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use ingot_config::{Environment, Secret};
use rand::TryRngCore;
use rand::rngs::OsRng;

use crate::data_folder::write_private;

/// Name of the only administrator, when nobody chose another.
pub(crate) const ADMINISTRATOR: &str = "admin";

/// A variable, and how its value is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) variable: &'static str,
    prefix: &'static str,
    random_bytes: usize,
}

const RECIPES: [Recipe; 6] = [
    recipe("JWT_SECRET", "", 32),
    recipe("ENCRYPTION_KEY", "", 32),
    recipe("INGOT_EDGE_KEY", "", 32),
    recipe("ROOT_ADMIN_PASSWORD", "", 16),
    recipe("ACCESS_API_KEY", "ik_", 32),
    recipe("ACCESS_ANON_KEY", "anon_", 32),
];

pub(crate) const fn recipe(
    variable: &'static str,
    prefix: &'static str,
    random_bytes: usize,
) -> Recipe {
    Recipe {
        variable,
        prefix,
        random_bytes,
    }
}

/// The secrets of one installation.
#[derive(Debug, Clone)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// What the environment sets, else what `file` has, else new ones, which are added to `file`.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn load_or_create(file: &Path, environment: &Environment) -> anyhow::Result<Self> {
        let mut kept = read(file)?;
        let before = kept.len();
        for recipe in &RECIPES {
            if !kept.contains_key(recipe.variable) {
                kept.insert(recipe.variable.to_owned(), recipe.make()?);
            }
        }
        if kept.len() > before {
            write(file, &kept)?;
        }
        Self::chosen(kept, environment)
    }

    /// What the environment sets, and new ones that are kept nowhere, to try settings with.
    ///
    /// # Errors
    /// A file that the environment names cannot be read.
    pub(crate) fn passing(environment: &Environment) -> anyhow::Result<Self> {
        let made = RECIPES
            .iter()
            .map(|recipe| Ok((recipe.variable.to_owned(), recipe.make()?)));
        Self::chosen(made.collect::<anyhow::Result<_>>()?, environment)
    }

    fn chosen(
        mut kept: BTreeMap<String, String>,
        environment: &Environment,
    ) -> anyhow::Result<Self> {
        kept.insert("ROOT_ADMIN_USERNAME".to_owned(), ADMINISTRATOR.to_owned());
        let chosen = kept.into_iter().map(|(variable, kept)| {
            let set = environment.text(&variable).map_err(anyhow::Error::msg)?;
            let value = set.map_or(kept, Cow::into_owned);
            Ok((variable, Secret::new(value)))
        });
        Ok(Self(chosen.collect::<anyhow::Result<_>>()?))
    }

    /// The value of a variable; empty when there is none of that name.
    pub fn get(&self, variable: &str) -> &str {
        self.0.get(variable).map_or("", Secret::expose)
    }
}

impl Recipe {
    /// A new value.
    pub(crate) fn make(&self) -> anyhow::Result<String> {
        let mut bytes = vec![0; self.random_bytes];
        OsRng
            .try_fill_bytes(&mut bytes)
            .context("the system has no random bytes")?;
        Ok(format!("{}{}", self.prefix, hex::encode(bytes)))
    }
}

fn read(file: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(variable, value)| (variable.to_owned(), value.to_owned()))
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn write(file: &Path, secrets: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let mut text = String::new();
    for (variable, value) in secrets {
        text.extend([variable, "=", value, "\n"]);
    }
    write_private(file, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn made_once_kept_private_and_overridden_by_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets.env");
        let first = Secrets::load_or_create(&file, &Environment::default()).unwrap();
        assert_eq!(first.get("JWT_SECRET").len(), 64);
        assert!(first.get("ACCESS_API_KEY").starts_with("ik_"));
        assert_eq!(first.get("ROOT_ADMIN_USERNAME"), "admin");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let chosen = Environment::from_pairs([("ROOT_ADMIN_PASSWORD", "chosen")]);
        let second = Secrets::load_or_create(&file, &chosen).unwrap();
        assert_eq!(second.get("JWT_SECRET"), first.get("JWT_SECRET"));
        assert_eq!(second.get("ROOT_ADMIN_PASSWORD"), "chosen");
    }
}
