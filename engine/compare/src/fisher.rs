use statrs::function::gamma::ln_gamma;

use crate::Proportion;

/// Probabilities as close as this to that of the observed table count as equal to it.
const TIE: f64 = 1e-7;

/// The two-sided p-value of Fisher's exact test: the probability, given the numbers of units and of successes in all, of
/// the tables that are no more likely than the observed one.
pub(crate) fn fisher_exact(left: Proportion, right: Proportion) -> f64 {
    let successes = left.successes + right.successes;
    let fewest = successes.saturating_sub(right.n);
    let most = successes.min(left.n);
    let ln_choose =
        |n: u64, k: u64| ln_gamma(n as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0);
    let ln_likelihood = |k: u64| ln_choose(left.n, k) + ln_choose(right.n, successes - k);
    let observed = ln_likelihood(left.successes);
    // The sum of all divides out what the logarithms of factorials have lost.
    let (mut all, mut unlikely) = (0.0, 0.0);
    for k in fewest..=most {
        let relative = (ln_likelihood(k) - observed).exp();
        all += relative;
        if relative <= 1.0 + TIE {
            unlikely += relative;
        }
    }
    // Where the observed table is so unlikely that others overflow beside it.
    if all.is_finite() { (unlikely / all).min(1.0) } else { 0.0 }
}
