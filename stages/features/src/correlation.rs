use polars::prelude::{Column, DataFrame};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Disclosure, Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Point, Port, Series, Stage,
    StageContext, StageError, Table, X,
};
use stagewright_frame::{polars_error, to_frame, to_table};

use crate::association::{Centered, is_constant, pearson, ranks};
use crate::category::{cut, is_numeric, marked_by_name, no_repeats, shown_to_readers};
use crate::keys::finite;
use crate::tails;

/// Correlate numeric columns with each other: a matrix as a table and as a heatmap.
///
/// Each pair of columns is compared over the rows in which both hold a number, as `pandas.DataFrame.corr` does.
/// `pearson` is the linear correlation, `spearman` that of the ranks, where equal numbers share the mean of their
/// ranks. A correlation lies between -1 and 1 and is null where either column is constant over those rows. `p_value` is
/// how often unrelated columns would correlate at least as strongly, by Student's t (as `scipy.stats.pearsonr` and
/// `spearmanr`; rough for ranks of fewer than some ten rows, and not adjusted for the number of pairs); null below
/// three rows. Null and NaN count as missing, an infinite number is an error.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Correlation {
    /// The numeric columns; without it, all that are not personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2))]
    pub columns: Option<Vec<String>>,
    /// What to compare: the numbers or their ranks.
    #[serde(default)]
    pub method: CorrelationMethod,
}

/// What a correlation compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CorrelationMethod {
    /// The numbers: how well a straight line fits.
    #[default]
    Pearson,
    /// Their ranks: how well any line that only rises, or only falls, fits.
    Spearman,
}

const OUTPUT: [&str; 5] = ["column", "other", "correlation", "p_value", "rows"];

/// More columns than this are left out of the heatmap.
const SHOWN: usize = 30;

impl Stage for Correlation {
    const TYPE: &'static str = "features.correlation";
    const EXAMPLE: &'static str =
        "inputs: { table: purchases }\nwith: { columns: [sale_price, retail_price, age], method: spearman }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with numeric columns."),
            Port::output(
                "table",
                Kind::Table,
                "One row per ordered pair of columns, each with itself too, in their order: `column`, `other` \
                 (string), `correlation`, `p_value` (double), `rows` (int64): in how many both hold a number.",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`rows`, `columns`, and `strongest`, the correlation of two columns that is farthest from 0.",
            ),
            Port::output("figure", Kind::Figure, "The matrix as a heatmap, of the first 30 columns."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        no_repeats("columns", self.columns.as_deref().unwrap_or_default())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        [("table".to_owned(), marked_by_name(inputs, OUTPUT))].into()
    }

    fn discloses(&self) -> Vec<Disclosure> {
        self.columns.iter().map(|columns| shown_to_readers(columns.clone())).collect()
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        let names = self.columns.clone().unwrap_or_else(|| numeric(&frame, &table));
        if names.is_empty() {
            return Err(StageError::data("there is no numeric column to correlate")
                .with_help("cast columns with `clean.cast`, or name them in `columns`"));
        }
        let columns = names
            .par_iter()
            .map(|name| {
                context.check_cancelled()?;
                Ok(Numbers::of(finite(&frame, name)?, self.method))
            })
            .collect::<Result<Vec<_>, StageError>>()?;
        let above: Vec<(usize, usize)> = (0..names.len()).flat_map(|a| (a..names.len()).map(move |b| (a, b))).collect();
        let found = above
            .par_iter()
            .map(|(a, b)| {
                context.check_cancelled()?;
                Ok(columns[*a].pair(&columns[*b], self.method))
            })
            .collect::<Result<Vec<_>, StageError>>()?;
        let mut matrix = vec![vec![Pair::default(); names.len()]; names.len()];
        for ((a, b), pair) in above.into_iter().zip(found) {
            matrix[a][b] = pair;
            matrix[b][a] = pair;
        }

        let strongest = (0..names.len()).flat_map(|a| matrix[a][..a].iter().filter_map(|pair| pair.correlation)).fold(
            None,
            |best: Option<f64>, r| if best.is_none_or(|best| r.abs() > best.abs()) { Some(r) } else { best },
        );
        let mut metrics = Metrics::new();
        metrics.insert("rows", Some(frame.height() as f64), Goal::Describe)?;
        metrics.insert("columns", Some(names.len() as f64), Goal::Describe)?;
        metrics.insert("strongest", strongest, Goal::Describe)?;
        context.put("metrics", metrics)?;
        context.put("figure", self.figure(&names, &matrix))?;

        let pairs = || matrix.iter().flatten();
        let repeated: Vec<&str> = names.iter().flat_map(|name| vec![name.as_str(); names.len()]).collect();
        let cycled: Vec<&str> = (0..names.len()).flat_map(|_| names.iter().map(String::as_str)).collect();
        let out = vec![
            Column::new(OUTPUT[0].into(), repeated),
            Column::new(OUTPUT[1].into(), cycled),
            Column::new(OUTPUT[2].into(), pairs().map(|pair| pair.correlation).collect::<Vec<_>>()),
            Column::new(OUTPUT[3].into(), pairs().map(|pair| pair.p_value).collect::<Vec<_>>()),
            Column::new(OUTPUT[4].into(), pairs().map(|pair| pair.rows as i64).collect::<Vec<_>>()),
        ];
        let out = DataFrame::new(names.len() * names.len(), out)
            .map_err(|error| polars_error("collecting correlations", &error))?;
        context.put("table", to_table(out)?)
    }
}

impl Correlation {
    fn figure(&self, names: &[String], matrix: &[Vec<Pair>]) -> Figure {
        let measure = match self.method {
            CorrelationMethod::Pearson => "Pearson's correlation",
            CorrelationMethod::Spearman => "Spearman's rank correlation",
        };
        let mut figure = Figure::new(FigureKind::Heatmap, "Correlation of columns", "column", measure);
        for (name, row) in names.iter().zip(matrix).take(SHOWN) {
            let points = names.iter().zip(row).take(SHOWN);
            let points = points.map(|(other, pair)| Point { x: X::Name(cut(other)), y: pair.correlation }).collect();
            figure = figure.with(Series { name: cut(name), points });
        }
        figure
    }
}

/// The numeric columns that are not personal.
fn numeric(frame: &DataFrame, table: &Table) -> Vec<String> {
    let columns = frame.columns().iter().filter(|column| is_numeric(column.dtype()));
    columns.map(|column| column.name().to_string()).filter(|name| !table.is_personal(name)).collect()
}

/// A column: its values, and what can be computed once for all pairs when none is missing.
struct Numbers {
    values: Vec<Option<f64>>,
    complete: Option<Centered>,
}

/// What is known about two columns.
#[derive(Clone, Copy, Default)]
struct Pair {
    correlation: Option<f64>,
    p_value: Option<f64>,
    rows: usize,
}

impl Numbers {
    fn of(values: Vec<Option<f64>>, method: CorrelationMethod) -> Self {
        let complete: Option<Vec<f64>> = values.iter().copied().collect();
        let complete = complete.map(|values| match method {
            CorrelationMethod::Pearson => Centered::of(&values),
            CorrelationMethod::Spearman => Centered::of(&ranks(&values)),
        });
        Self { values, complete }
    }

    fn pair(&self, other: &Self, method: CorrelationMethod) -> Pair {
        let (rows, correlation) = match (&self.complete, &other.complete) {
            (Some(a), Some(b)) => (self.values.len(), a.correlation(b)),
            _ => {
                let both = self.values.iter().zip(&other.values).filter_map(|(a, b)| Some(((*a)?, (*b)?)));
                let (a, b): (Vec<f64>, Vec<f64>) = both.unzip();
                let constant = is_constant(&a) || is_constant(&b);
                let correlation = match method {
                    _ if constant => None,
                    CorrelationMethod::Pearson => pearson(&a, &b),
                    CorrelationMethod::Spearman => pearson(&ranks(&a), &ranks(&b)),
                };
                (a.len(), correlation)
            }
        };
        // A column with itself is 1, whatever the last bits of the sums say.
        let correlation = correlation.map(|r| if std::ptr::eq(self, other) { 1.0 } else { r });
        Pair { correlation, p_value: correlation.and_then(|r| tails::correlation(r, rows)), rows }
    }
}
