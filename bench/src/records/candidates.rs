//! Who answers: `pgbench`, the engine in this process, the program `ingot-rest`, and the records
//! service behind the edge.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, HeaderName, HeaderValue};
use ingot_identity::{Credential, Identity, Role};
use ingot_private_servers::free_port;
use ingot_project::LoginRole;
use ingot_rest::{Engine, EngineSettings, Request, Session, Target, Tls};
use ingot_testkit::TestProject;

use super::cases::{Case, USER};
use crate::Plan;
use crate::child::Process;
use crate::load::{self, Load, Wanted};

/// Connections to PostgreSQL of each candidate but `pgbench`, which has one per client.
const POOL: usize = 16;

/// A signed-in user.
fn user() -> Identity {
    Identity {
        role: Role::Authenticated,
        subject: Some(USER.to_owned()),
        email: None,
        credential: Credential::Token,
        expires_at: None,
    }
}

/// A free address on this machine.
pub(super) fn address() -> anyhow::Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], free_port(None)?)))
}

/// URL of a project's database, for its end users' login role.
fn database_url(project: &TestProject) -> String {
    let project = project.project();
    let database = &project.database;
    format!(
        "postgresql://{}:{}@{}:{}/{}?sslmode=disable",
        LoginRole::Authenticator.name(&project.id),
        project.login_password(LoginRole::Authenticator).expose(),
        database.host,
        database.port,
        database.name
    )
}

/// The peer: the same transactions without an API.
pub(super) struct PgBench {
    program: PathBuf,
    script: PathBuf,
    url: String,
}

impl PgBench {
    pub(super) fn new(project: &TestProject, folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            program: pgbench_program().context("pgbench is not installed")?,
            script: folder.join("records.sql"),
            url: database_url(project),
        })
    }

    pub(super) async fn load(
        &self,
        case: &Case,
        connections: usize,
        plan: Plan,
    ) -> anyhow::Result<Load> {
        std::fs::write(&self.script, case.script(&user().claims_json()))?;
        let (program, script) = (&self.program, &self.script);
        load::pgbench(program, script, &self.url, connections, plan.length).await
    }
}

/// Debian keeps the newest of its versions in the search path, or none.
fn pgbench_program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    let debian = PathBuf::from("/usr/lib/postgresql/15/bin");
    folders
        .into_iter()
        .chain([debian])
        .map(|folder| folder.join("pgbench"))
        .find(|program| program.is_file())
}

/// The engine without HTTP. What asks shares its process.
pub(super) struct Library(Arc<Engine>);

impl Library {
    pub(super) fn new(project: &TestProject) -> anyhow::Result<Self> {
        let settings = EngineSettings {
            pool_size: POOL,
            ..EngineSettings::default()
        };
        let config = database_url(project).parse()?;
        Ok(Self(Arc::new(Engine::new(settings, config, Tls::off())?)))
    }

    pub(super) async fn load(
        &self,
        case: &Case,
        connections: usize,
        plan: Plan,
    ) -> anyhow::Result<Load> {
        let started = Instant::now();
        let workers = (0..connections).map(|_| {
            let (engine, case) = (Arc::clone(&self.0), *case);
            tokio::spawn(async move { ask_until(&engine, &case, started + plan.length).await })
        });
        let mut times = Vec::new();
        for worker in join_all(workers).await {
            times.extend(worker??);
        }
        Ok(Load::of_times(times, started.elapsed()))
    }
}

/// Asks again and again, and tells how long each answer took.
async fn ask_until(engine: &Engine, case: &Case, end: Instant) -> anyhow::Result<Vec<Duration>> {
    let session = Session {
        role: "authenticated".to_owned(),
        claims: user().claims_json(),
        authenticated: true,
        settings: Vec::new(),
    };
    let mut times = Vec::new();
    loop {
        let asked = Instant::now();
        if asked >= end {
            return Ok(times);
        }
        let answer = engine.handle(request(case)?, &session).await;
        ensure!(answer.status.is_success(), "{}", answer.status);
        times.push(asked.elapsed());
    }
}

fn request(case: &Case) -> anyhow::Result<Request> {
    let mut headers = HeaderMap::new();
    for (name, value) in case.headers() {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        headers.insert(name, HeaderValue::from_str(&value)?);
    }
    Ok(Request {
        method: case.method(),
        target: match case.path.strip_prefix("rpc/") {
            Some(name) => Target::Function(name.to_owned()),
            None => Target::Relation(case.path.to_owned()),
        },
        query: case.query.to_owned(),
        headers,
        body: Bytes::from_static(case.body.unwrap_or_default().as_bytes()),
    })
}

/// Something that answers over HTTP.
pub(super) struct Server {
    /// Everything before a case's target; `%` stands for `records/`, which calls have not.
    root: String,
    token: String,
    /// The last one is measured.
    processes: Vec<Process>,
}

impl Server {
    /// The program `ingot-rest`.
    pub(super) async fn rest(project: &TestProject, folder: &Path) -> anyhow::Result<Self> {
        let address = address()?;
        let process = start_rest(project, address, None, folder)?;
        Ok(Self {
            root: format!("http://{address}/"),
            token: ingot_identity::postgrest_token(project.project(), &user())?,
            processes: vec![process.listening_on(address).await?],
        })
    }

    /// The records service behind the edge.
    pub(super) async fn platform(project: &TestProject, folder: &Path) -> anyhow::Result<Self> {
        let (edge, records) = (address()?, address()?);
        let variables = |own: Vec<(&'static str, String)>| -> Vec<(String, String)> {
            let environment = project.environment().with(own);
            let all = environment.iter();
            all.map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        let start = |part: &str, own| {
            let variables = variables(own);
            let variables: Vec<(&str, String)> = variables
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone()))
                .collect();
            Process::start_self(&[part], &variables, &folder.join(format!("{part}.out")))
        };
        let service = start(
            "serve-records",
            vec![
                ("INGOT_LISTEN", records.to_string()),
                ("INGOT_RECORDS_POOL_SIZE", POOL.to_string()),
            ],
        )?;
        let service = service.listening_on(records).await?;
        let front = start(
            "serve-edge",
            vec![
                ("INGOT_EDGE_ADDRESS", "127.0.0.1".to_owned()),
                ("PORT", edge.port().to_string()),
                ("INGOT_EDGE_ADMIN_LISTEN", address()?.to_string()),
                ("INGOT_UPSTREAM_API", records.to_string()),
                ("INGOT_UPSTREAM_RECORDS", records.to_string()),
                ("INGOT_UPSTREAM_MIGRATION", records.to_string()),
                ("INGOT_UPSTREAM_REALTIME", records.to_string()),
                ("INGOT_RATE_LIMIT", u32::MAX.to_string()),
                ("TRUST_PROXY", "0".to_owned()),
            ],
        )?;
        Ok(Self {
            root: format!("http://{edge}/api/database/%"),
            token: ingot_identity::postgrest_token(project.project(), &user())?,
            processes: vec![front.listening_on(edge).await?, service],
        })
    }

    pub(super) async fn load(
        &self,
        case: &Case,
        connections: usize,
        plan: Plan,
        folder: &Path,
    ) -> anyhow::Result<Load> {
        let place = if case.path.starts_with("rpc/") {
            ""
        } else {
            "records/"
        };
        let mut headers = case.headers();
        headers.push(("Authorization", format!("Bearer {}", self.token)));
        let wanted = Wanted {
            url: format!("{}{}", self.root.replace('%', place), case.target()),
            method: case.method,
            headers,
            body: case.body,
        };
        check(case, &wanted).await?;
        let measured = self.processes.last().context("nothing runs")?;
        let before = measured.cpu_time()?;
        let load = load::wrk(&wanted, connections, plan.length, folder).await?;
        let used = measured.cpu_time()?.saturating_sub(before);
        Ok(load.with_cpu(used))
    }
}

/// Asks until everything is up, and looks at the answer.
async fn check(case: &Case, wanted: &Wanted) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut request = client.request(case.method(), &wanted.url);
        for (name, value) in &wanted.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = wanted.body {
            request = request.body(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        let (part, times) = case.expected;
        if status.is_success() {
            let found = text.matches(part).count();
            ensure!(
                found == times,
                "{}: {found} times {part}: {text}",
                case.name
            );
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{}: {status} {text}", case.name);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Starts `ingot-rest`, which must have been built beside this program.
pub(super) fn start_rest(
    project: &TestProject,
    address: SocketAddr,
    admin: Option<SocketAddr>,
    folder: &Path,
) -> anyhow::Result<Process> {
    let program = std::env::current_exe()?.with_file_name("ingot-rest");
    ensure!(
        program.is_file(),
        "build it first: cargo build --release --bin ingot-rest"
    );
    let secret = project.project().jwt_secret.expose().to_owned();
    let mut variables = vec![
        ("PGRST_DB_URI", database_url(project)),
        ("PGRST_DB_SCHEMAS", "public".to_owned()),
        ("PGRST_DB_ANON_ROLE", "anon".to_owned()),
        ("PGRST_DB_POOL", POOL.to_string()),
        ("PGRST_JWT_SECRET", secret),
        ("PGRST_SERVER_HOST", "127.0.0.1".to_owned()),
        ("PGRST_SERVER_PORT", address.port().to_string()),
    ];
    if let Some(admin) = admin {
        variables.push(("PGRST_ADMIN_SERVER_PORT", admin.port().to_string()));
    }
    Process::start(&program, &[], &variables, &folder.join("ingot-rest.out"))
}
