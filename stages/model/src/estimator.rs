//! What an estimator is, and how to add one.
//!
//! An estimator is a struct whose fields are its parameters (scikit-learn's names) with an implementation of
//! [`Estimator`]. That makes it a stage type: [`Learn<E>`](crate::Learn) reads the features and the target, fits it,
//! and puts out the model, the importances, the metrics and the figure. It also makes it usable in
//! `model.cross_validate`. To add one:
//!
//! 1. Write the algorithm over a [`Matrix`] (columns of `f64`, NaN for missing) and the target (0 and 1, or numbers) in
//!    a module of its own, without any stage in it.
//! 2. Write what it has learned as a serialisable struct with `predict(&Matrix) -> Vec<f64>`, and add a variant to
//!    [`Predictor`] with a form such as `trees/1`. Every number in it must be finite: JSON has no other.
//! 3. Write the struct of parameters and its `impl Estimator`. Its doc comment is the documentation of the stage type;
//!    it needs `#[derive(Clone, Serialize, Deserialize, JsonSchema)]` and `#[serde(deny_unknown_fields)]`, and no field
//!    may be called `features`, `target` or `positive`. Random numbers come from [`Fitting::rng`] alone.
//! 4. Add a variant to [`AnyEstimator`], and `StageType::of::<Learn<X>>(code)` to `stage_types()`.
//! 5. Add `conformance::<Learn<X>>` to `tests/conformance.rs`.

use polars::prelude::DataFrame;
use rand::SeedableRng;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, ParamError, Port, StageContext, StageError, Task};

use crate::decision_tree::DecisionTree;
use crate::features::Categories;
use crate::gradient_boosting::GradientBoosting;
use crate::linear::Linear;
use crate::logistic::Logistic;
use crate::matrix::Matrix;
use crate::predictor::Predictor;
use crate::random_forest::RandomForest;
use crate::svm::Svm;

/// The parameters of an estimator, which fits a [`Predictor`] to data.
pub trait Estimator: Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The stage type, such as `model.logistic`.
    const TYPE: &'static str;

    /// See [`stagewright_contract::Stage::EXAMPLE`]; `with` has `features` and `target` beside the parameters.
    const EXAMPLE: &'static str;

    /// Whether it draws random numbers.
    const SEEDED: bool = false;

    /// Whether it can learn from missing values. If not, a table with some is refused before [`Estimator::fit`].
    const TAKES_MISSING: bool = false;

    /// Whether what it learns holds rows of the table (support vectors, neighbours). If so, personal features are
    /// refused: the model would keep them.
    const KEEPS_ROWS: bool = false;

    /// The names of the columns of the tables of [`Estimator::ports`].
    const TABLE_COLUMNS: &'static [&'static str] = &[];

    /// What it predicts with these parameters.
    fn task(&self) -> Task;

    /// What it wants made of text columns.
    fn categories(&self) -> Categories {
        Categories::OneHot
    }

    /// See [`stagewright_contract::Stage::check`].
    ///
    /// # Errors
    /// The first parameter that does not hold.
    fn check(&self) -> Result<(), ParamError> {
        Ok(())
    }

    /// The tables that it puts out besides what all estimators do, as [`Fit::tables`]. They hold no column of the input.
    fn ports() -> Vec<Port> {
        Vec::new()
    }

    /// Learns.
    ///
    /// # Errors
    /// Whatever keeps it from a usable result, in words for the person whose data it is.
    fn fit(&self, fitting: &Fitting<'_>) -> Result<Fit, StageError>;
}

/// What an estimator learns from.
pub struct Fitting<'a> {
    /// For progress and cancellation; warnings go to [`Fit::warnings`].
    pub context: &'a StageContext,
    /// The features, at least one row.
    pub matrix: &'a Matrix,
    /// The names of the columns of the matrix.
    pub names: &'a [String],
    /// The target of each row: 0 and 1 (both occur) of a classification, numbers of a regression.
    pub target: &'a [f64],
    /// What makes the random numbers of this fit differ from another's in the same stage, such as `fold 3`.
    pub purpose: &'a str,
}

impl Fitting<'_> {
    /// A generator of random numbers that depends on the workflow's seed, on the fit and on `purpose` alone. Give each
    /// parallel part its own, such as `tree 7`.
    pub fn rng(&self, purpose: &str) -> impl rand::Rng + SeedableRng + Clone + Send + use<> {
        self.context.rng(&format!("{} {purpose}", self.purpose))
    }

    /// How many rows are of the positive class.
    pub fn positives(&self) -> usize {
        self.target.iter().filter(|value| **value == 1.0).count()
    }
}

/// What an estimator has learned.
pub struct Fit {
    /// What predicts.
    pub predictor: Predictor,
    /// How much each column of the matrix matters, at least 0, in whatever unit the estimator documents; empty where it
    /// cannot say. Those of the columns of one feature are added up.
    pub importance: Vec<f64>,
    /// Numbers about the fitting, such as `iterations`. A figure of merit on the rows that were learned from has a name
    /// that begins with `train_`; the log loss (or RMSE and R²) on them is added by [`crate::Learn`].
    pub metrics: Vec<(&'static str, Option<f64>, Goal)>,
    /// The tables of [`Estimator::ports`].
    pub tables: Vec<(&'static str, DataFrame)>,
    /// What a person should know, such as that it did not converge.
    pub warnings: Vec<String>,
}

impl Fit {
    /// Just a predictor and the importances.
    pub fn new(predictor: Predictor, importance: Vec<f64>) -> Self {
        Self { predictor, importance, metrics: Vec::new(), tables: Vec::new(), warnings: Vec::new() }
    }
}

/// Any estimator of this crate with its parameters.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AnyEstimator {
    /// As `model.logistic`.
    Logistic(Logistic),
    /// As `model.linear`.
    Linear(Linear),
    /// As `model.gradient_boosting`.
    GradientBoosting(GradientBoosting),
    /// As `model.decision_tree`.
    DecisionTree(DecisionTree),
    /// As `model.random_forest`.
    RandomForest(RandomForest),
    /// As `model.svm`.
    Svm(Svm),
}

/// The same expression for the estimator of each type.
macro_rules! each {
    ($any:expr, $estimator:ident => $body:expr) => {
        match $any {
            AnyEstimator::Logistic($estimator) => $body,
            AnyEstimator::Linear($estimator) => $body,
            AnyEstimator::GradientBoosting($estimator) => $body,
            AnyEstimator::DecisionTree($estimator) => $body,
            AnyEstimator::RandomForest($estimator) => $body,
            AnyEstimator::Svm($estimator) => $body,
        }
    };
}

impl AnyEstimator {
    /// See [`Estimator::task`].
    pub fn task(&self) -> Task {
        each!(self, estimator => estimator.task())
    }

    /// See [`Estimator::categories`].
    pub fn categories(&self) -> Categories {
        each!(self, estimator => estimator.categories())
    }

    /// See [`Estimator::check`].
    ///
    /// # Errors
    /// The first parameter that does not hold.
    pub fn check(&self) -> Result<(), ParamError> {
        each!(self, estimator => estimator.check())
    }

    /// See [`Estimator::TAKES_MISSING`].
    pub fn takes_missing(&self) -> bool {
        fn of<E: Estimator>(_: &E) -> bool {
            E::TAKES_MISSING
        }
        each!(self, estimator => of(estimator))
    }

    /// See [`Estimator::fit`].
    ///
    /// # Errors
    /// Those of the estimator.
    pub fn fit(&self, fitting: &Fitting<'_>) -> Result<Fit, StageError> {
        each!(self, estimator => estimator.fit(fitting))
    }
}
