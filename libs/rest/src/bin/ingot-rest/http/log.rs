//! One line per request, in the common log format with referrer and agent.

use ::http::header::{self, HeaderName};
use ::http::{Request, StatusCode};
use hyper::body::Body as _;
use time::OffsetDateTime;
use time::macros::format_description;

use super::Answer;
use crate::settings::LogLevel;
use crate::token::Caller;

/// What is known of a request before it is answered.
pub(super) struct Line {
    level: LogLevel,
    peer: String,
    request: String,
    referrer: String,
    agent: String,
}

impl Line {
    pub(super) fn begin<B>(level: LogLevel, request: &Request<B>, peer: &str) -> Self {
        let text = |name: HeaderName| {
            let value = request.headers().get(name);
            let value = value.and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        Self {
            level,
            peer: peer.to_owned(),
            request: format!(
                "{} {} {:?}",
                request.method(),
                request.uri(),
                request.version()
            ),
            referrer: text(header::REFERER),
            agent: text(header::USER_AGENT),
        }
    }

    /// Writes the line, if the level wants it for this status.
    #[allow(clippy::print_stdout, reason = "the log of a program for people")]
    pub(super) fn end(self, answer: &Answer, caller: Option<&Caller>) {
        if self.level < wanted_from(answer.status()) {
            return;
        }
        let format =
            format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
        let now = OffsetDateTime::now_utc().format(format).unwrap_or_default();
        let size = answer.body().size_hint().exact().unwrap_or_default();
        println!(
            "{} - {} [{now}] \"{}\" {} {size} \"{}\" \"{}\"",
            self.peer,
            caller.map_or("", |caller| caller.role.as_str()),
            self.request,
            answer.status().as_u16(),
            self.referrer,
            self.agent,
        );
    }
}

fn wanted_from(status: StatusCode) -> LogLevel {
    match status.as_u16() {
        500.. => LogLevel::Error,
        400.. => LogLevel::Warn,
        _ => LogLevel::Info,
    }
}
