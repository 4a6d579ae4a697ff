//! One transaction per request, in one flush: BEGIN, the settings, the statement, COMMIT.

use bytes::{BufMut, Bytes, BytesMut};
use futures::join;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error, Row};

use super::connection::Preparation;
use super::lease::Lease;
use crate::error::{RestError, from_postgres};
use crate::sql::{Parameter, Statement};

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
    /// Version of the schema cache behind the statement.
    pub(crate) schema_version: u64,
    /// Decides the status of a missing privilege.
    pub(crate) authenticated: bool,
}

/// A condition on what the statement did.
pub(crate) type Check<'a> = dyn Fn(&Answered) -> Result<(), RestError> + Sync + 'a;

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

impl Answered {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            total: row.try_get(0)?,
            page_total: row.try_get(1)?,
            body: row
                .try_get::<_, Option<Raw<'_>>>(2)?
                .map(|raw| Bytes::copy_from_slice(raw.0)),
            response_headers: row.try_get(3)?,
            response_status: row.try_get(4)?,
            inserted: row
                .try_get::<_, Option<&str>>(5)?
                .and_then(|count| count.parse().ok()),
            location: row.try_get(6)?,
            plan: None,
            size: if row.len() > 7 { row.try_get(7)? } else { None },
        })
    }
}

/// Bytes of a value as they came.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(
        data_type: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        // The binary form of jsonb is its text after a version byte.
        Ok(match (*data_type == Type::JSONB, raw.split_first()) {
            (true, Some((_, text))) => Self(text),
            _ => Self(raw),
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A parameter in text form, whatever its type is.
#[derive(Debug)]
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.put_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

fn bind(statement: &Statement) -> Vec<Text<'_>> {
    let values = statement.parameters.iter().map(|value| match value {
        Parameter::Text(text) => Text(text.as_bytes()),
        Parameter::Body(body) => Text(body),
    });
    values.collect()
}

/// Runs a statement. `prepared` is a statement of this connection; without it the text is parsed
/// and run in the same round trip.
async fn run(
    client: &Client,
    prepared: Option<&tokio_postgres::Statement>,
    text: &str,
    parameters: &[Text<'_>],
) -> Result<Vec<Row>, Error> {
    if let Some(prepared) = prepared {
        let parameters: Vec<&(dyn ToSql + Sync)> =
            parameters.iter().map(|parameter| parameter as _).collect();
        return client.query(prepared, &parameters).await;
    }
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> = parameters
        .iter()
        .map(|parameter| (parameter as _, Type::UNKNOWN))
        .collect();
    client.query_typed(text, &parameters).await
}

/// `SELECT set_config('…', $1, true), …`. Names are the engine's or the host's, never a client's.
fn settings_statement(settings: &[(&str, String)]) -> String {
    let mut text = String::from("SELECT ");
    for (index, (name, _)) in settings.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        let name = name.replace('\'', "''");
        let place = (index + 1).to_string();
        text.extend(["set_config('", &name, "', $", &place, ", true)"]);
    }
    text
}

impl Job<'_> {
    fn begin(&self) -> String {
        let mut begin = String::from("BEGIN");
        if let Some(isolation) = self.isolation {
            begin.push_str(" ISOLATION LEVEL ");
            begin.push_str(isolation);
        }
        begin.push_str(if self.read_only {
            " READ ONLY"
        } else {
            " READ WRITE"
        });
        begin
    }

    /// Runs the transaction.
    pub(crate) async fn run(&self, lease: &mut Lease) -> Result<Answered, RestError> {
        let connection = lease.work()?;
        connection.follow_schema(self.schema_version);
        let settings_text = settings_statement(self.settings);
        let settings_key = format!("\0{settings_text}");
        let statement_key = format!("{}\0{}", self.role, self.statement.text);
        let mut settings_ready = connection.preparation(&settings_key);
        if matches!(settings_ready, Preparation::Prepare) {
            let prepared = connection.client.prepare(&settings_text).await;
            let prepared = prepared.map_err(|error| self.fault(&error))?;
            connection.remember(&settings_key, prepared.clone());
            settings_ready = Preparation::Ready(prepared);
        }
        let how = connection.preparation(&statement_key);
        let client = &connection.client;
        let begin = self.begin();
        let values: Vec<Text<'_>> = self
            .settings
            .iter()
            .map(|(_, value)| Text(value.as_bytes()))
            .collect();
        let opened = async {
            let settings = ready(&settings_ready);
            let (begun, set, called, explained) = join!(
                client.batch_execute(&begin),
                run(client, settings, &settings_text, &values),
                optional(self.pre_request, |text| run(client, None, text, &[])),
                async {
                    match self.explain {
                        None => Ok(None),
                        Some(explain) => {
                            let parameters = bind(explain);
                            run(client, None, &explain.text, &parameters)
                                .await
                                .map(Some)
                        }
                    }
                },
            );
            begun
                .and(set.map(drop))
                .and(called.map(drop))
                .and(explained)
        };
        let parameters = bind(self.statement);
        let text = &self.statement.text;
        let end = if self.commit { "COMMIT" } else { "ROLLBACK" };
        let outcome = match how {
            Preparation::Prepare => {
                // The type of a parameter may be visible to the role only, so the statement is
                // prepared inside the transaction.
                let (opened, prepared) = join!(opened, client.prepare(text));
                match opened.and_then(|plan| prepared.map(|p| (plan, p))) {
                    Ok((plan, prepared)) => {
                        let rows = run(client, Some(&prepared), text, &parameters);
                        let outcome = self.finish(client, rows, end).await;
                        outcome.map(|answered| (answered, plan, Some(prepared)))
                    }
                    Err(error) => Err(self.give_up(client, &error).await),
                }
            }
            how => {
                let rows = run(client, ready(&how), text, &parameters);
                let (opened, outcome) = join!(opened, self.finish(client, rows, end));
                match opened {
                    Ok(plan) => outcome.map(|answered| (answered, plan, None)),
                    // What failed first is the reason for everything after it.
                    Err(error) => Err(self.fault(&error)),
                }
            }
        };
        let (mut answered, plan, prepared) = match outcome {
            Ok(parts) => parts,
            Err(error) => {
                lease.rest();
                return Err(error);
            }
        };
        if let Some(prepared) = prepared {
            lease.work()?.remember(&statement_key, prepared);
        }
        lease.rest();
        answered.plan = plan.as_ref().map(|rows| plan_text(rows));
        Ok(answered)
    }

    /// Awaits the rows and ends the transaction: in the same flush if nothing is to be checked.
    async fn finish(
        &self,
        client: &Client,
        rows: impl Future<Output = Result<Vec<Row>, Error>>,
        end: &str,
    ) -> Result<Answered, RestError> {
        let answered = |rows: Result<Vec<Row>, Error>| -> Result<Answered, RestError> {
            let rows = rows.map_err(|error| self.fault(&error))?;
            if self.answers_plan {
                return Ok(Answered {
                    body: Some(plan_text(&rows)),
                    ..Answered::default()
                });
            }
            let row = rows
                .first()
                .ok_or_else(|| RestError::internal("no row came back"))?;
            let answer = Answered::read(row).map_err(|error| self.fault(&error))?;
            match (&answer.body, answer.size) {
                (None, Some(size)) => Err(RestError::answer_too_large(size)),
                _ => Ok(answer),
            }
        };
        let Some(check) = self.check else {
            let (rows, ended) = join!(rows, client.batch_execute(end));
            let answer = answered(rows)?;
            ended.map_err(|error| self.fault(&error))?;
            return Ok(answer);
        };
        let answer = answered(rows.await).and_then(|answer| check(&answer).map(|()| answer));
        let end = if answer.is_ok() { end } else { "ROLLBACK" };
        let ended = client.batch_execute(end).await;
        let answer = answer?;
        ended.map_err(|error| self.fault(&error))?;
        Ok(answer)
    }

    async fn give_up(&self, client: &Client, error: &Error) -> RestError {
        let answer = self.fault(error);
        if let Err(error) = client.batch_execute("ROLLBACK").await {
            tracing::debug!(%error, "rollback failed");
        }
        answer
    }

    fn fault(&self, error: &Error) -> RestError {
        from_postgres(error, self.authenticated)
    }
}

fn ready(preparation: &Preparation) -> Option<&tokio_postgres::Statement> {
    match preparation {
        Preparation::Ready(statement) => Some(statement),
        _ => None,
    }
}

async fn optional<'a, F>(
    text: Option<&'a str>,
    run: impl FnOnce(&'a str) -> F,
) -> Result<Option<Vec<Row>>, Error>
where
    F: Future<Output = Result<Vec<Row>, Error>>,
{
    match text {
        Some(text) => run(text).await.map(Some),
        None => Ok(None),
    }
}

/// The rows of an EXPLAIN, joined.
fn plan_text(rows: &[Row]) -> Bytes {
    let mut text = BytesMut::new();
    for row in rows {
        if let Ok(Raw(line)) = row.try_get::<_, Raw<'_>>(0) {
            if !text.is_empty() {
                text.put_u8(b'\n');
            }
            text.put_slice(line);
        }
    }
    text.freeze()
}
