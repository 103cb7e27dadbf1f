//! Groups of rows (women and men, young and old) for an audit of fairness.

use polars::prelude::{DataFrame, DataType};
use stagewright_contract::StageError;
use stagewright_frame::{Ids, column};

/// More groups than this are identifiers, not groups.
const MOST: usize = 500;

/// The group of each row by one column.
#[derive(Debug)]
pub(crate) struct Groups {
    /// The column.
    pub(crate) column: String,
    /// The groups, ascending; the last is `None` where rows lack a value.
    pub(crate) names: Vec<Option<String>>,
    /// The place in `names` of each row.
    pub(crate) codes: Vec<u32>,
}

impl Groups {
    /// The groups by the column `name` of the table at `port`.
    ///
    /// # Errors
    /// When there is no such column, it holds neither integers nor text, or it has too many values.
    pub(crate) fn read(frame: &DataFrame, port: &str, name: &str) -> Result<Self, StageError> {
        let is_flag = column(frame, name)?.dtype() == &DataType::Boolean;
        let ids = Ids::of(name, &[(port, frame)])?;
        if ids.len() > MOST {
            return Err(StageError::data(format!(
                "column `{name}` has {} values, at most {MOST} groups can be told apart",
                ids.len()
            ))
            .with_help("put the values into bins with `clean.bin`, or name another column"));
        }
        let text = |code: u32| match (is_flag, ids.text(code)) {
            (true, text) => (if text == "1" { "true" } else { "false" }).to_owned(),
            (false, text) => text.into_owned(),
        };
        let mut names: Vec<Option<String>> = (0..ids.len() as u32).map(|code| Some(text(code))).collect();
        let missing = names.len() as u32;
        let codes: Vec<u32> = ids.codes(frame)?.into_iter().map(|code| code.unwrap_or(missing)).collect();
        if codes.contains(&missing) {
            names.push(None);
        }
        Ok(Self { column: name.to_owned(), names, codes })
    }

    /// The name of a group as a figure shows it.
    pub(crate) fn label(&self, group: usize) -> &str {
        self.names.get(group).and_then(Option::as_deref).unwrap_or("(missing)")
    }
}

/// The largest of the values less the smallest; `None` with fewer than two.
pub(crate) fn spread(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let (mut low, mut high, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0);
    for value in values.into_iter().flatten() {
        low = low.min(value);
        high = high.max(value);
        count += 1;
    }
    (count > 1).then_some(high - low)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use polars::prelude::df;

    use super::{Groups, spread};

    #[test]
    fn groups_ascend_and_the_missing_ones_are_a_group() {
        let frame = df!["g" => [Some("m"), None, Some("f")], "flag" => [true, false, true]].unwrap();
        let groups = Groups::read(&frame, "table", "g").unwrap();
        assert_eq!((groups.codes.as_slice(), groups.label(0), groups.label(2)), (&[1, 2, 0][..], "f", "(missing)"));
        assert_eq!(Groups::read(&frame, "table", "flag").unwrap().label(0), "false");
        let many = df!["id" => (0..501_i64).collect::<Vec<_>>()].unwrap();
        let error = Groups::read(&many, "table", "id").unwrap_err();
        assert_eq!(error.message, "column `id` has 501 values, at most 500 groups can be told apart");
    }

    #[test]
    fn a_spread_needs_two_values() {
        assert_eq!(spread([Some(0.25), None, Some(1.0), Some(0.5)]), Some(0.75));
        assert_eq!(spread([Some(0.25), None]), None);
    }
}
