//! The files of the container image: everything that `deploy/Dockerfile` does besides copying.
//!
//! Two trees are laid out. `system` belongs to root and is read-only in a container; `state` has
//! the empty folders that volumes are mounted on, which belong to the user of the services.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::command::{self, program, root, target};

/// The program, which is every service by its name.
const PROGRAM: &str = "ingot";

/// Its names as services.
const SERVICES: [&str; 6] = [
    "ingot-api",
    "ingot-edge",
    "ingot-listen-relay",
    "ingot-migration",
    "ingot-realtime-fanout",
    "ingot-records-proxy",
];

/// Largest size of the program, in bytes.
const MOST_BYTES: u64 = 60 << 20;

/// Shared libraries that the image's base has. Another one would end a program at its start.
const LIBRARIES: [&str; 5] = [
    "ld-linux",
    "libc.so",
    "libgcc_s.so",
    "libm.so",
    "linux-vdso.so",
];

/// Mount points; `ingot secrets create /secrets` fills the last four.
const FOLDERS: [&str; 7] = [
    "data",
    "uploads",
    "backups",
    "secrets/shared",
    "secrets/services",
    "secrets/database",
    "secrets/dashboards",
];

/// PostgreSQL's own programs that backups are made with. Debian's are those of PostgreSQL 15: they
/// back up servers up to that version.
const BACKUP_TOOLS: [&str; 2] = ["pg_dump", "pg_restore"];

/// Lays the image out in `out`, with programs that are built for it, or with those of tests.
pub(crate) fn run(out: Option<&Path>, tree_only: bool) -> anyhow::Result<()> {
    let profile = if tree_only { "dev" } else { "dist" };
    command::run(program(
        "cargo",
        &[
            "build",
            "--workspace",
            "--bin",
            PROGRAM,
            "--locked",
            "--profile",
            profile,
        ],
    ))?;
    let built = target().join(if tree_only { "debug" } else { "dist" });
    let out = out.map_or_else(|| target().join("image"), |out| root().join(out));
    if out.exists() {
        std::fs::remove_dir_all(&out).with_context(|| format!("cannot empty {}", out.display()))?;
    }
    let programs = out.join("system/usr/local/bin");
    std::fs::create_dir_all(&programs)?;
    let file = programs.join(PROGRAM);
    let size = put(&built.join(PROGRAM), &file, tree_only)?;
    check_libraries(&file)?;
    starts(&file, "Ingot on one machine")?;
    for service in SERVICES {
        let name = programs.join(service);
        std::os::unix::fs::symlink(PROGRAM, &name)?;
        starts(&name, &format!("{service}:"))?;
    }
    for tool in BACKUP_TOOLS {
        put_tool(tool, &out)?;
    }
    for folder in FOLDERS {
        std::fs::create_dir_all(out.join("state").join(folder))?;
    }
    report(&out, size);
    ensure!(
        tree_only || size <= MOST_BYTES,
        "the program has {size} bytes; {MOST_BYTES} are the limit"
    );
    Ok(())
}

/// Copies a program and returns its size. Those of tests are large: a link will do, if it can be.
fn put(from: &Path, to: &Path, is_test: bool) -> anyhow::Result<u64> {
    if !(is_test && std::fs::hard_link(from, to).is_ok()) {
        std::fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755))?;
    Ok(std::fs::metadata(to)?.len())
}

/// Copies a program of PostgreSQL, and the libraries that it needs, to where the image's base, which
/// is of the same Debian, looks for them.
fn put_tool(name: &str, out: &Path) -> anyhow::Result<()> {
    let from = newest_tool(name).with_context(|| {
        format!("{name} is missing: run deploy/install-packages.sh, or install postgresql-client")
    })?;
    let file = out.join("system/usr/local/bin").join(name);
    put(&from, &file, false)?;
    let mut folders = Vec::new();
    for library in libraries(&from)? {
        if LIBRARIES.iter().any(|base| library.contains(base)) {
            continue;
        }
        let path = Path::new(&library);
        let to = out.join("system").join(library.trim_start_matches('/'));
        let folder = to.parent().unwrap_or(out).to_owned();
        std::fs::create_dir_all(&folder)?;
        std::fs::copy(path, &to).with_context(|| format!("cannot copy {library}"))?;
        folders.push(folder);
    }
    // With the image's libraries alone, as far as it has them.
    let said = program(&file.to_string_lossy(), &["--version"])
        .env("LD_LIBRARY_PATH", std::env::join_paths(&folders)?)
        .output()?;
    ensure!(said.status.success(), "{name} does not start: {said:?}");
    Ok(())
}

/// Debian keeps them in a folder per version.
fn newest_tool(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let file = entry.path().join("bin").join(name);
            file.is_file().then_some((version, file))
        })
        .max_by_key(|(version, _)| *version)
        .map(|(_, file)| file)
}

/// Paths of the shared libraries that a program is loaded with.
fn libraries(file: &Path) -> anyhow::Result<Vec<String>> {
    let listed = program("ldd", &[&file.to_string_lossy()])
        .output()
        .context("cannot run ldd")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let paths = listed
        .lines()
        .filter_map(|line| line.split_once(" => "))
        .filter_map(|(_, path)| path.split_whitespace().next());
    Ok(paths
        .filter(|path| path.starts_with('/'))
        .map(str::to_owned)
        .collect())
}

/// Fails when the program needs a library that the image does not have.
fn check_libraries(file: &Path) -> anyhow::Result<()> {
    let path = file.to_string_lossy();
    let listed = program("ldd", &[&path])
        .output()
        .context("cannot run ldd")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for line in listed.lines() {
        ensure!(
            LIBRARIES.iter().any(|library| line.contains(library)),
            "{path} needs `{}`, which the image's base does not have",
            line.trim()
        );
    }
    Ok(())
}

/// Fails when the program cannot even say who it is and what its settings are.
fn starts(file: &Path, says: &str) -> anyhow::Result<()> {
    let path = file.to_string_lossy();
    let help = program(&path, &["--help"])
        .env_clear()
        .output()
        .with_context(|| format!("cannot run {path}"))?;
    let said = String::from_utf8_lossy(&help.stdout);
    ensure!(
        help.status.success() && said.starts_with(says),
        "`{path} --help` says: {said}"
    );
    Ok(())
}

#[allow(
    clippy::print_stderr,
    reason = "a chore reports to the person who started it"
)]
fn report(out: &Path, size: u64) {
    eprintln!(
        "{}: {PROGRAM} for all services, {} MiB",
        out.display(),
        size.div_ceil(1 << 20)
    );
}
