//! Typed settings from the environment and an optional file.
//!
//! Every setting is declared once, with [`settings!`]: its type, variable, default and meaning.
//! The same declaration loads it, checks it, prints `--help` and writes the table in
//! `docs/settings.md`. Nothing else in Ingot reads the process environment.

mod document;
mod environment;
mod secret;
mod value;

pub use document::{help_text, markdown_table};
pub use environment::{Environment, EnvironmentError};
pub use secret::Secret;
pub use value::{ByteSize, Hops, Seconds, SettingValue};

use std::fmt;

/// One declared setting, as help texts and the documentation print it.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Environment variable, for example `PORT`.
    pub name: &'static str,
    /// Older names that keep working, looked up after `name`.
    pub aliases: &'static [&'static str],
    /// Default as text; `None` means that the setting is required or optional by its type.
    pub default: Option<&'static str>,
    /// Kind of value, for people.
    pub kind: &'static str,
    /// What it controls: the doc comment of the field.
    pub meaning: &'static [&'static str],
}

/// A value that could not be used, with the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable that carries the value.
    pub variable: String,
    /// What is wrong with it, and what would be right.
    pub complaint: String,
}

/// All problems of a configuration at once, so that the operator fixes them in one go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Just this one problem.
    pub fn of(variable: impl Into<String>, complaint: impl Into<String>) -> Self {
        let mut problems = Self::default();
        problems.add(variable, complaint);
        problems
    }

    /// Adds one problem.
    pub fn add(&mut self, variable: impl Into<String>, complaint: impl Into<String>) {
        self.0.push(Problem {
            variable: variable.into(),
            complaint: complaint.into(),
        });
    }

    /// Takes over the problems of another group of settings.
    pub fn extend(&mut self, other: Problems) {
        self.0.extend(other.0);
    }

    /// `Ok(value)` when nothing was wrong.
    pub fn into_result<T>(self, value: impl FnOnce() -> Option<T>) -> Result<T, Problems> {
        match (self.0.is_empty(), value()) {
            (true, Some(value)) => Ok(value),
            _ => Err(self),
        }
    }

    /// The same problems without repetitions, as services that share settings have them.
    #[must_use]
    pub fn each_once(self) -> Self {
        let mut once = Self::default();
        for problem in self.0 {
            if !once.0.contains(&problem) {
                once.0.push(problem);
            }
        }
        once
    }

    /// The single problems.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration has {} problem(s):", self.0.len())?;
        for problem in &self.0 {
            writeln!(f, "  {}: {}", problem.variable, problem.complaint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What a process can be told from outside: a group of settings that [`settings!`] declared, or
/// all groups of a process that [`configuration!`] put together.
pub trait Settings: Sized {
    /// The declarations, in order.
    fn variables() -> Vec<Variable>;

    /// Reads the values.
    ///
    /// # Errors
    /// Every missing or unusable value, named together with the fix.
    fn load(environment: &Environment) -> Result<Self, Problems>;
}

/// Declares a struct of settings.
///
/// ```
/// ingot_config::settings! {
///     /// Where the edge listens.
///     pub struct EdgeSettings {
///         /// Port for HTTP and WebSocket.
///         port: u16 = "PORT", default "7130";
///         /// Login of the root admin.
///         admin: Option<String> = "ROOT_ADMIN_USERNAME" or "ADMIN_EMAIL";
///     }
/// }
/// use ingot_config::{Environment, Settings};
/// let settings = EdgeSettings::load(&Environment::from_pairs([("PORT", "8000")])).unwrap();
/// assert_eq!(settings.port, 8000);
/// assert_eq!(settings.admin, None);
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field:ident : $type:ty = $variable:literal
                $(or $alias:literal)*
                $(, default $default:literal)? ;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        $vis struct $name {
            $( $(#[doc = $doc])* pub $field: $type, )*
        }

        impl $crate::Settings for $name {
            fn variables() -> ::std::vec::Vec<$crate::Variable> {
                ::std::vec![
                    $( $crate::Variable {
                        name: $variable,
                        aliases: &[$($alias),*],
                        default: $crate::first_or_none!($($default)?),
                        kind: <$type as $crate::SettingValue>::KIND,
                        meaning: &[$($doc),*],
                    }, )*
                ]
            }

            fn load(environment: &$crate::Environment) -> ::std::result::Result<Self, $crate::Problems> {
                let mut problems = $crate::Problems::default();
                $( let $field = environment.read::<$type>(
                    &[$variable $(, $alias)*],
                    $crate::first_or_none!($($default)?),
                    &mut problems,
                ); )*
                problems.into_result(|| Some(Self { $( $field: $field?, )* }))
            }
        }
    };
}

/// Puts the groups of a process together: all of them are loaded, and all problems of all of them
/// are told at once.
///
/// ```
/// ingot_config::settings! {
///     /// Where it listens.
///     pub struct Listen {
///         /// Port.
///         port: u16 = "PORT", default "7130";
///     }
/// }
/// ingot_config::configuration! {
///     /// Everything that this process is told.
///     pub struct Config {
///         /// Where it listens.
///         listen: Listen;
///     }
/// }
/// use ingot_config::{Environment, Settings};
/// assert_eq!(Config::variables().len(), 1);
/// assert_eq!(Config::load(&Environment::default()).unwrap().listen.port, 7130);
/// ```
#[macro_export]
macro_rules! configuration {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $( $(#[doc = $doc:literal])* $field:ident : $type:ty; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        $vis struct $name {
            $( $(#[doc = $doc])* pub $field: $type, )*
        }

        impl $crate::Settings for $name {
            fn variables() -> ::std::vec::Vec<$crate::Variable> {
                let mut variables = ::std::vec::Vec::new();
                $( variables.extend(<$type as $crate::Settings>::variables()); )*
                variables
            }

            fn load(environment: &$crate::Environment) -> ::std::result::Result<Self, $crate::Problems> {
                let mut problems = $crate::Problems::default();
                $( let $field = <$type as $crate::Settings>::load(environment)
                    .map_err(|more| problems.extend(more))
                    .ok(); )*
                problems.into_result(|| Some(Self { $( $field: $field?, )* }))
            }
        }
    };
}

/// `Some(literal)` or `None`; used by [`settings!`].
#[doc(hidden)]
#[macro_export]
macro_rules! first_or_none {
    () => {
        None
    };
    ($value:literal) => {
        Some($value)
    };
}
