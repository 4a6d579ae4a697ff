//! The load generators `wrk` and `pgbench`, and their answers as numbers.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::Command;

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Requests or transactions per second.
    pub(crate) per_second: f64,
    /// Median of the time to an answer, where the generator tells it.
    pub(crate) p50: Option<Duration>,
    /// 99th percentile of the same.
    pub(crate) p99: Option<Duration>,
    /// Requests in total.
    pub(crate) total: f64,
    /// CPU time of who answered, where that was measured.
    pub(crate) cpu: Option<Duration>,
}

impl Load {
    /// From the times to all answers, and how long it took in all.
    pub(crate) fn of_times(mut times: Vec<Duration>, elapsed: Duration) -> Self {
        times.sort_unstable();
        let total = f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX));
        let at = |percent: usize| times.get(times.len() * percent / 100).copied();
        Self {
            per_second: total / elapsed.as_secs_f64(),
            p50: at(50),
            p99: at(99),
            total,
            cpu: None,
        }
    }

    /// The same with the CPU time that it cost.
    pub(crate) fn with_cpu(self, cpu: Duration) -> Self {
        Self {
            cpu: Some(cpu),
            ..self
        }
    }

    pub(crate) fn cpu_per_request(&self) -> Option<Duration> {
        Some(self.cpu?.div_f64(self.total.max(1.0)))
    }
}

/// What `wrk` asks for, again and again.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) url: String,
    pub(crate) method: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<&'static str>,
}

impl Wanted {
    /// The script that tells `wrk` what no option tells. Values are quoted by brackets, which none
    /// of them has.
    fn script(&self) -> String {
        let mut script = format!("wrk.method = [[{}]]\n", self.method);
        if let Some(body) = self.body {
            // Writing to a string cannot fail.
            writeln!(script, "wrk.body = [[{body}]]").ok();
        }
        for (name, value) in &self.headers {
            writeln!(script, "wrk.headers[ [[{name}]] ] = [[{value}]]").ok();
        }
        script
    }
}

/// Runs `wrk` with one thread. Its script goes into `folder`.
///
/// # Errors
/// It is not installed, or an answer was no success: then the figures mean nothing.
pub(crate) async fn wrk(
    wanted: &Wanted,
    connections: usize,
    length: Duration,
    folder: &Path,
) -> anyhow::Result<Load> {
    let script = folder.join("wrk.lua");
    std::fs::write(&script, wanted.script())?;
    let url = &wanted.url;
    let mut command = Command::new("wrk");
    command
        .args(["--threads", "1", "--latency", "--timeout", "10s"])
        .arg("--connections")
        .arg(connections.to_string())
        .arg("--duration")
        .arg(format!("{}s", length.as_secs()));
    command.arg("--script").arg(&script);
    let output = run(command.arg(url)).await?;
    if output.contains("Non-2xx or 3xx responses") || output.contains("Socket errors") {
        bail!("{url} did not answer every request with success:\n{output}");
    }
    let per_second = number_after(&output, "Requests/sec:")?;
    let percentile = |label: &str| {
        let time = output
            .lines()
            .find_map(|line| line.trim().strip_prefix(label))
            .with_context(|| format!("wrk printed no {label} percentile"))?;
        wrk_time(time.trim())
    };
    Ok(Load {
        per_second,
        p50: Some(percentile("50%")?),
        p99: Some(percentile("99%")?),
        total: number_before(&output, "requests in")?,
        cpu: None,
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
        p50: None,
        p99: None,
        cpu: None,
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

fn number_before(output: &str, label: &str) -> anyhow::Result<f64> {
    let (before, _) = output
        .split_once(label)
        .with_context(|| format!("no `{label}` in:\n{output}"))?;
    let word = before.split_whitespace().next_back().unwrap_or_default();
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
        let output = "  66530 requests in 10.00s, 1MB read\n";
        assert!((number_before(output, "requests in").unwrap() - 66530.0).abs() < 1e-9);
    }

    #[test]
    fn times_are_summed_up() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let load = Load::of_times(times, Duration::from_secs(2));
        assert!((load.per_second - 100.0).abs() < 1e-9);
        assert_eq!(load.p50, Some(Duration::from_millis(101)));
        assert_eq!(load.p99, Some(Duration::from_millis(199)));
        let load = load.with_cpu(Duration::from_millis(20));
        assert_eq!(load.cpu_per_request(), Some(Duration::from_micros(100)));
    }
}
