//! One transaction per request, in one flush: the settings, the statement, and the end.
//!
//! What lies between two syncs of the protocol is a transaction already, so `BEGIN` and `COMMIT`
//! are sent only where they say more than that.

use bytes::{BufMut, Bytes, BytesMut};
use tokio_postgres::types::Type;

use super::lease::{Lease, Tries};
use super::pool::{Connections, Session};
use super::statements::{Plan, Statements};
use super::traces::Traces;
use crate::error::{RestError, from_wire};
use crate::memory::SMALL;
use crate::sql::{Parameter, Statement};
use crate::wire::{Answers, Batch, Fault, Row, Source, WireError};

/// What runs in a transaction.
pub(crate) struct Job<'a> {
    pub(crate) read_only: bool,
    /// Isolation level other than the default.
    pub(crate) isolation: Option<&'static str>,
    pub(crate) role: &'a str,
    /// Settings of the transaction in order, the role among them.
    pub(crate) settings: &'a [(&'a str, String)],
    /// A call that comes before the statement.
    pub(crate) pre_request: Option<&'a str>,
    /// An EXPLAIN whose plan comes with the answer.
    pub(crate) explain: Option<&'a Statement>,
    pub(crate) statement: &'a Statement,
    /// The statement is an EXPLAIN: its rows are the body.
    pub(crate) answers_plan: bool,
    /// How it ends when nothing is wrong.
    pub(crate) commit: bool,
    /// What must hold before it is committed. Costs a round trip.
    pub(crate) check: Option<&'a Check<'a>>,
    /// What may stay behind in the session.
    pub(crate) traces: Traces,
    /// Version of the schema cache behind the statement.
    pub(crate) schema_version: u64,
    /// Decides the status of a missing privilege.
    pub(crate) authenticated: bool,
}

/// A condition on what the statement did.
pub(crate) type Check<'a> = dyn Fn(&Answered) -> Result<(), RestError> + Sync + 'a;

/// Setting that makes the rest of a transaction read-only.
const READ_ONLY: (&str, &str) = ("transaction_read_only", "on");

/// The one row that a statement answers with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answered {
    pub(crate) total: Option<i64>,
    pub(crate) page_total: i64,
    pub(crate) body: Option<Bytes>,
    pub(crate) response_headers: Option<String>,
    pub(crate) response_status: Option<String>,
    pub(crate) inserted: Option<i64>,
    pub(crate) location: Option<String>,
    pub(crate) plan: Option<Bytes>,
    /// Size of the body in bytes, also of one that is too large to be here.
    pub(crate) size: Option<i32>,
}

/// Bytes before a value in PostgreSQL's memory, which its size includes.
const LENGTH_WORD: i32 = 4;
/// Place of the body among the columns.
const BODY: usize = 2;

impl Answered {
    /// `jsonb`: the body is the binary form of one, which is its text after a version byte.
    fn read(row: &Row, jsonb: bool) -> Self {
        let text = |index| Some(String::from_utf8_lossy(row.bytes(index)?).into_owned());
        let bigint = |index| Some(i64::from_be_bytes(row.bytes(index)?.try_into().ok()?));
        Self {
            total: bigint(0),
            page_total: bigint(1).unwrap_or_default(),
            body: body(row).map(|body| body.slice(usize::from(jsonb && !body.is_empty())..)),
            response_headers: text(3),
            response_status: text(4),
            inserted: text(5).and_then(|count| count.parse().ok()),
            location: text(6),
            plan: None,
            size: row
                .bytes(7)
                .and_then(|size| Some(i32::from_be_bytes(size.try_into().ok()?)))
                .map(|size| size.saturating_sub(LENGTH_WORD)),
        }
    }
}

/// Small bodies are copied, so that they do not hold on to the connection's buffer.
fn body(row: &Row) -> Option<Bytes> {
    let value = row.bytes(BODY)?;
    if value.len() <= SMALL {
        return Some(Bytes::copy_from_slice(value));
    }
    row.shared(BODY)
}

/// Why a transaction did not answer.
enum Failure {
    /// The database or the link to it failed.
    Wire(WireError),
    /// It worked, but the answer is not to be given.
    Verdict(RestError),
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<RestError> for Failure {
    fn from(error: RestError) -> Self {
        Self::Verdict(error)
    }
}

/// How the statements are sent, and under which keys that is remembered.
struct Plans {
    settings: Plan,
    settings_text: String,
    settings_key: String,
    statement: Plan,
    statement_key: String,
}

impl Plans {
    fn learn(&self, statements: &mut Statements, answers: &Answers, jsonb: bool) {
        statements.learn(&self.settings_key, &self.settings, answers, false);
        statements.learn(&self.statement_key, &self.statement, answers, jsonb);
        let fault = answers.fault.as_ref();
        if fault.is_some_and(Fault::is_stale_statement) {
            statements.forget_all();
        }
    }
}

/// Places of the statements in a batch.
struct Places {
    explain: Option<usize>,
    statement: usize,
}

impl Job<'_> {
    /// Runs the transaction on a connection of the pool. It is tried again if a connection turns out
    /// to be dead, but never if it may have changed something.
    pub(crate) async fn run(
        &self,
        pool: &Connections,
        max_waiting: usize,
    ) -> Result<Answered, RestError> {
        let mut tries = Tries::new();
        loop {
            let mut lease = Lease::take(pool, max_waiting).await?;
            match self.attempt(&mut lease).await {
                Ok(answered) => return Ok(answered),
                Err(Failure::Verdict(error)) => return Err(error),
                Err(Failure::Wire(error)) if tries.allow(&error, self.read_only) => {}
                Err(Failure::Wire(error)) => return Err(from_wire(&error, self.authenticated)),
            }
        }
    }

    async fn attempt(&self, session: &mut Session) -> Result<Answered, Failure> {
        let plans = self.plans(&mut session.statements);
        let begin = self.begin(session.wire.reads_only());
        let mut batch = session.wire.batch();
        session.statements.tidy(&mut batch)?;
        let places = self.fill(&mut batch, &plans, begin.as_deref())?;
        let memory = session.memory.clone();
        let answers = session.wire.exchange_within(memory, batch).await?;

        let jsonb = body_is_jsonb(&plans.statement, &answers, places.statement);
        plans.learn(&mut session.statements, &answers, jsonb);
        if self.traces == Traces::Statements {
            session.statements.all_gone();
        }
        let answered = match answers.succeeded() {
            Ok(answers) => self.read(&answers, &places, jsonb),
            Err(fault) => Err(fault.into()),
        };
        if begin.is_some() && self.check.is_some() {
            return self.conclude(session, answered).await;
        }
        answered
    }

    fn plans(&self, statements: &mut Statements) -> Plans {
        statements.follow_schema(self.schema_version);
        let settings_text = settings_statement(self.settings, self.read_only);
        let settings_key = format!("\0{settings_text}");
        // A plan depends on the role that it is made for.
        let statement_key = format!("{}\0{}", self.role, self.statement.text);
        Plans {
            settings: statements.plan(&settings_key),
            settings_text,
            settings_key,
            statement: statements.plan(&statement_key),
            statement_key,
        }
    }

    fn fill(
        &self,
        batch: &mut Batch,
        plans: &Plans,
        begin: Option<&str>,
    ) -> Result<Places, WireError> {
        if let Some(begin) = begin {
            batch.add(Source::Unnamed(begin), [])?;
        }
        let values = self.settings.iter().map(|(_, value)| value.as_bytes());
        batch.add(plans.settings.source(&plans.settings_text), values)?;
        if let Some(call) = self.pre_request {
            batch.add(Source::Unnamed(call), [])?;
        }
        let explain = match self.explain {
            Some(explain) => Some(batch.add(Source::Unnamed(&explain.text), values_of(explain))?),
            None => None,
        };
        let source = plans.statement.source(&self.statement.text);
        let statement = batch.add(source, values_of(self.statement))?;
        if self.check.is_none() {
            self.settle(batch)?;
        }
        if begin.is_some() && self.check.is_none() {
            // After a sync of its own it also ends a transaction that failed.
            batch.sync();
            batch.add(Source::Unnamed(self.end()), [])?;
        }
        if begin.is_none() || self.check.is_none() {
            self.clean(batch)?;
        }
        Ok(Places { explain, statement })
    }

    fn clean(&self, batch: &mut Batch) -> Result<(), WireError> {
        match self.traces.removal() {
            Some(removal) => batch.add_text(removal),
            None => Ok(()),
        }
    }

    /// `BEGIN`, if the transaction that the protocol gives us does not do.
    fn begin(&self, session_reads_only: bool) -> Option<String> {
        let lifts = session_reads_only && !self.read_only;
        if self.isolation.is_none() && self.commit && self.check.is_none() && !lifts {
            return None;
        }
        let isolation = self
            .isolation
            .map(|level| format!(" ISOLATION LEVEL {level}"));
        let access = if self.read_only { "ONLY" } else { "WRITE" };
        Some(format!(
            "BEGIN{} READ {access}",
            isolation.unwrap_or_default()
        ))
    }

    /// What would fail at the end of a transaction fails also where it is taken back.
    fn settle(&self, batch: &mut Batch) -> Result<(), WireError> {
        if !self.commit && !self.read_only {
            batch.add(Source::Unnamed("SET CONSTRAINTS ALL IMMEDIATE"), [])?;
        }
        Ok(())
    }

    const fn end(&self) -> &'static str {
        if self.commit { "COMMIT" } else { "ROLLBACK" }
    }

    fn read(&self, answers: &Answers, places: &Places, jsonb: bool) -> Result<Answered, Failure> {
        let rows = answers.rows(places.statement)?;
        if self.answers_plan {
            return Ok(Answered {
                body: Some(plan_text(&rows)),
                ..Answered::default()
            });
        }
        let row = rows.first();
        let row = row.ok_or_else(|| RestError::internal("no row came back"))?;
        let mut answered = Answered::read(row, jsonb);
        if let (None, Some(size)) = (&answered.body, answered.size) {
            return Err(RestError::answer_too_large(Some(size)).into());
        }
        if let Some(place) = places.explain {
            answered.plan = Some(plan_text(&answers.rows(place)?));
        }
        Ok(answered)
    }

    /// Looks at the answer, and commits only what holds.
    async fn conclude(
        &self,
        session: &mut Session,
        answered: Result<Answered, Failure>,
    ) -> Result<Answered, Failure> {
        let answered = answered.and_then(|answered| match self.check {
            Some(check) => check(&answered).map(|()| answered).map_err(Failure::from),
            None => Ok(answered),
        });
        let end = if answered.is_ok() {
            self.end()
        } else {
            "ROLLBACK"
        };
        let mut batch = session.wire.batch();
        if answered.is_ok() && !self.commit {
            self.settle(&mut batch)?;
            batch.sync();
        }
        batch.add(Source::Unnamed(end), [])?;
        self.clean(&mut batch)?;
        let ended = session.wire.exchange(batch).await;
        let answered = answered?;
        ended.map_err(WireError::after_all_ran)?.succeeded()?;
        Ok(answered)
    }
}

fn values_of(statement: &Statement) -> impl Iterator<Item = &[u8]> {
    statement.parameters.iter().map(|value| match value {
        Parameter::Text(text) => text.as_bytes(),
        Parameter::Body(body) => body,
    })
}

/// `SELECT set_config('…', $1, true), …`. Names are the engine's or the host's, never a client's.
fn settings_statement(settings: &[(&str, String)], read_only: bool) -> String {
    let mut text = String::with_capacity(512);
    text.push_str("SELECT ");
    for (index, (name, _)) in settings.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        let name = name.replace('\'', "''");
        let place = (index + 1).to_string();
        text.extend(["set_config('", &name, "', $", &place, ", true)"]);
    }
    if read_only {
        let (name, value) = READ_ONLY;
        text.extend([", set_config('", name, "', '", value, "', true)"]);
    }
    text
}

/// A statement tells when it is described, and is remembered for it.
fn body_is_jsonb(plan: &Plan, answers: &Answers, place: usize) -> bool {
    match plan {
        Plan::Prepared(prepared) => prepared.jsonb,
        _ => answers.column_types(place).get(BODY) == Some(&Type::JSONB),
    }
}

/// The rows of an EXPLAIN, joined.
fn plan_text(rows: &[Row]) -> Bytes {
    let mut text = BytesMut::new();
    for line in rows.iter().filter_map(|row| row.bytes(0)) {
        if !text.is_empty() {
            text.put_u8(b'\n');
        }
        text.put_slice(line);
    }
    text.freeze()
}
