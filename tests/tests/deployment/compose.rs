//! `docker-compose.yml`: its form, and that each service starts with what it is given.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ingot_config::Environment;
use serde_yaml_ng::Value;

use crate::processes::Process;
use crate::tools::{at, list, map, root, run, text};

const FILE: &str = "docker-compose.yml";

#[test]
fn the_file_keeps_to_the_compose_specification() {
    run(
        "python/bin/check-jsonschema",
        &["--builtin-schema", "vendor.compose-spec", FILE],
    );
}

/// The file with its defaults, and merges carried out.
fn compose() -> Value {
    let text = std::fs::read_to_string(root().join(FILE)).unwrap();
    let mut pieces = text.split("${");
    let mut text = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (variable, rest) = piece.split_once('}').unwrap();
        let (_, default) = variable.split_once(":-").expect("a default");
        text.extend([default, rest]);
    }
    let mut file: Value = serde_yaml_ng::from_str(&text).unwrap();
    // What is merged may be merged itself.
    for _depth in 0..3 {
        file.apply_merge().unwrap();
    }
    file
}

/// The services of the file that run a program of ours, by name.
fn ours(file: &Value) -> Vec<(&str, &Value)> {
    let services = at(file, "services").as_mapping().unwrap();
    services
        .iter()
        .map(|(name, service)| (name.as_str().unwrap(), service))
        .filter(|(_, service)| {
            text(service, "image").starts_with("ingot:")
                && text(service, "command/0").starts_with("ingot-")
        })
        .collect()
}

/// The service with the variables that the file gives it, and real files of secrets.
fn process(name: &str, service: &Value, secrets: &Path) -> Process {
    let volumes: Vec<&str> = list(service, "volumes")
        .iter()
        .map(|volume| volume.as_str().unwrap())
        .collect();
    let mut variables = Vec::new();
    for (variable, value) in at(service, "environment").as_mapping().unwrap() {
        let variable = variable.as_str().unwrap();
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.as_i64().unwrap().to_string(),
        };
        let Some(file) = value.strip_prefix("/secrets/") else {
            variables.push((variable.to_owned(), value));
            continue;
        };
        let (folder, _) = file.split_once('/').unwrap();
        let mounted = format!("{folder}-secrets:/secrets/{folder}:ro");
        assert!(
            volumes.contains(&mounted.as_str()),
            "{name} lacks {mounted}"
        );
        let real = secrets.join(file);
        variables.push((variable.to_owned(), real.to_str().unwrap().to_owned()));
    }
    for volume in volumes {
        let Some((_, folder)) = volume.split_once(":/secrets/") else {
            continue;
        };
        let folder = folder.trim_end_matches(":ro");
        let used = |(_, value): &(String, String)| value.contains(&format!("/{folder}/"));
        assert!(
            variables.iter().any(used),
            "{name} needs no {folder} secrets"
        );
    }
    let command: Vec<String> = list(service, "command")
        .iter()
        .map(|word| word.as_str().unwrap().to_owned())
        .collect();
    Process::load(&command, &Environment::from_pairs(variables))
        .unwrap_or_else(|problems| panic!("{name}: {problems}"))
}

#[test]
fn every_service_starts_with_what_it_is_given_and_stops_in_time() {
    let secrets = tempfile::tempdir().unwrap();
    ingot_standalone::create_secret_files(secrets.path()).unwrap();
    let file = compose();
    let mut upstreams = BTreeSet::new();
    let mut listening = BTreeSet::new();
    for (name, service) in ours(&file) {
        let process = process(name, service, secrets.path());
        let grace: u64 = text(service, "stop_grace_period")
            .trim_end_matches('s')
            .parse()
            .unwrap();
        assert!(Duration::from_secs(grace) >= process.stop, "{name}");
        upstreams.extend(process.upstreams);
        let Some(listen) = process.listen else {
            continue;
        };
        assert!(listen.ip().is_unspecified(), "{name} is heard by nobody");
        listening.insert(format!("{name}:{}", listen.port()));
        let health = process.health.unwrap();
        assert!(health.ip().is_unspecified(), "{name} is asked by nobody");
        let asked = text(service, "healthcheck/test/3");
        assert_eq!(asked, format!("127.0.0.1:{}", health.port()), "{name}");
        assert_eq!(text(service, "healthcheck/test/1"), "ingot");
    }
    assert_eq!(upstreams.len(), 4);
    assert!(
        upstreams.is_subset(&listening),
        "{upstreams:?} {listening:?}"
    );
    let nodes = at(&file, "services/realtime-fanout/deploy/replicas");
    assert_eq!(nodes.as_u64(), Some(2));
}

#[test]
fn no_secret_has_a_default_and_stacks_do_not_meet() {
    let file = compose();
    let text_of_file = std::fs::read_to_string(root().join(FILE)).unwrap();
    assert!(!text_of_file.contains("container_name"));
    for (name, service) in at(&file, "services").as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        let tag = text(service, "image").rsplit_once(':');
        assert!(matches!(tag, Some((_, tag)) if tag != "latest"), "{name}");
        for (variable, _) in map(service, "environment") {
            let is_secret = ["PASSWORD", "SECRET", "KEY"]
                .iter()
                .any(|word| variable.contains(word));
            assert!(
                !is_secret || variable.ends_with("_FILE"),
                "{name}: {variable}"
            );
        }
        for after in map_keys(service, "depends_on") {
            assert!(
                at(&file, "services").get(after).is_some(),
                "{name}: {after}"
            );
        }
    }
    let published = text_of_file
        .lines()
        .filter(|line| line.contains("ports: ["));
    for line in published {
        assert!(line.contains("_PORT:-"), "{line} cannot be changed");
        assert!(line.contains("${INGOT_ADDRESS:-127.0.0.1}"), "{line}");
    }
    for (name, service) in ours(&file) {
        let unprivileged = [
            at(service, "read_only") == &Value::from(true),
            text(service, "cap_drop/0") == "ALL",
        ];
        assert_eq!(unprivileged, [true, true], "{name}");
        // Each waits for the migrations, itself or through others.
        let waits = map_keys(service, "depends_on");
        let ok = ["migrate", "migration", "postgres"];
        assert!(
            waits.iter().any(|it| ok.contains(it)),
            "{name} waits for nothing"
        );
    }
}

fn map_keys<'a>(value: &'a Value, path: &str) -> Vec<&'a str> {
    let map = at(value, path).as_mapping().into_iter().flatten();
    map.map(|(key, _)| key.as_str().unwrap()).collect()
}

#[test]
fn nats_takes_the_configurations_and_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("made");
    ingot_standalone::create_secret_files(&secrets).unwrap();
    // The container has the volume of the shared secrets beside the configuration.
    std::os::unix::fs::symlink(secrets.join("shared"), folder.path().join("secrets")).unwrap();
    for file in [
        "deploy/nats.conf",
        "k8s/overlays/dev/nats.conf",
        "k8s/overlays/production/nats.conf",
    ] {
        let copy = folder.path().join("nats.conf");
        std::fs::copy(root().join(file), &copy).unwrap();
        let checked = Command::new("nats-server")
            .args(["-t", "--config", copy.to_str().unwrap()])
            .env("NATS_PASSWORD", "nats_0123456789abcdef")
            .env("POD_NAME", "nats-0")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{file}: {said}");
    }
}
