mod indices;
mod silhouette;
#[cfg(test)]
mod tests;

use polars::prelude::{Column, DataFrame};
use rand::seq::index;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Disclosure, Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Stage, StageContext,
    StageError,
};
use stagewright_frame::{numbers, to_frame};

use crate::classification::share;
use crate::groups::Groups;
use crate::outputs::{counts, personal, put, series};
use crate::sums::Sum;
use indices::{Agreement, calinski_harabasz, clusters, davies_bouldin};
use silhouette::silhouettes;

/// Measure how well clusters are told apart by the columns, and how far they agree with another grouping.
///
/// `silhouette` is the mean over the rows of (b - a) / max(a, b), where a is the mean distance to the other rows of the
/// cluster and b the least mean distance to the rows of another (Rousseeuw 1987; -1 to 1, a row alone counts 0);
/// `davies_bouldin` the mean over the clusters of the largest ratio of two clusters' spreads, added, to the distance of
/// their middles (1979; from 0, smaller is better); `calinski_harabasz` the variance between clusters to that within
/// (1974; from 0). All are those of scikit-learn over Euclidean distances of the columns, standardised (population
/// standard deviation; a constant column counts 0) unless `standardize` is off; they are undefined for a single cluster,
/// when every row is one, and where they divide by nothing. Silhouettes are exact up to 50,000 rows, in time
/// proportional to their square; beyond, they are those of 20,000 rows drawn at random among themselves, with a warning.
/// With `reference`, `adjusted_rand_index` (Hubert and Arabie 1985; 1 for the same grouping, 0 on average for a random
/// one) and `normalized_mutual_information` (divided by the mean of the entropies; 0 to 1) say how alike both groupings
/// are, whatever the groups are called. Rows without a cluster are left out with a warning; every other row needs a
/// finite number in each column.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clustering {
    /// The numeric columns to measure distances in.
    #[schemars(length(min = 1))]
    columns: Vec<String>,
    /// The column that says which cluster a row belongs to (integers or text, at most 500 values).
    #[serde(default = "cluster")]
    cluster: String,
    /// Whether to standardise the columns first.
    #[serde(default = "yes")]
    standardize: bool,
    /// A column with another grouping of the rows to compare with (integers or text, at most 500 values; a missing value
    /// is a group of its own).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// How many rows to compute silhouettes of; without it, all up to 50,000 and 20,000 beyond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2))]
    sample_size: Option<usize>,
}

fn cluster() -> String {
    "cluster".to_owned()
}

fn yes() -> bool {
    true
}

/// Up to so many rows silhouettes are exact.
const EXACT_ROWS: usize = 50_000;

/// Of so many rows they are beyond.
const SAMPLED_ROWS: usize = 20_000;

/// Squares of larger values, summed, might leave the range of numbers.
const LARGEST: f64 = 1e100;

/// The columns of each output table.
const TABLES: [(&str, &[&str]); 1] = [("table", &["cluster", "size", "share", "silhouette", "spread"])];

impl Stage for Clustering {
    const TYPE: &'static str = "evaluate.clustering";
    const EXAMPLE: &'static str = "\
inputs: { table: segments.table }
with: { columns: [total_user_spent, age, order_frequency, num_of_item], cluster: cluster }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with the cluster column and the numeric `columns`."),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`silhouette`, `davies_bouldin`, `calinski_harabasz`, `clusters`, `rows`, `smallest_share` and \
                 `largest_share` of the rows in a cluster; with `reference`, `adjusted_rand_index` and \
                 `normalized_mutual_information`.",
            ),
            Port::output(
                "table",
                Kind::Table,
                "One row per cluster, ascending: `cluster` (text), `size`, `share` of all rows, the mean `silhouette` \
                 of its rows, and `spread`, their mean distance from its middle.",
            ),
            Port::output("silhouette_figure", Kind::Figure, "The mean silhouette of each cluster."),
            Port::output("size_figure", Kind::Figure, "The rows of each cluster."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        for (index, name) in self.columns.iter().enumerate() {
            if self.columns.iter().take(index).any(|other| other == name) {
                return Err(ParamError::new(format!("columns/{index}"), format!("`{name}` is named twice")));
            }
            if *name == self.cluster {
                return Err(ParamError::new(format!("columns/{index}"), format!("`{name}` is the cluster column"))
                    .with_help("leave it out: distances are between other columns"));
            }
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        personal(&TABLES, &[("table", "cluster", &self.cluster)], inputs)
    }

    fn discloses(&self) -> Vec<Disclosure> {
        vec![Disclosure {
            port: "table",
            columns: Some(vec![self.cluster.clone()]),
            to: "a figure of clusters",
            help: "name a column of clusters that is not personal".to_owned(),
        }]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let input = context.table("table")?;
        let frame = to_frame(&input)?;
        let groups = Groups::read(&frame, "table", &self.cluster)?;
        let mut rows = Sorted::read(context, &frame, &groups, &self.columns)?;
        if self.standardize {
            rows.columns.iter_mut().for_each(|column| standardize(column));
        }
        let measurable = rows.sizes.len() > 1 && rows.sizes.len() < rows.order.len();
        let middles = clusters(&rows.columns, &rows.sizes);
        let of_clusters = if measurable { self.silhouettes(context, &rows)? } else { vec![None; rows.sizes.len()] };

        let mut metrics = Metrics::new();
        let weighted = of_clusters.iter().flatten().map(|(sum, _)| *sum).collect::<Sum>().value();
        let sampled: usize = of_clusters.iter().flatten().map(|(_, count)| *count).sum();
        let mean = (sampled > 0).then(|| weighted / sampled as f64);
        let index = |index: Option<f64>| index.filter(|_| measurable);
        metrics.insert("silhouette", index(mean), Goal::Maximize)?;
        metrics.insert("davies_bouldin", index(davies_bouldin(&middles)), Goal::Minimize)?;
        let between = if measurable { calinski_harabasz(&rows.columns, &rows.sizes, &middles) } else { None };
        metrics.insert("calinski_harabasz", between, Goal::Maximize)?;
        let total = rows.order.len() as u64;
        let shares: Vec<Option<f64>> = rows.sizes.iter().map(|size| share(*size as u64, total)).collect();
        let smallest = shares.iter().flatten().copied().reduce(f64::min);
        let largest = shares.iter().flatten().copied().reduce(f64::max);
        for (name, value) in [
            ("clusters", Some(rows.sizes.len() as f64)),
            ("rows", Some(total as f64)),
            ("smallest_share", smallest),
            ("largest_share", largest),
        ] {
            metrics.insert(name, value, Goal::Describe)?;
        }
        if let Some(reference) = &self.reference {
            let reference = Groups::read(&frame, "table", reference)?;
            let code = |row: &usize| Some((*groups.codes.get(*row)?, *reference.codes.get(*row)?));
            let agreement = Agreement::of(rows.order.iter().filter_map(code));
            metrics.insert("adjusted_rand_index", agreement.adjusted_rand(), Goal::Maximize)?;
            let information = agreement.normalized_mutual_information();
            metrics.insert("normalized_mutual_information", information, Goal::Maximize)?;
        }

        let silhouettes: Vec<Option<f64>> =
            of_clusters.iter().map(|found| found.map(|(sum, count)| sum / count as f64)).collect();
        let names = || rows.names.iter().map(String::as_str);
        let sizes = || rows.sizes.iter().map(|size| *size as u64);
        let table = vec![
            Column::new("cluster".into(), names().collect::<Vec<_>>()),
            counts("size", sizes()),
            Column::new("share".into(), shares),
            Column::new("silhouette".into(), silhouettes.clone()),
            Column::new("spread".into(), middles.iter().map(|cluster| cluster.spread).collect::<Vec<_>>()),
        ];
        put(context, "table", table, &[("table", "cluster", &self.cluster)], &input)?;
        let bars = |title: &str, y_label: &str, values: Vec<Option<f64>>| {
            Figure::new(FigureKind::Bar, title, "cluster", y_label).with(series(y_label, names().zip(values)))
        };
        context.put("silhouette_figure", bars("Silhouette by cluster", "mean silhouette", silhouettes))?;
        let heights = sizes().map(|size| Some(size as f64)).collect();
        context.put("size_figure", bars("Size of clusters", "rows", heights))?;
        context.put("metrics", metrics)
    }
}

/// The rows that have a cluster, cluster by cluster and then by their values, so that the order they came in has no part.
struct Sorted {
    /// The features.
    columns: Vec<Vec<f64>>,
    /// How many rows each cluster has, at least one.
    sizes: Vec<usize>,
    /// The names of the clusters.
    names: Vec<String>,
    /// The rows of the input.
    order: Vec<usize>,
}

impl Sorted {
    fn read(context: &StageContext, frame: &DataFrame, groups: &Groups, names: &[String]) -> Result<Self, StageError> {
        let known = |row: &usize| {
            groups.codes.get(*row).and_then(|code| groups.names.get(*code as usize)).is_some_and(Option::is_some)
        };
        let mut order: Vec<usize> = (0..frame.height()).filter(known).collect();
        if order.len() < frame.height() {
            let missing = frame.height() - order.len();
            context.warn(format!("{missing} of {} rows have no `{}`: left out", frame.height(), groups.column));
        }
        let feature = |name: &String| {
            let values = numbers(frame, name)?;
            let finite = |row: &&usize| values[**row].is_some_and(|value| value.abs() <= LARGEST);
            let without = order.len() - order.iter().filter(finite).count();
            if without > 0 {
                return Err(StageError::data(format!(
                    "{without} of {} rows have no number between -1e100 and 1e100 in column `{name}`",
                    order.len()
                ))
                .with_help(
                    "fill them with `clean.fill`, or leave those rows out with `clean.drop_nulls` or `clean.filter`",
                ));
            }
            // Adding zero turns -0 into 0, which sorts apart.
            Ok(values.into_iter().map(|value| value.unwrap_or(0.0) + 0.0).collect())
        };
        let features: Vec<Vec<f64>> = names.iter().map(feature).collect::<Result<_, StageError>>()?;
        order.sort_by(|&a, &b| {
            let by_values =
                || features.iter().map(|column| column[a].total_cmp(&column[b])).find(|order| order.is_ne());
            groups.codes[a].cmp(&groups.codes[b]).then_with(|| by_values().unwrap_or(std::cmp::Ordering::Equal))
        });
        let columns = features.iter().map(|column| order.iter().map(|row| column[*row]).collect()).collect();
        let runs: Vec<&[usize]> = order.chunk_by(|a, b| groups.codes[*a] == groups.codes[*b]).collect();
        let sizes = runs.iter().map(|rows| rows.len()).collect();
        let names = runs.iter().map(|rows| groups.label(groups.codes[rows[0]] as usize).to_owned()).collect();
        Ok(Self { columns, sizes, names, order })
    }
}

impl Clustering {
    /// For each cluster the sum of the silhouettes of its rows, and of how many; `None` where none was drawn.
    fn silhouettes(&self, context: &StageContext, rows: &Sorted) -> Result<Vec<Option<(f64, usize)>>, StageError> {
        let total = rows.order.len();
        let size = self.sample_size.unwrap_or(if total > EXACT_ROWS { SAMPLED_ROWS } else { total }).min(total);
        let check = || context.check_cancelled();
        let (values, sizes) = if size < total {
            if self.sample_size.is_none() {
                context.warn(format!("silhouettes are estimated over {size} of {total} rows"));
            }
            let mut drawn = index::sample(&mut context.rng("silhouette"), total, size).into_vec();
            drawn.sort_unstable();
            let columns: Vec<Vec<f64>> =
                rows.columns.iter().map(|column| drawn.iter().map(|row| column[*row]).collect()).collect();
            let mut end = 0;
            let drawn_from = |size: &usize| {
                let start = end;
                end += size;
                drawn.partition_point(|row| *row < end) - drawn.partition_point(|row| *row < start)
            };
            let sizes: Vec<usize> = rows.sizes.iter().map(drawn_from).collect();
            if sizes.iter().filter(|size| **size > 0).count() < 2 {
                return Ok(vec![None; sizes.len()]);
            }
            (silhouettes(&columns, &sizes, &check)?, sizes)
        } else {
            (silhouettes(&rows.columns, &rows.sizes, &check)?, rows.sizes.clone())
        };
        let mut start = 0;
        let of_size = |size: &usize| {
            let values = &values[start..start + size];
            start += size;
            (*size > 0).then(|| (values.iter().copied().collect::<Sum>().value(), *size))
        };
        Ok(sizes.iter().map(of_size).collect())
    }
}

/// `(x - mean) / std` with the population standard deviation; zeros where all values are equal.
fn standardize(values: &mut [f64]) {
    let count = values.len() as f64;
    if values.iter().all(|value| Some(value) == values.first()) {
        values.fill(0.0);
        return;
    }
    let mean = values.iter().copied().collect::<Sum>().value() / count;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).collect::<Sum>().value() / count;
    let std = variance.sqrt();
    values.iter_mut().for_each(|value| *value = if std > 0.0 { (*value - mean) / std } else { 0.0 });
}
