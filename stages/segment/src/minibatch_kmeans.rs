use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};

use crate::candidates::rate;
use crate::clusters::{Clusters, count};
use crate::features::Features;
use crate::minibatch::MiniBatch;

/// Group millions of rows into k clusters around their means, by looking at small batches of them (mini-batch k-means).
///
/// Rows are drawn at random in batches; each center moves to the mean of all rows that it got so far (Sculley 2010),
/// until ten batches in a row bring no improvement of the smoothed WCSS. Centers that get hardly any rows move to rows
/// of the batch. The result is a little worse than that of `segment.kmeans`, and there much sooner; scikit-learn's
/// `MiniBatchKMeans`. The numeric `columns` are scaled to mean 0 and population standard deviation 1 first unless
/// `standardize` is off. Clusters are numbered from 0 by descending size, ties by their centers. Every row needs a
/// finite number in every feature. The silhouette is exact up to 50,000 rows and over a random sample of 20,000 above,
/// with a warning, unless `sample_size` is given.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MinibatchKmeans {
    /// The numeric columns to cluster by.
    #[schemars(length(min = 1))]
    pub columns: Vec<String>,
    /// The number of clusters.
    #[schemars(range(min = 1, max = 100000))]
    pub k: usize,
    /// The number of rows in a batch.
    #[serde(default = "batch_size")]
    #[schemars(range(min = 1, max = 10000000))]
    pub batch_size: usize,
    /// The number of starts, each from a few batches, of which the best is followed.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 1000))]
    pub n_init: usize,
    /// How often each row is drawn at most, on average.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = 1000000))]
    pub max_iter: usize,
    /// Centers that got fewer rows than this part of what the largest got are moved.
    #[serde(default = "hundredth")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub reassignment_ratio: f64,
    /// Whether to scale the columns to mean 0 and standard deviation 1 first.
    #[serde(default = "yes")]
    pub standardize: bool,
    /// The name of the column that receives the cluster.
    #[serde(default = "cluster")]
    #[schemars(length(min = 1))]
    pub into: String,
    /// The number of rows, drawn at random, to compute the silhouette over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2))]
    pub sample_size: Option<usize>,
}

fn batch_size() -> usize {
    1024
}

fn three() -> usize {
    3
}

fn hundred() -> usize {
    100
}

fn hundredth() -> f64 {
    0.01
}

fn yes() -> bool {
    true
}

fn cluster() -> String {
    "cluster".to_owned()
}

/// So many batches in a row without improvement are the end.
const PATIENCE: usize = 10;

impl Stage for MinibatchKmeans {
    const TYPE: &'static str = "segment.minibatch_kmeans";
    const EXAMPLE: &'static str =
        "inputs: { table: users }\nwith: { columns: [total_user_spent, age, order_frequency, num_of_item], k: 8 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with the numeric `columns`, a finite number in every row."),
            Port::output("table", Kind::Table, "The same rows and columns, and `cluster` (int64, 0 is the largest)."),
            Port::output(
                "centers",
                Kind::Table,
                "For each cluster: `cluster`, `size` (int64), and the mean of each feature in its own unit (double).",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "Of the clusters found: `k`, `wcss` over all rows, `silhouette`; and how many `batches` were drawn.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        self.features().check(&[])
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        self.features().personal(inputs)
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let data = self.features().read(context)?;
        let method = MiniBatch {
            k: self.k,
            batch_size: self.batch_size,
            n_init: self.n_init,
            max_iter: self.max_iter,
            patience: PATIENCE,
            reassignment_ratio: self.reassignment_ratio,
        };
        let fit = method.fit(&data.matrix, &mut context.rng("batches"), &|| context.check_cancelled())?;
        let found = count(&fit.labels);
        if found < self.k {
            context.warn(format!("only {found} of {} clusters have rows: `k` is large for these rows", self.k));
        }
        let silhouette = rate(context, &data.matrix, &[&fit.labels], self.sample_size)?;
        let mut metrics = Metrics::new();
        metrics.insert("k", Some(found as f64), Goal::Describe)?;
        metrics.insert("wcss", Some(fit.wcss), Goal::Minimize)?;
        metrics.insert("silhouette", silhouette[0], Goal::Maximize)?;
        metrics.insert("batches", Some(fit.batches as f64), Goal::Describe)?;
        context.put("metrics", metrics)?;
        Clusters::of(&fit.labels, &data.matrix).put(context, &data, &self.columns, &self.into, Vec::new())
    }
}

impl MinibatchKmeans {
    fn features(&self) -> Features<'_> {
        Features { columns: &self.columns, standardize: self.standardize, into: &self.into }
    }
}
