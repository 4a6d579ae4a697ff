//! `ingot adopt`: takes over a database that the InsForge server made.

use std::fmt::Write as _;

use anyhow::{Context, bail};
use clap::Args;
use ingot_config::{Environment, Settings as _};
use ingot_migration::{Adoption, BootstrapConfig};
use url::Url;

use crate::console::result;

#[derive(Debug, Args)]
pub(crate) struct AdoptArguments {
    /// The database as its owner, a superuser: postgres://user:password@host:5432/insforge. What
    /// it leaves out comes from the settings (POSTGRES_PASSWORD and so on)
    #[arg(long)]
    database_url: String,
    /// Do it. Without this, it says what would be done and undoes it
    #[arg(long)]
    apply: bool,
}

/// Adopts the database for the project of the environment, and prints what was done.
///
/// # Errors
/// The settings are unusable, or the database cannot be adopted; it is then left as it was.
pub(crate) async fn run(
    arguments: AdoptArguments,
    environment: &Environment,
) -> anyhow::Result<()> {
    let environment = environment
        .clone()
        .with(variables(&arguments.database_url)?);
    let config = BootstrapConfig::load(&environment)?;
    let adoption = ingot_migration::adopt(&config, arguments.apply).await?;
    result(&text(&adoption, arguments.apply));
    Ok(())
}

/// The settings that the URL stands for.
fn variables(url: &str) -> anyhow::Result<Vec<(String, String)>> {
    // The text may hold a password, so it is in no message.
    let url = Url::parse(url).context("--database-url is no URL")?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        bail!("--database-url must begin with postgres://");
    }
    let mut variables = vec![
        (
            "POSTGRES_HOST".to_owned(),
            url.host_str().unwrap_or_default().to_owned(),
        ),
        (
            "POSTGRES_DB".to_owned(),
            decoded(url.path().trim_start_matches('/')),
        ),
        ("POSTGRES_USER".to_owned(), decoded(url.username())),
    ];
    if let Some(port) = url.port() {
        variables.push(("POSTGRES_PORT".to_owned(), port.to_string()));
    }
    if let Some(password) = url.password() {
        variables.push(("POSTGRES_PASSWORD".to_owned(), decoded(password)));
    }
    if let Some((_, mode)) = url.query_pairs().find(|(name, _)| name == "sslmode") {
        variables.push(("POSTGRES_SSLMODE".to_owned(), mode.into_owned()));
    }
    // What it does not say must not hide the settings' value.
    variables.retain(|(_, value)| !value.is_empty());
    Ok(variables)
}

/// A part of a URL, in which a plus is a plus.
fn decoded(part: &str) -> String {
    let pair = format!("part={}", part.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(pair.as_bytes());
    pairs
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn text(adoption: &Adoption, applied: bool) -> String {
    let mut text = format!("Found the InsForge server's schema at {}\n", adoption.found);
    let verb = if applied { "Done" } else { "To be done" };
    // Writing into a String cannot fail.
    let _ = writeln!(text, "\n{verb}:");
    for action in &adoption.actions {
        let _ = writeln!(text, "  - {action}");
    }
    if !adoption.remarks.is_empty() {
        let _ = writeln!(text, "\nTo be looked at:");
        for remark in &adoption.remarks {
            let _ = writeln!(text, "  - {remark}");
        }
    }
    let rows: i64 = adoption.rows.iter().map(|(_, rows)| rows).sum();
    let _ = writeln!(
        text,
        "\n{rows} rows in {} tables, none lost",
        adoption.rows.len()
    );
    if !applied {
        text.push_str("Nothing was changed: run it again with --apply\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_way_only_to_what_it_says() {
        let pairs = variables("postgres://me:p%40%2Bss+@db:5433/my%20db?sslmode=require").unwrap();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("POSTGRES_HOST", "db"),
                ("POSTGRES_DB", "my db"),
                ("POSTGRES_USER", "me"),
                ("POSTGRES_PORT", "5433"),
                ("POSTGRES_PASSWORD", "p@+ss+"),
                ("POSTGRES_SSLMODE", "require"),
            ]
        );
        let short = variables("postgresql://db/insforge").unwrap();
        assert_eq!(short.len(), 2, "{short:?}");
        for wrong in ["db", "mysql://db/x"] {
            assert!(variables(wrong).is_err(), "{wrong}");
        }
    }
}
