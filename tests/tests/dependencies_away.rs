//! PostgreSQL and NATS are away when a service starts, come, go and come back. Meanwhile it lives,
//! says what it misses, answers with errors instead of hanging, and recovers by itself.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed step of a test is a failed test"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use ingot_config::Settings;
use ingot_e2e::eventually;
use ingot_identity::SeedSettings;
use ingot_testkit::{Passage, TestProject, TestService};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// No request waits longer for a dependency that is away.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A project, and the ways of its services to PostgreSQL and NATS, shut to begin with.
struct Scene {
    project: TestProject,
    database: Passage,
    nats: Passage,
}

impl Scene {
    async fn new() -> anyhow::Result<Self> {
        let project = TestProject::create().await?;
        let mut owner = project.superuser().await?;
        let keys = SeedSettings::load(&project.environment())?;
        ingot_identity::seed(&mut owner, project.project(), &keys).await?;
        project
            .execute("create table public.notes (id int); notify pgrst, 'reload schema'")
            .await?;
        let (_, nats) = project.nats_url().rsplit_once(':').context("no port")?;
        Ok(Self {
            database: Passage::to(project.project().database.port)?,
            nats: Passage::to(nats.parse()?)?,
            project,
        })
    }

    async fn launch<C, F>(
        &self,
        serve: impl Fn(C, CancellationToken) -> F,
    ) -> anyhow::Result<TestService>
    where
        C: Settings,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (address, _) = self
            .project
            .nats_url()
            .rsplit_once(':')
            .context("no port")?;
        let settings = [
            ("POSTGRES_PORT", self.database.port().to_string()),
            ("NATS_URL", format!("{address}:{}", self.nats.port())),
            ("INGOT_POOL_ACQUIRE_TIMEOUT", "1".to_owned()),
        ];
        let settings = settings
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        TestService::launch(&self.project, &settings, serve).await
    }

    /// An administrator's request.
    async fn get(&self, service: &TestService, path: &str) -> anyhow::Result<(StatusCode, Value)> {
        let request = service.request(Method::GET, path);
        let answer = request
            .bearer_auth(self.project.api_key().expose())
            .timeout(LONGEST_WAIT)
            .send()
            .await?;
        Ok((answer.status(), answer.json().await.unwrap_or_default()))
    }

    /// What a service of HTTP requests goes through, with a path that needs the database.
    async fn play<C, F>(
        mut self,
        serve: impl Fn(C, CancellationToken) -> F,
        path: &str,
        [database, nats]: [&str; 2],
    ) -> anyhow::Result<()>
    where
        C: Settings,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let mut service = self.launch(serve).await?;
        until_missing(&service, &[database, nats]).await?;
        ensure_unavailable(&self.get(&service, path).await?)?;

        self.database.open()?;
        until_missing(&service, &[nats]).await?;
        let (status, body) = self.get(&service, path).await?;
        ensure!(status == 200, "without NATS: {status} {body}");

        self.nats.open()?;
        service.wait_until_ready().await?;

        self.database.shut().await?;
        until_missing(&service, &[database]).await?;
        ensure_unavailable(&self.get(&service, path).await?)?;
        self.nats.shut().await?;
        until_missing(&service, &[database, nats]).await?;

        self.database.open()?;
        self.nats.open()?;
        service.wait_until_ready().await?;
        let (status, body) = self.get(&service, path).await?;
        ensure!(status == 200, "afterwards: {status} {body}");
        service.stop().await
    }
}

/// Whether it is the contract's 503: the envelope, or the records engine's.
fn ensure_unavailable((status, body): &(StatusCode, Value)) -> anyhow::Result<()> {
    let envelope = body["statusCode"] == 503 && body["nextActions"].is_string();
    let records = body["code"] == "PGRST000" && body["message"].is_string();
    ensure!(*status == 503 && (envelope || records), "{status} {body}");
    Ok(())
}

/// Waits until `/readyz` names exactly these failed checks, sorted as it does. `/livez` says yes
/// all the time. An empty name stands for a service that does not need the dependency.
async fn until_missing(service: &TestService, checks: &[&str]) -> anyhow::Result<()> {
    let mut wanted: Vec<_> = checks.iter().filter(|name| !name.is_empty()).collect();
    wanted.sort_unstable();
    let begin = Instant::now();
    loop {
        let live = reqwest::get(service.url("/livez")).await?;
        ensure!(live.status() == 200, "/livez: {}", live.status());
        let answer = reqwest::get(service.url("/readyz")).await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        let mut failed: Vec<_> = body["failed"]
            .as_object()
            .into_iter()
            .flat_map(|failed| failed.keys())
            .collect();
        failed.sort_unstable();
        ensure!((status == 200) == failed.is_empty(), "{status} {body}");
        if failed.iter().eq(wanted.iter()) {
            return Ok(());
        }
        if begin.elapsed() > Duration::from_secs(30) {
            bail!("{body} instead of {wanted:?}");
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test]
async fn the_api_service() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let names = ["database", "nats"];
    scene
        .play(ingot_api::serve, "/api/database/tables", names)
        .await
}

#[tokio::test]
async fn the_records_service() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let names = ["records engine", "nats"];
    let path = "/api/database/records/notes";
    scene.play(ingot_records_proxy::serve, path, names).await
}

#[tokio::test]
async fn the_migration_service() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let path = "/api/database/migrations";
    scene
        .play(ingot_migration::serve, path, ["schema", ""])
        .await
}

#[tokio::test]
async fn the_relay() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut relay = scene.launch(ingot_listen_relay::serve).await?;
    until_missing(&relay, &["database", "nats"]).await?;
    scene.nats.open()?;
    until_missing(&relay, &["database"]).await?;
    scene.database.open()?;
    relay.wait_until_ready().await?;
    scene.nats.shut().await?;
    until_missing(&relay, &["nats"]).await?;
    scene.database.shut().await?;
    until_missing(&relay, &["database", "nats"]).await?;
    scene.database.open()?;
    scene.nats.open()?;
    relay.wait_until_ready().await?;
    relay.stop().await
}

#[tokio::test]
async fn the_realtime_node() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut node = scene.launch(ingot_realtime_fanout::serve).await?;
    until_missing(&node, &["database", "nats"]).await?;
    // Nobody can say whether the key is right: no refusal, which clients would take as final.
    let answer = handshake(&scene, &node).await?;
    ensure!(
        !answer.starts_with("40") && !answer.starts_with("44"),
        "{answer}"
    );

    scene.database.open()?;
    until_missing(&node, &["nats"]).await?;
    scene.nats.open()?;
    node.wait_until_ready().await?;
    let answer = handshake(&scene, &node).await?;
    ensure!(answer.starts_with(r#"40{"sid":"#), "{answer}");

    scene.nats.shut().await?;
    until_missing(&node, &["nats"]).await?;
    scene.database.shut().await?;
    until_missing(&node, &["database", "nats"]).await?;
    scene.database.open()?;
    scene.nats.open()?;
    node.wait_until_ready().await?;
    let answer = eventually(async || handshake(&scene, &node).await).await?;
    ensure!(answer.starts_with(r#"40{"sid":"#), "{answer}");
    node.stop().await
}

/// Opens a polling session, joins as administrator, and returns what the node says to that.
async fn handshake(scene: &Scene, node: &TestService) -> anyhow::Result<String> {
    const PATH: &str = "/socket.io/?EIO=4&transport=polling";
    let open = node.request(Method::GET, PATH).send().await?.text().await?;
    let open: Value = serde_json::from_str(open.trim_start_matches('0'))?;
    let path = format!("{PATH}&sid={}", open["sid"].as_str().context("no sid")?);
    let auth = json!({ "apiKey": scene.project.api_key().expose() });
    let join = node.request(Method::POST, &path).body(format!("40{auth}"));
    join.send().await?.error_for_status()?;
    loop {
        let poll = node.request(Method::GET, &path).timeout(LONGEST_WAIT);
        let packets = poll.send().await?.text().await?;
        // Heartbeats come between.
        if let Some(packet) = packets.split('\u{1e}').find(|packet| *packet != "2") {
            return Ok(packet.to_owned());
        }
    }
}
