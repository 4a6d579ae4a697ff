//! The guard corpus: SQL that must work, SQL that must be refused, and ways out that must lead
//! nowhere, on every way that an administrator's SQL can take.
//!
//! Escapes are judged by what they leave, not by an answer, and are tried without the guard, too:
//! PostgreSQL's roles must hold alone. Each test prints how many cases it tried.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed step of a test is a failed test"
)]

mod corpus;
mod paths;
mod scene;

use std::collections::BTreeMap;

use ingot_sql_guard::RULES;

use crate::corpus::{Case, Expected};
use crate::paths::{Answer, Path, Stage};
use crate::scene::Scene;

/// Counts by path, for the report.
#[derive(Default)]
struct Report {
    tried: BTreeMap<Path, usize>,
    failures: Vec<String>,
}

impl Report {
    fn count(&mut self, path: Path) {
        *self.tried.entry(path).or_default() += 1;
    }

    fn fail(&mut self, path: Path, case: &Case, what: &str) {
        let failure = format!("{path:?}, {}: {what}", case.name);
        self.failures.push(failure);
    }

    #[allow(clippy::print_stdout, reason = "a report is what the test is for")]
    fn conclude(self, group: &str) {
        for (path, tried) in &self.tried {
            let failed = self
                .failures
                .iter()
                .filter(|failure| failure.starts_with(&format!("{path:?},")));
            println!("{group} {path:?}: {tried} tried, {} failed", failed.count());
        }
        assert!(self.failures.is_empty(), "{:#?}", self.failures);
    }
}

#[tokio::test]
async fn ordinary_sql_works() {
    let all = [Path::Raw, Path::Import, Path::Migration];
    let cases = corpus::read(include_str!("../../guard-corpus/works.sql"), &all).unwrap();
    assert!(cases.len() >= 100);
    let stage = Stage::set().await.unwrap();
    let mut report = Report::default();
    for path in all {
        for (number, case) in cases
            .iter()
            .enumerate()
            .filter(|(_, c)| c.paths.contains(&path))
        {
            report.count(path);
            let number = number + 1_000 * (path as usize + 1);
            for request in case.requests(number) {
                let answer = stage.run(path, &request).await.unwrap();
                if !(200..300).contains(&answer.status) {
                    report.fail(path, case, &answer.text);
                }
            }
        }
    }
    report.conclude("works");
}

#[tokio::test]
async fn what_must_be_refused_is_refused_with_its_code() {
    let text = include_str!("../../guard-corpus/refused.sql");
    let cases = corpus::read(text, &Path::GUARDED).unwrap();
    assert!(cases.len() >= 100);
    let stage = Stage::set().await.unwrap();
    let mut report = Report::default();
    for (number, case) in cases.iter().enumerate() {
        for &path in &case.paths {
            report.count(path);
            let answer = stage.run(path, &case.requests(number)[0]).await.unwrap();
            if !is_as_expected(case.expected.as_ref().unwrap(), path, &answer) {
                report.fail(path, case, &answer.text);
            }
        }
    }
    report.conclude("refused");
}

fn is_as_expected(expected: &Expected, path: Path, answer: &Answer) -> bool {
    let (code, message) = (answer.field("error"), answer.field("message"));
    let told = !message.is_empty() && !answer.field("nextActions").is_empty();
    told && match expected {
        Expected::Rule(id) => {
            let rule = RULES.iter().find(|rule| rule.id == id).unwrap();
            (answer.status, code.as_str()) == (403, "FORBIDDEN") && message == rule.sentence
        }
        Expected::Status(403) if path == Path::Import => {
            // PostgreSQL's refusal of a statement in a dump, or the guard's.
            [(400, "INVALID_INPUT"), (403, "FORBIDDEN")].contains(&(answer.status, code.as_str()))
        }
        Expected::Status(status) => answer.status == *status,
    }
}

#[tokio::test]
async fn no_way_leads_out_of_raw_sql() {
    no_way_leads_out(Path::Raw).await;
}

#[tokio::test]
async fn no_way_leads_out_of_an_import() {
    no_way_leads_out(Path::Import).await;
}

#[tokio::test]
async fn no_way_leads_out_of_a_migration() {
    no_way_leads_out(Path::Migration).await;
}

#[tokio::test]
async fn no_way_leads_out_without_the_guard() {
    no_way_leads_out(Path::Direct).await;
}

async fn no_way_leads_out(path: Path) {
    let text = include_str!("../../guard-corpus/escapes.sql");
    let cases = corpus::read(text, &Path::ALL).unwrap();
    assert!(cases.len() >= 150);
    let stage = Stage::set().await.unwrap();
    let mut scene = Scene::set(&stage).await.unwrap();
    let mut report = Report::default();
    for (number, case) in cases.iter().enumerate() {
        if !case.paths.contains(&path) {
            continue;
        }
        report.count(path);
        let mut answers = String::new();
        for request in case.requests(number) {
            answers.push_str(&stage.run(path, &request).await.unwrap().text);
        }
        let mut damage = scene.damage(&stage, &answers).await.unwrap();
        if case.springs {
            damage.extend(scene::spring(&stage, number).await.unwrap());
            damage.extend(scene.damage(&stage, "").await.unwrap());
        }
        for found in damage {
            report.fail(path, case, &found);
        }
    }
    report.conclude("escapes");
}
