//! The route table: which path prefix belongs to which service, as data.
//!
//! It covers every prefix that the contract mounts (platform §2). A path that no row claims is
//! answered by the edge itself with the contract's 404.

/// A kind of process behind the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Accounts, tables, storage, functions and everything administrative.
    Api,
    /// Rows and SQL functions.
    Records,
    /// Schema migrations of a project.
    Migration,
    /// Socket.IO nodes.
    Realtime,
}

impl Service {
    /// All of them, in the order of [`Service::index`].
    pub(crate) const ALL: [Self; 4] = [Self::Api, Self::Records, Self::Migration, Self::Realtime];

    /// Position in tables that have one entry per service.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Api => 0,
            Self::Records => 1,
            Self::Migration => 2,
            Self::Realtime => 3,
        }
    }

    /// Name in logs, metrics and answers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Records => "records",
            Self::Migration => "migration",
            Self::Realtime => "realtime",
        }
    }
}

/// How a row's prefix meets a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// The prefix itself and everything below it, in any case, with or without a final slash.
    Tree,
    /// The prefix itself only, in any case, with or without a final slash.
    Exact,
    /// The prefix is literal and ends with the slash that it needs (Engine.IO compares bytes).
    Literal,
}

/// What the edge does about a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// Bounded by `MAX_JSON_BODY_SIZE`, or `MAX_URLENCODED_BODY_SIZE` for forms.
    Bounded,
    /// Passed through; the service has limits of its own.
    Streamed,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Route {
    prefix: &'static str,
    claim: Claim,
    /// Who answers.
    pub(crate) service: Service,
    /// Rule for bodies.
    pub(crate) body: Body,
    /// Whether requests count against the client's rate limit.
    pub(crate) limited: bool,
    /// Whether the service may name the allowed origin itself (contract, platform §6.6).
    pub(crate) own_origin: bool,
}

const fn row(prefix: &'static str, service: Service) -> Route {
    Route {
        prefix,
        claim: Claim::Tree,
        service,
        body: Body::Bounded,
        limited: true,
        own_origin: false,
    }
}

impl Route {
    const fn exact(mut self) -> Self {
        self.claim = Claim::Exact;
        self
    }

    const fn literal(mut self) -> Self {
        self.claim = Claim::Literal;
        self
    }

    const fn streamed(mut self) -> Self {
        self.body = Body::Streamed;
        self
    }

    const fn unlimited(mut self) -> Self {
        self.limited = false;
        self
    }

    const fn own_origin(mut self) -> Self {
        self.own_origin = true;
        self
    }
}

/// The table. The first row that claims a path wins.
static ROUTES: &[Route] = &[
    row("/api/database/records", Service::Records),
    row("/api/database/rpc", Service::Records),
    row("/api/database/migrations", Service::Migration),
    row("/socket.io/", Service::Realtime).literal().unlimited(),
    row("/api/health", Service::Api).exact().unlimited(),
    row("/api/storage", Service::Api).streamed(),
    row("/storage/v1/s3", Service::Api).streamed(),
    row("/functions", Service::Api).streamed().own_origin(),
    row("/api/.well-known/jwks.json", Service::Api).exact(),
    row("/api/auth", Service::Api),
    row("/api/database/advance/import", Service::Api).streamed(),
    row("/api/database/advance/bulk-upsert", Service::Api).streamed(),
    row("/api/database", Service::Api),
    row("/api/metadata", Service::Api),
    row("/api/logs", Service::Api),
    row("/api/docs", Service::Api),
    row("/api/functions", Service::Api),
    row("/api/secrets", Service::Api),
    row("/api/usage", Service::Api),
    row("/api/ai", Service::Api),
    row("/api/memory", Service::Api),
    row("/api/realtime", Service::Api),
    row("/api/email", Service::Api),
    row("/api/deployments", Service::Api),
    row("/api/schedules", Service::Api),
    row("/api/payments", Service::Api),
    row("/api/compute/services", Service::Api),
    row("/api/analytics", Service::Api),
    row("/api/github", Service::Api),
    row("/api/webscraper", Service::Api),
    row("/api/advisor", Service::Api),
    row("/api/dashboard", Service::Api),
    row("/api/webhooks", Service::Api),
    row("/.well-known/jwks.json", Service::Api).exact(),
    row("/", Service::Api).exact(),
];

/// A row that claims a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match {
    /// The row.
    pub(crate) route: &'static Route,
    canonical: bool,
}

/// The row that claims `path`, if any.
pub(crate) fn find(path: &str) -> Option<Match> {
    let bytes = path.as_bytes();
    ROUTES.iter().find_map(|route| {
        let canonical = route.claims(bytes)?;
        Some(Match { route, canonical })
    })
}

impl Route {
    /// `Some(already canonical)` when the path belongs to this row.
    fn claims(&self, path: &[u8]) -> Option<bool> {
        let prefix = self.prefix.as_bytes();
        let (head, rest) = path.split_at_checked(prefix.len())?;
        let belongs = match self.claim {
            Claim::Literal => return (head == prefix).then_some(true),
            Claim::Exact => rest.is_empty() || rest == b"/",
            Claim::Tree => rest.is_empty() || rest.first() == Some(&b'/'),
        };
        if !belongs || !head.eq_ignore_ascii_case(prefix) {
            return None;
        }
        Some(head == prefix && rest != b"/")
    }
}

impl Match {
    /// The request target with the row's prefix in its canonical form, when the client wrote it
    /// otherwise. What follows the prefix (table names, object keys, slugs) is left alone.
    pub(crate) fn rewritten(&self, path_and_query: &str) -> Option<String> {
        if self.canonical {
            return None;
        }
        let rest = path_and_query.get(self.route.prefix.len()..)?;
        let rest = match rest.strip_prefix('/') {
            Some(after) if after.is_empty() || after.starts_with('?') => after,
            _ => rest,
        };
        Some(format!("{}{rest}", self.route.prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(path: &str) -> Option<Service> {
        find(path).map(|found| found.route.service)
    }

    #[test]
    fn every_mounted_prefix_has_its_service() {
        use Service::{Api, Migration, Realtime, Records};
        for (path, expected) in [
            ("/api/database/records/todos", Some(Records)),
            ("/api/database/rpc/sum", Some(Records)),
            ("/api/database/migrations", Some(Migration)),
            ("/api/database/tables", Some(Api)),
            ("/api/database/recordsque", Some(Api)),
            ("/socket.io/", Some(Realtime)),
            ("/socket.io/socket.io.js", Some(Realtime)),
            ("/api/realtime/channels", Some(Api)),
            ("/api/compute/services/1/logs", Some(Api)),
            ("/.well-known/jwks.json", Some(Api)),
            ("/storage/v1/s3/bucket/key", Some(Api)),
            ("/functions/hello", Some(Api)),
            ("/", Some(Api)),
            ("/socket.io", None),
            ("/Socket.IO/", None),
            ("/api", None),
            ("/api/nothing", None),
            ("/api/health/deep", None),
            ("/apiary", None),
            ("/dashboard", None),
            ("", None),
            ("*", None),
        ] {
            assert_eq!(service(path), expected, "{path}");
        }
    }

    #[test]
    fn no_row_hides_a_later_one() {
        for (position, later) in ROUTES.iter().enumerate() {
            for earlier in &ROUTES[..position] {
                let below = later.prefix.strip_prefix(earlier.prefix);
                let hidden =
                    earlier.claim == Claim::Tree && below.is_some_and(|rest| rest.starts_with('/'));
                assert!(!hidden, "{} hides {}", earlier.prefix, later.prefix);
            }
        }
    }

    #[test]
    fn the_prefix_is_made_canonical_and_the_rest_left_alone() {
        let rewritten = |target: &str| {
            let path = target.split('?').next().unwrap();
            find(path).unwrap().rewritten(target)
        };
        assert_eq!(
            rewritten("/API/Database/Records/MyTable?A=B").as_deref(),
            Some("/api/database/records/MyTable?A=B")
        );
        assert_eq!(rewritten("/API/HEALTH/").as_deref(), Some("/api/health"));
        assert_eq!(
            rewritten("/api/health/?x=/").as_deref(),
            Some("/api/health?x=/")
        );
        assert_eq!(rewritten("/api/auth/Users/"), None);
        assert_eq!(rewritten("/"), None);
    }

    #[test]
    fn uploads_stream_and_health_is_free() {
        assert_eq!(
            find("/API/storage/buckets").unwrap().route.body,
            Body::Streamed
        );
        assert!(!find("/api/health").unwrap().route.limited);
        assert!(find("/api/auth/users").unwrap().route.limited);
        assert!(find("/functions/x").unwrap().route.own_origin);
    }
}
