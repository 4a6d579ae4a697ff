//! The rules of channels, the message log and retention.

use http::StatusCode;
use ingot_http::{ApiError, Code};
use serde_json::Value;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::channel::{ChannelInput, kind};
use super::store::{self, Channel, Message, Permissions, Stats};
use crate::dates::read_time;

/// Most messages in one answer.
const MAX_LIMIT: i64 = 1_000;

pub(super) async fn channels(pool: &PgPool) -> Result<Vec<Channel>, ApiError> {
    Ok(store::channels(pool).await?)
}

pub(super) async fn channel(pool: &PgPool, id: &str) -> Result<Channel, ApiError> {
    store::channel(pool, channel_id(id)?)
        .await?
        .ok_or_else(no_channel)
}

pub(super) async fn create(pool: &PgPool, input: &ChannelInput) -> Result<Channel, ApiError> {
    store::insert(pool, input).await.map_err(taken)
}

pub(super) async fn update(
    pool: &PgPool,
    id: &str,
    input: &ChannelInput,
) -> Result<Channel, ApiError> {
    store::update(pool, channel_id(id)?, input)
        .await
        .map_err(taken)?
        .ok_or_else(no_channel)
}

pub(super) async fn remove(pool: &PgPool, id: &str) -> Result<(), ApiError> {
    if store::remove(pool, channel_id(id)?).await? {
        Ok(())
    } else {
        Err(no_channel())
    }
}

/// What is no id is the id of no channel.
fn channel_id(text: &str) -> Result<Uuid, ApiError> {
    text.parse().map_err(|_| no_channel())
}

fn no_channel() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        Code::RealtimeChannelNotFound,
        "Channel not found",
    )
    .with_hint("GET /api/realtime/channels lists the channels")
}

/// The only unique value of a channel that a caller chooses is its pattern.
fn taken(error: sqlx::Error) -> ApiError {
    let duplicate = error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation);
    let answer = ApiError::from(error);
    if duplicate {
        answer.with_hint("Use another value for the unique field(pattern)")
    } else {
        answer
    }
}

/// Which messages are wanted.
#[derive(Debug)]
pub(super) struct MessageQuery {
    pub(super) channel: Option<Uuid>,
    pub(super) event: Option<String>,
    pub(super) limit: i64,
    pub(super) offset: i64,
}

impl MessageQuery {
    pub(super) fn read(
        channel: Option<&str>,
        event: Option<String>,
        limit: Option<&str>,
        offset: Option<&str>,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            channel: channel.map(read_channel).transpose()?,
            event,
            limit: read_number("limit", limit, 100, 1, MAX_LIMIT)?,
            offset: read_number("offset", offset, 0, 0, i64::MAX)?,
        })
    }
}

/// What statistics are about.
#[derive(Debug)]
pub(super) struct StatsQuery {
    pub(super) channel: Option<Uuid>,
    pub(super) since: Option<OffsetDateTime>,
}

impl StatsQuery {
    pub(super) fn read(channel: Option<&str>, since: Option<&str>) -> Result<Self, ApiError> {
        Ok(Self {
            channel: channel.map(read_channel).transpose()?,
            since: since.map(|text| read_time("since", text)).transpose()?,
        })
    }
}

fn read_channel(text: &str) -> Result<Uuid, ApiError> {
    text.parse()
        .map_err(|_| ApiError::invalid_input("channelId: Invalid uuid"))
}

/// An empty number counts as 0, as in the contract.
pub(super) fn read_number(
    name: &str,
    text: Option<&str>,
    default: i64,
    min: i64,
    max: i64,
) -> Result<i64, ApiError> {
    let number = match text.map(str::trim) {
        None => Some(default),
        Some("") => Some(0),
        Some(text) => text.parse().ok(),
    };
    number
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| {
            ApiError::invalid_input(format!(
                "{name}: must be a whole number from {min} to {max}"
            ))
        })
}

pub(super) async fn messages(
    pool: &PgPool,
    query: &MessageQuery,
) -> Result<Vec<Message>, ApiError> {
    Ok(store::messages(pool, query).await?)
}

/// Removes the messages that exist now, a batch at a time, so that publishing goes on meanwhile.
pub(super) async fn clear(pool: &PgPool) -> Result<u64, ApiError> {
    let until = store::now(pool).await?;
    let mut total = 0;
    loop {
        let deleted = store::remove_messages(pool, until).await?;
        total += deleted;
        if deleted == 0 {
            return Ok(total);
        }
    }
}

pub(super) async fn stats(pool: &PgPool, query: &StatsQuery) -> Result<Stats, ApiError> {
    Ok(store::stats(pool, query).await?)
}

pub(super) async fn permissions(pool: &PgPool) -> Result<Permissions, ApiError> {
    Ok(store::permissions(pool).await?)
}

pub(super) async fn retention(pool: &PgPool) -> Result<Option<i32>, ApiError> {
    Ok(store::retention(pool).await?)
}

/// Reads the days that messages are kept; `None` keeps them for ever.
pub(super) fn read_retention(body: &Value) -> Result<Option<i32>, ApiError> {
    let complain =
        |problem: &str| Err(ApiError::invalid_input(format!("retentionDays: {problem}")));
    match body.get("retentionDays") {
        None => complain("Required"),
        Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => match number.as_i64().map(i32::try_from) {
            Some(Ok(days)) if days > 0 => Ok(Some(days)),
            Some(Ok(_)) => complain("Number must be greater than 0"),
            Some(Err(_)) => complain("Number is too large"),
            None => complain("Expected integer, received float"),
        },
        Some(other) => complain(&format!("Expected number, received {}", kind(other))),
    }
}

pub(super) async fn set_retention(pool: &PgPool, days: Option<i32>) -> Result<(), ApiError> {
    Ok(store::set_retention(pool, days).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn retention_is_a_positive_number_of_days_or_for_ever() {
        let read = |body: Value| read_retention(&body).map_err(|error| error.message().to_owned());
        assert_eq!(read(json!({ "retentionDays": 7 })), Ok(Some(7)));
        assert_eq!(read(json!({ "retentionDays": null })), Ok(None));
        for (body, complaint) in [
            (json!({}), "retentionDays: Required"),
            (
                json!({ "retentionDays": 0 }),
                "retentionDays: Number must be greater than 0",
            ),
            (
                json!({ "retentionDays": 1.5 }),
                "retentionDays: Expected integer, received float",
            ),
            (
                json!({ "retentionDays": "7" }),
                "retentionDays: Expected number, received string",
            ),
        ] {
            assert_eq!(read(body).unwrap_err(), complaint);
        }
    }

    #[test]
    fn limits_are_checked() {
        let limit = |text| MessageQuery::read(None, None, text, None).map(|query| query.limit);
        assert_eq!(limit(None).unwrap(), 100);
        assert_eq!(limit(Some("1000")).unwrap(), 1000);
        for bad in ["", "0", "1001", "x", "1.5", "-1"] {
            assert_eq!(limit(Some(bad)).unwrap_err().status(), 400, "{bad}");
        }
    }
}
