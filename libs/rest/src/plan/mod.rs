//! From what is asked to what will be done: names are looked up in the schema cache, defaults and
//! rules are applied. A plan is plain data; `sql` turns it into a statement.

pub(crate) mod call;
pub(crate) mod embed;
mod first_error;
mod functions;
pub(crate) mod mutate;
pub(crate) mod read;
mod shape;

use http::Method;

use crate::error::RestError;
use crate::request::condition::Condition;
use crate::request::field::{Field, JsonStep};
use crate::request::media::{self, MediaType};
use crate::request::payload::{self, Payload, Purpose};
use crate::request::preferences::Preferences;
use crate::request::profile::{self, Profile};
use crate::request::query::{self, Query};
use crate::request::range::{self, Window};
use crate::request::{Request, Target};
use crate::schema::{ObjectName, Schema};
use crate::settings::{EngineSettings, OpenApiMode};

pub(crate) use shape::Shape;

/// A request whose every part has been parsed, before any name was looked up.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) query: Query,
    /// Slice of the top-level rows.
    pub(crate) window: Window,
    pub(crate) preferences: Preferences,
    pub(crate) accepted: Vec<MediaType>,
    pub(crate) content_type: MediaType,
    pub(crate) payload: Option<Payload>,
    pub(crate) profile: Profile,
}

impl Parsed {
    /// The rows of a relation are changed.
    pub(crate) fn writes_rows(&self) -> bool {
        let reads = matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS);
        !reads && matches!(self.target, Target::Relation(_))
    }
}

/// Parses a request.
pub(crate) fn parse(request: &Request, settings: &EngineSettings) -> Result<Parsed, RestError> {
    let method = request.method.clone();
    if request.target == Target::Root && settings.openapi_mode == OpenApiMode::Disabled {
        return Err(RestError::not_found());
    }
    let profile = profile::negotiate(&method, &request.headers, &settings.schemas)?;
    let preferences = Preferences::parse(&request.headers);
    let is_function = matches!(request.target, Target::Function(_));
    check_method(&method, &request.target)?;
    let reads = matches!(method, Method::GET | Method::HEAD);
    let query = query::parse(&request.query, is_function && reads)?;
    let window = top_window(&method, request, &query)?;
    let content_type = media::content_type(&request.headers);
    let purpose = if is_function {
        Purpose::Arguments
    } else {
        Purpose::Rows
    };
    let has_body = matches!(method, Method::POST | Method::PUT | Method::PATCH);
    // A whole row is replaced by what the body has.
    let columns_given = query.columns.is_some() && method != Method::PUT;
    let payload = has_body
        .then(|| payload::read(&request.body, &content_type, purpose, columns_given))
        .transpose()?;
    Ok(Parsed {
        method,
        target: request.target.clone(),
        query,
        window,
        preferences,
        accepted: media::accepted(&request.headers),
        content_type,
        payload,
        profile,
    })
}

fn check_method(method: &Method, target: &Target) -> Result<(), RestError> {
    match (method, target) {
        (&Method::GET | &Method::HEAD | &Method::OPTIONS, _)
        | (&Method::POST, Target::Relation(_) | Target::Function(_))
        | (&Method::PUT | &Method::PATCH | &Method::DELETE, Target::Relation(_)) => Ok(()),
        (_, Target::Function(_)) => Err(RestError::rpc_method(method.as_str())),
        _ => Err(RestError::unsupported_method(method.as_str())),
    }
}

fn top_window(method: &Method, request: &Request, query: &Query) -> Result<Window, RestError> {
    let window = query.windows.get(&Vec::new()).copied().unwrap_or_default();
    match *method {
        Method::GET => range::requested(&request.headers, window),
        _ if window.is_empty_elsewhere() => Err(range::negative_limit()),
        Method::PUT if !window.is_whole() => Err(RestError::put_limit()),
        Method::PATCH | Method::DELETE if !query.windows.is_empty() && query.order.is_empty() => {
            Err(RestError::limit_without_order())
        }
        _ => Ok(window),
    }
}

/// What planning needs to look at.
#[derive(Clone, Copy)]
pub(crate) struct Planner<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) settings: &'a EngineSettings,
    /// The schema that the request is about.
    pub(crate) profile: &'a str,
}

/// A column, or something inside it, whose name the cache knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedField {
    pub(crate) name: String,
    pub(crate) path: Vec<JsonStep>,
    /// The path goes into something that is not JSON yet.
    pub(crate) convert: bool,
    /// Function that reads a value to compare with.
    pub(crate) from_text: Option<ObjectName>,
}

/// A tree of conditions whose fields are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Predicate {
    Filter {
        field: PlannedField,
        condition: Condition,
    },
    Group {
        negated: bool,
        any: bool,
        members: Vec<Predicate>,
    },
    /// An embedded resource has rows, or has none.
    Embed { index: usize, present: bool },
}

impl Predicate {
    /// It depends on what is embedded.
    pub(crate) fn mentions_embed(&self) -> bool {
        match self {
            Self::Filter { .. } => false,
            Self::Group { members, .. } => members.iter().any(Self::mentions_embed),
            Self::Embed { .. } => true,
        }
    }
}

/// One element of ORDER BY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ordering {
    pub(crate) field: PlannedField,
    /// The embedded resource that has the field.
    pub(crate) embed: Option<usize>,
    pub(crate) descending: Option<bool>,
    pub(crate) nulls_first: Option<bool>,
}

impl Planner<'_> {
    /// Looks up a field.
    pub(crate) fn field(shape: &Shape, field: &Field) -> Result<PlannedField, RestError> {
        let found = shape.find(&field.name)?;
        let representation = found.column.filter(|_| field.path.is_empty());
        Ok(PlannedField {
            name: field.name.clone(),
            path: field.path.clone(),
            convert: !field.path.is_empty() && !found.is_json,
            from_text: representation.and_then(|column| column.function(|r| &r.from_text)),
        })
    }

    /// The SQL name of a type that a cast asks for.
    pub(crate) fn cast(&self, name: Option<&String>) -> Result<Option<String>, RestError> {
        let Some(name) = name else { return Ok(None) };
        let normal = name.to_lowercase();
        let known = self
            .schema
            .types
            .get(name)
            .or_else(|| self.schema.types.get(&normal));
        known
            .cloned()
            .map(Some)
            .ok_or_else(|| RestError::undefined_type(&normal))
    }
}
