//! The ways on which an administrator's SQL reaches the database.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use ingot_config::{Environment, Settings};
use ingot_identity::{SeedSettings, Seeded, seed};
use ingot_project::LoginRole;
use ingot_testkit::{TestProject, TestService};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Path {
    /// `/advance/rawsql`
    Raw,
    /// `/advance/rawsql/unrestricted`
    Unrestricted,
    /// `/advance/import`
    Import,
    /// `/migrations`
    Migration,
    /// No guard and no service: straight on the login role, prepared as services prepare it.
    Direct,
}

impl Path {
    pub(crate) const GUARDED: [Self; 4] =
        [Self::Raw, Self::Unrestricted, Self::Import, Self::Migration];
    pub(crate) const ALL: [Self; 5] = [
        Self::Raw,
        Self::Unrestricted,
        Self::Import,
        Self::Migration,
        Self::Direct,
    ];
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 200 for a direct statement that succeeded, 400 for one that failed.
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    /// A text field of the answer's object.
    pub(crate) fn field(&self, name: &str) -> String {
        let body: Value = serde_json::from_str(&self.text).unwrap_or_default();
        body[name].as_str().unwrap_or_default().to_owned()
    }
}

/// A project and the services that take SQL.
pub(crate) struct Stage {
    pub(crate) project: TestProject,
    api: TestService,
    migration: TestService,
    keys: Seeded,
    version: AtomicU64,
}

impl Stage {
    pub(crate) async fn set() -> anyhow::Result<Self> {
        let project = TestProject::create().await?;
        let mut owner = project.superuser().await?;
        let settings = SeedSettings::load(&Environment::default())?;
        let keys = seed(&mut owner, project.project(), &settings).await?;
        Ok(Self {
            api: TestService::start(&project, &[], ingot_api::serve).await?,
            migration: TestService::start(&project, &[], ingot_migration::serve).await?,
            project,
            keys,
            version: AtomicU64::new(1),
        })
    }

    /// A request to the api with the API key.
    pub(crate) fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        let key = self.keys.api_key.expose();
        self.api.request(method, path).bearer_auth(key)
    }

    /// A request to the api with the anon key.
    pub(crate) fn anon(&self, method: Method, path: &str) -> RequestBuilder {
        let key = self.keys.anon_key.expose();
        self.api.request(method, path).bearer_auth(key)
    }

    /// Lets `sql` take its way.
    pub(crate) async fn run(&self, path: Path, sql: &str) -> anyhow::Result<Answer> {
        let raw = "/api/database/advance/rawsql";
        let request = match path {
            Path::Raw => self.admin(Method::POST, raw).json(&json!({ "query": sql })),
            Path::Unrestricted => {
                let unrestricted = format!("{raw}/unrestricted");
                self.admin(Method::POST, &unrestricted)
                    .json(&json!({ "query": sql }))
            }
            Path::Import => {
                let file = Part::text(sql.to_owned()).file_name("dump.sql");
                self.admin(Method::POST, "/api/database/advance/import")
                    .multipart(Form::new().part("file", file))
            }
            Path::Migration => {
                let version = self.version.fetch_add(1, Ordering::Relaxed).to_string();
                let body = json!({ "version": version, "name": "case", "sql": sql });
                self.migration
                    .request(Method::POST, "/api/database/migrations")
                    .bearer_auth(self.keys.api_key.expose())
                    .json(&body)
            }
            Path::Direct => return self.directly(sql).await,
        };
        send(request).await
    }

    async fn directly(&self, sql: &str) -> anyhow::Result<Answer> {
        let mut session = self.session().await?;
        let result = sqlx::raw_sql(AssertSqlSafe(sql))
            .fetch_all(&mut session)
            .await;
        session.close().await.ok();
        // What services do after each session.
        let pool = self.project.pool(LoginRole::Service)?;
        sqlx::query("select system.mend_logins()")
            .execute(&pool)
            .await
            .context("the logins cannot be mended")?;
        Ok(match result {
            Ok(rows) => Answer {
                status: 200,
                text: rows.iter().map(shown).collect::<Vec<_>>().join("\n"),
            },
            Err(error) => Answer {
                status: 400,
                text: error.to_string(),
            },
        })
    }

    /// A session as a service prepares it for administrators' SQL.
    pub(crate) async fn session(&self) -> anyhow::Result<PgConnection> {
        let options = self.project.project().connect_options(LoginRole::Sql);
        let mut session = PgConnection::connect_with(&options).await?;
        sqlx::raw_sql("set role project_admin; set statement_timeout = '5s'")
            .execute(&mut session)
            .await?;
        Ok(session)
    }
}

pub(crate) async fn send(request: RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    Ok(Answer {
        status: response.status().as_u16(),
        text: response.text().await?,
    })
}

/// The simple protocol brings every value as text.
fn shown(row: &sqlx::postgres::PgRow) -> String {
    (0..row.len())
        .filter_map(|index| {
            row.try_get_raw(index)
                .ok()?
                .as_str()
                .ok()
                .map(str::to_owned)
        })
        .collect::<Vec<_>>()
        .join(" ")
}
