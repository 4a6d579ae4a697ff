//! Waiting until everything answers.

use std::fmt::Display;
use std::time::Duration;

use anyhow::bail;
use reqwest::Client;
use serde_json::Value;
use tokio::time::Instant;

use crate::Member;

const POLL: Duration = Duration::from_millis(100);
/// Silence after which a person wants to know what goes on.
const REPORT_AFTER: Duration = Duration::from_secs(10);
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// What a wait has to report.
#[derive(Debug)]
pub enum Report<'a> {
    /// It is ready.
    Ready(&'a Member),
    /// Nothing became ready for a while; the text says what is missing.
    Waiting(&'a str),
}

/// Waits until each of `members` says that it is ready.
///
/// # Errors
/// One of them is not ready after `patience`, or says that waiting does not help; the message has
/// what it says is missing.
pub async fn wait_until_ready(
    members: &[Member],
    patience: Duration,
    mut report: impl FnMut(Report<'_>),
) -> anyhow::Result<()> {
    let client = Client::builder().timeout(PROBE_TIMEOUT).build()?;
    let deadline = Instant::now() + patience;
    let mut waiting = members.to_vec();
    let mut last_report = Instant::now();
    loop {
        let mut still = Vec::new();
        let mut complaint = String::new();
        for member in waiting {
            match probe(&client, member.health).await {
                Ok(()) => {
                    report(Report::Ready(&member));
                    last_report = Instant::now();
                }
                Err(Unready::Refused(why)) => bail!("{}: {why}", member.name()),
                Err(Unready::Waiting(why)) => {
                    complaint = format!("{}: {why}", member.name());
                    still.push(member);
                }
            }
        }
        if still.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("not ready after {} s: {complaint}", patience.as_secs());
        }
        if last_report.elapsed() > REPORT_AFTER {
            report(Report::Waiting(&complaint));
            last_report = Instant::now();
        }
        waiting = still;
        tokio::time::sleep(POLL).await;
    }
}

/// Asks one service, for a health check that has no other program to ask with.
///
/// # Errors
/// It is not ready, or does not answer; the message has what it says.
pub(crate) async fn ask(address: &str) -> anyhow::Result<()> {
    let client = Client::builder().timeout(PROBE_TIMEOUT).build()?;
    match probe(&client, address).await {
        Ok(()) => Ok(()),
        Err(Unready::Refused(why) | Unready::Waiting(why)) => bail!("{address}: {why}"),
    }
}

/// Why a member is not ready.
enum Unready {
    Waiting(String),
    /// Only somebody who acts can change it.
    Refused(String),
}

async fn probe(client: &Client, address: impl Display) -> Result<(), Unready> {
    let url = format!("http://{address}/readyz");
    let answer = client
        .get(url)
        .send()
        .await
        .map_err(|error| Unready::Waiting(error.without_url().to_string()))?;
    if answer.status().is_success() {
        return Ok(());
    }
    let text = answer.text().await.unwrap_or_default();
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    match said.get("refused").and_then(Value::as_str) {
        Some(why) => Err(Unready::Refused(why.to_owned())),
        None => Err(Unready::Waiting(text)),
    }
}
