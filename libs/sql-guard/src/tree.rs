//! A walk over every node of a syntax tree.
//!
//! The parser's node types derive `Serialize`, so the walk is a serializer that writes nothing: it
//! visits whatever the tree contains, also node types that a newer grammar brings. A hand-written
//! match over 270 node types would forget some, which is what a guard must not do.

use std::fmt;

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};

/// A node as the rules see it: its kind and its own plain fields.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// Name of the node type, for example `FuncCall`.
    pub(crate) kind: &'static str,
    /// Whether the node belongs to the definition of a function, such as its `SET` clause.
    pub(crate) in_function: bool,
    /// Whether the node belongs to a statement that defines a body: a function or a `DO` block.
    pub(crate) in_body_definition: bool,
    /// Whether the node belongs to the definition of an aggregate, operator or type.
    pub(crate) in_definition: bool,
    fields: &'a [(&'static str, Field)],
}

impl Found<'_> {
    /// A text field, empty if there is none. Of a list of names it is the last one.
    pub(crate) fn text(&self, name: &str) -> &str {
        let last =
            self.fields.iter().rev().find_map(
                |(key, field)| {
                    if *key == name { field.as_text() } else { None }
                },
            );
        last.unwrap_or_default()
    }

    /// All texts of a field.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter_map(move |(key, field)| field.as_text().filter(|_| *key == name))
    }

    /// A number, flag or enumeration field, 0 if there is none.
    pub(crate) fn number(&self, name: &str) -> i64 {
        let found = self.fields.iter().find_map(|(key, field)| match field {
            Field::Number(number) if *key == name => Some(*number),
            _ => None,
        });
        found.unwrap_or_default()
    }
}

#[derive(Debug)]
enum Field {
    Text(String),
    Number(i64),
}

impl Field {
    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) => None,
        }
    }
}

/// Calls `visit` for every statement node, function call and definition element below `tree`.
pub(crate) fn visit(tree: &impl Serialize, visit: &mut dyn FnMut(&Found<'_>)) {
    let mut walk = Walk {
        frames: Vec::new(),
        visit,
    };
    // The only error is one that a `Serialize` makes by itself; derived ones make none.
    if let Err(error) = tree.serialize(&mut walk) {
        tracing::warn!(%error, "a syntax tree could not be walked");
    }
}

/// Nodes whose fields the rules look at. Statements are many but rare, calls are frequent.
fn is_watched(kind: &str) -> bool {
    kind.ends_with("Stmt") || matches!(kind, "FuncCall" | "DefElem")
}

struct Frame {
    kind: &'static str,
    key: &'static str,
    watched: bool,
    fields: Vec<(&'static str, Field)>,
}

struct Walk<'v> {
    frames: Vec<Frame>,
    visit: &'v mut dyn FnMut(&Found<'_>),
}

impl Walk<'_> {
    fn enter(&mut self, kind: &'static str) {
        self.frames.push(Frame {
            kind,
            key: "",
            watched: is_watched(kind),
            fields: Vec::new(),
        });
    }

    fn leave(&mut self) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        if frame.watched {
            let inside = |kinds: &[&str]| self.frames.iter().any(|f| kinds.contains(&f.kind));
            (self.visit)(&Found {
                kind: frame.kind,
                in_function: inside(&["CreateFunctionStmt", "AlterFunctionStmt"]),
                in_body_definition: inside(&["CreateFunctionStmt", "DoStmt"]),
                in_definition: inside(&["DefineStmt"]),
                fields: &frame.fields,
            });
        } else if frame.kind == "String" {
            // A name: it belongs to the field that the nearest real node is filling.
            for (_, field) in frame.fields {
                self.record(field);
            }
        }
    }

    /// Adds a value to the field that is being filled, if anyone will look at it.
    fn record(&mut self, field: Field) {
        // `Node` and `List` are only wrappers. Constants and names belong to what they are given to,
        // where somebody asks for those: settings, calls, definitions.
        let is_text = matches!(field, Field::Text(_));
        let owner = self.frames.iter_mut().rev().find(|frame| match frame.kind {
            "Node" | "List" => false,
            "AConst" | "TypeName" | "TypeCast" => !is_text,
            _ => true,
        });
        if let Some(frame) = owner
            && (frame.watched || frame.kind == "String")
        {
            frame.fields.push((frame.key, field));
        }
    }
}

/// An error of a `Serialize` implementation.
#[derive(Debug)]
pub(crate) struct WalkError(String);

impl fmt::Display for WalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WalkError {}

impl ser::Error for WalkError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Done = Result<(), WalkError>;

macro_rules! numbers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Done {
            self.record(Field::Number(i64::from(value)));
            Ok(())
        })*
    };
}

impl ser::Serializer for &mut Walk<'_> {
    type Ok = ();
    type Error = WalkError;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32);

    fn serialize_u64(self, value: u64) -> Done {
        self.record(Field::Number(i64::try_from(value).unwrap_or(i64::MAX)));
        Ok(())
    }

    fn serialize_f32(self, _: f32) -> Done {
        Ok(())
    }

    fn serialize_f64(self, _: f64) -> Done {
        Ok(())
    }

    fn serialize_char(self, _: char) -> Done {
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Done {
        if !value.is_empty() {
            self.record(Field::Text(value.to_owned()));
        }
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Done {
        Ok(())
    }

    fn serialize_none(self) -> Done {
        Ok(())
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Done {
        Ok(())
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Done {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, WalkError> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, WalkError> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, WalkError> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, WalkError> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, WalkError> {
        Ok(self)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Self, WalkError> {
        self.enter(name);
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Self, WalkError> {
        self.enter(name);
        Ok(self)
    }
}

macro_rules! elements {
    ($($trait:ident::$method:ident),*) => {
        $(impl $trait for &mut Walk<'_> {
            type Ok = ();
            type Error = WalkError;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Done {
                value.serialize(&mut **self)
            }

            fn end(self) -> Done {
                Ok(())
            }
        })*
    };
}

elements!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

impl SerializeMap for &mut Walk<'_> {
    type Ok = ();
    type Error = WalkError;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, _: &T) -> Done {
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Done {
        value.serialize(&mut **self)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

macro_rules! fields {
    ($($trait:ident),*) => {
        $(impl $trait for &mut Walk<'_> {
            type Ok = ();
            type Error = WalkError;

            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Done {
                if let Some(frame) = self.frames.last_mut() {
                    frame.key = key;
                }
                value.serialize(&mut **self)
            }

            fn end(self) -> Done {
                self.leave();
                Ok(())
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);
