//! Reads a file of rows and sorts them by the set of their columns, as lines of `COPY`. Runs where
//! blocking is fine, in bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::meter::{MAX_ROW, Meter, Metered};
use super::{quotes, text};
use crate::database::{JsonKind, json_text};

/// Bytes of lines that are handed on together.
const BATCH: usize = 256 * 1024;

/// Bytes of lines that wait, over all sets of columns.
const MAX_WAITING: usize = 8 * 1024 * 1024;

/// Most different sets of columns in one file.
const MAX_GROUPS: usize = 1000;

/// What was found in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A set of columns; sets are numbered from 0.
    Columns(Vec<String>),
    /// Rows with the columns of a set, as lines of `COPY`.
    Rows { group: usize, lines: Vec<u8> },
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("The CSV file cannot be read: {0}")]
    Csv(#[from] csv::Error),
    /// Where the record begins whose quotes do not end.
    #[error(
        "The CSV file ends inside quotes, in the row that begins on line {0}: it may have been cut off"
    )]
    OpenQuotes(u64),
    #[error(
        "A row is longer than {} MiB: it may be the rest of the file, behind a quote or bracket that \
         does not end",
        MAX_ROW >> 20
    )]
    RowTooLong,
    #[error("the file cannot be read back")]
    Read(#[from] io::Error),
    #[error("The JSON file cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("The rows have more than {MAX_GROUPS} different sets of columns")]
    TooManyGroups,
    /// The other end has failed and says so itself.
    #[error("nobody listens")]
    Gone,
}

/// Takes what is found; `false` when nobody wants more.
pub(super) type Taker<'a> = &'a mut dyn FnMut(Found) -> bool;

/// Reads CSV with a header row. Empty fields are NULL. Returns the number of rows.
pub(super) fn read_csv(file: impl Read + Seek, taker: Taker<'_>) -> Result<u64, ReadError> {
    let meter = Meter::default();
    let read = read_csv_metered(file, &meter, taker);
    if meter.is_exceeded() {
        return Err(ReadError::RowTooLong);
    }
    read
}

fn read_csv_metered(
    file: impl Read + Seek,
    meter: &Meter,
    taker: Taker<'_>,
) -> Result<u64, ReadError> {
    let meter = meter.clone();
    let mut reader = csv::ReaderBuilder::new()
        .buffer_capacity(BATCH)
        .from_reader(Metered {
            file,
            meter: meter.clone(),
        });
    let columns: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    let mut columns = Some(columns);
    let mut lines = Vec::with_capacity(BATCH + BATCH / 4);
    let mut record = csv::StringRecord::new();
    let mut count = 0;
    let mut last = csv::Position::new();
    while reader.read_record(&mut record)? {
        meter.begin_row();
        if let Some(columns) = columns.take()
            && !taker(Found::Columns(columns))
        {
            return Err(ReadError::Gone);
        }
        for (index, field) in record.iter().enumerate() {
            let text = (!field.is_empty()).then_some(field);
            text::push_field(&mut lines, index == 0, text);
        }
        lines.push(b'\n');
        count += 1;
        last = record.position().cloned().unwrap_or(last);
        if lines.len() >= BATCH {
            let full = std::mem::replace(&mut lines, Vec::with_capacity(BATCH + BATCH / 4));
            if !taker(Found::Rows {
                group: 0,
                lines: full,
            }) {
                return Err(ReadError::Gone);
            }
        }
    }
    let mut file = reader.into_inner().file;
    file.seek(SeekFrom::Start(last.byte()))?;
    if quotes::are_open(BufReader::new(file))? {
        return Err(ReadError::OpenQuotes(last.line()));
    }
    if !lines.is_empty() && !taker(Found::Rows { group: 0, lines }) {
        return Err(ReadError::Gone);
    }
    Ok(count)
}

/// Reads a JSON array of objects, or one object. `kinds` are those of the table's columns. Returns
/// the number of rows.
pub(super) fn read_json(
    file: impl Read,
    kinds: &HashMap<String, JsonKind>,
    taker: Taker<'_>,
) -> Result<u64, ReadError> {
    let meter = Meter::default();
    let mut sorter = Sorter {
        kinds,
        taker,
        meter: meter.clone(),
        groups: Vec::new(),
        by_columns: HashMap::new(),
        waiting: 0,
        count: 0,
        failure: None,
    };
    let file = Metered {
        file,
        meter: meter.clone(),
    };
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(BATCH, file));
    let read = Records(&mut sorter).deserialize(&mut json);
    if meter.is_exceeded() {
        return Err(ReadError::RowTooLong);
    }
    if let Some(failure) = sorter.failure.take() {
        return Err(failure);
    }
    read?;
    json.end()?;
    for group in 0..sorter.groups.len() {
        sorter.hand_on(group)?;
    }
    Ok(sorter.count)
}

type Record = BTreeMap<String, Box<RawValue>>;

/// Rows of one set of columns that wait to be handed on.
struct Group {
    columns: Vec<(String, JsonKind)>,
    lines: Vec<u8>,
}

struct Sorter<'a> {
    kinds: &'a HashMap<String, JsonKind>,
    taker: Taker<'a>,
    meter: Meter,
    groups: Vec<Group>,
    by_columns: HashMap<Vec<String>, usize>,
    waiting: usize,
    count: u64,
    failure: Option<ReadError>,
}

impl Sorter<'_> {
    fn take(&mut self, record: &Record) -> Result<(), ReadError> {
        self.meter.begin_row();
        let index = self.group_of(record)?;
        let Some(group) = self.groups.get_mut(index) else {
            return Err(ReadError::Gone);
        };
        let before = group.lines.len();
        for (place, (value, (_, kind))) in record.values().zip(&group.columns).enumerate() {
            let text = json_text(value, *kind).filter(|text| !text.is_empty());
            text::push_field(&mut group.lines, place == 0, text.as_deref());
        }
        group.lines.push(b'\n');
        self.count += 1;
        self.waiting += group.lines.len() - before;
        if group.lines.len() >= BATCH {
            return self.hand_on(index);
        }
        if self.waiting >= MAX_WAITING {
            let sizes = self
                .groups
                .iter()
                .map(|group| group.lines.len())
                .enumerate();
            if let Some((longest, _)) = sizes.max_by_key(|(_, size)| *size) {
                return self.hand_on(longest);
            }
        }
        Ok(())
    }

    /// The columns of a record and of its group stand in the order of their names.
    fn group_of(&mut self, record: &Record) -> Result<usize, ReadError> {
        if let Some(last) = self.groups.len().checked_sub(1)
            && let Some(group) = self.groups.get(last)
            && group.columns.iter().map(|(name, _)| name).eq(record.keys())
        {
            return Ok(last);
        }
        let columns: Vec<String> = record.keys().cloned().collect();
        if let Some(known) = self.by_columns.get(&columns) {
            return Ok(*known);
        }
        if self.groups.len() == MAX_GROUPS {
            return Err(ReadError::TooManyGroups);
        }
        let kind = |name: &String| self.kinds.get(name).copied().unwrap_or_default();
        self.groups.push(Group {
            columns: columns
                .iter()
                .map(|name| (name.clone(), kind(name)))
                .collect(),
            lines: Vec::new(),
        });
        self.by_columns
            .insert(columns.clone(), self.groups.len() - 1);
        if !(self.taker)(Found::Columns(columns)) {
            return Err(ReadError::Gone);
        }
        Ok(self.groups.len() - 1)
    }

    fn hand_on(&mut self, index: usize) -> Result<(), ReadError> {
        let Some(group) = self.groups.get_mut(index) else {
            return Ok(());
        };
        let lines = std::mem::take(&mut group.lines);
        self.waiting -= lines.len();
        let found = Found::Rows {
            group: index,
            lines,
        };
        if (self.taker)(found) {
            Ok(())
        } else {
            Err(ReadError::Gone)
        }
    }
}

/// Reads records one by one instead of all of them.
struct Records<'a, 'b>(&'a mut Sorter<'b>);

impl<'de> DeserializeSeed<'de> for Records<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Records<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        while let Some(record) = records.next_element::<Record>()? {
            if let Err(failure) = self.0.take(&record) {
                self.0.failure = Some(failure);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, record: A) -> Result<(), A::Error> {
        let record = Record::deserialize(MapAccessDeserializer::new(record))?;
        self.0.take(&record).map_err(|failure| {
            self.0.failure = Some(failure);
            A::Error::custom("stopped")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn collect(read: impl FnOnce(Taker<'_>) -> Result<u64, ReadError>) -> (u64, Vec<Found>) {
        let mut found = Vec::new();
        let count = read(&mut |part| {
            found.push(part);
            true
        });
        (count.unwrap(), found)
    }

    fn rows(group: usize, lines: &str) -> Found {
        Found::Rows {
            group,
            lines: lines.into(),
        }
    }

    #[test]
    fn csv_is_read_with_its_header() {
        let read = |file: &'static str, taker: Taker<'_>| read_csv(Cursor::new(file), taker);
        let file = "\u{feff}id,name\n1,\"a,\"\"b\"\"\n\"\n\n2,\n";
        let (count, found) = collect(|taker| read(file, taker));
        assert_eq!(count, 2);
        let columns = Found::Columns(vec!["id".into(), "name".into()]);
        assert_eq!(found, [columns, rows(0, "1\ta,\"b\"\\n\n2\t\\N\n")]);
        let broken = read("a,b\n1\n", &mut |_| true);
        assert!(matches!(broken, Err(ReadError::Csv(_))));
        assert_eq!(collect(|taker| read("a,b\n", taker)), (0, vec![]));
        let cut = read("a,b\n1,\"x\ny\"\n2,\"z\n3,c\n", &mut |_| true);
        assert!(matches!(cut, Err(ReadError::OpenQuotes(4))), "{cut:?}");
    }

    #[test]
    fn json_rows_are_sorted_by_their_columns() {
        let file = r#" [{"b":1,"a":2}, {"a":3}, {"a":4,"b":null}] "#;
        let kinds = HashMap::new();
        let (count, found) = collect(|taker| read_json(file.as_bytes(), &kinds, taker));
        assert_eq!(count, 3);
        assert_eq!(
            found,
            [
                Found::Columns(vec!["a".into(), "b".into()]),
                Found::Columns(vec!["a".into()]),
                rows(0, "2\t1\n4\t\\N\n"),
                rows(1, "3\n"),
            ]
        );
        let (count, _) = collect(|taker| read_json(r#"{"a":1}"#.as_bytes(), &kinds, taker));
        assert_eq!(count, 1);
        for broken in ["", "5", "[1]", "[{\"a\":1}", "[] []", "[{\"a\":}]"] {
            let read = read_json(broken.as_bytes(), &kinds, &mut |_| true);
            assert!(matches!(read, Err(ReadError::Json(_))), "{broken}");
        }
    }

    #[test]
    fn no_row_takes_the_rest_of_the_file_into_memory() {
        let endless = |start: &str| {
            let rest = io::repeat(b'x').take(u64::try_from(4 * MAX_ROW).unwrap());
            Cursor::new(start.to_owned()).chain(rest)
        };
        let kinds = HashMap::new();
        for start in ["[{\"a\":1},{\"a\":\"", "{\"a\":\""] {
            let read = read_json(endless(start), &kinds, &mut |_| true);
            assert!(matches!(read, Err(ReadError::RowTooLong)), "{read:?}");
        }
        let row = "x".repeat(MAX_ROW + 2 * BATCH);
        for start in ["a\n1\n\"", "\""] {
            let read = read_csv(Cursor::new(format!("{start}{row}")), &mut |_| true);
            assert!(matches!(read, Err(ReadError::RowTooLong)), "{read:?}");
        }
        // Many rows are no long one.
        let many = "1\n".repeat(MAX_ROW);
        let read = read_csv(Cursor::new(format!("a\n{many}")), &mut |_| true);
        assert!(read.is_ok(), "{read:?}");
    }

    #[test]
    fn what_waits_is_bounded() {
        let columns =
            |index: usize| format!("{{\"c{}\":\"{}\"}},", index % 100, "x".repeat(10_000));
        let file: String = (0..2000).map(columns).collect();
        let file = format!("[{}]", file.trim_end_matches(','));
        let kinds = HashMap::new();
        let (count, found) = collect(|taker| read_json(file.as_bytes(), &kinds, taker));
        assert_eq!(count, 2000);
        for part in found {
            assert!(
                matches!(part, Found::Columns(_))
                    || matches!(part, Found::Rows { lines, .. } if lines.len() < BATCH + 10_100)
            );
        }
        let many: Vec<_> = (0..=MAX_GROUPS)
            .map(|i| format!("{{\"c{i}\":1}}"))
            .collect();
        let file = format!("[{}]", many.join(","));
        let read = read_json(file.as_bytes(), &kinds, &mut |_| true);
        assert!(matches!(read, Err(ReadError::TooManyGroups)));
    }
}
