use polars::prelude::Column;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Series, Stage, StageContext, StageError,
};

use crate::candidates::{Candidates, Search, numbered};
use crate::clusters::{Clusters, table_of};
use crate::features::Features;
use crate::starts::{Job, Starts};

/// Group rows into k clusters around their means (k-means).
///
/// Euclidean k-means over the numeric `columns`, which are scaled to mean 0 and population standard deviation 1 first
/// unless `standardize` is off: Lloyd's algorithm (with Hamerly's bounds, 2010) from `n_init` greedy k-means++ starts
/// (Arthur & Vassilvitskii 2007), of which the one with the least WCSS is kept and, up to 50,000 rows, made better by
/// breathing (Fritzke 2020: centers are added where the error is large and taken away where they are worth little), by
/// what was found for k - 1 and k + 1, and by exchanging rows (Hartigan and Wong 1979); WCSS is the within-cluster sum of squared distances, scikit-learn's `inertia_`. Without `k`, the number of clusters is the one among `k_min` to
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
            Port::output("elbow_figure", Kind::Figure, "WCSS by number of clusters."),
            Port::output("silhouette_figure", Kind::Figure, "The mean silhouette by number of clusters."),
            Port::output(
                "metrics",
                Kind::Metrics,
                "Of the clusters found: `k`, `wcss`, `silhouette`, and the `iterations` of the best start.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        self.features().check(&[])?;
        self.search().check()
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        self.features().personal(inputs)
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let data = self.features().read(context)?;
        let starts = Starts { n_init: self.n_init, max_iter: self.max_iter, tol: self.tol };
        let ks = self.search().ks();
        let jobs: Vec<Job<'_>> = ks.iter().map(|&k| Job { data: &data.matrix, k }).collect();
        let mut fits = starts.best(context, &jobs)?;
        let labelings = fits.iter_mut().map(|fit| std::mem::take(&mut fit.labels)).collect();
        let candidates = Candidates::rate(context, &data.matrix, ks, labelings, self.sample_size)?;

        let chosen = candidates.choose(context, self.search());
        let (found, k) = (candidates.found[chosen], candidates.ks[chosen]);
        if found < k {
            context.warn(format!(
                "only {found} of {k} clusters have rows: there are too few distinct rows, or `max_iter` is too small"
            ));
        }
        let (ks, fit) = (&candidates.ks[..self.k_max], &fits[chosen]);
        let wcss: Vec<f64> = fits[..self.k_max].iter().map(|fit| fit.wcss).collect();
        let points = ks.iter().zip(&wcss).map(|(k, wcss)| (*k as f64, *wcss));
        let figure = Figure::new(FigureKind::Line, "WCSS by number of clusters", "number of clusters", "WCSS")
            .with(Series::new("WCSS", points));
        context.put("elbow_figure", figure)?;
        context.put("elbow", table_of(vec![numbered(ks), Column::new("wcss".into(), wcss)])?)?;
        candidates.put(context, self.k_max)?;

        let mut metrics = Metrics::new();
        metrics.insert("k", Some(found as f64), Goal::Describe)?;
        metrics.insert("wcss", Some(fit.wcss), Goal::Minimize)?;
        metrics.insert("silhouette", candidates.silhouettes[chosen], Goal::Maximize)?;
        metrics.insert("iterations", Some(fit.iterations as f64), Goal::Describe)?;
        context.put("metrics", metrics)?;
        let clusters = Clusters::of(&candidates.labelings[chosen], &data.matrix);
        clusters.put(context, &data, &self.columns, &self.into, Vec::new())
    }
}

impl Kmeans {
    fn features(&self) -> Features<'_> {
        Features { columns: &self.columns, standardize: self.standardize, into: &self.into }
    }

    fn search(&self) -> Search {
        Search { k: self.k, k_min: self.k_min, k_max: self.k_max }
    }
}
