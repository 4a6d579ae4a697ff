//! The declared settings as people read them: `--help`, and the table in `docs/settings.md`.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::Variable;

/// The settings as an indented list for a terminal, each name once.
pub fn help_text(variables: &[Variable]) -> String {
    let mut text = String::new();
    for variable in each_once(variables) {
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "  {} ({}; {})",
            names(variable, ", "),
            variable.kind,
            default(variable)
        );
        let _ = writeln!(text, "      {}", meaning(variable));
    }
    text
}

/// The settings as a Markdown table, each name once.
pub fn markdown_table(variables: &[Variable]) -> String {
    let mut text =
        String::from("| variable | value | default | meaning |\n| --- | --- | --- | --- |\n");
    for variable in each_once(variables) {
        let (names, default) = (names(variable, "`, `"), default(variable));
        let _ = writeln!(
            text,
            "| `{names}` | {} | {default} | {} |",
            variable.kind,
            meaning(variable)
        );
    }
    text
}

fn each_once(variables: &[Variable]) -> impl Iterator<Item = &Variable> {
    let mut seen = BTreeSet::new();
    variables
        .iter()
        .filter(move |variable| seen.insert(variable.name))
}

fn names(variable: &Variable, separator: &str) -> String {
    let mut names = vec![variable.name];
    names.extend(variable.aliases);
    names.join(separator)
}

fn default(variable: &Variable) -> String {
    variable
        .default
        .map_or_else(|| "no default".to_owned(), |text| format!("`{text}`"))
}

fn meaning(variable: &Variable) -> String {
    let lines: Vec<&str> = variable.meaning.iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: Variable = Variable {
        name: "PORT",
        aliases: &["OLD_PORT"],
        default: Some("7130"),
        kind: "a whole number",
        meaning: &[" Port that", " it listens on."],
    };

    #[test]
    fn a_setting_that_several_services_read_is_listed_once() {
        assert_eq!(
            help_text(&[PORT, PORT]).matches("PORT, OLD_PORT").count(),
            1
        );
        let row = "| `PORT`, `OLD_PORT` | a whole number | `7130` | Port that it listens on. |";
        assert!(
            markdown_table(&[PORT, PORT])
                .lines()
                .any(|line| line == row)
        );
    }
}
