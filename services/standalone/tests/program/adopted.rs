//! `ingot adopt`, and then `ingot backup` and `ingot restore` of what was adopted.

use std::path::Path;

use ingot_project::{LoginRole, ProjectRegistry};
use ingot_testkit::{TestProject, test_servers};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};
use tempfile::TempDir;

use crate::backup::{ingot, said, same, state, superuser};

/// What the InsForge server leaves at its step 47.
const REFERENCE: [&str; 2] = [
    include_str!("../../../migration/tests/migration/reference/step_018.sql"),
    include_str!("../../../migration/tests/migration/reference/step_047.sql"),
];

/// Its ledger. What stands there for pg_cron is not a backup's, and no number of a job is.
const LEDGER: &str = "
    insert into system.migrations (name, run_on) select to_char(n, 'FM000') || '_a', now()
        from generate_series(0, 47) as n;
    insert into system.migrations (name, run_on) values ('033_b', now()), ('047_b', now());
    update schedules.jobs set cron_job_id = null;
    drop schema cron cascade";

async fn run(connection: &mut PgConnection, sql: &str) {
    let run = raw_sql(AssertSqlSafe(sql)).execute(connection);
    run.await.unwrap();
}

// The program is waited for while connections of this process end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_adopted_is_backed_up_and_restored() {
    let host = TestProject::create().await.unwrap();
    let name = format!("{}_old", host.project().database.name);
    let settings = [("POSTGRES_DB", &name), ("INGOT_PROJECT", &name)];
    let environment = host.environment().with(settings);
    let mut server = superuser("postgres").await;
    run(&mut server, &format!("create database {name}")).await;
    let mut owner = superuser(&name).await;
    for sql in REFERENCE.into_iter().chain([LEDGER]) {
        run(&mut owner, sql).await;
    }
    owner.close().await.unwrap();

    let url = test_servers().await.unwrap().superuser_url(&name);
    let arguments = ["--apply", "--database-url", &url].map(Path::new);
    let adopted = ingot(&environment, "adopt", &arguments);
    assert!(adopted.status.success(), "{}", said(&adopted));
    let mut before = state(&name).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("adopted.backup");
    let written = ingot(&environment, "backup", &[&file]);
    assert!(written.status.success(), "{}", said(&written));
    let overwrite = [Path::new("--overwrite"), &file];
    let restored = ingot(&environment, "restore", &overwrite);
    assert!(restored.status.success(), "{}", said(&restored));
    // All but the other platform's ledger, and a schema that is nobody's.
    let ledger = "left out: system.migrations, which this Ingot does not have";
    assert!(said(&restored).contains(ledger), "{}", said(&restored));
    let gone = [
        "system.migrations ",
        "sequence migrations_id_seq",
        "schema ai",
    ];
    before.retain(|line| !gone.iter().any(|it| line.starts_with(it)));
    same(&before, &state(&name).await);

    let registry = <ProjectRegistry as ingot_config::Settings>::load(&environment).unwrap();
    let project = registry.find(&name).unwrap();
    let kept = "select string_agg(format('drop database %I with (force)', datname), ';')
        from pg_database where starts_with(datname, $1)";
    let drop: String = sqlx::query_scalar(kept)
        .bind(&name)
        .fetch_one(&mut server)
        .await
        .unwrap();
    for statement in drop.split(';') {
        run(&mut server, statement).await;
    }
    for role in LoginRole::ALL {
        run(
            &mut server,
            &format!("drop role {}", role.name(&project.id)),
        )
        .await;
    }
}
