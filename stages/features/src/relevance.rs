//! What one column tells about another: the test that fits the two, and their mutual information.

use polars::prelude::DataFrame;
use stagewright_contract::StageError;
use stagewright_frame::column;

use crate::association::{Contingency, anova, is_constant, pearson, quantile_classes};
use crate::category::{categories, distinct_values};
use crate::keys::finite;
use crate::select::{Role, Select, role};
use crate::tails;

/// A target of more classes than this names things rather than classes.
const MOST_CLASSES: usize = 200;

/// The values of a column, null where missing.
enum Values {
    Numbers(Vec<Option<f64>>),
    Classes { of_row: Vec<Option<u32>>, count: usize },
    Neither(String),
}

/// What is to be told about.
pub(crate) struct Target {
    values: Values,
    rows: usize,
}

impl Target {
    /// The target in a column, as classes or as numbers.
    ///
    /// # Errors
    /// When it is neither, or holds a single value.
    pub(crate) fn of(frame: &DataFrame, name: &str, classes: bool) -> Result<Self, StageError> {
        let (values, rows, distinct) = if classes {
            let keys = categories(frame, name)?;
            let count = keys.len();
            if count > MOST_CLASSES {
                return Err(StageError::data(format!("column `{name}` has {count} classes, more than {MOST_CLASSES}"))
                    .with_help("name another target, or set `task: regression` where it holds numbers"));
            }
            let rows = keys.rows().count();
            (Values::Classes { of_row: keys.of_row, count }, rows, count)
        } else {
            let numbers = finite(frame, name)?;
            let known: Vec<f64> = numbers.iter().flatten().copied().collect();
            let distinct = known.len().min(if is_constant(&known) { 1 } else { 2 });
            (Values::Numbers(numbers), known.len(), distinct)
        };
        match distinct {
            0 => Err(StageError::data(format!("column `{name}` has no values, a target is needed"))),
            1 => Err(StageError::data(format!("column `{name}` holds a single value: nothing tells about it"))
                .with_help("name another target")),
            _ => Ok(Self { values, rows }),
        }
    }

    /// How many rows have one.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }
}

/// A candidate column.
pub(crate) struct Feature {
    values: Values,
    /// The share of the rows that are not null; `None` without rows.
    pub(crate) completeness: Option<f64>,
}

/// What a feature tells about the target; nothing where there is a problem.
#[derive(Default)]
pub(crate) struct Relevance {
    pub(crate) test: Option<&'static str>,
    pub(crate) statistic: Option<f64>,
    pub(crate) p_value: Option<f64>,
    pub(crate) association: Option<f64>,
    pub(crate) mutual_information: Option<f64>,
    /// Why it cannot be tested.
    pub(crate) problem: Option<String>,
}

impl Relevance {
    fn problem(problem: impl Into<String>) -> Self {
        Self { problem: Some(problem.into()), ..Self::default() }
    }
}

impl Feature {
    /// The candidate in a column.
    ///
    /// # Errors
    /// When it holds an infinite number, or fractions that are said to be categories.
    pub(crate) fn of(frame: &DataFrame, name: &str, select: &Select) -> Result<Self, StageError> {
        let candidate = column(frame, name)?;
        if select.categorical.iter().any(|other| other == name) {
            // Refuses fractions, which would be taken for numbers otherwise.
            categories(frame, name)?;
        }
        let mut known = candidate.len() - candidate.null_count();
        let values = match role(select, name, candidate.dtype()) {
            Role::Number => {
                let numbers = finite(frame, name)?;
                known = numbers.iter().flatten().count();
                Values::Numbers(numbers)
            }
            Role::Category => {
                let keys = distinct_values(frame, name)?;
                if keys.len() > select.max_categories {
                    Values::Neither(format!("{} categories, more than {}", keys.len(), select.max_categories))
                } else {
                    let count = keys.len();
                    Values::Classes { of_row: keys.of_row, count }
                }
            }
            Role::Other => Values::Neither(format!("{} is neither number nor category", candidate.dtype())),
        };
        let completeness = (!candidate.is_empty()).then(|| known as f64 / candidate.len() as f64);
        Ok(Self { values, completeness })
    }

    /// `number`, `category` or `other`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.values {
            Values::Numbers(_) => "number",
            Values::Classes { .. } => "category",
            Values::Neither(_) => "other",
        }
    }

    /// The numbers of two features in the rows that have both; nothing where either holds no numbers.
    pub(crate) fn both_numbers(&self, other: &Self) -> Option<(Vec<f64>, Vec<f64>)> {
        match (&self.values, &other.values) {
            (Values::Numbers(a), Values::Numbers(b)) => Some(both(a, b)),
            _ => None,
        }
    }

    /// What it tells about the target.
    pub(crate) fn relevance(&self, target: &Target, bins: usize) -> Relevance {
        match (&self.values, &target.values) {
            (Values::Neither(problem), _) => Relevance::problem(problem),
            (Values::Numbers(x), Values::Numbers(y)) => {
                let (x, y) = both(x, y);
                regression(&x, &y, bins)
            }
            (Values::Numbers(x), Values::Classes { of_row, count }) => {
                let (x, classes) = both(x, of_row);
                let mut relevance = variance(&x, &classes, *count, bins);
                if *count == 2 {
                    let y: Vec<f64> = classes.iter().map(|class| f64::from(*class)).collect();
                    relevance.association = pearson(&x, &y);
                }
                relevance
            }
            (Values::Classes { of_row, count }, Values::Numbers(y)) => {
                let (classes, y) = both(of_row, y);
                variance(&y, &classes, *count, bins)
            }
            (Values::Classes { of_row, count }, Values::Classes { of_row: target, count: target_count }) => {
                let (classes, target) = both(of_row, target);
                contingency(&classes, *count, &target, *target_count)
            }
            (_, Values::Neither(problem)) => Relevance::problem(problem),
        }
    }
}

/// The values of the rows that have both.
fn both<A: Copy, B: Copy>(a: &[Option<A>], b: &[Option<B>]) -> (Vec<A>, Vec<B>) {
    a.iter().zip(b).filter_map(|(a, b)| Some(((*a)?, (*b)?))).unzip()
}

const CONSTANT: &str = "constant where the target is known";

/// Numbers against numbers.
fn regression(x: &[f64], y: &[f64], bins: usize) -> Relevance {
    let Some(r) = pearson(x, y) else { return Relevance::problem(CONSTANT) };
    let dof = x.len() as f64 - 2.0;
    let f = r * r / ((1.0 - r) * (1.0 + r)) * dof;
    let (x, x_count) = quantile_classes(x, bins);
    let (y, y_count) = quantile_classes(y, bins);
    Relevance {
        test: Some("f_regression"),
        statistic: (dof > 0.0).then_some(f).filter(|f| f.is_finite()),
        p_value: tails::correlation(r, x.len()),
        association: Some(r),
        mutual_information: Some(information(&x, x_count, &y, y_count)),
        problem: None,
    }
}

/// Numbers against the classes of their rows.
fn variance(numbers: &[f64], classes: &[u32], count: usize, bins: usize) -> Relevance {
    let one_class = classes.windows(2).all(|pair| pair[0] == pair[1]);
    if is_constant(numbers) || one_class {
        return Relevance::problem(CONSTANT);
    }
    let anova = anova(numbers, classes, count);
    let (binned, binned_count) = quantile_classes(numbers, bins);
    Relevance {
        test: Some("f_classif"),
        statistic: anova.and_then(|anova| anova.f),
        p_value: anova.and_then(|anova| anova.p_value),
        association: anova.map(|anova| anova.eta),
        mutual_information: Some(information(&binned, binned_count, classes, count)),
        problem: None,
    }
}

/// Categories against classes.
fn contingency(classes: &[u32], count: usize, target: &[u32], target_count: usize) -> Relevance {
    let counts = Contingency::of(classes.iter().copied().zip(target.iter().copied()), count, target_count);
    match counts.chi_square() {
        Some(test) if test.dof > 0 => Relevance {
            test: Some("chi2"),
            statistic: Some(test.statistic),
            p_value: test.p_value,
            association: test.cramers_v,
            mutual_information: Some(counts.mutual_information()),
            problem: None,
        },
        _ => Relevance::problem(CONSTANT),
    }
}

fn information(a: &[u32], a_count: usize, b: &[u32], b_count: usize) -> f64 {
    Contingency::of(a.iter().copied().zip(b.iter().copied()), a_count, b_count).mutual_information()
}
