//! `ingot` under the name of a service, as in the container image.

use std::os::unix::fs::symlink;
use std::process::Command;

#[test]
fn it_is_the_service_that_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    for service in [
        "api",
        "edge",
        "listen-relay",
        "migration",
        "realtime-fanout",
        "records-proxy",
    ] {
        let name = format!("ingot-{service}");
        let program = folder.path().join(&name);
        symlink(env!("CARGO_BIN_EXE_ingot"), &program).unwrap();
        // Each lacks at least one setting, and says so under its own name.
        let output = Command::new(&program).env_clear().output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&format!("{name} cannot start")), "{said}");
    }
    let once = Command::new(folder.path().join("ingot-migration"))
        .arg("--once")
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8(once.stderr).unwrap();
    assert!(
        !said.contains("INGOT_EDGE_KEY"),
        "a job has no edge: {said}"
    );
}
