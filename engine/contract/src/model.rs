use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The artifact of a `model` port: what a stage learned from a table, so that another can apply it to a table with the
/// same columns, in this workflow or in another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The stage type that learned it, such as `model.logistic`.
    pub learned_by: String,
    /// What it predicts.
    pub task: Task,
    /// The columns that it reads, in order.
    pub features: Vec<ModelFeature>,
    /// The name of the column that it predicts.
    pub target: String,
    /// How many rows it learned from.
    pub rows: u64,
    /// What it learned, in a form of its type's own.
    pub state: Value,
}

/// What a model predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// The probability of one of two classes.
    Classification,
    /// A number.
    Regression,
}

/// A column that a model reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFeature {
    /// Its name.
    pub name: String,
    /// Its Arrow type when the model was learned: `int64`, `double`, …
    #[serde(rename = "type")]
    pub dtype: String,
    /// Least and largest value seen; `None` where it held none.
    pub range: Option<(f64, f64)>,
}
