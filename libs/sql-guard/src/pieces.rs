//! Reads a long text piece by piece, with a syntax tree only where a rule could find something:
//! trees cost ten times as much as parsing, and fifty times as much memory as the text.
//!
//! A text comes to the same statements in pieces as it does as a whole if every piece ends with a
//! `;` that the parser takes for the end of a statement: it begins the next one as it began the
//! first. Wherever that, or anything else, is not plainly so, the answer is `None`, and the caller
//! takes the whole text; so every refusal is told by the whole text, too.

use std::ops::Range;

use crate::rules::Profile;
use crate::script::{Script, Statement};
use crate::{boundary, inspect, parser, plain, simple};

/// Bytes that are parsed at a time; a longer statement is parsed alone.
const PIECE: usize = 32 * 1024;

/// The statements of `text` if the profile's rules admit all of them; `None` if that cannot be told
/// here.
pub(crate) fn read(text: &str, profile: Option<Profile>) -> Option<Script> {
    // The parser would stop at it.
    if text.contains('\0') {
        return None;
    }
    let mut script = Script {
        statements: Vec::new(),
    };
    let (mut at, mut piece) = (boundary::gap(text.as_bytes()), 0..0);
    while at < text.len() {
        let rest = text.get(at..)?;
        if let Some((statement, length)) = plain::insert(rest) {
            parse(text, &piece, profile, &mut script.statements)?;
            script.statements.push(statement);
            at += length;
            piece = at..at;
        } else {
            if piece.is_empty() {
                piece.start = at;
            }
            at += boundary::statement(rest.as_bytes()).unwrap_or(rest.len());
            piece.end = at;
            if piece.len() >= PIECE {
                parse(text, &piece, profile, &mut script.statements)?;
                piece = at..at;
            }
        }
        at += boundary::gap(text.get(at..)?.as_bytes());
    }
    parse(text, &piece, profile, &mut script.statements)?;
    Some(script)
}

/// Adds the statements of a piece.
fn parse(
    text: &str,
    piece: &Range<usize>,
    profile: Option<Profile>,
    statements: &mut Vec<Statement>,
) -> Option<()> {
    if piece.is_empty() {
        return Some(());
    }
    let is_last = piece.end == text.len();
    let piece = text.get(piece.clone())?;
    let slices = parser::split(piece).ok()?;
    let places: Vec<Range<usize>> = slices.iter().map(|slice| place(piece, slice)).collect();
    // Without the `;`, which is where the last statement ends.
    if !is_last && places.last()?.end + 1 != piece.len() {
        return None;
    }
    // Neighbours that need a tree are parsed together.
    let mut unjudged: Option<Unjudged> = None;
    for (slice, place) in slices.iter().zip(places) {
        if let Some(statement) = simple::statement(slice) {
            if let Some(unjudged) = unjudged.take() {
                unjudged.judge(piece, profile, statements)?;
            }
            statements.push(statement);
        } else {
            let unjudged = unjudged.get_or_insert(Unjudged {
                place: place.clone(),
                count: 0,
            });
            unjudged.place.end = place.end;
            unjudged.count += 1;
        }
    }
    unjudged.map_or(Some(()), |it| it.judge(piece, profile, statements))
}

/// Where a part of `text` stands in it.
fn place(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

/// Neighbouring statements that the rules have to see.
struct Unjudged {
    place: Range<usize>,
    count: usize,
}

impl Unjudged {
    fn judge(
        self,
        piece: &str,
        profile: Option<Profile>,
        statements: &mut Vec<Statement>,
    ) -> Option<()> {
        let text = piece.get(self.place)?;
        let parsed = parser::parse(text).ok()?;
        if let Some(profile) = profile {
            inspect::inspect(profile, &parsed.protobuf).ok()?;
        }
        let script = Script::of(text, &parsed.protobuf);
        (script.statements.len() == self.count).then(|| statements.extend(script.statements))
    }
}
