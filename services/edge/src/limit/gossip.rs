//! How replicas of the edge share what they have counted.
//!
//! Each tells what it counted since it last told, a few times per second. Who starts, or comes
//! back to the bus, asks the others for their busiest windows. A lost message makes a count too
//! low until its window ends; nobody is ever refused because of a lost message.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::StreamExt;
use ingot_bus::Bus;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{Key, RateLimit, Share};

/// What was counted.
const SUBJECT: &str = "ingot.edge.rate";
/// Asks for the busiest windows; the answers go to the reply subject.
const SNAPSHOT_SUBJECT: &str = "ingot.edge.rate.snapshot";
/// Time between two reports.
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// Shares per message: 576 KiB, below the bus limit of 1 MB.
const SHARES_PER_MESSAGE: usize = 16_384;
/// A newcomer is told of windows from this part of the limit on; less cannot matter.
const SNAPSHOT_FROM_PART: u32 = 100;
/// Longest wait for the bus client to take a message.
const HAND_OVER: Duration = Duration::from_secs(1);

/// Takes part until the shutdown. Works through outages of the bus.
pub(crate) async fn gossip(
    limit: Arc<RateLimit>,
    bus: Bus,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let client = bus.client();
    let sender: u64 = rand::random();
    let inbox = client.new_inbox();
    let mut reports = client.subscribe(SUBJECT).await?;
    let mut requests = client.subscribe(SNAPSHOT_SUBJECT).await?;
    let mut snapshots = client.subscribe(inbox.clone()).await?;
    let mut tick = interval(REPORT_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut was_connected = false;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = tick.tick() => {
                let connected = bus.is_connected();
                if connected && !was_connected {
                    let ask = client.publish_with_reply(SNAPSHOT_SUBJECT, inbox.clone(), Bytes::new());
                    hand_over(ask).await;
                }
                was_connected = connected;
                if connected {
                    for message in encode(sender, &limit.take_unsent()) {
                        hand_over(client.publish(SUBJECT, message)).await;
                    }
                }
            }
            Some(report) = reports.next() => {
                decode(sender, report.payload, |share| limit.add(share));
            }
            Some(request) = requests.next() => {
                let least = (limit.limit() / SNAPSHOT_FROM_PART).max(1);
                if let Some(reply) = request.reply {
                    for message in encode(sender, &limit.busiest(least)) {
                        hand_over(client.publish(reply.clone(), message)).await;
                    }
                }
            }
            Some(snapshot) = snapshots.next() => {
                decode(sender, snapshot.payload, |share| limit.merge(share));
            }
        }
    }
}

async fn hand_over<E>(publish: impl Future<Output = Result<(), E>>) {
    // What is lost here is counted too low for a while; see the module's comment.
    let _lost = timeout(HAND_OVER, publish).await;
}

/// Bytes per share in a message.
const SHARE_BYTES: usize = 8 + 16 + 8 + 4;

/// Messages of: sender, then per share project, address, end of the window and count.
fn encode(sender: u64, shares: &[Share]) -> Vec<Bytes> {
    shares
        .chunks(SHARES_PER_MESSAGE)
        .map(|chunk| {
            let mut message = BytesMut::with_capacity(8 + chunk.len() * SHARE_BYTES);
            message.put_u64(sender);
            for share in chunk {
                message.put_u64(share.key.project);
                message.put_u128(share.key.address);
                message.put_u64(share.ends);
                message.put_u32(share.count);
            }
            message.freeze()
        })
        .collect()
}

/// Reads a message of another replica; what is not one is left out.
fn decode(receiver: u64, mut message: Bytes, mut take: impl FnMut(Share)) {
    if message.len() < 8 || message.get_u64() == receiver {
        return;
    }
    while message.len() >= SHARE_BYTES {
        take(Share {
            key: Key {
                project: message.get_u64(),
                address: message.get_u128(),
            },
            ends: message.get_u64(),
            count: message.get_u32(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(receiver: u64, messages: Vec<Bytes>) -> Vec<Share> {
        let mut shares = Vec::new();
        for message in messages {
            decode(receiver, message, |share| shares.push(share));
        }
        shares
    }

    #[test]
    fn shares_survive_the_journey_in_bounded_messages() {
        let shares: Vec<_> = (0..40_000_u32)
            .map(|n| Share {
                key: Key::new(7, std::net::IpAddr::V4(n.into())),
                ends: 1_000 + u64::from(n),
                count: n,
            })
            .collect();
        let messages = encode(1, &shares);
        assert!(messages.iter().all(|message| message.len() < 1_000_000));
        assert_eq!(read(2, messages.clone()), shares);
        assert!(
            read(1, messages).is_empty(),
            "one's own reports are not counted again"
        );
    }

    #[test]
    fn nonsense_is_left_out() {
        assert!(read(2, vec![Bytes::from_static(b"")]).is_empty());
        assert!(read(2, vec![Bytes::from_static(b"01234567 half a share")]).is_empty());
    }
}
