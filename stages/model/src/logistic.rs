use polars::prelude::{Column, DataFrame};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, Kind, ParamError, Port, StageError, Task};
use stagewright_frame::polars_error;
use statrs::function::erf::erfc;

use crate::estimator::{Estimator, Fit, Fitting};
use crate::features::Categories;
use crate::linear_predictor::{LinearPredictor, Link};
use crate::newton::Problem;
use crate::predictor::Predictor;

/// Learn the probability of a class as a logistic function of a weighted sum (logistic regression).
///
/// Minimises `C × Σ weight × log loss + ½ Σ coefficient²`, scikit-learn's `LogisticRegression`: the intercept is not
/// penalised, and the penalty is on the coefficients in the columns' own units, so a column in small units pays more.
/// The columns may be of any size: Newton's method (iteratively reweighted least squares) runs on centred and scaled
/// columns and gives the optimum of the original ones, whatever their units. A text column becomes a column of zeros and
/// ones for each category, but not for the first where there is an intercept and no penalty. `importance` is
/// `|coefficient| × standard deviation of the column`. `std_error`, `z` and `p_value` (two-sided, normal) come from the
/// information matrix without the penalty; they hold where the penalty is weak beside the data and rows are not
/// weighted, and are null where columns are collinear. A fit that has not converged is a warning and `converged` is 0.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logistic {
    /// The inverse of the strength of the penalty, above 0.
    #[serde(default = "one", rename = "C")]
    #[schemars(range(min = 0.0))]
    pub c: f64,
    /// What is penalised.
    #[serde(default)]
    pub penalty: Penalty,
    /// Whether there is an intercept.
    #[serde(default = "yes")]
    pub fit_intercept: bool,
    /// How rows are weighted.
    #[serde(default)]
    pub class_weight: ClassWeight,
    /// The largest number of Newton steps.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1))]
    pub max_iter: usize,
    /// The fit has converged when the next step promises to lower the mean log loss by at most this.
    #[serde(default = "tolerance")]
    #[schemars(range(min = 0.0))]
    pub tol: f64,
}

/// What of the coefficients is penalised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Penalty {
    /// Their squares.
    #[default]
    L2,
    /// Nothing.
    None,
}

/// How rows are weighted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeight {
    /// All alike.
    #[default]
    None,
    /// So that both classes weigh the same: rows / (2 × rows of the class). Probabilities are then too large for the
    /// rarer class.
    Balanced,
}

impl ClassWeight {
    /// The weights of rows of the negative and of the positive class.
    pub fn weights(self, rows: usize, positives: usize) -> [f64; 2] {
        match self {
            Self::None => [1.0; 2],
            Self::Balanced => [rows - positives, positives].map(|class| rows as f64 / (2.0 * class as f64)),
        }
    }
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

fn hundred() -> usize {
    100
}

fn tolerance() -> f64 {
    1e-9
}

/// Below this mean log loss, without a penalty, the classes are separated and coefficients grow without end.
const SEPARATED: f64 = 1e-6;

impl Estimator for Logistic {
    const TYPE: &'static str = "model.logistic";
    const EXAMPLE: &'static str = "\
inputs: { table: split.train }
with: { features: [order_number, days_since_prior_order, department_id], target: reordered }";
    const TABLE_COLUMNS: &'static [&'static str] = &["term", "coefficient", "std_error", "z", "p_value"];

    fn task(&self) -> Task {
        Task::Classification
    }

    fn categories(&self) -> Categories {
        // Beside an intercept the columns of all categories are collinear, which the penalty makes up for.
        if self.penalty == Penalty::None && self.fit_intercept {
            Categories::OneHotWithoutFirst
        } else {
            Categories::OneHot
        }
    }

    fn check(&self) -> Result<(), ParamError> {
        if !(self.c.is_finite() && self.c > 0.0) {
            return Err(ParamError::new("C", "the inverse of the penalty must be above 0")
                .with_help("for no penalty, set `penalty: none`"));
        }
        Ok(())
    }

    fn ports() -> Vec<Port> {
        vec![Port::output(
            "coefficients",
            Kind::Table,
            "The intercept first, then each column in the order of `features`: `term` (a category is \
             `feature=category`), `coefficient` (change in log odds per unit), `std_error`, `z`, `p_value` (double).",
        )]
    }

    fn fit(&self, fitting: &Fitting<'_>) -> Result<Fit, StageError> {
        let problem = Problem {
            matrix: fitting.matrix,
            target: fitting.target,
            weights: self.class_weight.weights(fitting.target.len(), fitting.positives()),
            penalty: if self.penalty == Penalty::None { 0.0 } else { 1.0 / self.c },
            fit_intercept: self.fit_intercept,
            max_iter: self.max_iter,
            tol: self.tol,
        };
        let solution = problem.solve(&|| fitting.context.check_cancelled())?;
        if !solution.coefficients.iter().chain([&solution.intercept]).all(|value| value.is_finite()) {
            return Err(StageError::data("the coefficients are not finite: the values are too large or too small")
                .with_help("scale the columns with `features.scale`"));
        }
        let mut warnings = Vec::new();
        if !solution.converged {
            warnings.push(format!(
                "not converged after {} iterations: raise `max_iter`, or strengthen the penalty with a smaller `C`",
                solution.iterations
            ));
        } else if self.penalty == Penalty::None && solution.loss < SEPARATED {
            warnings.push(
                "the features separate the classes, so that without a penalty the coefficients have no limit"
                    .to_owned(),
            );
        }
        let importance =
            solution.coefficients.iter().zip(&solution.scales).map(|(value, scale)| (value * scale).abs()).collect();
        let errors = solution.errors.filter(|errors| errors.iter().all(|error| error.is_finite()));
        if errors.is_none() && self.penalty == Penalty::None {
            warnings.push("columns are collinear: their coefficients are not determined".to_owned());
        }
        let errors = errors.map_or(vec![None; fitting.names.len() + 1], |errors| {
            errors.into_iter().map(|error| (error > 0.0).then_some(error)).collect()
        });
        let terms = self.fit_intercept.then_some((INTERCEPT, solution.intercept, errors[0])).into_iter().chain(
            fitting.names.iter().zip(&solution.coefficients).zip(&errors[1..]).map(|((n, c), e)| (n.as_str(), *c, *e)),
        );
        let coefficients = coefficients(terms, "z", |z| erfc(z.abs() / std::f64::consts::SQRT_2))?;
        let predictor = Predictor::Linear(LinearPredictor {
            intercept: solution.intercept,
            coefficients: solution.coefficients,
            link: Link::Logit,
        });
        Ok(Fit {
            metrics: vec![
                ("iterations", Some(solution.iterations as f64), Goal::Describe),
                ("converged", Some(f64::from(u8::from(solution.converged))), Goal::Describe),
            ],
            tables: vec![("coefficients", coefficients)],
            warnings,
            ..Fit::new(predictor, importance)
        })
    }
}

/// The name of the intercept among the terms.
pub(crate) const INTERCEPT: &str = "(intercept)";

/// The table of terms, coefficients and standard errors; `statistic` names their quotient, `p` is its p-value.
pub(crate) fn coefficients<'a>(
    terms: impl Iterator<Item = (&'a str, f64, Option<f64>)>,
    statistic: &str,
    p: impl Fn(f64) -> f64,
) -> Result<DataFrame, StageError> {
    let terms: Vec<_> = terms.collect();
    let quotients: Vec<Option<f64>> =
        terms.iter().map(|(_, value, error)| error.map(|error| value / error).filter(|z| z.is_finite())).collect();
    let p_values: Vec<Option<f64>> = quotients.iter().map(|z| z.map(&p).filter(|p| p.is_finite())).collect();
    DataFrame::new_infer_height(vec![
        Column::new("term".into(), terms.iter().map(|term| term.0).collect::<Vec<_>>()),
        Column::new("coefficient".into(), terms.iter().map(|term| term.1).collect::<Vec<_>>()),
        Column::new("std_error".into(), terms.iter().map(|term| term.2).collect::<Vec<_>>()),
        Column::new(statistic.into(), quotients),
        Column::new("p_value".into(), p_values),
    ])
    .map_err(|error| polars_error("collecting coefficients", &error))
}
