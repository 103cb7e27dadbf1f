use polars::prelude::{Column, DataFrame};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Series, Stage, StageContext, StageError,
};
use stagewright_frame::polars_error;

use crate::candidates::{numbered, rate};
use crate::clusters::{Clusters, table_of};
use crate::features::Features;
use crate::matrix::Matrix;
pub use crate::mixture::Covariance;
use crate::mixture::{Failure, Mixture, Rule, fit};
use crate::starts::{Job, Starts};

/// Explain rows as drawn from k normal distributions, and say how probable each is for each row (Gaussian mixture).
///
/// The mixture is fitted by expectation and maximisation (Dempster, Laird & Rubin 1977) from `n_init` k-means
/// clusterings, of which the result with the largest likelihood is kept, over the numeric `columns`, which are scaled
/// to mean 0 and population standard deviation 1 first unless `standardize` is off; scikit-learn's `GaussianMixture`.
/// The cluster of a row is the most probable component, the first of several. Without `k`, the number of components is
/// the one among `k_min` to `k_max` with the least BIC (Schwarz 1978), the least of several; log-likelihood (natural,
/// summed over the rows), BIC and AIC are those of the scaled features. Clusters are numbered from 0 by descending
/// size, ties by their centers; components that are most probable for no row come last and are not in `centers`. Every
/// row needs a finite number in every feature. Unlike k-means, clusters may be of different widths and directions.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GaussianMixture {
    /// The numeric columns to cluster by.
    #[schemars(length(min = 1))]
    pub columns: Vec<String>,
    /// The number of components; without it, chosen by BIC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub k: Option<usize>,
    /// The least number of components to choose from.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub k_min: usize,
    /// The largest number of components to choose from.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1000))]
    pub k_max: usize,
    /// The shapes of the components: `full` (any ellipsoid) or `diag` (ellipsoids along the axes).
    #[serde(default = "full")]
    pub covariance_type: Covariance,
    /// The number of starts, of which the best is kept.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000000))]
    pub n_init: usize,
    /// The largest number of iterations of one start.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1))]
    pub max_iter: usize,
    /// A start ends when the mean log-likelihood of a row changes by less than this.
    #[serde(default = "tolerance")]
    #[schemars(range(min = 0.0))]
    pub tol: f64,
    /// What is added to every variance, so that no component shrinks to a point.
    #[serde(default = "regularisation")]
    #[schemars(range(min = 0.0))]
    pub reg_covar: f64,
    /// Whether to scale the columns to mean 0 and standard deviation 1 first.
    #[serde(default = "yes")]
    pub standardize: bool,
    /// The name of the column that receives the cluster.
    #[serde(default = "cluster")]
    #[schemars(length(min = 1))]
    pub into: String,
    /// The name of the column that receives the probability of that cluster.
    #[serde(default = "probability")]
    #[schemars(length(min = 1))]
    pub probability_into: String,
    /// The number of rows, drawn at random, to compute the silhouette over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2))]
    pub sample_size: Option<usize>,
}

fn one() -> usize {
    1
}

fn ten() -> usize {
    10
}

fn hundred() -> usize {
    100
}

fn full() -> Covariance {
    Covariance::Full
}

fn tolerance() -> f64 {
    1e-3
}

fn regularisation() -> f64 {
    1e-6
}

fn yes() -> bool {
    true
}

fn cluster() -> String {
    "cluster".to_owned()
}

fn probability() -> String {
    "probability".to_owned()
}

const WEIGHT: &str = "weight";

impl Stage for GaussianMixture {
    const TYPE: &'static str = "segment.gaussian_mixture";
    const EXAMPLE: &'static str =
        "inputs: { table: users }\nwith: { columns: [total_user_spent, age], covariance_type: diag, k_max: 6 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with the numeric `columns`, a finite number in every row."),
            Port::output(
                "table",
                Kind::Table,
                "The same rows and columns, `probability` of the cluster (double, 0 to 1), and `cluster` (int64, 0 is \
                 the largest).",
            ),
            Port::output(
                "responsibilities",
                Kind::Table,
                "For each row, in the same order, the probability of each component (double, 0 to 1): `cluster_0`, \
                 `cluster_1` and so on.",
            ),
            Port::output(
                "criteria",
                Kind::Table,
                "For each number of components tried: `k` (int64), `log_likelihood`, `bic`, `aic` (double).",
            ),
            Port::output("criteria_figure", Kind::Figure, "BIC and AIC by number of components."),
            Port::output(
                "centers",
                Kind::Table,
                "For each cluster: `cluster`, `size` (int64), `weight` (double, the component's share), and the mean \
                 over its rows of each feature in its own unit (double).",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "Of the mixture chosen: `k`, `log_likelihood`, `bic`, `aic`, `silhouette`, and the `iterations` of the \
                 best start.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        self.features().check(&[WEIGHT])?;
        if self.probability_into == self.into {
            return Err(
                ParamError::new("probability_into", "it is the column of the cluster").with_help("name another column")
            );
        }
        if self.k.is_none() && self.k_max < self.k_min {
            return Err(ParamError::new("k_max", "the largest number of components is below `k_min`")
                .with_help("raise `k_max`, or give the number of components as `k`"));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        self.features().personal(inputs)
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let mut data = self.features().read(context)?;
        if data.frame.get_column_index(&self.probability_into).is_some() {
            return Err(StageError::data(format!("there is a column `{}` already", self.probability_into))
                .with_help("name another column in `probability_into`"));
        }
        let ks: Vec<usize> = self.k.map_or_else(|| (self.k_min..=self.k_max).collect(), |k| vec![k]);
        let method = Method { n_init: self.n_init, max_iter: self.max_iter, tol: self.tol, reg_covar: self.reg_covar };
        let mixtures = method.fits(context, &data.matrix, self.covariance_type, &ks)?;
        let criteria: Vec<Criteria> =
            mixtures.iter().map(|mixture| Criteria::of(mixture, self.covariance_type, data.matrix.width)).collect();
        let chosen = criteria
            .iter()
            .enumerate()
            .reduce(|best, next| if next.1.bic < best.1.bic { next } else { best })
            .map_or(0, |(at, _)| at);
        let (mixture, rated) = (&mixtures[chosen], &criteria[chosen]);
        if !mixture.converged {
            context.warn(format!("the mixture did not settle in {} iterations (`max_iter`)", self.max_iter));
        }
        if mixture.weights.len() < ks[chosen] {
            let k = mixture.weights.len();
            context.warn(format!("only {k} of {} components: there are too few distinct rows", ks[chosen]));
        }

        let column = |name: &str, of: fn(&Criteria) -> f64| {
            Column::new(name.into(), criteria.iter().map(of).collect::<Vec<_>>())
        };
        let points = |of: fn(&Criteria) -> f64| ks.iter().zip(&criteria).map(move |(k, rated)| (*k as f64, of(rated)));
        let figure = Figure::new(FigureKind::Line, "BIC and AIC by number of components", "number of components", "")
            .with(Series::new("BIC", points(|rated| rated.bic)))
            .with(Series::new("AIC", points(|rated| rated.aic)));
        context.put("criteria_figure", figure)?;
        let columns = vec![
            numbered(&ks),
            column("log_likelihood", |rated| rated.log_likelihood),
            column("bic", |rated| rated.bic),
            column("aic", |rated| rated.aic),
        ];
        context.put("criteria", table_of(columns)?)?;

        let labels = mixture.labels();
        let silhouette = rate(context, &data.matrix, &[&labels], self.sample_size)?;
        let mut metrics = Metrics::new();
        metrics.insert("k", Some(mixture.weights.len() as f64), Goal::Describe)?;
        metrics.insert("log_likelihood", Some(rated.log_likelihood), Goal::Maximize)?;
        metrics.insert("bic", Some(rated.bic), Goal::Minimize)?;
        metrics.insert("aic", Some(rated.aic), Goal::Minimize)?;
        metrics.insert("silhouette", silhouette[0], Goal::Maximize)?;
        metrics.insert("iterations", Some(mixture.iterations as f64), Goal::Describe)?;
        context.put("metrics", metrics)?;

        let clusters = Clusters::of(&labels, &data.matrix);
        let without = (0..mixture.weights.len()).filter(|component| !clusters.order.contains(component));
        let order: Vec<usize> = clusters.order.iter().copied().chain(without).collect();
        let share = |row: usize, component: usize| mixture.responsibilities.row(row)[component];
        let probability: Vec<f64> = labels.iter().enumerate().map(|(row, label)| share(row, *label as usize)).collect();
        let columns = order.iter().enumerate().map(|(cluster, &component)| {
            let shares: Vec<f64> = (0..labels.len()).map(|row| share(row, component)).collect();
            Column::new(format!("{}_{cluster}", self.into).into(), shares)
        });
        context.put("responsibilities", table_of(columns.collect())?)?;
        let weights: Vec<f64> = clusters.order.iter().map(|&component| mixture.weights[component]).collect();
        data.frame = with(&data.frame, Column::new(self.probability_into.as_str().into(), probability))?;
        clusters.put(context, &data, &self.columns, &self.into, vec![Column::new(WEIGHT.into(), weights)])
    }
}

impl GaussianMixture {
    fn features(&self) -> Features<'_> {
        Features { columns: &self.columns, standardize: self.standardize, into: &self.into }
    }
}

fn with(frame: &DataFrame, column: Column) -> Result<DataFrame, StageError> {
    frame.hstack(&[column]).map_err(|error| polars_error("collecting probabilities", &error))
}

/// How well a mixture explains the rows, by itself and for the number of its parameters.
struct Criteria {
    log_likelihood: f64,
    bic: f64,
    aic: f64,
}

impl Criteria {
    fn of(mixture: &Mixture, covariance: Covariance, width: usize) -> Self {
        let parameters = covariance.parameters(mixture.weights.len(), width);
        let log_likelihood = mixture.log_likelihood;
        let rows = mixture.responsibilities.rows() as f64;
        Self {
            log_likelihood,
            bic: parameters * rows.ln() - 2.0 * log_likelihood,
            aic: 2.0 * parameters - 2.0 * log_likelihood,
        }
    }
}

/// The parameters of the fit.
pub(crate) struct Method {
    pub(crate) n_init: usize,
    pub(crate) max_iter: usize,
    pub(crate) tol: f64,
    pub(crate) reg_covar: f64,
}

impl Method {
    /// For each k the mixture with the largest likelihood, the first of several.
    pub(crate) fn fits(
        &self,
        context: &StageContext,
        data: &Matrix,
        covariance: Covariance,
        ks: &[usize],
    ) -> Result<Vec<Mixture>, StageError> {
        let rule = Rule { covariance, max_iter: self.max_iter, tol: self.tol, reg_covar: self.reg_covar };
        let once = Starts { n_init: 1, max_iter: 300, tol: 1e-4 };
        let mut best: Vec<Option<Mixture>> = ks.iter().map(|_| None).collect();
        for start in 0..self.n_init {
            let jobs: Vec<Job<'_>> = ks.iter().map(|&k| Job { data, k }).collect();
            let clusterings = once.best_from(context, &jobs, start)?;
            for (best, clustering) in best.iter_mut().zip(clusterings) {
                let found = fit(data, &clustering.labels, rule, &|| context.check_cancelled());
                let mixture = found.map_err(|failure| match failure {
                    Failure::Stopped(error) => error,
                    Failure::Flat => StageError::data(
                        "a component has shrunk to where its rows do not differ in some direction",
                    )
                    .with_help(
                        "raise `reg_covar`, take fewer components, or leave out features that follow from others",
                    ),
                })?;
                if best.as_ref().is_none_or(|best| mixture.log_likelihood > best.log_likelihood) {
                    *best = Some(mixture);
                }
            }
        }
        Ok(best.into_iter().flatten().collect())
    }
}
