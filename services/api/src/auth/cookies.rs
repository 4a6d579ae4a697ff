//! The cookies that carry refresh tokens, attribute by attribute as the contract has them (auth §3).

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use cookie::time::{Duration, OffsetDateTime};
use cookie::{Cookie, SameSite};
use http::HeaderValue;
use http::header::{COOKIE, SET_COOKIE};
use ingot_identity::{REFRESH_LIFETIME, SessionType};

/// Header in which a browser proves that the request is the app's own.
const CSRF_HEADER: &str = "x-csrf-token";

fn name_and_path(session_type: SessionType) -> (&'static str, &'static str) {
    match session_type {
        SessionType::User => ("insforge_refresh_token", "/api/auth"),
        SessionType::Admin => ("insforge_admin_refresh_token", "/api/auth/admin"),
    }
}

/// The refresh token that the browser sent, if any.
pub(super) fn refresh_token(headers: &HeaderMap, session_type: SessionType) -> Option<String> {
    let (name, _) = name_and_path(session_type);
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Cookie::split_parse)
        .flatten()
        .find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
        .filter(|token| !token.is_empty())
}

/// The CSRF value that the browser sent; several headers of that name count as none.
pub(super) fn csrf_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(CSRF_HEADER).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Adds the cookie with a new refresh token to an answer.
pub(super) fn with_cookie(
    response: impl IntoResponse,
    session_type: SessionType,
    token: &str,
) -> Response {
    let (name, path) = name_and_path(session_type);
    let life = Duration::try_from(REFRESH_LIFETIME).unwrap_or(Duration::ZERO);
    let cookie = base(name, path, token)
        .max_age(life)
        .expires(OffsetDateTime::now_utc() + life);
    attach(response, &cookie.build())
}

/// Adds the cookie that removes the refresh token to an answer.
pub(super) fn without_cookie(response: impl IntoResponse, session_type: SessionType) -> Response {
    let (name, path) = name_and_path(session_type);
    let cookie = base(name, path, "").expires(OffsetDateTime::UNIX_EPOCH);
    attach(response, &cookie.build())
}

fn base<'c>(name: &'c str, path: &'c str, value: &'c str) -> cookie::CookieBuilder<'c> {
    Cookie::build((name, value))
        .path(path)
        .http_only(true)
        .secure(true)
        .same_site(SameSite::None)
}

fn attach(response: impl IntoResponse, cookie: &Cookie<'_>) -> Response {
    let mut response = response.into_response();
    if let Ok(value) = HeaderValue::try_from(cookie.to_string()) {
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_cookie(response: &Response) -> &str {
        response.headers()[SET_COOKIE].to_str().unwrap()
    }

    #[test]
    fn attributes_are_the_contracts() {
        let set = with_cookie((), SessionType::User, "a.b.c");
        let text = set_cookie(&set);
        assert!(text.starts_with("insforge_refresh_token=a.b.c; HttpOnly; SameSite=None; Secure;"));
        assert!(text.contains("; Path=/api/auth; Max-Age=604800; Expires="));
        let cleared = without_cookie((), SessionType::Admin);
        let text = set_cookie(&cleared);
        assert!(text.starts_with("insforge_admin_refresh_token=; "));
        assert!(text.contains("Expires=Thu, 01 Jan 1970 00:00:00 GMT"));
        assert!(text.contains("Path=/api/auth/admin") && !text.contains("Max-Age"));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "x=1; insforge_refresh_token=t; ;=".parse().unwrap());
        assert_eq!(
            refresh_token(&headers, SessionType::User).as_deref(),
            Some("t")
        );
        assert_eq!(refresh_token(&headers, SessionType::Admin), None);
        headers.append("x-csrf-token", "a".parse().unwrap());
        assert_eq!(csrf_token(&headers), Some("a"));
        headers.append("x-csrf-token", "b".parse().unwrap());
        assert_eq!(csrf_token(&headers), None);
    }
}
