//! An edge with the records service behind it.

use std::time::Duration;

use http::{HeaderMap, Method};
use ingot_rest::{EngineSettings, Session};
use ingot_standalone::{Counts, InProcess, Plan, Settings, wait_until_ready};
use ingot_testkit::TestProject;
use jsonwebtoken::{EncodingKey, Header, encode};
use tokio::runtime::Runtime;

use crate::world::Answer;

/// How long both may take to become ready.
const PATIENCE: Duration = Duration::from_mins(1);
/// Besides the service that prepares the database.
const ONLY_RECORDS: Counts = Counts {
    edges: 1,
    api: 0,
    records: 1,
    fanout: 0,
    relays: 0,
};

/// Both, in the test's process.
pub(crate) struct Server {
    services: Option<InProcess>,
    runtime: Option<Runtime>,
    url: String,
    anon_key: String,
    /// What third parties sign tokens with.
    secret: String,
}

impl Server {
    /// Starts them on the project's database, on threads of their own: tests have one only.
    pub(crate) async fn start(project: &TestProject, _: Vec<(String, String)>) -> Self {
        let runtime = Runtime::new().unwrap();
        let environment = project.environment().with([("TRUST_PROXY", "0")]);
        let secret = environment.get("JWT_SECRET").unwrap().to_owned();
        let plan = Plan::choose(ONLY_RECORDS, Some(0)).unwrap();
        let url = plan.edge_urls().remove(0);
        let starting = runtime.spawn(async move {
            let services = InProcess::start(&plan, &environment, &Settings::default()).unwrap();
            let ready = wait_until_ready(plan.members(), PATIENCE, |_| {});
            ready.await.unwrap();
            services
        });
        Self {
            services: Some(starting.await.unwrap()),
            runtime: Some(runtime),
            url,
            anon_key: project.anon_key().expose().to_owned(),
            secret,
        }
    }

    pub(crate) async fn send(
        &self,
        session: &Session,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: &str,
    ) -> Answer {
        let root = if url.starts_with("/rpc/") {
            ""
        } else {
            "/records"
        };
        let request = reqwest::Client::new()
            .request(method, format!("{}/api/database{root}{url}", self.url))
            .headers(headers)
            .bearer_auth(self.token(session))
            .body(body.to_owned());
        let answer = request.send().await.unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.bytes().await.unwrap(),
        }
    }

    fn token(&self, session: &Session) -> String {
        if session.role == "anon" && !session.authenticated {
            return self.anon_key.clone();
        }
        let mut claims: serde_json::Value = serde_json::from_str(&session.claims).unwrap();
        claims["role"] = session.role.clone().into();
        let key = EncodingKey::from_secret(self.secret.as_bytes());
        encode(&Header::default(), &claims, &key).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.services.take();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The platform's settings are not those of an engine: only what they are anyway can be tried.
pub(crate) fn variables(settings: &EngineSettings) -> Option<Vec<(String, String)>> {
    (*settings == EngineSettings::default()).then(Vec::new)
}
