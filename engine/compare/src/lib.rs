//! The statistics of a comparison: numbers in, numbers out, one idea per module.
//!
//! Two sides are compared, the *baseline* and the *variant*. What belongs to the same units (users, orders, rows) is
//! *paired*: [`paired_t`], [`paired_bootstrap`], [`mcnemar`], [`delong`], and [`over_seeds`] for repeats. Groups of
//! different units, as in a live test, are *independent*: [`two_proportions`], [`welch_t`], [`ratio_of_sums`],
//! [`cuped`]; whether such groups are as large as was planned, [`sample_ratio`] says. Each gives a [`Comparison`];
//! [`always_valid`] makes of it one that may be looked at as often as one likes, [`adjust`] corrects the p-values of
//! many, and [`judge`] says in a word what follows. [`power`](mod@power) plans the next one.
//!
//! Nothing here reads files, a clock or the environment, results are the same on any number of threads, every number
//! that comes out is finite, and input from which nothing follows is a [`CompareError`].

mod auc;
mod bootstrap;
mod comparison;
mod cuped;
mod distributions;
mod error;
mod fisher;
mod mcnemar;
mod multiple;
mod paired;
pub mod power;
mod proportions;
mod ratio;
mod sample;
mod sample_ratio;
mod seeds;
mod sequential;
mod verdict;
mod welch;

pub use auc::{Auc, auc, auc_values, delong};
pub use bootstrap::{Bootstrap, paired_bootstrap};
pub use comparison::{Comparison, Interval, Reference, Relative};
pub use cuped::{Cuped, cuped};
pub use error::CompareError;
pub use mcnemar::mcnemar;
pub use multiple::{Correction, adjust};
pub use paired::paired_t;
pub use proportions::{Proportion, two_proportions, wilson};
pub use ratio::{Ratio, ratio_of_sums};
pub use sample_ratio::{SampleRatio, sample_ratio};
pub use seeds::{over_seeds, summaries_over_seeds};
pub use sequential::always_valid;
pub use verdict::{Goal, Judgement, Rule, Verdict, judge};
pub use welch::welch_t;
