//! What the server runs with at the moment, and how that changes: at a signal, at a notification.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use ingot_config::Environment;
use ingot_rest::{AnswerMemory, Engine, Heard, database_settings};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::say;
use crate::settings::{Database, Settings, Values, flag};

/// Pauses between attempts to read the settings from the database.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(32);

/// The payload that asks for settings to be read again.
const RELOAD: &str = "reload config";

/// An engine and the settings around it.
pub(crate) struct Running {
    pub(crate) engine: Arc<Engine>,
    pub(crate) settings: Settings,
}

/// Everything that outlives a reload.
pub(crate) struct State {
    file: Option<PathBuf>,
    environment: Environment,
    database: Database,
    /// Of all engines, of the old one too while requests end on it.
    memory: AnswerMemory,
    running: ArcSwap<Running>,
}

impl State {
    /// With the settings of the file and the environment; those of the database come with
    /// [`State::reload`].
    pub(crate) fn new(
        file: Option<PathBuf>,
        environment: Environment,
        database: Database,
        values: Values,
    ) -> anyhow::Result<Self> {
        let settings = Settings::of(values)?;
        let memory = AnswerMemory::new(settings.answer_memory);
        let engine = engine(&settings, &database, &memory)?;
        Ok(Self {
            file,
            environment,
            database,
            memory,
            running: ArcSwap::from_pointee(Running { engine, settings }),
        })
    }

    pub(crate) fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// Reads all settings again. The engine is replaced only if its own changed; its schema cache
    /// is loaded before it takes over, so that no request waits for it.
    pub(crate) async fn reload(&self) -> anyhow::Result<()> {
        let values = Values::read(self.file.as_deref(), &self.environment)?;
        let settings = Settings::of(with_database(values, &self.database).await?)?;
        let old = self.running();
        let engine = if *old.engine.settings() == settings.engine {
            old.engine.clone()
        } else {
            let engine = engine(&settings, &self.database, &self.memory)?;
            engine.reload_schema().await.ok();
            engine
        };
        self.running.store(Arc::new(Running { engine, settings }));
        say("Config reloaded");
        Ok(())
    }

    /// Follows signals and notifications until `shutdown`.
    pub(crate) async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        let (sender, mut wishes) = mpsc::channel(4);
        let signals = tokio::spawn(follow_signals(sender.clone()));
        let mut upkeep = Upkeep::start(&self.running().engine, &sender);
        // The database may be away: its settings are read as soon as it is there.
        let mut pause = FIRST_PAUSE;
        let mut wanted = true;
        loop {
            if wanted {
                match self.reload().await {
                    Ok(()) => {
                        wanted = false;
                        pause = FIRST_PAUSE;
                        upkeep.renew(&self.running().engine, &sender);
                    }
                    Err(error) => say(&format!("Config not reloaded: {error:#}")),
                }
            }
            let retry = async {
                if wanted {
                    tokio::time::sleep(pause).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = retry => pause = (pause * 2).min(LONGEST_PAUSE),
                wish = wishes.recv() => match wish {
                    Some(Wish::Settings) => wanted = true,
                    Some(Wish::Schema) => {
                        self.running().engine.reload_schema().await.ok();
                    }
                    None => break,
                }
            }
        }
        signals.abort();
        upkeep.stop();
    }
}

/// Overlays what the database says, unless `db-config` is off.
pub(crate) async fn with_database(
    mut values: Values,
    database: &Database,
) -> anyhow::Result<Values> {
    if !flag(&values, "db-config") {
        return Ok(values);
    }
    let names = Values::names_in_database();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let function = values.get("db-pre-config");
    let found = database_settings(&database.config, &database.tls, function, &names).await;
    values.overlay(found.context("the database's settings cannot be read")?);
    Ok(values)
}

fn engine(
    settings: &Settings,
    database: &Database,
    memory: &AnswerMemory,
) -> anyhow::Result<Arc<Engine>> {
    let (config, tls) = (database.config.clone(), database.tls.clone());
    let engine = Engine::new(settings.engine.clone(), config, tls)?;
    Ok(Arc::new(engine.sharing(memory)?))
}

/// Something to be read again.
enum Wish {
    Settings,
    Schema,
}

/// The task that keeps an engine's schema cache current.
struct Upkeep {
    engine: Arc<Engine>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Upkeep {
    fn start(engine: &Arc<Engine>, wishes: &mpsc::Sender<Wish>) -> Self {
        let shutdown = CancellationToken::new();
        let (engine, wishes) = (engine.clone(), wishes.clone());
        let task = tokio::spawn({
            let (engine, shutdown) = (engine.clone(), shutdown.clone());
            async move {
                let notified = |heard: Heard<'_>| {
                    if matches!(heard, Heard::Connected | Heard::Payload(RELOAD)) {
                        // A full queue has the same wish in it.
                        wishes.try_send(Wish::Settings).ok();
                    }
                };
                engine.run_telling(notified, shutdown).await;
            }
        });
        Self {
            engine,
            shutdown,
            task,
        }
    }

    /// Follows another engine, if it is another.
    fn renew(&mut self, engine: &Arc<Engine>, wishes: &mpsc::Sender<Wish>) {
        if !Arc::ptr_eq(&self.engine, engine) {
            self.stop();
            *self = Self::start(engine, wishes);
        }
    }

    fn stop(&self) {
        self.shutdown.cancel();
        self.task.abort();
    }
}

/// SIGUSR1 reads the schema again, SIGUSR2 the settings.
async fn follow_signals(wishes: mpsc::Sender<Wish>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut schema = signal(SignalKind::user_defined1())?;
    let mut settings = signal(SignalKind::user_defined2())?;
    loop {
        let wish = tokio::select! {
            _ = schema.recv() => Wish::Schema,
            _ = settings.recv() => Wish::Settings,
        };
        if wishes.send(wish).await.is_err() {
            return Ok(());
        }
    }
}
