//! Numbers against scipy 1.x and statsmodels, which a comment names; what they do not have, against the formula in numpy.

#![allow(clippy::unwrap_used, clippy::panic)]

use stagewright_compare::{
    Bootstrap, CompareError, Comparison, Correction, Goal, Proportion, Ratio, Reference, Rule, Verdict, adjust,
    always_valid, auc, cuped, delong, judge, mcnemar, over_seeds, paired_bootstrap, paired_t, power, ratio_of_sums,
    sample_ratio, summaries_over_seeds, two_proportions, welch_t, wilson,
};

fn values(n: usize, value: impl Fn(f64) -> f64) -> Vec<f64> {
    (0..n).map(|i| value(i as f64)).collect()
}

fn same(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-8 * expected.abs().max(1e-3), "{found} and not {expected}");
}

fn same_interval(found: &Comparison, lower: f64, upper: f64) {
    same(found.interval.lower, lower);
    same(found.interval.upper, upper);
}

/// `b = 2 + sin(1.7 i) + 0.02 i`, `v = b + 0.1 + 0.3 cos(2.3 i)`.
fn pairs() -> (Vec<f64>, Vec<f64>) {
    let b = |i: f64| 2.0 + (1.7 * i).sin() + 0.02 * i;
    (values(60, b), values(60, |i| b(i) + 0.1 + 0.3 * (2.3 * i).cos()))
}

#[test]
fn paired_t_is_scipys() {
    // scipy.stats.ttest_rel(v, b) and its confidence_interval; the lift by numpy.
    let (b, v) = pairs();
    let found = paired_t(&b, &v, 0.95).unwrap();
    same(found.difference, 0.09981072832576832);
    same(found.p_value, 0.0006396143059738268);
    same_interval(&found, 0.044433590524616685, 0.15518786612691818);
    same(found.standard_error.unwrap(), 0.027674795458077245);
    assert_eq!((found.n(), found.reference), (60, Reference::Student(59.0)));
    let relative = found.relative.unwrap();
    same(relative.lift, 0.03856246926988249);
    same(relative.standard_error, 0.010890364785068133);
    same(relative.interval.unwrap().lower, 0.01677089966926593);
    same(relative.interval.unwrap().upper, 0.06035403887049906);

    let found = paired_t(&b[..5], &v[..5], 0.9).unwrap();
    same(found.p_value, 0.42736660233167256);
    same_interval(&found, -0.14688332789088998, 0.3543776795516478);

    let b = values(5000, |i| (1.7 * i).sin());
    let v = values(5000, |i| (1.7 * i).sin() + 0.004 + 0.2 * (2.3 * i).cos());
    let found = paired_t(&b, &v, 0.95).unwrap();
    same(found.p_value, 0.04385930458486309);
    same_interval(&found, 0.00011103296999159535, 0.007954461356284824);
}

#[test]
fn equal_differences_are_judged_by_their_signs() {
    let base = [1.0, 2.0, 3.0];
    for found in [paired_t(&base, &base, 0.95), paired_bootstrap(&base, &base, 0.95, Bootstrap::default())] {
        let found = found.unwrap();
        assert_eq!((found.difference, found.p_value, found.standard_error), (0.0, 1.0, Some(0.0)));
        assert_eq!((found.interval.lower, found.interval.upper), (0.0, 0.0));
    }
    let one = paired_t(&[1.0], &[3.0], 0.95).unwrap();
    assert_eq!((one.p_value, one.standard_error, one.interval.lower, one.interval.upper), (1.0, None, 0.0, 4.0));
    let eight = paired_t(&[0.0; 8], &[0.5; 8], 0.95).unwrap();
    assert_eq!((eight.p_value, eight.interval.lower, eight.relative), (0.0078125, 0.5, None));
}

#[test]
fn the_bootstrap_is_scipys_within_chance() {
    // scipy.stats.bootstrap((d,), np.mean, method="BCa", n_resamples=200_000). The p-value is the level at which the end
    // of that interval, from scipy's resamples, is 0. With 99,999 resamples an end scatters by about 0.5 % of the width.
    let many = Bootstrap { resamples: 99_999, seed: 7 };
    let d = values(210, |i| if (i as u32).is_multiple_of(7) { 5.0 } else { i.sin() - 0.45 });
    let found = paired_bootstrap(&[0.0; 210], &d, 0.95, many).unwrap();
    same(found.difference, 0.3248075814900044);
    assert!((found.interval.lower - 0.07458848497527823).abs() < 0.004, "{found:?}");
    assert!((found.interval.upper - 0.6224534443152226).abs() < 0.004, "{found:?}");
    assert!((found.p_value / 0.009586359453518436 - 1.0).abs() < 0.15, "{found:?}");
    assert_eq!(found, paired_bootstrap(&[0.0; 210], &d, 0.95, many).unwrap());
    assert_eq!(found.method, "paired bootstrap (BCa, 99999 resamples)");
}

#[test]
fn the_bootstrap_does_not_depend_on_threads() {
    let b = values(200, |i| (1.7 * i).sin());
    let v = values(200, |i| (1.7 * i).sin() + 0.1 + 0.3 * (2.3 * i).cos());
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| paired_bootstrap(&b, &v, 0.95, Bootstrap::default()).unwrap())
    };
    let one = on(1);
    assert_eq!(one, on(3));
    let t = paired_t(&b, &v, 0.95).unwrap().interval;
    assert!((one.interval.lower - t.lower).abs() < 0.004 && (one.interval.upper - t.upper).abs() < 0.004, "{one:?}");
}

#[test]
fn the_bootstrap_and_its_interval_agree() {
    // The p-value is at most 1 - level where the interval leaves 0 out, and in no other case (but for the resamples that
    // lie between).
    let how = Bootstrap { resamples: 999, seed: 3 };
    for shift in 0..60 {
        let d = values(140, |i| (f64::from(shift) * 0.02 - 0.6) + (1.3 * i).sin().exp() - 1.2);
        let found = paired_bootstrap(&[0.0; 140], &d, 0.95, how).unwrap();
        let out = found.interval.lower > 0.0 || found.interval.upper < 0.0;
        assert!(out == (found.p_value <= 0.05) || (found.p_value - 0.05).abs() < 0.002, "{found:?}");
    }
}

#[test]
fn one_unit_among_equal_ones_is_no_evidence() {
    // The acceleration is the largest there is; the interval reaches the value of all others.
    for (value, level) in [(5.0, 0.95), (-5.0, 0.95), (5.0, 0.9999), (-5.0, 0.9999), (1e-9, 0.99)] {
        for n in [2, 3, 1000] {
            let mut d = vec![0.0; n];
            d[0] = value;
            let found = paired_bootstrap(&vec![0.0; n], &d, level, Bootstrap::default()).unwrap();
            assert!(found.interval.lower <= 0.0 && found.interval.upper >= 0.0, "{found:?}");
            assert!(found.p_value > 0.05, "{found:?}");
        }
    }
}

#[test]
fn few_that_differ_are_judged_by_their_signs_at_best() {
    // Four of 100 units, all better: the t-test alone says p = 0.045, four signs say 1 / 8.
    let mut d = vec![0.0; 100];
    d[..4].fill(1.0);
    for found in [paired_t(&[0.0; 100], &d, 0.95), paired_bootstrap(&[0.0; 100], &d, 0.95, Bootstrap::default())] {
        let found = found.unwrap();
        assert_eq!((found.p_value, found.interval.lower), (0.125, 0.0));
        assert!(found.interval.upper > 0.07, "{found:?}");
    }
}

#[test]
fn welch_is_scipys() {
    // scipy.stats.ttest_ind(y, x, equal_var=False)
    let x = values(40, |i| (1.7 * i).sin().exp());
    let y = values(70, |i| (1.5 * (2.3 * i).cos()).exp());
    let found = welch_t(&x, &y, 0.95).unwrap();
    same(found.p_value, 0.08660760203553705);
    same_interval(&found, -0.05599114082364631, 0.821889371250753);
    let Reference::Student(freedom) = found.reference else { panic!("{found:?}") };
    same(freedom, 107.99558493671003);
    same(found.relative.unwrap().lift, 0.29872206957797);
    same(found.relative.unwrap().standard_error, 0.19280760285282783);
    assert_eq!(welch_t(&[1.0, 1.0], &[1.0, 1.0, 1.0], 0.95).unwrap().p_value, 1.0);
    assert_eq!(welch_t(&[1.0, 1.0], &[2.0, 2.0], 0.95), Err(CompareError::NoVariance));
}

#[test]
fn proportions_are_those_of_statsmodels() {
    // proportions_ztest, scipy.stats.fisher_exact, confint_proportions_2indep(method="newcomb").
    for (a, n1, b, n2, z, fisher, lower, upper) in [
        (106, 1000, 183, 1000, 9.730138985421693e-07, 0.0, 0.046311765189355716, 0.10770463372644412),
        (2258, 21306, 3894, 21307, 1.4289370170173253e-112, 0.0, 0.07014307055298608, 0.08341248698808541),
        (1, 12, 7, 15, 0.0, 0.04325529542920847, 0.035527540348067765, 0.6253825139421108),
        (0, 20, 0, 30, 0.0, 1.0, -0.1611251580528194, 0.1135133931739688),
        (3, 200_000, 12, 200_000, 0.020134415224893745, 0.0, 6.188264149405151e-06, 9.095913717901006e-05),
    ] {
        let found = two_proportions(Proportion { successes: a, n: n1 }, Proportion { successes: b, n: n2 }, 0.95);
        let found = found.unwrap();
        assert_eq!(found.method.starts_with("Fisher"), fisher > 0.0, "{}", found.method);
        let expected = z + fisher;
        assert!((found.p_value / expected - 1.0).abs() < 1e-8, "{} and not {expected}", found.p_value);
        same_interval(&found, lower, upper);
    }
}

#[test]
fn wilson_is_that_of_statsmodels() {
    // statsmodels.stats.proportion.proportion_confint(k, n, alpha, method="wilson").
    for (successes, n, level, lower, upper) in [
        (0, 10, 0.95, 0.0, 0.27753279986288926),
        (3, 10, 0.95, 0.10779126740630104, 0.6032218525388546),
        (10, 10, 0.99, 0.6011459066950917, 1.0),
        (123, 4567, 0.9, 0.02326342837294318, 0.03116142265719711),
        (1, 1, 0.95, 0.2065493143772374, 1.0),
    ] {
        let found = wilson(Proportion { successes, n }, level).unwrap();
        assert!(
            (found.lower - lower).abs() < 1e-10 && (found.upper - upper).abs() < 1e-10,
            "{successes}/{n}: {found:?}"
        );
    }
    for (successes, n) in [(1, 0), (3, 2)] {
        assert!(wilson(Proportion { successes, n }, 0.95).is_err(), "{successes}/{n}");
    }
}

#[test]
fn mcnemar_is_that_of_statsmodels() {
    // mcnemar(exact=True).pvalue; the mid-p one 2 binom.cdf(k, n, 0.5) - binom.pmf(k, n, 0.5); the interval by numpy.
    for (lost, won, p_value, lower, upper) in [
        (10, 3, 0.09228515625, -0.08797206004011436, 0.0031235751915295074),
        (0, 6, 0.03125, 0.0033917648214469368, 0.07255760226716065),
        (12, 12, 1.0, -0.056783492063118196, 0.056783492063118196),
        (40, 62, 0.02968221463162665, 0.008646329683490842, 0.16458201677320206),
        (3000, 3201, 0.010695902034269473, 0.007353076819618887, 0.055924115058234095),
    ] {
        let of = |left: bool, right: bool, n: usize| std::iter::repeat_n((left, right), n);
        let both = of(true, true, 100).chain(of(false, false, 50)).chain(of(true, false, lost));
        let (baseline, variant): (Vec<bool>, Vec<bool>) = both.chain(of(false, true, won)).unzip();
        let found = mcnemar(&baseline, &variant, 0.95).unwrap();
        same(found.p_value, p_value);
        same_interval(&found, lower, upper);
        same(found.difference, (won as f64 - lost as f64) / baseline.len() as f64);
    }
}

fn scores() -> (Vec<bool>, Vec<f64>, Vec<f64>) {
    let labels: Vec<bool> = values(90, |k| (3.1 * k).sin() + 0.3 * k.cos()).into_iter().map(|x| x > 0.2).collect();
    let of = |weight: f64, noise: &dyn Fn(f64) -> f64| -> Vec<f64> {
        (0_u32..).zip(&labels).map(|(k, label)| f64::from(*label) * weight + noise(f64::from(k))).collect()
    };
    let first = of(0.8, &|k| (1.7 * k).sin()).iter().map(|score| (score * 10.0).round_ties_even() / 10.0).collect();
    let second = of(1.1, &|k| (2.3 * k).cos());
    (labels, first, second)
}

#[test]
fn delong_is_that_of_the_placements() {
    // The areas are those of sklearn.metrics.roc_auc_score; the covariance of the placements by numpy, pair by pair.
    let (labels, first, second) = scores();
    let found = delong(&labels, &first, &second, 0.95).unwrap();
    same(found.baseline, 0.7839068825910931);
    same(found.variant, 0.8461538461538461);
    same(found.standard_error.unwrap(), 0.0642448330010604);
    same(found.p_value, 0.3325939602912866);
    same(found.interval.lower, -0.06367059531211566);
    same(found.relative.unwrap().standard_error, 0.08576021609063857);
    let of_first = auc(&labels, &first, 0.95).unwrap();
    same(of_first.standard_error, 0.04747565623449356);
    same(of_first.interval.lower, 0.6768374507730514);
    same(of_first.interval.upper, 0.8626984914606474);
    let equal = delong(&labels, &first, &first, 0.95).unwrap();
    assert_eq!((equal.difference, equal.p_value), (0.0, 1.0));
    let perfect: Vec<f64> = labels.iter().map(|label| f64::from(*label)).collect();
    assert_eq!(auc(&labels, &perfect, 0.95).unwrap().interval.lower, 1.0);
    assert_eq!(delong(&labels, &[0.5; 90], &perfect, 0.95), Err(CompareError::NoVariance));
}

#[test]
fn ratios_have_the_variance_of_the_delta_method() {
    // (var(m) - 2 R cov(m, d) + R^2 var(d)) / (n mean(d)^2) by numpy.cov.
    let (d1, d2) = (values(50, |u| 1.0 + u % 4.0), values(80, |w| 1.0 + w % 3.0));
    let m1 = values(50, |u| (1.0 + u % 4.0) * (3.0 + (1.7 * u).sin()));
    let m2 = values(80, |w| (1.0 + w % 3.0) * (3.2 + (2.3 * w).cos()));
    let found =
        ratio_of_sums(Ratio { numerator: &m1, denominator: &d1 }, Ratio { numerator: &m2, denominator: &d2 }, 0.95)
            .unwrap();
    same(found.baseline, 3.0184102555520083);
    same(found.variant, 3.233186164626516);
    same(found.standard_error.unwrap(), 0.14023264842167052);
    same(found.p_value, 0.1256289470353455);
}

#[test]
fn cuped_takes_out_the_slope_of_least_squares() {
    // statsmodels.api.OLS(y, add_constant(x)).fit(): params[1], rsquared; then scipy.stats.ttest_ind(equal_var=False).
    let (xa, xb) = (values(50, |u| (1.7 * u).sin() + 3.0), values(80, |w| (1.9 * w).sin() + 3.0));
    let ya = values(50, |u| 2.0 * ((1.7 * u).sin() + 3.0) + (5.1 * u).cos());
    let yb = values(80, |w| 2.0 * ((1.9 * w).sin() + 3.0) + 0.2 + (4.7 * w).cos());
    let adjusted = cuped(&[(&ya, &xa), (&yb, &xb)]).unwrap();
    same(adjusted.theta, 1.995627412792822);
    same(adjusted.variance_reduction, 0.7949785120794017);
    let found = welch_t(&adjusted.adjusted[0], &adjusted.adjusted[1], 0.95).unwrap();
    same(found.p_value, 0.16123304360637644);
    same_interval(&found, -0.07367779441781391, 0.43714599213868216);
    // Nothing known before, nothing changed.
    assert_eq!(cuped(&[(&ya, &[1.0; 50]), (&yb, &[1.0; 80])]).unwrap().adjusted[0], ya);
}

#[test]
fn corrections_are_those_of_statsmodels() {
    // statsmodels.stats.multitest.multipletests(p, method="holm" and "fdr_bh")[1]
    let p = [0.01, 0.04, 0.03, 0.005, 0.5, 0.03];
    for (correction, expected) in [
        (Correction::None, p),
        (Correction::Holm, [0.05, 0.12, 0.12, 0.03, 0.5, 0.12]),
        (Correction::BenjaminiHochberg, [0.03, 0.048, 0.045, 0.03, 0.5, 0.045]),
    ] {
        let found = adjust(&p, correction).unwrap();
        found.into_iter().zip(expected).for_each(|(found, expected)| same(found, expected));
    }
    assert_eq!(adjust(&[], Correction::Holm).unwrap(), Vec::<f64>::new());
    assert!(adjust(&[f64::NAN], Correction::Holm).is_err());
}

#[test]
fn sample_ratios_are_those_of_scipy() {
    // scipy.stats.chisquare
    let found = sample_ratio(&[5050, 4700, 5100], &[1.0, 1.0, 1.0]).unwrap();
    same(found.statistic, 19.191919191919194);
    assert!((found.p_value / 6.800294152796295e-05 - 1.0).abs() < 1e-8);
    assert!(found.mismatch);
    // The textbook's example of a mismatch that nobody sees: 821,588 and 815,482 users.
    assert!(
        (sample_ratio(&[821_588, 815_482], &[0.5, 0.5]).unwrap().p_value / 1.8217928726191858e-06 - 1.0).abs() < 1e-8
    );
    assert_eq!(sample_ratio(&[60, 20], &[0.75, 0.25]).unwrap().p_value, 1.0);
    let error = sample_ratio(&[60, 20], &[0.75, 0.0]).unwrap_err();
    assert_eq!(error.to_string(), "the share of an arm is 0; it must be above 0");
}

#[test]
fn sample_sizes_are_those_of_statsmodels() {
    // (z + z')^2 (p q + p' q') / (p' - p)^2 = 3838.1; NormalIndPower().solve_power(0.2, power=0.8) = 392.44.
    assert_eq!(power::units_for_proportions(0.1, 0.12, 0.05, 0.8).unwrap(), 3839);
    assert_eq!(power::units_for_means(1.0, 0.2, 0.05, 0.8).unwrap(), 393);
    assert_eq!(power::pairs_for_difference(1.0, 0.2, 0.05, 0.8).unwrap(), 197);
    same(power::detectable_difference(1.5, 300, 0.05, 0.8).unwrap(), 0.24262439697527977);
    same(power::detectable_mean(1.0, 393, 0.05, 0.8).unwrap(), 0.2 * (392.4439867174543_f64 / 393.0).sqrt());
    // What 3,839 units detect is what 3,839 units are needed for.
    let rise = power::detectable_proportion(0.1, 3839, 0.05, 0.8).unwrap().unwrap();
    assert!(rise <= 0.02 && rise > 0.019_99, "{rise}");
    assert_eq!(power::detectable_proportion(0.5, 2, 0.05, 0.8).unwrap(), None);
    let error = power::units_for_means(1.0, 0.0, 0.05, 0.8).unwrap_err();
    assert_eq!(error.to_string(), "the difference is 0; it must be a finite number other than 0");
}

#[test]
fn confidence_sequences_follow_the_formula() {
    // half = s sqrt(2 (n r^2 + 1) ln(sqrt(n r^2 + 1) / a) / (n r)^2), r = sqrt((-2 ln a + ln(-2 ln a + 1)) / N) by numpy
    // for n = 1,200 units, a standard error of 0.013, a = 0.05 and N = 2,000.
    let half_width = 0.03979090487456375;
    let fixed = Comparison {
        method: "Welch's t-test".to_owned(),
        baseline: 0.0,
        variant: half_width,
        difference: half_width,
        interval: stagewright_compare::Interval { lower: 0.0, upper: 0.0 },
        level: 0.95,
        standard_error: Some(0.013),
        reference: Reference::Normal,
        p_value: 0.5,
        relative: None,
        paired: false,
        n_baseline: 600,
        n_variant: 600,
    };
    let found = always_valid(&fixed, 2000).unwrap();
    same(found.interval.upper, 2.0 * half_width);
    // The interval ends at 0 here, so its level is the p-value.
    same(found.p_value, 0.05);
    let Reference::AlwaysValid { n, rho } = found.reference else { panic!("{found:?}") };
    same(rho, 0.06299267656536578);
    same(n, 1200.0);
    assert!(always_valid(&found, 2000).is_err());
    assert_eq!(always_valid(&Comparison { standard_error: Some(0.0), ..fixed }, 9), Err(CompareError::NoVariance));
}

#[test]
fn the_variance_between_seeds_is_in_the_interval() {
    let (b, v) = pairs();
    let one = over_seeds(&[&b], &[&v], 0.95).unwrap();
    assert_eq!(one.method, "paired t-test, one seed: nothing is known of others");
    assert_eq!(one.interval, paired_t(&b, &v, 0.95).unwrap().interval);
    // Seeds that differ by a constant alone: the mean squares of the rest are 0, so the variance is that of the three
    // constants over 3 and that of the units over 60, and nothing else.
    let shifted = |by: f64| v.iter().map(|value| value + by).collect::<Vec<_>>();
    let (low, high) = (shifted(-0.1), shifted(0.1));
    let found = over_seeds(&[&b, &b, &b], &[&v, &low, &high], 0.95).unwrap();
    let of_units = 0.027674795458077245_f64.powi(2);
    same(found.standard_error.unwrap(), (0.01_f64 / 3.0 + of_units).sqrt());
    let each = [&v, &low, &high].map(|v| paired_t(&b, v, 0.95).unwrap());
    let summed = summaries_over_seeds(&each, 0.95).unwrap();
    same(summed.standard_error.unwrap(), found.standard_error.unwrap());
    let Reference::Student(freedom) = summed.reference else { panic!("{summed:?}") };
    let total = 0.01 / 3.0 + of_units;
    same(freedom, total * total / ((0.01_f64 / 3.0).powi(2) / 2.0 + of_units * of_units / 59.0));
    // The same with every seed: nothing between them.
    let found = over_seeds(&[&b, &b], &[&v, &v], 0.95).unwrap();
    same(found.standard_error.unwrap(), 0.027674795458077245);
    assert!(over_seeds(&[], &[], 0.95).is_err());
    assert!(over_seeds(&[&b, &b[..5]], &[&v, &v[..5]], 0.95).is_err());
    assert!(summaries_over_seeds(&[], 0.95).is_err());
}

#[test]
fn a_verdict_never_contradicts_its_p_value() {
    let of = |a: u64, b: u64, n: u64| {
        two_proportions(Proportion { successes: a, n }, Proportion { successes: b, n }, 0.95).unwrap()
    };
    let rule = Rule::default();
    let up = of(1000, 1200, 10_000);
    let said = |p: f64, goal| judge(&up, p, goal, rule).unwrap().verdict;
    assert_eq!(said(0.01, Goal::Maximize), Verdict::Better);
    assert_eq!(said(0.01, Goal::Minimize), Verdict::Worse);
    assert_eq!(said(0.05, Goal::Maximize), Verdict::Better);
    assert_eq!(said(0.0501, Goal::Maximize), Verdict::Underpowered);
    // Both shares 10 %, so a unit's variance is 0.09: of what is 0.005 apart it takes 16 times those of 0.02.
    let same_share = judge(&of(1000, 1000, 10_000), 1.0, Goal::Maximize, rule).unwrap();
    assert_eq!(same_share.verdict, Verdict::Underpowered);
    same(same_share.detectable.unwrap(), 2.801585218 * (2.0_f64 * 0.09 / 10_000.0).sqrt());
    assert_eq!(same_share.reason, "only a difference of 11.9 % would be seen, 5 % matters");
    // (z + z')^2 2 p q / d^2 = 56,512 in each arm.
    assert!(same_share.needed.unwrap().abs_diff(2 * 56_512) < 3, "{:?}", same_share.needed);
    let enough = judge(&of(10_000, 10_000, 100_000), 1.0, Goal::Maximize, rule).unwrap();
    assert_eq!(enough.verdict, Verdict::NoDifference);
    // Nine tests at a level take more.
    let shared = judge(&of(10_000, 10_000, 100_000), 1.0, Goal::Maximize, Rule { tests: 900, ..rule }).unwrap();
    assert_eq!(shared.verdict, Verdict::Underpowered);
    // Nothing to be relative to.
    assert_eq!(judge(&of(0, 0, 100), 1.0, Goal::Maximize, rule).unwrap().verdict, Verdict::NoDifference);
    let one = paired_t(&[1.0], &[3.0], 0.95).unwrap();
    assert_eq!(judge(&one, 1.0, Goal::Maximize, rule).unwrap().verdict, Verdict::Underpowered);
    assert!(judge(&up, 1.5, Goal::Maximize, rule).is_err());
}

#[test]
fn impossible_input_is_an_error_in_words() {
    let says = |error: Result<Comparison, CompareError>| error.unwrap_err().to_string();
    assert_eq!(says(paired_t(&[], &[], 0.95)), "there are 0 units, at least 1 are needed");
    assert_eq!(
        says(paired_t(&[1.0], &[], 0.95)),
        "there are 1 values on one side and 0 on the other: pairs must be of the same units"
    );
    assert_eq!(says(paired_t(&[1.0, f64::NAN], &[1.0, 2.0], 0.95)), "value 1 (counted from 0) is not a finite number");
    assert_eq!(says(paired_t(&[1.0], &[1.0], 95.0)), "the level is 95; it must be above 0 and below 1");
    assert_eq!(says(paired_t(&[1e300, -1e300], &[2.0, 1e300], 0.95)), "the values are too large to calculate with");
    assert_eq!(
        says(paired_bootstrap(&[1.0], &[2.0], 0.95, Bootstrap { resamples: 10, seed: 0 })),
        "the number of resamples is 10; it must be at least 99"
    );
    assert_eq!(
        says(delong(&[true, true, false], &[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0], 0.95)),
        "at least 2 units of each class are needed, there are 2 positive and 1 negative ones"
    );
    assert_eq!(says(welch_t(&[1.0], &[1.0, 2.0], 0.95)), "there are 1 units, at least 2 are needed");
    let (none, few) = (Proportion { successes: 0, n: 0 }, Proportion { successes: 3, n: 2 });
    assert_eq!(says(two_proportions(none, none, 0.95)), "there are 0 units, at least 1 are needed");
    assert_eq!(says(two_proportions(few, few, 0.95)), "there are 3 successes among 2 units");
    let zero = Ratio { numerator: &[1.0, 2.0], denominator: &[1.0, -1.0] };
    assert_eq!(says(ratio_of_sums(zero, zero, 0.95)), "the denominators add up to 0");
    assert_eq!(
        says(mcnemar(&[true], &[], 0.95)),
        "there are 1 values on one side and 0 on the other: pairs must be of the same units"
    );
}
