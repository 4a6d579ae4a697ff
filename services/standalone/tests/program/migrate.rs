//! `ingot migrate` and `ingot adopt` as a person types them.

use std::process::{Command, Output};

use ingot_config::Environment;
use ingot_testkit::TestProject;
use tempfile::TempDir;

fn ingot(command: &str, environment: &Environment, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ingot"))
        .arg(command)
        .args(arguments)
        .env_clear()
        .envs(environment.iter())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8(bytes.clone()).unwrap())
        .concat()
}

#[tokio::test]
async fn says_how_each_project_is_and_ends_accordingly() {
    let one = TestProject::create().await.unwrap();
    let two = TestProject::create().await.unwrap();
    two.execute("update system.schema_steps set checksum = 'x' where number = 2")
        .await
        .unwrap();
    let folder = TempDir::new().unwrap();
    for project in [&one, &two] {
        let environment = project.environment();
        let lines: Vec<_> = environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let file = format!("{}.env", project.project().id);
        std::fs::write(folder.path().join(file), lines.join("\n")).unwrap();
    }
    let projects = ["--projects", folder.path().to_str().unwrap()];
    for action in ["up", "verify", "status"] {
        let arguments = [action, projects[0], projects[1], "--concurrency", "2"];
        let output = ingot("migrate", &Environment::default(), &arguments);
        let text = said(&output);
        assert!(!output.status.success(), "{text}");
        assert!(
            text.contains(&format!("current   {}", one.project().id)),
            "{text}"
        );
        assert!(
            text.contains(&format!("FAILED    {}", two.project().id)),
            "{text}"
        );
        assert!(text.contains("1 of 2 are up to date"), "{text}");
        assert!(text.contains("restore the file"), "{text}");
    }

    let alone = ingot("migrate", &one.environment(), &["verify"]);
    assert!(alone.status.success(), "{}", said(&alone));
    let nothing = ingot("migrate", &Environment::default(), &["status"]);
    assert!(!nothing.status.success());
    assert!(said(&nothing).contains("JWT_SECRET"), "{}", said(&nothing));
}

#[tokio::test]
async fn adopts_what_the_url_names_and_nothing_that_it_has_already() {
    let project = TestProject::create().await.unwrap();
    // The settings lead nowhere; the URL does.
    let nowhere = [("POSTGRES_PORT", "1"), ("POSTGRES_PASSWORD", "wrong")];
    let environment = project.environment().with(nowhere);
    let url = project.superuser_url();
    let output = ingot("adopt", &environment, &["--database-url", &url]);
    assert!(!output.status.success());
    let text = said(&output);
    assert!(text.contains("has Ingot's schema already"), "{text}");

    let output = ingot("adopt", &environment, &["--database-url", "secret"]);
    assert!(!output.status.success());
    assert!(!said(&output).contains("secret"), "{}", said(&output));
}
