//! `ingot check config`: what a service would say at its start.

use std::process::Command;

/// What it says about a file, and whether it is content.
fn check(lines: &str, service: &str) -> (String, bool) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ingot"))
        .args(["check", "config", "--service", service])
        .arg(file.path())
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (said, output.status.success())
}

const KEY: &str = "INGOT_EDGE_KEY=0123456789abcdef0123456789abcdef\n";

#[test]
fn names_everything_that_would_keep_a_service_from_starting() {
    let (said, content) = check(KEY, "edge");
    assert!(content && said.contains("ingot-edge starts"), "{said}");

    let (said, content) = check("PORT=banana\nINGOT_TYPO=1\nINGOT_LOG_FORMAT=xml\n", "edge");
    assert!(!content);
    for wrong in ["PORT", "INGOT_TYPO", "INGOT_EDGE_KEY", "INGOT_LOG_FORMAT"] {
        assert!(said.contains(wrong), "{wrong}: {said}");
    }
    // What is right for one service is unknown to another.
    let (said, content) = check(&format!("{KEY}INGOT_RATE_LIMIT=5\n"), "api");
    assert!(!content && said.contains("INGOT_RATE_LIMIT"), "{said}");
    assert!(said.contains("JWT_SECRET"), "{said}");

    let tls = "INGOT_EDGE_TLS_PORT=7443\nINGOT_EDGE_TLS_CERTIFICATES=/nowhere\n";
    let (said, content) = check(&format!("{KEY}{tls}"), "edge");
    assert!(!content && said.contains("/nowhere/tls.crt"), "{said}");

    let (said, content) = check("what is this", "edge");
    assert!(
        !content && said.contains("line 1: expected KEY=value"),
        "{said}"
    );
    assert!(!check(KEY, "nobody").1);
}

#[test]
fn up_names_what_is_wrong_for_any_service_before_it_starts_anything() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = Command::new(env!("CARGO_BIN_EXE_ingot"))
        .arg("up")
        .env_clear()
        .env("INGOT_DATA_DIR", &data)
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("INGOT_TYPO", "1")
        .env("MAX_JSON_BODY_SIZE", "large")
        .env("INGOT_RATE_LIMIT", "many")
        .env("JWT_SECRET", "short")
        .env("LOG_LEVEL", "shout")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for wrong in [
        "INGOT_TYPO",
        "MAX_JSON_BODY_SIZE",
        "INGOT_RATE_LIMIT",
        "JWT_SECRET",
        "LOG_LEVEL",
    ] {
        assert_eq!(said.matches(&format!("  {wrong}: ")).count(), 1, "{said}");
    }
    assert!(!data.exists(), "nothing was started");
}
