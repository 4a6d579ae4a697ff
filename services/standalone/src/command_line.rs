//! What a person types.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use ingot_config::{Environment, Settings as _, Variable, help_text, markdown_table};
use ingot_telemetry::{TelemetrySettings, shutdown_on_signal};

use crate::adopt::{self, AdoptArguments};
use crate::all_in_one::run_by_name;
use crate::backup::{self, BackupArguments, RestoreArguments};
use crate::console::{progress, result};
use crate::data_folder::DataFolder;
use crate::doctor::examine;
use crate::migrate::{self, MigrateAction};
use crate::readiness::ask;
use crate::secret_files::{self, kubernetes_secrets};
use crate::up::{self, Shape};
use crate::{Counts, Service, background, check};

ingot_config::settings! {
    /// What `ingot` itself is told.
    struct OwnSettings {
        /// Folder with everything that is kept: databases, secrets, logs.
        data_dir: PathBuf = "INGOT_DATA_DIR", default ".ingot";
        /// Port for clients. Unset, it is 7130 or the next free one; with 0, all ports are any.
        port: Option<u16> = "PORT";
    }
}

/// Ingot on one machine: a backend for apps, on PostgreSQL
#[derive(Debug, Parser)]
#[command(name = "ingot", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs all services in one process beside a PostgreSQL and a NATS of its own, until Ctrl-C
    Up {
        #[command(flatten)]
        start: Start,
    },
    /// The same with each service in processes of its own
    Cluster {
        #[command(flatten)]
        counts: CountArguments,
        #[command(flatten)]
        start: Start,
    },
    /// Stops what `up` or `cluster` started in this data folder
    Down,
    /// Lists all settings of all services
    Settings {
        /// As the table of docs/settings.md
        #[arg(long)]
        markdown: bool,
    },
    /// Makes the secrets of an installation whose services run elsewhere
    Secrets {
        #[command(subcommand)]
        action: SecretsAction,
    },
    /// Checks files before they are used
    Check {
        #[command(subcommand)]
        what: CheckAction,
    },
    /// Examines the installation that the settings lead to: says what is wrong and how to mend it
    Doctor,
    /// The platform's schema, on one project or many
    Migrate {
        #[command(subcommand)]
        action: MigrateAction,
    },
    /// Takes over a database that the InsForge server made; a dry run unless told to apply
    Adopt {
        #[command(flatten)]
        arguments: AdoptArguments,
    },
    /// Writes all of a project, as it is at one moment, into a file or a pipe
    Backup {
        #[command(flatten)]
        arguments: BackupArguments,
    },
    /// Makes a project's database of a backup; what is there is not touched unless told
    Restore {
        #[command(flatten)]
        arguments: RestoreArguments,
    },
    /// Asks a service whether it is ready: ends with 0 if so, else says what is missing
    Ready {
        /// Where its health is, such as 127.0.0.1:7131
        address: String,
    },
}

#[derive(Debug, Subcommand)]
enum CheckAction {
    /// Whether a service would start with these settings: ends with 0 if so, else names each that
    /// is wrong, missing or unknown
    Config {
        /// File of `KEY=value` lines, as for INGOT_CONFIG_FILE; variables of the environment win
        file: Option<PathBuf>,
        /// Whose settings they are
        #[arg(long, default_value = "edge", value_parser = service_name)]
        service: Service,
    },
}

fn service_name(text: &str) -> Result<Service, String> {
    let known = || Service::ALL.map(Service::name).join(", ");
    let mut services = Service::ALL.into_iter();
    services
        .find(|service| service.name() == text)
        .ok_or_else(|| format!("there are {}", known()))
}

#[derive(Debug, Subcommand)]
enum SecretsAction {
    /// Makes the files that are missing; what is there stays
    Create {
        /// Folder, or the place where volumes are mounted
        folder: PathBuf,
    },
    /// Prints what people need: the administrator's login and the clients' first keys
    Show {
        /// The same folder
        folder: PathBuf,
    },
    /// Prints new secrets as Kubernetes objects, for `kubectl create --filename -`
    Kubernetes {
        /// Namespace of the objects
        #[arg(long, default_value = "ingot")]
        namespace: String,
    },
}

#[derive(Debug, Clone, Copy, Args)]
struct Start {
    /// Leave it running in the background
    #[arg(long)]
    detach: bool,
    /// What `--detach` starts: whoever started it shows the keys, so that the log has none
    #[arg(long, hide = true)]
    behind: bool,
}

#[derive(Debug, Clone, Copy, Args)]
struct CountArguments {
    /// Edges
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=9))]
    edges: u16,
    /// api services
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    api: u16,
    /// Records services
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    records: u16,
    /// Socket.IO nodes
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=9))]
    fanout: u16,
    /// Relays; one of them is active
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=9))]
    relays: u16,
}

impl From<CountArguments> for Counts {
    fn from(counts: CountArguments) -> Self {
        Self {
            edges: counts.edges,
            api: counts.api,
            records: counts.records,
            fanout: counts.fanout,
            relays: counts.relays,
        }
    }
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    if let Some(ended) = run_by_name() {
        return ended;
    }
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(&format!("ingot: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let environment = Environment::from_process()?;
    let own = OwnSettings::load(&environment)?;
    match command {
        Command::Settings { markdown } => {
            let variables = all_variables();
            result(&if markdown {
                markdown_table(&variables)
            } else {
                help_text(&variables)
            });
            Ok(())
        }
        Command::Check {
            what: CheckAction::Config { file, service },
        } => check_config(file.as_deref(), service),
        Command::Secrets { action } => secrets(action),
        Command::Ready { address } => in_runtime(ask(&address)),
        Command::Migrate { action } => in_runtime(migrate::run(action, &environment)),
        Command::Adopt { arguments } => in_runtime(adopt::run(arguments, &environment)),
        Command::Backup { arguments } => in_runtime(backup::back_up(arguments, &environment)),
        Command::Restore { arguments } => in_runtime(backup::restore(arguments, &environment)),
        Command::Doctor => doctor(&environment),
        Command::Down => down(&own.data_dir),
        Command::Up { start } => up(Shape::OneProcess, start, &own, &environment),
        Command::Cluster { counts, start } => {
            up(Shape::Cluster(counts.into()), start, &own, &environment)
        }
    }
}

fn check_config(file: Option<&Path>, service: Service) -> anyhow::Result<()> {
    let environment = match file {
        Some(file) => Environment::above(file)?,
        None => Environment::from_process()?,
    };
    check::config(service, &environment)?;
    let name = service.name();
    progress(&format!("ingot-{name} starts with these settings"));
    Ok(())
}

fn secrets(action: SecretsAction) -> anyhow::Result<()> {
    match action {
        SecretsAction::Create { folder } => {
            for file in secret_files::create(&folder)? {
                progress(&format!("made {}", file.display()));
            }
        }
        SecretsAction::Show { folder } => result(&secret_files::show(&folder)?),
        SecretsAction::Kubernetes { namespace } => result(&kubernetes_secrets(&namespace)?),
    }
    Ok(())
}

fn doctor(environment: &Environment) -> anyhow::Result<()> {
    let known = all_variables();
    let (text, sound) = in_runtime(async { Ok(examine(environment, &known).await) })?;
    result(&text);
    anyhow::ensure!(sound, "not all of it works");
    Ok(())
}

/// Runs what needs no more than one thread.
fn in_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // Clients want a TLS provider also for plain connections.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

fn down(data: &Path) -> anyhow::Result<()> {
    if !data.is_dir() {
        progress(&format!("There is no data folder {}", data.display()));
        return Ok(());
    }
    background::stop(&DataFolder::open(data)?)
}

fn up(
    shape: Shape,
    start: Start,
    own: &OwnSettings,
    environment: &Environment,
) -> anyhow::Result<()> {
    check::installation(environment, &all_variables())?;
    let folder = DataFolder::open(&own.data_dir)?;
    if start.detach {
        let arguments: Vec<String> = std::env::args()
            .skip(1)
            .map(|argument| match argument.as_str() {
                "--detach" => "--behind".to_owned(),
                _ => argument,
            })
            .collect();
        return background::start(&arguments, &folder);
    }
    serve(shape, own.port, environment, &folder, !start.behind)
}

/// Runs in the foreground.
fn serve(
    shape: Shape,
    edge_port: Option<u16>,
    environment: &Environment,
    folder: &DataFolder,
    show_keys: bool,
) -> anyhow::Result<()> {
    // One TLS provider for all libraries, before any of them opens a connection.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let format = environment.get("INGOT_LOG_FORMAT").unwrap_or("text");
    let readable = environment.clone().with([("INGOT_LOG_FORMAT", format)]);
    let telemetry = ingot_telemetry::init(&TelemetrySettings::load(&readable)?, "ingot")?;
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(async {
        telemetry.follow_signals()?;
        let shutdown = shutdown_on_signal()?;
        let asked = shutdown.clone();
        tokio::spawn(async move {
            asked.cancelled().await;
            // A second Ctrl-C means now; the servers go with this process.
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
        up::run(shape, environment, edge_port, folder, show_keys, shutdown).await
    });
    telemetry.shutdown();
    outcome
}

/// The settings of all services and of this program.
fn all_variables() -> Vec<Variable> {
    [
        ingot_edge::Config::variables(),
        ingot_api::Config::variables(),
        ingot_records_proxy::Config::variables(),
        ingot_migration::Config::variables(),
        ingot_realtime_fanout::Config::variables(),
        ingot_listen_relay::Config::variables(),
        TelemetrySettings::variables(),
        OwnSettings::variables(),
    ]
    .concat()
}
