//! The tails of distributions: how often chance alone gives a statistic at least as large.

use statrs::function::beta::checked_beta_reg;
use statrs::function::gamma::checked_gamma_ur;

/// That a correlation of `r` over `pairs` pairs of unrelated numbers comes about by chance, either way: Student's t
/// with `pairs - 2` degrees of freedom, as `scipy.stats.pearsonr`. `None` below three pairs.
pub(crate) fn correlation(r: f64, pairs: usize) -> Option<f64> {
    if pairs < 3 {
        return None;
    }
    // With t² = r² (n - 2) / (1 - r²), the argument dof / (dof + t²) of the incomplete beta function is 1 - r².
    let dof = (pairs - 2) as f64;
    probability(checked_beta_reg(dof / 2.0, 0.5, ((1.0 - r) * (1.0 + r)).clamp(0.0, 1.0)).ok())
}

/// That an F statistic with these degrees of freedom comes out at least as large, given the share of the variation that
/// lies within the groups: `d2 / (d2 + d1 F)`.
pub(crate) fn f(within_share: f64, d1: f64, d2: f64) -> Option<f64> {
    probability(checked_beta_reg(d2 / 2.0, d1 / 2.0, within_share.clamp(0.0, 1.0)).ok())
}

/// That a chi-square statistic with `dof` degrees of freedom comes out at least as large.
pub(crate) fn chi_square(statistic: f64, dof: f64) -> Option<f64> {
    if statistic <= 0.0 {
        return Some(1.0);
    }
    probability(checked_gamma_ur(dof / 2.0, statistic / 2.0).ok())
}

fn probability(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite()).map(|value| value.clamp(0.0, 1.0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn close(found: Option<f64>, expected: f64, tolerance: f64) {
        let found = found.unwrap();
        assert!((found / expected - 1.0).abs() < tolerance, "{found:e} {expected:e}");
    }

    #[test]
    fn correlations_are_tested_as_by_scipy() {
        // r, n = …; t = r * np.sqrt((n - 2) / (1 - r * r)); 2 * scipy.stats.t.sf(abs(t), n - 2)
        close(correlation(0.5, 3), 0.6666666666666667, 1e-11);
        close(correlation(0.5, 10), 0.14111328125000003, 1e-11);
        close(correlation(-0.2, 50), 0.1637530812454175, 1e-11);
        close(correlation(0.9, 12), 6.644441406249992e-05, 1e-11);
        close(correlation(0.003, 1_000_000), 0.0026997694720866158, 1e-6);
        close(correlation(0.01, 1_000_000), 1.520319803992719e-23, 1e-6);
        close(correlation(-0.03, 1_000_000), 8.020752173457725e-198, 1e-6);
        close(correlation(0.001, 100_000_000), 1.5239340559022336e-23, 1e-6);
        assert_eq!(correlation(0.9, 2), None);
        assert_eq!(correlation(1.0, 3), Some(0.0));
        assert_eq!(correlation(0.0, 3), Some(1.0));
    }

    #[test]
    fn f_is_that_of_scipy() {
        // scipy.stats.f.sf(x, d1, d2), with d2 / (d2 + d1 * x) as the first argument
        close(f(10.0 / (10.0 + 2.0 * 1.5), 2.0, 10.0), 0.2693290743429045, 1e-11);
        close(f(40.0 / (40.0 + 3.0 * 4.0), 3.0, 40.0), 0.013958694505081396, 1e-11);
        close(f(200.0 / (200.0 + 1.0 * 30.0), 1.0, 200.0), 1.2884990064300839e-07, 1e-11);
        close(f(1000000.0 / (1000000.0 + 5.0 * 1.2), 5.0, 1000000.0), 0.3062197941458792, 1e-6);
        close(f(1000000.0 / (1000000.0 + 24.0 * 3.7), 24.0, 1000000.0), 2.277949766675833e-09, 1e-6);
        close(f(50.0 / (50.0 + 2.0 * 0.1), 2.0, 50.0), 0.9050179223845763, 1e-11);
        assert_eq!(f(0.0, 2.0, 5.0), Some(0.0));
        assert_eq!(f(1.0, 2.0, 5.0), Some(1.0));
    }

    #[test]
    fn chi_square_is_that_of_scipy() {
        // scipy.stats.chi2.sf(x, dof)
        close(chi_square(3.2, 1.0), 0.07363827012030258, 1e-9);
        close(chi_square(10.0, 4.0), 0.04042768199451279, 1e-9);
        close(chi_square(0.5, 4.0), 0.9735009788392561, 1e-9);
        close(chi_square(120.0, 80.0), 0.0025481923036133444, 1e-9);
        close(chi_square(1500.0, 1200.0), 6.341071285724709e-09, 1e-9);
        close(chi_square(700.0, 1.0), 2.990226975124623e-154, 1e-9);
        close(chi_square(20100.0, 20000.0), 0.3076575592974344, 1e-9);
        assert_eq!(chi_square(0.0, 3.0), Some(1.0));
        assert_eq!(chi_square(1e9, 3.0), Some(0.0));
    }
}
