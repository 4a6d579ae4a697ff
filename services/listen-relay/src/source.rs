//! Where messages are heard of, and who reads PostgreSQL's log.

use anyhow::Context;
use ingot_config::Secret;
use ingot_schema::RealtimeSource;

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
pub(crate) fn reader(settings: &SourceSettings) -> anyhow::Result<Option<LogReader>> {
    if settings.source == RealtimeSource::Listen {
        return Ok(None);
    }
    let missing = "REALTIME_SOURCE=wal needs INGOT_REPLICATION_USER and \
                   INGOT_REPLICATION_PASSWORD: a login of PostgreSQL with the attribute REPLICATION";
    let user = settings.reader.clone().context(missing)?;
    let password = settings.password.clone().context(missing)?;
    Ok(Some(LogReader { user, password }))
}
