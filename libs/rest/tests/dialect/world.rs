//! A database with the fixture in it, and an engine on top: the library, the same engine in the
//! server `ingot-rest`, or in the records service behind an edge. Cargo builds these tests thrice,
//! under three names.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ingot_project::LoginRole;
use ingot_rest::{Engine, EngineSettings, Request, Response, Session, Target, Tls};
use ingot_testkit::TestProject;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::server::{self, Server};

/// Everything that a test needs.
///
/// Except in the tests called `dialect`, requests go over HTTP to a [`Server`], unless it cannot be
/// told these settings. It is started by the first request.
pub(crate) struct World {
    server: Option<Later>,
    pub(crate) project: TestProject,
    pub(crate) engine: Engine,
    pub(crate) session: Session,
}

/// A server that is started when it is needed.
struct Later {
    variables: Vec<(String, String)>,
    server: OnceCell<Server>,
}

/// An answer, easy to compare.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(EngineSettings::default()).await
    }

    /// With the library, whatever these tests are called.
    pub(crate) async fn in_process() -> Self {
        let mut world = Self::new().await;
        world.server = None;
        world
    }

    pub(crate) async fn with(settings: EngineSettings) -> Self {
        let project = fixture().await;
        let of_server = env!("CARGO_CRATE_NAME") != "dialect";
        let variables = server::variables(&settings).filter(|_| of_server);
        let engine = Engine::new(settings, authenticator(&project), Tls::off()).unwrap();
        Self {
            server: variables.map(|variables| Later {
                variables,
                server: OnceCell::new(),
            }),
            project,
            engine,
            session: Session {
                role: "anon".to_owned(),
                claims: r#"{"role":"anon"}"#.to_owned(),
                authenticated: false,
                settings: Vec::new(),
            },
        }
    }

    /// `METHOD /path?query`, with headers as `Name: value`.
    pub(crate) async fn send(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let (method, url) = line.split_once(' ').unwrap();
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let target = match path.trim_start_matches('/') {
            "" => Target::Root,
            name => match name.strip_prefix("rpc/") {
                Some(function) => Target::Function(function.to_owned()),
                None => Target::Relation(name.to_owned()),
            },
        };
        let mut map = HeaderMap::new();
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        if let Some(server) = self.server().await {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            return server.send(&self.session, method, url, map, body).await;
        }
        let request = Request {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            target,
            query: query.to_owned(),
            headers: map,
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        self.engine.handle(request, &self.session).await.into()
    }

    /// The server, where requests go to one.
    pub(crate) async fn server(&self) -> Option<&Server> {
        let Later { variables, server } = self.server.as_ref()?;
        let app = self.session.settings.iter().map(|(name, value)| {
            let name = name.replace('.', "_").to_uppercase();
            (format!("PGRST_{name}"), value.clone())
        });
        let variables = variables.iter().cloned().chain(app).collect();
        Some(
            server
                .get_or_init(|| Server::start(&self.project, variables))
                .await,
        )
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.send(&format!("GET {url}"), &[], "").await
    }

    /// The rows of a GET that must succeed.
    pub(crate) async fn rows(&self, url: &str) -> Value {
        let answer = self.get(url).await;
        assert_eq!(answer.status, 200, "{url}: {}", answer.text());
        answer.json()
    }
}

/// A project with the fixture in its database.
pub(crate) async fn fixture() -> TestProject {
    let project = TestProject::create().await.unwrap();
    project.execute(include_str!("fixture.sql")).await.unwrap();
    project
}

/// The same as [`authenticator`], as a connection string.
pub(crate) fn login(project: &TestProject) -> String {
    let database = &project.project().database;
    let password = project.project().login_password(LoginRole::Authenticator);
    format!(
        "postgres://{}:{}@{}:{}/{}?sslmode=disable",
        LoginRole::Authenticator.name(&project.project().id),
        password.expose(),
        database.host,
        database.port,
        database.name,
    )
}

/// How the engine's login role connects.
pub(crate) fn authenticator(project: &TestProject) -> tokio_postgres::Config {
    let database = &project.project().database;
    let mut config = tokio_postgres::Config::new();
    config
        .host(&database.host)
        .port(database.port)
        .dbname(&database.name)
        .user(LoginRole::Authenticator.name(&project.project().id))
        .password(
            project
                .project()
                .login_password(LoginRole::Authenticator)
                .expose(),
        );
    config
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Status and error code.
    pub(crate) fn fault(&self) -> (u16, String) {
        let code = self.json()["code"].as_str().unwrap_or_default().to_owned();
        (self.status, code)
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self {
            status: response.status.as_u16(),
            headers: response.headers,
            body: response.body,
        }
    }
}
