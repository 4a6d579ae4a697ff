//! The records engine: every kind of request through the engine in this process, through the
//! program `ingot-rest`, through edge and records service, and the same transaction by `pgbench`.

mod candidates;
mod cases;
mod idle;

use std::path::Path;

use ingot_testkit::TestProject;

use crate::Plan;
use crate::load::{self, Load};
use crate::report::{Section, microseconds, milliseconds};
use candidates::{Library, PgBench, Server};
use cases::{CASES, Case};

/// Requests at once.
const CONNECTIONS: [usize; 2] = [16, 64];

pub(crate) async fn compare(plan: Plan) -> anyhow::Result<Vec<Section>> {
    let project = TestProject::create().await?;
    cases::set_scene(&project).await?;
    let folder = tempfile::tempdir()?;
    let all = Candidates::start(&project, folder.path()).await?;
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        for case in &CASES {
            let results = all.measure(case, connections, plan, folder.path()).await?;
            rows.push(results.row(case, connections));
        }
    }
    drop(all);
    Ok(vec![
        section(plan, rows),
        idle::measure(folder.path()).await?,
    ])
}

struct Candidates {
    pgbench: PgBench,
    library: Library,
    rest: Server,
    platform: Server,
}

/// Medians of one case.
struct Results {
    pgbench: Load,
    library: Load,
    rest: Load,
    platform: Load,
}

impl Candidates {
    async fn start(project: &TestProject, folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            pgbench: PgBench::new(project, folder)?,
            library: Library::new(project)?,
            rest: Server::rest(project, folder).await?,
            platform: Server::platform(project, folder).await?,
        })
    }

    /// In turns, so that what disturbs the machine disturbs all.
    async fn measure(
        &self,
        case: &Case,
        connections: usize,
        plan: Plan,
        folder: &Path,
    ) -> anyhow::Result<Results> {
        let (mut pgbench, mut library) = (Vec::new(), Vec::new());
        let (mut rest, mut platform) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            pgbench.push(self.pgbench.load(case, connections, plan).await?);
            library.push(self.library.load(case, connections, plan).await?);
            rest.push(self.rest.load(case, connections, plan, folder).await?);
            platform.push(self.platform.load(case, connections, plan, folder).await?);
        }
        Ok(Results {
            pgbench: load::median(pgbench)?,
            library: load::median(library)?,
            rest: load::median(rest)?,
            platform: load::median(platform)?,
        })
    }
}

impl Results {
    fn row(&self, case: &Case, connections: usize) -> Vec<String> {
        let peer = self.pgbench.per_second;
        let ratio = |load: &Load| format!("{:.2}", load.per_second / peer);
        let spread = match (self.rest.p50, self.rest.p99) {
            (Some(half), Some(most)) if !half.is_zero() => {
                format!("{:.1}", most.as_secs_f64() / half.as_secs_f64())
            }
            _ => "–".to_owned(),
        };
        vec![
            case.name.to_owned(),
            connections.to_string(),
            format!("{peer:.0}"),
            ratio(&self.library),
            ratio(&self.rest),
            ratio(&self.platform),
            microseconds(self.rest.cpu_per_request()),
            milliseconds(self.rest.p50),
            milliseconds(self.rest.p99),
            spread,
        ]
    }
}

fn section(plan: Plan, rows: Vec<Vec<String>>) -> Section {
    Section {
        id: "records",
        command: "records",
        title: "The records API",
        text: format!(
            "A signed-in user's requests, under row-level security: role and claims, then one \
             statement, in one transaction. `pgbench -M prepared` sends the same as one pipeline \
             and throws the rows away; the others' requests per second are given as a part of its. \
             The library is asked by tasks of its own process, the others by `wrk`, which takes CPU \
             from them. {} rounds of {} s in turns, medians. PostgreSQL does not wait for its disk. CPU, p50 and p99 are those of \
             `ingot-rest`, CPU without PostgreSQL's.",
            plan.rounds,
            plan.length.as_secs()
        ),
        columns: &[
            "request",
            "at once",
            "`pgbench`/s",
            "library",
            "`ingot-rest`",
            "edge and service",
            "CPU/request",
            "p50",
            "p99",
            "p99/p50",
        ],
        rows,
    }
}
