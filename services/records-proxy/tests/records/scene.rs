//! A project with tables, callers, and the service on top.

use ingot_config::{Environment, Settings};
use ingot_identity::{Credential, Identity, Role, SeedSettings, Seeded};
use ingot_testkit::{TestProject, TestService};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// A table that users share but see only their own rows of, and what else tests need.
const TABLES: &str = "
    create table public.notes (
        id integer primary key,
        owner text not null default auth.jwt() ->> 'sub',
        body text,
        stars integer default 3,
        ref uuid,
        big bigint,
        price numeric
    );
    alter table public.notes enable row level security;
    create policy own on public.notes to authenticated
        using (owner = auth.jwt() ->> 'sub') with check (owner = auth.jwt() ->> 'sub');
    create table public.defaults (id integer generated always as identity, word text default 'x');
    create function public.add(a integer, b integer default 3) returns integer
        language sql immutable as 'select a + b';
    create function public.nothing() returns void language sql as '';
    create schema sales;
    grant usage on schema sales to authenticated;
    create table sales.orders (id integer primary key, note text);
    grant select, insert on sales.orders to authenticated;
";

/// The running scene.
pub(crate) struct Scene {
    pub(crate) project: TestProject,
    pub(crate) service: TestService,
    pub(crate) keys: Seeded,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Asserts an envelope or a PostgREST error of this status and code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        let body = self.json();
        let found = body.get("error").or(body.get("code"));
        assert_eq!(found.and_then(Value::as_str), Some(code), "{self:?}");
    }
}

impl Scene {
    pub(crate) async fn set() -> Self {
        Self::set_with(&[]).await
    }

    pub(crate) async fn set_with(settings: &[(&str, &str)]) -> Self {
        let project = TestProject::create().await.unwrap();
        project.execute(TABLES).await.unwrap();
        let seeding = SeedSettings::load(&Environment::default()).unwrap();
        let mut owner = project.superuser().await.unwrap();
        let keys = ingot_identity::seed(&mut owner, project.project(), &seeding)
            .await
            .unwrap();
        let service = TestService::start(&project, settings, ingot_records_proxy::serve)
            .await
            .unwrap();
        Self {
            project,
            service,
            keys,
        }
    }

    /// A token of a user of another system, signed with the project's secret.
    pub(crate) fn token(&self, role: &str, subject: &str) -> String {
        let identity = Identity {
            role: Role::from_claim(role).unwrap(),
            subject: Some(subject.to_owned()),
            email: None,
            credential: Credential::Token,
            expires_at: None,
        };
        ingot_identity::postgrest_token(self.project.project(), &identity).unwrap()
    }

    pub(crate) fn user(&self, subject: &str) -> Client<'_> {
        self.caller(self.token("authenticated", subject))
    }

    pub(crate) fn admin(&self) -> Client<'_> {
        self.caller(self.keys.api_key.expose().to_owned())
    }

    pub(crate) fn anonymous(&self) -> Client<'_> {
        self.caller(self.keys.anon_key.expose().to_owned())
    }

    pub(crate) fn caller(&self, credential: impl Into<String>) -> Client<'_> {
        Client {
            scene: self,
            credential: credential.into(),
        }
    }
}

/// Someone who sends requests.
pub(crate) struct Client<'a> {
    scene: &'a Scene,
    credential: String,
}

impl Client<'_> {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, Some(body), &[]).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let path = format!("/api/database/{path}");
        let mut request = self.scene.service.request(method, &path);
        if !self.credential.is_empty() {
            request = request.bearer_auth(&self.credential);
        }
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        Answer {
            status: answer.status(),
            headers: answer.headers().clone(),
            text: answer.text().await.unwrap(),
        }
    }
}
