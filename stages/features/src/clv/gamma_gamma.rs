//! How much a purchase is worth: the Gamma-Gamma model.

use rayon::prelude::*;
use statrs::function::gamma::{digamma, ln_gamma};

use super::bfgs::minimize;
use super::bg_nbd::{FAR, Fit, WALL, mean};

/// Somebody who bought again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spender {
    /// How many purchases there were after the first.
    pub(super) frequency: u32,
    /// What they were worth on average; above 0.
    pub(super) value: f64,
}

/// The value of a customer's purchase varies as a gamma distribution of shape `p`, and its rate differs between
/// customers as one of shape `q` and rate `v`.
#[derive(Clone, Copy, Debug)]
pub(super) struct GammaGamma {
    pub(super) p: f64,
    pub(super) q: f64,
    pub(super) v: f64,
}

const CHUNK: usize = 4096;

impl GammaGamma {
    /// The parameters under which the mean values are most likely. They must not all be the same.
    pub(super) fn fit(spenders: &[Spender]) -> Fit<Self> {
        let unit = mean(spenders.iter().map(|spender| spender.value)).max(f64::MIN_POSITIVE);
        let scaled: Vec<Spender> =
            spenders.iter().map(|spender| Spender { value: spender.value / unit, ..*spender }).collect();
        let found = minimize([1.0, 1.0, 0.0], |at: &[f64; 3]| {
            if at.iter().any(|log| log.abs() > WALL) {
                return (f64::INFINITY, [0.0; 3]);
            }
            let [p, q, v] = at.map(f64::exp);
            let (value, slope) = Self { p, q, v }.likelihood(&scaled);
            let rows = -(scaled.len() as f64);
            let scale = [p, q, v];
            (value / rows, std::array::from_fn(|i| slope[i] * scale[i] / rows))
        });
        let [p, q, v] = found.at.map(f64::exp);
        Fit {
            model: Self { p, q, v: v * unit },
            determined: found.converged && found.at.iter().all(|log| log.abs() < FAR),
        }
    }

    /// The logarithm of the likelihood of these values.
    pub(super) fn log_likelihood(&self, spenders: &[Spender]) -> f64 {
        self.likelihood(spenders).0
    }

    /// The logarithm of the likelihood and its gradient (Fader & Hardie 2013, equation 1a).
    fn likelihood(&self, spenders: &[Spender]) -> (f64, [f64; 3]) {
        let Self { p, q, v } = *self;
        let (ln_gamma_q, digamma_q, ln_v) = (ln_gamma(q), digamma(q), v.ln());
        let chunks: Vec<(f64, [f64; 3])> = spenders
            .par_chunks(CHUNK)
            .map(|spenders| {
                let (mut value, mut slope) = (0.0, [0.0; 3]);
                for spender in spenders {
                    let (x, m) = (f64::from(spender.frequency), spender.value);
                    let (ln_m, ln_x, whole) = (m.ln(), x.ln(), x * m + v);
                    let (px, ln_whole, digamma_all) = (p * x, whole.ln(), digamma(p * x + q));
                    value += ln_gamma(px + q) - ln_gamma(px) - ln_gamma_q + q * ln_v + (px - 1.0) * ln_m + px * ln_x
                        - (px + q) * ln_whole;
                    slope[0] += x * (digamma_all - digamma(px) + ln_m + ln_x - ln_whole);
                    slope[1] += digamma_all - digamma_q + ln_v - ln_whole;
                    slope[2] += q / v - (px + q) / whole;
                }
                (value, slope)
            })
            .collect();
        chunks.into_iter().fold((0.0, [0.0; 3]), |(value, slope), (more, steeper)| {
            (value + more, std::array::from_fn(|i| slope[i] + steeper[i]))
        })
    }

    /// What the next purchase of a customer with these is worth on average (equation 5): between the customer's own
    /// mean and that of all. Without any, that of all, which there is only for q above 1.
    pub(super) fn expected(&self, spender: Option<Spender>) -> Option<f64> {
        let (x, m) = spender.map_or((0.0, 0.0), |spender| (f64::from(spender.frequency), spender.value));
        let weight = self.p * x + self.q - 1.0;
        (weight > 0.0).then(|| self.p * (self.v + x * m) / weight)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{GammaGamma, Spender};

    #[test]
    fn expectations_lie_between_ones_own_and_the_mean() {
        // The published parameters of the CDNOW data; GammaGammaFitter of lifetimes 0.11.3 with `params_` set to them:
        // conditional_expected_average_profit(frequency, monetary_value).
        let model = GammaGamma { p: 6.25, q: 3.74, v: 15.44 };
        for (spender, expected) in [
            (None, 35.21897810218978),
            (Some(Spender { frequency: 2, value: 22.35 }), 24.663713910761157),
            (Some(Spender { frequency: 1, value: 100.0 }), 80.25583982202447),
            (Some(Spender { frequency: 7, value: 3.5 }), 5.36943428694343),
        ] {
            let found = model.expected(spender).unwrap();
            assert!((found - expected).abs() < 1e-12, "{found}");
        }
        // Without a mean of all, there is none for somebody of whom nothing is known.
        let heavy = GammaGamma { q: 0.9, ..model };
        assert_eq!(heavy.expected(None), None);
        assert!(heavy.expected(Some(Spender { frequency: 1, value: 10.0 })).is_some());
    }
}
