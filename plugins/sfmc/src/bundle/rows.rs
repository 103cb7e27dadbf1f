//! The rows of a data extension, made from the inputs.

use stagewright_plugin::StageError;

use super::Bundle;
use super::people::{Inputs, Person};
use crate::cells::{Cell, Input};
use crate::definition::{Field, From};

/// The columns that fields are taken from, read once.
pub(super) fn cells<'a>(fields: &[Field], inputs: &Inputs<'a>) -> Result<Vec<Vec<Cell<'a>>>, StageError> {
    let connected = |input: Option<Input<'a>>, field: &Field| {
        input.ok_or_else(|| {
            StageError::data(format!("field `{}` is from `{}`, to which nothing is connected", field.name, field.from))
        })
    };
    fields
        .iter()
        .map(|field| match field.source() {
            Some(From::Contacts(column)) => inputs.contacts.cells(column),
            Some(From::Messages(column)) => connected(inputs.messages, field)?.cells(column),
            Some(From::Recommendations(column, _)) => connected(inputs.recommendations, field)?.cells(column),
            Some(From::SubscriberKey | From::Variant) | None => Ok(Vec::new()),
        })
        .collect()
}

/// Where rows are made from.
pub(super) struct Source<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) fields: &'a [Field],
    pub(super) cells: Vec<Vec<Cell<'a>>>,
    pub(super) inputs: &'a Inputs<'a>,
}

impl Source<'_> {
    /// The row of a person.
    ///
    /// # Errors
    /// The first value that does not fit its field.
    pub(super) fn row(
        &self,
        person: &Person,
        contact: usize,
        key: &str,
        variant: &str,
    ) -> Result<Vec<String>, StageError> {
        let inputs = self.inputs;
        let mut values = Vec::with_capacity(self.fields.len());
        for (field, cells) in self.fields.iter().zip(&self.cells) {
            let at = |row: Option<usize>| row.and_then(|row| cells.get(row).copied()).unwrap_or(Cell::Null);
            let (cell, input, row, column) = match field.source() {
                Some(From::SubscriberKey) | None => {
                    (Cell::Text(key), Some(inputs.contacts), Some(contact), self.bundle.columns.key())
                }
                Some(From::Variant) => (Cell::Text(variant), None, None, "variant"),
                Some(From::Contacts(column)) => (at(Some(contact)), Some(inputs.contacts), Some(contact), column),
                Some(From::Messages(column)) => (at(person.message), inputs.messages, person.message, column),
                Some(From::Recommendations(column, rank)) => {
                    let row = person.recommendations.get(&rank).copied();
                    (at(row), inputs.recommendations, row, column)
                }
            };
            let value = field.value(cell).map_err(|what| {
                let error = StageError::data(format!("column `{column}`: {what}"));
                match (input.or(inputs.messages).or(inputs.recommendations), row) {
                    (Some(input), Some(row)) => error.at(input.at(row)),
                    (Some(input), None) => error.at(format!("{}, the person of row {}", input.port, person.row + 1)),
                    (None, _) => error,
                }
            })?;
            values.push(value);
        }
        Ok(values)
    }
}
