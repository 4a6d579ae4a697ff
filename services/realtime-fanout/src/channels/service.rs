//! The rules of channels.

use std::sync::Arc;
use std::time::Duration;

use ingot_identity::{Identity, Role};
use tokio::time::timeout;
use uuid::Uuid;

use super::is_server_event;
use super::store::{self, Message, StoreError};
use crate::presence;
use crate::rooms::{Replay, Room, SILENT};
use crate::session::Membership;

/// Longest channel name, in bytes.
const MAX_CHANNEL_NAME: usize = 4096;
/// How long a subscription may wait until the room's messages are sure to arrive. Clients wait ten
/// seconds for the answer.
const FEED_PATIENCE: Duration = Duration::from_secs(6);
/// How long it may wait for what other nodes say of the room's members.
const PRESENCE_PATIENCE: Duration = Duration::from_secs(2);
/// How long it may take to find what a client missed. Where many come back to a node that is short of
/// CPU that takes a while; whoever were refused would come again, and nobody would get ahead.
const REPLAY_PATIENCE: Duration = Duration::from_secs(30);

/// Why a subscription was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SubscribeError {
    /// No channel, no permission, or PostgreSQL could not say.
    Unauthorized,
    /// Not the right arguments.
    Malformed,
    /// What should have been the id of a message is none.
    MalformedSince,
    /// The socket has as many subscriptions as it may.
    TooMany,
    /// The socket sends more than it may.
    TooFast,
    /// Allowed, but messages would not arrive.
    Internal,
}

/// Why a message was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PublishError {
    NotSubscribed,
    Unauthorized,
    Malformed,
    ReservedEvent,
    TooFast,
    Internal,
}

/// A subscription that stands; its socket has yet to take its place among the members.
pub(super) struct Subscription {
    pub(super) room: Arc<Room>,
    /// What the subscriber missed, if it asked.
    pub(super) missed: Option<Missed>,
}

/// What a client that came back has to be given.
pub(super) enum Missed {
    /// Nothing: it was here all the time.
    Nothing,
    /// All of this, after the answer.
    Known(Replay),
    /// The room does not remember so far back.
    Forgotten,
}

/// What a client wants to publish; texts as it sent them.
pub(super) struct Publication<'a> {
    pub(super) channel: &'a str,
    pub(super) event: Option<&'a str>,
    /// JSON text.
    pub(super) payload: Option<&'a str>,
}

/// Subscribes a socket to a literal channel name. Asking again asks for permission again; a refusal then leaves the standing subscription alone. `since`
/// names the last message that the client saw, if it wants those after it.
pub(super) async fn subscribe(
    membership: &mut Membership,
    channel: &str,
    since: Option<Uuid>,
) -> Result<Subscription, SubscribeError> {
    if channel.len() > MAX_CHANNEL_NAME {
        return Err(SubscribeError::Malformed);
    }
    let client = Arc::clone(&membership.client);
    let subscribed = membership.room(channel).is_some();
    let limit = membership.node.settings.channels_per_socket;
    if !subscribed && membership.channel_names().len() >= limit {
        return Err(SubscribeError::TooMany);
    }
    let identity = client.identity();
    if !has_database_role(identity) {
        return Err(SubscribeError::Unauthorized);
    }
    let node = &membership.node;
    let asked = node
        .permissions
        .may_subscribe(&node.pools, &client.project().id, identity, channel)
        .await;
    match asked {
        Ok(true) => {}
        Ok(false) => return Err(SubscribeError::Unauthorized),
        Err(error) => {
            tracing::debug!(%error, "a subscription cannot be checked");
            return Err(SubscribeError::Unauthorized);
        }
    }
    let above = if since.is_some() { SILENT } else { 0 };
    let room = membership.enter(channel, above);
    let ready = async {
        timeout(FEED_PATIENCE, room.fed()).await.ok()?;
        // Another node that does not answer keeps nobody out.
        let _late = timeout(PRESENCE_PATIENCE, room.known()).await;
        match since {
            None => Some(None),
            Some(_) if subscribed => Some(Some(Missed::Nothing)),
            Some(message) => {
                let missed = missed(membership, &room, message);
                timeout(REPLAY_PATIENCE, missed).await.ok()?.ok().map(Some)
            }
        }
    };
    let Some(missed) = ready.await else {
        if !subscribed {
            membership.exit(channel);
        }
        return Err(SubscribeError::Internal);
    };
    Ok(Subscription { room, missed })
}

async fn missed(
    membership: &Membership,
    room: &Arc<Room>,
    message: Uuid,
) -> Result<Missed, ingot_bus::BusError> {
    match Replay::since(&membership.node, room, message).await {
        Ok(Some(replay)) => Ok(Missed::Known(replay)),
        Ok(None) => {
            room.hear_all(membership.client.id());
            Ok(Missed::Forgotten)
        }
        Err(error) => {
            tracing::warn!(%error, "cannot look for missed messages");
            Err(error)
        }
    }
}

/// Takes a socket out of a channel, and tells the others if its member is gone with it.
pub(crate) fn leave(membership: &mut Membership, channel: &str) {
    // Before the room may close: whoever opens it anew joins after this.
    if let Some(room) = membership.room(channel) {
        presence::exit(&membership.node, room, &membership.client);
    }
    membership.exit(channel);
}

/// Stores a message as its sender; it comes back to everybody through the relay.
pub(super) async fn publish(
    membership: &mut Membership,
    publication: Publication<'_>,
) -> Result<(), PublishError> {
    let Publication {
        channel,
        event,
        payload,
    } = publication;
    if membership.room(channel).is_none() {
        return Err(PublishError::NotSubscribed);
    }
    if event.is_some_and(is_server_event) {
        return Err(PublishError::ReservedEvent);
    }
    // PostgreSQL would refuse the row for what is missing.
    let (Some(event), Some(payload)) = (event, payload) else {
        return Err(PublishError::Unauthorized);
    };
    let client = Arc::clone(&membership.client);
    let (identity, project) = (client.identity(), &client.project().id);
    if !has_database_role(identity) {
        return Err(PublishError::Unauthorized);
    }
    let pools = &membership.node.pools;
    let channel_id = store::channel(pools, project, channel)
        .await
        .map_err(|error| failure(&error))?
        .ok_or(PublishError::Unauthorized)?;
    let message = Message {
        channel_id,
        channel,
        event,
        payload,
        sender_type: if identity.is_admin() {
            "system"
        } else {
            "user"
        },
        sender_id: sender_id(identity),
    };
    let span = tracing::info_span!("realtime.publish", otel.kind = "producer", %project);
    let insert = store::insert(pools, project, identity, &message);
    tracing::Instrument::instrument(insert, span)
        .await
        .map_err(|error| failure(&error))
}

fn failure(error: &StoreError) -> PublishError {
    match error {
        StoreError::Refused(cause) => {
            tracing::debug!(%cause, "a publication was refused");
            PublishError::Unauthorized
        }
        StoreError::Unavailable(cause) => {
            tracing::warn!(%cause, "a publication failed");
            PublishError::Internal
        }
    }
}

/// Roles that a socket may act as. A token with another one connects and is refused everywhere.
fn has_database_role(identity: &Identity) -> bool {
    !matches!(identity.role, Role::Other(_))
}

/// Users sign their messages. The subject of a third party need not be a UUID: such messages go
/// unsigned.
fn sender_id(identity: &Identity) -> Option<Uuid> {
    let subject = identity.subject.as_deref()?;
    (identity.role == Role::Authenticated)
        .then(|| subject.parse().ok())
        .flatten()
}
