//! What TLS means for requests: those without it are led to it, and answers may demand it for the
//! future (RFC 6797).

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::settings::TlsSettings;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The port that `https` means by itself.
const USUAL_PORT: u16 = 443;

/// Whether and how HTTP leads to HTTPS.
#[derive(Debug, Clone)]
pub(crate) struct TlsPolicy {
    redirect: bool,
    /// What clients use; behind a port mapping it is not the listener's.
    port: u16,
    hsts: Option<HeaderValue>,
}

impl TlsPolicy {
    pub(crate) fn new(settings: &TlsSettings) -> Self {
        let seconds = settings.hsts.0.as_secs();
        let hsts = format!("max-age={seconds}");
        Self {
            redirect: settings.redirect,
            port: settings.public_port,
            hsts: HeaderValue::try_from(hsts).ok().filter(|_| seconds > 0),
        }
    }

    /// Whether requests without TLS are led to it.
    pub(crate) fn redirects(&self) -> bool {
        self.redirect
    }

    /// What answers over TLS demand for the future.
    pub(crate) fn hsts(&self) -> Option<&HeaderValue> {
        self.hsts.as_ref()
    }

    /// Where a request without TLS should have gone, if it must not go on. A proxy that is
    /// believed and ended TLS itself says so in `X-Forwarded-Proto`.
    pub(crate) fn redirect(&self, session: &Session, peer_trusted: bool) -> Option<ResponseHeader> {
        let headers = &session.req_header().headers;
        if !self.redirect || is_secure(session, headers, peer_trusted) {
            return None;
        }
        let host = headers.get(header::HOST)?.to_str().ok()?;
        let location = self.location(host, &session.req_header().uri)?;
        redirect_to(&location).ok()
    }

    fn location(&self, host: &str, target: &http::Uri) -> Option<HeaderValue> {
        let authority: http::uri::Authority = host.parse().ok()?;
        let path = target.path_and_query().map_or("/", |path| path.as_str());
        let port = match self.port {
            USUAL_PORT => String::new(),
            port => format!(":{port}"),
        };
        HeaderValue::try_from(format!("https://{}{port}{path}", authority.host())).ok()
    }

    /// Adds what an answer over TLS carries.
    pub(crate) fn mark(&self, session: &Session, headers: &mut HeaderMap) {
        if let (Some(hsts), true) = (&self.hsts, is_tls(session)) {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
    }
}

fn redirect_to(location: &HeaderValue) -> Result<ResponseHeader> {
    let mut response = ResponseHeader::build(StatusCode::PERMANENT_REDIRECT, Some(3))?;
    response.insert_header(header::LOCATION, location.clone())?;
    response.insert_header(header::CONTENT_LENGTH, HeaderValue::from_static("0"))?;
    Ok(response)
}

fn is_secure(session: &Session, headers: &HeaderMap, peer_trusted: bool) -> bool {
    let said = headers.get(FORWARDED_PROTO).map(HeaderValue::as_bytes);
    is_tls(session) || (peer_trusted && said == Some(b"https"))
}

/// Whether the client's connection to the edge itself is TLS.
pub(crate) fn is_tls(session: &Session) -> bool {
    session
        .digest()
        .is_some_and(|digest| digest.ssl_digest.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(port: u16, host: &str, target: &'static str) -> Option<String> {
        let policy = TlsPolicy {
            redirect: true,
            port,
            hsts: None,
        };
        let location = policy.location(host, &http::Uri::from_static(target))?;
        Some(location.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_redirect_keeps_host_path_and_query_and_changes_the_port() {
        let at = |port, host| location(port, host, "/a/b?c=%2F").unwrap();
        assert_eq!(at(443, "a.example"), "https://a.example/a/b?c=%2F");
        assert_eq!(at(443, "a.example:80"), "https://a.example/a/b?c=%2F");
        assert_eq!(at(8443, "[::1]:80"), "https://[::1]:8443/a/b?c=%2F");
        assert_eq!(location(443, "a b", "/"), None);
    }
}
