//! Means, variances and covariances.

/// What a sample comes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// The number of values.
    pub(crate) n: f64,
    /// Their mean.
    pub(crate) mean: f64,
    /// Their variance, by `n - 1`; 0 for a single value.
    pub(crate) variance: f64,
}

impl Sample {
    /// Of at least one value.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mean = mean(values);
        Self { n: values.len() as f64, mean, variance: covariance(values, values, mean, mean) }
    }

    /// The variance of the mean.
    pub(crate) fn of_mean(&self) -> f64 {
        self.variance / self.n
    }
}

/// The mean of at least one value. It lies between them, whatever the rounding.
pub(crate) fn mean(values: &[f64]) -> f64 {
    let first = values.first().copied().unwrap_or(0.0);
    // Differences from the first value are 0 where all are equal, and so is the variance then.
    first + values.iter().map(|value| value - first).sum::<f64>() / values.len() as f64
}

/// The covariance about these means, by `n - 1`; 0 for a single pair.
pub(crate) fn covariance(left: &[f64], right: &[f64], left_mean: f64, right_mean: f64) -> f64 {
    let products = left.iter().zip(right).map(|(left, right)| (left - left_mean) * (right - right_mean));
    products.sum::<f64>() / (left.len().max(2) - 1) as f64
}

/// `right - left`, pair by pair.
pub(crate) fn differences(left: &[f64], right: &[f64]) -> Vec<f64> {
    left.iter().zip(right).map(|(left, right)| right - left).collect()
}

/// Zeros and ones.
pub(crate) fn as_numbers(flags: &[bool]) -> Vec<f64> {
    flags.iter().map(|flag| f64::from(*flag)).collect()
}
