//! The tools, and where files are.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize as _;
use serde_yaml_ng::{Deserializer, Value};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Runs an installed tool in the root; panics with what it says unless it is content.
pub(crate) fn run(tool: &str, arguments: &[&str]) -> String {
    let program = ingot_e2e::tool(tool).unwrap();
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(
        output.status.success(),
        "{tool} {arguments:?}\n{said}{complained}"
    );
    said
}

/// The objects of an overlay as text, rendered by kustomize.
pub(crate) fn render(overlay: &str) -> String {
    let folder = format!("k8s/overlays/{overlay}");
    run("debian/usr/bin/kubectl", &["kustomize", &folder])
}

/// All documents of a text.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

/// A text in a value, by keys and indexes separated by slashes; empty if there is none.
pub(crate) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).as_str().unwrap_or_default()
}

/// A value in a value; null if there is none.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('/').fold(value, |value, key| {
        match key.parse::<usize>() {
            Ok(index) if value.is_sequence() => value.get(index),
            _ => value.get(key),
        }
        .unwrap_or(&Value::Null)
    })
}

/// The items of a list in a value; none if there is no list.
pub(crate) fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path).as_sequence().map_or(&[], Vec::as_slice)
}

/// The keys and texts of a map in a value.
pub(crate) fn map<'a>(value: &'a Value, path: &str) -> Vec<(&'a str, &'a str)> {
    let map = at(value, path).as_mapping().into_iter().flatten();
    map.map(|(key, value)| (key.as_str().unwrap(), value.as_str().unwrap_or_default()))
        .collect()
}
