use crate::distributions::student_two_sided;
use crate::error::{check, check_count, check_level, check_pairs};
use crate::sample::{Sample, differences, mean};
use crate::{CompareError, Comparison, Interval, Reference, Relative, paired_t};

/// Compares means over several seeds: `baseline[s][u]` and `variant[s][u]` are the values of unit `u` with the seed `s`,
/// the units being the same for every seed.
///
/// The model is that of two crossed random effects: the difference of unit u with seed s is the true one + an effect of
/// the seed + an effect of the unit + the rest. The mean over all then has the variance (M_u + M_s - M_r) / (S n), for
/// S seeds, n units and the mean squares between units, between seeds and of the rest, but not less than M_u or M_s
/// alone give. The interval so is about other seeds and other units, not about those that happened to be used. Its
/// degrees of freedom are Satterthwaite's: near S - 1 where seeds matter most, so with few seeds it is wide.
///
/// With one seed it is the paired t-test, whose interval knows nothing of other seeds; the method says so.
///
/// # Errors
/// No seeds, different numbers of seeds or units, fewer than two units (with more than one seed), a number that is not
/// finite, differences that do not vary but are not 0, a level outside (0, 1).
pub fn over_seeds(baseline: &[&[f64]], variant: &[&[f64]], level: f64) -> Result<Comparison, CompareError> {
    check_level(level)?;
    if baseline.len() != variant.len() {
        return Err(CompareError::Lengths { left: baseline.len(), right: variant.len() });
    }
    check("number of seeds", baseline.len() as f64, !baseline.is_empty(), "at least 1")?;
    if let (&[baseline], &[variant]) = (baseline, variant) {
        return Ok(one_seed(paired_t(baseline, variant, level)?));
    }
    let units = baseline.first().map_or(0, |values| values.len());
    check_count(units, 2)?;
    for (left, right) in baseline.iter().zip(variant) {
        check_pairs(left, right)?;
        if left.len() != units {
            return Err(CompareError::Lengths { left: units, right: left.len() });
        }
    }
    let by_seed: Vec<Vec<f64>> = baseline.iter().zip(variant).map(|(left, right)| differences(left, right)).collect();
    let spread = Crossed::of(&by_seed);
    let value = |sides: &[&[f64]]| mean(&sides.iter().map(|values| mean(values)).collect::<Vec<_>>());
    // The lift needs the variances of both sides, too.
    let owned = |sides: &[&[f64]]| Crossed::of(&sides.iter().map(|values| values.to_vec()).collect::<Vec<_>>());
    let (left, right) = (owned(baseline), owned(variant));
    Seeds {
        method: format!("crossed effects of {} seeds and of the units", by_seed.len()),
        baseline: (value(baseline), left.variance),
        variant: (value(variant), right.variance),
        difference: spread.mean,
        variance: spread.variance,
        freedom: spread.freedom,
        n: units as u64,
    }
    .compare(level)
}

/// Compares over several seeds by what each came to, for measures that are no means over units, such as areas under a
/// curve: one comparison (a difference and its standard error) per seed, all on the same test units.
///
/// The mean difference has the variance between seeds / S + the mean of the squared standard errors: averaging over
/// seeds makes the first smaller, but not the second, as every seed is tested on the same units. What of the rest is in
/// both is counted twice, so the interval is rather too wide than too narrow. The first part has S - 1 degrees of
/// freedom, the second as many as there are units; both together have Satterthwaite's.
///
/// With one seed it is that comparison itself, whose interval knows nothing of other seeds; the method says so.
///
/// # Errors
/// No seeds, a comparison without a standard error, seeds with different numbers of units, differences that do not vary
/// but are not 0, a level outside (0, 1) or that of other comparisons.
pub fn summaries_over_seeds(seeds: &[Comparison], level: f64) -> Result<Comparison, CompareError> {
    check_level(level)?;
    let Some(first) = seeds.first() else {
        return check("number of seeds", 0.0, false, "at least 1").and(Err(CompareError::NoVariance));
    };
    for seed in seeds {
        check("level of a seed", seed.level, (seed.level - level).abs() < 1e-12, "that of the comparison")?;
        if seed.n() != first.n() {
            return Err(CompareError::Lengths { left: first.n() as usize, right: seed.n() as usize });
        }
    }
    if seeds.len() == 1 {
        return Ok(one_seed(first.clone()));
    }
    let errors: Option<Vec<f64>> = seeds.iter().map(|seed| seed.standard_error.map(|error| error * error)).collect();
    let within = mean(&errors.ok_or(CompareError::NoVariance)?);
    let column = |value: fn(&Comparison) -> f64| Sample::of(&seeds.iter().map(value).collect::<Vec<_>>());
    let of = column(|seed| seed.difference);
    let (left, right) = (column(|seed| seed.baseline), column(|seed| seed.variant));
    Seeds {
        method: format!("variance between {} seeds and within them ({})", seeds.len(), first.method),
        // How the variance within is shared between the sides is not known; the halves are what two equal ones have.
        baseline: (left.mean, left.of_mean() + 0.5 * within),
        variant: (right.mean, right.of_mean() + 0.5 * within),
        difference: of.mean,
        variance: of.of_mean() + within,
        freedom: satterthwaite(&[(of.of_mean(), of.n - 1.0), (within, first.n() as f64 - 1.0)]),
        n: first.n(),
    }
    .compare(level)
}

fn one_seed(comparison: Comparison) -> Comparison {
    Comparison { method: format!("{}, one seed: nothing is known of others", comparison.method), ..comparison }
}

/// The degrees of freedom of a sum of variances, each with its own (Satterthwaite 1946).
fn satterthwaite(parts: &[(f64, f64)]) -> f64 {
    let total: f64 = parts.iter().map(|(part, _)| part).sum();
    let terms: f64 = parts
        .iter()
        .filter(|(part, _)| *part > 0.0)
        .map(|(part, freedom)| (part / total).powi(2) / freedom.max(1.0))
        .sum();
    if terms > 0.0 { 1.0 / terms } else { 1.0 }
}

/// A mean over seeds and units with its variance.
struct Crossed {
    mean: f64,
    variance: f64,
    freedom: f64,
}

impl Crossed {
    /// Of at least two seeds with the same number of at least two units.
    fn of(seeds: &[Vec<f64>]) -> Self {
        let units = seeds.first().map_or(0, Vec::len);
        let (s, n) = (seeds.len() as f64, units as f64);
        let of_seeds: Vec<f64> = seeds.iter().map(|values| mean(values)).collect();
        let of_units: Vec<f64> = (0..units)
            .map(|unit| mean(&seeds.iter().filter_map(|values| values.get(unit)).copied().collect::<Vec<_>>()))
            .collect();
        let (by_seed, by_unit) = (Sample::of(&of_seeds), Sample::of(&of_units));
        let rest: f64 = seeds
            .iter()
            .zip(&of_seeds)
            .flat_map(|(values, of_seed)| {
                values.iter().zip(&of_units).map(move |(value, of_unit)| value - of_seed - of_unit + by_seed.mean)
            })
            .map(|rest| rest * rest)
            .sum();
        let rest_freedom = (s - 1.0) * (n - 1.0);
        // As variances of the mean: mean squares divided by S n.
        let (seed_part, unit_part, rest_part) = (by_seed.of_mean(), by_unit.of_mean(), rest / rest_freedom / (s * n));
        let variance = (seed_part + unit_part - rest_part).max(seed_part).max(unit_part);
        let scale = if variance > 0.0 { variance } else { 1.0 };
        let term = |part: f64, freedom: f64| (part / scale).powi(2) / freedom;
        let terms = term(seed_part, s - 1.0) + term(unit_part, n - 1.0) + term(rest_part, rest_freedom);
        let freedom = if terms > 0.0 { (1.0 / terms).max((s - 1.0).min(n - 1.0)) } else { rest_freedom };
        Self { mean: by_seed.mean, variance, freedom }
    }
}

/// What both ways of averaging over seeds come to.
struct Seeds {
    method: String,
    baseline: (f64, f64),
    variant: (f64, f64),
    difference: f64,
    variance: f64,
    freedom: f64,
    n: u64,
}

impl Seeds {
    fn compare(self, level: f64) -> Result<Comparison, CompareError> {
        if self.variance == 0.0 && self.difference != 0.0 {
            return Err(CompareError::NoVariance);
        }
        let reference = Reference::Student(self.freedom);
        let critical = reference.critical(1.0 - level);
        let standard_error = self.variance.sqrt();
        let covariance = 0.5 * (self.baseline.1 + self.variant.1 - self.variance);
        Comparison {
            method: self.method,
            baseline: self.baseline.0,
            variant: self.variant.0,
            difference: self.difference,
            interval: Interval::about(self.difference, critical * standard_error),
            level,
            standard_error: Some(standard_error),
            reference,
            p_value: if self.variance == 0.0 {
                1.0
            } else {
                student_two_sided(self.difference / standard_error, self.freedom)
            },
            relative: Relative::delta(self.baseline, self.variant, covariance, critical),
            paired: true,
            n_baseline: self.n,
            n_variant: self.n,
        }
        .checked()
    }
}
