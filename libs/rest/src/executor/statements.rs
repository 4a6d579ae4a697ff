//! The statements that a connection has prepared.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use crate::wire::{Answers, Batch, Source, WireError};

/// What a connection remembers of the statements that went over it: a bounded number, the least
/// recently used go first.
pub(super) struct Statements {
    /// None where nothing may be kept, as behind a pooler in transaction mode.
    remembered: Option<LruCache<String, Remembered>>,
    /// Version of the schema cache that the statements were planned with.
    schema_version: u64,
    /// Number of names given out.
    named: u64,
    /// Names that PostgreSQL still knows, but we do not.
    forgotten: Vec<String>,
}

/// A statement is prepared when it comes for the second time: shapes that come once leave nothing
/// behind.
enum Remembered {
    Seen,
    Prepared(Prepared),
}

/// A statement under a name of its own.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    name: Arc<str>,
    /// Its rows have a jsonb where others have text.
    pub(super) jsonb: bool,
}

/// How a statement is to be sent.
#[derive(Debug)]
pub(super) enum Plan {
    Unnamed,
    Prepare(Arc<str>),
    Prepared(Prepared),
}

impl Plan {
    pub(super) fn source<'a>(&'a self, text: &'a str) -> Source<'a> {
        match self {
            Self::Unnamed => Source::Unnamed(text),
            Self::Prepare(name) => Source::Prepare { name, text },
            Self::Prepared(prepared) => Source::Prepared(&prepared.name),
        }
    }
}

impl Statements {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            remembered: NonZeroUsize::new(capacity).map(LruCache::new),
            schema_version: 0,
            named: 0,
            forgotten: Vec::new(),
        }
    }

    /// Forgets statements of older schemas: their parameter types may have changed.
    pub(super) fn follow_schema(&mut self, version: u64) {
        if self.schema_version != version {
            self.schema_version = version;
            self.forget_all();
        }
    }

    pub(super) fn forget_all(&mut self) {
        while let Some((_, gone)) = self.remembered.as_mut().and_then(LruCache::pop_lru) {
            self.forget(gone);
        }
    }

    /// PostgreSQL has forgotten all of them.
    pub(super) fn all_gone(&mut self) {
        self.forget_all();
        self.forgotten.clear();
    }

    fn forget(&mut self, gone: Remembered) {
        if let Remembered::Prepared(prepared) = gone {
            self.forgotten.push(prepared.name.as_ref().to_owned());
        }
    }

    pub(super) fn plan(&mut self, key: &str) -> Plan {
        let Some(remembered) = &mut self.remembered else {
            return Plan::Unnamed;
        };
        match remembered.get(key) {
            Some(Remembered::Prepared(prepared)) => Plan::Prepared(prepared.clone()),
            Some(Remembered::Seen) => {
                self.named += 1;
                Plan::Prepare(format!("ingot_{}", self.named).into())
            }
            None => {
                self.remember(key, Remembered::Seen);
                Plan::Unnamed
            }
        }
    }

    fn remember(&mut self, key: &str, what: Remembered) {
        let remembered = self.remembered.as_mut();
        if let Some((_, gone)) = remembered.and_then(|known| known.push(key.to_owned(), what)) {
            self.forget(gone);
        }
    }

    /// Remembers a statement if it was to be prepared and PostgreSQL did so. That outlasts a
    /// transaction that fails.
    pub(super) fn learn(&mut self, key: &str, plan: &Plan, answers: &Answers, jsonb: bool) {
        if let Plan::Prepare(name) = plan
            && answers.prepared.iter().any(|prepared| **prepared == **name)
        {
            let name = name.clone();
            self.remember(key, Remembered::Prepared(Prepared { name, jsonb }));
        }
    }

    /// Has PostgreSQL forget what we forgot.
    pub(super) fn tidy(&mut self, batch: &mut Batch) -> Result<(), WireError> {
        self.forgotten
            .drain(..)
            .try_for_each(|name| batch.close(&name))
    }
}
