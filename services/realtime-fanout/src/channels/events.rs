//! What clients emit, and what they are answered.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use socketioxide_core::Value;
use uuid::Uuid;

use super::arguments::{EventData, present};
use super::is_protocol_event;
use super::service::{self, Missed, Publication, PublishError, SubscribeError};
use crate::presence;
use crate::session::{Membership, Violation, ack_frame, event_frame};

/// `{channel}` of subscribe and unsubscribe; `since` is an addition of ours to the former.
#[derive(Deserialize)]
struct ChannelArgument<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    channel: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    since: Option<&'a RawValue>,
}

/// `{channel, event, payload}` of publish.
#[derive(Deserialize)]
struct PublishArgument<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    channel: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    event: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    payload: Option<&'a RawValue>,
}

/// The answer to a subscription that is refused; `channel` is echoed as it was sent.
#[derive(Serialize)]
struct Refusal<'a> {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a RawValue>,
    error: Failure<'a>,
}

/// The answer to a subscription that stands. `members` is JSON, and may be long: it is copied and
/// not looked at. `gap` says whether messages since the one named may be lost, where one was named.
fn admission(channel: Option<&RawValue>, members: &str, gap: Option<bool>) -> String {
    let channel = channel.map_or("null", RawValue::get);
    let gap = gap.map_or_else(String::new, |gap| format!(r#","gap":{gap}"#));
    format!(r#"{{"ok":true,"channel":{channel},"presence":{{"members":{members}}}{gap}}}"#)
}

#[derive(Serialize)]
struct Failure<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a RawValue>,
    code: &'static str,
    message: &'static str,
}

/// Handles one event. Unknown ones are ignored; names of the protocol end the session.
pub(crate) async fn handle(
    membership: &mut Membership,
    data: &Value,
    ack: Option<i64>,
) -> Result<(), Violation> {
    let Some(event) = EventData::read(data)? else {
        return Ok(());
    };
    let argument = event.argument.as_deref();
    match event.name.as_str() {
        "realtime:subscribe" if !membership.allows_one() => {
            refuse_subscription(membership, argument, ack);
        }
        "realtime:publish" if !membership.allows_one() => {
            let argument = argument.and_then(object::<PublishArgument<'_>>);
            let channel = argument.and_then(|argument| argument.channel);
            refuse_publication(membership, channel, PublishError::TooFast);
        }
        "realtime:subscribe" => subscribe(membership, argument, ack).await,
        "realtime:unsubscribe" => unsubscribe(membership, argument),
        "realtime:publish" => publish(membership, argument).await,
        name if is_protocol_event(name) => return Err(Violation),
        _ => {}
    }
    Ok(())
}

async fn subscribe(membership: &mut Membership, argument: Option<&RawValue>, ack: Option<i64>) {
    let argument = argument.and_then(object::<ChannelArgument<'_>>);
    let channel = argument.as_ref().and_then(|argument| argument.channel);
    let since = argument.as_ref().and_then(|argument| argument.since);
    let subscribed = match (&argument, channel.and_then(string), since.map(message_id)) {
        (None, ..) => Err(SubscribeError::Malformed),
        // No channel has a name that is no text.
        (Some(_), None, _) => Err(SubscribeError::Unauthorized),
        (_, _, Some(Err(NoMessageId))) => Err(SubscribeError::MalformedSince),
        (Some(_), Some(channel), None) => service::subscribe(membership, &channel, None).await,
        (Some(_), Some(channel), Some(Ok(since))) => {
            service::subscribe(membership, &channel, since).await
        }
    };
    let answer = |answer: &str| {
        if let Some(id) = ack {
            membership.client.send(&ack_frame(id, answer));
        }
    };
    match subscribed {
        Ok(subscription) => {
            let gap = subscription.missed.as_ref();
            let (node, client) = (&membership.node, &membership.client);
            presence::enter(node, &subscription.room, client, |members| {
                let gap = gap.map(|missed| matches!(missed, Missed::Forgotten));
                answer(&admission(channel, members, gap));
            });
            if let Some(Missed::Known(replay)) = subscription.missed {
                replay.run(&membership.client).await;
            }
        }
        Err(error) => answer(&json(&refusal(channel, error))),
    }
}

fn refuse_subscription(membership: &Membership, argument: Option<&RawValue>, ack: Option<i64>) {
    let argument = argument.and_then(object::<ChannelArgument<'_>>);
    let channel = argument.and_then(|argument| argument.channel);
    if let Some(id) = ack {
        let answer = refusal(channel, SubscribeError::TooFast);
        membership.client.send(&ack_frame(id, &json(&answer)));
    }
}

fn refusal(channel: Option<&RawValue>, error: SubscribeError) -> Refusal<'_> {
    let (code, message) = subscribe_failure(error);
    Refusal {
        ok: false,
        channel,
        error: Failure {
            channel: None,
            code,
            message,
        },
    }
}

fn unsubscribe(membership: &mut Membership, argument: Option<&RawValue>) {
    let channel = argument
        .and_then(object::<ChannelArgument<'_>>)
        .and_then(|argument| argument.channel.and_then(string));
    if let Some(channel) = channel {
        service::leave(membership, &channel);
    }
}

async fn publish(membership: &mut Membership, argument: Option<&RawValue>) {
    let argument = argument.and_then(object::<PublishArgument<'_>>);
    let published = match &argument {
        None => Err(PublishError::Malformed),
        Some(argument) => publish_to(membership, argument).await,
    };
    if let Err(error) = published {
        let channel = argument.and_then(|argument| argument.channel);
        refuse_publication(membership, channel, error);
    }
}

fn refuse_publication(membership: &Membership, channel: Option<&RawValue>, error: PublishError) {
    let (code, message) = publish_failure(error);
    let failure = Failure {
        channel,
        code,
        message,
    };
    let frame = event_frame("realtime:error", &json(&failure));
    membership.client.send(&frame);
}

async fn publish_to(
    membership: &mut Membership,
    argument: &PublishArgument<'_>,
) -> Result<(), PublishError> {
    let channel = argument.channel.and_then(string);
    let channel = channel.ok_or(PublishError::NotSubscribed)?;
    let event = match argument.event {
        None => None,
        Some(event) => Some(string(event).ok_or(PublishError::Malformed)?),
    };
    let publication = Publication {
        channel: &channel,
        event: event.as_deref(),
        payload: argument.payload.map(RawValue::get),
    };
    service::publish(membership, publication).await
}

/// Codes and texts of the contract, realtime §4.1.
fn subscribe_failure(error: SubscribeError) -> (&'static str, &'static str) {
    match error {
        SubscribeError::Unauthorized => (
            "REALTIME_UNAUTHORIZED",
            "Not authorized to subscribe to this channel",
        ),
        SubscribeError::Malformed => (
            "INVALID_INPUT",
            "Send an object with the name of a channel: { channel: \"…\" }",
        ),
        SubscribeError::MalformedSince => (
            "INVALID_INPUT",
            "since is the meta.messageId of the last message that was received",
        ),
        SubscribeError::TooMany => (
            "INVALID_INPUT",
            "This socket is subscribed to as many channels as it may be: unsubscribe from one",
        ),
        SubscribeError::TooFast => (
            "TOO_MANY_REQUESTS",
            "This socket sends too many events: wait a little",
        ),
        SubscribeError::Internal => ("INTERNAL_ERROR", "Failed to subscribe to channel"),
    }
}

/// Codes and texts of the contract, realtime §7.
fn publish_failure(error: PublishError) -> (&'static str, &'static str) {
    match error {
        PublishError::NotSubscribed => (
            "REALTIME_NOT_SUBSCRIBED",
            "Must subscribe to channel before publishing messages",
        ),
        PublishError::Unauthorized => (
            "REALTIME_UNAUTHORIZED",
            "Not authorized to publish to this channel",
        ),
        PublishError::Malformed => (
            "REALTIME_INVALID_EVENT",
            "Send an object with channel, event and payload, the event's name being a text",
        ),
        PublishError::ReservedEvent => (
            "REALTIME_INVALID_EVENT",
            "This event name is reserved for the server: choose another one",
        ),
        PublishError::TooFast => (
            "TOO_MANY_REQUESTS",
            "This socket sends too many events: wait a little",
        ),
        PublishError::Internal => ("INTERNAL_ERROR", "Failed to publish message"),
    }
}

/// Reads an object's fields; anything else is none.
fn object<'a, T: Deserialize<'a>>(argument: &'a RawValue) -> Option<T> {
    // A sequence would also fill a struct, by position.
    let is_object = argument.get().starts_with('{');
    is_object
        .then(|| serde_json::from_str(argument.get()).ok())
        .flatten()
}

/// A `since` that names no message.
struct NoMessageId;

/// The message that `since` names; `null` is as good as none.
fn message_id(value: &RawValue) -> Result<Option<Uuid>, NoMessageId> {
    serde_json::from_str(value.get()).map_err(|_| NoMessageId)
}

fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

fn json(value: &impl Serialize) -> String {
    // Texts, numbers and raw JSON always serialise.
    serde_json::to_string(value).unwrap_or_default()
}
