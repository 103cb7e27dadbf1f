//! Tails and quantiles of the normal, Student's and the chi-square distribution.

use std::f64::consts::SQRT_2;

use statrs::function::beta::checked_beta_reg;
use statrs::function::erf::{erfc, erfc_inv};
use statrs::function::gamma::checked_gamma_ur;

/// The probability of a standard normal value below `z`.
pub(crate) fn normal_below(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// The standard normal value with this probability below it; the probability must not be 0 or 1.
pub(crate) fn normal_quantile(probability: f64) -> f64 {
    -SQRT_2 * erfc_inv(2.0 * probability)
}

/// The probability of a standard normal value at least as far from 0 as `z`.
pub(crate) fn normal_two_sided(z: f64) -> f64 {
    erfc(z.abs() / SQRT_2)
}

/// The probability of a value at least as far from 0 as `t`, by Student's distribution.
pub(crate) fn student_two_sided(t: f64, freedom: f64) -> f64 {
    let t = t.abs();
    if freedom > 200.0 {
        return normal_two_sided(as_normal(t, freedom));
    }
    // The arguments are in range, so this does not fail.
    checked_beta_reg(0.5 * freedom, 0.5, freedom / (freedom + t * t)).unwrap_or(1.0).clamp(0.0, 1.0)
}

/// The normal value that is as far out as `t` (Hill 1970, algorithm 395): right to eleven digits from some twenty
/// degrees of freedom on, where quotients of gamma functions begin to lose theirs.
fn as_normal(t: f64, freedom: f64) -> f64 {
    let a = freedom - 0.5;
    let b = 48.0 * a * a;
    let y = a * (t * t / freedom).ln_1p();
    let series = (((-0.4 * y - 3.3) * y - 24.0) * y - 85.5) / (0.8 * y * y + 100.0 + b) + y + 3.0;
    (series / b + 1.0) * y.sqrt()
}

/// The value that Student's distribution exceeds in absolute size with the probability `alpha`, above 0 and below 1.
pub(crate) fn student_critical(alpha: f64, freedom: f64) -> f64 {
    let mut low = normal_quantile(1.0 - 0.5 * alpha);
    let mut high = 2.0 * low + 1.0;
    // Tails are heavier than the normal one, so the value is above `low`. That of one degree of freedom is about 1 /
    // alpha, and doubling gets there soon.
    while student_two_sided(high, freedom) > alpha && high < 1e300 {
        low = high;
        high *= 2.0;
    }
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if student_two_sided(middle, freedom) > alpha {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The probability of a chi-square value of at least `value`.
pub(crate) fn chi_square_above(value: f64, freedom: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    checked_gamma_ur(0.5 * freedom, 0.5 * value).unwrap_or(0.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::{chi_square_above, normal_quantile, student_critical, student_two_sided};

    #[test]
    fn tails_are_those_of_scipy() {
        // 2 * scipy.stats.t.sf(t, df)
        for (t, freedom, expected) in [
            (2.0, 1.0, 0.2951672353008664),
            (2.5, 3.7, 0.07182202291182675),
            (1.96, 199.0, 0.05139183390416014),
            (1.96, 201.0, 0.05137791749474184),
            (3.3, 1000.0, 0.0010009967250020878),
            (2.1, 100000.0, 0.03573133963229679),
            (0.01, 500.0, 0.9920252759930329),
            (12.0, 60.0, 1.3786322641817707e-17),
            (0.0, 3.0, 1.0),
        ] {
            let found = student_two_sided(t, freedom);
            assert!((found / expected - 1.0).abs() < 1e-8, "t = {t}, df = {freedom}: {found}");
        }
        // scipy.stats.chi2.sf(19.19, 2), (0.1, 1), (0, 1)
        assert!((chi_square_above(19.19, 2.0) - 6.806815e-5).abs() < 1e-10);
        assert!((chi_square_above(0.1, 1.0) - 0.7518296340458492).abs() < 1e-12);
        assert_eq!(chi_square_above(0.0, 1.0), 1.0);
    }

    #[test]
    fn critical_values_are_those_of_scipy() {
        // scipy.stats.t.isf(alpha / 2, df)
        for (alpha, freedom, expected) in [
            (0.05, 1.0, 12.706204736432102),
            (0.01, 2.5, 7.163728138948777),
            (0.05, 30.0, 2.042272456301238),
            (0.05, 250.0, 1.9694983934204007),
            (1e-4, 7.0, 7.884584262416643),
            (0.2, 1e6, 1.2815524121299384),
        ] {
            let found: f64 = student_critical(alpha, freedom);
            assert!((found - expected).abs() < 1e-8, "alpha = {alpha}, df = {freedom}: {found}");
        }
        assert!((normal_quantile(0.975) - 1.959963984540054).abs() < 1e-12);
    }
}
