use polars::prelude::Column;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Disclosure, Figure, FigureKind, Kind, ParamError, PersonalColumns, Port, Series, Stage, StageContext, StageError,
};
use stagewright_frame::{Ids, to_frame};

use crate::clusters::table_of;

/// Count the values of a column in each cluster, such as categories or brands.
///
/// One row per cluster and value, in ascending order of the clusters and, within each, in the order of the values: the
/// most frequent over all clusters first, ties in ascending order. `share` is the part of the cluster's rows that have
/// the value (0 to 1); values beyond the `top` ones are left out but count in the shares, and a value that a cluster
/// does not have is there with 0. Rows without a cluster or without a value are left out with a warning. A column that
/// holds personal data is refused: its values would be in the report.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// The column whose values are counted: text, integers or booleans.
    pub column: String,
    /// The column that says which cluster a row belongs to.
    #[serde(default = "cluster")]
    pub cluster: String,
    /// How many values are kept, the most frequent ones; without it, all of them. The figure shows at most thirty,
    /// and at most twelve clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub top: Option<usize>,
}

fn cluster() -> String {
    "cluster".to_owned()
}

/// Clusters times values that are counted: a gigabyte.
const MOST_CELLS: usize = 125_000_000;

/// More clusters side by side cannot be told apart.
const DRAWN_CLUSTERS: usize = 12;

/// More values side by side cannot be read.
const DRAWN: usize = 30;

const VALUE: &str = "value";
const COUNT: &str = "count";
const SHARE: &str = "share";

impl Stage for Distribution {
    const TYPE: &'static str = "segment.distribution";
    const EXAMPLE: &'static str = "inputs: { table: bought }\nwith: { column: brand, cluster: cluster, top: 10 }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with a cluster column and the `column` to count."),
            Port::output(
                "table",
                Kind::Table,
                "One row per cluster and value: the cluster, `value` (both of the types they came with), `count` \
                 (int64), `share` (double, of the cluster's rows).",
            ),
            Port::output("figure", Kind::Figure, "The share of each value, with the clusters side by side."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if [VALUE, COUNT, SHARE].contains(&self.cluster.as_str()) {
            let message = format!("`{}` is another column of the output", self.cluster);
            return Err(ParamError::new("cluster", message).with_help("rename the column with `clean.rename`"));
        }
        if self.column == self.cluster {
            return Err(ParamError::new("column", "it is the cluster column itself")
                .with_help("name the column whose values are to be counted"));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let table = inputs.get("table").into_iter().flatten();
        let of_output = |name: &&String| [&self.cluster, VALUE, COUNT, SHARE].contains(&name.as_str());
        [("table".to_owned(), table.filter(of_output).cloned().collect())].into()
    }

    fn discloses(&self) -> Vec<Disclosure> {
        vec![Disclosure {
            port: "table",
            columns: Some(vec![self.column.clone(), self.cluster.clone()]),
            to: "the report",
            help: "count a column that is not personal, or make groups of its values with `clean.bin`".to_owned(),
        }]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        let clusters = Ids::of(&self.cluster, &[("table", &frame)])?;
        let values = Ids::of(&self.column, &[("table", &frame)])?;
        if clusters.len().saturating_mul(values.len()) > MOST_CELLS {
            return Err(StageError::data(format!(
                "there are {} values of `{}` and {} of `{}`, too many to count each in each",
                values.len(),
                self.column,
                clusters.len(),
                self.cluster
            ))
            .with_help("group the values first, such as with `clean.derive` or `clean.bin`"));
        }
        let counted = Counts::of(&clusters.codes(&frame)?, &values.codes(&frame)?, [clusters.len(), values.len()]);
        if counted.without > 0 {
            let rows =
                if counted.without == 1 { "1 row has".to_owned() } else { format!("{} rows have", counted.without) };
            context.warn(format!("{rows} no `{}` or no `{}`: left out", self.cluster, self.column));
        }
        let shown = &counted.by_frequency[..counted.by_frequency.len().min(self.top.unwrap_or(usize::MAX))];

        let of_cluster = |cluster: u32| shown.iter().map(move |&value| (cluster, value));
        let cells: Vec<(u32, u32)> = (0..clusters.len() as u32).flat_map(of_cluster).collect();
        let mut value = values.column(&cells.iter().map(|cell| cell.1).collect::<Vec<_>>())?;
        value.rename(VALUE.into());
        let counts: Vec<i64> = cells.iter().map(|&cell| counted.count(cell) as i64).collect();
        let shares: Vec<Option<f64>> = cells.iter().map(|&cell| counted.share(cell)).collect();
        context.put(
            "table",
            table_of(vec![
                clusters.column(&cells.iter().map(|cell| cell.0).collect::<Vec<_>>())?,
                value,
                Column::new(COUNT.into(), counts),
                Column::new(SHARE.into(), shares),
            ])?,
        )?;
        let title = format!("Share of each `{}` by `{}`", self.column, self.cluster);
        let mut figure = Figure::new(FigureKind::Bar, title, self.column.as_str(), "share of the cluster's rows");
        for cluster in 0..clusters.len().min(DRAWN_CLUSTERS) as u32 {
            let bars = shown.iter().take(DRAWN);
            let bars =
                bars.filter_map(|&value| Some((values.text(value).into_owned(), counted.share((cluster, value))?)));
            figure = figure.with(Series::new(format!("{} {}", self.cluster, clusters.text(cluster)), bars));
        }
        context.put("figure", figure)
    }
}

/// How often each value stands in each cluster.
struct Counts {
    /// Cluster by cluster.
    cells: Vec<u64>,
    values: usize,
    /// The rows of each cluster.
    sizes: Vec<u64>,
    /// The values, the most frequent first.
    by_frequency: Vec<u32>,
    /// The rows that have no cluster or no value.
    without: usize,
}

impl Counts {
    fn of(clusters: &[Option<u32>], values: &[Option<u32>], [rows, width]: [usize; 2]) -> Self {
        let mut cells = vec![0; rows * width];
        let mut without = 0;
        for cell in clusters.iter().zip(values) {
            match cell {
                (Some(cluster), Some(value)) => cells[*cluster as usize * width + *value as usize] += 1,
                _ => without += 1,
            }
        }
        let total = |value: u32| (0..rows).map(|row| cells[row * width + value as usize]).sum::<u64>();
        let mut by_frequency: Vec<u32> = (0..width as u32).filter(|&value| total(value) > 0).collect();
        by_frequency.sort_by_cached_key(|&value| (std::cmp::Reverse(total(value)), value));
        let sizes = (0..rows).map(|row| cells[row * width..][..width].iter().sum()).collect();
        Self { cells, values: width, sizes, by_frequency, without }
    }

    fn count(&self, (cluster, value): (u32, u32)) -> u64 {
        self.cells[cluster as usize * self.values + value as usize]
    }

    /// `None` for a cluster without rows.
    fn share(&self, cell: (u32, u32)) -> Option<f64> {
        let size = self.sizes[cell.0 as usize];
        (size > 0).then(|| self.count(cell) as f64 / size as f64)
    }
}
