//! Starts, stops, kills and restarts real servers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed step of a test is a failed test"
)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ingot_private_servers::{Error, PrivateServers};
use sqlx::{Connection, PgConnection};

/// Tells the test program to hold servers until it is killed; see [`hold_servers`].
const HOLD: &str = "HOLD_PRIVATE_SERVERS";

async fn ask(servers: &PrivateServers, question: &'static str) -> String {
    let mut connection = PgConnection::connect(&servers.postgres().url("postgres"))
        .await
        .unwrap();
    sqlx::query_scalar(question)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

async fn connect_nats(servers: &PrivateServers) -> async_nats::Client {
    let nats = servers.nats();
    async_nats::ConnectOptions::with_user_and_password(
        nats.user().to_owned(),
        nats.password().to_owned(),
    )
    .connect(format!("127.0.0.1:{}", nats.port()))
    .await
    .unwrap()
}

fn is_alive(pid: i32) -> bool {
    // A zombie is dead: nobody has reaped it yet.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with('Z'))
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test]
async fn throw_away_servers_answer_and_leave_nothing() {
    let servers = PrivateServers::start_throw_away().await.unwrap();
    assert_eq!(ask(&servers, "show fsync").await, "off");
    assert_eq!(ask(&servers, "show wal_level").await, "logical");
    assert_eq!(ask(&servers, "show listen_addresses").await, "127.0.0.1");

    let wrong = servers
        .postgres()
        .url("postgres")
        .replace(servers.postgres().password(), "not-the-password");
    assert!(PgConnection::connect(&wrong).await.is_err());

    let nats = connect_nats(&servers).await;
    async_nats::jetstream::new(nats)
        .create_stream(async_nats::jetstream::stream::Config {
            name: "S".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    let stranger = format!("nats://127.0.0.1:{}", servers.nats().port());
    assert!(async_nats::connect(stranger).await.is_err());

    let folder = servers.folder();
    let pids = [
        servers.postgres().running().unwrap().pid(),
        servers.nats().running().unwrap().pid(),
    ];
    servers.stop().await.unwrap();
    assert!(!folder.exists());
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
}

#[tokio::test]
async fn kept_data_survive_with_the_same_addresses() {
    let home = passable_tempdir();
    let folder = home.path().join("servers");
    let servers = PrivateServers::start_kept(&folder).await.unwrap();
    let mut connection = PgConnection::connect(&servers.postgres().url("postgres"))
        .await
        .unwrap();
    sqlx::query("create table kept as select 'yes' as answer")
        .execute(&mut connection)
        .await
        .unwrap();
    let mode = std::fs::metadata(folder.join("servers.json")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let addresses = (servers.postgres().url("x"), servers.nats().url());

    let again = PrivateServers::start_kept(&folder).await;
    assert!(matches!(again, Err(Error::InUse(_))), "{again:?}");
    servers.stop().await.unwrap();

    let servers = PrivateServers::start_kept(&folder).await.unwrap();
    assert_eq!(
        (servers.postgres().url("x"), servers.nats().url()),
        addresses
    );
    assert_eq!(ask(&servers, "select answer from kept").await, "yes");
    let port = servers.postgres().port();
    servers.stop().await.unwrap();

    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let servers = PrivateServers::start_kept(&folder).await.unwrap();
    assert_ne!(servers.postgres().port(), port);
    assert_eq!(ask(&servers, "select answer from kept").await, "yes");
    servers.stop().await.unwrap();
}

#[tokio::test]
async fn many_starts_at_once_get_servers_of_their_own() {
    let home = passable_tempdir();
    let folders = ["one", "two", "three"].map(|name| home.path().join(name));
    let (one, two, three) = tokio::join!(
        PrivateServers::start_kept(&folders[0]),
        PrivateServers::start_kept(&folders[1]),
        PrivateServers::start_kept(&folders[2]),
    );
    for servers in [one.unwrap(), two.unwrap(), three.unwrap()] {
        assert_eq!(ask(&servers, "select 'here'").await, "here");
        connect_nats(&servers).await.flush().await.unwrap();
        servers.stop().await.unwrap();
    }
}

#[tokio::test]
async fn each_server_restarts_on_its_port() {
    let mut servers = PrivateServers::start_throw_away().await.unwrap();
    let nats = connect_nats(&servers).await;
    let ports = (servers.postgres().port(), servers.nats().port());
    servers.postgres_mut().restart().await.unwrap();
    servers.nats_mut().restart().await.unwrap();
    assert_eq!((servers.postgres().port(), servers.nats().port()), ports);
    assert_eq!(ask(&servers, "select 'back'").await, "back");
    nats.flush().await.unwrap();
    servers.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_dies_is_seen_and_revived() {
    let mut servers = PrivateServers::start_throw_away().await.unwrap();
    let ended = servers.any_ended();
    let pid = servers.postgres().running().unwrap().pid();
    Command::new("kill")
        .args(["-QUIT", &pid.to_string()])
        .status()
        .unwrap();
    tokio::time::timeout(Duration::from_secs(10), ended)
        .await
        .unwrap();
    assert_eq!(servers.revive().await.unwrap(), ["PostgreSQL"]);
    assert_eq!(ask(&servers, "select 'back'").await, "back");
    assert!(servers.revive().await.unwrap().is_empty());
    servers.stop().await.unwrap();
}

#[test]
fn a_killed_process_leaves_no_server_behind() {
    let mut holder = Command::new(std::env::current_exe().unwrap());
    kill_and_look(&mut holder);
}

#[test]
fn an_ordinary_user_runs_them_as_itself() {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        // Then every other test here is this test.
        return;
    }
    let folder = passable_tempdir();
    let program = folder.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut holder = Command::new("setpriv");
    holder
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
        .arg(program)
        .env("TMPDIR", "/tmp");
    kill_and_look(&mut holder);
}

/// Starts this program again as a holder of servers, kills it outright, and sees the servers go.
fn kill_and_look(holder: &mut Command) {
    let mut child = holder
        .args(["--exact", "hold_servers", "--ignored", "--nocapture"])
        .env(HOLD, "1")
        .current_dir("/")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pids: Vec<i32> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| {
            let (_, pids) = line.split_once("PIDS ")?;
            Some(pids.split(' ').map(|pid| pid.parse().unwrap()).collect())
        })
        .unwrap();
    assert!(pids.len() == 2 && pids.iter().all(|pid| is_alive(*pid)));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("the servers go on without their holder", || {
        !pids.iter().any(|pid| is_alive(*pid))
    });
}

/// Not a test: what [`kill_and_look`] starts.
#[tokio::test]
#[ignore = "holds servers until it is killed; other tests start it"]
async fn hold_servers() {
    if std::env::var_os(HOLD).is_none() {
        return;
    }
    let servers = PrivateServers::start_throw_away().await.unwrap();
    println!(
        "PIDS {} {}",
        servers.postgres().running().unwrap().pid(),
        servers.nats().running().unwrap().pid()
    );
    tokio::time::sleep(Duration::from_mins(1)).await;
}

fn passable_tempdir() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    open_to_all(folder.path());
    folder
}

fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
