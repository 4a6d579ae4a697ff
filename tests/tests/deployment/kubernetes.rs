//! `k8s/`: rendered by kustomize, held against the Kubernetes API's schemas and our own rules.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

use crate::network::{Member, policies_hold, services_lead_somewhere};
use crate::pods::{
    Workload, agrees, find, is_definite, is_probed, is_restricted, is_rolled_gently,
};
use crate::tools::{at, documents, list, map, render, run, text};

const OVERLAYS: [&str; 2] = ["dev", "production"];

/// The oldest version whose objects these are: its pods sleep before they stop.
const KUBERNETES: &str = "1.30";

#[test]
fn every_object_is_one_of_the_kubernetes_api() {
    let folder = tempfile::tempdir().unwrap();
    for overlay in OVERLAYS {
        let file = folder.path().join(overlay);
        std::fs::write(&file, render(overlay)).unwrap();
        let file = file.to_str().unwrap();
        let arguments = ["--strict", "--quiet", "-k", KUBERNETES, file];
        run("python/bin/kubernetes-validate", &arguments);
    }
}

#[test]
fn every_object_keeps_to_the_rules() {
    for overlay in OVERLAYS {
        let complaints = complaints(&documents(&render(overlay)));
        assert!(
            complaints.is_empty(),
            "{overlay}:\n{}",
            complaints.join("\n")
        );
    }
}

/// What is wrong with the objects of an overlay.
fn complaints(objects: &[Value]) -> Vec<String> {
    let mut complaints = Vec::new();
    let secrets = made_secrets();
    let workloads = Workload::all(objects);
    let mut members = Vec::new();
    for workload in Workload::all(objects) {
        is_restricted(&workload, &mut complaints);
        is_definite(&workload, &mut complaints);
        if workload.kind() != "Job" {
            is_probed(&workload, &mut complaints);
        }
        if workload.kind() == "Deployment" {
            is_rolled_gently(&workload, &mut complaints);
        }
        if !workload.is_ours() {
            workload.environment(objects, &secrets, &mut complaints);
        } else if let Some(process) = workload.process(objects, &secrets, &mut complaints) {
            agrees(&workload, &process, &mut complaints);
            members.push(Member { workload, process });
        }
    }
    services_lead_somewhere(objects, &workloads, &members, &mut complaints);
    policies_hold(objects, &workloads, &members, &mut complaints);
    complaints
}

/// Names and keys of what `ingot secrets kubernetes` makes.
fn made_secrets() -> BTreeSet<(String, String)> {
    let made = documents(&ingot_standalone::kubernetes_secrets("ingot").unwrap());
    let keys = made.iter().flat_map(|secret| {
        let name = text(secret, "metadata/name").to_owned();
        let keys = map(secret, "stringData").into_iter();
        keys.map(move |(key, value)| {
            assert!(value.len() >= 32, "{key} is no text of a secret's length");
            (name.clone(), key.to_owned())
        })
    });
    keys.collect()
}

/// An object, a place in it (`C` is the container), what is put there, and the complaint about that.
const BREAKS: &[(&str, &str, &str, &str)] = &[
    (
        "Deployment",
        "C/image",
        "ingot:latest",
        "no definite version",
    ),
    (
        "Deployment",
        "C/resources/limits",
        "~",
        "limits/memory is missing",
    ),
    (
        "Deployment",
        "C/readinessProbe",
        "~",
        "readinessProbe is missing",
    ),
    (
        "Deployment",
        "C/readinessProbe/httpGet/port",
        "x",
        "asks port x",
    ),
    (
        "Deployment",
        "C/readinessProbe/httpGet/port",
        "http",
        "health is",
    ),
    (
        "Deployment",
        "C/ports/0/containerPort",
        "80",
        "port http is not",
    ),
    (
        "Deployment",
        "C/securityContext/capabilities",
        "~",
        "capabilities",
    ),
    (
        "Deployment",
        "P/securityContext/runAsNonRoot",
        "false",
        "runAsNonRoot",
    ),
    (
        "Deployment",
        "P/terminationGracePeriodSeconds",
        "44",
        "45 are needed",
    ),
    (
        "Deployment",
        "spec/strategy/rollingUpdate/maxUnavailable",
        "1",
        "takes pods",
    ),
    (
        "Deployment",
        "C/envFrom/0/configMapRef/name",
        "x",
        "no ConfigMap x",
    ),
    ("Service", "spec/ports/0/targetPort", "x", "no such port"),
    ("Service", "spec/clusterIP", "10.0.0.1", "does not lead"),
    ("Service", "metadata/name", "x", "no such service"),
    ("NetworkPolicy", "spec/ingress/0/from", "~", "to everybody"),
];

#[test]
fn each_rule_is_one_that_can_be_broken() {
    let objects = documents(&render("dev"));
    for (kind, path, value, expected) in BREAKS {
        let name = match *kind {
            "Deployment" => "ingot-edge",
            "Service" => "ingot-api",
            _ => "ingot-services-from-edge",
        };
        let mut objects = objects.clone();
        let object = objects
            .iter_mut()
            .find(|it| text(it, "kind") == *kind && text(it, "metadata/name") == name)
            .unwrap();
        let path = match path.split_once('/').unwrap() {
            ("C", rest) => format!("spec/template/spec/containers/0/{rest}"),
            ("P", rest) => format!("spec/template/spec/{rest}"),
            _ => (*path).to_owned(),
        };
        replace(object, &path, documents(value).remove(0));
        let complaints = complaints(&objects).join("\n");
        assert!(
            complaints.contains(expected),
            "{path}: {expected}: {complaints}"
        );
    }
}

#[test]
fn a_wrong_unknown_or_open_setting_is_found() {
    for (name, value, expected) in [
        ("PORT", "banana", "is not a whole number"),
        ("INGOT_TYPO", "1", "is not a setting of Ingot"),
        ("JWT_SECRET", "1", "is not a setting of this service"),
        ("INGOT_EDGE_KEY", &"k".repeat(32), "stands in the open"),
    ] {
        let mut objects = documents(&render("dev"));
        let mut edges = objects
            .iter_mut()
            .filter(|it| text(it, "kind") == "Deployment");
        let edge = edges.find(|it| text(it, "metadata/name") == "ingot-edge");
        let container = &mut edge.unwrap()["spec"]["template"]["spec"]["containers"][0];
        let env = container["env"].as_sequence_mut().unwrap();
        env.retain(|it| text(it, "name") != name);
        env.push(documents(&format!("{{ name: {name}, value: \"{value}\" }}")).remove(0));
        let complaints = complaints(&objects).join("\n");
        assert!(complaints.contains(expected), "{name}: {complaints}");
    }
}

fn replace(object: &mut Value, path: &str, new: Value) {
    let place = path.split('/').fold(object, |value, key| {
        match key.parse::<usize>() {
            Ok(index) => value.get_mut(index),
            Err(_) => value.get_mut(key),
        }
        .unwrap_or_else(|| panic!("{path} is not there"))
    });
    *place = new;
}

#[test]
fn production_scales_survives_and_has_no_part_of_development() {
    let objects = documents(&render("production"));
    for workload in Workload::all(&objects) {
        let (kind, name) = (workload.kind(), workload.name());
        assert_ne!(name, "postgres", "PostgreSQL is outside");
        if kind == "Job" {
            continue;
        }
        assert!(
            find(&objects, "PodDisruptionBudget", name).is_some(),
            "{name} has no disruption budget"
        );
        let scaler = find(&objects, "HorizontalPodAutoscaler", name);
        let replicas = at(workload.object, "spec/replicas");
        match scaler {
            // Both would take turns at setting the number.
            Some(scaler) => {
                assert!(
                    replicas.is_null(),
                    "{name} has a number of pods and a scaler"
                );
                assert!(at(scaler, "spec/minReplicas").as_u64() >= Some(2), "{name}");
                assert_eq!(text(scaler, "spec/scaleTargetRef/name"), name);
            }
            None => assert!(replicas.as_u64() >= Some(2), "{name} runs once"),
        }
    }
    let fanout = find(&objects, "HorizontalPodAutoscaler", "ingot-realtime-fanout").unwrap();
    assert_eq!(
        text(fanout, "spec/metrics/1/pods/metric/name"),
        "realtime_sockets"
    );

    let servers = find(&objects, "StatefulSet", "nats").unwrap();
    let settings = objects
        .iter()
        .find(|it| text(it, "metadata/name").starts_with("ingot-settings"))
        .unwrap();
    assert_eq!(at(servers, "spec/replicas").as_u64(), Some(3));
    assert_eq!(text(settings, "data/INGOT_BUS_REPLICAS"), "3");
}

#[test]
fn pods_start_with_the_password_of_no_more_than_they_need() {
    let objects = documents(&render("production"));
    for workload in Workload::all(&objects) {
        let has = |secret: &str| {
            list(workload.container, "env")
                .iter()
                .any(|it| text(it, "valueFrom/secretKeyRef/name") == secret)
        };
        let owner = ["ingot-migration", "ingot-migrate"].contains(&workload.name());
        assert_eq!(has("ingot-database"), owner, "{}", workload.name());
        if workload.name() == "ingot-edge" {
            assert!(!has("ingot-services"), "the edge knows no token's secret");
        }
    }
}
