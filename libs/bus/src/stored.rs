//! Reading what a project's stream keeps, many messages at once.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::Stream;
use bytes::Bytes;
use futures::StreamExt;
use time::OffsetDateTime;

use crate::connection::Headers;
use crate::{Bus, BusError, Room, RoomDelivery, RoomMessage, subjects};

/// Messages asked for at once.
const BATCH: usize = 500;
/// The server forgets a reader that asks for nothing for so long.
const READER_LIFE: Duration = Duration::from_secs(30);

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredFrom {
    /// With the oldest message that the stream has.
    Beginning,
    /// With the first message above a sequence.
    Above(u64),
    /// With the first message that the stream got at or after a time.
    Time(OffsetDateTime),
}

/// A message as the stream keeps it.
pub(crate) struct StoredMessage {
    pub(crate) sequence: u64,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

/// Hands over what `stream` keeps under `filter`, in its order, up to the last message that it had
/// when asked. Nothing is left out silently: an error may come after some messages.
pub(crate) async fn read(
    stream: &Stream<()>,
    filter: String,
    from: DeliverPolicy,
    mut take: impl FnMut(StoredMessage),
) -> Result<(), BusError> {
    let config = pull::Config {
        filter_subject: filter,
        deliver_policy: from,
        ack_policy: AckPolicy::None,
        inactive_threshold: READER_LIFE,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await?;
    // Not what comes meanwhile: a reader that is slower than the publishers would never end.
    let mut expected = consumer.cached_info().num_pending;
    let mut taken = 0;
    while taken < expected {
        let mut batch = consumer.fetch().max_messages(BATCH).messages().await?;
        let before = taken;
        while let Some(message) = batch.next().await {
            let message = message.map_err(BusError::interrupted)?;
            let info = message.info().map_err(BusError::interrupted)?;
            taken += 1;
            if info.consumer_sequence != taken {
                return Err(BusError::interrupted("messages were lost on the way"));
            }
            if info.pending == 0 {
                // The stream has forgotten some since.
                expected = taken;
            }
            let sequence = info.stream_sequence;
            let (message, _) = message.split();
            take(StoredMessage {
                sequence,
                headers: message.headers.unwrap_or_default(),
                payload: message.payload,
            });
        }
        if taken == before {
            return Err(BusError::interrupted("no messages came"));
        }
    }
    // Otherwise the server does it a little later.
    stream
        .delete_consumer(&consumer.cached_info().name)
        .await
        .ok();
    Ok(())
}

impl Bus {
    /// The messages of a room that the stream still has, oldest first.
    ///
    /// # Errors
    /// NATS does not answer, or the reading broke off.
    pub async fn stored(
        &self,
        room: &Room,
        from: StoredFrom,
    ) -> Result<Vec<RoomDelivery>, BusError> {
        let stream = self
            .jetstream()
            .get_stream_no_info(subjects::room_stream(&room.project))
            .await?;
        let from = match from {
            StoredFrom::Beginning => DeliverPolicy::All,
            StoredFrom::Above(sequence) => DeliverPolicy::ByStartSequence {
                start_sequence: sequence.saturating_add(1),
            },
            StoredFrom::Time(start_time) => DeliverPolicy::ByStartTime { start_time },
        };
        let mut deliveries = Vec::new();
        read(&stream, room.stream_subject(), from, |stored| {
            deliveries.extend(delivery(
                room,
                stored.sequence,
                stored.headers,
                &stored.payload,
            ));
        })
        .await?;
        Ok(deliveries)
    }
}

/// What a message of the stream says, if it is of this room.
pub(crate) fn delivery(
    room: &Room,
    sequence: u64,
    headers: HeaderMap,
    payload: &[u8],
) -> Option<RoomDelivery> {
    match serde_json::from_slice::<RoomMessage>(payload) {
        // Another room with the same token is possible in theory.
        Ok(message) => (message.channel == room.channel).then(|| RoomDelivery {
            message,
            sequence,
            trace: Headers(headers),
        }),
        Err(error) => {
            tracing::warn!(%error, "unreadable room message");
            None
        }
    }
}
