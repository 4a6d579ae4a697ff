//! Calls of the API in order, and all that came back as one text for a snapshot.

use std::fmt::Write;
use std::time::{Duration, Instant};

use ingot_e2e::TestStack;
use ingot_standalone::Counts;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

/// Headers that belong to an answer.
const HEADERS: [&str; 3] = ["content-type", "content-range", "preference-applied"];

/// How long a call is repeated until its answer says what is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is different in each run.
const VARIABLE: [(&str, &str); 7] = [
    (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[id]",
    ),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[time]"),
    (r#""sizeBytes": \d+"#, r#""sizeBytes": [size]"#),
    (r"OID \d+", "OID [number]"),
    (r"(RI_ConstraintTrigger_[ac])_\d+", "${1}_[number]"),
    (
        r#""([A-Z][a-z]+ [A-Z][a-z]+ Blocks)": \d+"#,
        r#""$1": [number]"#,
    ),
    (
        r#""(Actual|Planning|Execution|Total|Startup|Time)[^"]*": [\d.]+"#,
        r#""$1": [number]"#,
    ),
];

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// With the API key.
    Admin,
    /// With the anon key.
    Anon,
    /// A user who has signed in.
    User,
    /// With a key that is none.
    Forger,
    Nobody,
}

enum Body {
    None,
    Json(Value),
    Text(&'static str),
    File {
        name: &'static str,
        content: &'static str,
        fields: &'static [(&'static str, &'static str)],
    },
}

/// One call.
pub(crate) struct Call {
    name: &'static str,
    who: Who,
    method: Method,
    path: &'static str,
    accept: Option<&'static str>,
    body: Body,
    until: Option<&'static str>,
}

/// A call by the administrator, such as `GET /tables`; `[id]` in its path is the last id that an
/// answer told.
pub(crate) fn call(name: &'static str, line: &'static str) -> Call {
    let (method, path) = line.split_once(' ').unwrap();
    Call {
        name,
        who: Who::Admin,
        method: method.parse().unwrap(),
        path,
        accept: None,
        body: Body::None,
        until: None,
    }
}

impl Call {
    pub(crate) fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    /// A body of JSON that may be none.
    pub(crate) fn text(mut self, body: &'static str) -> Self {
        self.body = Body::Text(body);
        self
    }

    pub(crate) fn file(
        mut self,
        name: &'static str,
        content: &'static str,
        fields: &'static [(&'static str, &'static str)],
    ) -> Self {
        self.body = Body::File {
            name,
            content,
            fields,
        };
        self
    }

    pub(crate) fn titled(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    pub(crate) fn by(mut self, who: Who) -> Self {
        self.who = who;
        self
    }

    pub(crate) fn accept(mut self, kind: &'static str) -> Self {
        self.accept = Some(kind);
        self
    }

    /// Repeats the call until the answer contains this.
    pub(crate) fn until(mut self, text: &'static str) -> Self {
        self.until = Some(text);
        self
    }
}

/// A stack with one user.
pub(crate) struct Suite {
    stack: TestStack,
    client: Client,
    user: String,
}

impl Suite {
    pub(crate) async fn start() -> Self {
        let stack = TestStack::start(Counts::ONE).await.unwrap();
        let client = Client::new();
        let body =
            json!({ "email": "ann@example.com", "password": "correct horse", "name": "Ann" });
        let answer: Value = client
            .post(stack.url("/api/auth/users?client_type=mobile"))
            .bearer_auth(stack.project().anon_key().expose())
            .json(&body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let user = answer["accessToken"].as_str().unwrap().to_owned();
        Self {
            stack,
            client,
            user,
        }
    }

    /// Makes the calls one after the other and compares all answers with the snapshot of this name.
    pub(crate) async fn shows(&self, snapshot: &str, calls: impl IntoIterator<Item = Call>) {
        let (mut told, mut id) = (String::new(), String::new());
        for call in calls {
            let (status, answer) = self.answer(&call, &id).await;
            assert!(status < 500, "{}: {answer}", call.name);
            if let Some(new) = last_id(&answer) {
                id = new;
            }
            let path = call.path;
            writeln!(told, "## {}\n{} {path}\n{answer}\n", call.name, call.method).unwrap();
        }
        insta::with_settings!({ filters => VARIABLE.to_vec(), omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(snapshot, told);
        });
    }

    /// The stack's services end in an orderly way.
    pub(crate) async fn stop(self) {
        self.stack.stop().await.unwrap();
    }

    async fn answer(&self, call: &Call, id: &str) -> (u16, String) {
        let begin = Instant::now();
        loop {
            let (status, answer) = self.once(call, id).await;
            match call.until {
                Some(text) if !answer.contains(text) => {
                    assert!(begin.elapsed() < PATIENCE, "{}: {answer}", call.name);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                _ => return (status, answer),
            }
        }
    }

    async fn once(&self, call: &Call, id: &str) -> (u16, String) {
        let path = format!("/api/database{}", call.path.replace("[id]", id));
        let request = self
            .client
            .request(call.method.clone(), self.stack.url(&path));
        let request = self.signed(call.who, with_body(request, call));
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let mut told = format!("=> {status}");
        for name in HEADERS {
            if let Some(value) = answer.headers().get(name) {
                write!(told, "\n{name}: {}", value.to_str().unwrap()).unwrap();
            }
        }
        let body = answer.text().await.unwrap();
        let shown = match serde_json::from_str::<Value>(&body) {
            Ok(json) => serde_json::to_string_pretty(&json).unwrap(),
            Err(_) => body,
        };
        write!(told, "\n{shown}").unwrap();
        (status, told)
    }

    fn signed(&self, who: Who, request: RequestBuilder) -> RequestBuilder {
        let project = self.stack.project();
        match who {
            Who::Admin => request.bearer_auth(project.api_key().expose()),
            Who::Anon => request.bearer_auth(project.anon_key().expose()),
            Who::User => request.bearer_auth(&self.user),
            Who::Forger => request.header("x-api-key", "ik_00000000000000000000000000000000"),
            Who::Nobody => request,
        }
    }
}

fn with_body(mut request: RequestBuilder, call: &Call) -> RequestBuilder {
    if let Some(kind) = call.accept {
        request = request.header("accept", kind);
    }
    match &call.body {
        Body::None => request,
        Body::Json(body) => request.json(body),
        Body::Text(text) => request
            .header("content-type", "application/json")
            .body(*text),
        Body::File {
            name,
            content,
            fields,
        } => {
            let mut form = Form::new();
            for (field, value) in *fields {
                form = form.text(*field, *value);
            }
            if !name.is_empty() {
                form = form.part("file", Part::text(*content).file_name(*name));
            }
            request.multipart(form)
        }
    }
}

/// The id at the top of an answer's object.
fn last_id(answer: &str) -> Option<String> {
    let (_, rest) = answer.split_once("\n  \"id\": \"")?;
    Some(rest.split('"').next()?.to_owned())
}
