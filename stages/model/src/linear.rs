use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, Kind, ParamError, Port, StageError, Task};
use statrs::function::beta::checked_beta_reg;

use crate::estimator::{Estimator, Fit, Fitting};
use crate::features::Categories;
use crate::least_squares::LeastSquares;
use crate::linear_predictor::{LinearPredictor, Link};
use crate::logistic::{INTERCEPT, coefficients};
use crate::predictor::Predictor;

/// Learn a number as a weighted sum (linear regression: ordinary least squares, or ridge regression).
///
/// Minimises `Σ (target - prediction)² + alpha × Σ coefficient²` over the intercept and the coefficients, in the columns'
/// own units and without a penalty on the intercept: scikit-learn's `LinearRegression` without `alpha`, its `Ridge` with
/// one. A text column becomes a column of zeros and ones for each category; without a penalty the first category has
/// none and is what the others are compared with. Without a penalty `std_error`, `t` and `p_value` (two-sided, Student's
/// t with as many degrees of freedom as there are rows more than coefficients) are those of ordinary least squares, for
/// residuals that are independent and of equal variance; with one they are null. A column that the columns before it
/// make up gets the coefficient 0 and no standard error, with a warning. `importance` is `|coefficient| × standard
/// deviation of the column`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// The strength of the penalty, at least 0; 0 is ordinary least squares.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub alpha: f64,
    /// Whether there is an intercept.
    #[serde(default = "yes")]
    pub fit_intercept: bool,
}

fn yes() -> bool {
    true
}

impl Estimator for Linear {
    const TYPE: &'static str = "model.linear";
    const EXAMPLE: &'static str = "\
inputs: { table: split.train }
with: { features: [age, order_frequency, department], target: total_user_spent, alpha: 1 }";
    const TABLE_COLUMNS: &'static [&'static str] = &["term", "coefficient", "std_error", "t", "p_value"];

    fn task(&self) -> Task {
        Task::Regression
    }

    fn categories(&self) -> Categories {
        // Beside an intercept the columns of all categories are collinear, which the penalty makes up for.
        if self.alpha == 0.0 && self.fit_intercept { Categories::OneHotWithoutFirst } else { Categories::OneHot }
    }

    fn check(&self) -> Result<(), ParamError> {
        if !(self.alpha >= 0.0 && self.alpha.is_finite()) {
            return Err(ParamError::new("alpha", "the strength of the penalty must be at least 0"));
        }
        Ok(())
    }

    fn ports() -> Vec<Port> {
        vec![Port::output(
            "coefficients",
            Kind::Table,
            "The intercept first, then each column in the order of `features`: `term` (a category is \
             `feature=category`), `coefficient` (change of the target per unit), `std_error`, `t`, `p_value` (double).",
        )]
    }

    fn fit(&self, fitting: &Fitting<'_>) -> Result<Fit, StageError> {
        let fit = LeastSquares::fit(fitting.matrix, fitting.target, self.alpha, self.fit_intercept);
        if !fit.coefficients.iter().chain([&fit.intercept]).all(|value| value.is_finite()) {
            return Err(StageError::data("the coefficients are not finite: the values are too large or too small")
                .with_help("scale the columns with `features.scale`"));
        }
        let warnings = fit
            .left_out
            .iter()
            .map(|&at| {
                format!("column `{}` is made up of those before it: its coefficient is set to 0", fitting.names[at])
            })
            .collect();
        let error = |at: usize| {
            let error = fit.errors.as_ref().and_then(|errors| errors[at]);
            error.filter(|error| error.is_finite() && *error > 0.0)
        };
        let terms = self.fit_intercept.then(|| (INTERCEPT, fit.intercept, error(0))).into_iter().chain(
            fitting.names.iter().enumerate().map(|(at, name)| (name.as_str(), fit.coefficients[at], error(at + 1))),
        );
        let degrees = fit.degrees;
        let p_value = |t: f64| checked_beta_reg(degrees / 2.0, 0.5, degrees / (degrees + t * t)).unwrap_or(f64::NAN);
        let table = coefficients(terms, "t", p_value)?;
        let importance = fit.coefficients.iter().zip(&fit.scales).map(|(value, scale)| (value * scale).abs()).collect();
        let rows = fitting.target.len() as f64;
        let adjusted = fit
            .unexplained
            .filter(|_| self.alpha == 0.0 && self.fit_intercept && degrees > 0.0)
            .map(|unexplained| 1.0 - unexplained * (rows - 1.0) / degrees);
        let predictor = Predictor::Linear(LinearPredictor {
            intercept: fit.intercept,
            coefficients: fit.coefficients,
            link: Link::Identity,
        });
        Ok(Fit {
            metrics: vec![
                ("train_adjusted_r2", adjusted, Goal::Maximize),
                ("degrees_of_freedom", Some(degrees.max(0.0)), Goal::Describe),
            ],
            tables: vec![("coefficients", table)],
            warnings,
            ..Fit::new(predictor, importance)
        })
    }
}
