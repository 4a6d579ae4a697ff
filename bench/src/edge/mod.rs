//! A small JSON answer: directly from the service, through our edge, through nginx. Both proxies
//! have one worker and do the same work: CORS, request id, rate limit, access log to a file.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::serve::ListenerExt;
use ingot_private_servers::{PrivateServers, free_port};
use tokio::net::TcpListener;

use crate::child::Process;
use crate::load::{self, Load, Wanted};
use crate::report::Section;
use crate::{Plan, nginx};

/// Open connections of the load generator.
const CONNECTIONS: usize = 64;
/// A path that the edge forwards to the api service.
const PATH: &str = "/api/auth/public-config";
/// The answer.
const ANSWER: &str = r#"{"status":"ok","service":"small answer","n":12345678}"#;

/// The service behind the proxies.
pub(crate) async fn serve_json(address: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?.tap_io(|stream| {
        stream.set_nodelay(true).ok();
    });
    let answer = || async { ([(CONTENT_TYPE, "application/json")], ANSWER) };
    let router = Router::new()
        .route(PATH, get(answer))
        .route("/readyz", get(answer));
    axum::serve(listener, router).await?;
    Ok(())
}

/// Someone who answers, and whose CPU time counts.
struct Candidate {
    name: &'static str,
    address: SocketAddr,
    process: Process,
    loads: Vec<Load>,
    /// CPU time per request, in microseconds, per round.
    cpu: Vec<f64>,
}

pub(crate) async fn compare(plan: Plan) -> anyhow::Result<Section> {
    let folder = tempfile::tempdir()?;
    let servers = PrivateServers::start_throw_away().await?;
    let mut candidates = start(folder.path(), &servers).await?;
    for _ in 0..plan.rounds {
        for candidate in &mut candidates {
            candidate.measure(plan, folder.path()).await?;
        }
    }
    let section = summarise(plan, &candidates)?;
    drop(candidates);
    servers.stop().await?;
    Ok(section)
}

async fn start(folder: &Path, servers: &PrivateServers) -> anyhow::Result<Vec<Candidate>> {
    let address = || anyhow::Ok(SocketAddr::from(([127, 0, 0, 1], free_port(None)?)));
    let (direct, edge, nginx) = (address()?, address()?, address()?);
    let arguments = ["serve-json", &direct.to_string()];
    let json = Process::start_self(&arguments, &[], &folder.join("json.out"))?;
    let json = json.listening_on(direct).await?;
    let variables = [
        ("INGOT_EDGE_ADDRESS", "127.0.0.1".to_owned()),
        ("PORT", edge.port().to_string()),
        ("INGOT_EDGE_ADMIN_LISTEN", address()?.to_string()),
        ("INGOT_EDGE_KEY", "k".repeat(32)),
        ("INGOT_EDGE_THREADS", "1".to_owned()),
        ("INGOT_UPSTREAM_API", direct.to_string()),
        ("INGOT_UPSTREAM_RECORDS", direct.to_string()),
        ("INGOT_UPSTREAM_MIGRATION", direct.to_string()),
        ("INGOT_UPSTREAM_REALTIME", direct.to_string()),
        // High enough never to be reached, so that every request is counted and none refused.
        ("INGOT_RATE_LIMIT", u32::MAX.to_string()),
        ("TRUST_PROXY", "0".to_owned()),
        ("NATS_URL", servers.nats().url()),
    ];
    let ours = Process::start_self(&["serve-edge"], &variables, &folder.join("edge.out"))?;
    let candidate = |name, address, process| Candidate {
        name,
        address,
        process,
        loads: Vec::new(),
        cpu: Vec::new(),
    };
    Ok(vec![
        candidate("directly from the service", direct, json),
        candidate("through the edge", edge, ours.listening_on(edge).await?),
        candidate(
            "through nginx",
            nginx,
            nginx::start(folder, nginx, direct).await?,
        ),
    ])
}

impl Candidate {
    async fn measure(&mut self, plan: Plan, folder: &Path) -> anyhow::Result<()> {
        let wanted = Wanted {
            url: format!("http://{}{PATH}", self.address),
            method: "GET",
            headers: vec![("Origin", "https://app.example.com".to_owned())],
            body: None,
        };
        let before = self.process.cpu_time()?;
        let load = load::wrk(&wanted, CONNECTIONS, plan.length, folder).await?;
        let used = self.process.cpu_time()?.saturating_sub(before);
        self.cpu
            .push(used.as_secs_f64() * 1e6 / load.total.max(1.0));
        self.loads.push(load);
        Ok(())
    }

    fn cpu(&self) -> f64 {
        let mut cpu = self.cpu.clone();
        cpu.sort_by(f64::total_cmp);
        cpu.get(cpu.len() / 2).copied().unwrap_or_default()
    }
}

fn summarise(plan: Plan, candidates: &[Candidate]) -> anyhow::Result<Section> {
    let loads = candidates
        .iter()
        .map(|candidate| load::median(candidate.loads.clone()))
        .collect::<anyhow::Result<Vec<Load>>>()?;
    let nginx = loads.last().context("nginx was not measured")?.per_second;
    let rows = candidates
        .iter()
        .zip(&loads)
        .map(|(candidate, load)| {
            vec![
                candidate.name.to_owned(),
                format!("{:.0}", load.per_second),
                crate::report::milliseconds(load.p99),
                format!("{:.1} µs", candidate.cpu()),
                format!("{:.2}", load.per_second / nginx),
            ]
        })
        .collect();
    Ok(Section {
        id: "edge",
        command: "edge",
        title: "A small JSON answer",
        text: format!(
            "`wrk` with {CONNECTIONS} keep-alive connections asks for {} bytes of JSON, {} rounds \
             of {} s in turns, medians. The edge and nginx have one worker each and do the same \
             work: CORS, request id, a rate limit that is counted and never reached, an access log \
             to a file. CPU is the proxy's own (of the service in the first row).",
            ANSWER.len(),
            plan.rounds,
            plan.length.as_secs()
        ),
        columns: &["path", "requests/s", "p99", "CPU/request", "vs nginx"],
        rows,
    })
}
