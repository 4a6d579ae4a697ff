//! What a request does, once it is planned: read, write or call.

use std::sync::Arc;

use crate::answer::{self, Content, Response};
use crate::error::RestError;
use crate::executor::{Answered, Traces};
use crate::openapi;
use crate::plan::call::CallPlan;
use crate::plan::mutate::MutatePlan;
use crate::plan::read::{ReadNode, Source};
use crate::plan::{Parsed, Planner, Shape};
use crate::request::preferences::Count;
use crate::schema::{ObjectName, Schema, Volatility};
use crate::settings::{EngineSettings, OpenApiMode};
use crate::sql::{self, BodyFormat, Statement, Total};

/// A planned request and how its answer looks.
pub(crate) struct Operation {
    kind: Kind,
    content: Content,
}

enum Kind {
    Read(ReadNode),
    Write(MutatePlan),
    Call(CallPlan),
    Describe(Description),
}

/// The description of the whole API.
struct Description {
    schema: Arc<Schema>,
    settings: EngineSettings,
}

impl Operation {
    pub(crate) fn read(
        planner: &Planner<'_>,
        parsed: &Parsed,
        name: &str,
    ) -> Result<Self, RestError> {
        let source = ObjectName::new(planner.profile, name);
        let content = || answer::choose_for_relation(planner, parsed, &source);
        let node = planner.relation(name).and_then(|relation| {
            planner.read(
                Source::Relation(relation.name.clone()),
                Shape::Relation(relation.clone()),
                &relation.name,
                &parsed.query,
                parsed.window,
                false,
            )
        });
        let mut node = node.map_err(|error| {
            let later = || content().and_then(|_| parsed.preferences.check());
            planner.first_error(parsed, &source, error, later)
        })?;
        let content = content()?;
        parsed.preferences.check()?;
        node.cap(planner.settings.max_rows);
        Ok(Self {
            kind: Kind::Read(node),
            content,
        })
    }

    pub(crate) fn write(
        planner: &Planner<'_>,
        parsed: &Parsed,
        name: &str,
    ) -> Result<Self, RestError> {
        let source = ObjectName::new(planner.profile, name);
        let content = || answer::choose_for_relation(planner, parsed, &source);
        let plan = planner.mutate(parsed, name).map_err(|error| {
            let later = || {
                parsed
                    .preferences
                    .check()
                    .and_then(|()| content().map(drop))
            };
            planner.first_error(parsed, &source, error, later)
        })?;
        parsed.preferences.check()?;
        Ok(Self {
            kind: Kind::Write(plan),
            content: content()?,
        })
    }

    pub(crate) fn call(
        planner: &Planner<'_>,
        parsed: &Parsed,
        name: &str,
    ) -> Result<Self, RestError> {
        let called = planner.called(parsed, name)?;
        let (source, function) = (called.source().clone(), called.function.clone());
        let content = || answer::choose_for_call(planner, parsed, &function);
        let plan = planner.call(parsed, called).map_err(|error| {
            let later = || content().and_then(|_| parsed.preferences.check());
            planner.first_error(parsed, &source, error, later)
        })?;
        let content = content()?;
        parsed.preferences.check()?;
        Ok(Self {
            kind: Kind::Call(plan),
            content,
        })
    }

    /// The root of the API.
    pub(crate) fn describe(
        planner: &Planner<'_>,
        parsed: &Parsed,
        schema: Arc<Schema>,
    ) -> Result<Self, RestError> {
        if !matches!(parsed.method, http::Method::GET | http::Method::HEAD) {
            return Err(RestError::unsupported_method(parsed.method.as_str()));
        }
        Ok(Self {
            kind: Kind::Describe(Description {
                schema,
                settings: planner.settings.clone(),
            }),
            content: answer::choose_for_description(planner, parsed)?,
        })
    }

    /// The statement. A HEAD needs no body; one over `largest` bytes is left out.
    pub(crate) fn statement(
        &self,
        parsed: &Parsed,
        settings: &EngineSettings,
        largest: Option<u64>,
    ) -> Statement {
        let head = parsed.method == http::Method::HEAD;
        let format = if head {
            &BodyFormat::Empty
        } else {
            &self.content.format
        };
        let cap = largest.filter(|_| !self.answers_plan());
        let statement = match &self.kind {
            Kind::Read(node) => sql::read_statement(node, format, total(parsed, settings), cap),
            Kind::Write(plan) => sql::mutate_statement(plan, format, cap),
            Kind::Call(plan) => {
                sql::call_statement(plan, format, parsed.preferences.counts_rows(), cap)
            }
            Kind::Describe(_) => {
                let follow = settings.openapi_mode == OpenApiMode::FollowPrivileges;
                Statement::fixed(
                    openapi::VISIBLE,
                    [parsed.profile.schema.clone(), follow.to_string()],
                )
            }
        };
        match &self.content.plan {
            Some(plan) => statement.explained(plan),
            None => statement,
        }
    }

    /// The statement answers with its plan, not with the row of counts and body.
    pub(crate) fn answers_plan(&self) -> bool {
        self.content.plan.is_some()
    }

    /// The statement whose plan estimates the total.
    pub(crate) fn explain(&self, parsed: &Parsed) -> Option<Statement> {
        let Kind::Read(node) = &self.kind else {
            return None;
        };
        if self.answers_plan() {
            return None;
        }
        match parsed.preferences.count {
            Some(Count::Planned | Count::Estimated) => Some(sql::explain_count(node)),
            _ => None,
        }
    }

    /// Puts the planner's estimate where the exact total is not known.
    pub(crate) fn apply_estimate(
        parsed: &Parsed,
        settings: &EngineSettings,
        answered: &mut Answered,
    ) {
        let Some(estimate) = answered.plan.take().and_then(|plan| estimated_rows(&plan)) else {
            return;
        };
        answered.total = match (parsed.preferences.count, answered.total, settings.max_rows) {
            (Some(Count::Estimated), Some(counted), max_rows) => {
                // Without a maximum, every number of rows is over it.
                let over = max_rows.is_none_or(|maximum| {
                    u64::try_from(counted).is_ok_and(|counted| counted > maximum)
                });
                Some(if over { counted.max(estimate) } else { counted })
            }
            _ => Some(estimate),
        };
    }

    pub(crate) fn read_only(&self) -> bool {
        match &self.kind {
            Kind::Read(_) | Kind::Describe(_) => true,
            Kind::Write(_) => false,
            Kind::Call(plan) => plan.read_only,
        }
    }

    /// What may stay behind in the session after the transaction.
    pub(crate) fn traces(&self, schema: &Schema) -> Traces {
        let ran = |code: bool| if code { Traces::Settings } else { Traces::None };
        match &self.kind {
            Kind::Describe(_) => Traces::None,
            Kind::Read(_) => ran(schema.reads_run_code),
            Kind::Write(plan) => ran(schema.reads_run_code || plan.target.runs_code),
            Kind::Call(plan) if plan.function.prepares => Traces::Statements,
            Kind::Call(plan) => ran(schema.reads_run_code
                || plan.read.is_some()
                || plan.function.volatility != Volatility::Immutable),
        }
    }

    /// Settings that the function wants for the whole transaction.
    pub(crate) fn settings(&self) -> &[(String, String)] {
        match &self.kind {
            Kind::Call(plan) => &plan.function.settings,
            Kind::Read(_) | Kind::Write(_) | Kind::Describe(_) => &[],
        }
    }

    /// Something must hold before the transaction is committed.
    pub(crate) fn needs_check(&self, parsed: &Parsed) -> bool {
        if self.answers_plan() {
            return false;
        }
        let limited = self.most_affected(parsed).is_some();
        match &self.kind {
            Kind::Read(_) | Kind::Describe(_) => false,
            Kind::Write(_) => {
                limited
                    || parsed.method == http::Method::PUT
                    || self.content.single
                    || most_written(parsed).is_some()
            }
            Kind::Call(plan) => limited || (!plan.read_only && self.content.single),
        }
    }

    /// How many rows the client lets this operation affect. New rows are not meant.
    fn most_affected(&self, parsed: &Parsed) -> Option<i64> {
        let adds = matches!(self.kind, Kind::Write(_))
            && matches!(parsed.method, http::Method::POST | http::Method::PUT);
        let most = parsed.preferences.enforced_max_affected();
        most.filter(|_| !adds)
    }

    pub(crate) fn check(&self, parsed: &Parsed, answered: &Answered) -> Result<(), RestError> {
        let rows = answered.page_total;
        let writes = matches!(self.kind, Kind::Write(_));
        if writes && parsed.method == http::Method::PUT && rows != 1 {
            return Err(RestError::put_key_mismatch());
        }
        if self.content.single {
            answer::single(answered)?;
        }
        if self
            .most_affected(parsed)
            .is_some_and(|maximum| rows > maximum)
        {
            return Err(RestError::too_many_affected(rows));
        }
        match most_written(parsed).filter(|_| writes) {
            Some(limit) if rows > limit => Err(RestError::over_limit(rows, limit)),
            _ => Ok(()),
        }
    }

    pub(crate) fn answer(
        &self,
        parsed: &Parsed,
        path: &str,
        answered: &Answered,
        transaction: bool,
    ) -> Result<Response, RestError> {
        if self.answers_plan() {
            return answer::of_document(parsed, &self.content, answered);
        }
        match &self.kind {
            Kind::Read(_) => answer::of_read(parsed, &self.content, path, answered, transaction),
            Kind::Write(plan) => {
                answer::of_write(parsed, plan, &self.content, answered, transaction)
            }
            Kind::Call(plan) => answer::of_call(parsed, plan, &self.content, answered, transaction),
            Kind::Describe(description) => description.answer(parsed, &self.content, answered),
        }
    }
}

impl Description {
    fn answer(
        &self,
        parsed: &Parsed,
        content: &Content,
        answered: &Answered,
    ) -> Result<Response, RestError> {
        let body = answered.body.as_deref().unwrap_or_default();
        let visible = serde_json::from_slice(body)
            .map_err(|_| RestError::internal("privileges could not be read"))?;
        let profile = &parsed.profile.schema;
        let document = openapi::document(&self.schema, profile, &visible, &self.settings);
        let mut answered = answered.clone();
        answered.body = Some(document.to_string().into());
        answer::of_document(parsed, content, &answered)
    }
}

/// The limit of an update or deletion.
fn most_written(parsed: &Parsed) -> Option<i64> {
    let limited = matches!(parsed.method, http::Method::PATCH | http::Method::DELETE);
    parsed.window.limit.filter(|_| limited)
}

fn total(parsed: &Parsed, settings: &EngineSettings) -> Total {
    match (parsed.preferences.count, settings.max_rows) {
        (Some(Count::Exact), _) | (Some(Count::Estimated), None) => Total::Exact,
        (Some(Count::Estimated), Some(max_rows)) => Total::UpTo(max_rows.saturating_add(1)),
        (Some(Count::Planned) | None, _) => Total::Unknown,
    }
}

/// `[{"Plan": {"Plan Rows": 42, …}}]`
fn estimated_rows(plan: &[u8]) -> Option<i64> {
    let plan: serde_json::Value = serde_json::from_slice(plan).ok()?;
    plan.get(0)?.get("Plan")?.get("Plan Rows")?.as_i64()
}

#[cfg(test)]
mod injection;
#[cfg(test)]
mod tests;
