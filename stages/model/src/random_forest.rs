use std::sync::atomic::{AtomicUsize, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, ParamError, StageError, Task};

use crate::decision_tree::refuse_what_is_too_large;
use crate::estimator::{Estimator, Fit, Fitting};
use crate::features::Categories;
use crate::forest::{self, Limits};
use crate::impurity::{Criterion, Targets};
use crate::predictor::Predictor;
use crate::scores::{log_loss, r2};
use crate::trees::Trees;

/// Learn a probability or a number as the mean of many different trees (random forest).
///
/// Each tree learns from rows drawn with replacement, and each of its nodes chooses among a few features drawn anew
/// (Breiman 2001); the parameters are those of scikit-learn's `RandomForestClassifier` and `-Regressor`. Unlike there,
/// splits are sought among up to 255 quantiles of each feature, so that many rows cost little time (800,000 with 8
/// features and 100 trees some 40 s of one processor), and leaves grow with the table unless `min_samples_leaf` is
/// given. A tree's leaf answers with the share of the positive class or the mean among its rows. Missing values go to
/// the side of a split that fits them better, or with the majority where there were none to learn from. A text column
/// is the place of its category among all of them, ascending. `importance` is a feature's share in the decrease of
/// impurity, the mean over trees. Each row is also predicted by the trees that have not drawn it: `oob_score` (accuracy
/// at 0.5, or R²) and `oob_log_loss` are estimates for new rows. Each tree has random numbers of its own, so the model
/// does not depend on the number of threads. A forest of more than five million nodes is refused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RandomForest {
    /// The impurity to lower: `gini` or `entropy` predict the probability of a class, `squared_error` a number.
    #[serde(default)]
    pub criterion: Criterion,
    /// The number of trees.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = 10000))]
    pub n_estimators: usize,
    /// The share of the features that a node chooses from, above 0; without it the square root of their number for a
    /// class, all of them for a number. It is at least one feature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_features: Option<f64>,
    /// The largest number of splits on the way to a leaf; without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_depth: Option<usize>,
    /// A node of fewer rows is a leaf.
    #[serde(default = "two")]
    #[schemars(range(min = 2))]
    pub min_samples_split: usize,
    /// The least number of rows in a leaf, a row counting as often as it was drawn; without it a ten-thousandth of the
    /// rows, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub min_samples_leaf: Option<usize>,
    /// Whether each tree draws rows of its own; if not, all learn from the same rows, and only the features differ.
    #[serde(default = "yes")]
    pub bootstrap: bool,
    /// How many rows a tree draws, as a share of all, above 0.
    #[serde(default = "all")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_samples: f64,
}

fn hundred() -> usize {
    100
}

fn two() -> usize {
    2
}

fn yes() -> bool {
    true
}

fn all() -> f64 {
    1.0
}

/// More nodes than this make a model that takes gigabytes to write down and read.
const MOST_NODES: usize = 5_000_000;

impl Estimator for RandomForest {
    const TYPE: &'static str = "model.random_forest";
    const EXAMPLE: &'static str = "\
inputs: { table: split.train }
with: { features: [order_number, days_since_prior_order, department], target: reordered, min_samples_leaf: 20 }";
    const SEEDED: bool = true;
    const TAKES_MISSING: bool = true;

    fn task(&self) -> Task {
        self.criterion.task()
    }

    fn categories(&self) -> Categories {
        Categories::Ordinal
    }

    fn check(&self) -> Result<(), ParamError> {
        let share = |value: f64| value > 0.0 && value <= 1.0;
        if !self.max_features.is_none_or(share) {
            return Err(ParamError::new("max_features", "the share of features must be above 0 and at most 1"));
        }
        if !share(self.max_samples) {
            return Err(ParamError::new("max_samples", "the share of rows must be above 0 and at most 1"));
        }
        Ok(())
    }

    fn fit(&self, fitting: &Fitting<'_>) -> Result<Fit, StageError> {
        refuse_what_is_too_large(fitting)?;
        let (rows, width) = (fitting.matrix.rows(), fitting.matrix.width());
        let targets = Targets::new(fitting.target, self.criterion);
        let features = match (self.max_features, self.task()) {
            (Some(share), _) => width as f64 * share,
            (None, Task::Classification) => (width as f64).sqrt(),
            (None, Task::Regression) => width as f64,
        };
        let limits = Limits {
            n_estimators: self.n_estimators,
            max_depth: self.max_depth,
            min_samples_split: self.min_samples_split,
            min_samples_leaf: self.min_samples_leaf.unwrap_or(rows / 10_000).max(1),
            max_features: (features as usize).max(1),
            draws: self.bootstrap.then(|| ((rows as f64 * self.max_samples).round() as usize).max(1)),
        };
        let (done, all_nodes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let check = |nodes: usize| {
            if all_nodes.fetch_add(nodes, Ordering::Relaxed) + nodes > MOST_NODES {
                return Err(StageError::data(format!("the forest has more than {MOST_NODES} nodes"))
                    .with_help("raise `min_samples_leaf`, or lower `n_estimators`, `max_depth` or `max_samples`"));
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            fitting.context.progress(done as u64, self.n_estimators as u64);
            fitting.context.check_cancelled()
        };
        let forest =
            forest::fit(fitting.matrix, &targets, &limits, |tree| fitting.rng(&format!("tree {tree}")), check)?;

        let mut warnings = Vec::new();
        let nodes: usize = forest.trees.iter().map(crate::Tree::len).sum();
        if nodes == forest.trees.len() {
            warnings.push("no split was found: every row gets the same prediction".to_owned());
        }
        let mut metrics = vec![("nodes", Some(nodes as f64), Goal::Describe)];
        if self.bootstrap {
            let outside = forest.out_of_bag.iter().zip(fitting.target);
            let pairs: Vec<(f64, f64)> = outside.filter_map(|(value, target)| value.map(|v| (v, *target))).collect();
            if pairs.len() < rows {
                warnings.push(format!(
                    "{} of {rows} rows were drawn by every tree and do not count in `oob_score`: raise `n_estimators`",
                    rows - pairs.len()
                ));
            }
            match self.task() {
                Task::Classification => {
                    let right = pairs.iter().filter(|(value, target)| (*value >= 0.5) == (*target == 1.0)).count();
                    let accuracy = (!pairs.is_empty()).then(|| right as f64 / pairs.len() as f64);
                    metrics.push(("oob_score", accuracy, Goal::Maximize));
                    metrics.push(("oob_log_loss", log_loss(&pairs), Goal::Minimize));
                }
                Task::Regression => metrics.push(("oob_score", r2(&pairs), Goal::Maximize)),
            }
        }
        let predictor = Predictor::Trees(Trees { trees: forest.trees });
        Ok(Fit { metrics, warnings, ..Fit::new(predictor, forest.importance) })
    }
}
