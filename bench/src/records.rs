//! 25 rows under row-level security: through the records service over HTTP, through the native
//! engine as a library, and the same transaction sent by `pgbench` as one pipeline.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, Method};
use ingot_identity::{Credential, Identity, Role};
use ingot_private_servers::free_port;
use ingot_project::LoginRole;
use ingot_rest::{Engine, EngineSettings, Request, Session, Target, Tls};
use ingot_testkit::TestProject;

use crate::Plan;
use crate::child::Process;
use crate::load::{self, Load};
use crate::report::{Section, milliseconds};

/// Requests at once, and connections to PostgreSQL.
const CONCURRENCY: usize = 16;
/// Whose rows are read.
const USER: &str = "5a0f7a2e-0000-4000-8000-000000000007";
const QUERY: &str = "select=*&order=id&limit=25";

/// 1,000 users with 100 rows each, readable by their owner only.
const SCENE: &str = "
    create table public.items (
        id bigint generated always as identity primary key,
        owner uuid not null,
        title text not null,
        done boolean not null default false,
        price numeric(12, 2) not null,
        created_at timestamptz not null default now()
    );
    insert into public.items (owner, title, price)
    select ('5a0f7a2e-0000-4000-8000-' || lpad((n % 1000)::text, 12, '0'))::uuid,
           'item number ' || n, n / 100.0
    from generate_series(1, 100000) n;
    create index on public.items (owner, id);
    alter table public.items enable row level security;
    create policy own on public.items for select to authenticated
        using (owner = (select auth.uid()));
    grant select on public.items to authenticated;
    vacuum analyze public.items;
";

pub(crate) async fn compare(plan: Plan) -> anyhow::Result<Section> {
    let project = TestProject::create().await?;
    for statement in SCENE.split_inclusive(';').filter(|s| !s.trim().is_empty()) {
        project.execute(statement).await?;
    }
    let folder = tempfile::tempdir()?;
    let service = Service::start(&project, folder.path()).await?;
    let engine = Arc::new(engine(&project)?);
    let pgbench = PgBench::prepare(&project, folder.path())?;
    let (mut over_http, mut as_library, mut by_pgbench) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        over_http.push(service.load(plan).await?);
        as_library.push(library_load(&engine, plan).await?);
        by_pgbench.push(pgbench.load(plan).await?);
    }
    let loads = [
        ("records service over HTTP", load::median(over_http)?),
        ("native engine as a library", load::median(as_library)?),
        ("`pgbench`, one pipeline", load::median(by_pgbench)?),
    ];
    Ok(summarise(plan, &loads))
}

fn summarise(plan: Plan, loads: &[(&str, Load)]) -> Section {
    let peer = loads.last().map_or(1.0, |(_, load)| load.per_second);
    Section {
        id: "records",
        title: "25 rows through the records API",
        text: format!(
            "A signed-in user reads 25 rows of a table of 100,000 under a row-level security \
             policy: role and claims, then one `json_agg` select, in one transaction. `pgbench -M \
             prepared` sends the same as one pipeline and throws the rows away. {CONCURRENCY} \
             requests at once, {} rounds of {} s in turns, medians. `wrk` drives the first row.",
            plan.rounds,
            plan.length.as_secs()
        ),
        columns: &["path", "requests/s", "p99", "vs pgbench"],
        rows: loads
            .iter()
            .map(|(name, load)| {
                vec![
                    (*name).to_owned(),
                    format!("{:.0}", load.per_second),
                    milliseconds(load.p99),
                    format!("{:.2}", load.per_second / peer),
                ]
            })
            .collect(),
    }
}

fn user() -> Identity {
    Identity {
        role: Role::Authenticated,
        subject: Some(USER.to_owned()),
        email: None,
        credential: Credential::Token,
        expires_at: None,
    }
}

/// The records service as a process of its own.
struct Service<'a> {
    project: &'a TestProject,
    address: SocketAddr,
    _process: Process,
}

impl<'a> Service<'a> {
    async fn start(project: &'a TestProject, folder: &Path) -> anyhow::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port(None)?));
        let listen = [
            ("INGOT_LISTEN", address.to_string()),
            ("INGOT_RECORDS_POOL_SIZE", CONCURRENCY.to_string()),
        ];
        let environment = project.environment().with(listen);
        let variables: Vec<(&str, String)> = environment
            .iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        let log = folder.join("records.out");
        let process = Process::start_self(&["serve-records"], &variables, &log)?;
        Ok(Self {
            project,
            address,
            _process: process.listening_on(address).await?,
        })
    }

    async fn load(&self, plan: Plan) -> anyhow::Result<Load> {
        let url = format!("http://{}/api/database/records/items?{QUERY}", self.address);
        let token = ingot_identity::postgrest_token(self.project.project(), &user())?;
        let headers = [
            (
                "X-Ingot-Edge-Key",
                self.project.edge_key().expose().to_owned(),
            ),
            ("X-Ingot-Project", self.project.project().id.to_string()),
            ("Authorization", format!("Bearer {token}")),
        ];
        self.check(&url, &headers).await?;
        load::wrk(&url, CONCURRENCY, plan.length, &headers).await
    }

    /// A wrong answer may be fast.
    async fn check(&self, url: &str, headers: &[(&str, String)]) -> anyhow::Result<()> {
        let mut request = reqwest::Client::new().get(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        let rows = text.matches("\"owner\"").count();
        ensure!(
            rows == 25,
            "expected 25 rows, got {status} and {rows}: {text}"
        );
        Ok(())
    }
}

fn engine(project: &TestProject) -> anyhow::Result<Engine> {
    let project = project.project();
    let mut config = tokio_postgres::Config::new();
    config
        .host(&project.database.host)
        .port(project.database.port)
        .dbname(&project.database.name)
        .user(LoginRole::Authenticator.name(&project.id))
        .password(project.login_password(LoginRole::Authenticator).expose());
    let settings = EngineSettings {
        pool_size: CONCURRENCY,
        ..EngineSettings::default()
    };
    Ok(Engine::new(settings, config, Tls::off())?)
}

async fn library_load(engine: &Arc<Engine>, plan: Plan) -> anyhow::Result<Load> {
    let done = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let workers = (0..CONCURRENCY).map(|_| {
        let (engine, done) = (Arc::clone(engine), Arc::clone(&done));
        tokio::spawn(async move {
            let session = Session {
                role: "authenticated".to_owned(),
                claims: user().claims_json(),
                authenticated: true,
                settings: Vec::new(),
            };
            while started.elapsed() < plan.length {
                let answer = engine.handle(request(), &session).await;
                ensure!(answer.status.is_success(), "{}", answer.status);
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })
    });
    for worker in join_all(workers).await {
        worker??;
    }
    let total = u32::try_from(done.load(Ordering::Relaxed))?;
    Ok(Load {
        per_second: f64::from(total) / started.elapsed().as_secs_f64(),
        p99: None,
        total: f64::from(total),
    })
}

fn request() -> Request {
    Request {
        method: Method::GET,
        target: Target::Relation("items".to_owned()),
        query: QUERY.to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    }
}

/// The same transaction by `pgbench`.
struct PgBench {
    program: std::path::PathBuf,
    script: std::path::PathBuf,
    connection: String,
}

impl PgBench {
    fn prepare(project: &TestProject, folder: &Path) -> anyhow::Result<Self> {
        let claims = user().claims_json();
        let script = folder.join("records.sql");
        // pgbench would take `:name` for a variable, and JSON needs its colons.
        let claims = claims.replace(':', ": ");
        std::fs::write(
            &script,
            format!(
                "\\startpipeline\nBEGIN;\nSELECT set_config('role', 'authenticated', true), \
                 set_config('request.jwt.claims', '{claims}', true);\nSELECT \
                 coalesce(json_agg(t), '[]') FROM (SELECT * FROM public.items ORDER BY id LIMIT \
                 25) t;\nCOMMIT;\n\\endpipeline\n"
            ),
        )?;
        let project = project.project();
        let database = &project.database;
        Ok(Self {
            program: pgbench_program().context("pgbench is not installed")?,
            script,
            connection: format!(
                "postgresql://{}:{}@{}:{}/{}?sslmode=disable",
                LoginRole::Authenticator.name(&project.id),
                project.login_password(LoginRole::Authenticator).expose(),
                database.host,
                database.port,
                database.name
            ),
        })
    }

    async fn load(&self, plan: Plan) -> anyhow::Result<Load> {
        let (program, script) = (&self.program, &self.script);
        load::pgbench(program, script, &self.connection, CONCURRENCY, plan.length).await
    }
}

/// Debian keeps the newest of its versions in the search path, or none.
fn pgbench_program() -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    let debian = std::path::PathBuf::from("/usr/lib/postgresql/15/bin");
    folders
        .into_iter()
        .chain([debian])
        .map(|folder| folder.join("pgbench"))
        .find(|program| program.is_file())
}
