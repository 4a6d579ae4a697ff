//! Media types: what a request carries and what the client accepts.

use http::HeaderMap;

/// A media type, as far as the engine tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum MediaType {
    Json,
    /// One row as an object; with nulls stripped if set.
    Object {
        stripped: bool,
    },
    /// An array with nulls stripped.
    ArrayStripped,
    Csv,
    GeoJson,
    OpenApi,
    FormUrlEncoded,
    OctetStream,
    Text,
    Xml,
    Plan(PlanFormat),
    Any,
    Other {
        /// Type and subtype, in small letters.
        name: String,
        /// As the client wrote it.
        given: String,
    },
}

/// An execution plan instead of the rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PlanFormat {
    pub(crate) json: bool,
    /// `analyze`, `verbose`, `settings`, `buffers`, `wal`
    pub(crate) options: Vec<&'static str>,
    /// The media type that the plan is for.
    pub(crate) target: Box<MediaType>,
}

const PLAN_OPTIONS: [&str; 5] = ["analyze", "verbose", "settings", "buffers", "wal"];

impl MediaType {
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts = split_parameters(text).into_iter();
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameters: Vec<String> = parts.collect();
        let stripped = parameters.iter().any(|p| p == "nulls=stripped");
        match essence.as_str() {
            "application/json" => Self::Json,
            "application/geo+json" => Self::GeoJson,
            "application/openapi+json" => Self::OpenApi,
            "text/csv" => Self::Csv,
            "text/plain" => Self::Text,
            "text/xml" => Self::Xml,
            "application/x-www-form-urlencoded" => Self::FormUrlEncoded,
            "application/octet-stream" => Self::OctetStream,
            "application/vnd.pgrst.object" | "application/vnd.pgrst.object+json" => {
                Self::Object { stripped }
            }
            "application/vnd.pgrst.array" | "application/vnd.pgrst.array+json" => {
                if stripped {
                    Self::ArrayStripped
                } else {
                    Self::Json
                }
            }
            "application/vnd.pgrst.plan" | "application/vnd.pgrst.plan+text" => {
                Self::plan(false, &parameters)
            }
            "application/vnd.pgrst.plan+json" => Self::plan(true, &parameters),
            "*/*" => Self::Any,
            _ => Self::Other {
                name: essence,
                given: text.trim().to_owned(),
            },
        }
    }

    fn plan(json: bool, parameters: &[String]) -> Self {
        let value_of = |name: &str| {
            parameters
                .iter()
                .find_map(|p| p.strip_prefix(name)?.strip_prefix('='))
                .map(|value| value.trim_matches('"'))
        };
        let asked: Vec<&str> = value_of("options")
            .map(|options| options.split('|').collect())
            .unwrap_or_default();
        Self::Plan(PlanFormat {
            json,
            options: PLAN_OPTIONS
                .into_iter()
                .filter(|option| asked.contains(option))
                .collect(),
            target: Box::new(value_of("for").map_or(Self::Json, Self::parse)),
        })
    }

    /// Value of `Content-Type` for a body of this type.
    pub(crate) fn content_type(&self) -> String {
        match self {
            Self::OctetStream | Self::Any | Self::Other { .. } => self.essence().to_owned(),
            _ => format!("{}; charset=utf-8", self.with_parameters()),
        }
    }

    /// The type with the parameters that mean something to the engine.
    pub(crate) fn with_parameters(&self) -> String {
        match self {
            Self::Plan(plan) => {
                let mut value = format!(
                    "{}; for=\"{}\"",
                    self.essence(),
                    plan.target.with_parameters()
                );
                if !plan.options.is_empty() {
                    value.push_str("; options=");
                    value.push_str(&plan.options.join("|"));
                }
                value
            }
            Self::Object { stripped: true } | Self::ArrayStripped => {
                format!("{};nulls=stripped", self.essence())
            }
            Self::Any => "*/*".to_owned(),
            Self::Other { given, .. } => given.clone(),
            _ => self.essence().to_owned(),
        }
    }

    /// Has parameters that mean something to the engine, so that nobody may redefine it.
    pub(crate) fn is_vendored(&self) -> bool {
        matches!(
            self,
            Self::Object { .. } | Self::ArrayStripped | Self::Plan(_)
        )
    }

    /// The name by which the database knows the type.
    pub(crate) fn database_name(&self) -> &str {
        match self {
            Self::Any => "*/*",
            other => other.essence(),
        }
    }

    /// The type without parameters.
    pub(crate) fn essence(&self) -> &str {
        match self {
            Self::Json => "application/json",
            Self::Object { .. } => "application/vnd.pgrst.object+json",
            Self::ArrayStripped => "application/vnd.pgrst.array+json",
            Self::Csv => "text/csv",
            Self::GeoJson => "application/geo+json",
            Self::OpenApi => "application/openapi+json",
            Self::FormUrlEncoded => "application/x-www-form-urlencoded",
            Self::OctetStream | Self::Any => "application/octet-stream",
            Self::Text => "text/plain",
            Self::Xml => "text/xml",
            Self::Plan(plan) if plan.json => "application/vnd.pgrst.plan+json",
            Self::Plan(_) => "application/vnd.pgrst.plan+text",
            Self::Other { name, .. } => name,
        }
    }
}

/// Splits at semicolons outside quotes and trims.
fn split_parameters(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            ';' if !quoted => parts.push(String::new()),
            _ => {
                quoted ^= c == '"';
                if let Some(part) = parts.last_mut() {
                    part.push(c);
                }
            }
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

/// What the client accepts, best first. No header means anything.
pub(crate) fn accepted(headers: &HeaderMap) -> Vec<MediaType> {
    let Some(header) = headers.get(http::header::ACCEPT) else {
        return vec![MediaType::Any];
    };
    // Quality, then how specific it is: parameters make a range more so, asterisks less.
    let mut ranges: Vec<((f32, isize), MediaType)> = Vec::new();
    for range in split_ranges(header.to_str().unwrap_or_default()) {
        let (range, quality) = split_quality(&range.replace(' ', ""));
        let count = |c: char| isize::try_from(range.matches(c).count()).unwrap_or_default();
        let specific = count(';') - count('*');
        ranges.push(((quality, specific), MediaType::parse(&range)));
    }
    // A stable sort: equal quality keeps the client's order.
    ranges.sort_by(|(a, _), (b, _)| b.0.total_cmp(&a.0).then_with(|| b.1.cmp(&a.1)));
    ranges.into_iter().map(|(_, media)| media).collect()
}

/// What stands before `;q=`, and the number after it.
fn split_quality(range: &str) -> (String, f32) {
    let Some((before, after)) = range.split_once(";q=") else {
        return (range.to_owned(), 1.0);
    };
    let number = after.split(';').next().unwrap_or_default();
    (before.to_owned(), number.parse().unwrap_or(1.0))
}

fn split_ranges(text: &str) -> Vec<String> {
    let mut ranges = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            ',' if !quoted => ranges.push(String::new()),
            _ => {
                quoted ^= c == '"';
                if let Some(range) = ranges.last_mut() {
                    range.push(c);
                }
            }
        }
    }
    ranges.retain(|range| !range.trim().is_empty());
    ranges
}

/// The type of the request's body; JSON when it is not said.
pub(crate) fn content_type(headers: &HeaderMap) -> MediaType {
    headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map_or(MediaType::Json, MediaType::parse)
}
