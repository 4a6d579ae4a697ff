//! In a terminal, as an ordinary user: up, Ctrl-C, up again.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::installation::{Installation, health, runs, wait_until};

/// `ingot up` as it runs in a terminal; what it says goes to a file.
struct Up<'a> {
    here: &'a Installation,
    process: Child,
}

impl<'a> Up<'a> {
    fn start(here: &'a Installation) -> Self {
        let output = File::create(here.home().join("said")).unwrap();
        let process = here
            .command(&["up"])
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { here, process }
    }

    fn until_ready(here: &'a Installation) -> Self {
        let mut up = Self::start(here);
        let stack = here.data().join("stack.env");
        wait_until("stack.env is there", || {
            let ended = up.process.try_wait().unwrap();
            assert!(ended.is_none(), "{}", up.said());
            stack.exists()
        });
        up
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.here.home().join("said")).unwrap()
    }

    fn ctrl_c(self) -> ExitStatus {
        let pid = i32::try_from(self.process.id()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
        self.end()
    }

    fn end(mut self) -> ExitStatus {
        let mut status = None;
        wait_until("ingot up ends", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

async fn sql(here: &Installation, statement: &str) {
    let stack = here.stack();
    let mut database = PgConnection::connect(&stack["DATABASE_URL"]).await.unwrap();
    let statement = AssertSqlSafe(statement);
    sqlx::raw_sql(statement)
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
}

#[tokio::test]
async fn an_ordinary_user_starts_stops_and_starts_again() {
    let here = Installation::of_an_ordinary_user();
    let up = Up::until_ready(&here);
    let pids = here.pids();
    assert_eq!(pids.len(), 3, "ingot, PostgreSQL, NATS: {pids:?}");
    for pid in &pids {
        let owner = std::fs::metadata(format!("/proc/{pid}")).unwrap().uid();
        assert_eq!(owner, here.uid(), "{pid}");
    }
    let url = here.stack()["BASE_URL"].clone();
    assert_eq!(health(&url).await, Some(reqwest::StatusCode::OK));
    let said = up.said();
    assert!(
        !said.contains(" WARN ") && !said.contains(" ERROR "),
        "{said}"
    );
    sql(&here, "create table public.kept as select 1 as one").await;
    assert_eq!(up.ctrl_c().code(), Some(0));
    assert!(!pids.iter().any(|pid| runs(*pid)), "{pids:?}");
    assert_eq!(health(&url).await, None);
    assert!(!here.data().join("stack.env").exists());

    let up = Up::until_ready(&here);
    // What a newer or a changed build leaves behind.
    let change = "drop table public.kept;
        update system.schema_steps set checksum = repeat('0', 64) where number = 1";
    sql(&here, change).await;
    let pids = here.pids();
    assert_eq!(up.ctrl_c().code(), Some(0));
    assert!(!pids.iter().any(|pid| runs(*pid)), "{pids:?}");

    let begin = Instant::now();
    let up = Up::start(&here);
    let said = here.home().join("said");
    assert_eq!(up.end().code(), Some(1));
    let said = std::fs::read_to_string(said).unwrap();
    assert!(begin.elapsed() < Duration::from_mins(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("ingot: migration: project ")
            && last.contains("was applied to this database with other content")
            && last.contains("never edit a released step"),
        "{said}"
    );
}
