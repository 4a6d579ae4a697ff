//! The NATS server with JetStream.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;

use crate::account::Account;
use crate::credentials::{Credentials, random_hex, write_private};
use crate::error::Trying;
use crate::place::Place;
use crate::ports::{lasting_port, port_at};
use crate::process::Running;
use crate::{Error, Keep, folder, programs};

/// Where it has an address to itself.
const USUAL_PORT: u16 = 4222;

/// The one user of the server.
const USER: &str = "ingot";

const START_PATIENCE: Duration = Duration::from_secs(30);
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const START_ATTEMPTS: u32 = 3;

/// No greeting is longer.
const MAX_GREETING_BYTES: u64 = 64 << 10;

/// Soft limit of the server's heap: it collects garbage harder when near.
const HEAP_LIMIT: &str = "96MiB";

/// A private NATS server.
#[derive(Debug)]
pub struct Nats {
    folder: PathBuf,
    keep: Keep,
    account: Account,
    place: Place,
    port: u16,
    password: String,
    /// Tells this server from another that took the port before it.
    name: String,
    running: Option<Running>,
}

impl Nats {
    pub(crate) async fn start(
        folder: &Path,
        keep: Keep,
        account: Account,
        credentials: &Credentials,
        place: &Place,
    ) -> Result<Self, Error> {
        let mut nats = Self {
            folder: folder.join("nats"),
            keep,
            account,
            place: place.clone(),
            port: 0,
            password: credentials.nats_password.clone(),
            name: format!("ingot-{}", random_hex(8)?),
            running: None,
        };
        folder::make(&nats.folder)?;
        account.own(&nats.folder)?;
        let wish = (keep == Keep::Data).then(|| credentials.nats_port.unwrap_or_else(lasting_port));
        let mut attempt = 1;
        loop {
            // Between the choice and the start somebody else may take the port: choose again.
            nats.port =
                port_at(place, wish, USUAL_PORT).trying("find a port for", Path::new("NATS"))?;
            match nats.launch().await {
                Err(Error::DidNotStart { .. }) if attempt < START_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
                Ok(()) => return Ok(nats),
            }
        }
    }

    /// Where it listens, with [`Nats::port`].
    pub fn address(&self) -> IpAddr {
        self.place.address()
    }

    /// Port on its address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Name of the only user.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// Password of the only user.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Connection URL with user and password.
    pub fn url(&self) -> String {
        let address = SocketAddr::new(self.address(), self.port);
        format!("nats://{USER}:{}@{address}", self.password)
    }

    /// The process, while it was not stopped by [`Nats::stop`].
    pub fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    /// Whether it does not run.
    pub(crate) fn has_died(&self) -> bool {
        self.running
            .as_ref()
            .is_none_or(|running| running.status().is_some())
    }

    /// Stops the server. Its streams and port stay for [`Nats::restart`].
    ///
    /// # Errors
    /// It had to be killed.
    pub async fn stop(&mut self) -> Result<(), Error> {
        match self.running.take() {
            Some(running) => running.stop(Signal::SIGTERM, STOP_PATIENCE).await,
            None => Ok(()),
        }
    }

    /// Starts it again on the same port, after [`Nats::stop`] or when it died.
    ///
    /// # Errors
    /// It does not start.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await.ok();
        self.launch().await
    }

    async fn launch(&mut self) -> Result<(), Error> {
        let config = self.folder.join("nats.conf");
        write_private(&config, self.configuration().as_bytes())?;
        self.account.own(&config)?;
        let on_drop = match self.keep {
            Keep::Data => Signal::SIGTERM,
            Keep::Nothing => Signal::SIGKILL,
        };
        let command = self.account.command(&programs::nats_server()?, "TERM")?;
        let mut command = self.place.enter(command);
        command.arg("-c").arg(&config).env("GOMEMLIMIT", HEAP_LIMIT);
        let log = self.folder.with_extension("log");
        let running = Running::spawn("NATS", command, log, on_drop).await?;
        running
            .wait_until(START_PATIENCE, || {
                greets(SocketAddr::new(self.address(), self.port), &self.name)
            })
            .await?;
        self.running = Some(running);
        Ok(())
    }

    fn configuration(&self) -> String {
        format!(
            r#"listen: "{listen}"
server_name: "{name}"
authorization {{ user: "{USER}", password: "{password}" }}
jetstream {{ store_dir: "{store}", max_memory_store: 64MB, max_file_store: 2GB }}
"#,
            listen = SocketAddr::new(self.address(), self.port),
            name = self.name,
            password = self.password,
            store = self.folder.join("jetstream").display(),
        )
    }
}

/// Whether the server of that name answers on the port: NATS greets every connection with `INFO`
/// and a JSON object about itself.
async fn greets(address: SocketAddr, name: &str) -> bool {
    let greeting = async {
        let stream = TcpStream::connect(address).await.ok()?;
        let mut line = String::new();
        let mut reader = BufReader::new(stream.take(MAX_GREETING_BYTES));
        reader.read_line(&mut line).await.ok()?;
        let about: serde_json::Value = serde_json::from_str(line.strip_prefix("INFO ")?).ok()?;
        Some(about.get("server_name")? == name)
    };
    matches!(
        tokio::time::timeout(Duration::from_secs(1), greeting).await,
        Ok(Some(true))
    )
}
