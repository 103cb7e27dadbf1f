use polars::prelude::{Column, DataFrame};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, Kind, ParamError, Port, StageError, Task};
use stagewright_frame::polars_error;

use crate::boosting::LARGEST;
use crate::cart::{self, Grown, Limits};
use crate::estimator::{Estimator, Fit, Fitting};
use crate::features::Categories;
use crate::impurity::{Criterion, Targets};
use crate::predictor::Predictor;
use crate::trees::{Trees, shares};

/// Learn a probability or a number as one tree of questions (CART).
///
/// Each node asks whether a feature is at most a threshold, the one among all that lowers the impurity most (Breiman,
/// Friedman, Olshen & Stone 1984), as scikit-learn's `DecisionTreeClassifier` and `-Regressor`; a leaf answers with the
/// share of the positive class or the mean among its rows. Thresholds lie halfway between values; of equally good splits
/// the one by the feature that `features` names first is taken, and of that the lowest. Missing values go to the side
/// that fits them better, or with the majority where there were none to learn from. A text column is the place of its
/// category among all of them, ascending, from 0. Without limits a tree learns its rows by heart: `max_depth` or
/// `min_samples_leaf` make it useful, and `rules` readable. `importance` is a feature's share in the decrease of
/// impurity. The model depends neither on the number of threads nor on the order of the rows. Takes targets up to 1e100.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionTree {
    /// The impurity to lower: `gini` or `entropy` predict the probability of a class, `squared_error` a number.
    #[serde(default)]
    pub criterion: Criterion,
    /// The largest number of splits on the way to a leaf; without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_depth: Option<usize>,
    /// A node of fewer rows is a leaf.
    #[serde(default = "two")]
    #[schemars(range(min = 2))]
    pub min_samples_split: usize,
    /// The least number of rows in a leaf.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub min_samples_leaf: usize,
    /// A split must lower the impurity by at least this, weighted by the node's share of all rows.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub min_impurity_decrease: f64,
}

fn two() -> usize {
    2
}

fn one() -> usize {
    1
}

impl Estimator for DecisionTree {
    const TYPE: &'static str = "model.decision_tree";
    const EXAMPLE: &'static str = "\
inputs: { table: split.train }
with: { features: [order_number, days_since_prior_order], target: reordered, max_depth: 4, min_samples_leaf: 50 }";
    const TAKES_MISSING: bool = true;
    const TABLE_COLUMNS: &'static [&'static str] =
        &["node", "parent", "depth", "condition", "rows", "value", "impurity", "leaf"];

    fn task(&self) -> Task {
        self.criterion.task()
    }

    fn categories(&self) -> Categories {
        Categories::Ordinal
    }

    fn check(&self) -> Result<(), ParamError> {
        if !(self.min_impurity_decrease >= 0.0 && self.min_impurity_decrease.is_finite()) {
            return Err(ParamError::new("min_impurity_decrease", "the decrease must be at least 0"));
        }
        Ok(())
    }

    fn ports() -> Vec<Port> {
        vec![Port::output(
            "rules",
            Kind::Table,
            "For each node, parents before children: `node`, `parent` (int64; null for the root, node 0), `depth` \
             (int64), `condition` (text: what of the parent's rows it holds), `rows` (int64), `value` (double: share \
             of the positive class, or mean of the target), `impurity` (double), `leaf` (boolean).",
        )]
    }

    fn fit(&self, fitting: &Fitting<'_>) -> Result<Fit, StageError> {
        refuse_what_is_too_large(fitting)?;
        let targets = Targets::new(fitting.target, self.criterion);
        let limits = Limits {
            max_depth: self.max_depth,
            min_samples_split: self.min_samples_split,
            min_samples_leaf: self.min_samples_leaf,
            min_impurity_decrease: self.min_impurity_decrease,
        };
        let grown = cart::grow(fitting.matrix, &targets, &limits, || fitting.context.check_cancelled())?;
        let depth = grown.nodes.iter().map(|node| node.depth).max().unwrap_or(0);
        let mut warnings = Vec::new();
        if depth == 0 {
            warnings.push("no split was found: every row gets the same prediction".to_owned());
        }
        let metrics = vec![
            ("leaves", Some(grown.tree.leaves() as f64), Goal::Describe),
            ("depth", Some(depth as f64), Goal::Describe),
        ];
        let tables = vec![("rules", rules(&grown, fitting.names)?)];
        let importance = shares(&grown.decreases);
        let predictor = Predictor::Trees(Trees { trees: vec![grown.tree] });
        Ok(Fit { metrics, tables, warnings, ..Fit::new(predictor, importance) })
    }
}

/// Refuses what whole numbers of 64 bits and indices of 32 cannot hold.
pub(crate) fn refuse_what_is_too_large(fitting: &Fitting<'_>) -> Result<(), StageError> {
    let rows = fitting.target.len();
    if u32::try_from(rows).is_err() {
        return Err(StageError::data(format!("{rows} rows are too many, at most {} are taken", u32::MAX))
            .with_help("learn from a sample"));
    }
    if fitting.target.iter().any(|value| value.abs() > LARGEST) {
        return Err(StageError::data("the target has values beyond 1e100").with_help("scale it"));
    }
    Ok(())
}

fn rules(grown: &Grown, names: &[String]) -> Result<DataFrame, StageError> {
    let nodes = grown.nodes.len();
    let mut parents: Vec<Option<i64>> = vec![None; nodes];
    let mut conditions: Vec<Option<String>> = vec![None; nodes];
    for node in 0..nodes {
        let Some(cut) = grown.tree.cut(node) else { continue };
        let name = names.get(cut.feature).map_or("", String::as_str);
        let missing = |goes: bool| if goes { " or missing" } else { "" };
        let [left, right] = if cut.threshold == f64::MAX {
            ["known", "missing"].map(|what| format!("{name} is {what}"))
        } else {
            let threshold = cut.threshold;
            [
                format!("{name} <= {threshold}{}", missing(cut.missing_left)),
                format!("{name} > {threshold}{}", missing(!cut.missing_left)),
            ]
        };
        let child = grown.tree.left[node] as usize;
        for (child, condition) in [(child, left), (child + 1, right)] {
            parents[child] = i64::try_from(node).ok();
            conditions[child] = Some(condition);
        }
    }
    let of = |value: &dyn Fn(&cart::Node) -> f64| grown.nodes.iter().map(value).collect::<Vec<f64>>();
    DataFrame::new_infer_height(vec![
        Column::new("node".into(), (0..nodes as i64).collect::<Vec<_>>()),
        Column::new("parent".into(), parents),
        Column::new("depth".into(), grown.nodes.iter().map(|node| node.depth as i64).collect::<Vec<_>>()),
        Column::new("condition".into(), conditions),
        Column::new("rows".into(), grown.nodes.iter().map(|node| node.rows as i64).collect::<Vec<_>>()),
        Column::new("value".into(), of(&|node| node.value)),
        Column::new("impurity".into(), of(&|node| node.impurity)),
        Column::new("leaf".into(), (0..nodes).map(|node| grown.tree.cut(node).is_none()).collect::<Vec<_>>()),
    ])
    .map_err(|error| polars_error("collecting the rules", &error))
}
