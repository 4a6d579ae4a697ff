//! The secrets of an installation whose services run in containers: each in a file of its own, in
//! a folder for those who may read it, or as objects for Kubernetes.
//!
//! A service is given the folders that it needs, and reads `JWT_SECRET` from the file that
//! `JWT_SECRET_FILE` names.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::data_folder::write_at_once;
use crate::secrets::{ADMINISTRATOR, Recipe, recipe};

/// Only the user of our services reads it.
const OURS: u32 = 0o400;
/// A program that runs as another user reads it; nobody else gets the folder.
const ANOTHER_PROGRAMS: u32 = 0o444;

/// Secrets that the same processes need.
struct Folder {
    name: &'static str,
    mode: u32,
    recipes: &'static [Recipe],
}

const FOLDERS: [Folder; 4] = [
    // Every process, the edge as well.
    Folder {
        name: "shared",
        mode: OURS,
        recipes: &[
            recipe("INGOT_EDGE_KEY", "", 32),
            // NATS reads a variable as it reads its configuration: this is no number.
            recipe("NATS_PASSWORD", "nats_", 32),
        ],
    },
    // What is behind the edge.
    Folder {
        name: "services",
        mode: OURS,
        recipes: &[
            recipe("JWT_SECRET", "", 32),
            recipe("ENCRYPTION_KEY", "", 32),
            recipe("ROOT_ADMIN_PASSWORD", "", 16),
            recipe("ACCESS_API_KEY", "ik_", 32),
            recipe("ACCESS_ANON_KEY", "anon_", 32),
        ],
    },
    // PostgreSQL and the migration service.
    Folder {
        name: "database",
        mode: ANOTHER_PROGRAMS,
        recipes: &[recipe("POSTGRES_PASSWORD", "", 32)],
    },
    // Grafana.
    Folder {
        name: "dashboards",
        mode: ANOTHER_PROGRAMS,
        recipes: &[recipe("GRAFANA_PASSWORD", "", 16)],
    },
];

/// What `nats-server` includes; it has no other way to read a password from a file.
const NATS_FILE: &str = "shared/nats.conf";

/// Makes the files that `root` lacks and returns them. Doing it again changes nothing.
///
/// # Errors
/// A folder or file cannot be written or read.
pub fn create(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut made = Vec::new();
    for folder in &FOLDERS {
        let path = root.join(folder.name);
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        for recipe in folder.recipes {
            let file = path.join(recipe.variable);
            if !file.exists() {
                write_at_once(&file, &recipe.make()?, folder.mode)?;
                made.push(file);
            }
        }
    }
    let nats = root.join(NATS_FILE);
    if !nats.exists() {
        let password = read(root, "shared", "NATS_PASSWORD")?;
        write_at_once(&nats, &nats_authorization(&password), OURS)?;
        made.push(nats);
    }
    Ok(made)
}

/// The administrator's login and the first keys, as lines of `KEY=value`.
///
/// # Errors
/// The folder does not have them.
pub(crate) fn show(root: &Path) -> anyhow::Result<String> {
    let mut text = format!("ADMIN_USERNAME={ADMINISTRATOR}\n");
    for (label, variable) in [
        ("ADMIN_PASSWORD", "ROOT_ADMIN_PASSWORD"),
        ("API_KEY", "ACCESS_API_KEY"),
        ("ANON_KEY", "ACCESS_ANON_KEY"),
    ] {
        let value = read(root, "services", variable)?;
        text.extend([label, "=", &value, "\n"]);
    }
    Ok(text)
}

/// New secrets as Kubernetes objects, one per folder: `ingot-shared` and so on.
///
/// # Errors
/// The system has no random bytes.
pub fn kubernetes_secrets(namespace: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    for folder in FOLDERS.iter().filter(|folder| folder.name != "dashboards") {
        let name = folder.name;
        text.extend([
            "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: ingot-",
            name,
        ]);
        text.extend([
            "\n  namespace: ",
            namespace,
            "\ntype: Opaque\nstringData:\n",
        ]);
        for recipe in folder.recipes {
            // In quotes, for digits alone would be a number.
            text.extend(["  ", recipe.variable, ": \"", &recipe.make()?, "\"\n"]);
        }
    }
    Ok(text)
}

fn nats_authorization(password: &str) -> String {
    format!("authorization {{ user: ingot, password: \"{password}\" }}\n")
}

fn read(root: &Path, folder: &str, variable: &str) -> anyhow::Result<String> {
    let file = root.join(folder).join(variable);
    std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn made_once_each_for_its_readers_and_shown_to_people() {
        let root = tempfile::tempdir().unwrap();
        let made = create(root.path()).unwrap();
        assert_eq!(made.len(), 10);
        let content = |path: &Path| std::fs::read_to_string(path).unwrap();
        let before: Vec<_> = made.iter().map(|file| content(file)).collect();
        assert_eq!(create(root.path()).unwrap(), Vec::<PathBuf>::new());
        let after: Vec<_> = made.iter().map(|file| content(file)).collect();
        assert_eq!(before, after);

        let mode = |file: &str| {
            let metadata = std::fs::metadata(root.path().join(file)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(mode("services/JWT_SECRET"), 0o400);
        assert_eq!(mode("database/POSTGRES_PASSWORD"), 0o444);

        let shown = show(root.path()).unwrap();
        let key = content(&root.path().join("services/ACCESS_API_KEY"));
        assert!(shown.contains(&format!("API_KEY={key}\n")), "{shown}");
        assert!(!shown.contains("JWT"), "{shown}");
        let password = content(&root.path().join("shared/NATS_PASSWORD"));
        assert!(content(&root.path().join(NATS_FILE)).contains(&password));
    }

    #[test]
    fn kubernetes_objects_have_every_secret_of_the_services_and_no_two_alike() {
        let (one, other) = (
            kubernetes_secrets("a").unwrap(),
            kubernetes_secrets("a").unwrap(),
        );
        assert_ne!(one, other);
        for name in ["ingot-shared", "ingot-services", "ingot-database"] {
            assert!(one.contains(&format!("  name: {name}\n  namespace: a\n")));
        }
        assert!(one.contains("  JWT_SECRET: \"") && one.contains("  POSTGRES_PASSWORD: \""));
    }
}
