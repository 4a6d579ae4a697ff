//! `ingot doctor`: looks at an installation from inside, with the settings that its services have,
//! and says what is wrong and what to do about it. It changes nothing.

mod bus;
mod database;
mod processes;

use std::fmt::Write as _;

use ingot_bus::BusSettings;
use ingot_config::{Environment, Problems, Settings as _, Variable};
use ingot_project::ProjectRegistry;

/// What was looked at, and what was seen.
#[derive(Debug)]
struct Finding {
    area: &'static str,
    verdict: Verdict,
    text: String,
}

#[derive(Debug)]
enum Verdict {
    Fine,
    /// It works, but not for long or not as well as it could.
    Doubtful {
        fix: String,
    },
    Broken {
        fix: String,
    },
}

/// The findings so far.
#[derive(Debug, Default)]
struct Report(Vec<Finding>);

impl Report {
    fn fine(&mut self, area: &'static str, text: impl Into<String>) {
        self.add(area, Verdict::Fine, text.into());
    }

    fn doubtful(&mut self, area: &'static str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(area, Verdict::Doubtful { fix: fix.into() }, text.into());
    }

    fn broken(&mut self, area: &'static str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(area, Verdict::Broken { fix: fix.into() }, text.into());
    }

    fn add(&mut self, area: &'static str, verdict: Verdict, text: String) {
        self.0.push(Finding {
            area,
            verdict,
            text,
        });
    }

    fn problems(&mut self, problems: &Problems) {
        for problem in problems.iter() {
            self.broken(
                "settings",
                format!("{}: {}", problem.variable, problem.complaint),
                "docs/settings.md says what each setting means",
            );
        }
    }

    /// For a terminal.
    fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.0 {
            let (mark, fix) = match &finding.verdict {
                Verdict::Fine => ("ok", None),
                Verdict::Doubtful { fix } => ("doubtful", Some(fix)),
                Verdict::Broken { fix } => ("BROKEN", Some(fix)),
            };
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{mark:8}  {:10}  {}", finding.area, finding.text);
            if let Some(fix) = fix {
                let _ = writeln!(text, "{:22}fix: {fix}", "");
            }
        }
        text
    }

    fn is_broken(&self) -> bool {
        self.0
            .iter()
            .any(|finding| matches!(finding.verdict, Verdict::Broken { .. }))
    }
}

/// Looks at everything; returns what to print, and whether all of it works. `known` are all
/// settings that there are.
pub(crate) async fn examine(environment: &Environment, known: &[Variable]) -> (String, bool) {
    let mut report = Report::default();
    report.problems(&environment.unknown(known));
    match BusSettings::load(environment) {
        Ok(settings) => bus::examine(&settings, &mut report).await,
        Err(problems) => report.problems(&problems),
    }
    let behind = processes::are_named(environment);
    if behind {
        processes::examine(environment, &mut report).await;
    }
    // An edge knows its services and no database.
    let knows_projects = environment.text("JWT_SECRET") != Ok(None);
    if knows_projects || !behind {
        projects(environment, &mut report).await;
    }
    (report.text(), !report.is_broken())
}

async fn projects(environment: &Environment, report: &mut Report) {
    match ProjectRegistry::load(environment) {
        Ok(registry) => {
            for project in registry.iter() {
                database::examine(project, environment, report).await;
            }
        }
        Err(problems) => report.problems(&problems),
    }
}
