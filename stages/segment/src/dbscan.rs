use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};

use crate::candidates::rate;
use crate::clusters::{Clusters, NOISE, count};
use crate::features::Features;
use crate::matrix::Matrix;
use crate::neighbors::Tree;

/// Group rows that lie densely together; rows that lie apart belong to no cluster (DBSCAN).
///
/// A row with at least `min_samples` rows within `eps` of it, itself included, is a core; cores within `eps` of each
/// other are one cluster, whatever its shape, and so are the rows within `eps` of one of them: of several clusters, the
/// one whose first core comes first (Ester, Kriegel, Sander & Xu 1996; scikit-learn's `DBSCAN`). All other rows are
/// noise: their cluster is null. Distances are Euclidean, over the numeric `columns`, which are scaled to mean 0 and
/// population standard deviation 1 first unless `standardize` is off, so that `eps` is in standard deviations.
/// Clusters are numbered from 0 by descending size, ties by their centers. Every row needs a finite number in every
/// feature. The silhouette is that of the rows without noise; it is exact up to 50,000 rows and over a random sample of
/// 20,000 above, with a warning, unless `sample_size` is given. Time grows with the number of rows within `eps`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dbscan {
    /// The numeric columns to cluster by.
    #[schemars(length(min = 1))]
    pub columns: Vec<String>,
    /// How near a row is that counts as near; above 0.
    #[serde(default = "half")]
    pub eps: f64,
    /// How many rows near a row, itself included, make it a core.
    #[serde(default = "five")]
    #[schemars(range(min = 1))]
    pub min_samples: usize,
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

fn half() -> f64 {
    0.5
}

fn five() -> usize {
    5
}

fn yes() -> bool {
    true
}

fn cluster() -> String {
    "cluster".to_owned()
}

impl Stage for Dbscan {
    const TYPE: &'static str = "segment.dbscan";
    const EXAMPLE: &'static str =
        "inputs: { table: users }\nwith: { columns: [total_user_spent, age], eps: 0.3, min_samples: 10 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with the numeric `columns`, a finite number in every row."),
            Port::output(
                "table",
                Kind::Table,
                "The same rows and columns, and `cluster` (int64, 0 is the largest, null is noise).",
            ),
            Port::output(
                "centers",
                Kind::Table,
                "For each cluster: `cluster`, `size` (int64), and the mean of each feature in its own unit (double).",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`k`, the number of clusters found; `noise`, the rows in none, and `noise_share` of all; `cores`; \
                 `silhouette`.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if !(self.eps > 0.0 && self.eps.is_finite()) {
            return Err(ParamError::new("eps", "it must be above 0"));
        }
        self.features().check(&[])
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        self.features().personal(inputs)
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let data = self.features().read(context)?;
        let found = dbscan(&data.matrix, self.eps, self.min_samples, &|| context.check_cancelled())?;
        let kept: Vec<usize> = (0..found.labels.len()).filter(|&row| found.labels[row] != NOISE).collect();
        let rows = data.matrix.rows();
        let noise = rows - kept.len();
        if kept.is_empty() {
            context.warn("all rows are noise: a larger `eps` or a smaller `min_samples` may find clusters");
        }
        let labels: Vec<u32> = kept.iter().map(|&row| found.labels[row]).collect();
        let silhouette = if noise == 0 {
            rate(context, &data.matrix, &[&labels], self.sample_size)?
        } else {
            rate(context, &data.matrix.select(&kept), &[&labels], self.sample_size)?
        };

        let mut metrics = Metrics::new();
        metrics.insert("k", Some(count(&labels) as f64), Goal::Describe)?;
        metrics.insert("noise", Some(noise as f64), Goal::Describe)?;
        metrics.insert("noise_share", Some(noise as f64 / rows as f64), Goal::Describe)?;
        metrics.insert("cores", Some(found.cores as f64), Goal::Describe)?;
        metrics.insert("silhouette", silhouette[0], Goal::Maximize)?;
        context.put("metrics", metrics)?;
        let clusters = Clusters::of(&found.labels, &data.matrix);
        clusters.put(context, &data, &self.columns, &self.into, Vec::new())
    }
}

impl Dbscan {
    fn features(&self) -> Features<'_> {
        Features { columns: &self.columns, standardize: self.standardize, into: &self.into }
    }
}

struct Found {
    labels: Vec<u32>,
    cores: usize,
}

fn dbscan<E: Send>(
    data: &Matrix,
    eps: f64,
    min_samples: usize,
    check: &(impl Fn() -> Result<(), E> + Sync),
) -> Result<Found, E> {
    let tree = Tree::of(data);
    let rows: Vec<usize> = (0..data.rows()).collect();
    // Only who is a core is kept: all neighbours of all rows may be as many as the square of the rows.
    let is_core = rows
        .par_chunks(256)
        .map(|rows| {
            check()?;
            let is_core = |&row: &usize| {
                let mut near = 0;
                tree.within(data, row, eps, |_| near += 1);
                near >= min_samples
            };
            Ok(rows.iter().map(is_core).collect::<Vec<_>>())
        })
        .collect::<Result<Vec<_>, E>>()?
        .concat();
    let mut labels = vec![NOISE; data.rows()];
    let mut next = 0;
    let mut open = Vec::new();
    for first in 0..data.rows() {
        if !is_core[first] || labels[first] != NOISE {
            continue;
        }
        labels[first] = next;
        open.push(first);
        while let Some(row) = open.pop() {
            check()?;
            tree.within(data, row, eps, |near| {
                let near = near as usize;
                if labels[near] == NOISE {
                    labels[near] = next;
                    if is_core[near] {
                        open.push(near);
                    }
                }
            });
        }
        next += 1;
    }
    Ok(Found { labels, cores: is_core.into_iter().filter(|is_core| *is_core).count() })
}
