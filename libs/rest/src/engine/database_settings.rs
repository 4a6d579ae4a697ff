//! Settings that live in the database: `ALTER ROLE … SET pgrst.…` of the login role, and what a
//! function sets.

use tokio_postgres::Config;

use crate::error::{RestError, from_wire};
use crate::wire::tls::Tls;
use crate::wire::{Batch, Source, WireError, connect};

/// Prefix of the settings.
const PREFIX: &str = "pgrst.";

/// What the database has for `names`, which are without their prefix. What the login role is set to
/// (`ALTER ROLE … SET`, for this database before that for all) counts more than what `function`
/// sets, which is called first, in the same transaction. It comes from the operator and is not
/// quoted.
pub async fn database_settings(
    config: &Config,
    tls: &Tls,
    function: Option<&str>,
    names: &[&str],
) -> Result<Vec<(String, String)>, RestError> {
    let found = read(config, tls, function, names).await;
    found.map_err(|error| from_wire(&error, true))
}

async fn read(
    config: &Config,
    tls: &Tls,
    function: Option<&str>,
    names: &[&str],
) -> Result<Vec<(String, String)>, WireError> {
    let mut connection = connect(config, tls).await?;
    let mut batch = Batch::new();
    if let Some(function) = function {
        batch.add(Source::Unnamed(&format!("SELECT {function}()")), [])?;
    }
    let query = match function {
        None => OF_ROLE.to_owned(),
        // What was local to a transaction is empty after it, not absent.
        Some(_) => format!(
            "SELECT r.name, coalesce(r.value, nullif(current_setting($1 || r.name, true), '')) \
             FROM ({OF_ROLE}) AS r"
        ),
    };
    let wanted = names.join(" ");
    let values = [PREFIX.as_bytes(), wanted.as_bytes()];
    let place = batch.add(Source::Unnamed(&query), values)?;
    let answers = connection.exchange(batch).await?.succeeded()?;
    let mut found = Vec::new();
    for row in answers.rows(place)? {
        if let Some(value) = row.get::<Option<String>>(1)? {
            found.push((row.get(0)?, value));
        }
    }
    Ok(found)
}

/// `$1`: the prefix; `$2`: names, separated by spaces.
const OF_ROLE: &str = "SELECT name, (SELECT substr(setting, strpos(setting, '=') + 1) \
        FROM pg_db_role_setting s, unnest(s.setconfig) AS setting \
        WHERE s.setrole = (SELECT oid FROM pg_roles WHERE rolname = current_user) \
        AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
        AND lower(split_part(setting, '=', 1)) = $1 || name \
        ORDER BY s.setdatabase DESC LIMIT 1) AS value \
    FROM unnest(string_to_array($2, ' ')) AS name";
