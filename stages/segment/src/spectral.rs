use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};

use crate::candidates::{Candidates, Search};
use crate::clusters::Clusters;
use crate::eigen::leading;
use crate::features::Features;
use crate::graph::Graph;
use crate::matrix::Matrix;
use crate::starts::{Job, Starts};

/// Group rows into k clusters along the graph of their nearest neighbours (spectral clustering).
///
/// Rows are joined with their nearest neighbours over the numeric `columns`, which are scaled to mean 0 and population
/// standard deviation 1 first unless `standardize` is off: with weight 1 if each is among the nearest of the other,
/// with ½ if one is (of equally near rows the first count). Rows are then placed by the k leading eigenvectors of the
/// normalised Laplacian of this graph (Shi & Malik 2000; von Luxburg 2007), where k-means from `n_init` starts groups
/// them: clusters may have any shape that hangs together. scikit-learn's `SpectralClustering` with
/// `affinity="nearest_neighbors"`. Without `k`, the number of clusters is the one among `k_min` to `k_max` with the
/// largest mean silhouette (Rousseeuw 1987) over the features, the least of several. Clusters are numbered from 0 by
/// descending size, ties by their centers. Every row needs a finite number in every feature. A graph that falls into
/// components is a warning: each of the largest is a cluster of its own then, before any is divided. Silhouettes are
/// exact up to 50,000 rows and over a random sample of 20,000 above, with a warning, unless `sample_size` is given. No
/// matrix of all pairs of rows is made, so that a hundred thousand rows are no trouble.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spectral {
    /// The numeric columns to cluster by.
    #[schemars(length(min = 1))]
    pub columns: Vec<String>,
    /// How many rows count as near a row, itself included; all of them where there are fewer.
    #[serde(default = "neighbors")]
    #[schemars(range(min = 2, max = 1000))]
    pub n_neighbors: usize,
    /// The number of clusters; without it, chosen by silhouette.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub k: Option<usize>,
    /// The least number of clusters to choose from.
    #[serde(default = "two")]
    #[schemars(range(min = 2))]
    pub k_min: usize,
    /// The largest number of clusters to choose from; the silhouette table ends there, too. With `k` given, 1 spares
    /// its computation.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1000))]
    pub k_max: usize,
    /// The number of starts of k-means, of which the best is kept.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1000000))]
    pub n_init: usize,
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

/// How many rows count as near a row unless a number is given.
pub(crate) const NEIGHBORS: usize = 10;

fn neighbors() -> usize {
    NEIGHBORS
}

fn two() -> usize {
    2
}

fn ten() -> usize {
    10
}

fn yes() -> bool {
    true
}

fn cluster() -> String {
    "cluster".to_owned()
}

impl Stage for Spectral {
    const TYPE: &'static str = "segment.spectral";
    const EXAMPLE: &'static str =
        "inputs: { table: users }\nwith: { columns: [total_user_spent, age, order_frequency, num_of_item], k: 2 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with the numeric `columns`, a finite number in every row."),
            Port::output("table", Kind::Table, "The same rows and columns, and `cluster` (int64, 0 is the largest)."),
            Port::output(
                "silhouettes",
                Kind::Table,
                "For each k from 2 to `k_max`: `k` (int64), `silhouette` (double, -1 to 1; null where fewer than k \
                 clusters were found).",
            ),
            Port::output("silhouette_figure", Kind::Figure, "The mean silhouette by number of clusters."),
            Port::output(
                "centers",
                Kind::Table,
                "For each cluster: `cluster`, `size` (int64), and the mean of each feature in its own unit (double).",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "Of the clusters found: `k`, `silhouette`; and the `components` of the graph.",
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
        let ks = self.search().ks();
        let found = clusterings(context, &data.matrix, self.n_neighbors, self.n_init, &ks)?;
        let candidates = Candidates::rate(context, &data.matrix, ks, found.labelings, self.sample_size)?;

        let chosen = candidates.choose(context, self.search());
        let (k, asked) = (candidates.found[chosen], candidates.ks[chosen]);
        if k < asked {
            context.warn(format!("only {k} of {asked} clusters have rows: there are too few distinct rows"));
        }
        candidates.put(context, self.k_max)?;
        let mut metrics = Metrics::new();
        metrics.insert("k", Some(k as f64), Goal::Describe)?;
        metrics.insert("silhouette", candidates.silhouettes[chosen], Goal::Maximize)?;
        metrics.insert("components", Some(found.components as f64), Goal::Describe)?;
        context.put("metrics", metrics)?;
        let clusters = Clusters::of(&candidates.labelings[chosen], &data.matrix);
        clusters.put(context, &data, &self.columns, &self.into, Vec::new())
    }
}

impl Spectral {
    fn features(&self) -> Features<'_> {
        Features { columns: &self.columns, standardize: self.standardize, into: &self.into }
    }

    fn search(&self) -> Search {
        Search { k: self.k, k_min: self.k_min, k_max: self.k_max }
    }
}

/// Spectral clusterings of the same rows.
pub(crate) struct Found {
    /// The labels of the rows for each k.
    pub(crate) labelings: Vec<Vec<u32>>,
    /// Into how many components the graph falls.
    components: usize,
}

/// A clustering for each of `ks`; the eigenvectors are found once for all of them.
pub(crate) fn clusterings(
    context: &StageContext,
    data: &Matrix,
    n_neighbors: usize,
    n_init: usize,
    ks: &[usize],
) -> Result<Found, StageError> {
    let check = || context.check_cancelled();
    let graph = Graph::of_neighbors(data, n_neighbors - 1, &check)?;
    let (component, components) = graph.components();
    if components > 1 {
        context.warn(format!(
            "the graph of nearest neighbours falls into {components} components; more neighbours (`n_neighbors`) \
             may join them"
        ));
    }
    let most = ks.iter().copied().max().unwrap_or(1);
    let vectors = leading(&graph, &component, most, &mut context.rng("eigenvectors"), &check)?;
    if !vectors.settled {
        context.warn("the eigenvectors of the graph did not settle: the clusters are approximate");
    }
    let placed: Vec<Matrix> = ks.iter().map(|&k| places(&vectors.vectors, &graph.root_degrees, k)).collect();
    let jobs: Vec<Job<'_>> = placed.iter().zip(ks).map(|(data, &k)| Job { data, k }).collect();
    let fits = Starts { n_init, max_iter: 300, tol: 1e-4 }.best(context, &jobs)?;
    Ok(Found { labelings: fits.into_iter().map(|fit| fit.labels).collect(), components })
}

/// The rows as the first `k` vectors place them.
fn places(vectors: &Matrix, root_degrees: &[f64], k: usize) -> Matrix {
    let width = k.min(vectors.width);
    let rows = vectors.values.chunks_exact(vectors.width).zip(root_degrees);
    let values = rows.flat_map(|(row, root)| row[..width].iter().map(move |value| value / root)).collect();
    Matrix { values, width }
}
