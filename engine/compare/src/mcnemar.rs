use statrs::function::gamma::ln_gamma;

use crate::error::check_count;
use crate::error::check_level;
use crate::paired::sides;
use crate::sample::as_numbers;
use crate::{CompareError, Comparison, Interval, Reference};

/// Fewer pairs of different answers than this are few.
const FEW: u64 = 25;

/// Compares the shares of two yes-or-no answers per unit, such as whether each of two models was right.
///
/// Only the pairs that differ tell anything (McNemar 1947): without a difference, each way is as likely. With fewer than
/// 25 of them the p-value is the exact binomial one, which never errs more often than it says; with more it is the
/// mid-p one, which counts what was observed half: Fagerland, Lydersen and Laake (2013) found it to hold its level,
/// where the exact test and the continuity correction reject too rarely. The interval is the adjusted Wald one of
/// Bonett and Price (2012), with one pair added to each side, which covers at every size; the standard error is the
/// plain one, the lift by the delta method.
///
/// # Errors
/// No units, sides of different lengths, a level outside (0, 1).
pub fn mcnemar(baseline: &[bool], variant: &[bool], level: f64) -> Result<Comparison, CompareError> {
    check_level(level)?;
    if baseline.len() != variant.len() {
        return Err(CompareError::Lengths { left: baseline.len(), right: variant.len() });
    }
    check_count(baseline.len(), 1)?;
    let n = baseline.len() as f64;
    let count = |left: bool, right: bool| {
        baseline.iter().zip(variant).filter(|pair| (*pair.0, *pair.1) == (left, right)).count() as u64
    };
    let (lost, won) = (count(true, false), count(false, true));
    let discordant = lost + won;
    let few = discordant < FEW;
    let difference = (won as f64 - lost as f64) / n;
    let reference = Reference::Normal;
    let critical = reference.critical(1.0 - level);

    let variance = |lost: f64, won: f64, n: f64| {
        let difference = (won - lost) / n;
        ((won + lost) / n - difference * difference).max(0.0) / n
    };
    let (lost_plus, won_plus, n_plus) = (lost as f64 + 1.0, won as f64 + 1.0, n + 2.0);
    let half = critical * variance(lost_plus, won_plus, n_plus).sqrt();
    let interval = Interval::about((won_plus - lost_plus) / n_plus, half);

    let (left, right, relative) = sides(&as_numbers(baseline), &as_numbers(variant), critical);
    Comparison {
        method: if few { "McNemar's exact test" } else { "McNemar's mid-p test" }.to_owned(),
        baseline: left,
        variant: right,
        difference,
        interval: Interval { lower: interval.lower.max(-1.0), upper: interval.upper.min(1.0) },
        level,
        standard_error: Some(variance(lost as f64, won as f64, n).sqrt()),
        reference,
        p_value: fair_coin(lost.min(won), discordant, !few),
        relative,
        paired: true,
        n_baseline: baseline.len() as u64,
        n_variant: variant.len() as u64,
    }
    .checked()
}

/// The two-sided p-value of `least` heads among `n` throws of a fair coin, `least` being at most half; `mid` counts the
/// observed number half.
fn fair_coin(least: u64, n: u64, mid: bool) -> f64 {
    let (k, n) = (least as f64, n as f64);
    let observed = (ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0) - n * 2.0_f64.ln()).exp();
    // From the observed number downwards, each probability from the last.
    let (mut term, mut below, mut at) = (observed, 0.0, k);
    while at > 0.0 && term > 0.0 {
        term *= at / (n - at + 1.0);
        below += term;
        at -= 1.0;
        if term < below * f64::EPSILON * 0.01 {
            break;
        }
    }
    let own = if mid { 0.5 * observed } else { observed };
    (2.0 * (below + own)).min(1.0)
}
