//! The two-sample statistic of Kolmogorov and Smirnov, and how likely it is by chance.

use std::f64::consts::PI;

use statrs::function::gamma::ln_gamma;

/// Up to this size a sum over the sample is exact enough, and beyond it its limit is.
const SUMMED: f64 = 100_000.0;

/// The largest distance between the shares of two samples, both ascending, at or below any value; `None` unless there
/// are values in both. Counted in integers, so exact.
pub(super) fn statistic(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mut i, mut j) = (0_usize, 0_usize);
    let mut largest = 0_u128;
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        let value = x.min(*y);
        i += a.iter().skip(i).take_while(|x| **x == value).count();
        j += b.iter().skip(j).take_while(|y| **y == value).count();
        let (left, right) = (i as u128 * b.len() as u128, j as u128 * a.len() as u128);
        largest = largest.max(left.abs_diff(right));
    }
    let product = a.len() as u128 * b.len() as u128;
    (product > 0).then(|| largest as f64 / product as f64)
}

/// The probability of at least this statistic between samples of these sizes from one distribution: that of one sample
/// of n m / (n + m) values against the distribution itself, as in scipy's `ks_2samp(method="asymp")`.
pub(super) fn p_value(statistic: f64, sizes: (usize, usize)) -> f64 {
    let (a, b) = (sizes.0 as f64, sizes.1 as f64);
    let n = (a * b / (a + b)).round_ties_even();
    if statistic >= 1.0 || n < 1.0 {
        return if statistic >= 1.0 { 0.0 } else { 1.0 };
    }
    if n * statistic <= 0.5 {
        return 1.0;
    }
    let p = if n * statistic * statistic >= 2.2 || statistic >= 0.5 {
        // That far out, being that far above and that far below exclude each other.
        2.0 * one_sided(n, statistic)
    } else {
        1.0 - pelz_good(n, statistic)
    };
    p.clamp(0.0, 1.0)
}

/// The probability that the sample's share exceeds the distribution's by at least `x` anywhere (Smirnov 1944).
fn one_sided(n: f64, x: f64) -> f64 {
    if n > SUMMED {
        // Its limit with the first correction: of a probability of 1e-54 it is within a third of a percent.
        let inner = 6.0 * n * x + 1.0;
        return (-inner * inner / (18.0 * n)).exp();
    }
    let most = (n * (1.0 - x)).floor();
    let ln_of_all = ln_gamma(n + 1.0);
    let mut sum = 0.0;
    let mut j = 0.0;
    while j <= most {
        let below = x + j / n;
        let above = 1.0 - below;
        if above > 0.0 {
            let ln_choose = ln_of_all - ln_gamma(j + 1.0) - ln_gamma(n - j + 1.0);
            sum += (ln_choose + (j - 1.0) * below.ln() + (n - j) * above.ln()).exp();
        }
        j += 1.0;
    }
    x * sum
}

/// The probability that the largest distance between a sample of `n` and its distribution is at most `x`: Kolmogorov's
/// limit and its first three corrections in powers of 1/√n (Pelz and Good 1976).
fn pelz_good(n: f64, x: f64) -> f64 {
    let z = n.sqrt() * x;
    let (z2, pi2) = (z * z, PI * PI);
    let (z4, z6) = (z2 * z2, z2 * z2 * z2);
    let (pi4, pi6) = (pi2 * pi2, pi2 * pi2 * pi2);
    let terms = (16.0 * z / PI).ceil().clamp(1.0, 1000.0) as u32;
    let mut sums = [0.0; 4];
    let (mut more2, mut more3) = (0.0, 0.0);
    // The small terms first.
    for k in (1..=terms).rev().map(f64::from) {
        let m = 2.0 * k - 1.0;
        let (m2, m4, m6) = (m * m, m.powi(4), m.powi(6));
        let weight = (-m2 * pi2 / (8.0 * z2)).exp();
        let polynomials = [
            1.0,
            pi2 / 4.0 * m2 - z2,
            6.0 * z6 + 2.0 * z4 + (2.0 * z4 - 5.0 * z2) * pi2 / 4.0 * m2 + pi4 * (1.0 - 2.0 * z2) / 16.0 * m4,
            pi6 * (5.0 - 30.0 * z2) / 64.0 * m6
                + pi4 * (212.0 * z4 - 60.0 * z2) / 16.0 * m4
                + pi2 * (135.0 * z4 - 96.0 * z6) / 4.0 * m2
                - 30.0 * z6
                - 90.0 * z4 * z4,
        ];
        sums.iter_mut().zip(polynomials).for_each(|(sum, polynomial)| *sum += polynomial * weight);
        let even = k * k * (-k * k * pi2 / (2.0 * z2)).exp();
        more2 += even;
        more3 += (3.0 * z2 - pi2 * k * k) * even;
    }
    let [k0, k1, k2, k3] = sums;
    let root = (2.0 * PI).sqrt();
    let k0 = root / z * k0;
    let k1 = root / (6.0 * z4) * k1;
    let k2 = root / (72.0 * z6 * z) * k2 - pi2 * root / (36.0 * z2 * z) * more2;
    let k3 = root / (6480.0 * z6 * z4) * k3 + pi2 * root / (216.0 * z6) * more3;
    k0 + k1 / n.sqrt() + k2 / n + k3 / n.powf(1.5)
}

#[cfg(test)]
mod tests {
    use super::{p_value, statistic};

    #[test]
    fn statistics_are_the_largest_distance_of_shares() {
        assert_eq!(statistic(&[1.0, 2.0, 3.0], &[2.0, 2.5, 4.0, 5.0]), Some(0.5));
        assert_eq!(statistic(&[1.0, 1.0], &[1.0]), Some(0.0));
        assert_eq!(statistic(&[1.0], &[2.0]), Some(1.0));
        assert_eq!(statistic(&[], &[2.0]), None);
    }

    #[test]
    fn probabilities_are_those_of_scipy() {
        // scipy.stats.distributions.kstwo.sf(d, round(n m / (n + m))).
        for (d, sizes, expected, tolerance) in [
            (0.047, (400, 250), 0.8695317757287737, 1e-9),
            (0.3883333333333333, (400, 60), 1.4297335375987734e-07, 1e-9),
            (0.02, (20000, 20000), 0.0006616848639387309, 1e-9),
            (0.005, (60000, 50000), 0.5013208575758898, 1e-6),
            (0.002, (2000000, 900000), 0.013930023694148745, 1e-5),
            (0.01, (2000000, 900000), 2.423859241752772e-54, 5e-3),
            (0.1, (300, 400), 0.06100028140888458, 1e-6),
            (0.2, (60, 60), 0.15796916101547398, 1e-3),
            (0.3, (20, 30), 0.18735709092941788, 2e-3),
            (0.6, (12, 9), 0.03008000000000001, 1e-9),
            (0.9, (12, 9), 1.9999999999999978e-05, 1e-9),
        ] {
            let p: f64 = p_value(d, sizes);
            assert!((p / expected - 1.0).abs() < tolerance, "{d} {sizes:?}: {p}, not {expected}");
        }
        assert_eq!((p_value(0.0, (5, 5)), p_value(1.0, (5, 5))), (1.0, 0.0));
    }
}
