use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, ParamError, StageError, Task};

use crate::calibration::Calibration;
use crate::estimator::{Estimator, Fit, Fitting};
use crate::folds;
use crate::kernel::{Kernel, Scaling, SupportVectors};
use crate::linear_predictor::{LinearPredictor, Link, logistic};
use crate::logistic::ClassWeight;
use crate::matrix::Matrix;
use crate::predictor::Predictor;
use crate::smo::Problem;

/// Learn the probability of a class from the widest margin between two classes (support vector machine).
///
/// scikit-learn's `SVC` with `probability=True` on columns scaled to mean 0 and standard deviation 1: the dual problem
/// is solved by sequential minimal optimisation (Fan, Chen & Lin 2005), and decisions become probabilities by a sigmoid
/// (Platt 1999) fitted to those of `folds` models, each of which has not seen the rows it decides on; without that,
/// probabilities would be too sure. A text column becomes a column of zeros and ones for each category. `importance` is
/// the size of a scaled column's weight for the linear kernel, and null for others. Time and memory grow with the square
/// of the rows: at most 10,000 are taken. With the kernels `rbf` and `poly` the model holds rows of the table, which is
/// why personal features are refused. Learning that has not converged is a warning, and `converged` is 0.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Svm {
    /// How alike two rows are.
    #[serde(default)]
    pub kernel: KernelName,
    /// What a row on the wrong side of the margin costs, above 0: the smaller, the wider the margin.
    #[serde(default = "one", rename = "C")]
    #[schemars(range(min = 0.0))]
    pub c: f64,
    /// The scale of `rbf` and `poly`, above 0; without it one over the number of columns that vary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub gamma: Option<f64>,
    /// The power of `poly`.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 5))]
    pub degree: i32,
    /// What `poly` adds before it takes the power.
    #[serde(default)]
    #[schemars(range(min = -100.0, max = 100.0))]
    pub coef0: f64,
    /// How rows are weighted: what multiplies `C`.
    #[serde(default)]
    pub class_weight: ClassWeight,
    /// How many models the probabilities are fitted with.
    #[serde(default = "five")]
    #[schemars(range(min = 2, max = 100))]
    pub folds: usize,
    /// Learning has converged when optimality is violated by less than this.
    #[serde(default = "tolerance")]
    #[schemars(range(min = 0.0))]
    pub tol: f64,
    /// The largest number of steps of one model, each of which moves the weights of two rows.
    #[serde(default = "million")]
    #[schemars(range(min = 1))]
    pub max_iter: usize,
}

/// How alike two scaled rows `x` and `y` are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KernelName {
    /// `x·y`.
    Linear,
    /// `exp(-gamma |x - y|²)`.
    #[default]
    Rbf,
    /// `(gamma x·y + coef0)^degree`.
    Poly,
}

fn one() -> f64 {
    1.0
}

fn three() -> i32 {
    3
}

fn five() -> usize {
    5
}

fn tolerance() -> f64 {
    1e-3
}

fn million() -> usize {
    1_000_000
}

/// The kernel of so many rows takes 400 MB.
const MOST_ROWS: usize = 10_000;

/// A model without its sigmoid.
struct Machine {
    vectors: SupportVectors,
    iterations: usize,
    converged: bool,
}

impl Estimator for Svm {
    const TYPE: &'static str = "model.svm";
    const EXAMPLE: &'static str = "\
inputs: { table: sample.table }
with: { features: [order_number, days_since_prior_order], target: reordered, kernel: rbf, C: 1 }";
    const SEEDED: bool = true;
    const KEEPS_ROWS: bool = true;

    fn task(&self) -> Task {
        Task::Classification
    }

    fn check(&self) -> Result<(), ParamError> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        if !positive(self.c) {
            return Err(ParamError::new("C", "the cost must be above 0"));
        }
        if !self.gamma.is_none_or(positive) {
            return Err(ParamError::new("gamma", "the scale must be above 0"));
        }
        if !positive(self.tol) {
            return Err(ParamError::new("tol", "the tolerance must be above 0"));
        }
        Ok(())
    }

    fn fit(&self, fitting: &Fitting<'_>) -> Result<Fit, StageError> {
        let (rows, positives) = (fitting.target.len(), fitting.positives());
        if rows > MOST_ROWS {
            return Err(StageError::data(format!(
                "{rows} rows are too many: a support vector machine takes at most {MOST_ROWS}"
            ))
            .with_help("learn from a sample, or use `model.gradient_boosting` or `model.logistic`"));
        }
        if positives.min(rows - positives) < 2 {
            return Err(StageError::data("each of the two classes needs at least 2 rows")
                .with_help("learn from more rows, or name another `target`"));
        }
        let weights = self.class_weight.weights(rows, positives);
        let total = self.folds as u64 + 1;
        let machine = self.learn(fitting, fitting.matrix, fitting.target, weights)?;
        let mut pairs = Vec::with_capacity(rows);
        for (done, fold) in (1..).zip(folds::stratified(fitting.target, self.folds, &mut fitting.rng("folds"))) {
            fitting.context.progress(done, total);
            let target: Vec<f64> = fold.train.iter().map(|row| fitting.target[*row]).collect();
            let other = self.learn(fitting, &fitting.matrix.select(&fold.train), &target, weights)?;
            let decisions = other.vectors.decisions(&fitting.matrix.select(&fold.test));
            pairs.extend(decisions.into_iter().map(logistic).zip(fold.test.iter().map(|row| fitting.target[*row])));
        }
        let mut vectors = machine.vectors;
        if let (Calibration::Sigmoid { slope, intercept }, _) = Calibration::sigmoid(&pairs) {
            vectors.sigmoid = [slope, intercept];
        }
        let numbers = vectors.weights.iter().chain(&vectors.sigmoid).chain([&vectors.intercept]);
        if !numbers.copied().all(f64::is_finite) || !vectors.vectors.iter().flatten().all(|value| value.is_finite()) {
            return Err(StageError::data("the model is not finite: the values are too large")
                .with_help("scale the columns with `features.scale`, or lower `degree` or `gamma`"));
        }
        let mut warnings = Vec::new();
        if !machine.converged {
            warnings
                .push(format!("not converged after {} iterations: raise `max_iter`, or lower `C`", machine.iterations));
        }
        let metrics = vec![
            ("support_vectors", Some(vectors.weights.len() as f64), Goal::Describe),
            ("iterations", Some(machine.iterations as f64), Goal::Describe),
            ("converged", Some(f64::from(u8::from(machine.converged))), Goal::Describe),
        ];
        let (predictor, importance) = if self.kernel == KernelName::Linear {
            let (linear, weights) = linear(&vectors);
            (Predictor::Linear(linear), weights.into_iter().map(f64::abs).collect())
        } else {
            (Predictor::SupportVectors(vectors), Vec::new())
        };
        Ok(Fit { metrics, warnings, ..Fit::new(predictor, importance) })
    }
}

impl Svm {
    fn learn(
        &self,
        fitting: &Fitting<'_>,
        matrix: &Matrix,
        target: &[f64],
        weights: [f64; 2],
    ) -> Result<Machine, StageError> {
        let scaling = Scaling::of(matrix);
        let varying = scaling.factor.iter().filter(|factor| **factor > 0.0).count().max(1);
        let gamma = self.gamma.unwrap_or(1.0 / varying as f64);
        let kernel = match self.kernel {
            KernelName::Linear => Kernel::Linear,
            KernelName::Rbf => Kernel::Rbf { gamma },
            KernelName::Poly => Kernel::Poly { gamma, degree: self.degree, coef0: self.coef0 },
        };
        let rows: Vec<Vec<f64>> = (0..matrix.rows()).map(|row| scaling.row(matrix, row)).collect();
        let signs: Vec<f64> = target.iter().map(|class| 2.0 * class - 1.0).collect();
        let problem = Problem {
            rows: &rows,
            signs: &signs,
            kernel,
            c: weights.map(|weight| self.c * weight),
            tol: self.tol,
            max_iter: self.max_iter,
        };
        let solution = problem.solve(|| fitting.context.check_cancelled())?;
        let (vectors, weights) = rows
            .into_iter()
            .zip(solution.alpha.iter().zip(&signs))
            .filter(|(_, (alpha, _))| **alpha > 0.0)
            .map(|(row, (alpha, sign))| (row, alpha * sign))
            .unzip();
        let vectors =
            SupportVectors { kernel, scaling, vectors, weights, intercept: solution.intercept, sigmoid: [1.0, 0.0] };
        Ok(Machine { vectors, iterations: solution.iterations, converged: solution.converged })
    }
}

/// With the linear kernel the sum over rows is one over columns: as such, and the weights of the scaled columns.
fn linear(vectors: &SupportVectors) -> (LinearPredictor, Vec<f64>) {
    let Scaling { center, factor } = &vectors.scaling;
    let mut weights = vec![0.0; center.len()];
    for (vector, weight) in vectors.vectors.iter().zip(&vectors.weights) {
        weights.iter_mut().zip(vector).for_each(|(sum, value)| *sum += weight * value);
    }
    let [slope, offset] = vectors.sigmoid;
    let coefficients: Vec<f64> = weights.iter().zip(factor).map(|(weight, factor)| slope * weight * factor).collect();
    let moved: f64 = coefficients.iter().zip(center).map(|(coefficient, center)| coefficient * center).sum();
    let intercept = slope * vectors.intercept + offset - moved;
    (LinearPredictor { intercept, coefficients, link: Link::Logit }, weights)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use serde_json::json;
    use stagewright_contract::{Monitor, StageContext};

    use super::*;
    use crate::scores::log_loss;
    use crate::testing::{Data, auc, data};

    /// The rows of `testing::data(1200)` without the column that lacks values: 800 to learn from, 400 to test on.
    fn rows() -> (Data, Data) {
        let Data { matrix, class, number } = data(1200);
        let matrix = Matrix::new(matrix.columns()[..5].to_vec(), 1200);
        Data { matrix, class, number }.split(800)
    }

    fn learn(train: &Data, params: serde_json::Value) -> (Machine, Fit) {
        let svm: Svm = serde_json::from_value(params).unwrap();
        let context = StageContext::new(Default::default(), Default::default(), 42, Monitor::default().into());
        let (matrix, target) = (&train.matrix, train.class.as_slice());
        let fitting = Fitting { context: &context, matrix, names: &[], target, purpose: "fit" };
        let weights = svm.class_weight.weights(target.len(), fitting.positives());
        (svm.learn(&fitting, matrix, target, weights).unwrap(), svm.fit(&fitting).unwrap())
    }

    // The reference numbers are of scikit-learn 1.6.0: SVC(tol=1e-6) after StandardScaler; the log loss is that of
    // SVC(probability=True, random_state=0), which deals the rows into other folds.

    #[test]
    fn decisions_are_those_of_scikit_learn() {
        let (train, test) = rows();
        for (params, vectors, decisions, (area, loss)) in [
            (
                json!({ "kernel": "rbf", "tol": 1e-4 }),
                545,
                [-0.4897411445726477, -1.3265441605297066, -0.7515304701577508, -1.1105013514184947],
                (0.749358312825805, 0.576238402170632),
            ),
            (
                json!({ "kernel": "poly", "coef0": 1.0, "tol": 1e-4 }),
                506,
                [0.18113459422770384, -1.6621596160950416, -0.9905773855738094, -1.5770670712321628],
                (0.7244582043343654, 0.5934550980257086),
            ),
            (
                json!({ "kernel": "rbf", "C": 10.0, "gamma": 0.05, "class_weight": "balanced", "tol": 1e-4 }),
                568,
                [0.8354130364282804, -1.5938982247282785, 0.36743668300577204, -0.9938393844889464],
                (0.7553121113492631, 0.5693784612115077),
            ),
            (
                json!({ "kernel": "linear", "class_weight": "balanced", "tol": 1e-4 }),
                688,
                [-1.097041098570227, -1.1456511550387762, 1.1328243362407568, 0.5263442862852233],
                (0.6313937180810245, 0.6428372855688744),
            ),
        ] {
            let (machine, fit) = learn(&train, params.clone());
            assert!(machine.converged && fit.warnings.is_empty());
            let found = machine.vectors.decisions(&test.matrix);
            for (found, expected) in found.iter().zip(decisions) {
                assert!((found - expected).abs() < 2e-3, "{params}: {found} is not {expected}");
            }
            assert!(machine.vectors.weights.len().abs_diff(vectors) <= 3, "{}", machine.vectors.weights.len());
            assert!((auc(&found, &test.class) - area).abs() < 1e-3);
            let predicted = fit.predictor.predict(&test.matrix);
            let pairs: Vec<(f64, f64)> = predicted.into_iter().zip(test.class.iter().copied()).collect();
            assert!((log_loss(&pairs).unwrap() - loss).abs() < 0.005, "{params}: {:?}", log_loss(&pairs));
        }
    }

    #[test]
    fn a_linear_machine_becomes_a_weighted_sum_of_columns() {
        let (train, test) = rows();
        let (machine, fit) = learn(&train, json!({ "kernel": "linear", "class_weight": "balanced" }));
        let Predictor::Linear(linear) = &fit.predictor else { panic!("{:?}", fit.predictor) };
        let decisions = machine.vectors.decisions(&test.matrix);
        let log_odds: Vec<f64> = linear.predict(&test.matrix).iter().map(|p| (p / (1.0 - p)).ln()).collect();
        // The log odds are a straight line over the decisions.
        let slope = (log_odds[1] - log_odds[0]) / (decisions[1] - decisions[0]);
        for (odds, decision) in log_odds.iter().zip(&decisions) {
            assert!((odds - log_odds[0] - slope * (decision - decisions[0])).abs() < 1e-9);
        }
        assert_eq!(fit.importance.len(), 5);
    }

    #[test]
    fn too_many_rows_and_too_small_classes_are_refused() {
        let context = StageContext::new(Default::default(), Default::default(), 42, Monitor::default().into());
        let svm: Svm = serde_json::from_value(json!({})).unwrap();
        let refused = |rows: usize, positives: usize| {
            let matrix = Matrix::new(vec![vec![1.0; rows]], rows);
            let target: Vec<f64> = (0..rows).map(|row| f64::from(u8::from(row < positives))).collect();
            let fitting = Fitting { context: &context, matrix: &matrix, names: &[], target: &target, purpose: "fit" };
            svm.fit(&fitting).err().map(|error| error.message)
        };
        assert_eq!(
            refused(10_001, 5).unwrap(),
            "10001 rows are too many: a support vector machine takes at most 10000"
        );
        assert_eq!(refused(10, 1).unwrap(), "each of the two classes needs at least 2 rows");
        assert_eq!(refused(10, 2), None);
    }
}
