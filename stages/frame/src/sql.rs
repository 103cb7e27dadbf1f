use std::collections::BTreeSet;

use polars::prelude::Expr;
use polars::sql::sql_expr;

/// A SQL expression over the columns, such as `age BETWEEN 18 AND 30 AND country = 'France'`.
///
/// # Errors
/// What is wrong with it, in one sentence.
pub fn expression(text: &str) -> Result<Expr, String> {
    if text.trim().is_empty() {
        return Err("the expression is empty".to_owned());
    }
    sql_expr(text).map_err(|error| {
        let text = error.to_string();
        text.split("\n\n").next().unwrap_or(&text).replace('\n', " ")
    })
}

/// The names of the columns that an expression reads.
pub fn roots(expression: &Expr) -> BTreeSet<String> {
    expression.clone().meta().root_names().into_iter().map(|name| name.to_string()).collect()
}
