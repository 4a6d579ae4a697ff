//! Reading the catalogue: queries of the engine's own, with typed rows.

use super::lease::{Lease, Tries};
use super::pool::Connections;
use crate::error::{RestError, from_wire};
use crate::wire::{Batch, Row, Source, WireError};

/// A query and its values in text form.
pub(crate) type Query<'a> = (&'a str, &'a [&'a str]);

/// Runs queries in one read-only transaction and one flush.
pub(crate) async fn query<const N: usize>(
    pool: &Connections,
    max_waiting: usize,
    queries: [Query<'_>; N],
) -> Result<[Vec<Row>; N], RestError> {
    let mut tries = Tries::new();
    loop {
        let mut lease = Lease::take(pool, max_waiting).await?;
        match attempt(&mut lease, &queries).await {
            Ok(rows) => return Ok(rows),
            Err(error) if tries.allow(&error, true) => {}
            Err(error) => return Err(from_wire(&error, true)),
        }
    }
}

/// Names are spelled with their schemas everywhere, whatever the path of the session is.
const OPENING: [&str; 2] = [
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "SET LOCAL search_path = ''",
];

async fn attempt<const N: usize>(
    lease: &mut Lease,
    queries: &[Query<'_>; N],
) -> Result<[Vec<Row>; N], WireError> {
    let mut batch: Batch = lease.wire.batch();
    for text in OPENING {
        batch.add(Source::Unnamed(text), [])?;
    }
    for (text, values) in queries {
        let values = values.iter().map(|value| value.as_bytes());
        batch.add(Source::Unnamed(text), values)?;
    }
    batch.sync();
    batch.add(Source::Unnamed("COMMIT"), [])?;
    let answers = lease.wire.exchange(batch).await?.succeeded()?;
    let mut rows = std::array::from_fn(|_| Vec::new());
    for (place, rows) in rows.iter_mut().enumerate() {
        *rows = answers.rows(OPENING.len() + place)?;
    }
    Ok(rows)
}
