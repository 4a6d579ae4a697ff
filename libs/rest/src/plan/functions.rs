//! Choosing the function that a call means, among those of the same name.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Parsed, Planner};
use crate::error::RestError;
use crate::request::media::MediaType;
use crate::schema::{Function, similar};

/// A function, and whether the whole body is its one unnamed argument.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) function: Arc<Function>,
    pub(crate) whole_body: bool,
}

impl Planner<'_> {
    /// The function of this name that takes exactly these argument names.
    pub(crate) fn choose_function(
        &self,
        parsed: &Parsed,
        name: &str,
        keys: &BTreeSet<String>,
    ) -> Result<Choice, RestError> {
        let posted = parsed.method == http::Method::POST;
        let overloads = self.schema.functions(self.profile, name);
        let single_object = parsed.preferences.single_object;
        let raw = posted
            && matches!(
                parsed.content_type,
                MediaType::Text | MediaType::Xml | MediaType::OctetStream
            );
        let (unnamed, named): (Vec<&Arc<Function>>, Vec<&Arc<Function>>) = overloads
            .iter()
            .partition(|function| posted && takes_body(function, &parsed.content_type));
        if single_object {
            let fits = |function: &&Arc<Function>| {
                matches!(function.parameters.as_slice(),
                    [only] if matches!(only.data_type.as_str(), "json" | "jsonb"))
            };
            let candidates: Vec<_> = overloads.iter().filter(fits).collect();
            return pick(&candidates, true)
                .unwrap_or_else(|| Err(self.missing(parsed, name, keys, overloads)));
        }
        let matching: Vec<&Arc<Function>> = named
            .into_iter()
            // A body that cannot be read is not for a function that takes nothing.
            .filter(|function| !(raw && function.parameters.is_empty()))
            .filter(|function| accepts(function, keys))
            .collect();
        pick(&matching, false)
            .or_else(|| pick(&unnamed, true))
            .unwrap_or_else(|| Err(self.missing(parsed, name, keys, overloads)))
    }

    fn missing(
        &self,
        parsed: &Parsed,
        name: &str,
        keys: &BTreeSet<String>,
        overloads: &[Arc<Function>],
    ) -> RestError {
        let qualified = format!("{}.{name}", self.profile);
        let list = keys
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        let posted = parsed.method == http::Method::POST;
        let unnamed_only = match parsed.content_type {
            MediaType::Text if posted => Some("text"),
            MediaType::Xml if posted => Some("xml"),
            MediaType::OctetStream if posted => Some("bytea"),
            _ => None,
        };
        if parsed.preferences.single_object {
            let message = format!("Could not find the function {qualified} in the schema cache");
            let details = format!(
                "Searched for the function {qualified} with a single json/jsonb parameter, but no \
                 matches were found in the schema cache."
            );
            return RestError::no_function(message, details, None);
        }
        if let Some(kind) = unnamed_only {
            let message = format!("Could not find the function {qualified} in the schema cache");
            let details = format!(
                "Searched for the function {qualified} with a single unnamed {kind} parameter, but \
                 no matches were found in the schema cache."
            );
            return RestError::no_function(message, details, None);
        }
        let (shown, with) = match keys.len() {
            0 => (
                " without parameters".to_owned(),
                " without parameters".to_owned(),
            ),
            1 => (format!("({list})"), format!(" with parameter {list}")),
            _ => (format!("({list})"), format!(" with parameters {list}")),
        };
        let or_unnamed = if posted && parsed.content_type == MediaType::Json {
            " or with a single unnamed json/jsonb parameter"
        } else {
            ""
        };
        RestError::no_function(
            format!("Could not find the function {qualified}{shown} in the schema cache"),
            format!(
                "Searched for the function {qualified}{with}{or_unnamed}, but no matches were \
                 found in the schema cache."
            ),
            self.function_hint(name, keys.iter().map(String::as_str), overloads),
        )
    }

    /// The nearest name, or for a known name the nearest list of parameters.
    fn function_hint<'k>(
        &self,
        name: &str,
        keys: impl Iterator<Item = &'k str>,
        overloads: &[Arc<Function>],
    ) -> Option<String> {
        let perhaps = |spelling: &str| {
            format!(
                "Perhaps you meant to call the function {}.{spelling}",
                self.profile
            )
        };
        if overloads.is_empty() {
            let names = self.schema.functions.keys();
            let names = names
                .filter(|known| known.schema == self.profile)
                .map(|known| known.name.as_str());
            return similar::nearest(name, names).map(perhaps);
        }
        let lists: Vec<String> = overloads
            .iter()
            .map(|function| {
                let names = function.parameters.iter().map(|p| p.name.as_str());
                sorted_list(names)
            })
            .collect();
        let near = similar::nearest(&sorted_list(keys), lists.iter().map(String::as_str))?;
        Some(perhaps(&format!("{name}{near}")))
    }
}

/// `(a, b)`, in alphabetical order.
fn sorted_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    format!("({})", names.join(", "))
}

fn pick(candidates: &[&Arc<Function>], whole_body: bool) -> Option<Result<Choice, RestError>> {
    match candidates {
        [] => None,
        [only] => Some(Ok(Choice {
            function: Arc::clone(only),
            whole_body,
        })),
        several => Some(Err(RestError::ambiguous_function(
            &several
                .iter()
                .map(|function| signature(function))
                .collect::<Vec<_>>()
                .join(", "),
        ))),
    }
}

fn signature(function: &Function) -> String {
    let parameters: Vec<String> = function
        .parameters
        .iter()
        .map(|parameter| format!("{} => {}", parameter.name, parameter.data_type))
        .collect();
    format!("{}({})", function.name, parameters.join(", "))
}

/// One unnamed parameter whose type is that of the body.
fn takes_body(function: &Function, content: &MediaType) -> bool {
    let [only] = function.parameters.as_slice() else {
        return false;
    };
    only.name.is_empty()
        && match content {
            MediaType::Json => matches!(only.data_type.as_str(), "json" | "jsonb"),
            MediaType::Text => only.data_type == "text",
            MediaType::Xml => only.data_type == "xml",
            MediaType::OctetStream => only.data_type == "bytea",
            _ => false,
        }
}

/// All required parameters are given, and nothing that is no parameter.
fn accepts(function: &Function, keys: &BTreeSet<String>) -> bool {
    let known = |key: &String| function.parameters.iter().any(|p| p.name == *key);
    let mut required = function
        .parameters
        .iter()
        .filter(|p| p.required && !p.variadic);
    // An unnamed parameter cannot be given by name.
    keys.iter().all(known)
        && required.all(|p| keys.contains(&p.name))
        && function
            .parameters
            .iter()
            .filter(|p| p.variadic && p.required)
            .all(|p| keys.contains(&p.name))
}
