use polars::prelude::{Column, DataFrame, Expr, IntoLazy, col};
use stagewright_contract::{StageError, Table};
use stagewright_frame::{expression, polars_error, require, roots};

/// The value of an expression for every row, and whether it was computed from personal data.
pub(crate) struct Evaluated {
    pub(crate) column: Column,
    pub(crate) personal: bool,
}

/// A SQL expression whose columns are all named in it: a subquery could read files that are no sources of the stage, and
/// a pattern of columns would hide which of them are personal.
pub(crate) fn parse(text: &str) -> Result<Expr, String> {
    let parsed = expression(text)?;
    for part in &parsed {
        match part {
            Expr::SubPlan(..) => return Err("an expression cannot hold a subquery".to_owned()),
            Expr::Selector(_) => return Err("an expression names its columns one by one, without a pattern".to_owned()),
            _ => {}
        }
    }
    Ok(parsed)
}

/// The value of the expression `text`, called `name`, for every row.
pub(crate) fn evaluate(table: &Table, frame: &DataFrame, name: &str, text: &str) -> Result<Evaluated, StageError> {
    let parsed = parse(text).map_err(|error| StageError::data(format!("`{text}` cannot be read: {error}")))?;
    let roots = roots(&parsed);
    require(frame, roots.iter().map(String::as_str))?;
    let first_personal = roots.iter().find(|root| table.is_personal(root));
    let failed = |error| match first_personal {
        // The text of the error may quote values.
        Some(column) => StageError::data(format!("`{text}` cannot be computed"))
            .with_help(format!("the reason is not shown because column `{column}` is personal; check the types")),
        None => polars_error(&format!("computing `{text}`"), &error),
    };
    let mut input = if roots.is_empty() { frame.clone() } else { frame.select(&roots).map_err(failed)? };
    // Sums of floats depend on where chunks end, and chunks on how the table came to be.
    input.rechunk_mut();
    let column = input
        .lazy()
        .with_columns([parsed.alias(name)])
        .select([col(name)])
        .collect()
        .map_err(failed)?
        .into_columns()
        .pop()
        .filter(|column| column.len() == frame.height())
        .ok_or_else(|| StageError::data(format!("`{text}` does not give one value for each row")))?;
    Ok(Evaluated { column, personal: first_personal.is_some() })
}
