//! A request of the API: its path, who asks, and the engine's answer.

use std::time::Instant;

use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ::http::{Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use ingot_rest::{Response, RestError, Session, Target};
use percent_encoding::percent_decode_str;

use super::log::Line;
use super::{Answer, answer, cors};
use crate::state::{Running, State};
use crate::token::Caller;

/// Largest request body, in bytes.
const MAX_BODY: usize = 256 << 20;
const SERVER: &str = concat!("ingot-rest/", env!("CARGO_PKG_VERSION"));
/// Seconds after which somebody may try again when the database is away.
const RETRY_AFTER: &str = "1";
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Answers a request. Every failure is an answer too.
pub(super) async fn handle(state: &State, request: Request<Incoming>, peer: &str) -> Answer {
    let running = state.running();
    let settings = &running.settings;
    let line = Line::begin(settings.log_level, &request, peer);
    let asked = request.headers().clone();
    let is_options = request.method() == Method::OPTIONS;
    let mut caller = None;
    let mut given = match cors::preflight(&request, settings.origins.as_deref()) {
        Some(answer) => answer,
        None => answer_request(&running, request, &mut caller).await,
    };
    let unavailable = given.status() == StatusCode::SERVICE_UNAVAILABLE;
    let headers = given.headers_mut();
    if !is_options {
        cors::expose(&asked, settings.origins.as_deref(), headers);
    }
    headers.insert(header::SERVER, HeaderValue::from_static(SERVER));
    if unavailable {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    }
    if let Some(name) = &settings.trace_header {
        let value = asked.get(name).cloned();
        headers.insert(name.clone(), value.unwrap_or(HeaderValue::from_static("")));
    }
    line.end(&given, caller.as_ref());
    given
}

async fn answer_request(
    running: &Running,
    request: Request<Incoming>,
    who: &mut Option<Caller>,
) -> Answer {
    let (parts, body) = request.into_parts();
    let started = Instant::now();
    let session = session(running, &parts.headers, who);
    let verified = started.elapsed();
    let mut session = match session {
        Ok(session) => session,
        Err(error) => return of(Response::from(error)),
    };
    let Some(target) = target(running, parts.uri.path()) else {
        return answer(
            StatusCode::NOT_FOUND,
            "application/json; charset=utf-8",
            "{}",
        );
    };
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return answer(
            StatusCode::PAYLOAD_TOO_LARGE,
            "text/plain; charset=utf-8",
            format!("The body is larger than {MAX_BODY} bytes, or it did not arrive"),
        );
    };
    if !names(parts.uri.path(), &target) {
        let path = ("request.path".to_owned(), parts.uri.path().to_owned());
        session.settings.push(path);
    }
    let request = ingot_rest::Request {
        method: parts.method,
        target,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: body.to_bytes(),
    };
    let mut response = running.engine.handle(request, &session).await;
    if let Some(timing) = response.headers.get_mut(SERVER_TIMING) {
        let milliseconds = verified.as_secs_f64() * 1000.0;
        let rest = timing.to_str().unwrap_or_default();
        if let Ok(whole) = HeaderValue::from_str(&format!("jwt;dur={milliseconds:.1}, {rest}")) {
            *timing = whole;
        }
    }
    of(response)
}

fn session(
    running: &Running,
    headers: &HeaderMap,
    who: &mut Option<Caller>,
) -> Result<Session, RestError> {
    let settings = &running.settings;
    let authorization = headers.get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok());
    let anonymous = settings.anonymous.as_deref();
    let caller = settings.verifier.caller(authorization, anonymous)?;
    let session = Session {
        role: caller.role.clone(),
        claims: caller.claims.clone(),
        authenticated: caller.authenticated,
        settings: settings.app.clone(),
    };
    *who = Some(caller);
    Ok(session)
}

/// What a path names: `/`, `/<relation>` or `/rpc/<function>`, and nothing behind it.
fn target(running: &Running, path: &str) -> Option<Target> {
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        text.ok().map(String::from)
    };
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    match segments.as_slice() {
        [""] => match &running.settings.root_function {
            Some(function) => Some(Target::Function(function.clone())),
            None => Some(Target::Root),
        },
        ["rpc", name] => decoded(name).map(Target::Function),
        [name] => decoded(name).map(Target::Relation),
        _ => None,
    }
}

/// The path is what the engine itself takes for the path of this target.
fn names(path: &str, target: &Target) -> bool {
    match target {
        Target::Root => path == "/",
        Target::Relation(name) => path.strip_prefix('/') == Some(name.as_str()),
        Target::Function(name) => path.strip_prefix("/rpc/") == Some(name.as_str()),
    }
}

fn of(response: Response) -> Answer {
    let mut answer = Answer::new(Full::<Bytes>::new(response.body));
    let reason = response.reason.map(String::into_bytes);
    if let Some(Ok(reason)) = reason.map(ReasonPhrase::try_from) {
        answer.extensions_mut().insert(reason);
    }
    *answer.status_mut() = response.status;
    *answer.headers_mut() = response.headers;
    answer
}
