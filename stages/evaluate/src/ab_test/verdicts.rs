//! The statistics of every metric and pair of arms.

use stagewright_compare::{
    CompareError, Comparison, Goal, Judgement, Proportion, Ratio, Rule, SampleRatio, adjust, always_valid, cuped,
    judge, ratio_of_sums, sample_ratio, two_proportions, welch_t,
};
use stagewright_contract::StageError;

use super::arms::Test;
use super::{AbTest, Correction, MetricGoal, MetricKind, Pairs, TestMetric};

/// What the test comes to.
pub(super) struct Verdicts {
    /// Whether the arms are as large as planned.
    pub(super) ratio: SampleRatio,
    /// Metric by metric, pair by pair.
    pub(super) results: Vec<Outcome>,
    /// The value of each metric in each arm as measured; `None` where there is none.
    pub(super) values: Vec<Vec<Option<f64>>>,
    /// For each metric, how much of its variance the covariate explains, if it is adjusted for one.
    pub(super) variance_reduction: Vec<Option<f64>>,
}

/// What one metric says of two arms.
pub(super) struct Outcome {
    /// The place of the metric.
    pub(super) metric: usize,
    /// The places of the arm compared with and of the arm.
    pub(super) control: usize,
    pub(super) arm: usize,
    /// The statistics; `None` where there are none, as the judgement says.
    pub(super) comparison: Option<Comparison>,
    pub(super) p_adjusted: Option<f64>,
    pub(super) judgement: Judgement,
}

/// The values of a metric's units, arm by arm.
enum Measured {
    Shares(Vec<Proportion>),
    Means { measured: Vec<Vec<f64>>, adjusted: Option<Vec<Vec<f64>>> },
    Ratios(Vec<(Vec<f64>, Vec<f64>)>),
}

impl Verdicts {
    /// Compares, corrects and judges.
    pub(super) fn of(stage: &AbTest, test: &Test) -> Result<Self, StageError> {
        let counts: Vec<u64> = test.arms.iter().map(super::arms::Arm::len).collect();
        let ratio = sample_ratio(&counts, &test.shares).map_err(|error| StageError::data(error.to_string()))?;
        let mut tried = Vec::new();
        let (mut values, mut variance_reduction) = (Vec::new(), Vec::new());
        for (index, metric) in stage.metrics.iter().enumerate() {
            let (measured, reduction) = measure(stage, test, metric)?;
            values.push((0..test.arms.len()).map(|arm| measured.value(arm)).collect());
            variance_reduction.push(reduction);
            for (control, arm) in pairs(stage.pairs, test) {
                let compared = measured.compare(control, arm, stage.level);
                tried.push((index, control, arm, compared.and_then(|fixed| stage.at_any_look(test, fixed))));
            }
        }

        let p_values: Vec<f64> =
            tried.iter().filter_map(|(.., compared)| compared.as_ref().ok()).map(|found| found.p_value).collect();
        let bug = |error: CompareError| StageError::bug(error.to_string());
        let mut adjusted = adjust(&p_values, stage.correction()).map_err(bug)?.into_iter();
        let tests = if stage.correction == Correction::Holm { p_values.len().max(1) as u64 } else { 1 };
        let rule = Rule { level: stage.level, minimum_effect: stage.minimum_effect, power: 0.8, tests };
        let mut results = Vec::with_capacity(tried.len());
        for (metric, control, arm, compared) in tried {
            let (comparison, p_adjusted, judgement) = match compared {
                Ok(found) => {
                    let p_adjusted = adjusted.next().unwrap_or(1.0);
                    let judgement = if ratio.mismatch {
                        Judgement::invalid(mismatch(&ratio))
                    } else {
                        let goal = stage.metrics.get(metric).map_or(Goal::Maximize, TestMetric::direction);
                        judge(&found, p_adjusted, goal, rule).map_err(bug)?
                    };
                    (Some(found), Some(p_adjusted), judgement)
                }
                Err(error) => (None, None, Judgement::invalid(error.to_string())),
            };
            results.push(Outcome { metric, control, arm, comparison, p_adjusted, judgement });
        }
        Ok(Self { ratio, results, values, variance_reduction })
    }
}

/// Why a mismatch makes everything invalid.
fn mismatch(ratio: &SampleRatio) -> String {
    format!(
        "sample-ratio mismatch: the arms are not as large as was planned (chi-square test, p = {:.1e}), so something \
         other than chance put units into them",
        ratio.p_value
    )
}

/// The pairs (control, arm) that are compared: those with the control first.
fn pairs(pairs: Pairs, test: &Test) -> Vec<(usize, usize)> {
    let others = || (0..test.arms.len()).filter(|arm| *arm != test.control);
    let with_control = others().map(|arm| (test.control, arm));
    let between = others().flat_map(|left| others().filter(move |right| left < *right).map(move |right| (left, right)));
    match pairs {
        Pairs::Control => with_control.collect(),
        Pairs::All => with_control.chain(between).collect(),
    }
}

/// Reads a metric of all arms, and how much of its variance the covariate explains.
fn measure(stage: &AbTest, test: &Test, metric: &TestMetric) -> Result<(Measured, Option<f64>), StageError> {
    let column = |name: &str| -> Vec<Vec<f64>> { test.arms.iter().map(|arm| test.of_arm(arm, name)).collect() };
    let measured = column(&metric.column);
    Ok(match metric.kind {
        MetricKind::Proportion => {
            let share = |values: Vec<f64>| Proportion {
                successes: values.iter().filter(|value| **value > 0.0).count() as u64,
                n: values.len() as u64,
            };
            (Measured::Shares(measured.into_iter().map(share).collect()), None)
        }
        MetricKind::Ratio => {
            let denominators = column(metric.denominator.as_deref().unwrap_or_default());
            (Measured::Ratios(measured.into_iter().zip(denominators).collect()), None)
        }
        MetricKind::Mean => {
            let Some(covariate) = &stage.covariate else {
                return Ok((Measured::Means { measured, adjusted: None }, None));
            };
            let before: Vec<Vec<f64>> = test.arms.iter().map(|arm| test.covariate(arm, covariate)).collect();
            let arms: Vec<(&[f64], &[f64])> =
                measured.iter().zip(&before).map(|(after, before)| (after.as_slice(), before.as_slice())).collect();
            let found = cuped(&arms).map_err(|error| {
                StageError::data(format!("`{}` cannot be adjusted for `{covariate}`: {error}", metric.column))
            })?;
            (Measured::Means { measured, adjusted: Some(found.adjusted) }, Some(found.variance_reduction))
        }
    })
}

impl Measured {
    /// The value in an arm, unadjusted.
    fn value(&self, arm: usize) -> Option<f64> {
        let quotient = |above: f64, below: f64| (below != 0.0).then(|| above / below).filter(|value| value.is_finite());
        match self {
            Self::Shares(arms) => arms.get(arm).and_then(|share| quotient(share.successes as f64, share.n as f64)),
            Self::Means { measured, .. } => {
                measured.get(arm).and_then(|values| quotient(values.iter().sum(), values.len() as f64))
            }
            Self::Ratios(arms) => {
                arms.get(arm).and_then(|(above, below)| quotient(above.iter().sum(), below.iter().sum()))
            }
        }
    }

    /// The comparison of two arms for a fixed number of units.
    fn compare(&self, control: usize, arm: usize, level: f64) -> Result<Comparison, CompareError> {
        // Places of arms are in range.
        let nobody = CompareError::TooFew { needed: 1, given: 0 };
        match self {
            Self::Shares(arms) => match (arms.get(control), arms.get(arm)) {
                (Some(control), Some(arm)) => two_proportions(*control, *arm, level),
                _ => Err(nobody),
            },
            Self::Means { measured, adjusted } => {
                let arms = adjusted.as_ref().unwrap_or(measured);
                let (Some(control), Some(arm)) = (arms.get(control), arms.get(arm)) else { return Err(nobody) };
                let found = welch_t(control, arm, level)?;
                let method = if adjusted.is_some() { "Welch's t-test after CUPED".to_owned() } else { found.method };
                Ok(Comparison { method, ..found })
            }
            Self::Ratios(arms) => {
                let (Some(control), Some(arm)) = (arms.get(control), arms.get(arm)) else { return Err(nobody) };
                let (control, arm) = (
                    Ratio { numerator: &control.0, denominator: &control.1 },
                    Ratio { numerator: &arm.0, denominator: &arm.1 },
                );
                ratio_of_sums(control, arm, level)
            }
        }
    }
}

impl AbTest {
    /// The comparison as it may be read before the test has ended, if it may be. Of the planned units, two arms have the
    /// share that they have of the units so far.
    fn at_any_look(&self, test: &Test, fixed: Comparison) -> Result<Comparison, CompareError> {
        let Some(planned) = self.peeking else { return Ok(fixed) };
        let of_both = planned as f64 * fixed.n() as f64 / test.units.max(1) as f64;
        always_valid(&fixed, (of_both.round() as u64).max(1))
    }
}

impl TestMetric {
    fn direction(&self) -> Goal {
        match self.goal {
            MetricGoal::Maximize => Goal::Maximize,
            MetricGoal::Minimize => Goal::Minimize,
        }
    }
}
