//! The corpus as files: cases of SQL under headers.

use anyhow::{Context, bail};

use crate::paths::Path;

/// One case: requests that follow each other.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Where it is tried.
    pub(crate) paths: Vec<Path>,
    /// What it must be answered with, in the group of what must be refused.
    pub(crate) expected: Option<Expected>,
    /// Whether the platform has to do its own work after it.
    pub(crate) springs: bool,
    requests: Vec<String>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// By the guard, with the sentence of this rule.
    Rule(String),
    /// By the parser or PostgreSQL, with this status.
    Status(u16),
}

impl Case {
    /// The requests with a number in the place of `§`.
    pub(crate) fn requests(&self, number: usize) -> Vec<String> {
        let number = number.to_string();
        let fill = |request: &String| request.replace('§', &number);
        self.requests.iter().map(fill).collect()
    }
}

/// The cases of a file; `all` are the paths of a case that names none.
pub(crate) fn read(text: &str, all: &[Path]) -> anyhow::Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(header) = line.strip_prefix("--# ") {
            cases.push(case(header, all).with_context(|| header.to_owned())?);
        } else if let Some(case) = cases.last_mut() {
            if line == "--then" {
                case.requests.push(String::new());
            } else if let Some(request) = case.requests.last_mut() {
                request.push_str(line);
                request.push('\n');
            }
        }
    }
    Ok(cases)
}

fn case(header: &str, all: &[Path]) -> anyhow::Result<Case> {
    let (title, expected) = match header.split_once(" => ") {
        Some((title, wanted)) => (title, Some(expected(wanted.trim()))),
        None => (header, None),
    };
    let mut case = Case {
        name: title.split(" [").next().unwrap_or(title).trim().to_owned(),
        paths: Vec::new(),
        expected,
        springs: false,
        requests: vec![String::new()],
    };
    for mark in title
        .split('[')
        .skip(1)
        .filter_map(|rest| rest.split(']').next())
    {
        match mark {
            "raw" => case
                .paths
                .extend([Path::Raw, Path::Unrestricted, Path::Direct]),
            "import" => case.paths.push(Path::Import),
            "migration" => case.paths.push(Path::Migration),
            "spring" => case.springs = true,
            other => bail!("unknown mark `{other}`"),
        }
    }
    if case.paths.is_empty() {
        case.paths = all.to_vec();
    }
    case.paths.retain(|path| all.contains(path));
    Ok(case)
}

fn expected(wanted: &str) -> Expected {
    wanted
        .parse()
        .map_or_else(|_| Expected::Rule(wanted.to_owned()), Expected::Status)
}
