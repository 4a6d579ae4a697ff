//! NATS and JetStream.

use std::time::Duration;

use ingot_bus::{Bus, BusSettings};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::Report;

const AREA: &str = "bus";
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
const DEFAULT_PORT: u16 = 4222;

pub(super) async fn examine(settings: &BusSettings, report: &mut Report) {
    for server in settings.url.split(',').map(str::trim) {
        reach(server, report).await;
    }
    let bus = match Bus::connect(settings, "ingot-doctor").await {
        Ok(bus) => bus,
        Err(error) => return report.broken(AREA, error.to_string(), "correct NATS_URL"),
    };
    let deadline = Instant::now() + PATIENCE;
    while !bus.is_connected() && Instant::now() < deadline {
        sleep(POLL).await;
    }
    if !bus.is_connected() {
        return report.broken(
            AREA,
            "no NATS server lets us in",
            "if one listens there, NATS_USER and NATS_PASSWORD are not what it wants",
        );
    }
    look_at_jetstream(&bus, settings, report).await;
}

/// Whether somebody listens at all.
async fn reach(server: &str, report: &mut Report) {
    let full = if server.contains("://") {
        server.to_owned()
    } else {
        format!("nats://{server}")
    };
    let parsed = Url::parse(&full).ok();
    let Some(host) = parsed.as_ref().and_then(Url::host_str) else {
        return report.broken(AREA, "NATS_URL is no address", "write nats://host:4222");
    };
    let port = parsed.as_ref().and_then(Url::port).unwrap_or(DEFAULT_PORT);
    match timeout(PATIENCE, TcpStream::connect((host, port))).await {
        Ok(Ok(_connected)) => {}
        failed => {
            let why = failed.map_or_else(
                |_late| "no answer".to_owned(),
                |result| {
                    result
                        .err()
                        .map(|error| error.to_string())
                        .unwrap_or_default()
                },
            );
            report.broken(
                AREA,
                format!("NATS at {host}:{port}: {why}"),
                "start it, or correct NATS_URL; in Kubernetes look at the network policies",
            );
        }
    }
}

async fn look_at_jetstream(bus: &Bus, settings: &BusSettings, report: &mut Report) {
    const FIX: &str =
        "enable JetStream in the server's configuration, with a store_dir that is kept";
    let asked = bus.client().request("$JS.API.INFO", "".into());
    let Ok(Ok(answer)) = timeout(PATIENCE, asked).await else {
        return report.broken(AREA, "NATS answers, JetStream does not", FIX);
    };
    let info: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
    if let Some(error) = info.pointer("/error/description") {
        return report.broken(AREA, format!("JetStream: {error}"), FIX);
    }
    let number = |path: &str| info.pointer(path).and_then(Value::as_i64);
    let (limit, used) = (
        number("/limits/max_storage").filter(|limit| *limit > 0),
        number("/storage").unwrap_or_default(),
    );
    let own = i64::try_from(settings.history.0).unwrap_or(i64::MAX);
    match limit {
        Some(limit) if limit - used < own => report.doubtful(
            AREA,
            format!("JetStream has {used} of {limit} bytes in use"),
            "give it more storage, or lower INGOT_BUS_HISTORY",
        ),
        _ => {
            let streams = number("/streams").unwrap_or_default();
            report.fine(AREA, format!("NATS with JetStream, {streams} streams"));
        }
    }
}
