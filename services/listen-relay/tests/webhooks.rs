//! Webhooks against a receiver that notes what it gets.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use hmac::{Hmac, Mac};
use ingot_listen_relay::serve;
use ingot_testkit::{TestProject, TestService};
use sha2::Sha256;
use sqlx::PgConnection;
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(20);
const PRIVATE: [(&str, &str); 1] = [("INGOT_WEBHOOK_PRIVATE_TARGETS", "true")];

/// A request as the receiver saw it.
#[derive(Debug, Clone)]
struct Received {
    path: String,
    headers: HeaderMap,
    body: String,
}

#[derive(Debug, Clone, Default)]
struct Receiver(Arc<Mutex<Vec<Received>>>);

impl Receiver {
    /// Starts one that answers with the status that its path names. Returns its address.
    async fn start(&self) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(note).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(format!("http://{address}"))
    }

    fn received(&self) -> Vec<Received> {
        let received = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        received.clone()
    }
}

async fn note(
    State(receiver): State<Receiver>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let path = uri.path().to_owned();
    let status = path.rsplit('/').next().and_then(|last| last.parse().ok());
    let received = Received {
        path,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let mut all = receiver.0.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(received);
    status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::NO_CONTENT)
}

async fn channel(project: &TestProject, pattern: &str, urls: &[String]) -> anyhow::Result<()> {
    sqlx::query("insert into realtime.channels (pattern, webhook_urls) values ($1, $2)")
        .bind(pattern)
        .bind(urls)
        .execute(&mut project.superuser().await?)
        .await?;
    Ok(())
}

async fn publish(sql: &mut PgConnection, channel: &str, payload: &str) -> anyhow::Result<()> {
    sqlx::query("select realtime.publish($1, 'évt☃', $2::jsonb)")
        .bind(channel)
        .bind(payload)
        .execute(sql)
        .await?;
    Ok(())
}

/// Webhooks of all messages: how many there are, and how many were delivered.
async fn counts(sql: &mut PgConnection) -> anyhow::Result<(i64, i64)> {
    let counts = sqlx::query_as(
        "select sum(wh_audience_count)::int8, sum(wh_delivered_count)::int8 from realtime.messages",
    )
    .fetch_one(sql)
    .await?;
    Ok(counts)
}

async fn settled(sql: &mut PgConnection, wanted: (i64, i64)) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        let counts = counts(&mut *sql).await?;
        if counts == wanted {
            return Ok(());
        }
        ensure!(
            begin.elapsed() < PATIENCE,
            "{counts:?} instead of {wanted:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn every_address_gets_every_message_once_signed_and_in_order() -> anyhow::Result<()> {
    const MESSAGES: usize = 60;
    let project = TestProject::create().await?;
    let receiver = Receiver::default();
    let address = receiver.start().await?;
    let urls = [format!("{address}/a"), format!("{address}/b")];
    channel(&project, "order:%", &urls).await?;
    channel(&project, "quiet", &[]).await?;
    // Two that may both send.
    let relays = [
        TestService::start(&project, &PRIVATE, serve).await?,
        TestService::start(&project, &PRIVATE, serve).await?,
    ];
    let mut sql = project.superuser().await?;
    publish(&mut sql, "quiet", "{}").await?;
    for number in 0..MESSAGES {
        publish(&mut sql, "order:1", &format!("[{number}]")).await?;
    }
    let all = i64::try_from(MESSAGES * 2)?;
    settled(&mut sql, (all, all)).await?;
    let received = receiver.received();
    let numbers: Vec<String> = (0..MESSAGES).map(|number| format!("[{number}]")).collect();
    for path in ["/a", "/b"] {
        let bodies = received.iter().filter(|received| received.path == path);
        let bodies: Vec<String> = bodies.map(|received| received.body.clone()).collect();
        assert_eq!(bodies, numbers, "{path}");
    }
    let one = received.first().context("nothing")?;
    let header = |name: &str| one.headers.get(name).map(|value| value.as_bytes().to_vec());
    assert_eq!(header("content-type"), Some(b"application/json".to_vec()));
    assert_eq!(header("x-insforge-event"), Some(b"\xe9vt".to_vec()));
    assert_eq!(header("x-insforge-channel"), Some(b"order:1".to_vec()));
    let id = header("x-insforge-message-id").context("no id")?;
    assert_eq!(id.len(), 36);
    let signature = String::from_utf8(header("x-ingot-signature").context("no signature")?)?;
    let (time, code) = signature.split_once(",v1=").context("no code")?;
    let time = time.strip_prefix("t=").context("no time")?;
    let secret = project.project().webhook_secret();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())?;
    mac.update(format!("{time}.{}", one.body).as_bytes());
    mac.verify_slice(&hex::decode(code)?)?;
    for relay in relays {
        relay.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_delivered_stays_and_is_sent_again_when_asked() -> anyhow::Result<()> {
    let project = TestProject::create().await?;
    let receiver = Receiver::default();
    let address = receiver.start().await?;
    // Nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let urls = [format!("{address}/500"), format!("http://{closed}/")];
    channel(&project, "orders", &urls).await?;
    let relay = TestService::start(&project, &PRIVATE, serve).await?;
    let mut sql = project.superuser().await?;
    publish(&mut sql, "orders", "{\"n\": 1}").await?;
    settled(&mut sql, (2, 0)).await?;
    let failures: Vec<(i32, Option<i32>)> = sqlx::query_as(
        "select attempts, status from realtime.webhook_deliveries
        where failed_at is not null and error <> '' order by sequence",
    )
    .fetch_all(&mut sql)
    .await?;
    assert_eq!(failures, [(1, Some(500)), (3, None)], "an answer is final");
    assert_eq!(receiver.received().len(), 1);

    // As the administrators' API does, once the receiver is well.
    sqlx::query(
        "update realtime.webhook_deliveries
        set url = $1, failed_at = null, attempts = 0, next_attempt_at = now()",
    )
    .bind(format!("{address}/200"))
    .execute(&mut sql)
    .await?;
    settled(&mut sql, (2, 2)).await?;
    let left: i64 = sqlx::query_scalar("select count(*) from realtime.webhook_deliveries")
        .fetch_one(&mut sql)
        .await?;
    assert_eq!(left, 0);
    relay.stop().await
}

#[tokio::test]
async fn private_networks_are_out_of_reach() -> anyhow::Result<()> {
    let project = TestProject::create().await?;
    let receiver = Receiver::default();
    let address = receiver.start().await?;
    let port = address.rsplit(':').next().context("no port")?;
    let urls = [
        address.clone(),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "ftp://example.com/".to_owned(),
    ];
    channel(&project, "orders", &urls).await?;
    let relay = TestService::start(&project, &[], serve).await?;
    let mut sql = project.superuser().await?;
    publish(&mut sql, "orders", "{}").await?;
    settled(&mut sql, (4, 0)).await?;
    assert!(receiver.received().is_empty());
    let attempts: Vec<i32> = sqlx::query_scalar("select attempts from realtime.webhook_deliveries")
        .fetch_all(&mut sql)
        .await?;
    assert_eq!(attempts, [1; 4], "another attempt would change nothing");
    relay.stop().await
}
