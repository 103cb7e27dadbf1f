//! What is known of the rates of several arms: beta distributions, compared exactly.
//!
//! The probability that an arm is the best is the integral of its density times the others' distribution functions. It
//! is added up by Gauss and Legendre's rule with eight nodes, over panels of half a standard deviation of each arm and
//! wider ones in the tails. As both parameters are at least 1, densities are log-concave: they are smooth, have one peak,
//! and fall at least exponentially, so that what is left out has no part in a double. Densities are taken relative to
//! their peaks and divided by their own integrals, so no gamma function loses digits where there are many trials.

/// The distribution of a rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beta {
    /// Successes and those of the prior; at least 1.
    pub(super) a: f64,
    /// Failures and those of the prior; at least 1.
    pub(super) b: f64,
}

/// What follows for one of several arms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) mean: f64,
    /// The ends of the central interval.
    pub(super) lower: f64,
    pub(super) upper: f64,
    /// The probability that its rate is the highest.
    pub(super) best: f64,
}

const NODES: [f64; 8] = [
    -0.960_289_856_497_536_3,
    -0.796_666_477_413_626_7,
    -0.525_532_409_916_329,
    -0.183_434_642_495_649_8,
    0.183_434_642_495_649_8,
    0.525_532_409_916_329,
    0.796_666_477_413_626_7,
    0.960_289_856_497_536_3,
];
const WEIGHTS: [f64; 8] = [
    0.101_228_536_290_376_26,
    0.222_381_034_453_374_48,
    0.313_706_645_877_887_27,
    0.362_683_783_378_361_96,
    0.362_683_783_378_361_96,
    0.313_706_645_877_887_27,
    0.222_381_034_453_374_48,
    0.101_228_536_290_376_26,
];

/// The tails, in standard deviations from the mean; up to 8 they are half a one apart.
const TAILS: [f64; 7] = [10.0, 13.0, 17.0, 22.0, 28.0, 36.0, 46.0];

impl Beta {
    fn mean(self) -> f64 {
        self.a / (self.a + self.b)
    }

    fn deviation(self) -> f64 {
        (self.mean() * (1.0 - self.mean()) / (self.a + self.b + 1.0)).sqrt()
    }

    /// The logarithm of the density, but for a constant.
    fn log_density(self, x: f64) -> f64 {
        let times_log = |factor: f64, log: f64| if factor == 0.0 { 0.0 } else { factor * log };
        times_log(self.a - 1.0, x.ln()) + times_log(self.b - 1.0, (-x).ln_1p())
    }

    fn log_peak(self) -> f64 {
        let sum = self.a + self.b - 2.0;
        if sum > 0.0 { self.log_density((self.a - 1.0) / sum) } else { 0.0 }
    }
}

/// The panels of all arms.
fn panels(arms: &[Beta]) -> Vec<(f64, f64)> {
    let steps = || (0..=16).map(|half| 0.5 * f64::from(half)).chain(TAILS);
    let mut ends: Vec<f64> = arms
        .iter()
        .flat_map(|arm| steps().flat_map(|step| [-step, step]).map(|step| arm.mean() + step * arm.deviation()))
        .filter(|end| *end > 0.0 && *end < 1.0)
        .chain([0.0, 1.0])
        .collect();
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    ends.windows(2).filter_map(|ends| ends.first().copied().zip(ends.last().copied())).collect()
}

/// `[m][k]`: the integral of the k-th Lagrange polynomial from -1 to the m-th node.
fn running() -> [[f64; 8]; 8] {
    let polynomial = |k: usize, x: f64| -> f64 {
        let others = NODES.iter().enumerate().filter(|(index, _)| *index != k);
        let at = NODES.get(k).copied().unwrap_or_default();
        others.map(|(_, node)| (x - node) / (at - node)).product()
    };
    NODES.map(|node| {
        let half = 0.5 * (node + 1.0);
        std::array::from_fn(|k| {
            let points = NODES.iter().zip(WEIGHTS);
            half * points.map(|(point, weight)| weight * polynomial(k, -1.0 + half * (point + 1.0))).sum::<f64>()
        })
    })
}

/// An arm over all panels.
struct Curve {
    arm: Beta,
    /// The density at the nodes of each panel, times half the panel's width.
    mass: Vec<[f64; 8]>,
    /// The probability below each node, and below the end of the panel.
    below: Vec<([f64; 8], f64)>,
}

impl Curve {
    fn of(arm: Beta, panels: &[(f64, f64)], running: &[[f64; 8]; 8]) -> Self {
        let peak = arm.log_peak();
        let half = |(start, end): &(f64, f64)| 0.5 * (end - start);
        let mut mass: Vec<[f64; 8]> = panels
            .iter()
            .map(|panel| {
                NODES.map(|node| half(panel) * (arm.log_density(panel.0 + half(panel) * (node + 1.0)) - peak).exp())
            })
            .collect();
        let whole: f64 = mass.iter().map(whole).sum();
        mass.iter_mut().flatten().for_each(|mass| *mass /= whole);
        let mut sum = 0.0;
        let below = mass
            .iter()
            .map(|mass| {
                let nodes = running.map(|row| sum + dot(&row, mass));
                sum += self::whole(mass);
                (nodes, sum)
            })
            .collect();
        Self { arm, mass, below }
    }

    /// The rate with this probability below it.
    fn quantile(&self, panels: &[(f64, f64)], probability: f64) -> f64 {
        let at = self.below.partition_point(|(_, end)| *end < probability);
        let Some(&(start, end)) = panels.get(at) else { return 1.0 };
        let before = at.checked_sub(1).and_then(|before| self.below.get(before)).map_or(0.0, |(_, end)| *end);
        // The density to scale: what the panel holds is known.
        let area = |x: f64| {
            let half = 0.5 * (x - start);
            let peak = self.arm.log_peak();
            half * dot(&NODES.map(|node| (self.arm.log_density(start + half * (node + 1.0)) - peak).exp()), &WEIGHTS)
        };
        let held = self.below.get(at).map_or(0.0, |(_, end)| *end) - before;
        let wanted = (probability - before) / held * area(end);
        let (mut low, mut high) = (start, end);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if area(middle) < wanted { low = middle } else { high = middle }
        }
        f64::midpoint(low, high)
    }
}

fn dot(left: &[f64; 8], right: &[f64; 8]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// What a panel adds to an integral.
fn whole(mass: &[f64; 8]) -> f64 {
    dot(mass, &WEIGHTS)
}

/// Compares the rates of arms; `level` is that of their intervals.
pub(super) fn compare(arms: &[Beta], level: f64) -> Vec<Found> {
    let panels = panels(arms);
    let running = running();
    let curves: Vec<Curve> = arms.iter().map(|arm| Curve::of(*arm, &panels, &running)).collect();
    let mut best = vec![0.0; arms.len()];
    let mut above = vec![1.0; arms.len()];
    for panel in 0..panels.len() {
        for (node, weight) in WEIGHTS.iter().enumerate() {
            let below = |curve: &Curve| curve.below.get(panel).and_then(|(nodes, _)| nodes.get(node)).copied();
            // The products of all others: of those after an arm, and then of those before it.
            let mut product = 1.0;
            for (curve, above) in curves.iter().zip(&mut above).rev() {
                *above = product;
                product *= below(curve).unwrap_or_default();
            }
            product = 1.0;
            for ((curve, above), best) in curves.iter().zip(&above).zip(&mut best) {
                let mass = curve.mass.get(panel).and_then(|mass| mass.get(node)).copied().unwrap_or_default();
                *best += weight * mass * product * above;
                product *= below(curve).unwrap_or_default();
            }
        }
    }
    let sum: f64 = best.iter().sum();
    let tail = 0.5 * (1.0 - level);
    curves
        .iter()
        .zip(best)
        .map(|(curve, best)| Found {
            mean: curve.arm.mean(),
            lower: curve.quantile(&panels, tail),
            upper: curve.quantile(&panels, 1.0 - tail),
            best: best / sum,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Beta, compare};

    /// scipy.integrate.quad over pieces between quantiles of `stats.beta(a, b).pdf(x) * prod(stats.beta(..).cdf(x))`
    /// (epsrel 1e-12), and `stats.beta(a, b).ppf`.
    #[test]
    fn probabilities_and_intervals_are_those_of_scipy() {
        /// The shapes of each arm, the probabilities of being best, and the interval of the first.
        type Case<'a> = (&'a [(f64, f64)], &'a [f64], (f64, f64));
        let cases: [Case<'_>; 6] = [
            (&[(1.0, 1.0), (1.0, 1.0)], &[0.5, 0.5], (0.025, 0.975)),
            (
                &[(37.0, 965.0), (61.0, 941.0)],
                &[0.0060622591695532295, 0.9939377408304471],
                (0.0261564195241814, 0.04944381524661735),
            ),
            (
                &[(1.0, 1.0), (3.0, 9.0), (20.0, 200.0)],
                &[0.7478169283172095, 0.24455966875220356, 0.0076234029305868424],
                (0.025, 0.975),
            ),
            (
                &[(1.0, 1001.0), (2.0, 1000.0), (5001.0, 995001.0)],
                &[0.006486617425355881, 0.039835679147640725, 0.9536777034269717],
                (2.529219561584832e-05, 0.003678412265034924),
            ),
            (
                &[(120.5, 30.25), (11.0, 1.0), (6.0, 2.0)],
                &[0.0569953736527355, 0.8210259276690411, 0.12197869867822318],
                (0.7320288078371846, 0.8591272337924735),
            ),
            (
                &[(1_000_001.0, 9_000_001.0), (1_001_001.0, 9_000_001.0)],
                &[0.2512262897312539, 0.7487737092783987],
                (0.0998142172397858, 0.10018609430458515),
            ),
        ];
        for (arms, best, (lower, upper)) in cases {
            let arms: Vec<Beta> = arms.iter().map(|(a, b)| Beta { a: *a, b: *b }).collect();
            let found = compare(&arms, 0.95);
            for (found, best) in found.iter().zip(best) {
                assert!((found.best - best).abs() < 1e-9, "{arms:?}: {found:?}, not {best}");
            }
            let first = found.first().copied();
            let is_near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 1e-8;
            assert!(first.is_some_and(|first| is_near(first.lower, lower) && is_near(first.upper, upper)), "{first:?}");
        }
    }

    #[test]
    fn many_arms_and_one() {
        let alike = compare(&[Beta { a: 30.0, b: 70.0 }; 100], 0.9);
        assert!(alike.iter().all(|found| (found.best - 0.01).abs() < 1e-9), "{:?}", alike.first());
        let alone = compare(&[Beta { a: 1.0, b: 1e9 }], 0.5);
        assert!(alone.iter().all(|found| (found.best - 1.0).abs() < 1e-12 && found.lower < found.upper));
    }
}
