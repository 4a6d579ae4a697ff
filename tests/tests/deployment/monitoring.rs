//! `deploy/prometheus` and `deploy/grafana`: rules, their tests, and the page about them.

use std::collections::BTreeSet;

use ingot_e2e::monitoring::{deploy_file, expressions, metrics_in};

use crate::pods::Workload;
use crate::tools::{documents, list, render, root, run, text};

const PROMTOOL: &str = "debian/usr/bin/promtool";
const UNIT_TESTS: &str = "prometheus/alerts.test.yaml";

fn alerts() -> Vec<String> {
    let file = std::fs::read_to_string(deploy_file("prometheus/alerts.yaml")).unwrap();
    let rules = documents(&file).remove(0);
    list(&rules, "groups/0/rules")
        .iter()
        .map(|rule| text(rule, "alert").to_owned())
        .collect()
}

#[test]
fn prometheus_takes_configuration_and_rules_and_the_rules_do_what_they_should() {
    let check = |arguments: &[&str]| run(PROMTOOL, arguments);
    check(&["check", "config", "deploy/prometheus/prometheus.yaml"]);
    check(&["check", "rules", "deploy/prometheus/alerts.yaml"]);
    check(&["test", "rules", &format!("deploy/{UNIT_TESTS}")]);
}

#[test]
fn every_alert_is_tested_quiet_and_loud_and_has_a_section_for_whoever_is_woken() {
    let file = std::fs::read_to_string(deploy_file(UNIT_TESTS)).unwrap();
    let tests = documents(&file).remove(0);
    let (mut quiet, mut loud) = (BTreeSet::new(), BTreeSet::new());
    for test in list(&tests, "tests") {
        for check in list(test, "alert_rule_test") {
            let seen = if list(check, "exp_alerts").is_empty() {
                &mut quiet
            } else {
                &mut loud
            };
            seen.insert(text(check, "alertname").to_owned());
        }
    }
    let page = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let sections: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let alerts = alerts();
    for alert in &alerts {
        assert!(quiet.contains(alert), "{alert} may be loud always");
        assert!(loud.contains(alert), "{alert} may be quiet always");
    }
    assert_eq!(sections, alerts, "sections of docs/operations.md");
}

#[test]
fn every_expression_is_about_a_metric_that_is_looked_for() {
    let expressions = expressions().unwrap();
    assert!(expressions.len() > 40);
    for (place, expression) in expressions {
        let about_targets = expression.starts_with("up{");
        assert!(
            about_targets || !metrics_in(&expression).is_empty(),
            "{place}: {expression}"
        );
    }
}

#[test]
fn kubernetes_pods_are_scraped_once_where_their_metrics_are() {
    let file = std::fs::read_to_string(deploy_file("prometheus/kubernetes.yaml")).unwrap();
    let config = documents(&file).remove(0);
    let keep = text(&config, "scrape_configs/0/relabel_configs/0/regex");
    // Prometheus matches the whole text.
    let keep = regex::Regex::new(&format!("^(?:{keep})$")).unwrap();
    let objects = documents(&render("production"));
    for workload in Workload::all(&objects) {
        let ports = list(workload.container, "ports").iter();
        let kept: Vec<_> = ports
            .map(|port| text(port, "name"))
            .filter(|port| keep.is_match(&format!("{};{port}", workload.name())))
            .collect();
        let expected: &[&str] = match (workload.is_ours(), workload.name()) {
            (true, "ingot-edge") => &["health"],
            (true, "ingot-migrate") | (false, _) => &[],
            _ => &["http"],
        };
        assert_eq!(kept, expected, "{}", workload.name());
    }
}
