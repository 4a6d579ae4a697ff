//! Settings that live in the database: `ALTER ROLE … SET pgrst.…` of the login role, and what a
//! function sets.

use tokio_postgres::Config;

use crate::error::{RestError, from_wire};
use crate::wire::tls::Tls;
use crate::wire::{Batch, Source, WireError, connect};

/// Prefix of the settings.
const PREFIX: &str = "pgrst.";

/// What the database has for `names`, which are without their prefix. Opens a connection of its
/// own, because the settings of a role take effect when it signs in.
///
/// `function` is called first, in the same transaction. It comes from the operator and is not
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
    let query = "SELECT name, current_setting($1 || name, true) \
                 FROM unnest(string_to_array($2, ' ')) AS name";
    let wanted = names.join(" ");
    let values = [PREFIX.as_bytes(), wanted.as_bytes()];
    let place = batch.add(Source::Unnamed(query), values)?;
    let answers = connection.exchange(batch).await?.succeeded()?;
    let mut found = Vec::new();
    for row in answers.rows(place)? {
        // A setting that was local to a transaction is empty after it, not absent.
        if let Some(value) = row.get::<Option<String>>(1)?.filter(|v| !v.is_empty()) {
            found.push((row.get(0)?, value));
        }
    }
    Ok(found)
}
