//! Running one service of Ingot inside a test, on a free port.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use ingot_config::Settings;
use ingot_http::{ServeError, header};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::TestProject;

const READY_PATIENCE: Duration = Duration::from_secs(20);
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// Ports that are tried before a start is given up.
const START_ATTEMPTS: u32 = 3;

/// A service under test. Dropping it asks it to stop; [`TestService::stop`] also waits.
#[derive(Debug)]
pub struct TestService {
    address: SocketAddr,
    client: Client,
    project: String,
    edge_key: String,
    shutdown: CancellationToken,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl TestService {
    /// Starts a service of `project` on a free port and waits until `/readyz` says yes.
    ///
    /// `serve` is the service's own function; `settings` are variables on top of
    /// [`TestProject::environment`].
    ///
    /// # Errors
    /// A setting is wrong, the service ends, or it does not become ready.
    pub async fn start<C, F>(
        project: &TestProject,
        settings: &[(&str, &str)],
        serve: impl Fn(C, CancellationToken) -> F,
    ) -> anyhow::Result<Self>
    where
        C: Settings,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let mut service = Self::launch(project, settings, serve).await?;
        service.wait_until_ready().await?;
        Ok(service)
    }

    /// As [`TestService::start`], but only until it answers at all: what it depends on may be away.
    ///
    /// # Errors
    /// A setting is wrong, or the service ends.
    pub async fn launch<C, F>(
        project: &TestProject,
        settings: &[(&str, &str)],
        serve: impl Fn(C, CancellationToken) -> F,
    ) -> anyhow::Result<Self>
    where
        C: Settings,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let mut attempt = 1;
        loop {
            match Self::launch_once(project, settings, &serve).await {
                // Between the choice of a port and its use another process took it.
                Err(error) if is_port_taken(&error) && attempt < START_ATTEMPTS => attempt += 1,
                started => return started,
            }
        }
    }

    async fn launch_once<C, F>(
        project: &TestProject,
        settings: &[(&str, &str)],
        serve: &impl Fn(C, CancellationToken) -> F,
    ) -> anyhow::Result<Self>
    where
        C: Settings,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let port = ingot_private_servers::free_port(None)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let environment = project
            .environment()
            .with([
                ("INGOT_LISTEN", address.to_string()),
                ("PORT", port.to_string()),
            ])
            .with(settings.iter().copied());
        let config = C::load(&environment)?;
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(config, shutdown.clone()));
        let mut service = Self {
            address,
            client: Client::new(),
            project: project.project().id.to_string(),
            edge_key: project.edge_key().expose().to_owned(),
            shutdown,
            serving,
        };
        service.wait_for_ok("/livez").await?;
        Ok(service)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// URL of a path of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request as the edge would forward it.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, self.url(path))
            .header(header::PROJECT, &self.project)
            .header(header::EDGE_KEY, &self.edge_key)
            .header(header::CLIENT_IP, "127.0.0.1")
            .header(header::REQUEST_ID, uuid::Uuid::new_v4().to_string())
    }

    /// Stops it and waits for its end.
    ///
    /// # Errors
    /// It ended with an error, or did not end in time.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        tokio::time::timeout(STOP_PATIENCE, &mut self.serving)
            .await
            .context("the service does not stop")??
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// It does not in time, or the service ends.
    pub async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        self.wait_for_ok("/readyz").await
    }

    async fn wait_for_ok(&mut self, path: &str) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + READY_PATIENCE;
        let mut last = String::from("no answer yet");
        while tokio::time::Instant::now() < deadline {
            if self.serving.is_finished() {
                (&mut self.serving).await??;
                bail!("the service ended by itself");
            }
            match self.client.get(self.url(path)).send().await {
                Ok(answer) if answer.status() == StatusCode::OK => return Ok(()),
                Ok(answer) => last = answer.text().await.unwrap_or_default(),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("{path} did not become 200: {last}")
    }
}

fn is_port_taken(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ServeError::Bind { source, .. })
        if source.kind() == std::io::ErrorKind::AddrInUse)
}

impl Drop for TestService {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
