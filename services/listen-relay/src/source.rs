//! Where messages are heard of, and who reads PostgreSQL's log.

use anyhow::{Context, ensure};
use ingot_config::Secret;
use ingot_project::ProjectRegistry;
use ingot_schema::RealtimeSource;
use sqlx::postgres::PgSslMode;

use crate::relay::LogReader;

ingot_config::settings! {
    /// Where the relay hears of committed messages.
    pub struct SourceSettings {
        /// Where committed messages are heard of: `listen`, from notifications, or `wal`, from
        /// PostgreSQL's log, where many transactions publish at the same time. The same for the
        /// migration service and the relay.
        source: RealtimeSource = "REALTIME_SOURCE", default "listen";
        /// With `REALTIME_SOURCE=wal`, a login of PostgreSQL that has the attribute `REPLICATION`. The
        /// same for the migration service and the relay.
        reader: Option<String> = "INGOT_REPLICATION_USER";
        /// Password of `INGOT_REPLICATION_USER`.
        password: Option<Secret> = "INGOT_REPLICATION_PASSWORD";
    }
}

/// Who reads the log; `None` where notifications are listened to.
pub(crate) fn reader(
    settings: &SourceSettings,
    registry: &ProjectRegistry,
) -> anyhow::Result<Option<LogReader>> {
    if settings.source == RealtimeSource::Listen {
        return Ok(None);
    }
    let missing = "REALTIME_SOURCE=wal needs INGOT_REPLICATION_USER and \
                   INGOT_REPLICATION_PASSWORD: a login of PostgreSQL with the attribute REPLICATION";
    let user = settings.reader.clone().context(missing)?;
    let password = settings.password.clone().context(missing)?;
    for project in registry.iter() {
        // The client that reads the log speaks no TLS with the roots that the others trust.
        let is_plain = matches!(
            project.database.tls,
            PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer
        );
        ensure!(
            is_plain,
            "REALTIME_SOURCE=wal cannot reach the database of project {}: the log is read without \
             TLS, which its settings ask for; use `listen`",
            project.id
        );
    }
    Ok(Some(LogReader { user, password }))
}
