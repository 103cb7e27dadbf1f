//! Lists that came from another stage, and what is left of them.

use polars::prelude::{Column, DataFrame, IdxCa, IdxSize, IntoColumn, NamedFrom, Series};
use stagewright_contract::{Kind, Port, StageContext, StageError, Table};
use stagewright_frame::{Ids, column, numbers, polars_error, to_frame, to_table};

/// A row of a list: who, what, and which row of the table it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) user: u32,
    pub(crate) product: u32,
    pub(crate) row: usize,
}

/// The port of lists to work on.
pub(crate) fn lists_port(name: &str) -> Port {
    Port::input(
        name,
        Kind::Table,
        "Lists of recommendations: the user and product columns, and `rank` (from 1) or else `score`; `reason` where \
         there is one.",
    )
}

/// The table at an input.
pub(crate) fn frame(context: &StageContext, port: &str) -> Result<DataFrame, StageError> {
    to_frame(&*context.table(port)?)
}

/// The rows by user, then place: `rank`, ascending, or without it `score`, descending; those without either last, equal
/// ones by product. A product counts once per user, at its first place. Rows without a user or product are left out, with
/// a warning.
pub(crate) fn entries(
    context: &StageContext,
    port: &str,
    frame: &DataFrame,
    (users, user): (&Ids, &str),
    (products, product): (&Ids, &str),
) -> Result<Vec<Entry>, StageError> {
    let has = |name: &str| frame.columns().iter().any(|column| column.name().as_str() == name);
    let places: Vec<Option<f64>> = if has("rank") {
        numbers(frame, "rank")?
    } else if has("score") {
        numbers(frame, "score")?.into_iter().map(|score| score.map(|score| 0.0 - score)).collect()
    } else {
        return Err(StageError::data(format!("`{port}` has neither a column `rank` nor a column `score`"))
            .with_help("rename the column that orders the lists with `clean.rename`"));
    };
    let rows = users.codes(frame)?.into_iter().zip(products.codes(frame)?).zip(places).enumerate();
    let mut entries: Vec<(f64, Entry)> = rows
        .filter_map(|(row, ((user, product), place))| {
            Some((place.unwrap_or(f64::INFINITY), Entry { user: user?, product: product?, row }))
        })
        .collect();
    let left_out = frame.height() - entries.len();
    if left_out > 0 {
        context.warn(format!(
            "{left_out} of {} rows of `{port}` are left out: `{user}` or `{product}` is missing",
            frame.height()
        ));
    }
    let key = |entry: &(f64, Entry)| (entry.1.user, entry.1.product);
    entries.sort_unstable_by(|a, b| key(a).cmp(&key(b)).then(a.0.total_cmp(&b.0)).then(a.1.row.cmp(&b.1.row)));
    entries.dedup_by(|a, b| key(a) == key(b));
    entries.sort_by(|a, b| a.1.user.cmp(&b.1.user).then(a.0.total_cmp(&b.0)));
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

/// The given rows of the lists, ranked anew from 1 for each user: the user and product columns, `rank`, and `score` and
/// `reason` where the lists have them.
pub(crate) fn table(frame: &DataFrame, user: &str, product: &str, kept: &[Entry]) -> Result<Table, StageError> {
    let failed = |error| polars_error("writing the recommendations", &error);
    let rows: Vec<IdxSize> = kept.iter().filter_map(|entry| IdxSize::try_from(entry.row).ok()).collect();
    let rows = IdxCa::from_vec("rows".into(), rows);
    let ranks: Vec<i64> = kept.chunk_by(|a, b| a.user == b.user).flat_map(|list| (1..).take(list.len())).collect();
    let mut columns = vec![
        column(frame, user)?.take(&rows).map_err(failed)?,
        column(frame, product)?.take(&rows).map_err(failed)?,
        Series::new("rank".into(), ranks).into_column(),
    ];
    for other in frame.columns() {
        if ["score", "reason"].contains(&other.name().as_str()) {
            columns.push(other.take(&rows).map_err(failed)?);
        }
    }
    to_table(DataFrame::new(kept.len(), columns).map_err(failed)?)
}

/// The codes of products or users in a table beside the lists, for what it says about them.
///
/// # Errors
/// When the column is missing there or of another type than in the lists.
pub(crate) fn codes_beside(
    ids: &Ids,
    name: &str,
    (port, lists): (&str, &DataFrame),
    (other_port, other): (&str, &DataFrame),
) -> Result<Vec<Option<u32>>, StageError> {
    // Only the types are compared: what is in no list needs no code.
    Ids::of(name, &[(port, &lists.head(Some(0))), (other_port, &other.head(Some(0)))])?;
    ids.codes(other)
}

/// The texts of a column, where there is one.
pub(crate) fn texts(frame: &DataFrame, name: &str) -> Option<Column> {
    let column = frame.columns().iter().find(|column| column.name().as_str() == name)?;
    column.str().is_ok().then(|| column.clone())
}
