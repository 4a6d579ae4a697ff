//! What a migration would do: its risks, and whether PostgreSQL accepts it (contract, database
//! §8.3). It runs, and is undone.

use ingot_http::{ApiError, Forwarded, sql_error, sql_timeout};
use ingot_sql_guard::{Profile, Refusal, Risk, Script};
use serde::Serialize;

use super::store::{self, ApplyError};
use crate::app::App;

/// How careful one has to be, from harmless to dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Level {
    Safe,
    Warning,
    Danger,
}

/// A reason to be careful.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Factor {
    code: &'static str,
    description: String,
    level: Level,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    statement: Option<String>,
}

/// What is known of a migration before it is applied.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Forecast {
    /// Whether it would be applied. A valid migration may be dangerous.
    valid: bool,
    statement_count: usize,
    statements: Vec<String>,
    risk_level: Level,
    risk_factors: Vec<Factor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

impl Forecast {
    fn of(script: Option<&Script>) -> Self {
        let statements: Vec<_> = script
            .into_iter()
            .flat_map(|script| &script.statements)
            .map(|statement| statement.text.clone())
            .collect();
        Self {
            valid: true,
            statement_count: statements.len(),
            statements,
            risk_level: Level::Safe,
            risk_factors: Vec::new(),
            error: None,
        }
    }

    fn add(&mut self, factor: Factor) {
        self.risk_level = self.risk_level.max(factor.level);
        self.risk_factors.push(factor);
    }

    fn refuse(&mut self, code: &'static str, description: String, statement: Option<String>) {
        self.valid = false;
        self.add(Factor {
            code,
            description,
            level: Level::Danger,
            statement,
        });
    }
}

/// Looks at the text, runs it, and undoes it.
///
/// # Errors
/// Only what is not about the text: no parser, no database.
pub(super) async fn run(app: &App, forwarded: &Forwarded, sql: &str) -> Result<Forecast, ApiError> {
    let script = match app.guard.check(Profile::Migration, sql.to_owned()).await {
        Ok(script) => script,
        Err(refusal @ (Refusal::Unavailable | Refusal::TooLong)) => {
            return Err(refusal.into());
        }
        Err(refusal) => return Ok(refused(app, sql, &refusal).await),
    };
    let mut forecast = Forecast::of(Some(&script));
    if script.statements.is_empty() {
        forecast.refuse("EMPTY_SQL", "There is no statement to run".to_owned(), None);
        return Ok(forecast);
    }
    for statement in &script.statements {
        for risk in &statement.risks {
            let (code, level, what) = match risk {
                Risk::DataLoss(what) => ("DESTRUCTIVE_DATA_LOSS", Level::Danger, what),
                Risk::BreakingChange(what) => ("SCHEMA_BREAKING_CHANGE", Level::Warning, what),
            };
            forecast.add(Factor {
                code,
                description: (*what).to_owned(),
                level,
                statement: Some(statement.text.clone()),
            });
        }
    }
    if let Err(error) = store::rehearse(&app.admin_pools(forwarded)?, sql).await {
        let error = match error {
            ApplyError::Sql(error) => sql_error(error),
            _ => sql_timeout("two minutes"),
        };
        if error.status().is_server_error() {
            return Err(error);
        }
        let message = error.message().to_owned();
        forecast.refuse("SYNTAX_OR_EXECUTION_ERROR", message.clone(), None);
        forecast.error = Some(message);
    }
    Ok(forecast)
}

async fn refused(app: &App, sql: &str, refusal: &Refusal) -> Forecast {
    if matches!(refusal, Refusal::Empty) {
        let mut forecast = Forecast::of(None);
        forecast.refuse("EMPTY_SQL", refusal.to_string(), None);
        return forecast;
    }
    let script = app.guard.analyze(sql.to_owned()).await.ok();
    let mut forecast = Forecast::of(script.as_ref());
    let culprit = match refusal {
        Refusal::Rule { statement, .. } => forecast.statements.get(*statement).cloned(),
        _ => None,
    };
    forecast.refuse("GUARD_VIOLATION", refusal.to_string(), culprit);
    forecast
}
