//! What must hold between pods: services lead to them, and policies let nobody else through.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

use crate::pods::{Workload, find};
use crate::processes::Process;
use crate::tools::{at, list, map, text};

/// A workload of ours, and the service in it.
pub(crate) struct Member<'a> {
    pub(crate) workload: Workload<'a>,
    pub(crate) process: Process,
}

/// Services have pods and ports behind them; the edge's upstreams are headless services.
pub(crate) fn services_lead_somewhere(
    objects: &[Value],
    workloads: &[Workload<'_>],
    members: &[Member<'_>],
    complaints: &mut Vec<String>,
) {
    for service in objects.iter().filter(|it| text(it, "kind") == "Service") {
        let name = text(service, "metadata/name");
        let Some(pods) = selected(service, "spec/selector", workloads).next() else {
            complaints.push(format!("service {name} has no pods"));
            continue;
        };
        for port in list(service, "spec/ports") {
            if pods.port(text(port, "targetPort")).is_none() {
                complaints.push(format!("service {name}: no such port as {port:?}"));
            }
        }
    }
    let upstreams = members.iter().flat_map(|member| &member.process.upstreams);
    for upstream in upstreams {
        let (host, port) = upstream.rsplit_once(':').unwrap();
        let Some(service) = find(objects, "Service", host) else {
            complaints.push(format!(
                "the edge looks for {upstream}, and there is no such service"
            ));
            continue;
        };
        let serves = members.iter().any(|member| {
            let listens = member.process.listen.map(|it| it.port().to_string());
            listens.as_deref() == Some(port)
                && is_selected(service, "spec/selector", &member.workload)
        });
        let headless = text(service, "spec/clusterIP") == "None";
        if !serves || !headless {
            complaints.push(format!("{upstream} does not lead the edge to pods"));
        }
    }
}

/// Everything is denied, and labels by which policies allow are those of who needs it.
pub(crate) fn policies_hold(
    objects: &[Value],
    workloads: &[Workload<'_>],
    members: &[Member<'_>],
    complaints: &mut Vec<String>,
) {
    let deny = find(objects, "NetworkPolicy", "ingot-deny").expect("a policy that denies");
    for workload in workloads {
        if !is_selected(deny, "spec/podSelector/matchLabels", workload) {
            complaints.push(format!("{}: no policy denies anything", workload.name()));
        }
    }
    let upstreams: BTreeSet<_> = members
        .iter()
        .flat_map(|member| &member.process.upstreams)
        .filter_map(|upstream| upstream.split(':').next())
        .collect();
    for Member { workload, process } in members {
        let behind_edge = upstreams.contains(workload.name());
        for (label, needed) in [
            ("ingot.dev/uses-bus", process.reads("NATS_URL")),
            ("ingot.dev/uses-database", process.reads("POSTGRES_HOST")),
            ("ingot.dev/behind-edge", behind_edge),
        ] {
            if (workload.label(label) == "true") != needed {
                complaints.push(format!(
                    "{}: label {label} should be {needed}",
                    workload.name()
                ));
            }
        }
    }
    metrics_are_reachable(objects, members, complaints);
    only_these_may_enter(objects, workloads, complaints);
}

/// The policy for Prometheus names the health port of every service, and no other port.
fn metrics_are_reachable(objects: &[Value], members: &[Member<'_>], complaints: &mut Vec<String>) {
    let policy = find(objects, "NetworkPolicy", "ingot-metrics").expect("a policy for metrics");
    let allowed: BTreeSet<_> = list(policy, "spec/ingress/0/ports")
        .iter()
        .filter_map(|port| at(port, "port").as_u64())
        .collect();
    let health: BTreeSet<_> = members
        .iter()
        .filter_map(|member| Some(u64::from(member.process.health?.port())))
        .collect();
    if allowed != health {
        complaints.push(format!(
            "metrics: ports {allowed:?} are open, {health:?} needed"
        ));
    }
}

/// Only the edge is open to everybody; whoever else may be entered says from where.
fn only_these_may_enter(
    objects: &[Value],
    workloads: &[Workload<'_>],
    complaints: &mut Vec<String>,
) {
    for policy in objects
        .iter()
        .filter(|it| text(it, "kind") == "NetworkPolicy")
    {
        let open = list(policy, "spec/ingress")
            .iter()
            .any(|rule| list(rule, "from").is_empty());
        for pods in selected(policy, "spec/podSelector/matchLabels", workloads) {
            if open && pods.name() != "ingot-edge" {
                let name = text(policy, "metadata/name");
                complaints.push(format!("{name} opens {} to everybody", pods.name()));
            }
        }
    }
}

fn selected<'a, 'b>(
    object: &'a Value,
    path: &'a str,
    workloads: &'a [Workload<'b>],
) -> impl Iterator<Item = &'a Workload<'b>> {
    workloads
        .iter()
        .filter(move |workload| is_selected(object, path, workload))
}

fn is_selected(object: &Value, path: &str, workload: &Workload<'_>) -> bool {
    let wanted = map(object, path);
    !wanted.is_empty()
        && wanted
            .iter()
            .all(|(label, value)| workload.label(label) == *value)
}
