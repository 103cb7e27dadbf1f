//! Which columns a person asked for.

use std::collections::BTreeSet;

use stagewright_contract::{ParamError, StageError};
use stagewright_frame::nearest;

/// Checks what `columns` must be whatever the file holds: not empty, no name twice.
pub(crate) fn check(columns: Option<&[String]>) -> Result<(), ParamError> {
    let columns = columns.unwrap_or_default();
    match columns.iter().enumerate().find(|(index, name)| columns.iter().take(*index).any(|before| before == *name)) {
        Some((index, name)) => {
            Err(ParamError::new(format!("columns/{index}"), format!("column `{name}` is named twice")))
        }
        None => Ok(()),
    }
}

/// Which of the personal columns are kept.
pub(crate) fn personal(personal: &[String], columns: Option<&[String]>) -> BTreeSet<String> {
    personal.iter().filter(|name| columns.is_none_or(|kept| kept.contains(name))).cloned().collect()
}

/// Where the columns that `param` names are among `names`.
pub(crate) fn positions<'a>(
    names: &[String],
    param: &str,
    wanted: impl IntoIterator<Item = &'a String>,
) -> Result<Vec<usize>, StageError> {
    wanted
        .into_iter()
        .map(|name| names.iter().position(|candidate| candidate == name).ok_or_else(|| unknown(names, param, name)))
        .collect()
}

/// The error for a column that is not there.
pub(crate) fn unknown(names: &[String], param: &str, name: &str) -> StageError {
    let names = || names.iter().map(String::as_str);
    let error = StageError::data(format!("`{param}` names `{name}`, and there is no such column"));
    match nearest(name, names()) {
        Some(near) => error.with_help(format!("did you mean `{near}`?")),
        None => error.with_help(format!("the columns are: {}", names().collect::<Vec<_>>().join(", "))),
    }
}

/// Checks that a file has the columns of the first one, in any order, and says where each of those is.
pub(crate) fn same_columns(first: (&str, &[String]), file: (&str, &[String])) -> Result<Vec<usize>, StageError> {
    let differ = |lacking: (&str, &[String]), having: &str, column: &str| {
        let error = StageError::data(format!("`{}` has no column `{column}`, which `{having}` has", lacking.0))
            .with_help("files that are read together must have the same columns");
        match nearest(column, lacking.1.iter().map(String::as_str)) {
            Some(near) => error
                .with_help(format!("files that are read together must have the same columns; is `{near}` the same?")),
            None => error,
        }
    };
    if let Some(column) = file.1.iter().find(|name| !first.1.contains(name)) {
        return Err(differ(first, file.0, column));
    }
    first
        .1
        .iter()
        .map(|name| file.1.iter().position(|candidate| candidate == name).ok_or_else(|| differ(file, first.0, name)))
        .collect()
}
