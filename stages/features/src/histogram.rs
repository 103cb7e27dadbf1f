use polars::prelude::{Column, DataFrame};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Disclosure, Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Series, Stage,
    StageContext, StageError,
};
use stagewright_frame::{polars_error, require, to_frame, to_table};

use crate::bins::Bins;
use crate::category::{cut, distinct_values, marked_by_name, no_repeats, number, shown_to_readers};
use crate::keys::{Keys, distinct, finite, rows_have};
use crate::sum::Sum;
use crate::summary::Summary;

/// Count how the numbers of a column spread over bins, of each row or of each user.
///
/// As `pandas.cut`, edges `[0, 9, 20]` make the bins `(0, 9]` and `(9, 20]`, each without its lower edge and with its
/// upper one; a number of bins divides the range from the least to the greatest value evenly; `values` counts each
/// distinct value by itself. With `per` and `agg`, what is counted is a value for each user (or order, or whatever
/// `per` names): the mean price, the number of distinct orders. `share` is the part of all known values, those outside
/// the bins too; how many those are is a metric and a warning. Null and NaN are missing, an infinite number is an
/// error.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// The column with the numbers; with `agg: count` or `n_unique`, any column.
    pub column: String,
    /// The edges of the bins, ascending, in the unit of the values; or how many bins of equal width; or `values`.
    #[serde(default)]
    pub bins: BinChoice,
    /// With edges, the names of the bins, one fewer than edges; such as `(0, 9]` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub labels: Option<Vec<String>>,
    /// With edges, whether the first bin holds its lower edge as well.
    #[serde(default)]
    pub include_lowest: bool,
    /// The column whose distinct values each give one number to be counted, such as `user_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<String>,
    /// With `per`, what becomes of the values of one user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agg: Option<Aggregation>,
}

/// Which bins there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum BinChoice {
    /// So many of equal width.
    Number(#[schemars(range(min = 1, max = 200))] usize),
    /// Between these edges.
    Edges(#[schemars(length(min = 2, max = 201))] Vec<f64>),
    /// One for each distinct value.
    Each(EachValue),
}

/// One bin for each distinct value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EachValue {
    /// One bin for each distinct value.
    Values,
}

impl Default for BinChoice {
    fn default() -> Self {
        Self::Number(10)
    }
}

/// How the values of one user become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Their mean.
    Mean,
    /// Their sum; 0 of none.
    Sum,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The first that is known, in the order of the rows.
    First,
    /// How many are known.
    Count,
    /// How many different ones are known.
    NUnique,
}

impl Aggregation {
    fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Sum => "sum of",
            Self::Min => "least",
            Self::Max => "greatest",
            Self::First => "first",
            Self::Count => "number of",
            Self::NUnique => "distinct",
        }
    }

    /// Whether the result says how many values there are and nothing about what they are.
    fn only_counts(self) -> bool {
        matches!(self, Self::Count | Self::NUnique)
    }
}

const OUTPUT: [&str; 5] = ["bin", "lower", "upper", "count", "share"];

/// More bins than this are no figure.
const MOST: usize = 200;

impl Stage for Histogram {
    const TYPE: &'static str = "features.histogram";
    const EXAMPLE: &'static str = "inputs: { table: purchases }\nwith: { column: sale_price, per: user_id, agg: mean, \
                                   bins: [0, 9, 20, 30, 200] }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with the column."),
            Port::output(
                "table",
                Kind::Table,
                "One row per bin, ascending: `bin` (string, its name), `lower`, `upper` (double, its edges; equal with \
                 `bins: values`), `count` (int64), `share` (double, 0 to 1).",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "How many `values` are known, `missing` and `outside` all bins; their `mean`, `median` and `std`.",
            ),
            Port::output("figure", Kind::Figure, "A bar for each bin."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        match (&self.per, self.agg) {
            (Some(_), None) => {
                return Err(ParamError::new("agg", "`per` needs `agg`")
                    .with_help("such as `mean`, `sum` or `n_unique`: what becomes of the values of one"));
            }
            (None, Some(_)) => {
                return Err(
                    ParamError::new("per", "`agg` needs `per`").with_help("name the column to group by, as `user_id`")
                );
            }
            _ => {}
        }
        let edges = match &self.bins {
            BinChoice::Edges(edges) => edges,
            BinChoice::Number(count) if !(1..=MOST).contains(count) => {
                return Err(ParamError::new("bins", format!("there can be 1 to {MOST} bins")));
            }
            _ if self.labels.is_some() => {
                return Err(ParamError::new("labels", "only bins with given edges can be named")
                    .with_help("give the edges in `bins`, or leave `labels` out"));
            }
            _ => return Ok(()),
        };
        if !(2..=MOST + 1).contains(&edges.len()) {
            return Err(ParamError::new("bins", format!("2 to {} edges are needed", MOST + 1)));
        }
        for (index, pair) in edges.windows(2).enumerate() {
            if pair[0] >= pair[1] {
                let message = format!("the edges must ascend, but {} follows {}", number(pair[1]), number(pair[0]));
                return Err(ParamError::new(format!("bins/{}", index + 1), message));
            }
        }
        if let Some(labels) = &self.labels {
            let bins = edges.len() - 1;
            if labels.len() != bins {
                let message = format!("{} edges make {bins} bins, but there are {} labels", edges.len(), labels.len());
                return Err(ParamError::new("labels", message));
            }
            no_repeats("labels", labels)?;
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        [("table".to_owned(), marked_by_name(inputs, OUTPUT))].into()
    }

    fn discloses(&self) -> Vec<Disclosure> {
        if self.agg.is_some_and(Aggregation::only_counts) {
            return Vec::new();
        }
        vec![shown_to_readers(vec![self.column.clone()])]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let frame = to_frame(&*context.table("table")?)?;
        require(&frame, std::iter::once(&self.column).chain(&self.per).map(String::as_str))?;
        let values = self.values(context, &frame)?;
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        let missing = values.len() - known.len();
        if missing > 0 {
            context.warn(match &self.per {
                None => format!("{} no `{}`: not counted", rows_have(missing), self.column),
                Some(per) => {
                    format!("{missing} of {} distinct `{per}` have no `{}`: not counted", values.len(), self.column)
                }
            });
        }
        let bars = self.count(&known)?;
        let counted: u64 = bars.iter().map(|bar| bar.count).sum();
        let outside = known.len() as u64 - counted;
        if outside > 0 {
            context.warn(format!("{outside} of {} values lie outside the bins: not counted", known.len()));
        }

        let known_count = known.len() as f64;
        let summary = Summary::of(known);
        let mut metrics = Metrics::new();
        metrics.insert("values", Some(known_count), Goal::Describe)?;
        metrics.insert("missing", Some(missing as f64), Goal::Describe)?;
        metrics.insert("outside", Some(outside as f64), Goal::Describe)?;
        metrics.insert("mean", summary.mean, Goal::Describe)?;
        metrics.insert("median", summary.median, Goal::Describe)?;
        metrics.insert("std", summary.std, Goal::Describe)?;
        context.put("metrics", metrics)?;
        context.put("figure", self.figure(&bars))?;

        let out = vec![
            Column::new(OUTPUT[0].into(), bars.iter().map(|bar| bar.name.as_str()).collect::<Vec<_>>()),
            Column::new(OUTPUT[1].into(), bars.iter().map(|bar| bar.lower).collect::<Vec<_>>()),
            Column::new(OUTPUT[2].into(), bars.iter().map(|bar| bar.upper).collect::<Vec<_>>()),
            Column::new(OUTPUT[3].into(), bars.iter().map(|bar| bar.count as i64).collect::<Vec<_>>()),
            Column::new(
                OUTPUT[4].into(),
                bars.iter().map(|bar| (known_count > 0.0).then(|| bar.count as f64 / known_count)).collect::<Vec<_>>(),
            ),
        ];
        let out = DataFrame::new(bars.len(), out).map_err(|error| polars_error("collecting bins", &error))?;
        context.put("table", to_table(out)?)
    }
}

/// A bin and what it holds.
struct Bar {
    name: String,
    lower: f64,
    upper: f64,
    count: u64,
}

impl Histogram {
    /// The numbers to count, of each row or of each group.
    fn values(&self, context: &StageContext, frame: &DataFrame) -> Result<Vec<Option<f64>>, StageError> {
        let (Some(per), Some(agg)) = (&self.per, self.agg) else {
            return finite(frame, &self.column);
        };
        let groups = distinct_values(frame, per)?;
        groups.warn_nulls(context, "left out");
        if agg.only_counts() {
            let values = distinct_values(frame, &self.column)?;
            return Ok(counts(&groups, &values, agg).into_iter().map(|count| Some(count as f64)).collect());
        }
        let values = finite(frame, &self.column)?;
        let mut of_group = vec![Group::default(); groups.len()];
        for (row, group) in groups.rows() {
            if let Some(value) = values[row] {
                of_group[group].add(value);
            }
        }
        let out: Vec<Option<f64>> = of_group.iter().map(|group| group.value(agg)).collect();
        if out.iter().flatten().any(|value| !value.is_finite()) {
            return Err(StageError::data(format!("a sum over column `{}` is too large for a number", self.column))
                .with_help("filter very large values out, or scale the column"));
        }
        Ok(out)
    }

    fn count(&self, known: &[f64]) -> Result<Vec<Bar>, StageError> {
        let (bins, names) = match &self.bins {
            BinChoice::Each(EachValue::Values) => return self.each(known),
            BinChoice::Number(count) => {
                let bins = Bins::equal(known, *count);
                let names = bins.names();
                (bins, names)
            }
            BinChoice::Edges(edges) => {
                let bins = Bins::between(edges.clone(), self.include_lowest);
                let names = self.labels.clone().unwrap_or_else(|| bins.names());
                (bins, names)
            }
        };
        let mut counts = vec![0; bins.len()];
        known.iter().filter_map(|value| bins.place(*value)).for_each(|bin| counts[bin] += 1);
        let bars = bins.edges().zip(names).zip(counts);
        Ok(bars.map(|(((lower, upper), name), count)| Bar { name, lower, upper, count }).collect())
    }

    fn each(&self, known: &[f64]) -> Result<Vec<Bar>, StageError> {
        let mut sorted = known.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let equal = || sorted.chunk_by(|a, b| a == b);
        let distinct = equal().count();
        if distinct > MOST {
            return Err(StageError::data(format!(
                "there are {distinct} distinct values, `bins: values` shows up to {MOST}"
            ))
            .with_help("give edges or a number of bins in `bins`"));
        }
        let bar = |equal: &[f64]| {
            // Minus zero is zero.
            let value = equal[0] + 0.0;
            Bar { name: number(value), lower: value, upper: value, count: equal.len() as u64 }
        };
        Ok(equal().map(bar).collect())
    }

    fn figure(&self, bars: &[Bar]) -> Figure {
        let what = match (&self.per, self.agg) {
            (Some(per), Some(agg)) => format!("{} {} per {per}", agg.name(), self.column),
            _ => self.column.clone(),
        };
        let unit = self.per.as_deref().map_or_else(|| "rows".to_owned(), |per| format!("distinct {per}"));
        let series = Series::new("count", bars.iter().map(|bar| (cut(&bar.name), bar.count as f64)));
        Figure::new(FigureKind::Bar, format!("Distribution of {what}"), what, unit).with(series)
    }
}

/// How many values each group has, or how many different ones.
fn counts(groups: &Keys, values: &Keys, agg: Aggregation) -> Vec<u64> {
    let mut counts = vec![0; groups.len()];
    let known = groups.rows().filter_map(|(row, group)| values.of_row[row].map(|value| (group as u32, value)));
    if agg == Aggregation::Count {
        known.for_each(|(group, _)| counts[group as usize] += 1);
    } else {
        distinct(known).into_iter().for_each(|(group, _)| counts[group as usize] += 1);
    }
    counts
}

/// What is known of the values of one group.
#[derive(Clone, Copy, Default)]
struct Group {
    count: u64,
    sum: Sum,
    min: f64,
    max: f64,
    first: f64,
}

impl Group {
    fn add(&mut self, value: f64) {
        if self.count == 0 {
            *self = Self { min: value, max: value, first: value, ..Self::default() };
        }
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum.add(value);
    }

    fn value(&self, agg: Aggregation) -> Option<f64> {
        let value = match agg {
            Aggregation::Mean => self.sum.value() / self.count as f64,
            Aggregation::Sum => return Some(self.sum.value()),
            Aggregation::Min => self.min,
            Aggregation::Max => self.max,
            Aggregation::First => self.first,
            Aggregation::Count | Aggregation::NUnique => return Some(self.count as f64),
        };
        (self.count > 0).then_some(value)
    }
}
