use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, StageError};

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// Larger is better.
    Maximize,
    /// Smaller is better.
    Minimize,
    /// Neither: a description, such as a count.
    Describe,
}

/// One named number about a stage's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The value; `None` where it is undefined (a mean over nothing), never NaN.
    pub value: Option<f64>,
    /// Which way is better.
    pub goal: Goal,
    /// How it comes from single units; `None` where it cannot be taken apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
}

/// Where the single units stand that metrics are computed from: a table port of the same stage, with a row per unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitsTable {
    /// The port.
    pub port: String,
    /// The columns that tell its rows apart; where there are none, the order of the rows does.
    pub keys: Vec<String>,
}

/// How a metric comes from the rows of the table of units ([`Metrics::units_table`]), so that two variants can be
/// compared unit by unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sample {
    /// The mean of a column of numbers. A metric that is no mean of its own is one of its linearised values: the metric
    /// plus the influence of the unit on it, which is what the delta method takes the variance of.
    Mean(String),
    /// The share of rows in which a boolean column is true.
    Share(String),
    /// The area under the ROC curve: the probability that a row in which `outcome` is true has the higher `score`.
    Auc {
        /// The column of scores.
        score: String,
        /// The boolean column of outcomes.
        outcome: String,
    },
}

/// The artifact of a `metrics` port: named numbers, and over which test units they were computed.
///
/// Two metrics artifacts can be compared when their `unit` and `units_digest` are equal: they then speak of the same
/// users (or orders, or rows).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// What was averaged over, such as `user`; `None` where nothing was.
    pub unit: Option<String>,
    /// How many units.
    pub units: Option<u64>,
    /// A digest of the identities of those units and of what is true of them.
    pub units_digest: Option<Digest>,
    /// The table with a row per unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units_table: Option<UnitsTable>,
    /// The numbers by name, such as `ndcg@10`.
    pub values: BTreeMap<String, Metric>,
}

impl Metrics {
    /// No metrics yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the units that the metrics are averages over.
    #[must_use]
    pub fn over(mut self, unit: &str, units: u64, digest: Digest) -> Self {
        self.unit = Some(unit.to_owned());
        self.units = Some(units);
        self.units_digest = Some(digest);
        self
    }

    /// Names the port with the table that has a row per unit, and the columns that tell its rows apart.
    #[must_use]
    pub fn with_units_at(mut self, port: &str, keys: &[String]) -> Self {
        self.units_table = Some(UnitsTable { port: port.to_owned(), keys: keys.to_vec() });
        self
    }

    /// Says how metrics that are there come from the table of units.
    pub fn sampled<'a>(&mut self, samples: impl IntoIterator<Item = (&'a str, Sample)>) {
        for (name, sample) in samples {
            if let Some(metric) = self.values.get_mut(name) {
                metric.sample = Some(sample);
            }
        }
    }

    /// Adds a metric; `None` where it is undefined.
    ///
    /// # Errors
    /// A [`StageError::bug`] when the value is NaN or infinite: an undefined value is `None`.
    pub fn insert(&mut self, name: impl Into<String>, value: Option<f64>, goal: Goal) -> Result<(), StageError> {
        let name = name.into();
        if value.is_some_and(|value| !value.is_finite()) {
            return Err(StageError::bug(format!("metric `{name}` is not a finite number")));
        }
        // `-0.0` and `0.0` are one value and must be one text.
        let value = value.map(|value| if value == 0.0 { 0.0 } else { value });
        self.values.insert(name, Metric { value, goal, sample: None });
        Ok(())
    }
}
