//! Changing the headers of requests and answers.
//!
//! pingora remembers how every header name was written, in a second map that each change pays
//! for. Names mean the same in any case (RFC 9110 §5.1), so who changes headers here drops that
//! memory, once, and works on the plain map.

use http::HeaderMap;
use http::request::Parts as RequestParts;
use http::response::Parts as ResponseParts;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};

/// Changes a request's headers; the target stays byte for byte as it was sent.
pub(crate) fn edit_request(
    request: &mut RequestHeader,
    edit: impl FnOnce(&mut HeaderMap),
) -> Result<()> {
    let target = target_besides_uri(request);
    let (empty, ()) = http::Request::new(()).into_parts();
    let mut parts = RequestParts::from(std::mem::replace(request, empty.into()));
    edit(&mut parts.headers);
    *request = parts.into();
    match target {
        Some(target) => request.set_raw_path(&target),
        None => Ok(()),
    }
}

/// The target, where the URI does not hold all of it (absolute form, bytes that are not UTF-8).
fn target_besides_uri(request: &RequestHeader) -> Option<Vec<u8>> {
    let target = request.raw_path();
    let in_uri = request.uri.path_and_query();
    let same = in_uri.is_some_and(|in_uri| in_uri.as_str().as_bytes() == target);
    (!same).then(|| target.to_vec())
}

/// Changes an answer's headers.
pub(crate) fn edit_response<T>(
    response: &mut ResponseHeader,
    edit: impl FnOnce(&mut HeaderMap) -> T,
) -> T {
    let (empty, ()) = http::Response::new(()).into_parts();
    let mut parts = ResponseParts::from(std::mem::replace(response, empty.into()));
    let result = edit(&mut parts.headers);
    *response = parts.into();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_survives_in_every_form() {
        for target in [
            &b"/api/usage/x?a=%2F"[..],
            b"http://shop.example/api/usage/x?y=1",
            b"/api/\xff",
            b"*",
            b"/",
        ] {
            let mut request = RequestHeader::build("GET", target, None).unwrap();
            request.append_header("X-Two", "1").unwrap();
            request.append_header("x-two", "2").unwrap();
            edit_request(&mut request, |headers| {
                headers.insert("x-new", http::HeaderValue::from_static("3"));
            })
            .unwrap();
            assert_eq!(request.raw_path(), target);
            assert_eq!(request.headers.get_all("x-two").iter().count(), 2);
            let mut wire = Vec::new();
            request.header_to_h1_wire(&mut wire);
            assert!(String::from_utf8(wire).unwrap().contains("x-new: 3\r\n"));
        }
    }
}
