//! The `Prefer` header (RFC 7240).

use http::HeaderMap;

use crate::error::RestError;

/// What the client would like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Preferences {
    pub(crate) resolution: Option<Resolution>,
    pub(crate) representation: Option<Representation>,
    pub(crate) single_object: bool,
    pub(crate) count: Option<Count>,
    pub(crate) transaction: Option<TransactionEnd>,
    pub(crate) missing: Option<Missing>,
    pub(crate) strict: Option<bool>,
    pub(crate) timezone: Option<String>,
    /// As it was written, which need not be a number.
    max_affected: Option<String>,
    /// What is not known, or a timezone, which may not be. True: the latter.
    doubtful: Vec<(String, bool)>,
}

/// What happens to rows that exist already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolution {
    Merge,
    Ignore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Representation {
    Full,
    HeadersOnly,
    Minimal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Exact,
    Planned,
    Estimated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionEnd {
    Commit,
    Rollback,
}

/// What stands in for keys that a JSON object lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Default,
    Null,
}

impl Preferences {
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let mut preferences = Self::default();
        for value in headers.get_all("prefer") {
            let text = value.to_str().unwrap_or_default();
            for preference in text.split(',').filter(|_| !text.is_empty()) {
                preferences.accept(preference.trim());
            }
        }
        preferences
    }

    /// The first of several values for one preference counts.
    fn accept(&mut self, text: &str) {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        match (name, value) {
            ("resolution", "merge-duplicates") => first(&mut self.resolution, Resolution::Merge),
            ("resolution", "ignore-duplicates") => first(&mut self.resolution, Resolution::Ignore),
            ("return", "representation") => first(&mut self.representation, Representation::Full),
            ("return", "headers-only") => {
                first(&mut self.representation, Representation::HeadersOnly);
            }
            ("return", "minimal") => first(&mut self.representation, Representation::Minimal),
            ("params", "single-object") => self.single_object = true,
            ("count", "exact") => first(&mut self.count, Count::Exact),
            ("count", "planned") => first(&mut self.count, Count::Planned),
            ("count", "estimated") => first(&mut self.count, Count::Estimated),
            ("tx", "commit") => first(&mut self.transaction, TransactionEnd::Commit),
            ("tx", "rollback") => first(&mut self.transaction, TransactionEnd::Rollback),
            ("missing", "default") => first(&mut self.missing, Missing::Default),
            ("missing", "null") => first(&mut self.missing, Missing::Null),
            ("handling", "strict") => first(&mut self.strict, true),
            ("handling", "lenient") => first(&mut self.strict, false),
            ("timezone", zone) => {
                self.doubtful.push((text.to_owned(), true));
                first(&mut self.timezone, zone.to_owned());
            }
            // The first counts, even if it is no number.
            ("max-affected", number) => first(&mut self.max_affected, number.to_owned()),
            _ => self.doubtful.push((text.to_owned(), false)),
        }
    }

    /// Under `handling=strict`, a preference that is unknown is an error.
    pub(crate) fn check(&self) -> Result<(), RestError> {
        let zone_is_known = self.timezone.is_some();
        let wrong = self.doubtful.iter();
        let wrong = wrong.filter(|(_, is_zone)| !(*is_zone && zone_is_known));
        let wrong: Vec<&str> = wrong.map(|(text, _)| text.as_str()).collect();
        if self.strict == Some(true) && !wrong.is_empty() {
            return Err(RestError::invalid_preferences(&wrong));
        }
        Ok(())
    }

    /// Takes back a timezone that PostgreSQL does not know.
    pub(crate) fn refuse_timezone(&mut self) {
        self.timezone = None;
    }

    /// Rows are counted. The planner's estimate is only for reads.
    pub(crate) fn counts_rows(&self) -> bool {
        matches!(self.count, Some(Count::Exact | Count::Estimated))
    }

    /// The limit on affected rows counts only under strict handling.
    pub(crate) fn enforced_max_affected(&self) -> Option<i64> {
        let most = self.max_affected.as_deref()?.parse().ok();
        most.filter(|_| self.strict == Some(true))
    }
}

fn first<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

/// Which preferences an operation honours, for `Preference-Applied`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Honoured {
    pub(crate) resolution: bool,
    pub(crate) missing: bool,
    pub(crate) representation: bool,
    pub(crate) single_object: bool,
    pub(crate) transaction: bool,
    pub(crate) max_affected: bool,
}

impl Preferences {
    /// Value of `Preference-Applied`, if anything was applied.
    pub(crate) fn applied(&self, honoured: Honoured) -> Option<String> {
        let mut applied: Vec<String> = Vec::new();
        let mut add = |when: bool, text: &str| {
            if when {
                applied.push(text.to_owned());
            }
        };
        if honoured.resolution {
            add(
                self.resolution == Some(Resolution::Merge),
                "resolution=merge-duplicates",
            );
            add(
                self.resolution == Some(Resolution::Ignore),
                "resolution=ignore-duplicates",
            );
        }
        if honoured.missing {
            add(self.missing == Some(Missing::Default), "missing=default");
            add(self.missing == Some(Missing::Null), "missing=null");
        }
        if honoured.representation {
            let representation = self.representation;
            add(
                representation == Some(Representation::Full),
                "return=representation",
            );
            add(
                representation == Some(Representation::HeadersOnly),
                "return=headers-only",
            );
            add(
                representation == Some(Representation::Minimal),
                "return=minimal",
            );
        }
        add(
            honoured.single_object && self.single_object,
            "params=single-object",
        );
        add(self.count == Some(Count::Exact), "count=exact");
        add(self.count == Some(Count::Planned), "count=planned");
        add(self.count == Some(Count::Estimated), "count=estimated");
        if honoured.transaction {
            add(
                self.transaction == Some(TransactionEnd::Commit),
                "tx=commit",
            );
            add(
                self.transaction == Some(TransactionEnd::Rollback),
                "tx=rollback",
            );
        }
        add(self.strict == Some(true), "handling=strict");
        add(self.strict == Some(false), "handling=lenient");
        if let Some(zone) = &self.timezone {
            add(true, &format!("timezone={zone}"));
        }
        let enforced = self.enforced_max_affected();
        if let Some(maximum) = enforced.filter(|_| honoured.max_affected) {
            add(true, &format!("max-affected={maximum}"));
        }
        (!applied.is_empty()).then(|| applied.join(", "))
    }
}
