//! What comes back for a batch: rows by statement, or the first error.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, Message, RowDescriptionBody};
use tokio_postgres::types::{FromSql, Type, WasNull};

use super::error::{Fault, WireError};
use crate::memory::Share;

/// Answers to the statements of a batch.
#[derive(Default)]
pub(crate) struct Answers {
    /// One for each statement that was completed.
    completed: Vec<Answer>,
    current: Answer,
    /// Names that are still to be parsed, in order.
    parses: VecDeque<Option<String>>,
    /// Names that have been parsed.
    pub(crate) prepared: Vec<String>,
    /// The first error: what it made of everything after it says nothing new.
    pub(crate) fault: Option<Fault>,
}

#[derive(Default)]
struct Answer {
    columns: Option<RowDescriptionBody>,
    rows: Vec<(DataRowBody, Option<Share>)>,
}

impl Answer {
    fn types(&self) -> Result<Arc<[Type]>, WireError> {
        let Some(columns) = &self.columns else {
            return Ok(Arc::default());
        };
        let known = |oid| Type::from_oid(oid).unwrap_or(Type::TEXT);
        let types = columns.fields().map(|field| Ok(known(field.type_oid())));
        let types: Vec<_> = types.collect().map_err(|error| WireError::broken(&error))?;
        Ok(types.into())
    }
}

impl Answers {
    pub(super) fn expecting(parses: Vec<Option<String>>, steps: usize) -> Self {
        Self {
            completed: Vec::with_capacity(steps),
            parses: parses.into(),
            ..Self::default()
        }
    }

    /// Takes in one message, and the share of memory that it is in. An error is the end of the
    /// connection.
    pub(super) fn take(&mut self, message: Message, share: Option<Share>) -> Result<(), WireError> {
        match message {
            Message::ParseComplete => self.prepared.extend(self.parses.pop_front().flatten()),
            Message::BindComplete | Message::CloseComplete | Message::NoData => {}
            Message::RowDescription(columns) => self.current.columns = Some(columns),
            Message::DataRow(row) => self.current.rows.push((row, share)),
            Message::CommandComplete(_) | Message::EmptyQueryResponse => {
                self.completed.push(std::mem::take(&mut self.current));
            }
            Message::ErrorResponse(body) => {
                let fault = Fault::read(body.fields());
                if fault.fatal {
                    return Err(WireError::Lost {
                        reason: fault.message,
                        begun: !self.completed.is_empty() || self.fault.is_some(),
                    });
                }
                self.current = Answer::default();
                self.fault.get_or_insert(fault);
            }
            _ => return Err(WireError::unexpected()),
        }
        Ok(())
    }

    /// The answers, if every statement succeeded.
    pub(crate) fn succeeded(mut self) -> Result<Self, WireError> {
        match self.fault.take() {
            Some(fault) => Err(fault.into()),
            None => Ok(self),
        }
    }

    /// Types of the columns of the statement at a place; none if it was prepared earlier.
    pub(crate) fn column_types(&self, place: usize) -> Arc<[Type]> {
        let answer = self.completed.get(place);
        let types = answer.and_then(|answer| answer.types().ok());
        types.unwrap_or_default()
    }

    /// Rows of the statement at a place.
    pub(crate) fn rows(&self, place: usize) -> Result<Vec<Row>, WireError> {
        let answer = self.completed.get(place);
        let answer = answer.ok_or_else(WireError::unexpected)?;
        let types = answer.types()?;
        let rows = answer.rows.iter();
        rows.map(|(data, share)| Row::new(data, share.clone(), types.clone()))
            .collect()
    }

    /// The first value of the first statement, as text.
    pub(super) fn first_text(&self) -> Option<String> {
        let rows = self.rows(0).ok()?;
        let value = rows.first()?.bytes(0)?;
        String::from_utf8(value.to_vec()).ok()
    }
}

/// One row in binary form.
pub(crate) struct Row {
    data: Bytes,
    share: Option<Share>,
    values: Vec<Option<Range<usize>>>,
    /// Types of the columns; empty for a statement that was prepared earlier.
    types: Arc<[Type]>,
}

impl Row {
    fn new(
        data: &DataRowBody,
        share: Option<Share>,
        types: Arc<[Type]>,
    ) -> Result<Self, WireError> {
        let values = data.ranges().collect();
        Ok(Self {
            data: data.buffer_bytes().clone(),
            share,
            values: values.map_err(|error| WireError::broken(&error))?,
            types,
        })
    }

    /// A value as it came; None for NULL.
    pub(crate) fn bytes(&self, index: usize) -> Option<&[u8]> {
        let range = self.values.get(index)?.clone()?;
        self.data.get(range)
    }

    /// A value as it came, sharing the memory that it was read into.
    pub(crate) fn shared(&self, index: usize) -> Option<Bytes> {
        let value = self.data.slice_ref(self.bytes(index)?);
        Some(match &self.share {
            Some(share) => share.clone().hold(value),
            None => value,
        })
    }

    /// A value of a described statement.
    pub(crate) fn get<'a, T: FromSql<'a>>(&'a self, index: usize) -> Result<T, WireError> {
        let mismatch = |error: Box<dyn std::error::Error + Send + Sync>| {
            tracing::error!(index, %error, "a column is not of the expected type");
            WireError::unexpected()
        };
        let of_type = self.types.get(index).ok_or_else(WireError::unexpected)?;
        if !T::accepts(of_type) {
            return Err(mismatch(of_type.name().into()));
        }
        match self.bytes(index) {
            Some(value) => T::from_sql(of_type, value).map_err(mismatch),
            None => T::from_sql_null(of_type).map_err(|_| mismatch(Box::new(WasNull))),
        }
    }
}
