//! Puts a dump together: which parts, in which order, in which format.

use std::fmt::Write;

use futures::TryStreamExt;
use ingot_http::timestamp;
use time::OffsetDateTime;

use super::definitions::{
    CLEARANCE, EARLY_FUNCTIONS, FUNCTIONS_JSON, LATE_FUNCTIONS, OWN_SEQUENCES, SEQUENCE_VALUES,
    SEQUENCES, SEQUENCES_JSON, TABLE, TABLE_EXTRAS, TABLE_JSON, TYPES, VIEWS, VIEWS_JSON,
};
use super::rows;
use super::sink::{Gone, Sink};
use super::store::{Column, Snapshot, Table};
use crate::database::{Values, write_string};

/// How a dump is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Sql,
    Json,
    Csv,
}

impl Format {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

/// What is around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// The contract's JSON object, the dump in `data`.
    Envelope,
    /// Nothing: the answer is the file.
    Bare,
}

/// What is exported, and how.
#[derive(Debug)]
pub(super) struct Request {
    /// Tables of `public`; empty means all.
    pub(super) tables: Vec<String>,
    pub(super) format: Format,
    pub(super) wrapping: Wrapping,
    pub(super) data: bool,
    pub(super) functions: bool,
    pub(super) sequences: bool,
    pub(super) views: bool,
    /// Most rows of each table.
    pub(super) row_limit: Option<i64>,
    pub(super) values: Values,
}

impl Request {
    pub(super) fn content_type(&self) -> &'static str {
        match (self.wrapping, self.format) {
            (Wrapping::Bare, Format::Sql) => "application/sql; charset=utf-8",
            (Wrapping::Bare, Format::Csv) => "text/csv; charset=utf-8; header=present",
            _ => "application/json",
        }
    }
}

/// Why a dump ends early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// Writes the whole answer.
pub(super) async fn write(
    snapshot: &mut Snapshot,
    request: &Request,
    sink: &mut Sink,
) -> Result<(), Failure> {
    let now = timestamp(OffsetDateTime::now_utc());
    let tables = snapshot.tables(&request.tables).await?;
    for missing in tables.iter().filter(|table| request.data && !table.exists) {
        snapshot.require(missing).await?;
    }
    let mut dump = Dump {
        snapshot,
        request,
        sink,
        truncated: Vec::new(),
    };
    if request.wrapping == Wrapping::Bare {
        return match request.format {
            Format::Csv => dump.csv(&tables).await,
            _ => dump.sql(&tables, &now).await,
        };
    }
    let head = format!("{{\"format\":\"{}\",\"data\":", request.format.name());
    dump.sink.write(&head).await?;
    match request.format {
        Format::Sql => {
            dump.sink.open_string().await?;
            dump.sql(&tables, &now).await?;
            dump.sink.close_string().await?;
        }
        Format::Json => dump.json(&tables, &now).await?,
        Format::Csv => dump.csv_by_table(&tables).await?,
    }
    let mut tail = format!(",\"timestamp\":\"{now}\"");
    if let (false, Some(limit)) = (dump.truncated.is_empty(), request.row_limit) {
        tail.push_str(",\"truncatedTables\":[");
        for (index, table) in dump.truncated.iter().enumerate() {
            tail.push_str(if index == 0 { "" } else { "," });
            write_string(&mut tail, table);
        }
        // Writing to a string cannot fail.
        let _ = write!(tail, "],\"rowLimit\":{limit}");
    }
    tail.push('}');
    Ok(dump.sink.write(&tail).await?)
}

struct Dump<'a> {
    snapshot: &'a mut Snapshot,
    request: &'a Request,
    sink: &'a mut Sink,
    /// Tables of which rows were left out.
    truncated: Vec<String>,
}

impl Dump<'_> {
    /// Definitions before the rows, so that nothing is in the way of these; what checks or reacts
    /// after them. The same script works where the objects are there already.
    async fn sql(&mut self, tables: &[Table], now: &str) -> Result<(), Failure> {
        let head = format!(
            "-- Database export of {now}\nSET client_encoding = 'UTF8';\n\
             SET standard_conforming_strings = on;\nSET check_function_bodies = false;\n\n"
        );
        self.sink.write(&head).await?;
        self.statements(TYPES, "").await?;
        if self.request.sequences {
            self.section("Sequences", SEQUENCES).await?;
        }
        if self.request.functions {
            self.section("Functions", EARLY_FUNCTIONS).await?;
        }
        for table in tables.iter().filter(|table| table.exists) {
            self.statements(CLEARANCE, &table.quoted).await?;
        }
        for table in tables {
            self.sink
                .write(&format!("\n-- Table: {}\n", commented(&table.name)))
                .await?;
            self.statements(OWN_SEQUENCES, &table.quoted).await?;
            self.statements(TABLE, &table.quoted).await?;
            if self.request.data {
                self.sql_rows(table).await?;
                self.statements(SEQUENCE_VALUES, &table.quoted).await?;
            }
        }
        if self.request.functions {
            self.section("Functions on tables", LATE_FUNCTIONS).await?;
        }
        for table in tables {
            self.statements(TABLE_EXTRAS, &table.quoted).await?;
        }
        if self.request.views {
            self.section("Views", VIEWS).await?;
        }
        Ok(())
    }

    async fn section(&mut self, title: &str, query: &'static str) -> Result<(), Failure> {
        self.sink.write(&format!("\n-- {title}\n")).await?;
        self.statements(query, "").await
    }

    async fn statements(&mut self, query: &'static str, subject: &str) -> Result<(), Failure> {
        for statement in self.snapshot.texts(query, subject).await? {
            self.sink.write(&statement).await?;
            self.sink.write("\n").await?;
        }
        Ok(())
    }

    /// `INSERT` for each row, or one `COPY` where the answer is the file.
    async fn sql_rows(&mut self, table: &Table) -> Result<(), Failure> {
        let mut columns = self.snapshot.columns(table).await?;
        columns.retain(|column| !column.computed);
        if let Some(total) = self.note_limit(table).await? {
            let limit = self.request.row_limit.unwrap_or_default();
            let warning = format!("-- WARNING: only {limit} of {total} rows are exported\n");
            self.sink.write(&warning).await?;
        }
        let as_copy = self.request.wrapping == Wrapping::Bare;
        if as_copy {
            let head = format!(
                "COPY {} ({}) FROM stdin;\n",
                table.quoted,
                rows::names(&columns)
            );
            self.sink.write(&head).await?;
        }
        let insert = rows::insert_head(&table.quoted, &columns);
        let query = self.copy_out(table, &columns, "");
        let mut chunks = self.snapshot.copy(&query).await?;
        let mut lines = Lines::default();
        let mut row = String::new();
        while let Some(chunk) = chunks.try_next().await? {
            if as_copy {
                self.sink.write(&String::from_utf8_lossy(&chunk)).await?;
                continue;
            }
            for line in lines.of(&chunk) {
                row.clear();
                row.push_str(&insert);
                rows::write_values(&mut row, &columns, &line);
                self.sink.write(&row).await?;
            }
        }
        if as_copy {
            self.sink.write("\\.\n").await?;
        }
        Ok(())
    }

    async fn json(&mut self, tables: &[Table], now: &str) -> Result<(), Failure> {
        self.sink
            .write(&format!("{{\"timestamp\":\"{now}\",\"tables\":{{"))
            .await?;
        for (index, table) in tables.iter().enumerate() {
            let mut head = String::from(if index == 0 { "" } else { "," });
            write_string(&mut head, &table.name);
            head.push(':');
            for definition in self.snapshot.texts(TABLE_JSON, &table.quoted).await? {
                head.push_str(&definition);
            }
            head.push_str(",\"rows\":[");
            self.sink.write(&head).await?;
            let mut exported = 0;
            if self.request.data {
                exported = self.json_rows(table).await?;
            }
            self.sink.write("]").await?;
            if self.request.data
                && let Some(total) = self.note_limit(table).await?
            {
                let counts = format!(
                    ",\"truncated\":true,\"exportedRowCount\":{exported},\"totalRowCount\":{total}"
                );
                self.sink.write(&counts).await?;
            }
            self.sink.write("}").await?;
        }
        self.sink.write("}").await?;
        for (name, wanted, query) in [
            ("functions", self.request.functions, FUNCTIONS_JSON),
            ("sequences", self.request.sequences, SEQUENCES_JSON),
            ("views", self.request.views, VIEWS_JSON),
        ] {
            let found = if wanted {
                self.snapshot.texts(query, "").await?
            } else {
                Vec::new()
            };
            self.sink
                .write(&format!(",\"{name}\":[{}]", found.join(",")))
                .await?;
        }
        Ok(self.sink.write("}").await?)
    }

    async fn json_rows(&mut self, table: &Table) -> Result<u64, Failure> {
        let columns = self.snapshot.columns(table).await?;
        let query = self.copy_out(table, &columns, "");
        let mut chunks = self.snapshot.copy(&query).await?;
        let mut lines = Lines::default();
        let mut row = String::new();
        let mut count = 0;
        while let Some(chunk) = chunks.try_next().await? {
            for line in lines.of(&chunk) {
                row.clear();
                row.push_str(if count == 0 { "" } else { "," });
                rows::write_object(&mut row, &columns, &line, self.request.values);
                self.sink.write(&row).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// The tables' rows as CSV, each with a header row.
    async fn csv(&mut self, tables: &[Table]) -> Result<(), Failure> {
        for table in tables {
            let columns = self.snapshot.columns(table).await?;
            let query = self.copy_out(table, &columns, " (format csv, header)");
            let mut chunks = self.snapshot.copy(&query).await?;
            while let Some(chunk) = chunks.try_next().await? {
                self.sink.write(&String::from_utf8_lossy(&chunk)).await?;
            }
        }
        Ok(())
    }

    async fn csv_by_table(&mut self, tables: &[Table]) -> Result<(), Failure> {
        self.sink.write("{").await?;
        for (index, table) in tables.iter().enumerate() {
            let mut head = String::from(if index == 0 { "" } else { "," });
            write_string(&mut head, &table.name);
            head.push(':');
            self.sink.write(&head).await?;
            self.sink.open_string().await?;
            self.csv(std::slice::from_ref(table)).await?;
            self.sink.close_string().await?;
            self.note_limit(table).await?;
        }
        Ok(self.sink.write("}").await?)
    }

    fn copy_out(&self, table: &Table, columns: &[Column], options: &str) -> String {
        let limit = match (self.request.data, self.request.row_limit) {
            (false, _) => " limit 0".to_owned(),
            (true, Some(limit)) => format!(" limit {limit}"),
            (true, None) => String::new(),
        };
        let (names, table) = (rows::names(columns), &table.quoted);
        format!("copy (select {names} from {table}{limit}) to stdout{options}")
    }

    /// Notes a table that has more rows than are exported, and says how many it has.
    async fn note_limit(&mut self, table: &Table) -> Result<Option<i64>, Failure> {
        let Some(limit) = self.request.row_limit else {
            return Ok(None);
        };
        let total = self.snapshot.rows_beyond(table, limit).await?;
        if total.is_some() {
            self.truncated.push(table.name.clone());
        }
        Ok(total)
    }
}

/// A name inside of a comment of one line.
fn commented(name: &str) -> String {
    name.replace(['\n', '\r'], " ")
}

/// Puts chunks together to lines.
#[derive(Default)]
struct Lines {
    /// The beginning of a line whose end has not come.
    begun: String,
}

impl Lines {
    fn of(&mut self, chunk: &[u8]) -> Vec<String> {
        self.begun.push_str(&String::from_utf8_lossy(chunk));
        let mut lines = Vec::new();
        while let Some(end) = self.begun.find('\n') {
            let rest = self.begun.split_off(end + 1);
            let mut line = std::mem::replace(&mut self.begun, rest);
            line.pop();
            lines.push(line);
        }
        lines
    }
}
