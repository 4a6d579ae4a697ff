//! Turns `migrations/NNNN_name.sql` into a table of steps that the library embeds.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../migrations");
    println!("cargo::rerun-if-changed={}", folder.display());

    let mut files: Vec<PathBuf> = fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.sort();

    let mut table = String::from("&[\n");
    for (path, expected) in files.iter().zip(1_u32..) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let (number, name) = stem
            .split_once('_')
            .and_then(|(digits, name)| Some((digits.parse::<u32>().ok()?, name)))
            .ok_or_else(|| format!("{}: name it NNNN_what_it_does.sql", path.display()))?;
        if number != expected {
            return Err(format!(
                "{}: expected step {expected:04}; numbers start at 0001 and have neither gaps nor doubles",
                path.display()
            )
            .into());
        }
        writeln!(
            table,
            "    Step {{ number: {number}, name: {name:?}, sql: include_str!({:?}) }},",
            path.canonicalize()?.display().to_string()
        )?;
    }
    table.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("steps.rs"), table)?;
    Ok(())
}
