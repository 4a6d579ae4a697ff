//! The load generators `wrk` and `pgbench`, and their answers as numbers.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::Command;

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Requests or transactions per second.
    pub(crate) per_second: f64,
    /// 99th percentile of the time to an answer, where the generator tells it.
    pub(crate) p99: Option<Duration>,
    /// Requests in total.
    pub(crate) total: f64,
}

/// Runs `wrk` with one thread.
///
/// # Errors
/// It is not installed, or an answer was no success: then the figures mean nothing.
pub(crate) async fn wrk(
    url: &str,
    connections: usize,
    length: Duration,
    headers: &[(&str, String)],
) -> anyhow::Result<Load> {
    let mut command = Command::new("wrk");
    command
        .args(["--threads", "1", "--latency", "--timeout", "10s"])
        .arg("--connections")
        .arg(connections.to_string())
        .arg("--duration")
        .arg(format!("{}s", length.as_secs()));
    for (name, value) in headers {
        command.arg("--header").arg(format!("{name}: {value}"));
    }
    let output = run(command.arg(url)).await?;
    if output.contains("Non-2xx or 3xx responses") || output.contains("Socket errors") {
        bail!("{url} did not answer every request with success:\n{output}");
    }
    let per_second = number_after(&output, "Requests/sec:")?;
    let p99 = output
        .lines()
        .find_map(|line| line.trim().strip_prefix("99%"))
        .context("wrk printed no 99th percentile")?;
    Ok(Load {
        per_second,
        p99: Some(wrk_time(p99.trim())?),
        total: per_second * length.as_secs_f64(),
    })
}

/// Runs `pgbench` with prepared statements.
///
/// # Errors
/// It is not installed, or a transaction failed.
pub(crate) async fn pgbench(
    program: &Path,
    script: &Path,
    connection: &str,
    connections: usize,
    length: Duration,
) -> anyhow::Result<Load> {
    let mut command = Command::new(program);
    command
        .args(["--no-vacuum", "--protocol", "prepared", "--jobs", "1"])
        .arg("--client")
        .arg(connections.to_string())
        .arg("--time")
        .arg(length.as_secs().to_string())
        .arg("--file")
        .arg(script)
        .arg(connection);
    let output = run(&mut command).await?;
    if number_after(&output, "number of failed transactions:")? > 0.0 {
        bail!("pgbench had failed transactions:\n{output}");
    }
    let per_second = number_after(&output, "tps =")?;
    Ok(Load {
        per_second,
        p99: None,
        total: number_after(&output, "number of transactions actually processed:")?,
    })
}

async fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = command.as_std().get_program().display().to_string();
    let output = command
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot run {name}; is it installed?"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{name} failed: {errors}\n{text}");
    }
    Ok(text)
}

fn number_after(output: &str, label: &str) -> anyhow::Result<f64> {
    let (_, rest) = output
        .split_once(label)
        .with_context(|| format!("no `{label}` in:\n{output}"))?;
    let word = rest.split_whitespace().next().unwrap_or_default();
    word.parse()
        .with_context(|| format!("`{word}` is no number in:\n{output}"))
}

/// A time as wrk prints it: `812.00us`, `5.50ms`, `1.20s`.
fn wrk_time(text: &str) -> anyhow::Result<Duration> {
    let (number, scale) = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]
        .into_iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))
        .with_context(|| format!("`{text}` is no time"))?;
    Ok(Duration::from_secs_f64(number.parse::<f64>()? * scale))
}

/// The measurement in the middle, by requests per second.
pub(crate) fn median(mut loads: Vec<Load>) -> anyhow::Result<Load> {
    loads.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let middle = loads.len() / 2;
    loads.get(middle).copied().context("nothing was measured")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_wrk() {
        assert_eq!(wrk_time("812.00us").unwrap(), Duration::from_micros(812));
        assert_eq!(wrk_time("5.50ms").unwrap(), Duration::from_micros(5500));
        assert_eq!(wrk_time("1.20s").unwrap(), Duration::from_millis(1200));
        assert!(wrk_time("fast").is_err());
    }

    #[test]
    fn numbers_are_found_by_label() {
        let output = "tps = 15300.5 (without initial connection time)\n";
        assert!((number_after(output, "tps =").unwrap() - 15300.5).abs() < 1e-9);
        assert!(number_after(output, "Requests/sec:").is_err());
    }
}
