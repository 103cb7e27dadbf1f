use polars::prelude::{Column, DataFrame, IdxCa, IdxSize};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Disclosure, Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Series, Stage,
    StageContext, StageError,
};
use stagewright_frame::{polars_error, to_frame, to_table};

use crate::category::{categories, marked_by_name, names, shown_to_readers};

/// Count the categories of a column and keep the most frequent.
///
/// A category is a distinct value of the column; null is none. They are ordered by their count, equally frequent ones
/// ascending (numbers by value, text by its bytes), so that the cut is always at the same place. `share` is the part of
/// the rows that have a category. Fractions are refused: put them into bins with `clean.bin` or count them with
/// `features.histogram`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Top {
    /// The column with the categories: text, integers, booleans, dates.
    pub column: String,
    /// How many categories to keep.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 200))]
    pub n: usize,
}

fn ten() -> usize {
    10
}

const RANK: &str = "rank";
const COUNT: &str = "count";
const SHARE: &str = "share";

impl Stage for Top {
    const TYPE: &'static str = "features.top";
    const EXAMPLE: &'static str = "inputs: { table: purchases }\nwith: { column: brand, n: 10 }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table."),
            Port::output(
                "table",
                Kind::Table,
                "One row per category, most frequent first: `rank` (int64, from 1), the column, `count` (int64), \
                 `share` (double, 0 to 1).",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`rows` with a category, `missing` without, `distinct` categories, and `covered`, the share of the \
                 rows whose category is in the table.",
            ),
            Port::output("figure", Kind::Figure, "A bar for each category in the table."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if [RANK, COUNT, SHARE].contains(&self.column.as_str()) {
            return Err(ParamError::new("column", format!("`{}` is another column of the output", self.column))
                .with_help("rename the column with `clean.rename`"));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        [("table".to_owned(), marked_by_name(inputs, [RANK, &self.column, COUNT, SHARE]))].into()
    }

    fn discloses(&self) -> Vec<Disclosure> {
        vec![shown_to_readers(vec![self.column.clone()])]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let frame = to_frame(&*context.table("table")?)?;
        let categories = categories(&frame, &self.column)?;
        let mut counts = vec![0u64; categories.len()];
        categories.rows().for_each(|(_, category)| counts[category] += 1);
        let rows: u64 = counts.iter().sum();
        let top = most_frequent(&counts, self.n);
        let picked: Vec<u64> = top.iter().map(|category| counts[*category]).collect();
        let share = |count: u64| (rows > 0).then(|| count as f64 / rows as f64);

        let mut metrics = Metrics::new();
        metrics.insert("rows", Some(rows as f64), Goal::Describe)?;
        metrics.insert("missing", Some(frame.height() as f64 - rows as f64), Goal::Describe)?;
        metrics.insert("distinct", Some(counts.len() as f64), Goal::Describe)?;
        metrics.insert("covered", share(picked.iter().sum()), Goal::Describe)?;
        context.put("metrics", metrics)?;

        let places = IdxCa::from_vec(RANK.into(), top.iter().map(|category| *category as IdxSize).collect());
        let failed = |error| polars_error(&format!("counting column `{}`", self.column), &error);
        let values = categories.values.take(&places).map_err(failed)?;
        let title = format!("Most frequent `{}`", self.column);
        let bars = Series::new(COUNT, names(&values).into_iter().zip(picked.iter().map(|count| *count as f64)));
        context.put("figure", Figure::new(FigureKind::Bar, title, &self.column, "rows").with(bars))?;

        let out = vec![
            Column::new(RANK.into(), (1..=top.len() as i64).collect::<Vec<_>>()),
            values,
            Column::new(COUNT.into(), picked.iter().map(|count| *count as i64).collect::<Vec<_>>()),
            Column::new(SHARE.into(), picked.iter().map(|count| share(*count)).collect::<Vec<_>>()),
        ];
        let out = DataFrame::new(top.len(), out).map_err(failed)?;
        context.put("table", to_table(out)?)
    }
}

/// The places of the `n` largest counts, largest first, equal ones in their order.
pub(crate) fn most_frequent(counts: &[u64], n: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..counts.len()).collect();
    let order = |a: &usize, b: &usize| counts[*b].cmp(&counts[*a]).then(a.cmp(b));
    if n < places.len() {
        places.select_nth_unstable_by(n, order);
        places.truncate(n);
    }
    places.sort_unstable_by(order);
    places
}
