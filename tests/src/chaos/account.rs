//! What was committed, against what each subscriber noted.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Deserialize;
use sqlx::{Connection, PgConnection};

/// A message: its publisher and its number there.
type Message = (i64, i64);

/// What PostgreSQL has committed in one round.
#[derive(Debug, Default)]
pub(super) struct Committed {
    /// Messages of each channel in commit order, with their times in milliseconds since 1970.
    channels: HashMap<String, Vec<(Message, f64)>>,
}

impl Committed {
    pub(super) fn of(&self, channel: &str) -> &[(Message, f64)] {
        self.channels.get(channel).map_or(&[], Vec::as_slice)
    }
}

/// Reads a round's messages in commit order, which PostgreSQL keeps by time.
pub(super) async fn committed(database_url: &str, round: u32) -> anyhow::Result<Committed> {
    let mut connection = PgConnection::connect(database_url).await?;
    let rows: Vec<(String, i64, i64, f64)> = sqlx::query_as(
        "select channel_name, (payload ->> 'p')::int8, (payload ->> 'n')::int8,
            extract(epoch from pg_xact_commit_timestamp(xid::xid))::float8 * 1000
        from realtime.messages
        where (payload ->> 'r')::int8 = $1
        order by pg_xact_commit_timestamp(xid::xid), xid, sequence",
    )
    .bind(i64::from(round))
    .fetch_all(&mut connection)
    .await?;
    connection.close().await?;
    let mut committed = Committed::default();
    for (channel, publisher, number, time) in rows {
        let channel = committed.channels.entry(channel).or_default();
        channel.push(((publisher, number), time));
    }
    Ok(committed)
}

/// What one subscriber noted in one round.
#[derive(Debug, Deserialize)]
pub(super) struct Noted {
    /// All channels that it listens to.
    #[serde(skip)]
    pub(super) channels: Vec<String>,
    /// Channel, round, publisher, number and time of each message, as they came.
    #[serde(rename = "noted")]
    messages: Vec<(String, i64, i64, i64, f64)>,
    gaps: u64,
    cuts: u64,
    absences: Vec<Absence>,
}

/// The time from the end of a subscriber's connection until it heard all its channels again, in
/// milliseconds.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
pub(super) struct Absence {
    away: f64,
    /// What of it the client waited between attempts, as its own settings say.
    paused: f64,
    /// What of it the last connection's subscriptions took.
    subscribing: f64,
}

/// One line of the fault matrix.
#[derive(Debug)]
pub struct Account {
    /// What happened meanwhile.
    pub name: String,
    /// Messages that PostgreSQL committed.
    pub committed: usize,
    /// Fewest and most that a subscriber got of those in its channels.
    delivered: (usize, usize),
    /// Messages that a subscriber should have got and did not, all subscribers together.
    pub lost: usize,
    /// Messages that came to a subscriber again.
    pub duplicated: usize,
    /// Messages that came after one that was committed later.
    pub out_of_order: usize,
    /// Times that a subscriber was told that messages may be missing.
    pub gaps: u64,
    /// Connections that broke.
    pub cuts: u64,
    /// Subscribers that have no connection in the end.
    pub away: usize,
    /// Longest time from a commit to its arrival, in seconds.
    pub longest_wait: f64,
    longest_absence: Absence,
}

impl Account {
    pub(super) fn of(name: String, committed: &Committed, noted: &[Noted], away: usize) -> Self {
        let mut account = Self {
            name,
            committed: committed.channels.values().map(Vec::len).sum(),
            delivered: (usize::MAX, 0),
            lost: 0,
            duplicated: 0,
            out_of_order: 0,
            gaps: 0,
            cuts: 0,
            away,
            longest_wait: 0.0,
            longest_absence: Absence::default(),
        };
        for subscriber in noted {
            let mut distinct = 0;
            for channel in &subscriber.channels {
                distinct += account.add(committed.of(channel), channel, subscriber);
            }
            let (fewest, most) = account.delivered;
            account.delivered = (fewest.min(distinct), most.max(distinct));
            account.gaps += subscriber.gaps;
            account.cuts += subscriber.cuts;
            for absence in &subscriber.absences {
                if absence.away > account.longest_absence.away {
                    account.longest_absence = *absence;
                }
            }
        }
        account
    }

    /// Accounts for one channel of one subscriber. Returns how many messages it got.
    fn add(&mut self, expected: &[(Message, f64)], channel: &str, noted: &Noted) -> usize {
        let places: HashMap<Message, (usize, f64)> = expected
            .iter()
            .enumerate()
            .map(|(place, (message, time))| (*message, (place, *time)))
            .collect();
        let mut seen = HashSet::new();
        let mut furthest = 0;
        for (_, _, publisher, number, time) in
            noted.messages.iter().filter(|message| message.0 == channel)
        {
            let message = (*publisher, *number);
            let Some((place, committed)) = places.get(&message) else {
                // Of an earlier round: it comes again.
                self.duplicated += 1;
                continue;
            };
            if !seen.insert(message) {
                self.duplicated += 1;
                continue;
            }
            self.out_of_order += usize::from(*place < furthest);
            furthest = furthest.max(*place);
            self.longest_wait = self.longest_wait.max((time - committed) / 1000.0);
        }
        self.lost += expected.len() - seen.len();
        seen.len()
    }

    /// Whether every message came to everybody, once, in order.
    pub fn is_flawless(&self) -> bool {
        (self.lost, self.duplicated, self.out_of_order, self.gaps) == (0, 0, 0, 0)
    }

    /// The head of the table that [`Account`]s are lines of.
    pub fn heading() -> &'static str {
        "| fault | committed | delivered per subscriber | lost | duplicated | out of order | \
         connections broken | longest wait | longest absence | its pauses | its subscribing |\n\
         |---|---|---|---|---|---|---|---|---|---|---|"
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fewest, most) = self.delivered;
        write!(
            f,
            "| {} | {} | {fewest} to {most} | {} | {} | {} | {} | {:.1} s | {:.1} s | {:.1} s | {:.1} s |",
            self.name,
            self.committed,
            self.lost,
            self.duplicated,
            self.out_of_order,
            self.cuts,
            self.longest_wait,
            self.longest_absence.away / 1000.0,
            self.longest_absence.paused / 1000.0,
            self.longest_absence.subscribing / 1000.0,
        )
    }
}
