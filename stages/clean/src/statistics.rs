//! Statistics that stay right for numbers near the largest that there are, and do not depend on the number of threads.

/// The arithmetic mean; none of nothing.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    let number = values.len() as f64;
    let sum: f64 = values.iter().sum();
    match values {
        [] => None,
        _ if sum.is_finite() => Some(sum / number),
        _ => Some(values.iter().map(|value| value / number).sum()),
    }
}

/// The population standard deviation, of finite numbers; none of nothing.
pub(crate) fn deviation(values: &[f64]) -> Option<f64> {
    let scale = values.iter().fold(0.0, |scale: f64, value| scale.max(value.abs()));
    if scale == 0.0 {
        return values.first().map(|_| 0.0);
    }
    let scaled: Vec<f64> = values.iter().map(|value| value / scale).collect();
    let center = mean(&scaled)?;
    let squares: Vec<f64> = scaled.iter().map(|value| (value - center).powi(2)).collect();
    Some(mean(&squares)?.sqrt() * scale)
}

/// The quantile at `q` (0 to 1) of ascending numbers with linear interpolation between neighbours, which is numpy's
/// default (definition 7 of Hyndman and Fan, 1996); none of nothing.
pub(crate) fn quantile(ascending: &[f64], q: f64) -> Option<f64> {
    let position = q * ascending.len().checked_sub(1)? as f64;
    let (low, part) = (position.floor(), position.fract());
    let low_value = *ascending.get(low as usize)?;
    let high_value = *ascending.get(position.ceil() as usize)?;
    if low_value == high_value {
        return Some(low_value);
    }
    let step = high_value - low_value;
    if !step.is_finite() {
        return Some(low_value * (1.0 - part) + high_value * part);
    }
    // As numpy: from the nearer end, so that the result never passes the other.
    Some(if part < 0.5 { low_value + step * part } else { high_value - step * (1.0 - part) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    // Expected values: numpy.mean, numpy.std, numpy.quantile of [1, 2, 4, 8, 16].
    #[test]
    fn agrees_with_numpy() {
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        assert_eq!(mean(&values), Some(6.2));
        assert!((deviation(&values).unwrap() - 5.455_272_678_794_342).abs() < 1e-12);
        assert_eq!(quantile(&values, 0.25), Some(2.0));
        assert_eq!(quantile(&values, 0.5), Some(4.0));
        assert_eq!(quantile(&values, 0.9), Some(12.8));
        assert_eq!(quantile(&values, 0.1), Some(1.4));
        assert_eq!(quantile(&values, 1.0), Some(16.0));
    }

    #[test]
    fn stays_finite_and_defined() {
        assert_eq!((mean(&[]), deviation(&[]), quantile(&[], 0.5)), (None, None, None));
        assert_eq!((mean(&[7.0]), deviation(&[7.0]), quantile(&[7.0], 0.3)), (Some(7.0), Some(0.0), Some(7.0)));
        assert_eq!(mean(&[1.5e308, 1.5e308]), Some(1.5e308));
        assert_eq!(deviation(&[-1e308, 1e308]), Some(1e308));
        assert_eq!(quantile(&[-1.5e308, 1.5e308], 0.5), Some(0.0));
        assert_eq!(deviation(&[0.0, 0.0]), Some(0.0));
    }
}
