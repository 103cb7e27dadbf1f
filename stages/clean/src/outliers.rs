use polars::prelude::{BooleanChunked, Column, DataFrame, Float64Chunked, IntoColumn, NewChunkedArray};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{column, numbers, polars_error, to_frame};

use crate::statistics::{deviation, mean, quantile};
use crate::table::{no_repeats, null_where, put_frame, rows, table_ports, through};

/// How the bounds are found outside of which a number is an outlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// `k` interquartile ranges below the first quartile and above the third (Tukey's fences).
    Iqr,
    /// `k` population standard deviations below and above the mean.
    Zscore,
}

/// What happens to outliers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A row with an outlier in any of the columns is left out.
    Drop,
    /// An outlier becomes the nearest bound; the columns become float64, as bounds are seldom whole.
    Clip,
    /// A boolean column `is_outlier` says whether any of the columns holds an outlier in the row.
    Mark,
    /// An outlier becomes null. (Not named `null`, which YAML takes for nothing.)
    SetNull,
}

/// Find numbers that lie far from the others of their column, and drop, clip, mark or clear them.
///
/// Bounds are taken for each column from its own finite numbers: with `iqr` the quartiles minus and plus `k`
/// interquartile ranges (J. Tukey, Exploratory Data Analysis, 1977; quartiles interpolate linearly as numpy's), with
/// `zscore` the mean minus and plus `k` population standard deviations. A number outside of the bounds is an outlier;
/// infinities are, nulls and NaN are not, and a column of equal numbers has none. An existing column `is_outlier` is
/// replaced by `mark`, and it is personal when any of the columns is.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outliers {
    /// The columns of numbers to look at.
    #[schemars(length(min = 1))]
    pub columns: Vec<String>,
    /// How the bounds are found.
    pub method: Method,
    /// How far the bounds lie, in interquartile ranges or standard deviations; above 0. 1.5 for `iqr` and 3 for
    /// `zscore` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub k: Option<f64>,
    /// What happens to outliers.
    pub action: Action,
}

impl Stage for Outliers {
    const TYPE: &'static str = "clean.outliers";
    const EXAMPLE: &'static str =
        "inputs: { table: orders }\nwith: { columns: [sale_price], method: iqr, k: 3.0, action: drop }";

    fn ports() -> Vec<Port> {
        table_ports(
            "A table with columns of numbers.",
            "The rows without outliers, or all rows with outliers clipped, marked or cleared.",
        )
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.k.is_some_and(|k| !(k > 0.0 && k.is_finite())) {
            return Err(ParamError::new("k", "`k` must be above 0"));
        }
        no_repeats("columns", &self.columns)
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        through(inputs, |personal| {
            if self.action == Action::Mark && self.columns.iter().any(|name| personal.contains(name)) {
                personal.insert(MARK.to_owned());
            }
        })
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let input = to_frame(&table)?;
        let mut frame = input.clone();
        let mut in_row = vec![false; input.height()];
        for name in &self.columns {
            context.check_cancelled()?;
            let values = numbers(&input, name)?;
            let bounds = self.bounds(&values);
            let out: Vec<bool> = values.iter().map(|value| value.is_some_and(|value| bounds.exclude(value))).collect();
            match self.action {
                Action::Drop | Action::Mark => {
                    in_row.iter_mut().zip(&out).for_each(|(row, out)| *row |= out);
                }
                Action::Clip => {
                    let clipped = values.iter().map(|value| value.map(|value| value.clamp(bounds.lower, bounds.upper)));
                    add(&mut frame, Float64Chunked::from_iter_options(name.as_str().into(), clipped).into_column())?;
                }
                Action::SetNull => {
                    let out = BooleanChunked::from_slice(name.as_str().into(), &out);
                    add(&mut frame, null_where(column(&input, name)?, &out)?)?;
                }
            }
        }
        let mut personal = None;
        match self.action {
            Action::Drop => {
                let kept: Vec<bool> = in_row.iter().map(|out| !out).collect();
                frame = rows(&frame, &BooleanChunked::from_slice("kept".into(), &kept))?;
            }
            Action::Mark => {
                add(&mut frame, BooleanChunked::from_slice(MARK.into(), &in_row).into_column())?;
                personal = self.columns.iter().any(|name| table.is_personal(name)).then_some(MARK);
            }
            Action::Clip | Action::SetNull => {}
        }
        put_frame(context, frame, personal)
    }
}

const MARK: &str = "is_outlier";

/// The numbers from `lower` to `upper` are no outliers.
struct Bounds {
    lower: f64,
    upper: f64,
}

impl Bounds {
    fn exclude(&self, value: f64) -> bool {
        value < self.lower || value > self.upper
    }
}

impl Outliers {
    fn bounds(&self, values: &[Option<f64>]) -> Bounds {
        let mut finite: Vec<f64> = values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
        finite.sort_unstable_by(f64::total_cmp);
        let found = match self.method {
            // Rounding would give equal numbers a deviation that is not quite 0.
            _ if finite.first() == finite.last() => finite.first().map(|value| (*value, *value)),
            Method::Iqr => quantile(&finite, 0.25).zip(quantile(&finite, 0.75)).map(|(first, third)| {
                let reach = self.k.unwrap_or(1.5) * (third - first);
                (first - reach, third + reach)
            }),
            Method::Zscore => mean(&finite).zip(deviation(&finite)).map(|(mean, deviation)| {
                let reach = self.k.unwrap_or(3.0) * deviation;
                (mean - reach, mean + reach)
            }),
        };
        let (lower, upper) = found.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        Bounds { lower, upper }
    }
}

fn add(frame: &mut DataFrame, column: Column) -> Result<(), StageError> {
    let name = column.name().clone();
    frame.with_column(column).map(drop).map_err(|error| polars_error(&format!("adding column `{name}`"), &error))
}
