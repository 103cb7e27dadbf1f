//! Whom the inputs are about, and where it says what about them.

use std::collections::{BTreeMap, HashMap};

use stagewright_plugin::StageError;

use super::{Bundle, wrong_value};
use crate::cells::{Cell, Input, folded, identity};

/// The inputs that fields are taken from.
pub(super) struct Inputs<'a> {
    pub(super) messages: Option<Input<'a>>,
    pub(super) recommendations: Option<Input<'a>>,
    pub(super) contacts: Input<'a>,
}

/// Someone whom an input is about.
pub(super) struct Person {
    pub(super) id: String,
    /// Where they are first named.
    pub(super) row: usize,
    pub(super) message: Option<usize>,
    /// Row by rank.
    pub(super) recommendations: BTreeMap<u32, usize>,
}

pub(super) struct People<'a> {
    pub(super) list: Vec<Person>,
    pub(super) variants: Option<Vec<Cell<'a>>>,
    /// The input that says which variant a person gets.
    pub(super) input: Input<'a>,
}

impl People<'_> {
    pub(super) fn variant_of(&self, person: usize, otherwise: &str) -> Option<String> {
        let Some(variants) = &self.variants else { return Some(otherwise.to_owned()) };
        let person = self.list.get(person)?;
        let row = if self.input.port == "messages" { person.message } else { Some(person.row) };
        match row {
            // Nothing is sent to them.
            None => Some(otherwise.to_owned()),
            Some(row) => identity(*variants.get(row)?),
        }
    }
}

impl Bundle {
    /// Everyone whom the inputs are about, in the order in which they are first named.
    pub(super) fn people<'a>(&self, inputs: &Inputs<'a>) -> Result<People<'a>, StageError> {
        let mut list: Vec<Person> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut find = |list: &mut Vec<Person>, id: String, row: usize| {
            *known.entry(folded(&id)).or_insert_with(|| {
                list.push(Person { id, row, message: None, recommendations: BTreeMap::new() });
                list.len() - 1
            })
        };
        let nobody = |input: &Input<'_>, row| {
            wrong_value(input, row, &self.columns.person, "there is no value, and each row is about a person")
        };
        if let Some(input) = &inputs.messages {
            for (row, cell) in input.cells(&self.columns.person)?.into_iter().enumerate() {
                let at = find(&mut list, identity(cell).ok_or_else(|| nobody(input, row))?, row);
                if let Some(before) = list[at].message.replace(row) {
                    return Err(StageError::data(format!("the person of row {} has a second message", before + 1))
                        .at(input.at(row))
                        .with_help("one message per person: keep the best with `clean.drop_duplicates`"));
                }
            }
        }
        if let Some(input) = &inputs.recommendations {
            let ranks = input.cells(&self.columns.rank)?;
            let people = input.cells(&self.columns.person)?;
            for (row, (cell, rank)) in people.into_iter().zip(ranks).enumerate() {
                let Cell::Integer(rank) = rank else {
                    return Err(wrong_value(input, row, &self.columns.rank, "no whole number"));
                };
                let rank = u32::try_from(rank).map_err(|_| {
                    wrong_value(input, row, &self.columns.rank, "no place in a list: they start from 1")
                })?;
                let at = find(&mut list, identity(cell).ok_or_else(|| nobody(input, row))?, row);
                if let Some(before) = list[at].recommendations.insert(rank, row) {
                    return Err(StageError::data(format!(
                        "the person of row {} has a second recommendation of rank {rank}",
                        before + 1
                    ))
                    .at(input.at(row)));
                }
            }
        }
        let Some(input) = inputs.messages.or(inputs.recommendations) else {
            return Err(StageError::data("there is nothing to deliver")
                .with_help("connect `messages` or `recommendations`, or both"));
        };
        let variants = self.variant_column.as_ref().map(|column| input.cells(column)).transpose()?;
        Ok(People { list, variants, input })
    }
}
