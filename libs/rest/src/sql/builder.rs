//! Text and parameters of a statement that grows from left to right.

use bytes::Bytes;

use crate::schema::ObjectName;

/// A parameter value. It is sent as text and PostgreSQL decides its type from the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parameter {
    Text(String),
    /// A request body.
    Body(Bytes),
}

/// A statement under construction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sql {
    text: String,
    parameters: Vec<Parameter>,
    aliases: usize,
}

impl Sql {
    pub(crate) fn new() -> Self {
        Self {
            text: String::with_capacity(512),
            ..Self::default()
        }
    }

    /// Fixed text.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A quoted identifier.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        self.text.push('"');
        for c in name.chars() {
            if c == '"' {
                self.text.push('"');
            }
            self.text.push(c);
        }
        self.text.push('"');
        self
    }

    /// A schema-qualified name.
    pub(super) fn object(&mut self, object: &ObjectName) -> &mut Self {
        self.name(&object.schema).push(".").name(&object.name)
    }

    /// `alias.column`
    pub(super) fn column(&mut self, alias: &str, column: &str) -> &mut Self {
        self.name(alias).push(".").name(column)
    }

    /// A placeholder for a value.
    pub(super) fn value(&mut self, value: impl Into<String>) -> &mut Self {
        self.parameter(Parameter::Text(value.into()))
    }

    pub(super) fn parameter(&mut self, parameter: Parameter) -> &mut Self {
        self.parameters.push(parameter);
        self.text.push('$');
        self.text.push_str(&self.parameters.len().to_string());
        self
    }

    /// Items with a separator between them.
    pub(super) fn list<T>(
        &mut self,
        separator: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.push(separator);
            }
            write(self, item);
        }
        self
    }

    /// A new alias that no other part of the statement has.
    pub(super) fn fresh_alias(&mut self) -> String {
        self.aliases += 1;
        format!("pgrst_{}", self.aliases)
    }

    pub(crate) fn finish(self) -> (String, Vec<Parameter>) {
        (self.text, self.parameters)
    }
}
