//! What differs between two tables: the schema, the rows by key, the columns.

use std::collections::BTreeMap;

use polars::prelude::{AnyValue, Column, DataFrame};
use stagewright_contract::{StageError, Table};

use crate::export::cell;
use crate::{column, numbers, to_frame};

/// How many changed cells of a column are shown.
const EXAMPLES: usize = 3;

/// What differs between two tables.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDiff {
    /// Columns of which only one table knows, and columns whose type changed: name, type before, type after.
    pub schema: Vec<(String, Option<String>, Option<String>)>,
    /// The rows before and after.
    pub rows: [usize; 2],
    /// The rows whose key only the later table has.
    pub added: usize,
    /// The rows whose key only the earlier table has.
    pub removed: usize,
    /// The rows that both have and that differ in a column of both; 0 without a key, where such a row is removed and
    /// another one added.
    pub changed: usize,
    /// The columns of both tables that differ.
    pub columns: Vec<ColumnDiff>,
}

/// What differs in one column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDiff {
    /// Its name.
    pub name: String,
    /// The rows of both tables in which it differs.
    pub changed: usize,
    /// The nulls before and after.
    pub nulls: [usize; 2],
    /// Of numbers, the means of what is not null, before and after; `None` where there are none.
    pub means: Option<[Option<f64>; 2]>,
    /// Some of the changed cells, with the key of their row; none of a personal column or key.
    pub examples: Vec<CellDiff>,
}

/// A cell that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellDiff {
    /// The key of the row.
    pub key: String,
    /// What stood there; `None` is null.
    pub before: Option<String>,
    /// What stands there.
    pub after: Option<String>,
}

/// Compares two tables by the columns that tell rows apart; without any, whole rows are compared, and equal ones pair
/// up.
///
/// # Errors
/// When a key column is missing from one of them, or a key stands in several rows.
pub fn diff(before: &Table, after: &Table, key: &[String]) -> Result<TableDiff, StageError> {
    let types = |table: &Table| -> BTreeMap<String, String> {
        table.schema().into_iter().map(|column| (column.name, column.dtype)).collect()
    };
    let (old_types, new_types) = (types(before), types(after));
    let names = before.names().chain(after.names().filter(|name| !old_types.contains_key(*name)));
    let schema = names
        .filter(|name| old_types.get(*name) != new_types.get(*name))
        .map(|name| (name.to_owned(), old_types.get(name).cloned(), new_types.get(name).cloned()))
        .collect();
    let (old, new) = (to_frame(before)?, to_frame(after)?);
    let common: Vec<&str> = before.names().filter(|name| new_types.contains_key(*name)).collect();
    let by: Vec<&str> = if key.is_empty() { common.clone() } else { key.iter().map(String::as_str).collect() };
    let (old_rows, new_rows) = (Rows::of(&old, &by)?, Rows::of(&new, &by)?);
    if !key.is_empty() {
        old_rows.check_unique("the earlier table", key)?;
        new_rows.check_unique("the later table", key)?;
    }
    let pairs = old_rows.pairs(&new_rows);
    let mut changed = vec![false; pairs.len()];
    let mut columns = Vec::new();
    for name in common.into_iter().filter(|name| !by.contains(name)) {
        let (left, right) = (column(&old, name)?, column(&new, name)?);
        let differs = |pair: &(usize, usize)| value(left, pair.0) != value(right, pair.1);
        let places: Vec<usize> = (0..pairs.len()).filter(|at| pairs.get(*at).is_some_and(differs)).collect();
        if places.is_empty() {
            continue;
        }
        for place in &places {
            if let Some(changed) = changed.get_mut(*place) {
                *changed = true;
            }
        }
        let personal = [before, after]
            .into_iter()
            .any(|table| table.is_personal(name) || by.iter().any(|key| table.is_personal(key)));
        let shown = if personal { 0 } else { EXAMPLES };
        let example = |place: &usize| {
            let (left_row, right_row) = *pairs.get(*place)?;
            let of = |column: &Column, row| column.get(row).ok().and_then(|value| cell(&value));
            Some(CellDiff { key: old_rows.shown(left_row), before: of(left, left_row), after: of(right, right_row) })
        };
        columns.push(ColumnDiff {
            name: name.to_owned(),
            changed: places.len(),
            nulls: [left.null_count(), right.null_count()],
            means: means(&old, &new, name),
            examples: places.iter().take(shown).filter_map(example).collect(),
        });
    }
    Ok(TableDiff {
        schema,
        rows: [old.height(), new.height()],
        added: new.height() - pairs.len(),
        removed: old.height() - pairs.len(),
        changed: changed.into_iter().filter(|changed| *changed).count(),
        columns,
    })
}

/// Rows as texts by which they are told apart.
struct Rows {
    keys: Vec<String>,
}

/// Stands between the cells of a key.
const BETWEEN: char = '\u{1f}';

impl Rows {
    fn of(frame: &DataFrame, by: &[&str]) -> Result<Self, StageError> {
        let columns = by.iter().map(|name| column(frame, name)).collect::<Result<Vec<_>, _>>()?;
        let key = |row: usize| {
            let cells = columns.iter().map(|column| value(column, row).unwrap_or_else(|| "\0".to_owned()));
            cells.collect::<Vec<_>>().join(&BETWEEN.to_string())
        };
        Ok(Self { keys: (0..frame.height()).map(key).collect() })
    }

    fn check_unique(&self, what: &str, by: &[String]) -> Result<(), StageError> {
        let mut seen = std::collections::HashSet::with_capacity(self.keys.len());
        match self.keys.iter().find(|key| !seen.insert(key.as_str())) {
            None => Ok(()),
            Some(_) => Err(StageError::data(format!("`{}` does not tell the rows of {what} apart", by.join("`, `")))
                .with_help("name more columns as keys, or none to compare whole rows")),
        }
    }

    /// The rows of both, in the order of these: equal keys pair up one by one.
    fn pairs(&self, other: &Self) -> Vec<(usize, usize)> {
        let mut places: std::collections::HashMap<&str, Vec<usize>> = std::collections::HashMap::new();
        for (row, key) in other.keys.iter().enumerate().rev() {
            places.entry(key).or_default().push(row);
        }
        let pair = |(row, key): (usize, &String)| Some((row, places.get_mut(key.as_str())?.pop()?));
        self.keys.iter().enumerate().filter_map(pair).collect()
    }

    fn shown(&self, row: usize) -> String {
        self.keys.get(row).map_or(String::new(), |key| key.replace(BETWEEN, ", ").replace('\0', "null"))
    }
}

/// A cell as a text that says all of it; `None` is null.
fn value(column: &Column, row: usize) -> Option<String> {
    match column.get(row).ok()? {
        AnyValue::Null => None,
        AnyValue::String(text) => Some(text.to_owned()),
        AnyValue::StringOwned(text) => Some(text.to_string()),
        // The shortest text that reads back as the same number.
        AnyValue::Float64(number) => Some(number.to_string()),
        AnyValue::Float32(number) => Some(number.to_string()),
        other => Some(other.to_string()),
    }
}

fn means(old: &DataFrame, new: &DataFrame, name: &str) -> Option<[Option<f64>; 2]> {
    let mean = |frame: &DataFrame| {
        let values: Vec<f64> = numbers(frame, name).ok()?.into_iter().flatten().collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Some(mean.is_finite().then_some(mean))
    };
    Some([mean(old)?, mean(new)?])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use polars::prelude::df;

    use super::*;
    use crate::to_table;

    fn tables() -> (Table, Table) {
        let before = df![
            "id" => [1i64, 2, 3, 4], "price" => [Some(1.0), Some(2.0), None, Some(4.0)],
            "text" => ["a", "b", "c", "d"], "gone" => [0i64, 0, 0, 0],
        ];
        let after = df![
            "id" => [4i64, 2, 3, 5], "price" => [Some(4.0), Some(2.5), Some(3.0), Some(9.0)],
            "text" => ["d", "b", "C", "e"], "new" => [true, true, true, true],
        ];
        (to_table(before.unwrap()).unwrap(), to_table(after.unwrap()).unwrap())
    }

    #[test]
    fn rows_are_told_apart_by_their_key() {
        let (before, after) = tables();
        let diff = diff(&before, &after, &["id".to_owned()]).unwrap();
        assert_eq!((diff.rows, diff.added, diff.removed, diff.changed), ([4, 4], 1, 1, 2));
        let name = |change: &(String, Option<String>, Option<String>)| change.0.clone();
        assert_eq!(diff.schema.iter().map(name).collect::<Vec<_>>(), ["gone", "new"]);
        let [price, text] = diff.columns.as_slice() else { panic!("{:?}", diff.columns) };
        assert_eq!((price.changed, price.nulls, price.means), (2, [1, 0], Some([Some(7.0 / 3.0), Some(18.5 / 4.0)])));
        let example = CellDiff { key: "3".to_owned(), before: Some("c".to_owned()), after: Some("C".to_owned()) };
        assert_eq!((text.changed, text.means, text.examples.clone()), (1, None, vec![example]));
    }

    #[test]
    fn without_a_key_equal_rows_pair_up() {
        let table = |values: &[i64]| to_table(df!["v" => values].unwrap()).unwrap();
        let found = diff(&table(&[1, 1, 2]), &table(&[1, 3, 3, 2]), &[]).unwrap();
        assert_eq!((found.added, found.removed, found.changed), (2, 1, 0));
        assert!(found.columns.is_empty() && found.schema.is_empty());
    }

    #[test]
    fn personal_values_are_not_shown() {
        let (before, mut after) = tables();
        after.mark_personal(["text"]);
        let found = diff(&before, &after, &["id".to_owned()]).unwrap();
        assert_eq!(found.columns.iter().map(|column| column.examples.len()).collect::<Vec<_>>(), [2, 0]);
        after.mark_personal(["id"]);
        let found = diff(&before, &after, &["id".to_owned()]).unwrap();
        assert!(found.columns.iter().all(|column| column.examples.is_empty()));
    }

    #[test]
    fn keys_must_be_there_and_tell_rows_apart() {
        let (before, after) = tables();
        let error = diff(&before, &after, &["gone".to_owned()]).unwrap_err();
        assert!(error.message.starts_with("there is no column `gone`"), "{}", error.message);
        let twice = to_table(df!["id" => [1i64, 1]].unwrap()).unwrap();
        let error = diff(&twice, &twice, &["id".to_owned()]).unwrap_err();
        assert_eq!(error.message, "`id` does not tell the rows of the earlier table apart");
    }
}
