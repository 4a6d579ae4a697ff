//! Programs that tests need and that are installed below the target folder, not into the system: those
//! that check deployment files and OpenAPI documents, and the newest PostgreSQL.
//!
//! Debian's packages are unpacked and not installed, for installing Prometheus would leave it
//! running, and a `kubectl` of one's own stays the one in use.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::command::{self, program, root, target};
use crate::newest;

/// `kubectl`, which renders kustomizations, and `promtool`.
const PACKAGES: [&str; 2] = ["kubernetes-client", "prometheus"];

/// Names and versions of Python's packages.
const REQUIREMENTS: &str = "deploy/checks/requirements.txt";

/// Where they are.
pub(crate) fn folder() -> PathBuf {
    target().join("tools")
}

/// Installs them unless that was done for the same list.
pub(crate) fn install() -> anyhow::Result<()> {
    let lock = format!("{}/package-lock.json", newest::PACKAGES);
    let wanted = std::fs::read_to_string(root().join(REQUIREMENTS))?
        + &std::fs::read_to_string(root().join(lock))?
        + &PACKAGES.join("\n");
    let tools = folder();
    let done = tools.join("done");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if tools.exists() {
        std::fs::remove_dir_all(&tools)?;
    }
    std::fs::create_dir_all(&tools)?;
    unpack_packages(&tools)?;
    install_python(&tools)?;
    newest::install(&tools)?;
    std::fs::write(done, wanted)?;
    Ok(())
}

fn unpack_packages(tools: &Path) -> anyhow::Result<()> {
    let downloads = tools.join("downloads");
    std::fs::create_dir_all(&downloads)?;
    let download = || {
        let mut apt = program("apt-get", &["download", "--quiet=2"]);
        apt.args(PACKAGES).current_dir(&downloads);
        command::run(apt)
    };
    if download().is_err() {
        // The lists may be missing or old.
        command::run(as_root("apt-get", &["update", "--quiet=2"]))?;
        download()?;
    }
    for file in std::fs::read_dir(&downloads)? {
        let (file, to) = (file?.path(), tools.join("debian"));
        let mut unpack = program("dpkg-deb", &["--extract"]);
        unpack.args([&file, &to]);
        command::run(unpack)?;
    }
    std::fs::remove_dir_all(downloads)?;
    Ok(())
}

fn install_python(tools: &Path) -> anyhow::Result<()> {
    let home = tools.join("python");
    let mut make = program("python3", &["-m", "venv"]);
    make.arg(&home);
    command::run(make).context("python3-venv is missing: run deploy/install-packages.sh tests")?;
    let pip = home.join("bin/pip");
    ensure!(pip.is_file(), "{} is missing", pip.display());
    let mut install = Command::new(pip);
    install
        .args(["install", "--quiet", "--no-deps", "--requirement"])
        .arg(root().join(REQUIREMENTS));
    command::run(install)
}

fn as_root(name: &str, arguments: &[&str]) -> Command {
    let root_already = std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    if root_already {
        return program(name, arguments);
    }
    let mut sudo = program("sudo", &[name]);
    sudo.args(arguments);
    sudo
}
