//! Reference, chapters "Configuration", "Observability" (trace header) and "Command line".

use ingot_project::LoginRole;
use ingot_testkit::TestProject;
use serde_json::json;
use tokio::process::Command;

use crate::http::{ANONYMOUS, Http};
use crate::server::Server;
use crate::world::{Answer, fixture, login};

#[tokio::test]
async fn the_database_has_settings_too() {
    let http = Http::start(&[("PGRST_DB_MAX_ROWS", "2")]).await;
    let role = LoginRole::Authenticator.name(&http.project.project().id);
    let set = format!(
        "alter role {role} set pgrst.db_anon_role = 'anon'; \
         alter role {role} set pgrst.db_max_rows = '1'; notify pgrst, 'reload config'"
    );
    // The server listens only after its first connection: the settings may be there already then.
    http.project.execute(&set).await.unwrap();
    let answer = http
        .until("GET /films", |answer| answer.status == 200)
        .await;
    assert_eq!(answer.json().as_array().unwrap().len(), 1);
    let more = format!("alter role {role} set pgrst.db_max_rows = '3'");
    http.project.execute(&more).await.unwrap();
    http.server.signal("-USR2");
    let three = |answer: &Answer| answer.json().as_array().is_some_and(|rows| rows.len() == 3);
    let answer = http.until("GET /films", three).await;
    assert!(three(&answer), "{}", answer.text());
}

#[tokio::test]
async fn a_function_sets_settings() {
    let project = fixture().await;
    let create = "create function configure() returns void language sql as \
        $$ select set_config('pgrst.db_anon_role', 'anon', true) $$";
    project.execute(create).await.unwrap();
    let function = (
        "PGRST_DB_PRE_CONFIG".to_owned(),
        "public.configure".to_owned(),
    );
    let server = Server::start(&project, vec![function]).await;
    let http = Http { project, server };
    let answer = http
        .until("GET /films?limit=1", |answer| answer.status == 200)
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn settings_of_the_role_count_more_than_those_of_the_function() {
    let project = fixture().await;
    let role = LoginRole::Authenticator.name(&project.project().id);
    let database = &project.project().database.name;
    let create = format!(
        "create function configure() returns void language sql as $$ select \
         set_config('pgrst.db_anon_role', 'anon', true), \
         set_config('pgrst.db_max_rows', '1', true), \
         set_config('pgrst.db_plan_enabled', 'true', true) $$; \
         alter role {role} set pgrst.db_max_rows = '2'; \
         alter role {role} in database {database} set pgrst.db_max_rows = '3'; \
         alter role {role} set pgrst.jwt_secret = ''; \
         alter database {database} set pgrst.db_pre_request = 'nothing'"
    );
    project.execute(&create).await.unwrap();
    let dumped = dump(&project, &[("PGRST_DB_PRE_CONFIG", "configure")]).await;
    for line in [
        "db-anon-role = \"anon\"",
        "db-max-rows = 3",
        "db-plan-enabled = true",
        "jwt-secret = \"\"",
    ] {
        assert!(
            dumped.lines().any(|dumped| dumped == line),
            "{line}: {dumped}"
        );
    }
    let dumped = dump(&project, &[]).await;
    let in_order = [
        "db-aggregates-enabled",
        "db-schemas",
        "db-config",
        "db-pre-config",
        "db-tx-end",
        "jwt-secret-is-base64",
        "jwt-cache-max-lifetime",
        "server-trace-header",
        "server-timing-enabled",
        "admin-server-port",
    ];
    let name = |line: &str| line.split(" = ").next().unwrap_or_default().to_owned();
    let names = dumped.lines().map(name);
    let found: Vec<String> = names.filter(|n| in_order.contains(&n.as_str())).collect();
    assert_eq!(found, in_order);
    for line in [
        "db-anon-role = \"\"",
        "db-max-rows = 3",
        "db-pre-request = \"\"",
    ] {
        assert!(
            dumped.lines().any(|dumped| dumped == line),
            "{line}: {dumped}"
        );
    }
}

/// What `--dump-config` prints.
async fn dump(project: &TestProject, variables: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ingot-rest"))
        .arg("--dump-config")
        .env_clear()
        .env("PGRST_DB_URI", login(project))
        .env(
            "PGRST_JWT_SECRET",
            "a secret of the environment, long enough",
        )
        .envs(variables.iter().copied())
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn values_that_make_no_sense_have_no_effect_or_stop_the_start() {
    let project = fixture().await;
    let odd = [
        ("PGRST_DB_PLAN_ENABLED", "perhaps"),
        ("PGRST_DB_CHANNEL_ENABLED", "no"),
        ("PGRST_DB_POOL", "some"),
    ];
    let dumped = dump(&project, &odd).await;
    for line in [
        "db-plan-enabled = false",
        "db-channel-enabled = true",
        "db-pool = 10",
    ] {
        assert!(
            dumped.lines().any(|dumped| dumped == line),
            "{line}: {dumped}"
        );
    }
    for (name, value) in [
        ("PGRST_DB_TX_END", "maybe"),
        ("PGRST_OPENAPI_MODE", "loud"),
        ("PGRST_LOG_LEVEL", "loud"),
        ("PGRST_JWT_ROLE_CLAIM_KEY", "role.other"),
        ("PGRST_OPENAPI_SERVER_PROXY_URI", "example.com"),
        ("PGRST_SERVER_UNIX_SOCKET_MODE", "999"),
        ("PGRST_SERVER_UNIX_SOCKET_MODE", "500"),
    ] {
        let started = Command::new(env!("CARGO_BIN_EXE_ingot-rest"))
            .env_clear()
            .env("PGRST_DB_URI", login(&project))
            .env("PGRST_SERVER_PORT", "0")
            .env(name, value)
            .output()
            .await
            .unwrap();
        let errors = String::from_utf8_lossy(&started.stderr);
        assert!(!started.status.success(), "{name}={value}: {errors}");
    }
}

#[tokio::test]
async fn old_names_and_empty_lists_mean_something() {
    let http = Http::start(&[
        ANONYMOUS,
        ("PGRST_ROOT_SPEC", "public.who"),
        ("PGRST_DB_EXTRA_SEARCH_PATH", ""),
        ("PGRST_DB_SCHEMA", "other, public"),
        // The project itself sets the schemas of its login roles.
        ("PGRST_DB_CONFIG", "false"),
        ("PGRST_APP_SETTINGS_Motto", "carpe diem"),
    ])
    .await;
    let create = "create function other.who() returns text language sql stable as \
        $$ select 'in other' $$; create function other.path() returns text language sql stable as \
        $$ select current_setting('search_path') $$; create function other.motto() returns text \
        language sql stable as $$ select current_setting('app.settings.motto') $$";
    http.project.execute(create).await.unwrap();
    assert_eq!(http.ask("GET /", &[]).await.json(), json!("in other"));
    let public = [("accept-profile", "public")];
    assert_eq!(http.ask("GET /", &public).await.json(), json!("anon"));
    let path = http.ask("GET /rpc/path", &[]).await;
    assert_eq!(path.json(), json!("\"other\""));
    let motto = http.ask("GET /rpc/motto", &[]).await;
    assert_eq!(motto.json(), json!("carpe diem"));
}

#[tokio::test]
async fn functions_are_named_letter_for_letter() {
    let http = Http::start(&[ANONYMOUS, ("PGRST_DB_PRE_REQUEST", "public.Gate")]).await;
    let create = "create function \"Gate\"() returns void language plpgsql as \
        $$ begin raise sqlstate 'PT403' using message = 'closed'; end $$";
    http.project.execute(create).await.unwrap();
    let refused = http.ask("GET /films", &[]).await;
    assert_eq!(refused.fault(), (403, "PT403".to_owned()));
}
