//! The edge beside nginx: a small JSON answer, and what connections cost. Both proxies have one
//! worker and do the same work: CORS, request id, rate limit, access log to a file.

mod behind;
mod connections;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use ingot_private_servers::{PrivateServers, free_port};

pub(crate) use behind::serve_behind;

use crate::child::Process;
use crate::load::{self, Load, Wanted};
use crate::report::Section;
use crate::{Plan, files, nginx};
use behind::{ANSWER, SMALL};
use connections::Proxy;

/// Open connections of the load generator.
const CONNECTIONS: [usize; 2] = [64, 256];

/// Someone who answers, and whose CPU time counts.
struct Candidate {
    name: &'static str,
    address: SocketAddr,
    process: Process,
    /// By the number of connections.
    measured: [Measured; CONNECTIONS.len()],
}

#[derive(Default)]
struct Measured {
    loads: Vec<Load>,
    /// CPU time per request, in microseconds, per round.
    cpu: Vec<f64>,
}

pub(crate) async fn compare(plan: Plan) -> anyhow::Result<[Section; 2]> {
    files::raise_limit();
    let folder = tempfile::tempdir()?;
    let servers = PrivateServers::start_throw_away().await?;
    let mut candidates = start(folder.path(), &servers).await?;
    for _ in 0..plan.rounds {
        for number in 0..CONNECTIONS.len() {
            for candidate in &mut candidates {
                candidate.measure(number, plan, folder.path()).await?;
            }
        }
    }
    let requests = summarise(plan, &candidates)?;
    let [_, edge, nginx] = &candidates;
    let connections = connections::compare(edge.as_proxy(), nginx.as_proxy(), plan.length).await?;
    drop(candidates);
    servers.stop().await?;
    Ok([requests, connections])
}

async fn start(folder: &Path, servers: &PrivateServers) -> anyhow::Result<[Candidate; 3]> {
    let address = || anyhow::Ok(SocketAddr::from(([127, 0, 0, 1], free_port(None)?)));
    let (direct, edge, nginx) = (address()?, address()?, address()?);
    let arguments = ["serve-behind", &direct.to_string()];
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
        measured: Default::default(),
    };
    Ok([
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
    async fn measure(&mut self, number: usize, plan: Plan, folder: &Path) -> anyhow::Result<()> {
        let wanted = Wanted {
            url: format!("http://{}{SMALL}", self.address),
            method: "GET",
            headers: vec![("Origin", "https://app.example.com".to_owned())],
            body: None,
        };
        let (Some(connections), Some(measured)) =
            (CONNECTIONS.get(number), self.measured.get_mut(number))
        else {
            return Ok(());
        };
        let before = self.process.cpu_time()?;
        let load = load::wrk(&wanted, *connections, plan.length, folder).await?;
        let used = self.process.cpu_time()?.saturating_sub(before);
        let each = used.as_secs_f64() * 1e6 / load.total.max(1.0);
        measured.cpu.push(each);
        measured.loads.push(load);
        Ok(())
    }

    fn as_proxy(&self) -> Proxy<'_> {
        Proxy {
            address: self.address,
            process: &self.process,
        }
    }
}

impl Measured {
    fn cpu(&self) -> f64 {
        let mut cpu = self.cpu.clone();
        cpu.sort_by(f64::total_cmp);
        cpu.get(cpu.len() / 2).copied().unwrap_or_default()
    }
}

fn summarise(plan: Plan, candidates: &[Candidate; 3]) -> anyhow::Result<Section> {
    let mut rows = Vec::new();
    for (number, connections) in CONNECTIONS.iter().enumerate() {
        let measured = |candidate: &Candidate| -> anyhow::Result<(Load, f64)> {
            let measured = candidate.measured.get(number);
            let measured = measured.context("this number was not measured")?;
            Ok((load::median(measured.loads.clone())?, measured.cpu()))
        };
        let [_, _, nginx] = candidates;
        let (nginx, nginx_cpu) = measured(nginx)?;
        for candidate in candidates {
            let (load, cpu) = measured(candidate)?;
            let slowest = |load: &Load| load.p99.unwrap_or_default().as_secs_f64();
            rows.push(vec![
                candidate.name.to_owned(),
                connections.to_string(),
                format!("{:.0}", load.per_second),
                crate::report::milliseconds(load.p99),
                format!("{cpu:.1} µs"),
                format!("{:.2}", load.per_second / nginx.per_second),
                format!("{:.2}", slowest(&load) / slowest(&nginx)),
                format!("{:.2}", cpu / nginx_cpu),
            ]);
        }
    }
    Ok(Section {
        id: "edge",
        command: "edge",
        title: "A small JSON answer",
        text: format!(
            "`wrk` with keep-alive connections asks for {} bytes of JSON, {} rounds of {} s in \
             turns, medians. The edge and nginx have one worker each and do the same work: CORS, \
             request id, a rate limit that is counted and never reached, an access log to a file. \
             CPU is the proxy's own (of the service in the first row); the last three columns are \
             parts of nginx's. Goals: at least 0.8 of its requests, at most 1.2 of its p99 and 1.3 \
             of its CPU.",
            ANSWER.len(),
            plan.rounds,
            plan.length.as_secs()
        ),
        columns: &[
            "path",
            "connections",
            "requests/s",
            "p99",
            "CPU/request",
            "requests",
            "p99",
            "CPU",
        ],
        rows,
    })
}
