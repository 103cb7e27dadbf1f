use rand::seq::index;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, ParamError, StageError, Task};

use crate::boosting::{self, Limits, MAX_ROWS, Validation};
use crate::estimator::{Estimator, Fit, Fitting};
use crate::features::Categories;
use crate::predictor::Predictor;
use crate::trees::shares;

/// Learn a probability or a number as a sum of many small trees (gradient boosting).
///
/// Each tree corrects what the sum of those before it gets wrong (Friedman 2001), by a Newton step on the log loss or the
/// squared error. Features are cut into up to `max_bins` bins at quantiles, splits are sought in histograms over them,
/// and trees grow best leaf first (Ke et al. 2017, LightGBM): the family and the parameters of scikit-learn's
/// `HistGradientBoostingClassifier` and `-Regressor`. Units and outliers of features do not matter; missing values go to
/// the side of a split that fits them better, or with the majority where there were none to learn from. A text column is
/// the place of its category among all of them, ascending. `importance` is the share of a feature's splits in all that
/// was gained. Gradients are summed as whole numbers (42 bits at a million rows), so the model depends neither on the
/// number of threads nor on the order of the rows. Takes up to 16 million rows and targets of up to 1e100.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GradientBoosting {
    /// What to minimise: `log_loss` predicts the probability of a class, `squared_error` a number.
    #[serde(default)]
    pub loss: Loss,
    /// The largest number of trees.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_iter: usize,
    /// How much of what a tree found is added to the sum, above 0. Smaller steps need more trees.
    #[serde(default = "tenth")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub learning_rate: f64,
    /// The largest number of leaves of a tree.
    #[serde(default = "thirty_one")]
    #[schemars(range(min = 2, max = 10000))]
    pub max_leaf_nodes: usize,
    /// The largest number of splits on the way to a leaf; without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_depth: Option<usize>,
    /// The least number of rows in a leaf.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1))]
    pub min_samples_leaf: usize,
    /// What is added to the second derivatives of a leaf, which draws its value towards 0; at least 0.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub l2_regularization: f64,
    /// The largest number of bins of a feature beside that of missing values.
    #[serde(default = "all_bins")]
    #[schemars(range(min = 2, max = 255))]
    pub max_bins: usize,
    /// Whether to hold rows back and to end when trees do not lower their loss any more.
    #[serde(default)]
    pub early_stopping: bool,
    /// The share of rows to hold back for `early_stopping`, drawn at random; of both classes alike.
    #[serde(default = "tenth")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub validation_fraction: f64,
    /// `early_stopping` ends when none of so many trees in a row lowered the loss of the rows held back.
    #[serde(default = "ten")]
    #[schemars(range(min = 1))]
    pub n_iter_no_change: usize,
    /// By how much the loss must be lower to count as lower.
    #[serde(default = "tolerance")]
    #[schemars(range(min = 0.0))]
    pub tol: f64,
}

/// What boosting minimises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Minus the logarithm of the probability of what is true: a classification.
    #[default]
    LogLoss,
    /// The squared distance from what is true: a regression.
    SquaredError,
}

fn hundred() -> usize {
    100
}

fn tenth() -> f64 {
    0.1
}

fn thirty_one() -> usize {
    31
}

fn twenty() -> usize {
    20
}

fn all_bins() -> usize {
    255
}

fn ten() -> usize {
    10
}

fn tolerance() -> f64 {
    1e-7
}

impl Estimator for GradientBoosting {
    const TYPE: &'static str = "model.gradient_boosting";
    const EXAMPLE: &'static str = "\
inputs: { table: split.train }
with: { features: [order_number, days_since_prior_order, department], target: reordered, max_iter: 200 }";
    const SEEDED: bool = true;
    const TAKES_MISSING: bool = true;

    fn task(&self) -> Task {
        match self.loss {
            Loss::LogLoss => Task::Classification,
            Loss::SquaredError => Task::Regression,
        }
    }

    fn categories(&self) -> Categories {
        Categories::Ordinal
    }

    fn check(&self) -> Result<(), ParamError> {
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            return Err(ParamError::new("learning_rate", "the learning rate must be above 0 and at most 1"));
        }
        if !(self.l2_regularization >= 0.0 && self.l2_regularization.is_finite()) {
            return Err(ParamError::new("l2_regularization", "the regularisation must be at least 0"));
        }
        if !(self.validation_fraction > 0.0 && self.validation_fraction < 1.0) {
            return Err(ParamError::new("validation_fraction", "the share held back must be above 0 and below 1")
                .with_help("to hold nothing back, set `early_stopping: false`"));
        }
        Ok(())
    }

    fn fit(&self, fitting: &Fitting<'_>) -> Result<Fit, StageError> {
        let rows = fitting.target.len();
        if rows > MAX_ROWS {
            return Err(StageError::data(format!("{rows} rows are too many, at most {MAX_ROWS} are taken"))
                .with_help("learn from a sample"));
        }
        if fitting.target.iter().any(|value| value.abs() > boosting::LARGEST) {
            return Err(StageError::data("the target has values beyond 1e100").with_help("scale it"));
        }
        if !self.early_stopping {
            return self.learn(fitting, fitting.matrix, fitting.target, None);
        }
        let held = self.held_back(fitting)?;
        let side = |wanted: bool| -> (crate::Matrix, Vec<f64>) {
            let rows: Vec<usize> = (0..rows).filter(|row| held[*row] == wanted).collect();
            (fitting.matrix.select(&rows), rows.iter().map(|row| fitting.target[*row]).collect())
        };
        let ((matrix, target), (held_matrix, held_target)) = (side(false), side(true));
        let validation = Validation {
            matrix: &held_matrix,
            target: &held_target,
            n_iter_no_change: self.n_iter_no_change,
            tol: self.tol,
        };
        self.learn(fitting, &matrix, &target, Some(&validation))
    }
}

impl GradientBoosting {
    fn learn(
        &self,
        fitting: &Fitting<'_>,
        matrix: &crate::Matrix,
        target: &[f64],
        validation: Option<&Validation<'_>>,
    ) -> Result<Fit, StageError> {
        let (loss, metric) = match self.loss {
            Loss::LogLoss => (boosting::Loss::Log, "validation_log_loss"),
            Loss::SquaredError => (boosting::Loss::Squared, "validation_rmse"),
        };
        let limits = Limits {
            max_iter: self.max_iter,
            learning_rate: self.learning_rate,
            max_leaf_nodes: self.max_leaf_nodes,
            max_depth: self.max_depth,
            min_samples_leaf: self.min_samples_leaf,
            l2_regularization: self.l2_regularization,
            max_bins: self.max_bins,
        };
        let fit = boosting::fit(matrix, target, loss, &limits, validation, |trees| {
            fitting.context.progress(trees as u64, self.max_iter as u64);
            fitting.context.check_cancelled()
        })?;
        let mut warnings = Vec::new();
        if fit.gains.iter().all(|gain| *gain == 0.0) {
            warnings.push(format!(
                "no split was found: every row gets the same prediction; a leaf needs {} rows",
                self.min_samples_leaf
            ));
        }
        let mut metrics = vec![("iterations", Some(fit.boosting.trees.len() as f64), Goal::Describe)];
        if let Some(loss) = fit.validation.last() {
            // The squared error is halved in the loss.
            let value = if self.loss == Loss::SquaredError { (2.0 * loss).sqrt() } else { *loss };
            metrics.push((metric, Some(value).filter(|value| value.is_finite()), Goal::Minimize));
        }
        let importance = shares(&fit.gains);
        Ok(Fit { metrics, warnings, ..Fit::new(Predictor::Boosting(fit.boosting), importance) })
    }

    /// Which rows are held back: of each class its share, so that both stay on either side.
    fn held_back(&self, fitting: &Fitting<'_>) -> Result<Vec<bool>, StageError> {
        let mut held = vec![false; fitting.target.len()];
        let mut rng = fitting.rng("validation");
        let classes: &[Option<f64>] = if self.loss == Loss::LogLoss { &[Some(0.0), Some(1.0)] } else { &[None] };
        for class in classes {
            let rows: Vec<usize> =
                (0..held.len()).filter(|row| class.is_none_or(|class| fitting.target[*row] == class)).collect();
            let count = (rows.len() as f64 * self.validation_fraction).round() as usize;
            if count == 0 || count == rows.len() {
                return Err(StageError::data(format!(
                    "{} rows are too few to hold {} of them back",
                    rows.len(),
                    self.validation_fraction
                ))
                .with_help("set `early_stopping: false`, or another `validation_fraction`"));
            }
            index::sample(&mut rng, rows.len(), count).into_iter().for_each(|at| held[rows[at]] = true);
        }
        Ok(held)
    }
}
