use std::panic::{AssertUnwindSafe, catch_unwind};

use polars::prelude::{Column, DataFrame, Expr, IntoLazy, col};
use stagewright_contract::{StageError, Table};
use stagewright_frame::{expression, polars_error, require, roots};

/// The value of an expression for every row, and whether it was computed from personal data.
pub(crate) struct Evaluated {
    pub(crate) column: Column,
    pub(crate) personal: bool,
}

/// A SQL expression whose columns are all named in it: a subquery could read files that are no sources of the stage,
/// and a pattern of columns would hide which of them are personal.
pub(crate) fn parse(text: &str) -> Result<Expr, String> {
    const SUBQUERY: &str = "an expression cannot hold a subquery";
    // Before parsing: polars opens the file that a subquery names while it parses.
    if has_query(text) {
        return Err(SUBQUERY.to_owned());
    }
    let parsed = expression(text)?;
    for part in &parsed {
        match part {
            Expr::SubPlan(..) => return Err(SUBQUERY.to_owned()),
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
    let lazy = input.lazy().with_columns([parsed.alias(name)]).select([col(name)]);
    // Built with overflow checks, polars panics where it wraps around otherwise.
    let computed = catch_unwind(AssertUnwindSafe(|| lazy.collect()))
        .map_err(|_| StageError::data(format!("`{text}` cannot be computed")).with_help("a number may be too large"))?;
    let column = computed
        .map_err(failed)?
        .into_columns()
        .pop()
        .filter(|column| column.len() == frame.height())
        .ok_or_else(|| StageError::data(format!("`{text}` does not give one value for each row")))?;
    Ok(Evaluated { column, personal: first_personal.is_some() })
}

/// Whether a query begins anywhere outside of quotes and comments: with `SELECT`, or with `FROM` after a parenthesis
/// (as opposed to the `FROM` of `EXTRACT(year FROM day)`).
fn has_query(text: &str) -> bool {
    let mut before = ' ';
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let skipped = match first {
            '\'' | '"' | '`' => rest.get(1..).and_then(|inside| inside.find(first)).map_or(rest.len(), |end| end + 2),
            _ if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ if word > 0 => {
                let name = rest.get(..word).unwrap_or_default();
                if name.eq_ignore_ascii_case("select") || (name.eq_ignore_ascii_case("from") && before == '(') {
                    return true;
                }
                word
            }
            _ => first.len_utf8(),
        };
        let comment = rest.starts_with("--") || rest.starts_with("/*");
        if !comment && !first.is_whitespace() {
            before = first;
        }
        rest = rest.get(skipped..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_queries() {
        for text in [
            "id IN (SELECT a FROM b)",
            "EXISTS(select 1)",
            "id IN (FROM read_csv('x'))",
            "id IN ( /* ' */ from b)",
            "name = 'it''s' AND id IN (SELECT 1)",
            "id IN (-- (\nFROM b)",
            "\"a\" IN (\nSelect 1)",
        ] {
            assert!(has_query(text), "{text}");
        }
        for text in [
            "choice = 'please select'",
            "\"select\" > 1",
            "EXTRACT(year FROM day) = 2024",
            "selected = 1",
            "a IS DISTINCT FROM b",
            "é > 'ø' -- select",
            "name = 'it''s (from here)'",
            "'unclosed select",
            "",
        ] {
            assert!(!has_query(text), "{text}");
        }
    }
}
