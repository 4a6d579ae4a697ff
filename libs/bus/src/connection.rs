//! The connection: made in the background, kept for ever, never in the way of a start.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream;
use async_nats::{ConnectOptions, RequestErrorKind, ServerAddr};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use ingot_config::{ByteSize, Secret};
use ingot_project::ProjectId;
use ingot_telemetry::HeaderCarrier;
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::observer::Observer;
use crate::subjects;
use crate::{Audience, DashboardEvent, Invalidation, UsersDeleted};

/// Longest wait for one request to the server.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest pause between attempts to reconnect.
const MAX_BACKOFF: Duration = Duration::from_secs(2);
/// Messages that may wait in one subscription; what comes on top is dropped, which subscribers of
/// rooms notice and fetch.
const SUBSCRIPTION_CAPACITY: usize = 4096;

/// What a bus counts when something is amiss.
const COUNTERS: [&str; 5] = [
    "bus_messages_dropped_total",
    "bus_room_gaps_total",
    "bus_room_losses_total",
    "bus_room_messages_fetched_total",
    "bus_room_resends_total",
];

ingot_config::settings! {
    /// The message bus.
    pub struct BusSettings {
        /// Addresses of NATS, separated by commas; the first may carry `user:password@`.
        url: String = "NATS_URL", default "nats://127.0.0.1:4222";
        /// User for NATS, if it asks for one.
        user: Option<String> = "NATS_USER";
        /// Password for NATS.
        password: Option<Secret> = "NATS_PASSWORD";
        /// How much of a project's realtime history NATS keeps to fill gaps of nodes that lost
        /// their connection. Reserved per active project.
        history: ByteSize = "INGOT_BUS_HISTORY", default "16mb";
        /// Copies that a NATS cluster keeps of that history.
        replicas: usize = "INGOT_BUS_REPLICAS", default "1";
    }
}

/// A handle to NATS; clones share one connection.
#[derive(Debug, Clone)]
pub struct Bus {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    /// A change means that messages may have been missed.
    interruptions: watch::Receiver<Interruption>,
    history: StreamLimits,
}

/// When this connection last may have missed messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interruption {
    /// How many there were, the first connection included.
    pub(crate) number: u64,
    /// Until then messages arrived for certain.
    pub(crate) since: OffsetDateTime,
}

/// Limits of the stream that keeps a project's room messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamLimits {
    pub(crate) max_bytes: i64,
    pub(crate) replicas: usize,
}

/// The bus could not be used.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The settings make no connection possible.
    #[error("NATS_URL: {0}")]
    Connect(#[from] async_nats::ConnectError),
    /// A message could not be handed over.
    #[error("cannot publish on the bus: {0}")]
    Publish(#[from] async_nats::PublishError),
    /// A subscription could not be made.
    #[error("cannot subscribe on the bus: {0}")]
    Subscribe(#[from] async_nats::SubscribeError),
    /// The server says nothing.
    #[error("the bus does not answer: {0}")]
    Silent(#[from] async_nats::RequestError),
    /// The stream of a project's rooms could not be made.
    #[error("cannot make the stream for room messages: {0}")]
    CreateStream(#[from] jetstream::context::CreateStreamError),
    /// The stream of a project's rooms could not be found.
    #[error("cannot find the stream for room messages: {0}")]
    GetStream(#[from] jetstream::context::GetStreamError),
    /// The stream did not answer.
    #[error("cannot read room messages: {0}")]
    Read(#[from] jetstream::stream::DirectGetError),
    /// The stream would not be read.
    #[error("cannot read stored messages: {0}")]
    Reader(#[from] jetstream::stream::ConsumerError),
    /// The stream would not be read.
    #[error("cannot read stored messages: {0}")]
    Fetch(#[from] jetstream::consumer::pull::BatchError),
    /// Reading the stream broke off.
    #[error("reading stored messages broke off: {0}")]
    Interrupted(Box<dyn std::error::Error + Send + Sync>),
    /// A message could not be encoded.
    #[error("cannot encode a bus message: {0}")]
    Encode(#[from] serde_json::Error),
}

impl BusError {
    pub(crate) fn interrupted(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Interrupted(error.into())
    }
}

impl Bus {
    /// Connects in the background: returns at once, also while the server is down.
    pub async fn connect(settings: &BusSettings, name: &str) -> Result<Self, BusError> {
        let (observer, interruptions) = Observer::new();
        let mut options = ConnectOptions::new()
            .name(name)
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .event_callback(move |event| {
                observer.observe(&event);
                std::future::ready(())
            })
            .retry_on_initial_connect()
            .connection_timeout(REQUEST_TIMEOUT)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .ping_interval(Duration::from_secs(5))
            .reconnect_delay_callback(|attempts| {
                let exponent = u32::try_from(attempts.min(6)).unwrap_or(6);
                (Duration::from_millis(25) * 2_u32.pow(exponent)).min(MAX_BACKOFF)
            });
        let servers: Vec<&str> = settings.url.split(',').map(str::trim).collect();
        if let Some((user, password)) = credentials(settings, &servers) {
            options = options.user_and_password(user, password);
        }
        metrics::gauge!("bus_connected").set(0);
        ingot_telemetry::begin_at_zero(&COUNTERS);
        let client = options.connect(servers).await?;
        let jetstream = jetstream::new(client.clone());
        Ok(Self {
            client,
            jetstream,
            interruptions,
            history: StreamLimits {
                max_bytes: i64::try_from(settings.history.0).unwrap_or(i64::MAX),
                replicas: settings.replicas.max(1),
            },
        })
    }

    /// Whether the connection stands; readiness depends on it.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// The plain client, for parts of this workspace that speak a protocol of their own.
    pub fn client(&self) -> &async_nats::Client {
        &self.client
    }

    /// The JetStream context, likewise.
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// Changes whenever messages may have been missed: with every connection made, the first
    /// included, and when a subscription was too slow for what came.
    pub(crate) fn interruptions(&self) -> watch::Receiver<Interruption> {
        self.interruptions.clone()
    }

    pub(crate) fn stream_limits(&self) -> StreamLimits {
        self.history
    }

    /// Tells the relay how many sockets of a node got which message.
    pub async fn publish_audience(
        &self,
        project: &ProjectId,
        audience: &Audience,
    ) -> Result<(), BusError> {
        self.publish_json(subjects::audience(project), audience)
            .await
    }

    /// Hears the counts of all nodes.
    pub async fn audiences(
        &self,
        project: &ProjectId,
    ) -> Result<impl Stream<Item = Audience> + Send + Unpin + use<>, BusError> {
        self.subscribe_json(subjects::audience(project)).await
    }

    /// Tells dashboards what changed.
    pub async fn publish_dashboard(
        &self,
        project: &ProjectId,
        event: &DashboardEvent,
    ) -> Result<(), BusError> {
        self.publish_json(subjects::dashboard(project), event).await
    }

    /// Hears what dashboards should refresh on. When this returns, nothing said from then on is
    /// missed, as long as the connection stands.
    pub async fn dashboard_events(
        &self,
        project: &ProjectId,
    ) -> Result<impl Stream<Item = DashboardEvent> + Send + Unpin + use<>, BusError> {
        let events = self.subscribe_json(subjects::dashboard(project)).await?;
        self.settle().await?;
        Ok(events)
    }

    /// Tells all services that caches of a project no longer hold.
    pub async fn publish_invalidation(
        &self,
        project: &ProjectId,
        invalidation: Invalidation,
    ) -> Result<(), BusError> {
        self.publish_json(subjects::invalidation(project), &invalidation)
            .await
    }

    /// Hears which caches no longer hold.
    pub async fn invalidations(
        &self,
        project: &ProjectId,
    ) -> Result<impl Stream<Item = Invalidation> + Send + Unpin + use<>, BusError> {
        self.subscribe_json(subjects::invalidation(project)).await
    }

    /// Tells realtime nodes which users are no more.
    pub async fn publish_deleted_users(&self, deleted: &UsersDeleted) -> Result<(), BusError> {
        self.publish_json(subjects::DELETED_USERS.to_owned(), deleted)
            .await
    }

    /// Hears which users of any project are no more. When this returns, nothing said from then on
    /// is missed, as long as the connection stands.
    pub async fn deleted_users(
        &self,
    ) -> Result<impl Stream<Item = UsersDeleted> + Send + Unpin + use<>, BusError> {
        let deleted = self
            .subscribe_json(subjects::DELETED_USERS.to_owned())
            .await?;
        self.settle().await?;
        Ok(deleted)
    }

    /// Waits until the server has done what this connection asked of it so far: it takes one
    /// connection's commands in order, and says at once that nobody answers here.
    pub(crate) async fn settle(&self) -> Result<(), BusError> {
        match self.client.request(subjects::NOBODY, Bytes::new()).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Publishes `message` as JSON with the current trace context.
    pub async fn publish_json(
        &self,
        subject: String,
        message: &impl Serialize,
    ) -> Result<(), BusError> {
        let payload = Bytes::from(serde_json::to_vec(message)?);
        let mut headers = Headers::default();
        ingot_telemetry::inject(&mut headers);
        self.client
            .publish_with_headers(subject, headers.0, payload)
            .await?;
        Ok(())
    }

    /// Messages of `subject`; one that cannot be read is logged and left out.
    pub async fn subscribe_json<T: DeserializeOwned + Send + 'static>(
        &self,
        subject: String,
    ) -> Result<impl Stream<Item = T> + Send + Unpin + use<T>, BusError> {
        let messages = self.client.subscribe(subject).await?;
        Ok(Box::pin(messages.filter_map(|message| async move {
            serde_json::from_slice(&message.payload)
                .inspect_err(|error| {
                    tracing::warn!(subject = %message.subject, %error, "unreadable bus message");
                })
                .ok()
        })))
    }
}

/// User and password: the settings', else the first address's (the client does not read those).
fn credentials(settings: &BusSettings, servers: &[&str]) -> Option<(String, String)> {
    if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
        return Some((user.clone(), password.expose().to_owned()));
    }
    let address: ServerAddr = servers.first()?.parse().ok()?;
    let (user, password) = (address.username()?, address.password()?);
    Some((user.to_owned(), password.to_owned()))
}

/// NATS headers as a carrier of trace context.
#[derive(Debug, Default)]
pub struct Headers(pub async_nats::HeaderMap);

impl HeaderCarrier for Headers {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(async_nats::HeaderValue::as_str)
    }

    fn set(&mut self, name: &str, value: String) {
        self.0.insert(name, value.as_str());
    }
}
