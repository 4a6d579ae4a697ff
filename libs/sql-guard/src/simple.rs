//! Recognises statements in which no rule can find anything, by their first words, so that the
//! parser need not build a tree of them for us.
//!
//! The parser has read the statement before: what stands here is grammatical. The first words say
//! what kind of statement it is, and none of these kinds can contain a statement that a rule
//! refuses. What is left is calls of functions, and a function that is called by its name has that
//! name in the text. Names are looked for everywhere, also in strings and comments: a false alarm
//! costs time, nothing else.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::boundary;
use crate::reader::Reader;
use crate::rules;
use crate::script::{Change, ChangeKind, Statement};

/// Longest statement that is judged here, in bytes. A longer one could nest more deeply than the
/// parser's trees may, which is some 5000 levels, and must be refused like others that do. Not
/// optimised, the parser needs so much of the stack that it stops earlier.
const MAX_LENGTH: usize = if cfg!(debug_assertions) { 512 } else { 4096 };

static WATCHED: LazyLock<Watched> = LazyLock::new(Watched::new);

/// Names that a rule or the inspection looks for, whoever calls them.
struct Watched {
    names: HashSet<&'static [u8]>,
    /// For each byte that a name begins with, a bit for each length: most words are told by it.
    lengths: [u64; 256],
}

impl Watched {
    fn new() -> Self {
        let executing = rules::EXECUTING.iter().copied();
        let names: HashSet<_> = rules::called()
            .chain(executing)
            .map(str::as_bytes)
            .collect();
        let mut lengths = [0; 256];
        for name in &names {
            if let Some(lengths) = name.first().and_then(|b| lengths.get_mut(usize::from(*b))) {
                *lengths |= length_bit(name);
            }
        }
        Self { names, lengths }
    }

    fn has(&self, word: &[u8]) -> bool {
        let first = word.first().map_or(0, u8::to_ascii_lowercase);
        let lengths = self.lengths.get(usize::from(first)).copied();
        lengths.unwrap_or_default() & length_bit(word) != 0
            && self.names.contains(word.to_ascii_lowercase().as_slice())
    }
}

/// Names have at most 63 bytes.
fn length_bit(word: &[u8]) -> u64 {
    u32::try_from(word.len()).map_or(0, |length| 1_u64.checked_shl(length).unwrap_or_default())
}

/// What is to be known of the statement, which the parser has read, if it is simple.
pub(crate) fn statement(slice: &str) -> Option<Statement> {
    if slice.len() > MAX_LENGTH {
        return None;
    }
    let text = slice.get(boundary::gap(slice.as_bytes())..)?.trim_end();
    let words = Words::of(text)?;
    let mut reader = Reader::new(text);
    let first = reader.bare()?.to_ascii_lowercase();
    if first == "insert" {
        reader.word("into")?;
        return Some(Statement::insert(text, relation(&mut reader)?));
    }
    let bare = Statement::new(text);
    Some(match first.as_str() {
        "select" if !words.into => Statement {
            is_query: true,
            counts_rows: true,
            ..bare
        },
        "update" => changing(bare, ChangeKind::Records, relation(&mut reader)?),
        "delete" => {
            reader.word("from")?;
            changing(bare, ChangeKind::Records, relation(&mut reader)?)
        }
        "create" => created(bare, &mut reader)?,
        "alter" if !words.drops_or_types => {
            reader.word("table")?;
            altered(bare, &mut reader)?
        }
        "comment" => {
            reader.word("on")?;
            let object = reader.bare()?.to_ascii_lowercase();
            let known = ["table", "column", "index", "function", "view", "policy"];
            known.contains(&object.as_str()).then_some(())?;
            Statement {
                changes_schema: true,
                ..bare
            }
        }
        _ => return None,
    })
}

fn changing(bare: Statement, kind: ChangeKind, relation: String) -> Statement {
    let rows = kind == ChangeKind::Records;
    Statement {
        counts_rows: rows,
        changes_schema: !rows,
        change: Some(Change {
            kind,
            name: Some(relation),
        }),
        ..bare
    }
}

fn created(bare: Statement, reader: &mut Reader<'_>) -> Option<Statement> {
    let mut filled_table = None;
    let kind = match reader.bare()?.to_ascii_lowercase().as_str() {
        "table" => {
            filled_table = Some(new_table(reader)?);
            ChangeKind::Tables
        }
        "unique" => {
            reader.word("index")?;
            ChangeKind::Index
        }
        "index" => ChangeKind::Index,
        "policy" => ChangeKind::Policy,
        "trigger" => ChangeKind::Trigger,
        _ => return None,
    };
    Some(Statement {
        changes_schema: true,
        filled_table,
        change: Some(Change { kind, name: None }),
        ..bare
    })
}

/// The name of a table with columns of its own. `CREATE TABLE t (a, b) AS` has names only.
fn new_table(reader: &mut Reader<'_>) -> Option<String> {
    let mut ahead = *reader;
    if ahead.word("if").is_some() {
        ahead.word("not")?;
        ahead.word("exists")?;
        *reader = ahead;
    }
    let table = relation(reader)?;
    reader.symbol(b'(')?;
    reader.name()?;
    let begins_type = |byte: u8| byte.is_ascii_alphabetic() || byte == b'"';
    begins_type(reader.peek()?).then_some(table)
}

/// `ADD` and `ENABLE` are of `ALTER TABLE` itself; that nothing is dropped and no type is changed
/// beside it, the caller has seen.
fn altered(bare: Statement, reader: &mut Reader<'_>) -> Option<Statement> {
    let mut ahead = *reader;
    if ahead.word("only").is_some() {
        *reader = ahead;
    }
    let table = relation(reader)?;
    let action = reader.bare()?.to_ascii_lowercase();
    let known = matches!(action.as_str(), "add" | "enable");
    known.then(|| changing(bare, ChangeKind::Table, table))
}

/// `schema.table`; a name with three parts is left to the parser.
fn relation(reader: &mut Reader<'_>) -> Option<String> {
    let table = reader.table()?;
    (reader.peek() != Some(b'.')).then_some(table)
}

/// Words that matter, wherever they stand.
#[derive(Default)]
struct Words {
    into: bool,
    drops_or_types: bool,
}

impl Words {
    /// `None` if a watched name is among them, or could be.
    fn of(text: &str) -> Option<Self> {
        // A name in `U&"..."` may be written in digits.
        if text.contains("&\"") {
            return None;
        }
        let mut words = Self::default();
        let ends_word = |byte: &u8| !(byte.is_ascii_alphanumeric() || *byte == b'_');
        for word in text.as_bytes().split(ends_word) {
            if WATCHED.has(word) {
                return None;
            }
            let is = |keyword: &[u8]| word.eq_ignore_ascii_case(keyword);
            words.into |= is(b"into");
            words.drops_or_types |= is(b"drop") || is(b"type");
        }
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watched_names_are_found_in_any_case() {
        for name in WATCHED.names.iter().copied() {
            assert!(WATCHED.has(name) && WATCHED.has(&name.to_ascii_uppercase()));
            assert!(!WATCHED.has(&[name, b"_x".as_slice()].concat()));
        }
        assert!(!WATCHED.has(b"") && !WATCHED.has(&[b'p'; 100]));
    }
}
