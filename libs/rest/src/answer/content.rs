//! Content negotiation: which of the accepted media types a resource can be shown as.

use crate::error::RestError;
use crate::plan::{Parsed, Planner};
use crate::request::media::{MediaType, PlanFormat};
use crate::request::select::SelectItem;
use crate::schema::{Function, ObjectName, Returns};
use crate::sql::BodyFormat;

/// How the answer looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) media_type: String,
    pub(crate) format: BodyFormat,
    /// Exactly one row must come.
    pub(crate) single: bool,
    /// The plan is wanted, not the rows.
    pub(crate) plan: Option<PlanFormat>,
}

impl Content {
    fn new(media: &MediaType, format: BodyFormat) -> Self {
        Self {
            media_type: media.content_type(),
            format,
            single: matches!(media, MediaType::Object { .. }),
            plan: None,
        }
    }
}

/// For the description of the API.
pub(crate) fn choose_for_description(
    planner: &Planner<'_>,
    parsed: &Parsed,
) -> Result<Content, RestError> {
    let openapi = Content::new(&MediaType::OpenApi, BodyFormat::Empty);
    choose(planner, parsed, |media| match media {
        MediaType::OpenApi | MediaType::Any | MediaType::Json => Some(openapi.clone()),
        _ => None,
    })
}

/// For rows of a relation.
pub(crate) fn choose_for_relation(
    planner: &Planner<'_>,
    parsed: &Parsed,
    relation: &ObjectName,
) -> Result<Content, RestError> {
    choose(planner, parsed, |media| {
        handled(planner, parsed, Some(relation), media).or_else(|| rows(media))
    })
}

/// For what a function returns.
pub(crate) fn choose_for_call(
    planner: &Planner<'_>,
    parsed: &Parsed,
    function: &Function,
) -> Result<Content, RestError> {
    choose(planner, parsed, |media| match &function.returns {
        Returns::Void => {
            let shown = of_value(planner, function, parsed, media);
            shown.map(|_| Content::new(&MediaType::Json, BodyFormat::Empty))
        }
        Returns::Scalar => of_value(planner, function, parsed, media),
        Returns::Row(relation) => handled(planner, parsed, relation.as_ref(), media)
            .or_else(|| rows_of_call(function, media)),
    })
}

/// For a function that returns values without columns.
fn of_value(
    planner: &Planner<'_>,
    function: &Function,
    parsed: &Parsed,
    media: &MediaType,
) -> Option<Content> {
    own_media(function, media)
        .or_else(|| {
            let mut content = handled(planner, parsed, None, media)?;
            if let BodyFormat::Handler { takes_value, .. } = &mut content.format {
                *takes_value = true;
            }
            Some(content)
        })
        .or_else(|| values(function, media))
}

/// An aggregate of the database that makes this media type. One for the relation itself counts
/// only while all of its columns are selected, because it takes the relation's rows.
fn handled(
    planner: &Planner<'_>,
    parsed: &Parsed,
    relation: Option<&ObjectName>,
    media: &MediaType,
) -> Option<Content> {
    if media.is_vendored() {
        return None;
    }
    let handlers = &planner.schema.media_handlers;
    let handler = |row_type: Option<&ObjectName>, name: &str| {
        let function = handlers.get(&(row_type.cloned(), name.to_owned()))?;
        // What is made for any type is of none in particular.
        let shown = if name == "*/*" {
            &MediaType::OctetStream
        } else {
            media
        };
        Some(Content::new(
            shown,
            BodyFormat::Handler {
                function: function.clone(),
                row_type: row_type.cloned(),
                takes_value: false,
            },
        ))
    };
    let whole_rows = matches!(parsed.query.select.as_slice(),
        [SelectItem::Column(column)] if column.is_star() && column.alias.is_none());
    let own = relation.filter(|_| whole_rows).and_then(|relation| {
        handler(Some(relation), "*/*").or_else(|| handler(Some(relation), media.database_name()))
    });
    own.or_else(|| handler(None, media.database_name()))
}

/// The function's own media type: the name of the domain that it returns.
fn own_media(function: &Function, media: &MediaType) -> Option<Content> {
    let name = function.media.as_deref()?;
    let shown = match (name, media) {
        ("*/*", media) if !media.is_vendored() => MediaType::OctetStream,
        _ if media.database_name() == name => media.clone(),
        _ => return None,
    };
    Some(Content::new(&shown, BodyFormat::Raw))
}

/// For functions that return values without columns.
fn values(function: &Function, media: &MediaType) -> Option<Content> {
    let one = !function.returns_set;
    let format = |strip_nulls: bool| {
        if one {
            BodyFormat::Value { strip_nulls }
        } else {
            BodyFormat::Values { strip_nulls }
        }
    };
    match media {
        MediaType::Json | MediaType::Any => Some(Content::new(&MediaType::Json, format(false))),
        // One of several values is a row with one column.
        MediaType::Object { stripped } if !one => {
            let strip_nulls = *stripped;
            Some(Content::new(media, BodyFormat::Object { strip_nulls }))
        }
        MediaType::Object { stripped } => Some(Content::new(media, format(*stripped))),
        MediaType::ArrayStripped => Some(Content::new(media, format(true))),
        MediaType::Csv => Some(Content::new(media, BodyFormat::Csv)),
        MediaType::GeoJson => Some(Content::new(media, BodyFormat::GeoJson)),
        _ => None,
    }
}

/// A function that returns one row shows an object, not an array of one.
fn rows_of_call(function: &Function, media: &MediaType) -> Option<Content> {
    let mut content = rows(media)?;
    if !function.returns_set && matches!(content.format, BodyFormat::Array { .. }) {
        content.format = BodyFormat::Object {
            strip_nulls: *media == MediaType::ArrayStripped,
        };
    }
    Some(content)
}

fn rows(media: &MediaType) -> Option<Content> {
    let format = match media {
        MediaType::Json | MediaType::Any => {
            let format = BodyFormat::Array { strip_nulls: false };
            return Some(Content::new(&MediaType::Json, format));
        }
        MediaType::ArrayStripped => BodyFormat::Array { strip_nulls: true },
        MediaType::Object { stripped } => BodyFormat::Object {
            strip_nulls: *stripped,
        },
        MediaType::Csv => BodyFormat::Csv,
        // Without PostGIS, PostgreSQL says that there is no function for it.
        MediaType::GeoJson => BodyFormat::GeoJson,
        _ => return None,
    };
    Some(Content::new(media, format))
}

fn choose(
    planner: &Planner<'_>,
    parsed: &Parsed,
    show: impl Fn(&MediaType) -> Option<Content>,
) -> Result<Content, RestError> {
    let shown = parsed.accepted.iter().find_map(|media| match media {
        MediaType::Plan(_) if !planner.settings.plan_enabled => None,
        MediaType::Plan(plan) => {
            let mut content = show(&plan.target)?;
            content.media_type = media.content_type();
            content.single = false;
            content.plan = Some(plan.clone());
            Some(content)
        }
        media => show(media),
    });
    shown.ok_or_else(|| {
        let asked: Vec<String> = parsed
            .accepted
            .iter()
            .map(MediaType::with_parameters)
            .collect();
        RestError::media_unavailable(&asked)
    })
}
