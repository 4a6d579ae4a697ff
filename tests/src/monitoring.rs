//! The metrics that monitoring relies on, as the files in `deploy/` name them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

/// How names of our metrics begin. A name that begins otherwise would be missed here, so there is a
/// test that no expression is without one.
const PREFIXES: [&str; 9] = [
    "bus_",
    "database_",
    "edge_",
    "http_server_",
    "ingot_",
    "log_",
    "process_",
    "realtime_",
    "records_",
];

/// A file in `deploy/`.
pub fn deploy_file(path: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).join("deploy").join(path)
}

/// All expressions of the dashboard and the alerts, by where they stand.
///
/// # Errors
/// A file cannot be read.
pub fn expressions() -> anyhow::Result<BTreeMap<String, String>> {
    let read = |path: &str| std::fs::read_to_string(deploy_file(path)).context(path.to_owned());
    let dashboard: Value = serde_json::from_str(&read("grafana/dashboards/ingot.json")?)?;
    let mut found = BTreeMap::new();
    let panels = dashboard.get("panels").and_then(Value::as_array);
    for panel in panels.into_iter().flatten() {
        let title = panel.get("title").and_then(Value::as_str);
        let targets = panel.get("targets").and_then(Value::as_array);
        for (number, target) in targets.into_iter().flatten().enumerate() {
            let expression = target.get("expr").and_then(Value::as_str);
            let place = format!("panel {} {number}", title.unwrap_or_default());
            found.insert(place, expression.unwrap_or_default().to_owned());
        }
    }
    let (alerts, mut name) = (read("prometheus/alerts.yaml")?, String::new());
    let mut lines = alerts.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if let Some(alert) = line.strip_prefix("- alert: ") {
            alert.clone_into(&mut name);
        } else if line.starts_with("expr:") {
            let expression = lines.next().unwrap_or_default();
            found.insert(format!("alert {name}"), expression.to_owned());
        }
    }
    Ok(found)
}

/// The names of our metrics in an expression.
pub fn metrics_in(expression: &str) -> BTreeSet<&str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
        .collect()
}
