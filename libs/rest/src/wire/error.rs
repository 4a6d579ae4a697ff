//! What can go wrong between us and PostgreSQL.

use std::io;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;

use crate::memory::NoMemory;

/// PostgreSQL reported an error: the fields of an `ErrorResponse` that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Fault {
    /// SQLSTATE.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    /// The server ends the connection with it: severity FATAL or PANIC.
    pub(crate) fatal: bool,
    /// Function in PostgreSQL's source that reported it.
    routine: String,
}

impl Fault {
    /// Text that is not UTF-8 (errors of a connection's first moments may not be) is kept lossily.
    pub(super) fn read(mut fields: ErrorFields<'_>) -> Self {
        let mut fault = Self::default();
        while let Ok(Some(field)) = fields.next() {
            let value = || String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'C' => fault.code = value(),
                b'M' => fault.message = value(),
                b'D' => fault.detail = Some(value()),
                b'H' => fault.hint = Some(value()),
                b'R' => fault.routine = value(),
                b'V' => fault.fatal = matches!(field.value_bytes(), b"FATAL" | b"PANIC"),
                _ => {}
            }
        }
        fault
    }

    /// A value outgrew the 1 GB that PostgreSQL can handle.
    pub(crate) fn is_too_large_a_value(&self) -> bool {
        let text = self.code == "54000" && self.routine == "enlargeStringInfo";
        text || (self.code == "XX000" && self.message.starts_with("invalid memory alloc request"))
    }

    /// A prepared statement cannot be used any more: its result has other columns than it had, or
    /// a pooler gave us a server that does not know it.
    pub(crate) fn is_stale_statement(&self) -> bool {
        self.code == "26000" || (self.code == "0A000" && self.routine == "RevalidateCachedQuery")
    }
}

/// An exchange failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// A statement failed; the connection is fine.
    #[error(transparent)]
    Fault(Box<Fault>),
    /// The connection is gone.
    #[error("{reason}")]
    Lost {
        /// Fit for a client: what the server said, or that it said nothing.
        reason: String,
        /// Something may have run. False only if the server ended the connection before it had
        /// completed the first statement.
        begun: bool,
    },
    /// There is no memory to read an answer into. The connection is of no more use.
    #[error("there is no memory for the answer: {0:?}")]
    NoMemory(NoMemory),
    /// No connection could be made.
    #[error("{0}")]
    Refused(String),
}

impl WireError {
    #[allow(clippy::needless_pass_by_value, reason = "`map_err` gives errors away")]
    pub(super) fn refused(reason: impl ToString) -> Self {
        Self::Refused(reason.to_string())
    }

    /// The link broke, or what came over it is no protocol.
    pub(super) fn broken(error: &io::Error) -> Self {
        tracing::debug!(%error, "connection to the database broke");
        Self::Lost {
            reason: "the connection to the database broke".to_owned(),
            begun: true,
        }
    }

    pub(crate) fn unexpected() -> Self {
        Self::broken(&io::Error::other("unexpected message"))
    }

    /// The same, at the end of a transaction whose statements were completed earlier.
    pub(crate) fn after_all_ran(self) -> Self {
        match self {
            Self::Lost { reason, .. } => Self::Lost {
                reason,
                begun: true,
            },
            other => other,
        }
    }
}

impl From<NoMemory> for WireError {
    fn from(none: NoMemory) -> Self {
        Self::NoMemory(none)
    }
}

impl From<Fault> for WireError {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}
