mod compare;
mod kolmogorov;
#[cfg(test)]
mod tests;

use polars::prelude::{Column, DataFrame, DataType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Stage, StageContext, StageError,
};
use stagewright_frame::{column, numbers, polars_error, to_frame};

use crate::classification::share;
use crate::outputs::{counts, personal, series, table};
use compare::Change;

/// Find the columns of a table whose values are no longer what they were in a reference table.
///
/// Each column is compared by its population stability index (PSI): the sum over bins of (current share - reference
/// share) × ln(current share / reference share). The bins of a numeric column lie between quantiles of the reference (a
/// value on an edge is in the lower bin), those of a column of text or booleans are its most frequent categories in the
/// reference and one for all others; `smoothing` is added to every bin's count in both tables, so that an empty bin does
/// not make the index infinite. Below 0.1 a column is usually held to be stable, from 0.25 on to have changed. Beside it
/// stands a test that both tables are of one distribution: of Kolmogorov and Smirnov for numbers (the statistic is the
/// largest distance between the shares at or below any value; the probability is that of scipy's `ks_2samp` with
/// `method="asymp"`), chi-square without correction for categories. Of many rows any small change is significant, so
/// that a column counts as drifted by its index and its missing values alone: when the PSI is at least `psi_threshold`,
/// or the share of missing values changed by at least `null_threshold`. NaN and infinite numbers count as missing;
/// measures of a column without values in either table are null. Columns of other types than numbers, text and booleans
/// are left out. Values of personal columns are not put out: their bins are numbered.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// The columns to compare; without it, all that both tables have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<String>>,
    /// How many bins a numeric column has; fewer where quantiles are equal.
    #[serde(default = "ten")]
    #[schemars(range(min = 2, max = 100))]
    bins: usize,
    /// How many bins a column of categories has at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 2, max = 1000))]
    max_categories: usize,
    /// What is added to the count of every bin (rows, above 0).
    #[serde(default = "half")]
    #[schemars(range(min = 0.000_001, max = 100))]
    smoothing: f64,
    /// The PSI from which on a column has drifted.
    #[serde(default = "fifth")]
    #[schemars(range(min = 0))]
    psi_threshold: f64,
    /// The change of the share of missing values from which on a column has drifted (0 to 1).
    #[serde(default = "tenth")]
    #[schemars(range(min = 0, max = 1))]
    null_threshold: f64,
}

fn ten() -> usize {
    10
}

fn fifty() -> usize {
    50
}

fn half() -> f64 {
    0.5
}

fn fifth() -> f64 {
    0.2
}

fn tenth() -> f64 {
    0.1
}

/// The columns of each output table.
const TABLES: [(&str, &[&str]); 2] = [
    (
        "table",
        &[
            "column",
            "kind",
            "psi",
            "drifted",
            "test",
            "statistic",
            "p_value",
            "null_share_reference",
            "null_share_current",
            "null_share_change",
            "new_share",
        ],
    ),
    ("bins", &["column", "bin", "label", "reference", "current", "share_reference", "share_current"]),
];

impl Stage for Drift {
    const TYPE: &'static str = "evaluate.drift";
    const EXAMPLE: &'static str = "\
inputs: { reference: last_month, current: this_month }
with: { bins: 10, psi_threshold: 0.2 }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("reference", Kind::Table, "The rows to compare with, such as those a model learned from."),
            Port::input("current", Kind::Table, "The rows that may have changed, with the same columns."),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`max_psi`, `mean_psi`, `columns` compared, `columns_drifted`, `rows_reference`, `rows_current`, and \
                 `psi:COLUMN` of each column.",
            ),
            Port::output(
                "table",
                Kind::Table,
                "One row per column, by descending PSI: `column`, `kind` (`numeric` or `categorical`), `psi`, \
                 `drifted`, `test` (`ks` or `chi2`), `statistic`, `p_value`, `null_share_reference`, \
                 `null_share_current`, `null_share_change`, and `new_share`, the share of current values that the \
                 reference did not have (of categories).",
            ),
            Port::output(
                "bins",
                Kind::Table,
                "For each column the bins that its PSI is of: `column`, `bin` (from 0), `label` (null for personal \
                 columns), the rows in `reference` and `current`, `share_reference`, `share_current`.",
            ),
            Port::output("figure", Kind::Figure, "The PSI of each column, the largest first (at most 30)."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        let columns = self.columns.as_deref().unwrap_or_default();
        for (index, name) in columns.iter().enumerate() {
            if columns.iter().take(index).any(|other| other == name) {
                return Err(ParamError::new(format!("columns/{index}"), format!("`{name}` is named twice")));
            }
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        personal(&TABLES, &[], inputs)
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let [reference_table, current_table] = [context.table("reference")?, context.table("current")?];
        let [reference, current] = [to_frame(&reference_table)?, to_frame(&current_table)?];
        let mut compared = Vec::new();
        let names = self.names(context, &reference, &current)?;
        for (done, (name, kind)) in names.iter().enumerate() {
            context.check_cancelled()?;
            context.progress(done as u64, names.len() as u64);
            let is_personal = reference_table.is_personal(name) || current_table.is_personal(name);
            compared.push(self.compare(name, *kind, is_personal, &reference, &current)?);
        }
        compared.sort_by(|a, b| {
            let rank = |column: &Compared| column.change.psi.unwrap_or(-1.0);
            rank(b).total_cmp(&rank(a)).then_with(|| a.name.cmp(&b.name))
        });

        let metrics = metrics(&compared, [reference.height(), current.height()])?;
        context.put("table", table(summary(&compared))?)?;
        context.put("bins", table(bins(&compared))?)?;
        context.put("figure", figure(&compared))?;
        context.put("metrics", metrics)
    }
}

/// How a column is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnKind {
    Numeric,
    Categorical,
}

impl ColumnKind {
    fn of(dtype: &DataType) -> Option<Self> {
        match dtype {
            DataType::String | DataType::Boolean => Some(Self::Categorical),
            dtype if dtype.is_primitive_numeric() => Some(Self::Numeric),
            _ => None,
        }
    }
}

/// A column and what changed in it.
struct Compared {
    name: String,
    kind: ColumnKind,
    is_personal: bool,
    change: Change,
    /// Of the reference, and of the current table; `None` without rows.
    null_shares: [Option<f64>; 2],
    drifted: bool,
}

impl Compared {
    fn null_change(&self) -> Option<f64> {
        let [reference, current] = self.null_shares;
        Some(current? - reference?)
    }
}

impl Drift {
    /// The columns to compare, in the order of the reference.
    fn names(
        &self,
        context: &StageContext,
        reference: &DataFrame,
        current: &DataFrame,
    ) -> Result<Vec<(String, ColumnKind)>, StageError> {
        if let Some(columns) = &self.columns {
            let of = |name: &String| {
                let dtypes = [column(reference, name)?.dtype(), column(current, name)?.dtype()];
                match dtypes.map(ColumnKind::of) {
                    [Some(a), Some(b)] if a == b => Ok((name.clone(), a)),
                    [Some(_), Some(_)] => Err(StageError::data(format!(
                        "column `{name}` is {} in `reference` and {} in `current`, the same is needed",
                        dtypes[0], dtypes[1]
                    ))
                    .with_help("cast one of them with `clean.cast`")),
                    [kind, _] => Err(StageError::data(format!(
                        "column `{name}` is {}, numbers, text or booleans can be compared",
                        if kind.is_none() { dtypes[0] } else { dtypes[1] }
                    ))
                    .with_help("cast it with `clean.cast`, or leave it out of `columns`")),
                }
            };
            return columns.iter().map(of).collect();
        }
        let mut compared = Vec::new();
        let mut left_out = Vec::new();
        for of_reference in reference.columns() {
            let name = of_reference.name().as_str();
            let of_current = current.columns().iter().find(|column| column.name() == of_reference.name());
            let kinds = of_current.map(|column| [of_reference.dtype(), column.dtype()].map(ColumnKind::of));
            match kinds {
                Some([Some(a), Some(b)]) if a == b => compared.push((name.to_owned(), a)),
                _ => left_out.push(name),
            }
        }
        let in_reference = |column: &&Column| reference.columns().iter().any(|other| other.name() == column.name());
        left_out.extend(
            current.columns().iter().filter(|column| !in_reference(column)).map(|column| column.name().as_str()),
        );
        if !left_out.is_empty() {
            context.warn(format!(
                "left out, as they are not numbers, text or booleans in both tables: {}",
                left_out.join(", ")
            ));
        }
        Ok(compared)
    }

    fn compare(
        &self,
        name: &str,
        kind: ColumnKind,
        is_personal: bool,
        reference: &DataFrame,
        current: &DataFrame,
    ) -> Result<Compared, StageError> {
        let frames = [reference, current];
        let rows = frames.map(|frame| frame.height() as u64);
        let (change, known) = match kind {
            ColumnKind::Numeric => {
                let finite = |frame: &DataFrame| -> Result<Vec<f64>, StageError> {
                    // Adding zero turns -0 into 0, which sorts apart.
                    let values = numbers(frame, name)?.into_iter().flatten().filter(|value| value.is_finite());
                    Ok(values.map(|value| value + 0.0).collect())
                };
                let (before, after) = (finite(reference)?, finite(current)?);
                let known = [before.len(), after.len()];
                (compare::numbers(before, after, self.bins, self.smoothing), known)
            }
            ColumnKind::Categorical => {
                let failed = |error| polars_error(&format!("reading column `{name}`"), &error);
                let texts = |frame: &DataFrame| column(frame, name)?.cast(&DataType::String).map_err(failed);
                let (before, after) = (texts(reference)?, texts(current)?);
                let (before, after) = (before.str().map_err(failed)?, after.str().map_err(failed)?);
                let known = [before, after].map(|texts| texts.len() - texts.null_count());
                let (before, after) = (before.iter().flatten(), after.iter().flatten());
                (compare::categories(before, after, self.max_categories, self.smoothing), known)
            }
        };
        let [before, after] = known.map(|known| known as u64);
        let null_shares = [share(rows[0] - before, rows[0]), share(rows[1] - after, rows[1])];
        let mut compared = Compared { name: name.to_owned(), kind, is_personal, change, null_shares, drifted: false };
        compared.drifted = compared.change.psi.is_some_and(|psi| psi >= self.psi_threshold)
            || compared.null_change().is_some_and(|change| change.abs() >= self.null_threshold);
        Ok(compared)
    }
}

fn metrics(compared: &[Compared], [reference, current]: [usize; 2]) -> Result<Metrics, StageError> {
    let mut metrics = Metrics::new();
    let known: Vec<f64> = compared.iter().filter_map(|column| column.change.psi).collect();
    let mean = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
    // They are in descending order.
    metrics.insert("max_psi", known.first().copied(), Goal::Minimize)?;
    metrics.insert("mean_psi", mean, Goal::Minimize)?;
    let drifted = compared.iter().filter(|column| column.drifted).count();
    metrics.insert("columns_drifted", Some(drifted as f64), Goal::Minimize)?;
    for (name, count) in [("columns", compared.len()), ("rows_reference", reference), ("rows_current", current)] {
        metrics.insert(name, Some(count as f64), Goal::Describe)?;
    }
    for column in compared {
        metrics.insert(format!("psi:{}", column.name), column.change.psi, Goal::Minimize)?;
    }
    Ok(metrics)
}

fn summary(compared: &[Compared]) -> Vec<Column> {
    let texts = |name: &str, text: fn(&Compared) -> &str| {
        Column::new(name.into(), compared.iter().map(text).collect::<Vec<_>>())
    };
    let values = |name: &str, value: fn(&Compared) -> Option<f64>| {
        Column::new(name.into(), compared.iter().map(value).collect::<Vec<_>>())
    };
    vec![
        texts("column", |column| &column.name),
        texts("kind", |column| match column.kind {
            ColumnKind::Numeric => "numeric",
            ColumnKind::Categorical => "categorical",
        }),
        values("psi", |column| column.change.psi),
        Column::new("drifted".into(), compared.iter().map(|column| column.drifted).collect::<Vec<_>>()),
        texts("test", |column| match column.kind {
            ColumnKind::Numeric => "ks",
            ColumnKind::Categorical => "chi2",
        }),
        values("statistic", |column| column.change.statistic),
        values("p_value", |column| column.change.p_value),
        values("null_share_reference", |column| column.null_shares[0]),
        values("null_share_current", |column| column.null_shares[1]),
        values("null_share_change", Compared::null_change),
        values("new_share", |column| column.change.new_share),
    ]
}

fn bins(compared: &[Compared]) -> Vec<Column> {
    let rows: Vec<_> = compared
        .iter()
        .flat_map(|column| (0_u64..).zip(&column.change.bins).map(move |(number, bin)| (column, number, bin)))
        .collect();
    let total = |column: &Compared, count: fn(&compare::Bin) -> u64| column.change.bins.iter().map(count).sum::<u64>();
    let shares = |name: &str, count: fn(&compare::Bin) -> u64| {
        let of = rows.iter().map(|(column, _, bin)| share(count(bin), total(column, count)));
        Column::new(name.into(), of.collect::<Vec<_>>())
    };
    let label = |(column, _, bin): &(&Compared, u64, &compare::Bin)| (!column.is_personal).then(|| bin.label.clone());
    vec![
        Column::new("column".into(), rows.iter().map(|(column, ..)| column.name.as_str()).collect::<Vec<_>>()),
        counts("bin", rows.iter().map(|(_, number, _)| *number)),
        Column::new("label".into(), rows.iter().map(label).collect::<Vec<_>>()),
        counts("reference", rows.iter().map(|(.., bin)| bin.reference)),
        counts("current", rows.iter().map(|(.., bin)| bin.current)),
        shares("share_reference", |bin| bin.reference),
        shares("share_current", |bin| bin.current),
    ]
}

fn figure(compared: &[Compared]) -> Figure {
    let bars = compared.iter().take(30).map(|column| (column.name.as_str(), column.change.psi));
    Figure::new(FigureKind::Bar, "Drift by column", "column", "population stability index").with(series("PSI", bars))
}
