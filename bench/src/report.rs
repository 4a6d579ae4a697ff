//! Results for people: on the terminal, and as tables in `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

/// Relative to the workspace, where cargo runs this program.
const PAGE: &str = "docs/benchmarks.md";

/// What a page starts with that does not exist yet.
const INTRODUCTION: &str = "# Benchmarks

Written by `make bench`, which starts the peers itself and measures everything in one run on one
machine. Compare the ratios: the absolute figures say more about the machine than about us.
";

/// One comparison.
#[derive(Debug)]
pub(crate) struct Section {
    /// Marks the section's place in the page.
    pub(crate) id: &'static str,
    /// The part of this program that measures it.
    pub(crate) command: &'static str,
    /// Heading.
    pub(crate) title: &'static str,
    /// How it was measured.
    pub(crate) text: String,
    /// Headings of the table.
    pub(crate) columns: &'static [&'static str],
    /// The table.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Section {
    fn table(&self) -> String {
        let mut table = format!("| {} |\n|", self.columns.join(" | "));
        for index in 0..self.columns.len() {
            table.push_str(if index == 0 { " --- |" } else { " ---: |" });
        }
        for row in &self.rows {
            // Writing to a string cannot fail.
            write!(table, "\n| {} |", row.join(" | ")).ok();
        }
        table
    }

    fn markdown(&self) -> String {
        format!(
            "## {}\n\n{}\n\n`cargo run --release -p ingot-bench -- {}`, {}, {} CPUs:\n\n{}\n",
            self.title,
            self.text,
            self.command,
            today(),
            std::thread::available_parallelism().map_or(0, usize::from),
            self.table()
        )
    }
}

/// A time as people read it.
pub(crate) fn milliseconds(time: Option<Duration>) -> String {
    time.map_or_else(
        || "–".to_owned(),
        |time| format!("{:.1} ms", time.as_secs_f64() * 1e3),
    )
}

/// A short time.
pub(crate) fn microseconds(time: Option<Duration>) -> String {
    time.map_or_else(
        || "–".to_owned(),
        |time| format!("{:.0} µs", time.as_secs_f64() * 1e6),
    )
}

/// Prints a section.
#[allow(clippy::print_stdout, reason = "this is what the program is for")]
pub(crate) fn print(section: &Section) {
    println!("{}\n\n{}\n", section.title, section.table());
}

/// Prints a row as soon as it is known: what follows may take long.
#[allow(clippy::print_stderr, reason = "progress for whoever waits")]
pub(crate) fn print_row(row: &[String]) {
    eprintln!("{}", row.join(" | "));
}

/// Puts the sections into the page, in the place of their former results.
pub(crate) fn write(sections: &[Section]) -> anyhow::Result<()> {
    let path = Path::new(PAGE);
    let mut page = match std::fs::read_to_string(path) {
        Ok(page) => page,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => INTRODUCTION.to_owned(),
        Err(error) => return Err(error).context(PAGE),
    };
    for section in sections {
        page = replaced(&page, section.id, &section.markdown());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, page).context(PAGE)
}

/// The page with `content` between the marks of `id`; without such marks, at its end.
fn replaced(page: &str, id: &str, content: &str) -> String {
    let (start, end) = (
        format!("<!-- {id} -->\n"),
        format!("<!-- end of {id} -->\n"),
    );
    let parts = page.split_once(&start).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    match parts {
        Some((before, after)) => format!("{before}{start}{content}{end}{after}"),
        None => format!("{}\n\n{start}{content}{end}", page.trim_end()),
    }
}

fn today() -> String {
    time::OffsetDateTime::now_utc().date().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_replace_their_former_ones() {
        let page = replaced("# Page\n", "a", "one\n");
        let page = replaced(&page, "b", "two\n");
        let page = replaced(&page, "a", "three\n");
        assert_eq!(
            page,
            "# Page\n\n<!-- a -->\nthree\n<!-- end of a -->\n\n<!-- b -->\ntwo\n<!-- end of b -->\n"
        );
    }
}
