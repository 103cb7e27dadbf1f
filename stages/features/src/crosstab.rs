use polars::prelude::{Column, DataFrame, IdxCa, IdxSize};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Disclosure, Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Point, Port, Series, Stage,
    StageContext, StageError, X,
};
use stagewright_frame::{polars_error, require, to_frame, to_table};

use crate::association::Contingency;
use crate::category::{categories, marked_by_name, names, shown_to_readers};
use crate::keys::{Keys, rows_have};
use crate::top::most_frequent;

/// Count how often the categories of two columns occur together, and test whether they depend on each other.
///
/// A category is a distinct value; fractions are put into bins with `clean.bin` first. The test is Pearson's chi-square
/// without a correction (`scipy.stats.chi2_contingency(…, correction=False)`): `p_value` is how often unrelated columns
/// would differ at least as much. Cramér's V says how much they depend on each other, from 0 to 1, and is null where
/// one side has a single category. Rows without one of the two are left out with a warning. `max_rows` and
/// `max_columns` keep the most frequent categories of each side alone; counts, shares and the test then speak of the
/// rows that have them, and a warning says how many do not.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crosstab {
    /// The column whose categories become rows, such as `cluster`.
    pub rows: String,
    /// The column whose categories become columns, such as `category`.
    pub columns: String,
    /// Keep only so many of the most frequent categories of `rows`; equally frequent ones ascending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_rows: Option<usize>,
    /// Keep only so many of the most frequent categories of `columns`; equally frequent ones ascending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_columns: Option<usize>,
    /// What the figure shows.
    #[serde(default)]
    pub show: Show,
}

/// What a figure of two columns shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// How often a pair occurs.
    #[default]
    Count,
    /// The part of its row, so that rows of different size can be compared.
    RowShare,
}

const COUNT: &str = "count";
const ROW_SHARE: &str = "row_share";
const COLUMN_SHARE: &str = "column_share";
const EXPECTED: &str = "expected";
const OUTPUT: [&str; 4] = [COUNT, ROW_SHARE, COLUMN_SHARE, EXPECTED];

/// More cells than this are no table that anyone reads.
const MOST_CELLS: usize = 100_000;
/// Up to so many categories of `rows` stand beside each other as bars; more are a heatmap.
const BARS: usize = 6;
/// The figure shows this many categories of each side, the most frequent.
const SHOWN: usize = 30;

impl Stage for Crosstab {
    const TYPE: &'static str = "features.crosstab";
    const EXAMPLE: &'static str =
        "inputs: { table: purchases }\nwith: { rows: cluster, columns: category, max_columns: 10 }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with the two columns."),
            Port::output(
                "table",
                Kind::Table,
                "One row per pair of categories, ascending, those that do not occur too: the two columns, `count` \
                 (int64), `row_share`, `column_share` (double, 0 to 1), `expected` (double): the count if the columns \
                 were independent.",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`chi2`, its `dof` and `p_value`, `cramers_v`; the `rows` counted and those `left_out`.",
            ),
            Port::output(
                "figure",
                Kind::Figure,
                "Bars beside each other for up to six categories of `rows`, a heatmap for more; the 30 most frequent \
                 categories of each side.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.rows == self.columns {
            return Err(ParamError::new("columns", format!("`{}` is `rows` already", self.columns))
                .with_help("`features.top` counts the categories of one column"));
        }
        for (path, name) in [("rows", &self.rows), ("columns", &self.columns)] {
            if OUTPUT.contains(&name.as_str()) {
                return Err(ParamError::new(path, format!("`{name}` is another column of the output"))
                    .with_help("rename the column with `clean.rename`"));
            }
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let columns = [self.rows.as_str(), &self.columns].into_iter().chain(OUTPUT);
        [("table".to_owned(), marked_by_name(inputs, columns))].into()
    }

    fn discloses(&self) -> Vec<Disclosure> {
        vec![shown_to_readers(vec![self.rows.clone(), self.columns.clone()])]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let frame = to_frame(&*context.table("table")?)?;
        require(&frame, [self.rows.as_str(), self.columns.as_str()])?;
        let (rows, columns) = (categories(&frame, &self.rows)?, categories(&frame, &self.columns)?);
        let both = || rows.of_row.iter().zip(&columns.of_row).filter_map(|(a, b)| Some(((*a)?, (*b)?)));
        let known = both().count();
        if known < frame.height() {
            let without = rows_have(frame.height() - known);
            context.warn(format!("{without} no `{}` or no `{}`: left out", self.rows, self.columns));
        }
        let rows = Side::of(&rows, both().map(|pair| pair.0), self.max_rows);
        let columns = Side::of(&columns, both().map(|pair| pair.1), self.max_columns);
        let cells = rows.kept.len().saturating_mul(columns.kept.len());
        if cells > MOST_CELLS {
            return Err(StageError::data(format!(
                "{} categories of `{}` by {} of `{}` are {cells} cells, more than {MOST_CELLS}",
                rows.kept.len(),
                self.rows,
                columns.kept.len(),
                self.columns
            ))
            .with_help("keep the most frequent with `max_rows` and `max_columns`"));
        }
        let pairs = both().filter_map(|(row, column)| rows.place(row).zip(columns.place(column)));
        let counts = Contingency::of(pairs, rows.kept.len(), columns.kept.len());
        let total = counts.total();
        if (total as usize) < known {
            let without = rows_have(known - total as usize);
            context.warn(format!("{without} a less frequent category: left out"));
        }
        self.test(context, &counts, frame.height())?;
        let failed = |error| polars_error(&format!("counting `{}` by `{}`", self.rows, self.columns), &error);
        let row_values = rows.values.take(&rows.places()).map_err(failed)?;
        let column_values = columns.values.take(&columns.places()).map_err(failed)?;
        context.put("figure", self.figure(&counts, &names(&row_values), &names(&column_values)))?;

        let (row_totals, column_totals) = (counts.row_totals(), counts.column_totals());
        let across = columns.kept.len();
        let of_row = (0..cells).map(|cell| (cell / across.max(1)) as IdxSize).collect();
        let of_column = (0..cells).map(|cell| (cell % across.max(1)) as IdxSize).collect();
        let share = |count: u64, of: u64| (of > 0).then(|| count as f64 / of as f64);
        let cell = |of: &dyn Fn(u64, u64, u64) -> Option<f64>| -> Vec<Option<f64>> {
            let totals = |cell: usize| (row_totals[cell / across], column_totals[cell % across]);
            counts.counts.iter().enumerate().map(|(at, count)| of(*count, totals(at).0, totals(at).1)).collect()
        };
        let out = vec![
            row_values.take(&IdxCa::from_vec("row".into(), of_row)).map_err(failed)?,
            column_values.take(&IdxCa::from_vec("column".into(), of_column)).map_err(failed)?,
            Column::new(COUNT.into(), counts.counts.iter().map(|count| *count as i64).collect::<Vec<_>>()),
            Column::new(ROW_SHARE.into(), cell(&|count, row, _| share(count, row))),
            Column::new(COLUMN_SHARE.into(), cell(&|count, _, column| share(count, column))),
            Column::new(
                EXPECTED.into(),
                cell(&|_, row, column| Some(row as f64 * column as f64 / total.max(1) as f64)),
            ),
        ];
        let out = DataFrame::new(cells, out).map_err(failed)?;
        context.put("table", to_table(out)?)
    }
}

impl Crosstab {
    fn test(&self, context: &mut StageContext, counts: &Contingency, height: usize) -> Result<(), StageError> {
        let test = counts.chi_square();
        if let Some(test) = test.filter(|test| test.dof > 0 && 5 * test.sparse_cells > test.cells) {
            context.warn(format!(
                "in {} of {} cells fewer than 5 rows are expected: the p-value is rough",
                test.sparse_cells, test.cells
            ));
        }
        let total = counts.total() as f64;
        let mut metrics = Metrics::new();
        metrics.insert("chi2", test.map(|test| test.statistic), Goal::Describe)?;
        metrics.insert("dof", test.map(|test| test.dof as f64), Goal::Describe)?;
        metrics.insert("p_value", test.and_then(|test| test.p_value), Goal::Describe)?;
        metrics.insert("cramers_v", test.and_then(|test| test.cramers_v), Goal::Describe)?;
        metrics.insert("rows", Some(total), Goal::Describe)?;
        metrics.insert("left_out", Some(height as f64 - total), Goal::Describe)?;
        context.put("metrics", metrics)
    }

    fn figure(&self, counts: &Contingency, rows: &[String], columns: &[String]) -> Figure {
        let kind = if rows.len() <= BARS { FigureKind::Bar } else { FigureKind::Heatmap };
        let measure = match self.show {
            Show::Count => "rows".to_owned(),
            Show::RowShare => format!("share of {}", self.rows),
        };
        let title = format!("{} by {}", self.columns, self.rows);
        let mut figure = Figure::new(kind, title, &self.columns, measure);
        let (row_totals, column_totals) = (counts.row_totals(), counts.column_totals());
        let ascending = |totals: &[u64]| {
            let mut shown = most_frequent(totals, SHOWN);
            shown.sort_unstable();
            shown
        };
        let across = ascending(&column_totals);
        for row in ascending(&row_totals) {
            let of = match self.show {
                Show::Count => 1,
                Show::RowShare => row_totals[row],
            };
            let y = |column: usize| (of > 0).then(|| counts.row(row)[column] as f64 / of as f64);
            let points = across.iter().map(|column| Point { x: X::Name(columns[*column].clone()), y: y(*column) });
            let name = if kind == FigureKind::Bar { format!("{} {}", self.rows, rows[row]) } else { rows[row].clone() };
            figure = figure.with(Series { name, points: points.collect() });
        }
        figure
    }
}

/// The categories of one side, and which of them are kept.
struct Side<'a> {
    values: &'a Column,
    /// Ascending.
    kept: Vec<usize>,
    place: Vec<Option<u32>>,
}

impl<'a> Side<'a> {
    /// Those that occur, or the most frequent of them.
    fn of(keys: &'a Keys, codes: impl Iterator<Item = u32>, most: Option<usize>) -> Self {
        let mut counts = vec![0u64; keys.len()];
        codes.for_each(|code| counts[code as usize] += 1);
        let mut kept = most_frequent(&counts, most.unwrap_or(counts.len()));
        kept.retain(|category| counts[*category] > 0);
        kept.sort_unstable();
        let mut place = vec![None; counts.len()];
        (0..).zip(&kept).for_each(|(at, category)| place[*category] = Some(at));
        Self { values: &keys.values, kept, place }
    }

    fn place(&self, code: u32) -> Option<u32> {
        self.place[code as usize]
    }

    fn places(&self) -> IdxCa {
        IdxCa::from_vec("kept".into(), self.kept.iter().map(|category| *category as IdxSize).collect())
    }
}
