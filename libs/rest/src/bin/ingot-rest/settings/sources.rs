//! Where settings come from: a file, then the environment, then the database. Later ones win.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use ingot_config::Environment;

use super::names::{APP_SETTINGS, SETTINGS, Setting, setting};

/// Settings as text, and what nobody understands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    /// By name.
    known: BTreeMap<&'static str, String>,
    /// `app.settings.*`, by their whole name.
    pub(crate) app: BTreeMap<String, String>,
    /// Names that are not settings.
    pub(crate) unknown: Vec<String>,
}

impl Values {
    /// The value of a setting or its default.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        // An empty value is as good as none.
        let given = self.given(name).filter(|value| !value.is_empty());
        given.or_else(|| setting(name)?.default)
    }

    /// The value of a setting as it was given, also if it is empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.known.get(name).map(String::as_str)
    }

    fn put(&mut self, name: &str, value: String) {
        if let Some(setting) = setting(name) {
            self.known.insert(setting.name, value);
        } else if name.starts_with(APP_SETTINGS) {
            self.app.insert(name.to_owned(), value);
        } else {
            self.unknown.push(name.to_owned());
        }
    }

    /// Reads a file, if one is named, and the variables.
    pub(crate) fn read(file: Option<&Path>, environment: &Environment) -> anyhow::Result<Self> {
        let mut values = Self::default();
        if let Some(file) = file {
            let text = std::fs::read_to_string(file);
            let text = text.with_context(|| format!("cannot read {}", file.display()))?;
            values.read_file(&text, environment)?;
        }
        values.read_variables(environment);
        Ok(values)
    }

    fn read_file(&mut self, text: &str, environment: &Environment) -> anyhow::Result<()> {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = || format!("line {} of the configuration file", index + 1);
            let (name, value) = line.split_once('=').with_context(place)?;
            let value = unquote(value.trim()).with_context(place)?;
            let value = interpolate(&value, environment).with_context(place)?;
            self.put(name.trim(), value);
        }
        Ok(())
    }

    fn read_variables(&mut self, environment: &Environment) {
        for (variable, value) in environment.iter() {
            let Some(name) = variable.strip_prefix("PGRST_") else {
                continue;
            };
            match name.strip_prefix("APP_SETTINGS_") {
                Some(app) => {
                    let name = format!("{APP_SETTINGS}{app}");
                    self.app.insert(name, value.to_owned());
                }
                None => self.put(&name.replace('_', "-").to_lowercase(), value.to_owned()),
            }
        }
    }

    /// Names that the database may set, as it knows them.
    pub(crate) fn names_in_database() -> Vec<String> {
        let allowed = SETTINGS.iter().filter(|setting| setting.in_database);
        allowed
            .map(|setting| setting.name.replace('-', "_"))
            .collect()
    }

    /// Takes over what the database says.
    pub(crate) fn overlay(&mut self, found: Vec<(String, String)>) {
        for (name, value) in found {
            self.put(&name.replace('_', "-"), value);
        }
    }

    /// Every setting and its value, in the form of a file.
    pub(crate) fn dump(&self) -> String {
        let mut lines = Vec::new();
        for setting in SETTINGS {
            let value = shown(setting, self.get(setting.name).unwrap_or_default());
            let plain = value.parse::<u64>().is_ok() || value == "true" || value == "false";
            lines.push(if plain && setting.name != "server-unix-socket-mode" {
                format!("{} = {value}", setting.name)
            } else {
                format!("{} = {}", setting.name, quoted(&value))
            });
        }
        let app = self.app.iter();
        lines.extend(app.map(|(name, value)| format!("{name} = {}", quoted(value))));
        lines.join("\n") + "\n"
    }
}

/// A value in its usual form, whatever form it was given in.
fn shown(setting: &Setting, value: &str) -> String {
    const LISTS: [&str; 4] = [
        "db-extra-search-path",
        "db-hoisted-tx-settings",
        "db-schemas",
        "server-cors-allowed-origins",
    ];
    let default = setting.default.unwrap_or_default();
    if let Some(otherwise) = truth(default).filter(|_| default.parse::<u64>().is_err()) {
        return truth(value).unwrap_or(otherwise).to_string();
    }
    if default.parse::<u64>().is_ok() && value.parse::<u64>().is_err() {
        return default.to_owned();
    }
    if LISTS.contains(&setting.name) {
        let items: Vec<&str> = value.split(',').map(str::trim).collect();
        return items.join(",");
    }
    value.to_owned()
}

/// `true` and `false` in any case, quoted or not; a number above zero is true.
pub(crate) fn truth(text: &str) -> Option<bool> {
    let letters: String = text.chars().filter(|c| c.is_alphabetic()).collect();
    match letters.to_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => text.trim().parse::<i64>().ok().map(|number| number > 0),
    }
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A bare word, or a string with escapes. A comment may follow.
fn unquote(value: &str) -> anyhow::Result<String> {
    let Some(inner) = value.strip_prefix('"') else {
        let bare = value.split('#').next().unwrap_or_default();
        return Ok(bare.trim().to_owned());
    };
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                let rest = characters.as_str().trim();
                ensure!(
                    rest.is_empty() || rest.starts_with('#'),
                    "text after the value"
                );
                return Ok(text);
            }
            '\\' => match characters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(escaped) => text.push(escaped),
                None => break,
            },
            other => text.push(other),
        }
    }
    bail!("a quotation mark is missing")
}

/// `$(NAME)` is a variable, `$$` a dollar.
fn interpolate(value: &str, environment: &Environment) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            rest = after;
        } else if let Some((name, after)) = after
            .strip_prefix('(')
            .and_then(|after| after.split_once(')'))
        {
            let found = environment.get(name);
            text.push_str(found.with_context(|| format!("the variable {name} is not set"))?);
            rest = after;
        } else {
            bail!("write $$ for a dollar");
        }
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_win_over_the_file_and_the_database_over_both() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "# comment\n\ndb-schema = \"a, b\" # old name\ndb-max-rows=7\nserver-port = 80\n\
                    app.settings.secret = \"$(WORD)$$\"\nnonsense = 1\n";
        std::fs::write(file.path(), text).unwrap();
        let given = Environment::from_pairs([
            ("PGRST_DB_MAX_ROWS", "9"),
            ("PGRST_APP_SETTINGS_FLAVOUR", "sour"),
            ("PGRST_ODD", "x"),
            ("WORD", "hush"),
        ]);
        let mut values = Values::read(Some(file.path()), &given).unwrap();
        assert_eq!(values.get("db-schemas"), Some("a, b"));
        assert_eq!(values.get("db-max-rows"), Some("9"));
        assert_eq!(values.get("jwt-role-claim-key"), Some(".role"));
        assert_eq!(values.get("jwt-secret"), None);
        assert_eq!(values.app["app.settings.secret"], "hush$");
        assert_eq!(values.app["app.settings.FLAVOUR"], "sour");
        assert_eq!(values.unknown, ["nonsense", "odd"]);
        values.overlay(vec![("db_schemas".to_owned(), "c".to_owned())]);
        assert_eq!(values.get("db-schemas"), Some("c"));
        assert!(values.dump().contains("db-schemas = \"c\"\n"));
    }

    #[test]
    fn values_are_dumped_in_their_usual_form() {
        let given = Environment::from_pairs([
            ("PGRST_DB_SCHEMAS", "a ,  b"),
            ("PGRST_DB_PLAN_ENABLED", "TRUE"),
            ("PGRST_SERVER_TIMING_ENABLED", "1"),
            ("PGRST_ROOT_SPEC", "root"),
            ("PGRST_DB_EXTRA_SEARCH_PATH", ""),
            ("PGRST_APP_SETTINGS_Word", "say \"a\""),
        ]);
        let dump = Values::read(None, &given).unwrap().dump();
        for line in [
            "db-schemas = \"a,b\"",
            "db-plan-enabled = true",
            "server-timing-enabled = true",
            "db-root-spec = \"root\"",
            "db-pool = 10",
            "db-hoisted-tx-settings = \"statement_timeout,plan_filter.statement_cost_limit,\
             default_transaction_isolation\"",
            "server-unix-socket-mode = \"660\"",
            "db-max-rows = \"\"",
            "app.settings.Word = \"say \\\"a\\\"\"",
        ] {
            assert!(dump.lines().any(|dumped| dumped == line), "{line}: {dump}");
        }
    }

    #[test]
    fn truth_comes_in_many_forms() {
        for (text, expected) in [
            ("True", Some(true)),
            ("\"false\"", Some(false)),
            ("1", Some(true)),
            ("0", Some(false)),
            ("-1", Some(false)),
            ("yes", None),
            ("", None),
        ] {
            assert_eq!(truth(text), expected, "{text}");
        }
    }

    #[test]
    fn broken_files_are_refused() {
        for text in [
            "db-uri",
            "db-uri = \"x",
            "db-uri = \"x\" y",
            "a = \"$x\"",
            "a = \"$(NO)\"",
        ] {
            let mut values = Values::default();
            assert!(
                values.read_file(text, &Environment::default()).is_err(),
                "{text}"
            );
        }
    }
}
