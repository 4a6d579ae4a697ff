//! What health checks and metrics tell about a relay.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ingot_bus::Bus;
use ingot_http::{Check, Health};
use ingot_project::ProjectId;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What a relay is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Role {
    /// It has no connection to the database.
    Connecting = 0,
    /// Another relay is active; this one takes over when that one goes.
    Standby = 1,
    /// It relays.
    Active = 2,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Standby => "standby",
            Self::Active => "active",
        }
    }
}

/// The state of one project's relay, shared with the health checks.
#[derive(Debug)]
pub(crate) struct Status {
    project: ProjectId,
    role: AtomicU8,
    failure: Mutex<Option<String>>,
    last: Mutex<Option<Uuid>>,
    /// Why the log cannot be read, where it should be.
    log_failure: Mutex<Option<String>>,
}

impl Status {
    pub(crate) fn new(project: ProjectId) -> Arc<Self> {
        Arc::new(Self {
            project,
            role: AtomicU8::new(Role::Connecting as u8),
            failure: Mutex::new(None),
            last: Mutex::new(None),
            log_failure: Mutex::new(None),
        })
    }

    pub(super) fn become_role(&self, role: Role) {
        self.role.store(role as u8, Ordering::Release);
        if role != Role::Active {
            // What another relay finds is its own to tell.
            *self.log_failure() = None;
        }
        metrics::gauge!("realtime_relay_active", "project" => self.project.to_string())
            .set(f64::from(u8::from(role == Role::Active)));
    }

    pub(super) fn note_failure(&self, error: &sqlx::Error) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    /// So many messages are heard of and not yet on the bus.
    pub(super) fn waiting(&self, count: usize) {
        #[allow(clippy::cast_precision_loss, reason = "a batch is small")]
        metrics::gauge!("realtime_relay_lag_messages", "project" => self.project.to_string())
            .set(count as f64);
    }

    /// Messages are looked up until the log is open.
    pub(super) fn opening_log(&self) {
        self.tell_of_log(false);
    }

    /// The log cannot be read: messages are looked up for longer.
    pub(super) fn cannot_open_log(&self, error: &sqlx::Error) {
        *self.log_failure() = Some(error.to_string());
    }

    pub(super) fn opened_log(&self) {
        *self.log_failure() = None;
        self.tell_of_log(true);
    }

    fn tell_of_log(&self, open: bool) {
        metrics::gauge!("realtime_relay_log_open", "project" => self.project.to_string())
            .set(f64::from(u8::from(open)));
    }

    fn log_failure(&self) -> MutexGuard<'_, Option<String>> {
        self.log_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// PostgreSQL keeps so many bytes of its log for us, and would keep so many more.
    pub(super) fn kept_log(&self, kept: f64, further: Option<f64>) {
        let project = self.project.to_string();
        metrics::gauge!("realtime_relay_log_kept_bytes", "project" => project.clone()).set(kept);
        if let Some(further) = further {
            metrics::gauge!("realtime_relay_log_safe_bytes", "project" => project).set(further);
        }
    }

    /// A message went to the bus, `age` seconds after its transaction began.
    pub(super) fn published(&self, id: Uuid, age: f64) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
        let project = self.project.to_string();
        metrics::counter!("realtime_relay_messages_total", "project" => project.clone())
            .increment(1);
        metrics::histogram!("realtime_relay_delay_seconds", "project" => project).record(age);
    }

    fn role(&self) -> Role {
        match self.role.load(Ordering::Acquire) {
            1 => Role::Standby,
            2 => Role::Active,
            _ => Role::Connecting,
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.role() != Role::Connecting {
            return Ok(());
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        Err(failure
            .clone()
            .unwrap_or_else(|| "not connected yet".to_owned()))
    }

    fn describe(&self) -> Value {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let role = self.role().as_str();
        match self.log_failure().as_ref() {
            None => json!({ "role": role, "lastMessage": last }),
            Some(failure) => json!({ "role": role, "lastMessage": last, "log": failure }),
        }
    }
}

/// Ready while every project's relay is active or standing by, and the bus is there. The answer
/// tells which of both.
pub(crate) fn health(bus: Bus, statuses: Vec<Arc<Status>>) -> Health {
    let nats: Check = Box::new(move || {
        let connected = bus.is_connected();
        Box::pin(async move { connected.then_some(()).ok_or("not connected".to_owned()) })
    });
    let asked = statuses.clone();
    let database: Check = Box::new(move || {
        let result = asked.iter().try_for_each(|status| status.check());
        Box::pin(async move { result })
    });
    Health::new(vec![("nats", nats), ("database", database)]).with_detail("relays", move || {
        let relays: Map<String, Value> = statuses
            .iter()
            .map(|status| (status.project.to_string(), status.describe()))
            .collect();
        Value::Object(relays)
    })
}
