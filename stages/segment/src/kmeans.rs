use std::sync::atomic::{AtomicU64, Ordering};

use polars::prelude::{Column, DataFrame};
use rand::seq::index;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, Kind, Metrics, ParamError, Port, Stage, StageContext, StageError};
use stagewright_frame::{numbers, polars_error, require, to_frame, to_table};

use crate::lloyd::{Fit, Limits, fit};
use crate::matrix::{CHUNK, Matrix, standardize, unit};
use crate::silhouette::silhouettes;

/// Group rows into k clusters around their means (k-means).
///
/// Euclidean k-means over the numeric `columns`, which are scaled to mean 0 and population standard deviation 1 first
/// unless `standardize` is off: Lloyd's algorithm (with Hamerly's bounds, 2010) from `n_init` greedy k-means++ starts
/// (Arthur & Vassilvitskii 2007), of which the one with the least WCSS is kept; WCSS is the within-cluster sum of
/// squared distances, scikit-learn's `inertia_`. Without `k`, the number of clusters is the one among `k_min` to
/// `k_max` with the largest mean silhouette (Rousseeuw 1987), the least of several. Clusters are numbered from 0 by
/// descending size, ties by their centers. Every row needs a finite number in every feature. Where there are fewer
/// distinct rows than `k`, each of them becomes a cluster, with a warning. Silhouettes are exact up to 50,000 rows and
/// over a random sample of 20,000 above, with a warning, unless `sample_size` is given; their time grows with the
/// square of the rows.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kmeans {
    /// The numeric columns to cluster by.
    #[schemars(length(min = 1))]
    pub columns: Vec<String>,
    /// The number of clusters; without it, chosen by silhouette.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub k: Option<usize>,
    /// The least number of clusters to choose from.
    #[serde(default = "two")]
    #[schemars(range(min = 2))]
    pub k_min: usize,
    /// The largest number of clusters to choose from; the elbow and silhouette tables end there, too. With `k` given, 1
    /// spares their computation.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1000))]
    pub k_max: usize,
    /// The number of starts, of which the best is kept.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1000000))]
    pub n_init: usize,
    /// The largest number of iterations of one start.
    #[serde(default = "three_hundred")]
    #[schemars(range(min = 1))]
    pub max_iter: usize,
    /// A start ends when the squared movements of its centers add up to at most this, times the mean variance of the
    /// features.
    #[serde(default = "tolerance")]
    #[schemars(range(min = 0.0))]
    pub tol: f64,
    /// Whether to scale the columns to mean 0 and standard deviation 1 first.
    #[serde(default = "yes")]
    pub standardize: bool,
    /// The name of the column that receives the cluster.
    #[serde(default = "cluster")]
    #[schemars(length(min = 1))]
    pub into: String,
    /// The number of rows, drawn at random, to compute silhouettes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2))]
    pub sample_size: Option<usize>,
}

fn two() -> usize {
    2
}

fn ten() -> usize {
    10
}

fn three_hundred() -> usize {
    300
}

fn tolerance() -> f64 {
    1e-4
}

fn yes() -> bool {
    true
}

fn cluster() -> String {
    "cluster".to_owned()
}

const SIZE: &str = "size";

/// Up to this many rows silhouettes are exact.
const EXACT_ROWS: usize = 50_000;

/// Over this many rows silhouettes are estimated beyond.
const SAMPLED_ROWS: usize = 20_000;

/// Squares of larger values, summed over rows and features, might leave the range of numbers.
const LARGEST: f64 = 1e100;

impl Stage for Kmeans {
    const TYPE: &'static str = "segment.kmeans";
    const EXAMPLE: &'static str =
        "inputs: { table: users }\nwith: { columns: [total_user_spent, age, order_frequency, num_of_item], k: 2 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with the numeric `columns`, a finite number in every row."),
            Port::output("table", Kind::Table, "The same rows and columns, and `cluster` (int64, 0 is the largest)."),
            Port::output("elbow", Kind::Table, "For each k from 1 to `k_max`: `k` (int64), `wcss` (double)."),
            Port::output(
                "silhouettes",
                Kind::Table,
                "For each k from 2 to `k_max`: `k` (int64), `silhouette` (double, -1 to 1; null where there are too \
                 few distinct rows for k clusters).",
            ),
            Port::output(
                "centers",
                Kind::Table,
                "For each cluster: `cluster`, `size` (int64), and the mean of each feature in its own unit (double).",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "Of the clusters found: `k`, `wcss`, `silhouette`, and the `iterations` of the best start.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.columns.is_empty() {
            return Err(ParamError::new("columns", "no column to cluster by is named"));
        }
        for (index, name) in self.columns.iter().enumerate() {
            let path = format!("columns/{index}");
            if self.columns[..index].contains(name) {
                return Err(ParamError::new(path, format!("`{name}` is named twice")));
            }
            if *name == self.into || name == SIZE {
                return Err(ParamError::new(path, format!("`{name}` is another column of the output `centers`"))
                    .with_help("rename the feature with `clean.rename`"));
            }
        }
        if self.into == SIZE {
            return Err(ParamError::new("into", format!("`{SIZE}` is another column of the output `centers`")));
        }
        if self.k.is_none() && self.k_max < self.k_min {
            return Err(ParamError::new("k_max", "the largest number of clusters is below `k_min`")
                .with_help("raise `k_max`, or give the number of clusters as `k`"));
        }
        Ok(())
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        let columns = self.features(&frame)?;
        let data = if self.standardize {
            Matrix::of_columns(&columns.iter().map(|column| standardize(column)).collect::<Vec<_>>())
        } else {
            Matrix::of_columns(&columns)
        };

        let ks: Vec<usize> = (1..=self.k_max).chain(self.k.filter(|k| *k > self.k_max)).collect();
        let fits = self.best_fits(context, &data, &ks)?;
        let found: Vec<usize> = fits.iter().map(|fit| sizes(fit).iter().filter(|size| **size > 0).count()).collect();
        let silhouettes = self.silhouettes(context, &data, &fits)?;

        let proper = |&at: &usize| found[at] == ks[at];
        let chosen = match self.k {
            Some(k) => ks.iter().position(|candidate| *candidate == k).unwrap_or(0),
            None => {
                let candidates = (0..ks.len()).filter(|&at| ks[at] >= self.k_min).filter(proper);
                let rated = candidates.filter_map(|at| silhouettes[at].map(|silhouette| (at, silhouette)));
                // Of equal ones the first: `max_by` would take the last.
                let best = rated.reduce(|best, next| if next.1 > best.1 { next } else { best });
                best.map_or_else(
                    || {
                        context.warn("there are too few distinct rows to choose a number of clusters: all are one");
                        0
                    },
                    |(at, _)| at,
                )
            }
        };
        if found[chosen] < ks[chosen] {
            context.warn(format!(
                "only {} of {} clusters have rows: there are too few distinct rows, or `max_iter` is too small",
                found[chosen], ks[chosen]
            ));
        }

        let clusters = Clusters::of(&fits[chosen], data.width);
        let failed = |error| polars_error("collecting clusters", &error);
        let numbered = |ks: &[usize]| Column::new("k".into(), ks.iter().map(|k| *k as i64).collect::<Vec<_>>());
        let table = |values: Vec<Column>| DataFrame::new_infer_height(values).map_err(failed).and_then(to_table);
        let tabled = self.k_max;
        let elbow = fits[..tabled].iter().map(|fit| fit.wcss).collect::<Vec<_>>();
        context.put("elbow", table(vec![numbered(&ks[..tabled]), Column::new("wcss".into(), elbow)])?)?;
        let rated = (1..tabled).map(|at| silhouettes[at].filter(|_| proper(&at))).collect::<Vec<_>>();
        context.put("silhouettes", table(vec![numbered(&ks[1..tabled]), Column::new("silhouette".into(), rated)])?)?;
        context.put("centers", table(clusters.describe(&self.into, &self.columns, &columns))?)?;
        let labels = Column::new(self.into.as_str().into(), clusters.labels);
        context.put("table", to_table(frame.hstack(&[labels]).map_err(failed)?)?)?;

        let mut metrics = Metrics::new();
        metrics.insert("k", Some(found[chosen] as f64), Goal::Describe)?;
        metrics.insert("wcss", Some(fits[chosen].wcss), Goal::Minimize)?;
        metrics.insert("silhouette", silhouettes[chosen], Goal::Maximize)?;
        metrics.insert("iterations", Some(fits[chosen].iterations as f64), Goal::Describe)?;
        context.put("metrics", metrics)
    }
}

impl Kmeans {
    fn features(&self, frame: &DataFrame) -> Result<Vec<Vec<f64>>, StageError> {
        require(frame, self.columns.iter().map(String::as_str))?;
        if frame.get_column_index(&self.into).is_some() {
            return Err(StageError::data(format!("there is a column `{}` already", self.into))
                .with_help("name another column in `into`"));
        }
        if frame.height() == 0 {
            return Err(StageError::data("there are no rows to cluster")
                .with_help("look at the stage that the table comes from"));
        }
        let feature = |name: &String| {
            let values = numbers(frame, name)?;
            let rows = values.len();
            let values: Vec<f64> = values.into_iter().flatten().filter(|value| value.is_finite()).collect();
            if values.len() < rows {
                return Err(StageError::data(format!(
                    "{} of {rows} rows have no finite number in column `{name}`, every row needs one",
                    rows - values.len()
                ))
                .with_help(
                    "fill them with `clean.fill`, or leave those rows out with `clean.drop_nulls` or `clean.filter`",
                ));
            }
            if !self.standardize && values.iter().any(|value| value.abs() > LARGEST) {
                return Err(StageError::data(format!("column `{name}` has a value beyond 1e100, too large to square"))
                    .with_help("set `standardize: true`, or scale the column"));
            }
            Ok(values)
        };
        self.columns.iter().map(feature).collect()
    }

    /// For each k the start with the least WCSS.
    fn best_fits(&self, context: &StageContext, data: &Matrix, ks: &[usize]) -> Result<Vec<Fit>, StageError> {
        let limits = Limits { max_iter: self.max_iter, movement: self.tol * data.mean_variance() };
        // A single center is the mean from every start.
        let starts: Vec<(usize, usize)> = (0..ks.len())
            .flat_map(|at| (0..if ks[at] == 1 { 1 } else { self.n_init }).map(move |start| (at, start)))
            .collect();
        let done = AtomicU64::new(0);
        let run = |&(at, start): &(usize, usize)| {
            let mut rng = context.rng(&format!("k={} start={start}", ks[at]));
            let fit = fit(data, ks[at], limits, &mut rng, &|| context.check_cancelled())?;
            context.progress(done.fetch_add(1, Ordering::Relaxed) + 1, starts.len() as u64);
            Ok((at, fit))
        };
        let mut best: Vec<Option<Fit>> = ks.iter().map(|_| None).collect();
        let mut keep = |(at, fit): (usize, Fit)| {
            if best[at].as_ref().is_none_or(|best| fit.wcss < best.wcss) {
                best[at] = Some(fit);
            }
        };
        if data.rows() <= CHUNK {
            let fits = starts.par_iter().map(run).collect::<Result<Vec<_>, StageError>>()?;
            fits.into_iter().for_each(keep);
        } else {
            // Each start is parallel in itself, and only the best ones are held in memory.
            starts.iter().try_for_each(|start| run(start).map(&mut keep))?;
        }
        Ok(best.into_iter().flatten().collect())
    }

    /// The mean silhouette of each clustering, where it has one.
    fn silhouettes(&self, context: &StageContext, data: &Matrix, fits: &[Fit]) -> Result<Vec<Option<f64>>, StageError> {
        let rows = data.rows();
        let check = || context.check_cancelled();
        let size = self.sample_size.unwrap_or(if rows > EXACT_ROWS { SAMPLED_ROWS } else { rows });
        let of_several = match fits {
            [_, rest @ ..] if size < rows => {
                if self.sample_size.is_none() {
                    context.warn(format!("silhouettes are estimated over {size} of {rows} rows"));
                }
                let mut sample = index::sample(&mut context.rng("silhouette"), rows, size).into_vec();
                sample.sort_unstable();
                let labels = |fit: &Fit| sample.iter().map(|&row| fit.labels[row]).collect();
                let labels: Vec<Vec<u32>> = rest.iter().map(labels).collect();
                silhouettes(&data.select(&sample), &labels.iter().map(Vec::as_slice).collect::<Vec<_>>(), &check)?
            }
            [_, rest @ ..] if !rest.is_empty() => {
                silhouettes(data, &rest.iter().map(|fit| fit.labels.as_slice()).collect::<Vec<_>>(), &check)?
            }
            _ => Vec::new(),
        };
        // The first is k = 1.
        Ok(std::iter::once(None).chain(of_several).collect())
    }
}

fn sizes(fit: &Fit) -> Vec<usize> {
    let mut sizes = vec![0; fit.labels.iter().max().map_or(0, |label| *label as usize + 1)];
    for label in &fit.labels {
        sizes[*label as usize] += 1;
    }
    sizes
}

/// The clusters that have rows, numbered for a reader.
struct Clusters {
    labels: Vec<i64>,
    sizes: Vec<usize>,
}

impl Clusters {
    fn of(fit: &Fit, width: usize) -> Self {
        let sizes = sizes(fit);
        let center = |label: usize| &fit.centers[label * width..][..width];
        let mut order: Vec<usize> = (0..sizes.len()).filter(|&label| sizes[label] > 0).collect();
        order.sort_by(|&a, &b| {
            let by_center = || center(a).iter().zip(center(b)).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne());
            sizes[b].cmp(&sizes[a]).then_with(|| by_center().unwrap_or(a.cmp(&b)))
        });
        let mut number = vec![0i64; sizes.len()];
        for (new, &old) in (0..).zip(&order) {
            number[old] = new;
        }
        Self {
            labels: fit.labels.iter().map(|label| number[*label as usize]).collect(),
            sizes: order.into_iter().map(|label| sizes[label]).collect(),
        }
    }

    /// The columns of the table `centers`.
    fn describe(&self, into: &str, names: &[String], columns: &[Vec<f64>]) -> Vec<Column> {
        let mut out = vec![
            Column::new(into.into(), (0..self.sizes.len() as i64).collect::<Vec<_>>()),
            Column::new(SIZE.into(), self.sizes.iter().map(|size| *size as i64).collect::<Vec<_>>()),
        ];
        for (name, column) in names.iter().zip(columns) {
            let unit = unit(column);
            let mut sums = vec![0.0; self.sizes.len()];
            for (label, value) in self.labels.iter().zip(column) {
                sums[*label as usize] += value / unit;
            }
            let means: Vec<f64> = sums.iter().zip(&self.sizes).map(|(sum, size)| sum / *size as f64 * unit).collect();
            out.push(Column::new(name.as_str().into(), means));
        }
        out
    }
}
