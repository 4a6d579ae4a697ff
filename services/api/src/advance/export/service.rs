//! Runs an export beside the answer that carries it.

use std::time::Duration;

use futures::{Stream, stream};
use http::StatusCode;
use ingot_http::{ApiError, Code, sql_error};
use ingot_project::AdminPools;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::dump::{self, Failure, Request};
use super::sink::{Chunk, Sink};
use super::store::Snapshot;

/// Longest export.
const DEADLINE: Duration = Duration::from_hours(1);

/// Chunks that wait for the client.
const WAITING_CHUNKS: usize = 4;

/// The dump in chunks. Dropping the stream ends the export.
pub(super) fn start(
    pools: &AdminPools,
    request: Request,
) -> impl Stream<Item = Chunk> + Unpin + use<> {
    let (sender, mut receiver) = mpsc::channel(WAITING_CHUNKS);
    let pools = pools.clone();
    tokio::spawn(async move {
        let mut sink = Sink::new(sender);
        let running = run(&pools, &request, &mut sink);
        let result = timeout(DEADLINE, running).await;
        match result {
            Ok(Ok(())) => {}
            Ok(Err(Failure::Gone(_))) => tracing::info!("an export was given up by its client"),
            Ok(Err(Failure::Sql(error))) => sink.fail(sql_error(error)).await,
            Err(_) => sink.fail(too_long()).await,
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

async fn run(pools: &AdminPools, request: &Request, sink: &mut Sink) -> Result<(), Failure> {
    let mut snapshot = Snapshot::begin(pools).await?;
    dump::write(&mut snapshot, request, sink).await?;
    sink.flush().await?;
    snapshot.end().await;
    Ok(())
}

fn too_long() -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        Code::InvalidInput,
        "The export was cancelled after one hour",
    )
    .with_hint("Export table by table")
}
