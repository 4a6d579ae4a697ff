//! What must hold for a pod: each rule is a function that complains.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use ingot_config::Environment;
use serde_yaml_ng::Value;

use crate::processes::Process;
use crate::tools::{at, list, map, text};

/// Stands in for a secret; long enough for all of them.
const PLACEHOLDER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// What makes pods: a Deployment, StatefulSet or Job.
pub(crate) struct Workload<'a> {
    pub(crate) object: &'a Value,
    pub(crate) pod: &'a Value,
    pub(crate) container: &'a Value,
}

impl<'a> Workload<'a> {
    /// All of them.
    pub(crate) fn all(objects: &'a [Value]) -> Vec<Self> {
        let kinds = ["Deployment", "StatefulSet", "Job"];
        let workloads = objects
            .iter()
            .filter(|object| kinds.contains(&text(object, "kind")));
        workloads
            .map(|object| {
                let pod = at(object, "spec/template");
                assert_eq!(list(pod, "spec/containers").len(), 1);
                let container = at(pod, "spec/containers/0");
                Self {
                    object,
                    pod,
                    container,
                }
            })
            .collect()
    }

    pub(crate) fn name(&self) -> &'a str {
        text(self.object, "metadata/name")
    }

    pub(crate) fn kind(&self) -> &'a str {
        text(self.object, "kind")
    }

    /// Whether a program of ours runs in it.
    pub(crate) fn is_ours(&self) -> bool {
        text(self.container, "image").starts_with("ingot:")
    }

    pub(crate) fn label(&self, name: &str) -> &'a str {
        let labels = at(self.pod, "metadata/labels");
        labels.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The number of a port, by its name.
    pub(crate) fn port(&self, name: &str) -> Option<u64> {
        let mut ports = list(self.container, "ports").iter();
        let named = ports.find(|port| text(port, "name") == name)?;
        at(named, "containerPort").as_u64()
    }

    /// The variables of the container, with placeholders for secrets; complains about references
    /// that lead nowhere and secrets that stand in the open.
    pub(crate) fn environment(
        &self,
        objects: &[Value],
        secrets: &BTreeSet<(String, String)>,
        complaints: &mut Vec<String>,
    ) -> (Environment, Vec<String>) {
        let (mut variables, mut by_reference) = (BTreeMap::new(), Vec::new());
        for source in list(self.container, "envFrom") {
            let wanted = text(source, "configMapRef/name");
            match find(objects, "ConfigMap", wanted) {
                Some(config) => variables.extend(
                    map(config, "data")
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value.to_owned())),
                ),
                None => complaints.push(format!("{}: no ConfigMap {wanted}", self.name())),
            }
        }
        for variable in list(self.container, "env") {
            let name = text(variable, "name").to_owned();
            let reference = at(variable, "valueFrom/secretKeyRef");
            let value = if reference.is_mapping() {
                let key = (
                    text(reference, "name").to_owned(),
                    text(reference, "key").to_owned(),
                );
                if !secrets.contains(&key) {
                    complaints.push(format!("{}: nobody makes secret {key:?}", self.name()));
                }
                by_reference.push(name.clone());
                PLACEHOLDER
            } else {
                text(variable, "value")
            };
            variables.insert(name, value.to_owned());
        }
        (Environment::from_pairs(variables), by_reference)
    }

    /// The service that runs in it, with what the object gives it.
    pub(crate) fn process(
        &self,
        objects: &[Value],
        secrets: &BTreeSet<(String, String)>,
        complaints: &mut Vec<String>,
    ) -> Option<Process> {
        let (environment, by_reference) = self.environment(objects, secrets, complaints);
        let command: Vec<String> = list(self.container, "args")
            .iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect();
        let process = match Process::load(&command, &environment) {
            Ok(process) => process,
            Err(problems) => {
                complaints.push(format!("{}: {problems}", self.name()));
                return None;
            }
        };
        for (name, _) in environment.iter() {
            if process.is_secret(name) && !by_reference.iter().any(|set| set == name) {
                complaints.push(format!("{}: {name} stands in the open", self.name()));
            }
        }
        Some(process)
    }
}

/// An object by kind and name.
pub(crate) fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> Option<&'a Value> {
    objects
        .iter()
        .find(|object| text(object, "kind") == kind && text(object, "metadata/name") == name)
}

/// Kubernetes' `restricted` standard, and a root file system that cannot be written.
pub(crate) fn is_restricted(workload: &Workload<'_>, complaints: &mut Vec<String>) {
    let mut demand = |value: &Value, path: &str, wanted: Value| {
        if at(value, path) != &wanted {
            let name = workload.name();
            complaints.push(format!("{name}: {path} is not {wanted:?}"));
        }
    };
    let pod = at(workload.pod, "spec");
    demand(pod, "automountServiceAccountToken", false.into());
    demand(pod, "enableServiceLinks", false.into());
    demand(pod, "securityContext/runAsNonRoot", true.into());
    demand(
        pod,
        "securityContext/seccompProfile/type",
        "RuntimeDefault".into(),
    );
    let container = workload.container;
    demand(
        container,
        "securityContext/allowPrivilegeEscalation",
        false.into(),
    );
    demand(
        container,
        "securityContext/readOnlyRootFilesystem",
        true.into(),
    );
    let all = Value::Sequence(vec!["ALL".into()]);
    demand(container, "securityContext/capabilities/drop", all);
}

/// A version that can be said again, and known needs.
pub(crate) fn is_definite(workload: &Workload<'_>, complaints: &mut Vec<String>) {
    let (name, image) = (workload.name(), text(workload.container, "image"));
    if !matches!(image.rsplit_once(':'), Some((_, tag)) if tag != "latest") {
        complaints.push(format!("{name}: the image {image} has no definite version"));
    }
    for path in ["requests/cpu", "requests/memory", "limits/memory"] {
        if at(at(workload.container, "resources"), path).is_null() {
            complaints.push(format!("{name}: resources/{path} is missing"));
        }
    }
}

/// Probes that lead to ports of the container, and time enough to stop.
pub(crate) fn is_probed(workload: &Workload<'_>, complaints: &mut Vec<String>) {
    let name = workload.name();
    for probe in ["readinessProbe", "livenessProbe"] {
        let probe_of = at(workload.container, probe);
        if probe_of.is_null() {
            complaints.push(format!("{name}: {probe} is missing"));
        }
        let port = text(probe_of, "httpGet/port");
        if !port.is_empty() && workload.port(port).is_none() {
            complaints.push(format!(
                "{name}: {probe} asks port {port}, which is not there"
            ));
        }
    }
}

/// A rollout that never has fewer pods than before, on more than one machine.
pub(crate) fn is_rolled_gently(workload: &Workload<'_>, complaints: &mut Vec<String>) {
    let name = workload.name();
    let unavailable = at(
        workload.object,
        "spec/strategy/rollingUpdate/maxUnavailable",
    );
    if unavailable != &Value::from(0) {
        complaints.push(format!(
            "{name}: a rollout takes pods before there are new ones"
        ));
    }
    if list(workload.pod, "spec/topologySpreadConstraints").is_empty() {
        complaints.push(format!("{name}: nothing spreads its pods"));
    }
}

/// Ports, probes and grace period are those of the process.
pub(crate) fn agrees(workload: &Workload<'_>, process: &Process, complaints: &mut Vec<String>) {
    let name = workload.name();
    let spec = at(workload.pod, "spec");
    let grace = at(spec, "terminationGracePeriodSeconds").as_u64();
    let pause = at(workload.container, "lifecycle/preStop/sleep/seconds").as_u64();
    let needed = pause.unwrap_or_default() + process.stop.as_secs();
    if grace.unwrap_or(30) < needed {
        complaints.push(format!("{name}: {grace:?} s of grace, {needed} are needed"));
    }
    let mut same_port = |label: &str, of: &str, listens: Option<SocketAddr>| {
        let Some(listens) = listens else { return };
        if workload.port(of) != Some(u64::from(listens.port())) || !listens.ip().is_unspecified() {
            complaints.push(format!(
                "{name}: {label} is {listens}, and port {of} is not"
            ));
        }
    };
    same_port("INGOT_LISTEN or PORT", "http", process.listen);
    for probe in ["readinessProbe", "livenessProbe"] {
        let port = text(at(workload.container, probe), "httpGet/port");
        same_port("health", port, process.health);
    }
}
