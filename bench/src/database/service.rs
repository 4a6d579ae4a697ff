//! The api service as a process of its own, and what its work costs.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ingot_config::{Environment, Settings as _};
use ingot_identity::SeedSettings;
use ingot_private_servers::free_port;
use ingot_testkit::TestProject;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response};

use super::Sample;
use crate::child::Process;

/// Pause between two looks at the memory.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Api {
    client: Client,
    address: SocketAddr,
    headers: Vec<(&'static str, String)>,
    process: Process,
}

impl Api {
    pub(super) async fn start(project: &TestProject, folder: &Path) -> anyhow::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port(None)?));
        let environment = project
            .environment()
            .with([("INGOT_LISTEN", address.to_string())]);
        let variables: Vec<(&str, String)> = environment
            .iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        let log = folder.join("api.out");
        let process = Process::start_self(&["serve-api"], &variables, &log)?;
        let mut owner = project.superuser().await?;
        let keys = SeedSettings::load(&Environment::default())?;
        let seeded = ingot_identity::seed(&mut owner, project.project(), &keys).await?;
        let api = Self {
            client: Client::new(),
            address,
            headers: vec![
                ("x-ingot-project", project.project().id.to_string()),
                ("x-ingot-edge-key", project.edge_key().expose().to_owned()),
                ("x-ingot-client-ip", "127.0.0.1".to_owned()),
                (
                    "authorization",
                    format!("Bearer {}", seeded.api_key.expose()),
                ),
            ],
            process: process.listening_on(address).await?,
        };
        // The first request opens connections and fills caches.
        api.get("/api/database/tables").await?;
        Ok(api)
    }

    fn headed(&self, mut request: RequestBuilder) -> RequestBuilder {
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let answer = self.headed(self.client.get(self.url(path))).send().await?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        ensure!(
            status.is_success(),
            "{path}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        Ok(started.elapsed())
    }

    /// Sends a file as a form, as a browser does.
    pub(super) async fn upload(
        &self,
        path: &str,
        file: &Path,
        fields: &[(&'static str, &'static str)],
    ) -> anyhow::Result<Sample> {
        let mut form = Form::new().part("file", Part::file(file).await?);
        for (name, value) in fields {
            form = form.text(*name, *value);
        }
        let request = self.client.post(self.url(path)).multipart(form);
        self.measured(self.headed(request)).await
    }

    pub(super) async fn export(&self, accept: &str, body: &'static str) -> anyhow::Result<Sample> {
        let request = self
            .client
            .post(self.url("/api/database/advance/export"))
            .header("accept", accept)
            .header("content-type", "application/json")
            .body(body);
        self.measured(self.headed(request)).await
    }

    async fn measured(&self, request: RequestBuilder) -> anyhow::Result<Sample> {
        let before = self.process.memory()?;
        let started = Instant::now();
        let answering = async {
            let answer = request.send().await?;
            let first = started.elapsed();
            read(answer).await?;
            anyhow::Ok((started.elapsed(), first))
        };
        tokio::pin!(answering);
        let mut peak = before;
        let (took, first) = loop {
            tokio::select! {
                done = &mut answering => break done?,
                () = tokio::time::sleep(LOOK) => peak = peak.max(self.process.memory()?),
            }
        };
        Ok(Sample {
            took,
            first: Some(first),
            growth: peak.saturating_sub(before),
        })
    }
}

/// Reads an answer and forgets it, unless it is a failure.
async fn read(mut answer: Response) -> anyhow::Result<()> {
    let status = answer.status();
    if !status.is_success() {
        let text = answer.text().await?;
        anyhow::bail!("{status}: {text}");
    }
    let mut bytes = 0;
    while let Some(chunk) = answer.chunk().await.context("the answer broke off")? {
        bytes += chunk.len();
    }
    ensure!(bytes > 0, "the answer is empty");
    Ok(())
}
