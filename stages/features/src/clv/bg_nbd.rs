//! How often customers buy, and whether they still do: the BG/NBD model.

use rayon::prelude::*;
use statrs::function::gamma::{digamma, ln_gamma};

use super::bfgs::minimize;

/// A customer as the model sees one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Customer {
    /// How many purchases there were after the first (x).
    pub(super) frequency: u32,
    /// From the first purchase to the last (t_x).
    pub(super) recency: f64,
    /// From the first purchase to now (T).
    pub(super) tenure: f64,
}

/// While alive, a customer buys at a rate that differs between customers as a gamma distribution of shape `r` and rate
/// `alpha`; after each purchase the customer leaves for good with a probability that differs as a beta distribution of
/// `a` and `b`.
#[derive(Clone, Copy, Debug)]
pub(super) struct BgNbd {
    pub(super) r: f64,
    pub(super) alpha: f64,
    pub(super) a: f64,
    pub(super) b: f64,
}

/// A model, and how sure the data are of it.
pub(super) struct Fit<T> {
    pub(super) model: T,
    /// Whether the search ended where the likelihood is flat, with no parameter beyond all measure.
    pub(super) determined: bool,
}

/// The logarithms of parameters, in units of their scale, beyond which a search does not go; and beyond which the data
/// do not determine them.
pub(super) const WALL: f64 = 14.0;
pub(super) const FAR: f64 = 9.0;

/// How many customers are summed up at once: sums do not depend on the number of threads.
const CHUNK: usize = 4096;

impl BgNbd {
    /// The parameters under which the customers are most likely. Some of them must have bought again.
    pub(super) fn fit(customers: &[Customer]) -> Fit<Self> {
        // Time is measured in mean tenures, so that the start is as good for any unit.
        let unit = mean(customers.iter().map(|customer| customer.tenure)).max(f64::MIN_POSITIVE);
        let scaled: Vec<Customer> = customers
            .iter()
            .map(|customer| Customer { recency: customer.recency / unit, tenure: customer.tenure / unit, ..*customer })
            .collect();
        let frequencies = Frequencies::of(&scaled);
        let start = 1.0 / mean(customers.iter().map(|customer| f64::from(customer.frequency))).max(1e-3);
        let found = minimize([0.0, start.ln(), 0.0, 1.0], |at: &[f64; 4]| {
            if at.iter().any(|log| log.abs() > WALL) {
                return (f64::INFINITY, [0.0; 4]);
            }
            let [r, alpha, a, b] = at.map(f64::exp);
            let model = Self { r, alpha, a, b };
            let (value, slope) = model.likelihood(&scaled, &frequencies);
            let rows = -(scaled.len() as f64);
            let scale = [r, alpha, a, b];
            (value / rows, std::array::from_fn(|i| slope[i] * scale[i] / rows))
        });
        let [r, alpha, a, b] = found.at.map(f64::exp);
        Fit {
            model: Self { r, alpha: alpha * unit, a, b },
            determined: found.converged && found.at.iter().all(|log| log.abs() < FAR),
        }
    }

    /// The logarithm of the likelihood of these customers.
    pub(super) fn log_likelihood(&self, customers: &[Customer]) -> f64 {
        self.likelihood(customers, &Frequencies::of(customers)).0
    }

    /// The logarithm of the likelihood and its gradient (Fader, Hardie & Lee 2005, equation 6).
    fn likelihood(&self, customers: &[Customer], frequencies: &Frequencies) -> (f64, [f64; 4]) {
        let Self { r, alpha, a, b } = *self;
        let (ln_a, ln_alpha) = (a.ln(), alpha.ln());
        // What depends on the frequency alone: a share of the value, and of its gradient by r, a and b.
        let constant: Vec<[f64; 5]> = frequencies
            .distinct
            .iter()
            .map(|x| {
                let x = f64::from(*x);
                let last = (b + x - 1.0).max(f64::MIN_POSITIVE);
                let both = digamma(a + b) - digamma(a + b + x);
                [
                    ln_gamma(r + x) - ln_gamma(r) + r * ln_alpha + ln_gamma(a + b) + ln_gamma(b + x)
                        - ln_gamma(b)
                        - ln_gamma(a + b + x),
                    digamma(r + x) - digamma(r) + ln_alpha,
                    both,
                    both + digamma(b + x) - digamma(b),
                    last,
                ]
            })
            .collect();
        let chunks: Vec<(f64, [f64; 4])> = customers
            .par_chunks(CHUNK)
            .zip(frequencies.of_customer.par_chunks(CHUNK))
            .map(|(customers, places)| {
                let (mut value, mut slope) = (0.0, [0.0; 4]);
                for (customer, place) in customers.iter().zip(places) {
                    let [share, by_r, by_a, by_b, last] = constant[*place as usize];
                    let x = f64::from(customer.frequency);
                    let (until_now, until_last) = (alpha + customer.tenure, alpha + customer.recency);
                    let (ln_now, ln_last) = (until_now.ln(), until_last.ln());
                    let alive = -(r + x) * ln_now;
                    // The share of the likelihood in which the customer has left after the last purchase.
                    let (whole, left) = if customer.frequency == 0 {
                        (alive, 0.0)
                    } else {
                        let gone = ln_a - last.ln() - (r + x) * ln_last;
                        let most = alive.max(gone);
                        let whole = most + ((alive - most).exp() + (gone - most).exp()).ln();
                        (whole, (gone - whole).exp())
                    };
                    value += share + whole;
                    slope[0] += by_r - (1.0 - left) * ln_now - left * ln_last;
                    slope[1] += r / alpha - (r + x) * ((1.0 - left) / until_now + left / until_last);
                    slope[2] += by_a + left / a;
                    slope[3] += by_b - left / last;
                }
                (value, slope)
            })
            .collect();
        chunks.into_iter().fold((0.0, [0.0; 4]), |(value, slope), (more, steeper)| {
            (value + more, std::array::from_fn(|i| slope[i] + steeper[i]))
        })
    }

    /// The odds that a customer who bought again has left.
    fn odds_of_having_left(&self, customer: &Customer) -> f64 {
        if customer.frequency == 0 {
            return 0.0;
        }
        let x = f64::from(customer.frequency);
        let since = ((self.alpha + customer.tenure) / (self.alpha + customer.recency)).ln();
        (self.a.ln() - (self.b + x - 1.0).max(f64::MIN_POSITIVE).ln() + (self.r + x) * since).exp()
    }

    /// The probability that a customer will buy again some time; 1 for one who has bought once, since in this model
    /// nobody leaves but after a purchase that is not the first.
    pub(super) fn alive(&self, customer: &Customer) -> f64 {
        1.0 / (1.0 + self.odds_of_having_left(customer))
    }

    /// The number of purchases to expect of a customer within a time from now (Fader, Hardie & Lee 2005, equation 10).
    ///
    /// With ε = a - 1, C = a + b + x - 1 and z = t / (α + T + t), Euler's transformation of the hypergeometric function
    /// turns the equation into (C (1 - (1 - z)^ε) / ε - (1 - z)^ε S) over 1 plus the odds of having left. S is the
    /// series below. It converges for every z below 1, and neither a = 1 nor C = 0 is an exception.
    pub(super) fn expected(&self, customer: &Customer, time: f64) -> f64 {
        let Self { r, alpha, a, b } = *self;
        let x = f64::from(customer.frequency);
        let (e, c) = (a - 1.0, a + b + x - 1.0);
        let ln_rest = ((alpha + customer.tenure) / (alpha + customer.tenure + time)).ln();
        let z = time / (alpha + customer.tenure + time);
        let mut term = (a + b - 1.0 - r) * z;
        let mut series = 0.0;
        for n in 1..MANY {
            series += term;
            let n = f64::from(n);
            term *= (a + b - 1.0 - r + n) * (e + n) / ((c + n) * (n + 1.0)) * z;
            if term.abs() <= f64::EPSILON * 0.01 * series.abs() {
                break;
            }
        }
        let power = if e == 0.0 { -ln_rest } else { -(e * ln_rest).exp_m1() / e };
        let alive = c * power - (e * ln_rest).exp() * series;
        (alive / (1.0 + self.odds_of_having_left(customer))).max(0.0)
    }
}

/// More terms than a series takes unless the time is thousands of times the tenure.
const MANY: u32 = 200_000;

/// The frequencies that there are, and which each customer has.
struct Frequencies {
    distinct: Vec<u32>,
    of_customer: Vec<u32>,
}

impl Frequencies {
    fn of(customers: &[Customer]) -> Self {
        let distinct = crate::keys::distinct(customers.iter().map(|customer| customer.frequency));
        let place = |customer: &Customer| distinct.partition_point(|x| *x < customer.frequency) as u32;
        Self { of_customer: customers.iter().map(place).collect(), distinct }
    }
}

pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::{BgNbd, Customer};

    fn customer(frequency: u32, recency: f64, tenure: f64) -> Customer {
        Customer { frequency, recency, tenure }
    }

    #[test]
    fn probabilities_and_expectations_are_those_of_the_paper() {
        // The published parameters of the CDNOW data; BetaGeoFitter of lifetimes 0.11.3 with `params_` set to them:
        // conditional_probability_alive and conditional_expected_number_of_purchases_up_to_time.
        let model = BgNbd { r: 0.243, alpha: 4.414, a: 0.793, b: 2.426 };
        for (who, time, alive, expected) in [
            (customer(2, 30.43, 38.86), 39.0, 0.726578570080673, 1.226028174767135),
            (customer(0, 0.0, 30.0), 365.0, 1.0, 1.3508987652448485),
            (customer(25, 100.0, 101.0), 1000.0, 0.9632321991334606, 76.44334596393516),
            (customer(1, 5.0, 300.0), 30.0, 0.039063149499182735, 0.0046892137795706895),
            (customer(60, 350.0, 360.0), 365.0, 0.9354454394949563, 42.356634261503764),
        ] {
            assert!((model.alive(&who) - alive).abs() < 1e-12, "{who:?}: {}", model.alive(&who));
            let found = model.expected(&who, time);
            assert!((found / expected - 1.0).abs() < 1e-12, "{who:?}: {found}");
        }
        assert_eq!(model.expected(&customer(2, 30.43, 38.86), 0.0), 0.0);
    }

    #[test]
    fn expectations_have_no_exceptions() {
        // The same equation in mpmath 1.3 with 40 digits; where a = 1 or a + b = 1, 1e-20 beside it.
        for (model, expected) in [
            (
                BgNbd { r: 0.243, alpha: 4.414, a: 1.0, b: 2.426 },
                [1.102136786039956, 1.2121265560015113, 59.50444046724187, 38.834660648508],
            ),
            (
                BgNbd { r: 1.5, alpha: 30.0, a: 0.2, b: 0.3 },
                [1.4725352896988984, 4.444301608447393, 149.55512196047655, 52.55140606248881],
            ),
            (
                BgNbd { r: 2.0, alpha: 50.0, a: 0.4, b: 0.6 },
                [1.1342722916296035, 3.8397928221479987, 103.11018092112243, 46.46129104780493],
            ),
        ] {
            for ((who, time), expected) in [
                (customer(2, 30.43, 38.86), 39.0),
                (customer(0, 0.0, 30.0), 365.0),
                (customer(25, 100.0, 101.0), 1000.0),
                (customer(60, 350.0, 360.0), 365.0),
            ]
            .into_iter()
            .zip(expected)
            {
                let found = model.expected(&who, time);
                assert!((found / expected - 1.0).abs() < 1e-11, "{model:?} {who:?}: {found}, not {expected}");
            }
        }
    }
}
