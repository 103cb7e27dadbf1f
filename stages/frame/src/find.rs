use polars::prelude::DataType;
use stagewright_contract::{StageError, Table};

use crate::{polars_error, to_frame};

/// The columns of a table that hold a value, written as text: those of text and of integers, or of these only the ones
/// that are named.
///
/// # Errors
/// When polars does not take a column.
pub fn columns_with(table: &Table, value: &str, named: &[String]) -> Result<Vec<String>, StageError> {
    let frame = to_frame(table)?;
    let mut found = Vec::new();
    for column in frame.columns() {
        let name = column.name().as_str();
        if !named.is_empty() && !named.iter().any(|wanted| wanted == name) {
            continue;
        }
        let reading = |error| polars_error(&format!("reading column `{name}`"), &error);
        let holds = if column.dtype() == &DataType::String {
            column.str().map_err(reading)?.iter().any(|text| text == Some(value))
        } else if column.dtype().is_integer()
            && let Ok(number) = value.parse::<i64>()
        {
            // What does not fit is no such number.
            let numbers = column.cast(&DataType::Int64).map_err(reading)?;
            numbers.i64().map_err(reading)?.iter().any(|found| found == Some(number))
        } else {
            false
        };
        if holds {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use polars::prelude::df;

    use super::*;
    use crate::to_table;

    #[test]
    fn texts_and_integers_are_looked_at() {
        let frame =
            df!["id" => [1i64, 42], "age" => [42i32, 7], "mail" => ["42", "x"], "price" => [42.0, 1.0]].unwrap();
        let table = to_table(frame).unwrap();
        let found = |value: &str, named: &[&str]| {
            columns_with(&table, value, &named.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
        };
        assert_eq!(found("42", &[]), ["id", "age", "mail"]);
        assert_eq!(found("42", &["id", "price"]), ["id"]);
        assert_eq!(found("x", &[]), ["mail"]);
        assert!(found("43", &[]).is_empty() && found("", &[]).is_empty());
    }
}
