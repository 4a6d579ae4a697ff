//! Many projects at once: what one does is nothing to the others, and what is done is done once.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use ingot_config::Environment;
use ingot_migration::{Action, Fleet, Report, State};
use ingot_testkit::{TestProject, test_servers};
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::bootstrap::Newcomer;

const UP: Action = Action::Up {
    patience: Duration::from_secs(5),
};

/// A file of settings for one project.
fn write(folder: &Path, file: &str, environment: &Environment, other: &[(&str, &str)]) {
    let own = environment.clone().with(other.iter().copied());
    let lines: Vec<_> = own
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    std::fs::write(folder.join(format!("{file}.env")), lines.join("\n")).unwrap();
}

async fn run(fleet: &Fleet, action: Action, concurrency: usize) -> Vec<Report> {
    let concurrency = NonZeroUsize::new(concurrency).unwrap();
    let never = CancellationToken::new();
    let running = fleet.run(action, concurrency, &never, |_| ());
    tokio::time::timeout(Duration::from_mins(2), running)
        .await
        .unwrap()
}

fn state<'r>(reports: &'r [Report], project: &str) -> &'r State {
    let mut reports = reports.iter();
    &reports
        .find(|it| it.project.as_str() == project)
        .unwrap()
        .state
}

async fn ledger(newcomer: &Newcomer) -> Vec<(i64, OffsetDateTime)> {
    sqlx::query_as("select number::bigint, applied_at from system.schema_steps order by number")
        .fetch_all(&mut newcomer.service().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn one_that_fails_stops_nobody_else() {
    let host = TestProject::create().await.unwrap();
    let changed = TestProject::create().await.unwrap();
    changed
        .execute("update system.schema_steps set checksum = 'x' where number = 2")
        .await
        .unwrap();
    let newcomers = ["fleet_a", "fleet_b"].map(|name| Newcomer::new(&host, name));
    let folder = TempDir::new().unwrap();
    for newcomer in &newcomers {
        write(folder.path(), &newcomer.name, &newcomer.environment, &[]);
    }
    write(folder.path(), "changed", &changed.environment(), &[]);
    let away = [("INGOT_PROJECT", "away"), ("POSTGRES_PORT", "1")];
    write(folder.path(), "away", &host.environment(), &away);
    let fleet = Fleet::of_folder(folder.path(), &Environment::default()).unwrap();
    assert_eq!(fleet.size(), 4);

    let before = run(&fleet, Action::Status, 2).await;
    assert_eq!(*state(&before, &newcomers[0].name), State::NoDatabase);

    let reports = run(&fleet, UP, 2).await;
    for newcomer in &newcomers {
        let applied = usize::try_from(ingot_schema::latest_version()).unwrap();
        assert_eq!(*state(&reports, &newcomer.name), State::Current { applied });
    }
    for (project, complaint) in [
        (changed.project().id.as_str(), "step 2 (schemas)"),
        ("away", "refused"),
    ] {
        let State::Failed { reason } = state(&reports, project) else {
            panic!("{project} is {:?}", state(&reports, project))
        };
        assert!(reason.contains(complaint), "{reason}");
    }
    let again = run(&fleet, UP, 2).await;
    for newcomer in &newcomers {
        assert_eq!(
            *state(&again, &newcomer.name),
            State::Current { applied: 0 }
        );
    }
    for newcomer in newcomers {
        newcomer.remove().await;
    }
}

#[tokio::test]
async fn what_was_stopped_half_way_continues_and_runs_nothing_twice() {
    let host = TestProject::create().await.unwrap();
    let newcomers = ["stop_a", "stop_b", "stop_c"].map(|name| Newcomer::new(&host, name));
    let folder = TempDir::new().unwrap();
    for newcomer in &newcomers {
        write(folder.path(), &newcomer.name, &newcomer.environment, &[]);
    }
    let fleet = Fleet::of_folder(folder.path(), &Environment::default()).unwrap();
    let stop = CancellationToken::new();
    let told = Cell::new(0);
    let reports = fleet
        .run(UP, NonZeroUsize::MIN, &stop, |_| {
            told.set(told.get() + 1);
            stop.cancel();
        })
        .await;
    assert_eq!(told.get(), 3);
    let done: Vec<_> = reports.iter().filter(|it| it.state.is_current()).collect();
    assert_eq!(done.len(), 1, "{reports:?}");
    let first = newcomers
        .iter()
        .find(|it| it.name == done[0].project.as_str())
        .unwrap();
    let ledger_then = ledger(first).await;

    let resumed = run(&fleet, UP, 3).await;
    assert!(
        resumed.iter().all(|it| it.state.is_current()),
        "{resumed:?}"
    );
    assert_eq!(*state(&resumed, &first.name), State::Current { applied: 0 });
    assert_eq!(ledger(first).await, ledger_then);
    for newcomer in newcomers {
        assert_eq!(ledger(&newcomer).await.len(), ledger_then.len());
        newcomer.remove().await;
    }
}

/// The applied steps as the server's owner sees them; none before there is a ledger.
async fn steps(database: &str) -> Vec<(i64, OffsetDateTime)> {
    let servers = test_servers().await.unwrap();
    let Ok(mut owner) = servers.superuser_options(database).connect().await else {
        return Vec::new();
    };
    let steps = "select number::bigint, applied_at from system.schema_steps order by number";
    let found = sqlx::query_as(steps).fetch_all(&mut owner).await;
    owner.close().await.unwrap();
    found.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_off_in_the_middle_of_a_project_runs_no_step_twice() {
    let host = TestProject::create().await.unwrap();
    let newcomers = ["break_a", "break_b"].map(|name| Newcomer::new(&host, name));
    let folder = TempDir::new().unwrap();
    for newcomer in &newcomers {
        write(folder.path(), &newcomer.name, &newcomer.environment, &[]);
    }
    let fleet = Fleet::of_folder(folder.path(), &Environment::default()).unwrap();
    let all = usize::try_from(ingot_schema::latest_version()).unwrap();
    let running = {
        let fleet = fleet.clone();
        tokio::spawn(async move { run(&fleet, UP, 2).await })
    };
    let begun = async {
        while steps(&newcomers[0].name).await.len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_mins(1);
    tokio::time::timeout(patience, begun).await.unwrap();
    // Its connections end without a word, as those of a killed process do.
    running.abort();
    assert!(running.await.is_err(), "it was done before it broke off");
    let mut before = Vec::new();
    for newcomer in &newcomers {
        before.push(steps(&newcomer.name).await);
    }

    let resumed = run(&fleet, UP, 2).await;
    for (newcomer, before) in newcomers.iter().zip(&before) {
        assert!(state(&resumed, &newcomer.name).is_current(), "{resumed:?}");
        let after = steps(&newcomer.name).await;
        assert_eq!(after.len(), all);
        assert!(after.starts_with(before), "{before:?} {after:?}");
    }
    for newcomer in newcomers {
        newcomer.remove().await;
    }
}

#[tokio::test]
async fn verify_finds_missing_steps_and_logins_that_are_not_let_in() {
    let project = TestProject::create().await.unwrap();
    let name = project.project().id.as_str();
    let fleet = Fleet::of_environment(&project.environment()).unwrap();
    assert!(state(&run(&fleet, Action::Verify, 1).await, name).is_current());

    let key = "another-key-of-a-good-length-0123456789";
    let stranger = project.environment().with([("ENCRYPTION_KEY", key)]);
    let stranger = Fleet::of_environment(&stranger).unwrap();
    let reports = run(&stranger, Action::Verify, 1).await;
    let State::Failed { reason } = state(&reports, name) else {
        panic!("{reports:?}")
    };
    assert!(reason.contains("_service is not let in"), "{reason}");

    let newest = ingot_schema::latest_version();
    let older = format!("delete from system.schema_steps where number = {newest}");
    project.execute(&older).await.unwrap();
    let behind = State::Behind {
        step: newest - 1,
        pending: 1,
    };
    assert_eq!(*state(&run(&fleet, Action::Verify, 1).await, name), behind);
    assert_eq!(*state(&run(&fleet, Action::Status, 1).await, name), behind);
}

#[tokio::test]
async fn a_folder_names_every_project_and_database_once() {
    let host = TestProject::create().await.unwrap();
    let folder = TempDir::new().unwrap();
    let none = Environment::default();
    let refused = |part: &str| {
        let error = Fleet::of_folder(folder.path(), &none)
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    };
    refused("no *.env file");
    let environment = host.environment();
    write(folder.path(), "one", &environment, &[]);
    write(folder.path(), "two", &environment, &[]);
    refused("both name project");
    write(
        folder.path(),
        "two",
        &environment,
        &[("INGOT_PROJECT", "other")],
    );
    refused("both name database");
    write(folder.path(), "two", &environment, &[("JWT_SECRET", "")]);
    refused("two.env: ");
}
