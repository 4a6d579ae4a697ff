//! Routes that are found in any case and with or without a final slash (contract, platform §3.2).
//!
//! axum's router compares bytes. [`Routes`] remembers the patterns of its routes, and before axum
//! sees a request its path is written as the pattern is: literal segments as they were declared,
//! parameters (names, ids, keys) as the client wrote them.

use axum::Router;
use axum::extract::Request;
use axum::routing::MethodRouter;
use http::Uri;
use http::uri::PathAndQuery;

/// A router whose patterns are known.
#[derive(Debug)]
pub struct Routes<S = ()> {
    router: Router<S>,
    patterns: Vec<String>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes.
    pub fn new() -> Self {
        Self::from(Router::new())
    }

    /// Adds a route; as [`Router::route`].
    #[must_use]
    pub fn route(mut self, pattern: &str, methods: MethodRouter<S>) -> Self {
        self.patterns.push(pattern.to_owned());
        self.router = self.router.route(pattern, methods);
        self
    }

    /// Adds routes below a prefix; as [`Router::nest`].
    #[must_use]
    pub fn nest(mut self, prefix: &str, below: Self) -> Self {
        let patterns = below.patterns.iter().map(|pattern| match pattern.as_str() {
            "/" => prefix.to_owned(),
            pattern => format!("{prefix}{pattern}"),
        });
        self.patterns.extend(patterns);
        self.router = self.router.nest(prefix, below.router);
        self
    }

    /// Adds other routes; as [`Router::merge`].
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.patterns.extend(other.patterns);
        self.router = self.router.merge(other.router);
        self
    }

    /// The same patterns with layers or a state put around the router.
    #[must_use]
    pub fn map<T>(self, change: impl FnOnce(Router<S>) -> Router<T>) -> Routes<T> {
        Routes {
            router: change(self.router),
            patterns: self.patterns,
        }
    }
}

/// Routes that are compared byte by byte.
impl<S> From<Router<S>> for Routes<S> {
    fn from(router: Router<S>) -> Self {
        Self {
            router,
            patterns: Vec::new(),
        }
    }
}

impl Routes {
    /// The router, and what makes paths fit for it.
    pub(crate) fn into_parts(self) -> (Router, Paths) {
        let paths = Paths::of(&self.patterns);
        (self.router, paths)
    }
}

/// The patterns of all routes, to be found in lower case.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    by_lower_case: matchit::Router<String>,
}

impl Paths {
    fn of(patterns: &[String]) -> Self {
        let mut paths = Self::default();
        for pattern in patterns {
            let lower_case: Vec<_> = pattern
                .split('/')
                .map(|segment| {
                    if is_parameter(segment) {
                        segment.to_owned()
                    } else {
                        segment.to_ascii_lowercase()
                    }
                })
                .collect();
            // Refused only where another pattern is the same already: that one is found then.
            let _same = paths
                .by_lower_case
                .insert(lower_case.join("/"), pattern.clone());
        }
        paths
    }

    /// Writes a request's path as its route is declared.
    pub(crate) fn canonical(&self, mut request: Request) -> Request {
        let uri = request.uri();
        if let Some(path) = self.canonical_path(uri.path()) {
            let target = match uri.query() {
                Some(query) => format!("{path}?{query}"),
                None => path,
            };
            if let Ok(target) = PathAndQuery::try_from(target) {
                let mut parts = uri.clone().into_parts();
                parts.path_and_query = Some(target);
                if let Ok(uri) = Uri::from_parts(parts) {
                    *request.uri_mut() = uri;
                }
            }
        }
        request
    }

    /// `None` where the path may stay as it is.
    fn canonical_path(&self, path: &str) -> Option<String> {
        if !path.ends_with('/') && !path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let lower_case = path.to_ascii_lowercase();
        let (pattern, path) = if let Ok(found) = self.by_lower_case.at(&lower_case) {
            (found.value, path)
        } else {
            let shorter = lower_case.strip_suffix('/')?;
            let found = self.by_lower_case.at(shorter).ok()?;
            (found.value, path.strip_suffix('/')?)
        };
        let mut given = path.split('/');
        let mut canonical = Vec::new();
        for segment in pattern.split('/') {
            if segment.starts_with("{*") {
                canonical.extend(given.by_ref());
            } else {
                let given = given.next()?;
                canonical.push(if is_parameter(segment) {
                    given
                } else {
                    segment
                });
            }
        }
        Some(canonical.join("/"))
    }
}

fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    fn paths() -> Paths {
        let tables = Routes::<()>::new()
            .route("/", get(|| async {}))
            .route("/{table}", get(|| async {}))
            .route("/{table}/schema", get(|| async {}));
        let routes = Routes::new()
            .route("/api/health", get(|| async {}))
            .route("/api/auth/users/{id}", get(|| async {}))
            .route("/api/auth/users/currentUser", get(|| async {}))
            .route("/api/objects/{bucket}/{*key}", get(|| async {}))
            .nest("/api/database/tables", tables);
        routes.into_parts().1
    }

    #[test]
    fn literals_are_written_as_declared_and_parameters_as_sent() {
        for (sent, canonical) in [
            ("/API/Health", Some("/api/health")),
            ("/api/health/", Some("/api/health")),
            ("/api/database/tables/", Some("/api/database/tables")),
            ("/api/Database/TABLES", Some("/api/database/tables")),
            (
                "/api/database/tables/MyTable/",
                Some("/api/database/tables/MyTable"),
            ),
            (
                "/api/database/tables/Schema/SCHEMA/",
                Some("/api/database/tables/Schema/schema"),
            ),
            (
                "/api/auth/users/CURRENTUSER",
                Some("/api/auth/users/currentUser"),
            ),
            ("/api/auth/Users/Ab%2FC/", Some("/api/auth/users/Ab%2FC")),
            (
                "/api/Objects/B/Path/To/File",
                Some("/api/objects/B/Path/To/File"),
            ),
            ("/api/Objects/B/Folder/", Some("/api/objects/B/Folder/")),
            ("/api/health", None),
            ("/api/health//", None),
            ("/api/Nowhere", None),
            ("/", None),
        ] {
            let found = paths().canonical_path(sent);
            assert_eq!(found.as_deref(), canonical, "{sent}");
        }
    }

    #[test]
    fn the_query_stays() {
        let request = Request::get("/API/health/?A=B&c=/").body(axum::body::Body::empty());
        let request = paths().canonical(request.unwrap());
        assert_eq!(request.uri(), "/api/health?A=B&c=/");
    }
}
