use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::{IndexedParallelIterator, ParallelIterator, ParallelSliceMut};

use crate::distributions::{normal_below, normal_quantile};
use crate::error::{check, check_count, check_level, check_pairs};
use crate::paired::{all_equal, differing, sides};
use crate::sample::{Sample, differences};
use crate::{CompareError, Comparison, Interval, Reference, paired_t};

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// How often.
    pub resamples: u32,
    /// The seed; the same one gives the same result on any number of threads.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 9_999, seed: 0 }
    }
}

/// Fewer units that differ are too few to resample.
const FEW: usize = 100;

/// The resamples that share a stream of random numbers.
const CHUNK: usize = 64;

/// Compares the means of two values per unit by the paired bootstrap: units are drawn with replacement, and the interval
/// of the mean difference is the bias-corrected and accelerated one (BCa; Efron 1987), which follows the skewness that
/// the t-test ignores. The acceleration is that of the jackknife, for a mean the sixth of the sum of cubes over the sum
/// of squares to the power of 3/2. The p-value is the smallest level at which the interval leaves 0 out, at least
/// 2 / (resamples + 1), so that the two never contradict each other. The standard error is that of the mean, the lift
/// as in [`paired_t`](crate::paired_t), as is what happens where all differences are equal.
///
/// With few units that differ the interval is too narrow: of true hypotheses it rejects 9 % at the level of 5 % with 25 of
/// 250 units that differ, 7 % with 50, where the t-test holds its level. With fewer than 100 the result is that of the
/// t-test, therefore, and the method says so.
///
/// It takes units × resamples steps: a second or so for 100,000 units and 9,999 resamples on two cores.
///
/// # Errors
/// As of `paired_t`; fewer than 99 resamples; more than 2^32 units.
pub fn paired_bootstrap(
    baseline: &[f64],
    variant: &[f64],
    level: f64,
    how: Bootstrap,
) -> Result<Comparison, CompareError> {
    check_level(level)?;
    check_pairs(baseline, variant)?;
    check_count(baseline.len(), 1)?;
    check("number of resamples", f64::from(how.resamples), how.resamples >= 99, "at least 99")?;
    let n = baseline.len();
    check("number of units", n as f64, u32::try_from(n).is_ok(), "below 2^32")?;
    let differences = differences(baseline, variant);
    let sample = Sample::of(&differences);
    if sample.variance == 0.0 {
        return all_equal(baseline, variant, sample.mean, level);
    }
    if differing(&differences) < FEW {
        let method = format!("paired t-test (fewer than {FEW} units differ, too few for the bootstrap)");
        return Ok(Comparison { method, ..paired_t(baseline, variant, level)? });
    }
    let centered: Vec<f64> = differences.iter().map(|difference| difference - sample.mean).collect();
    let squares: f64 = centered.iter().map(|value| value * value).sum();
    let cubes: f64 = centered.iter().map(|value| value * value * value).sum();
    let bca = Bca {
        means: resampled_means(&centered, how),
        acceleration: cubes / (6.0 * squares * squares.sqrt()),
        rounding: 1e-9 * sample.of_mean().sqrt(),
    };
    let bias = bca.bias();
    let end = |tail: f64| {
        let end = sample.mean + bca.end(bias, tail);
        if end.abs() <= bca.rounding { 0.0 } else { end }
    };
    let alpha = 1.0 - level;
    let reference = Reference::Normal;
    let (baseline, variant, relative) = sides(baseline, variant, reference.critical(alpha));
    Comparison {
        method: format!("paired bootstrap (BCa, {} resamples)", how.resamples),
        baseline,
        variant,
        difference: sample.mean,
        interval: Interval { lower: end(0.5 * alpha), upper: end(1.0 - 0.5 * alpha) },
        level,
        standard_error: Some(sample.of_mean().sqrt()),
        reference,
        p_value: bca.p_value(bias, -sample.mean),
        relative,
        paired: true,
        n_baseline: n as u64,
        n_variant: n as u64,
    }
    .checked()
}

/// The means of resamples of the values, ascending.
fn resampled_means(values: &[f64], how: Bootstrap) -> Vec<f64> {
    let n = values.len() as u64;
    let mut means = vec![0.0; how.resamples as usize];
    // Streams that are 2^128 numbers apart never meet.
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(how.seed);
    let mut streams = Vec::with_capacity(means.len().div_ceil(CHUNK));
    for _ in 0..means.len().div_ceil(CHUNK) {
        streams.push(rng.clone());
        rng.jump();
    }
    means.par_chunks_mut(CHUNK).zip(streams).for_each(|(means, mut rng)| {
        for mean in means {
            *mean = resampled_sum(values, n, &mut rng) / n as f64;
        }
    });
    means.sort_unstable_by(f64::total_cmp);
    means
}

/// The sum of as many values as there are, drawn with replacement. A draw of 64 bits serves for two: the product of 32
/// bits and n, divided by 2^32, is even over the n values but for n / 2^32.
fn resampled_sum(values: &[f64], n: u64, rng: &mut Xoshiro256PlusPlus) -> f64 {
    let value = |bits: u64| values.get(((bits * n) >> 32) as usize).copied().unwrap_or(0.0);
    let (mut even, mut odd) = (0.0, 0.0);
    for _ in 0..values.len() / 2 {
        let bits = rng.next_u64();
        even += value(bits >> 32);
        odd += value(bits & 0xffff_ffff);
    }
    if values.len() % 2 == 1 {
        even += value(rng.next_u64() >> 32);
    }
    even + odd
}

/// What the interval is read from. Means are relative to that of the sample.
struct Bca {
    means: Vec<f64>,
    acceleration: f64,
    /// Means closer than this differ by rounding alone. Where most units do not differ, many resamples have the same
    /// mean, and whether that lies on this side of 0 or on the other decides everything.
    rounding: f64,
}

impl Bca {
    /// The share of means below a value, equal ones counted half; never 0 or 1.
    fn share_below(&self, value: f64) -> f64 {
        let below = self.means.partition_point(|mean| *mean < value - self.rounding);
        let up_to = self.means.partition_point(|mean| *mean <= value + self.rounding);
        let (count, resamples) = (0.5 * (below + up_to) as f64, self.means.len() as f64);
        (count / resamples).clamp(1.0 / (resamples + 1.0), resamples / (resamples + 1.0))
    }

    /// The correction of the bias: how far the sample's mean is from the median of the means, in normal terms.
    fn bias(&self) -> f64 {
        normal_quantile(self.share_below(0.0))
    }

    /// The end of the interval that leaves the probability `tail` below it.
    fn end(&self, bias: f64, tail: f64) -> f64 {
        let z = bias + normal_quantile(tail);
        let adjusted = normal_below(bias + accelerated(z, self.acceleration));
        let place = adjusted * (self.means.len() - 1) as f64;
        let at = |index: f64| self.means.get(index as usize).or(self.means.last()).copied().unwrap_or(0.0);
        let (low, high) = (at(place.floor()), at(place.ceil()));
        low + (high - low) * (place - place.floor())
    }

    /// Twice the tail at which the end of the interval is at `value`: `end` solved for the tail.
    fn p_value(&self, bias: f64, value: f64) -> f64 {
        let w = normal_quantile(self.share_below(value)) - bias;
        let z = accelerated(w, -self.acceleration) - bias;
        let tail = normal_below(z);
        let resamples = self.means.len() as f64;
        (2.0 * tail.min(1.0 - tail)).max(2.0 / (resamples + 1.0))
    }
}

/// z / (1 - a z), and its limit where the acceleration takes it beyond all bounds.
fn accelerated(z: f64, acceleration: f64) -> f64 {
    let slowing = 1.0 - acceleration * z;
    if slowing > 0.0 { z / slowing } else { f64::INFINITY.copysign(z) }
}
