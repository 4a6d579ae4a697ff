//! What code of the database may leave in a session, and how it is removed before somebody else's
//! request gets the connection.
//!
//! Settings made for the session, temporary tables, advisory locks, LISTEN, cursors that outlive
//! their transaction. Code that is declared STABLE or IMMUTABLE is believed where rows are read; what
//! is called by name is believed only if it is IMMUTABLE.

/// What may have stayed behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Traces {
    /// Nothing.
    None,
    /// Anything but prepared statements.
    Settings,
    /// Prepared statements, too. Removing them removes ours.
    Statements,
}

impl Traces {
    /// Statements that remove them, to be sent after the transaction.
    pub(super) const fn removal(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Settings => Some(
                "RESET ROLE; RESET ALL; CLOSE ALL; UNLISTEN *; DISCARD TEMP; \
                 SELECT pg_advisory_unlock_all()",
            ),
            Self::Statements => Some(
                "RESET ROLE; RESET ALL; CLOSE ALL; UNLISTEN *; DISCARD TEMP; \
                 SELECT pg_advisory_unlock_all(); DEALLOCATE ALL",
            ),
        }
    }
}
