//! A seeded project with an api service, and requests to it in few words.

use ingot_config::{Environment, Secret, Settings};
use ingot_identity::{SeedSettings, seed};
use ingot_testkit::{TestProject, TestService};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// A running service and the keys of its project.
pub(crate) struct Api {
    pub(crate) project: TestProject,
    pub(crate) service: TestService,
    pub(crate) key: Secret,
    pub(crate) anon_key: Secret,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// Status and error code, as tests compare them.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        assert_eq!(self.body["statusCode"], json!(self.status), "{self:?}");
        assert!(self.body["message"].is_string(), "{self:?}");
        (self.status, self.body["error"].as_str().unwrap_or_default())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn text(&self, field: &str) -> String {
        self.body[field]
            .as_str()
            .unwrap_or_else(|| panic!("no text `{field}` in {self:?}"))
            .to_owned()
    }

    /// Value of the cookie that the answer sets.
    pub(crate) fn cookie(&self) -> String {
        let cookie = self.header("set-cookie").expect("a cookie is set");
        let value = cookie.split(';').next().unwrap().split_once('=').unwrap().1;
        value.to_owned()
    }
}

/// Sends a request and reads the answer; an empty body reads as null.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer {
        status,
        headers,
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
    }
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with these variables.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let project = TestProject::create().await.unwrap();
        let keys = SeedSettings::load(&Environment::default()).unwrap();
        let mut owner = project.superuser().await.unwrap();
        let seeded = seed(&mut owner, project.project(), &keys).await.unwrap();
        let service = TestService::start(&project, settings, ingot_api::serve)
            .await
            .unwrap();
        Self {
            project,
            service,
            key: seeded.api_key,
            anon_key: seeded.anon_key,
        }
    }

    /// Another replica of the same project.
    pub(crate) async fn replica(&self) -> TestService {
        TestService::start(&self.project, &[], ingot_api::serve)
            .await
            .unwrap()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.service
            .request(Method::from_bytes(method.as_bytes()).unwrap(), path)
    }

    /// A request with the anon key.
    pub(crate) fn anon(&self, method: &str, path: &str) -> RequestBuilder {
        self.request(method, path)
            .bearer_auth(self.anon_key.expose())
    }

    /// A request with the API key.
    pub(crate) fn admin(&self, method: &str, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(self.key.expose())
    }

    /// Signs up as a native client would; the answer has `user`, `accessToken`, `refreshToken`.
    pub(crate) async fn sign_up(&self, email: &str) -> Answer {
        let body = json!({ "email": email, "password": PASSWORD, "name": "Ann" });
        let path = "/api/auth/users?client_type=mobile";
        let answer = send(self.anon("POST", path).json(&body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }
}

/// Password of every user in these tests.
pub(crate) const PASSWORD: &str = "correct horse";
