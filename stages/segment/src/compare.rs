use polars::prelude::Column;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Series, Stage, StageContext,
    StageError, Table,
};

use crate::candidates::{numbered, rate};
use crate::clusters::{Clusters, count, table_of};
use crate::features::Features;
use crate::gaussian_mixture::Method as Mixtures;
use crate::hierarchical::check_rows;
use crate::linkage::{Linkage, cut, linkage};
use crate::matrix::Matrix;
use crate::mixture::Covariance;
use crate::scores::{Scores, scores};
use crate::spectral;
use crate::starts::{Job, Starts};

/// Cluster the same rows by several methods and numbers of clusters, and keep the clustering with the best score.
///
/// Every method finds `k_min` to `k_max` clusters over the numeric `columns`, which are scaled to mean 0 and population
/// standard deviation 1 first unless `standardize` is off, as its own stage type does with its defaults
/// (`segment.kmeans`, `segment.hierarchical`, `segment.spectral`, `segment.gaussian_mixture`). Kept is the clustering
/// that is best by `metric`: `silhouette` (Rousseeuw 1987; -1 to 1, higher is better), `davies_bouldin` (Davies &
/// Bouldin 1979; from 0, lower is better) or `calinski_harabasz` (Caliński & Harabasz 1974; from 0, higher is better),
/// all as in scikit-learn; of equal ones that with the fewest clusters, then that of the method named first.
/// Clusterings with fewer clusters than asked for are not kept. Clusters are numbered from 0 by descending size, ties
/// by their centers. Every row needs a finite number in every feature. All three scores favour round clusters, as
/// k-means makes them. Silhouettes are exact up to 50,000 rows and over a random sample of 20,000 above, with a
/// warning, unless `sample_size` is given.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// The numeric columns to cluster by.
    #[schemars(length(min = 1))]
    pub columns: Vec<String>,
    /// The methods: `kmeans`; `ward`, `average`, `complete` and `single` (hierarchical, up to 30,000 rows); `spectral`;
    /// `gaussian_mixture` (full covariances).
    #[serde(default = "methods")]
    #[schemars(length(min = 1))]
    pub methods: Vec<Method>,
    /// The least number of clusters.
    #[serde(default = "two")]
    #[schemars(range(min = 2))]
    pub k_min: usize,
    /// The largest number of clusters.
    #[serde(default = "ten")]
    #[schemars(range(min = 2, max = 1000))]
    pub k_max: usize,
    /// The score that decides: `silhouette`, `davies_bouldin` or `calinski_harabasz`.
    #[serde(default = "silhouette")]
    pub metric: Metric,
    /// The number of starts of k-means, of which the best is kept; also within spectral clustering.
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

/// A way to cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// See `segment.kmeans`.
    Kmeans,
    /// See `segment.hierarchical`.
    Ward,
    /// See `segment.hierarchical`.
    Average,
    /// See `segment.hierarchical`.
    Complete,
    /// See `segment.hierarchical`.
    Single,
    /// See `segment.spectral`.
    Spectral,
    /// See `segment.gaussian_mixture`.
    GaussianMixture,
}

/// A score of a clustering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The mean silhouette: higher is better.
    Silhouette,
    /// The Davies-Bouldin index: lower is better.
    DaviesBouldin,
    /// The Caliński-Harabasz index: higher is better.
    CalinskiHarabasz,
}

fn methods() -> Vec<Method> {
    vec![Method::Kmeans, Method::Ward, Method::Spectral]
}

fn two() -> usize {
    2
}

fn ten() -> usize {
    10
}

fn silhouette() -> Metric {
    Metric::Silhouette
}

fn yes() -> bool {
    true
}

fn cluster() -> String {
    "cluster".to_owned()
}

impl Stage for Compare {
    const TYPE: &'static str = "segment.compare";
    const EXAMPLE: &'static str = "inputs: { table: users }\n\
        with: { columns: [total_user_spent, age, order_frequency, num_of_item], methods: [kmeans, ward], k_max: 5 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with the numeric `columns`, a finite number in every row."),
            Port::output(
                "table",
                Kind::Table,
                "The same rows and columns, and `cluster` of the best clustering (int64, 0 is the largest).",
            ),
            Port::output(
                "scores",
                Kind::Table,
                "For each method and k, in the order of the methods: `method` (text), `k` (int64), `silhouette`, \
                 `davies_bouldin`, `calinski_harabasz` (double, null where fewer than k clusters were found), `chosen` \
                 (boolean, true in one row).",
            ),
            Port::output("figure", Kind::Figure, "The score that decides by number of clusters, a line per method."),
            Port::output(
                "centers",
                Kind::Table,
                "For each cluster: `cluster`, `size` (int64), and the mean of each feature in its own unit (double).",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "Of the best clustering: `k`, `silhouette`, `davies_bouldin`, `calinski_harabasz`.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        self.features().check(&[])?;
        if self.methods.is_empty() {
            return Err(ParamError::new("methods", "no method is named"));
        }
        for (index, method) in self.methods.iter().enumerate() {
            if self.methods[..index].contains(method) {
                return Err(ParamError::new(format!("methods/{index}"), format!("`{}` is named twice", method.name())));
            }
        }
        if self.k_max < self.k_min {
            return Err(ParamError::new("k_max", "the largest number of clusters is below `k_min`"));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        self.features().personal(inputs)
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let data = self.features().read(context)?;
        let ks: Vec<usize> = (self.k_min..=self.k_max).collect();
        let mut candidates: Vec<Candidate> = Vec::with_capacity(self.methods.len() * ks.len());
        for (at, &method) in self.methods.iter().enumerate() {
            context.progress(at as u64, self.methods.len() as u64);
            let labelings = self.labelings(context, &data.matrix, method, &ks)?;
            candidates
                .extend(ks.iter().zip(labelings).map(|(&k, labels)| Candidate::of(&data.matrix, method, k, labels)));
        }
        let labelings: Vec<&[u32]> = candidates.iter().map(|candidate| candidate.labels.as_slice()).collect();
        let silhouettes = rate(context, &data.matrix, &labelings, self.sample_size)?;
        for (candidate, silhouette) in candidates.iter_mut().zip(silhouettes) {
            candidate.silhouette = silhouette.filter(|_| candidate.proper);
        }

        let chosen = self.best(&candidates);
        context.put("scores", table(&candidates, chosen)?)?;
        context.put("figure", self.figure(&candidates))?;
        let mut metrics = Metrics::new();
        let best = chosen.map(|chosen| &candidates[chosen]);
        metrics.insert("k", Some(best.map_or(1, |best| best.k) as f64), Goal::Describe)?;
        metrics.insert("silhouette", best.and_then(|best| best.silhouette), Goal::Maximize)?;
        metrics.insert("davies_bouldin", best.and_then(|best| best.scores.davies_bouldin), Goal::Minimize)?;
        metrics.insert("calinski_harabasz", best.and_then(|best| best.scores.calinski_harabasz), Goal::Maximize)?;
        context.put("metrics", metrics)?;
        let clusters = match best {
            Some(best) => Clusters::of(&best.labels, &data.matrix),
            None => {
                context.warn("there are too few distinct rows to choose a clustering: all are one cluster");
                Clusters::of(&vec![0; data.matrix.rows()], &data.matrix)
            }
        };
        clusters.put(context, &data, &self.columns, &self.into, Vec::new())
    }
}

impl Compare {
    fn features(&self) -> Features<'_> {
        Features { columns: &self.columns, standardize: self.standardize, into: &self.into }
    }

    fn labelings(
        &self,
        context: &StageContext,
        data: &Matrix,
        method: Method,
        ks: &[usize],
    ) -> Result<Vec<Vec<u32>>, StageError> {
        let tree = |method: Linkage| -> Result<Vec<Vec<u32>>, StageError> {
            check_rows(data.rows())?;
            let merges = linkage(data, method, &|| context.check_cancelled())?;
            Ok(ks.iter().map(|&k| cut(&merges, k)).collect())
        };
        match method {
            Method::Kmeans => {
                let jobs: Vec<Job<'_>> = ks.iter().map(|&k| Job { data, k }).collect();
                let fits = Starts { n_init: self.n_init, max_iter: 300, tol: 1e-4 }.best(context, &jobs)?;
                Ok(fits.into_iter().map(|fit| fit.labels).collect())
            }
            Method::Ward => tree(Linkage::Ward),
            Method::Average => tree(Linkage::Average),
            Method::Complete => tree(Linkage::Complete),
            Method::Single => tree(Linkage::Single),
            Method::Spectral => {
                spectral::clusterings(context, data, spectral::NEIGHBORS, self.n_init, ks).map(|found| found.labelings)
            }
            Method::GaussianMixture => {
                let method = Mixtures { n_init: 1, max_iter: 100, tol: 1e-3, reg_covar: 1e-6 };
                let mixtures = method.fits(context, data, Covariance::Full, ks)?;
                Ok(mixtures.iter().map(|mixture| mixture.labels()).collect())
            }
        }
    }

    /// The place of the best; `None` where none has as many clusters as asked for.
    fn best(&self, candidates: &[Candidate]) -> Option<usize> {
        let rated = candidates.iter().enumerate().filter_map(|(at, candidate)| Some((self.score(candidate)?, at)));
        let better = |a: f64, b: f64| if self.metric == Metric::DaviesBouldin { a < b } else { a > b };
        rated
            .reduce(|best, next| {
                let fewer = candidates[next.1].k < candidates[best.1].k;
                if better(next.0, best.0) || (next.0 == best.0 && fewer) { next } else { best }
            })
            .map(|(_, at)| at)
    }

    fn score(&self, candidate: &Candidate) -> Option<f64> {
        match self.metric {
            Metric::Silhouette => candidate.silhouette,
            Metric::DaviesBouldin => candidate.scores.davies_bouldin,
            Metric::CalinskiHarabasz => candidate.scores.calinski_harabasz,
        }
    }

    fn figure(&self, candidates: &[Candidate]) -> Figure {
        let name = match self.metric {
            Metric::Silhouette => "mean silhouette",
            Metric::DaviesBouldin => "Davies-Bouldin index",
            Metric::CalinskiHarabasz => "Caliński-Harabasz index",
        };
        let title = "Clusterings by method and number of clusters";
        self.methods.iter().fold(Figure::new(FigureKind::Line, title, "number of clusters", name), |figure, method| {
            let own = candidates.iter().filter(|candidate| candidate.method == *method);
            let points = own.filter_map(|candidate| Some((candidate.k as f64, self.score(candidate)?)));
            figure.with(Series::new(method.name(), points))
        })
    }
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Kmeans => "kmeans",
            Self::Ward => "ward",
            Self::Average => "average",
            Self::Complete => "complete",
            Self::Single => "single",
            Self::Spectral => "spectral",
            Self::GaussianMixture => "gaussian_mixture",
        }
    }
}

/// A clustering that may be the best.
struct Candidate {
    method: Method,
    k: usize,
    labels: Vec<u32>,
    /// Whether it has as many clusters as it was asked for.
    proper: bool,
    silhouette: Option<f64>,
    scores: Scores,
}

impl Candidate {
    fn of(data: &Matrix, method: Method, k: usize, labels: Vec<u32>) -> Self {
        let proper = count(&labels) == k;
        let none = Scores { davies_bouldin: None, calinski_harabasz: None };
        let scores = if proper { scores(data, &labels) } else { none };
        Self { method, k, labels, proper, silhouette: None, scores }
    }
}

fn table(candidates: &[Candidate], chosen: Option<usize>) -> Result<Table, StageError> {
    let column = |name: &str, of: fn(&Candidate) -> Option<f64>| {
        Column::new(name.into(), candidates.iter().map(of).collect::<Vec<_>>())
    };
    table_of(vec![
        Column::new("method".into(), candidates.iter().map(|candidate| candidate.method.name()).collect::<Vec<_>>()),
        numbered(&candidates.iter().map(|candidate| candidate.k).collect::<Vec<_>>()),
        column("silhouette", |candidate| candidate.silhouette),
        column("davies_bouldin", |candidate| candidate.scores.davies_bouldin),
        column("calinski_harabasz", |candidate| candidate.scores.calinski_harabasz),
        Column::new("chosen".into(), (0..candidates.len()).map(|at| chosen == Some(at)).collect::<Vec<_>>()),
    ])
}
