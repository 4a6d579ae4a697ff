//! What only the server has: tokens, CORS, settings from the database, reloads, the admin server.

use http::{HeaderMap, Method};
use ingot_testkit::TestProject;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{SECRET, Server, ask};
use crate::world::{Answer, fixture};

/// A server with the fixture behind it.
pub(crate) struct Http {
    pub(crate) project: TestProject,
    pub(crate) server: Server,
}

impl Http {
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Self {
        let project = fixture().await;
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let server = Server::start(&project, variables.iter().map(own).collect()).await;
        Self { project, server }
    }

    pub(crate) async fn ask(&self, line: &str, headers: &[(&'static str, &str)]) -> Answer {
        let (method, url) = line.split_once(' ').unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        ask(self.server.address, method, url, map, "").await
    }

    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let address = self.server.admin.unwrap();
        ask(address, Method::GET, path, HeaderMap::new(), "").await
    }

    /// Waits for an answer that is as wanted.
    pub(crate) async fn until(&self, line: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let mut answer = self.ask(line, &[]).await;
        for _ in 0..200 {
            if wanted(&answer) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
            answer = self.ask(line, &[]).await;
        }
        answer
    }
}

/// An `Authorization` header with a token of these claims.
pub(crate) fn bearer(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    format!(
        "Bearer {}",
        encode(&Header::default(), claims, &key).unwrap()
    )
}

pub(crate) const ANONYMOUS: (&str, &str) = ("PGRST_DB_ANON_ROLE", "anon");

#[tokio::test]
async fn browsers_may_call() {
    let http = Http::start(&[ANONYMOUS]).await;
    let asked = [
        ("origin", "http://example.com"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "Content-Type"),
    ];
    let answer = http.ask("OPTIONS /items", &asked).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(
        answer.header("access-control-allow-methods"),
        "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD"
    );
    assert_eq!(
        answer.header("access-control-allow-headers"),
        "Authorization, Content-Type, Accept, Accept-Language, Content-Language"
    );
    assert_eq!(answer.header("access-control-max-age"), "86400");
    for header in ["access-control-expose-headers", "content-type", "allow"] {
        assert_eq!(answer.header(header), "", "{header}");
    }
    // What a browser would not ask is OPTIONS of the API.
    let strange = [asked[0], ("access-control-request-method", "BREW")];
    for headers in [&asked[..1], &strange] {
        let answer = http.ask("OPTIONS /keyless", headers).await;
        assert_eq!(answer.header("allow"), "OPTIONS,GET,HEAD,POST,PATCH,DELETE");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("access-control-expose-headers"), "");
    }
    let answer = http.ask("GET /films?limit=1", &asked[..1]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let exposed = answer.header("access-control-expose-headers");
    assert_eq!(
        exposed,
        "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, \
         Transfer-Encoding, Range-Unit"
    );
    let refused = http.ask("GET /nowhere", &asked[..1]).await;
    assert_eq!(refused.header("access-control-allow-origin"), "*");
    assert_eq!(
        http.ask("GET /films?limit=1", &[])
            .await
            .header("access-control-allow-origin"),
        ""
    );

    let listed = (
        "PGRST_SERVER_CORS_ALLOWED_ORIGINS",
        "http://a.org, http://b.org",
    );
    let http = Http::start(&[ANONYMOUS, listed]).await;
    let answer = http
        .ask("GET /films?limit=1", &[("origin", "http://b.org")])
        .await;
    assert_eq!(answer.header("access-control-allow-origin"), "http://b.org");
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    let answer = http
        .ask("GET /films?limit=1", &[("origin", "http://c.org")])
        .await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn the_admin_server_tells() {
    let http = Http::start(&[ANONYMOUS]).await;
    assert_eq!(http.admin("/live").await.status, 200);
    http.until("GET /films?limit=1", |answer| answer.status == 200)
        .await;
    assert_eq!(http.admin("/ready").await.status, 200);
    let cache = http.admin("/schema_cache").await.json();
    let relations = cache["relations"].as_array().unwrap();
    assert!(relations.iter().any(|relation| relation["name"] == "films"));
    let metrics = http.admin("/metrics").await.text();
    assert!(metrics.contains("pgrst_db_pool_max 10\n"), "{metrics}");
    assert_eq!(http.admin("/nothing").await.status, 404);
    assert_eq!(http.admin("/config").await.status, 404);
    let shown = ("PGRST_ADMIN_SERVER_CONFIG_ENABLED", "true");
    let http = Http::start(&[ANONYMOUS, shown]).await;
    let config = http.admin("/config").await.text();
    assert!(config.contains("db-anon-role = \"anon\"\n"), "{config}");
}

#[tokio::test]
async fn answers_are_complete() {
    let variables = [
        ANONYMOUS,
        ("PGRST_SERVER_TRACE_HEADER", "X-Request-Id"),
        ("PGRST_SERVER_TIMING_ENABLED", "true"),
        ("PGRST_DB_ROOT_SPEC", "who"),
    ];
    let http = Http::start(&variables).await;
    let answer = http
        .ask("GET /films?limit=1", &[("x-request-id", "123")])
        .await;
    assert_eq!(answer.header("x-request-id"), "123");
    assert!(answer.header("server").starts_with("ingot-rest/"));
    let timing = answer.header("server-timing");
    let stages: Vec<&str> = timing
        .split(", ")
        .map(|s| s.split(';').next().unwrap())
        .collect();
    assert_eq!(stages, ["jwt", "parse", "plan", "transaction", "response"]);
    // A header that is to be sent back is, also if there is nothing in it.
    let untraced = http.ask("GET /films?limit=1", &[]).await;
    assert_eq!(untraced.headers.get("x-request-id").unwrap(), "");
    let head = http.ask("HEAD /films?limit=1", &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-range"), "0-0/*");
    for nothing in ["/films/1", "/films/", "//films", "/rpc/a/b", "/rpc/who/"] {
        let answer = http.ask(&format!("GET {nothing}"), &[]).await;
        assert_eq!(
            (answer.status, answer.json()),
            (404, json!({})),
            "{nothing}"
        );
    }
    let nameless = http.ask("GET /rpc/", &[]).await;
    assert_eq!(nameless.fault(), (404, "PGRST202".to_owned()));
    assert_eq!(http.ask("GET /", &[]).await.json(), json!("anon"));
    assert_eq!(http.ask("GET /%66ilms?limit=1", &[]).await.status, 200);
    for path in ["/rpc/request_setting", "/rpc/request%5Fsetting"] {
        let seen = http.ask(&format!("GET {path}?key=path"), &[]).await;
        assert_eq!(seen.json(), json!(path), "as it came");
    }
}

#[tokio::test]
async fn targets_may_hold_what_people_type() {
    let http = Http::start(&[ANONYMOUS]).await;
    let lead = "/films?select=data->cast->>lead&data->cast->>\"lead\"=eq.Mifune";
    let title = "/films?select=id&title=eq.Cléo from 5 to 7".replace(' ', "+");
    let body = "{\"key\": \"> HTTP/1.1\"}";
    let answers = converse(
        http.server.address,
        &[
            format!("GET {lead} HTTP/1.1\r\nhost: x\r\n\r\n"),
            format!(
                "POST /rpc/claim HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            ),
            format!("GET {title} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        ]
        .concat(),
    )
    .await;
    let bodies: Vec<&str> = answers.split("\r\n\r\n").skip(1).collect();
    let [first, second, third] = bodies.as_slice() else {
        panic!("{answers}");
    };
    assert!(first.starts_with(r#"[{"lead":"Mifune"}]"#), "{answers}");
    assert!(second.starts_with("null"), "{answers}");
    assert!(third.starts_with(r#"[{"id":"#), "{answers}");
    for strange in ["\u{7f}", "{|\\^`}<>\""] {
        let request =
            format!("GET /films?select={strange} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = converse(http.server.address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("\"code\":\"PGRST100\""), "{answer}");
    }
}

/// Says something and reads until the server hangs up.
async fn converse(address: std::net::SocketAddr, said: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(said.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    String::from_utf8(heard).unwrap()
}
