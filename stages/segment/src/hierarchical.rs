use polars::prelude::Column;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Stage, StageContext, StageError, Table,
};

use crate::candidates::{Candidates, Search};
use crate::clusters::{Clusters, table_of};
use crate::dendrogram::dendrogram;
use crate::features::Features;
use crate::linkage::{Linkage, Merge, cut, kept, linkage};

/// Group rows into k clusters by merging the most similar groups (hierarchical clustering).
///
/// Every row is a group at first; the two groups that are least dissimilar by `linkage` become one, again and again,
/// over the numeric `columns`, which are scaled to mean 0 and population standard deviation 1 first unless
/// `standardize` is off (nearest-neighbour chains, Müllner 2011; the merges are those of scipy's `linkage`, rounding
/// included). The tree is cut where k clusters are left; merges at the same distance are undone together, so that there
/// may be fewer, with a warning (scipy's `fcluster` with `maxclust`). Without `k`, the number of clusters is the one
/// among `k_min` to `k_max` with the largest mean silhouette (Rousseeuw 1987), the least of several. Clusters are
/// numbered from 0 by descending size, ties by their centers. Every row needs a finite number in every feature. Time
/// and memory grow with the square of the rows: more than 30,000 are refused.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hierarchical {
    /// The numeric columns to cluster by.
    #[schemars(length(min = 1))]
    pub columns: Vec<String>,
    /// How dissimilar two groups are: `ward` (the growth of the sum of squared distances to the center), or the
    /// `average`, the `complete` (largest) or the `single` (least) distance between their rows.
    #[serde(default = "ward")]
    pub linkage: Linkage,
    /// The number of clusters; without it, chosen by silhouette.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
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
    /// Whether to scale the columns to mean 0 and standard deviation 1 first.
    #[serde(default = "yes")]
    pub standardize: bool,
    /// The name of the column that receives the cluster.
    #[serde(default = "cluster")]
    #[schemars(length(min = 1))]
    pub into: String,
}

fn ward() -> Linkage {
    Linkage::Ward
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

/// Up to three gigabytes of distances.
const MOST_ROWS: usize = 30_000;

impl Stage for Hierarchical {
    const TYPE: &'static str = "segment.hierarchical";
    const EXAMPLE: &'static str = "inputs: { table: users }\n\
        with: { columns: [total_user_spent, age, order_frequency, num_of_item], linkage: ward, k: 2 }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input(
                "table",
                Kind::Table,
                "Any table of up to 30,000 rows with the numeric `columns`, a finite number in every row.",
            ),
            Port::output("table", Kind::Table, "The same rows and columns, and `cluster` (int64, 0 is the largest)."),
            Port::output(
                "silhouettes",
                Kind::Table,
                "For each k from 2 to `k_max`: `k` (int64), `silhouette` (double, -1 to 1; null where no cut gives \
                 exactly k clusters).",
            ),
            Port::output("silhouette_figure", Kind::Figure, "The mean silhouette by number of clusters."),
            Port::output(
                "merges",
                Kind::Table,
                "The tree, a row per merge by ascending distance: `left` and `right` (int64; a row of the input from \
                 0, or the number of rows plus the place of an earlier merge), `distance` (double), `size` (int64, \
                 rows of the new group). scipy's linkage matrix.",
            ),
            Port::output("dendrogram", Kind::Figure, "The last thirty merges as a tree."),
            Port::output(
                "centers",
                Kind::Table,
                "For each cluster: `cluster`, `size` (int64), and the mean of each feature in its own unit (double).",
            ),
            Port::output("metrics", Kind::Metrics, "Of the clusters found: `k`, `silhouette`."),
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
        check_rows(data.matrix.rows())?;
        let merges = linkage(&data.matrix, self.linkage, &|| context.check_cancelled())?;
        let ks = self.search().ks();
        let labelings = ks.iter().map(|&k| cut(&merges, k)).collect();
        let candidates = Candidates::rate(context, &data.matrix, ks, labelings, None)?;

        let chosen = candidates.choose(context, self.search());
        let (found, k) = (candidates.found[chosen], candidates.ks[chosen]);
        if found < k {
            context.warn(format!(
                "there are {found} clusters instead of {k}: no cut of the tree gives {k}, since merges at the same \
                 distance are undone together"
            ));
        }
        candidates.put(context, self.k_max)?;
        context.put("merges", tabled(&merges)?)?;
        let mut metrics = Metrics::new();
        metrics.insert("k", Some(found as f64), Goal::Describe)?;
        metrics.insert("silhouette", candidates.silhouettes[chosen], Goal::Maximize)?;
        context.put("metrics", metrics)?;
        let clusters = Clusters::of(&candidates.labelings[chosen], &data.matrix);
        context.put("dendrogram", dendrogram(&merges, kept(&merges, k), &clusters.labels))?;
        clusters.put(context, &data, &self.columns, &self.into, Vec::new())
    }
}

impl Hierarchical {
    fn features(&self) -> Features<'_> {
        Features { columns: &self.columns, standardize: self.standardize, into: &self.into }
    }

    fn search(&self) -> Search {
        Search { k: self.k, k_min: self.k_min, k_max: self.k_max }
    }
}

/// Refuses more rows than there is memory for.
pub(crate) fn check_rows(rows: usize) -> Result<(), StageError> {
    if rows > MOST_ROWS {
        return Err(StageError::data(format!(
            "there are {rows} rows, hierarchical clustering takes at most {MOST_ROWS}"
        ))
        .with_help("use `segment.kmeans`, or cluster a sample of the rows"));
    }
    Ok(())
}

fn tabled(merges: &[Merge]) -> Result<Table, StageError> {
    let part = |of: usize| merges.iter().map(|merge| merge.pair[of] as i64).collect::<Vec<_>>();
    table_of(vec![
        Column::new("left".into(), part(0)),
        Column::new("right".into(), part(1)),
        Column::new("distance".into(), merges.iter().map(|merge| merge.distance).collect::<Vec<_>>()),
        Column::new("size".into(), merges.iter().map(|merge| merge.size as i64).collect::<Vec<_>>()),
    ])
}
