//! What intervals and tests promise, tried out: seeded, at least 2,000 repetitions each.

#![allow(clippy::unwrap_used)]

use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp1, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::{IntoParallelIterator, ParallelIterator};
use stagewright_compare::{
    Bootstrap, Comparison, Correction, Interval, Proportion, Ratio, adjust, always_valid, cuped, delong, mcnemar,
    over_seeds, paired_bootstrap, paired_t, ratio_of_sums, sample_ratio, summaries_over_seeds, two_proportions,
    welch_t,
};

type Rng256 = Xoshiro256PlusPlus;

const REPETITIONS: u64 = 4_000;

/// How often something holds.
fn share(repetitions: u64, holds: impl Fn(&mut Rng256) -> bool + Sync) -> f64 {
    let held = (0..repetitions).into_par_iter().filter(|seed| holds(&mut Rng256::seed_from_u64(*seed))).count();
    held as f64 / repetitions as f64
}

fn holds(interval: Interval, truth: f64) -> bool {
    interval.lower <= truth && truth <= interval.upper
}

/// Asserts that 95 % intervals hold the true difference, and the true lift where one is given, in 93 to 97 of a hundred
/// repetitions, and that the p-value rejects the truth no more often than that.
fn covers(name: &str, truth: f64, lift: Option<f64>, draw: impl Fn(&mut Rng256) -> Comparison + Sync) {
    let covered = share(REPETITIONS, |rng| holds(draw(rng).interval, truth));
    println!("{name}: {:.2} %", 100.0 * covered);
    assert!((0.93..=0.97).contains(&covered), "{name}: {covered}");
    if let Some(lift) = lift {
        let covered = share(REPETITIONS, |rng| holds(draw(rng).relative.unwrap().interval.unwrap(), lift));
        println!("{name}, lift: {:.2} %", 100.0 * covered);
        assert!((0.93..=0.97).contains(&covered), "{name}, lift: {covered}");
    }
}

/// Asserts that without a difference 3 to 7 of a hundred tests at the level of 5 % are significant.
fn rejects(name: &str, draw: impl Fn(&mut Rng256) -> Comparison + Sync) {
    let rejected = share(REPETITIONS, |rng| draw(rng).p_value <= 0.05);
    println!("{name}, false positives: {:.2} %", 100.0 * rejected);
    assert!((0.03..=0.07).contains(&rejected), "{name}: {rejected}");
}

fn draws(n: usize, mut draw: impl FnMut() -> f64) -> Vec<f64> {
    (0..n).map(|_| draw()).collect()
}

fn normal(rng: &mut Rng256) -> f64 {
    StandardNormal.sample(rng)
}

fn exponential(rng: &mut Rng256) -> f64 {
    Exp1.sample(rng)
}

fn pairs(n: usize, shift: f64, rng: &mut Rng256) -> (Vec<f64>, Vec<f64>) {
    (0..n)
        .map(|_| {
            let base = 5.0 + normal(rng);
            (base, base + shift + 0.7 * normal(rng))
        })
        .unzip()
}

#[test]
fn paired_t_holds_its_level() {
    let draw = |shift: f64| {
        move |rng: &mut Rng256| {
            let (b, v) = pairs(30, shift, rng);
            paired_t(&b, &v, 0.95).unwrap()
        }
    };
    covers("paired t", 0.5, Some(0.1), draw(0.5));
    rejects("paired t", draw(0.0));
}

#[test]
fn the_bootstrap_holds_its_level_on_skewed_differences() {
    let draw = |shift: f64| {
        move |rng: &mut Rng256| {
            let b = draws(250, || 2.0 + normal(rng));
            let v: Vec<f64> = b.iter().map(|base| base + exponential(rng) - 1.0 + shift).collect();
            paired_bootstrap(&b, &v, 0.95, Bootstrap { resamples: 999, seed: rng.random() }).unwrap()
        }
    };
    covers("paired bootstrap", 0.2, None, draw(0.2));
    rejects("paired bootstrap", draw(0.0));
}

#[test]
fn variants_that_mostly_agree_are_not_told_apart_by_chance() {
    // Variants that agree on nine units of ten, or on all but four or five, as those of a metric mostly do.
    let sparse = |differing: f64| {
        move |rng: &mut Rng256| {
            let v = draws(250, || if rng.random_bool(differing) { normal(rng).signum() } else { 0.0 });
            paired_bootstrap(&[0.0; 250], &v, 0.95, Bootstrap { resamples: 999, seed: rng.random() }).unwrap()
        }
    };
    rejects("paired, 25 differ", sparse(0.1));
    let few = share(REPETITIONS, |rng| sparse(0.02)(rng).p_value <= 0.05);
    println!("paired, 5 differ, false positives: {:.2} %", 100.0 * few);
    assert!(few <= 0.05, "{few}");
}

#[test]
fn delong_holds_its_level() {
    // Two scores, each the label plus noise: a normal shift of d between classes of variance 1 has the area Φ(d / √2).
    let draw = |second: f64| {
        move |rng: &mut Rng256| {
            let labels: Vec<bool> = (0..200).map(|i| i % 3 == 0).collect();
            let (one, two): (Vec<f64>, Vec<f64>) = labels
                .iter()
                .map(|label| {
                    let (label, common) = (f64::from(*label), normal(rng));
                    let own = |rng: &mut Rng256| 0.6 * common + 0.8 * normal(rng);
                    (label + own(rng), label * second + own(rng))
                })
                .unzip();
            delong(&labels, &one, &two, 0.95).unwrap()
        }
    };
    // Φ(1 / √2) and Φ(1.5 / √2) by scipy.stats.norm.cdf.
    let (first, second) = (0.7602499389065233, 0.8555778168267576);
    covers("DeLong", second - first, Some(second / first - 1.0), draw(1.5));
    rejects("DeLong", draw(1.0));
}

#[test]
fn shares_hold_their_level() {
    let successes = |n: u64, share: f64, rng: &mut Rng256| Proportion {
        successes: (0..n).filter(|_| rng.random_bool(share)).count() as u64,
        n,
    };
    let two = |n: u64, second: f64| {
        move |rng: &mut Rng256| two_proportions(successes(n, 0.1, rng), successes(n * 2, second, rng), 0.95).unwrap()
    };
    covers("two proportions", 0.03, Some(0.3), two(500, 0.13));
    covers("two proportions, few", 0.1, None, two(40, 0.2));
    rejects("two proportions", two(500, 0.1));
    // Exact tests reject less often, never more.
    let exact = share(REPETITIONS, |rng| two(30, 0.1)(rng).p_value <= 0.05);
    println!("Fisher, false positives: {:.2} %", 100.0 * exact);
    assert!(exact <= 0.055, "{exact}");

    let paired = |lost: f64, won: f64| {
        move |rng: &mut Rng256| {
            let answers = (0..300).map(|_| {
                let at: f64 = rng.random();
                (at < 0.4 + lost, (lost..0.4 + lost).contains(&at) || at > 1.0 - won)
            });
            let (b, v): (Vec<bool>, Vec<bool>) = answers.unzip();
            mcnemar(&b, &v, 0.95).unwrap()
        }
    };
    covers("McNemar", 0.1, None, paired(0.1, 0.2));
    rejects("McNemar", paired(0.15, 0.15));
}

#[test]
fn welch_ratios_and_cuped_hold_their_level() {
    let welch = |mean: f64| {
        move |rng: &mut Rng256| {
            let (a, b) = (draws(40, || 5.0 + normal(rng)), draws(90, || mean + 2.0 * normal(rng)));
            welch_t(&a, &b, 0.95).unwrap()
        }
    };
    covers("Welch", 0.5, Some(0.1), welch(5.5));
    rejects("Welch", welch(5.0));

    // Orders with sizes that go with their number: revenue per order is not what a unit has on average.
    let ratio = |price: f64| {
        move |rng: &mut Rng256| {
            let arm = |n: usize, price: f64, rng: &mut Rng256| -> (Vec<f64>, Vec<f64>) {
                (0..n)
                    .map(|_| {
                        let orders = f64::from(rng.random_range(1..=4_u32));
                        // The mean over orders: E[orders² ] / E[orders] = 7.5 / 2.5 = 3 times the price.
                        (orders * orders * price + exponential(rng) - 1.0, orders)
                    })
                    .unzip()
            };
            let (a, b) = (arm(300, 2.0, rng), arm(300, price, rng));
            let of = |arm: &(Vec<f64>, Vec<f64>)| -> Comparison {
                let left = Ratio { numerator: &a.0, denominator: &a.1 };
                ratio_of_sums(left, Ratio { numerator: &arm.0, denominator: &arm.1 }, 0.95).unwrap()
            };
            of(&b)
        }
    };
    covers("ratio of sums", 0.6, Some(0.1), ratio(2.2));
    rejects("ratio of sums", ratio(2.0));

    let adjusted = |effect: f64| {
        move |rng: &mut Rng256| {
            let arm = |n: usize, effect: f64, rng: &mut Rng256| -> (Vec<f64>, Vec<f64>) {
                (0..n)
                    .map(|_| {
                        let before = exponential(rng);
                        (3.0 + effect + 2.0 * before + normal(rng), before)
                    })
                    .unzip()
            };
            let (a, b) = (arm(200, 0.0, rng), arm(100, effect, rng));
            let cuped = cuped(&[(&a.0, &a.1), (&b.0, &b.1)]).unwrap();
            assert!(cuped.variance_reduction > 0.3);
            welch_t(&cuped.adjusted[0], &cuped.adjusted[1], 0.95).unwrap()
        }
    };
    covers("CUPED", 0.4, None, adjusted(0.4));
    rejects("CUPED", adjusted(0.0));
}

#[test]
fn intervals_over_seeds_are_about_other_seeds_and_other_units() {
    // The scales of what seeds, units and the rest add.
    for (seeds, units, by_seed, by_unit, rest) in
        [(5, 100, 0.1, 1.0, 1.0), (5, 60, 0.5, 1.0, 1.0), (10, 200, 0.02, 1.0, 0.3), (3, 100, 0.3, 0.3, 1.0)]
    {
        let draw = |rng: &mut Rng256| {
            let of_units = draws(units, || by_unit * normal(rng));
            let base = draws(units, || 3.0 + normal(rng));
            let variants: Vec<Vec<f64>> = (0..seeds)
                .map(|_| {
                    let of_seed = 0.3 + by_seed * normal(rng);
                    base.iter().zip(&of_units).map(|(base, unit)| base + of_seed + unit + rest * normal(rng)).collect()
                })
                .collect();
            let variants: Vec<&[f64]> = variants.iter().map(Vec::as_slice).collect();
            over_seeds(&vec![base.as_slice(); seeds], &variants, 0.95).unwrap()
        };
        covers(&format!("{seeds} seeds, {by_seed} between them"), 0.3, None, draw);
    }
    // One seed's interval would be about that seed: this is what the variance between seeds is for.
    let alone = share(REPETITIONS, |rng| {
        let of_seed = 0.5 * normal(rng);
        let (b, v) = pairs(100, of_seed, rng);
        holds(over_seeds(&[&b], &[&v], 0.95).unwrap().interval, 0.0)
    });
    assert!(alone < 0.5, "{alone}");
    // Only what each seed came to: units that do harm in every seed alike.
    covers("summaries of 5 seeds", 0.3, None, |rng| {
        let of_units = draws(100, || normal(rng));
        let each: Vec<Comparison> = (0..5)
            .map(|_| {
                let of_seed = 0.3 + 0.1 * normal(rng);
                let v: Vec<f64> = of_units.iter().map(|unit| of_seed + unit + 0.3 * normal(rng)).collect();
                paired_t(&[0.0; 100], &v, 0.95).unwrap()
            })
            .collect();
        summaries_over_seeds(&each, 0.95).unwrap()
    });
}

#[test]
fn corrections_hold_what_they_promise() {
    // Ten tests of which eight have no difference.
    let p_values = |effects: usize, rng: &mut Rng256| -> Vec<f64> {
        (0..10)
            .map(|test| {
                let shift = if test < effects { 0.8 } else { 0.0 };
                let (b, v) = pairs(30, shift, rng);
                paired_t(&b, &v, 0.95).unwrap().p_value
            })
            .collect()
    };
    let any = |correction: Correction, effects: usize| {
        share(REPETITIONS, |rng| {
            let adjusted = adjust(&p_values(effects, rng), correction).unwrap();
            adjusted[effects..].iter().any(|p| *p <= 0.05)
        })
    };
    let (none, holm) = (any(Correction::None, 0), any(Correction::Holm, 0));
    println!("any of 10 false: {:.2} % uncorrected, {:.2} % Holm", 100.0 * none, 100.0 * holm);
    // 1 - 0.95^10 = 40 %.
    assert!((0.37..0.43).contains(&none), "{none}");
    assert!((0.035..=0.06).contains(&holm), "{holm}");
    assert!(any(Correction::Holm, 2) <= 0.06);

    let false_discoveries: f64 = (0..REPETITIONS)
        .into_par_iter()
        .map(|seed| {
            let adjusted =
                adjust(&p_values(5, &mut Rng256::seed_from_u64(seed)), Correction::BenjaminiHochberg).unwrap();
            let found = adjusted.iter().filter(|p| **p <= 0.05).count();
            let wrong = adjusted[5..].iter().filter(|p| **p <= 0.05).count();
            wrong as f64 / found.max(1) as f64
        })
        .collect::<Vec<_>>()
        .iter()
        .sum::<f64>()
        / REPETITIONS as f64;
    println!("false discoveries (BH, half of 10 true): {:.2} %", 100.0 * false_discoveries);
    // The share of true hypotheses times the level.
    assert!((0.015..=0.035).contains(&false_discoveries), "{false_discoveries}");
}

#[test]
fn a_confidence_sequence_may_be_looked_at_400_times() {
    // A look after every 50 units of two equal groups, from 250 on; the sums are kept, so a look costs nothing.
    let wrong = |always: bool| {
        share(2_000, |rng| {
            let mut sums = [[0.0_f64; 3]; 2];
            let looks = 400 + 4;
            (0..looks).any(|look| {
                for arm in &mut sums {
                    for _ in 0..25 {
                        let value = exponential(rng);
                        *arm = [arm[0] + 1.0, arm[1] + value, arm[2] + value * value];
                    }
                }
                if look < 4 {
                    return false;
                }
                let [left, right] = sums.map(|[n, sum, squares]| {
                    let mean = sum / n;
                    (n, mean, (squares / n - mean * mean) / (n - 1.0))
                });
                let difference = right.1 - left.1;
                let error = (left.2 + right.2).sqrt();
                let fixed = Comparison {
                    method: String::new(),
                    baseline: left.1,
                    variant: right.1,
                    difference,
                    interval: Interval { lower: difference - 1.96 * error, upper: difference + 1.96 * error },
                    level: 0.95,
                    standard_error: Some(error),
                    reference: stagewright_compare::Reference::Normal,
                    p_value: 1.0,
                    relative: None,
                    paired: false,
                    n_baseline: left.0 as u64,
                    n_variant: right.0 as u64,
                };
                let interval = if always { always_valid(&fixed, 5_000).unwrap().interval } else { fixed.interval };
                !holds(interval, 0.0)
            })
        })
    };
    let (always, fixed) = (wrong(true), wrong(false));
    println!("wrong at any of 400 looks: {:.2} %, with fixed intervals {:.2} %", 100.0 * always, 100.0 * fixed);
    assert!(always <= 0.05, "{always}");
    assert!(fixed > 0.3, "{fixed}");
}

#[test]
fn a_mismatch_of_sample_ratios_is_seldom_imagined_and_seldom_missed() {
    let arms = |shares: [f64; 2], rng: &mut Rng256| {
        let mut counts = [0_u64; 3];
        for _ in 0..3_000 {
            let at: f64 = rng.random();
            counts[usize::from(at > shares[0]) + usize::from(at > shares[1])] += 1;
        }
        sample_ratio(&counts, &[1.0, 1.0, 1.0]).unwrap()
    };
    let third = 1.0 / 3.0;
    let at = |level: f64| share(20_000, |rng| arms([third, 2.0 * third], rng).p_value < level);
    let (one_in_a_thousand, five) = (at(0.001), at(0.05));
    println!("imagined: {:.3} % at 0.1 %, {:.2} % at 5 %", 100.0 * one_in_a_thousand, 100.0 * five);
    assert!((0.0003..=0.002).contains(&one_in_a_thousand), "{one_in_a_thousand}");
    assert!((0.045..=0.055).contains(&five), "{five}");
    // 30 % instead of 33 %: 99 users of 3,000 missing.
    let seen = share(2_000, |rng| arms([0.28, 0.64], rng).mismatch);
    println!("seen: {:.1} %", 100.0 * seen);
    assert!(seen > 0.95, "{seen}");
}
