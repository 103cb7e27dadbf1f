use std::collections::BTreeSet;

use polars::prelude::{Column, DataFrame, DataType};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Series, Stage, StageContext,
    StageError, Table,
};
use stagewright_frame::{column, polars_error, require, to_frame, to_table};

use crate::association::pearson;
use crate::category::{cut, is_numeric, marked_by_name, no_repeats};
use crate::keys::rows_have;
use crate::relevance::{Feature, Relevance, Target};

/// Select the columns that tell most about a target, by completeness, significance, information and redundancy.
///
/// Each candidate is tested against the target over the rows in which both are known. Which test it is depends on what
/// the two are: numbers against numbers Pearson's correlation (`f_regression`), numbers against classes and categories
/// against numbers a one-way analysis of variance (`f_classif`), categories against classes Pearson's chi-square
/// (`chi2`, of the contingency table, without a correction). `association` is, in the same order, Pearson's r (for two
/// classes the point-biserial one, the greater class as 1), the correlation ratio eta, Cramér's V. P-values are not
/// adjusted for the number of candidates.
///
/// `mutual_information` (nats) compares columns of any type: numbers with more than `bins` distinct values, those of
/// the target too, are put into bins between their `i / bins` quantiles (`pandas.qcut(…, duplicates="drop")`), anything
/// else is a class for each value; it is `sklearn.metrics.mutual_info_score` of the two. Candidates are ranked by it,
/// equal ones by p-value, then by their place in the table.
///
/// A candidate is dropped, for the first of these reasons, when it is in `drop`; is less complete than
/// `min_completeness`; is constant, neither numbers nor categories, or has more than `max_categories`; is less
/// significant than `max_p_value`; correlates beyond `max_correlation` with one that is kept before it; or is beyond
/// the best `k`. One in `keep` is kept before all others and whatever it is. All rows pass through; those without a
/// target take no part in the tests. Null and NaN are missing, an infinite number is an error.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// The column to be told about.
    pub target: String,
    /// Whether the target holds classes or numbers.
    #[serde(default)]
    pub task: SelectTask,
    /// The candidates; without it, every column but the target, those in `carry`, and personal ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// Integer columns whose numbers are only names, such as `department_id`.
    #[serde(default)]
    pub categorical: Vec<String>,
    /// Columns to keep whatever the tests say: what is known from elsewhere to matter.
    #[serde(default)]
    pub keep: Vec<String>,
    /// Columns to drop whatever the tests say: what is known from elsewhere not to be known in time.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Columns that are no features and pass through, such as the user and the order.
    #[serde(default)]
    pub carry: Vec<String>,
    /// The least share of rows, 0 to 1, that must not be null.
    #[serde(default = "half")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_completeness: f64,
    /// The greatest p-value, 0 to 1.
    #[serde(default = "five_percent")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_p_value: f64,
    /// The greatest Pearson correlation, 0 to 1 and of either sign, of a numeric column with one that is kept before
    /// it; without it, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_correlation: Option<f64>,
    /// How many columns to keep at most, those in `keep` among them; without it, all that remain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub k: Option<usize>,
    /// How many bins numbers are put into for the mutual information.
    #[serde(default = "ten")]
    #[schemars(range(min = 2, max = 1000))]
    pub bins: usize,
    /// More categories than this say more about single rows than about the target.
    #[serde(default = "thousand")]
    #[schemars(range(min = 2, max = 10000))]
    pub max_categories: usize,
}

/// What a target holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SelectTask {
    /// Classes where it is text, boolean, or integers of at most ten distinct values; numbers otherwise.
    #[default]
    Auto,
    /// Classes.
    Classification,
    /// Numbers.
    Regression,
}

fn half() -> f64 {
    0.5
}

fn five_percent() -> f64 {
    0.05
}

fn ten() -> usize {
    10
}

fn thousand() -> usize {
    1000
}

const SCORES: [&str; 10] = [
    "column",
    "kind",
    "completeness",
    "test",
    "statistic",
    "p_value",
    "association",
    "mutual_information",
    "kept",
    "reason",
];

/// More bars than this are left to the table.
const SHOWN: usize = 30;

impl Stage for Select {
    const TYPE: &'static str = "features.select";
    const EXAMPLE: &'static str = "inputs: { table: train }\nwith: { target: reordered, categorical: [department_id], \
                                   carry: [user_id, order_id], drop: [add_to_cart_order], k: 6 }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with the target and candidates."),
            Port::output(
                "table",
                Kind::Table,
                "The same rows; of the columns the kept ones, the target and those in `carry`, in their order.",
            ),
            Port::output(
                "scores",
                Kind::Table,
                "One row per candidate, most informative first: `column`, `kind` (string: `number`, `category` or \
                 `other`), `completeness` (double, 0 to 1), `test` (string), `statistic`, `p_value`, `association`, \
                 `mutual_information` (double; null where there is no such thing), `kept` (bool), `reason` (string).",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "How many `candidates` there are and how many are `kept`; the `rows` with a target.",
            ),
            Port::output(
                "figure",
                Kind::Figure,
                "The mutual information of the 30 most informative candidates, those kept and those dropped.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        let lists = [
            ("columns", self.columns.as_deref().unwrap_or_default()),
            ("categorical", &self.categorical),
            ("keep", &self.keep),
            ("drop", &self.drop),
            ("carry", &self.carry),
        ];
        for (param, names) in lists {
            no_repeats(param, names)?;
            if let Some(index) = names.iter().position(|name| *name == self.target && param != "categorical") {
                return Err(ParamError::new(format!("{param}/{index}"), format!("`{}` is the target", self.target)));
            }
        }
        for (index, name) in self.drop.iter().enumerate() {
            if self.keep.contains(name) {
                return Err(ParamError::new(format!("drop/{index}"), format!("`{name}` is in `keep` as well")));
            }
        }
        for (index, name) in self.carry.iter().enumerate() {
            if self.keep.contains(name) || self.columns.iter().flatten().any(|other| other == name) {
                return Err(ParamError::new(format!("carry/{index}"), format!("`{name}` is a candidate as well"))
                    .with_help("a column in `carry` is no feature: name it in one of the two"));
            }
        }
        for (param, share) in [
            ("min_completeness", Some(self.min_completeness)),
            ("max_p_value", Some(self.max_p_value)),
            ("max_correlation", self.max_correlation),
        ] {
            if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
                return Err(ParamError::new(param, "it must lie between 0 and 1"));
            }
        }
        if !(2..=1000).contains(&self.bins) {
            return Err(ParamError::new("bins", "there can be 2 to 1000 bins"));
        }
        if !(2..=10_000).contains(&self.max_categories) {
            return Err(ParamError::new("max_categories", "there can be 2 to 10000 categories"));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        // Personal columns are no candidates unless they are named.
        let named = self.columns.iter().flatten().chain(&self.keep).chain(&self.carry).chain([&self.target]);
        [
            ("table".to_owned(), marked_by_name(inputs, named.map(String::as_str))),
            ("scores".to_owned(), marked_by_name(inputs, SCORES)),
        ]
        .into()
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        let named = [&self.categorical, &self.keep, &self.drop, &self.carry].into_iter().flatten();
        let named = named.chain(self.columns.iter().flatten()).chain([&self.target]);
        require(&frame, named.map(String::as_str))?;
        let target = Target::of(&frame, &self.target, self.classes(&frame)?)?;
        let without = frame.height() - target.rows();
        if without > 0 {
            context.warn(format!("{} no `{}`: left out of the tests", rows_have(without), self.target));
        }

        let names = self.candidates(&frame, &table);
        if names.is_empty() {
            return Err(StageError::data("there is no candidate column besides the target")
                .with_help("name candidates in `columns`"));
        }
        let mut candidates = names
            .par_iter()
            .map(|name| {
                context.check_cancelled()?;
                let feature = Feature::of(&frame, name, self)?;
                let relevance = feature.relevance(&target, self.bins);
                Ok(Candidate { name, feature, relevance, kept: false, reason: String::new() })
            })
            .collect::<Result<Vec<_>, StageError>>()?;
        candidates.sort_by(Candidate::by_rank);
        self.decide(&mut candidates);

        let kept: BTreeSet<&str> = candidates.iter().filter(|one| one.kept).map(|one| one.name).collect();
        if kept.is_empty() {
            context.warn("no column is kept: see the reasons in `scores`".to_owned());
        }
        let mut metrics = Metrics::new();
        metrics.insert("candidates", Some(candidates.len() as f64), Goal::Describe)?;
        metrics.insert("kept", Some(kept.len() as f64), Goal::Describe)?;
        metrics.insert("rows", Some(target.rows() as f64), Goal::Describe)?;
        context.put("metrics", metrics)?;
        context.put("figure", self.figure(&candidates))?;
        context.put("scores", to_table(scores(&candidates)?)?)?;

        let passes =
            |name: &str| kept.contains(name) || name == self.target || self.carry.iter().any(|carried| carried == name);
        let out = frame.columns().iter().filter(|column| passes(column.name())).cloned().collect();
        let out =
            DataFrame::new(frame.height(), out).map_err(|error| polars_error("picking the kept columns", &error))?;
        context.put("table", to_table(out)?)
    }
}

/// A column, what the tests say of it, and what becomes of it.
struct Candidate<'a> {
    name: &'a str,
    feature: Feature,
    relevance: Relevance,
    kept: bool,
    reason: String,
}

impl Candidate<'_> {
    /// The most informative first, then the most significant; what has no number comes last.
    fn by_rank(a: &Self, b: &Self) -> std::cmp::Ordering {
        let information = |one: &Self| one.relevance.mutual_information.unwrap_or(-1.0);
        let p_value = |one: &Self| one.relevance.p_value.unwrap_or(2.0);
        information(b).total_cmp(&information(a)).then(p_value(a).total_cmp(&p_value(b)))
    }
}

impl Select {
    /// Whether the target holds classes.
    fn classes(&self, frame: &DataFrame) -> Result<bool, StageError> {
        let target = column(frame, &self.target)?;
        Ok(match self.task {
            SelectTask::Classification => true,
            SelectTask::Regression => false,
            SelectTask::Auto => match target.dtype() {
                dtype if dtype.is_float() => false,
                dtype if dtype.is_integer() => {
                    let distinct = target.n_unique().map_err(|error| polars_error("counting classes", &error))?;
                    distinct - usize::from(target.null_count() > 0) <= 10
                }
                _ => true,
            },
        })
    }

    fn candidates<'a>(&'a self, frame: &'a DataFrame, table: &Table) -> Vec<&'a str> {
        let is_candidate = |name: &str| {
            let listed = |names: &[String]| names.iter().any(|other| other == name);
            match &self.columns {
                _ if name == self.target || listed(&self.carry) => false,
                _ if listed(&self.keep) => true,
                Some(columns) => listed(columns),
                None => !table.is_personal(name),
            }
        };
        frame.columns().iter().map(|column| column.name().as_str()).filter(|name| is_candidate(name)).collect()
    }

    /// Says of each candidate, best first, whether it is kept and why.
    fn decide(&self, candidates: &mut [Candidate<'_>]) {
        let is_in = |names: &[String], name: &str| names.iter().any(|other| other == name);
        let mut places = self.k.unwrap_or(usize::MAX).saturating_sub(self.keep.len());
        for candidate in candidates.iter_mut().filter(|candidate| is_in(&self.keep, candidate.name)) {
            candidate.kept = true;
            candidate.reason = "in `keep`".to_owned();
        }
        for at in 0..candidates.len() {
            if candidates[at].kept {
                continue;
            }
            let reason = if is_in(&self.drop, candidates[at].name) {
                Some("in `drop`".to_owned())
            } else {
                self.unfit(&candidates[at]).or_else(|| self.redundant(candidates, at)).or_else(|| {
                    let full = places == 0;
                    places = places.saturating_sub(1);
                    full.then(|| format!("beyond the best {}", self.k.unwrap_or_default()))
                })
            };
            candidates[at].kept = reason.is_none();
            candidates[at].reason = reason.unwrap_or_else(|| "passes all tests".to_owned());
        }
    }

    /// Why a candidate is dropped for what it is itself.
    fn unfit(&self, candidate: &Candidate<'_>) -> Option<String> {
        let Candidate { feature, relevance, .. } = candidate;
        if feature.completeness.is_none_or(|share| share < self.min_completeness) {
            let share = feature.completeness.unwrap_or(0.0) * 100.0;
            return Some(format!("only {share:.1} % complete, less than {} %", self.min_completeness * 100.0));
        }
        if let Some(problem) = &relevance.problem {
            return Some(problem.clone());
        }
        match relevance.p_value {
            None => Some("too few rows for a test".to_owned()),
            Some(p_value) if p_value > self.max_p_value => {
                Some(format!("p-value {p_value:.3} is above {}", self.max_p_value))
            }
            Some(_) => None,
        }
    }

    /// Why a candidate adds nothing to those kept before it.
    fn redundant(&self, candidates: &[Candidate<'_>], at: usize) -> Option<String> {
        let limit = self.max_correlation?;
        candidates.iter().enumerate().filter(|(other, one)| *other != at && one.kept).find_map(|(_, better)| {
            let (a, b) = candidates[at].feature.both_numbers(&better.feature)?;
            let r = pearson(&a, &b).filter(|r| r.abs() > limit)?;
            Some(format!("correlates {r:.3} with `{}`, beyond {limit}", better.name))
        })
    }

    fn figure(&self, candidates: &[Candidate<'_>]) -> Figure {
        let title = format!("What columns tell about `{}`", self.target);
        let mut figure = Figure::new(FigureKind::Bar, title, "column", "mutual information [nats]");
        let shown = || candidates.iter().take(SHOWN).filter_map(|one| Some((one, one.relevance.mutual_information?)));
        for (name, kept) in [("kept", true), ("dropped", false)] {
            let bars =
                shown().filter(|(one, _)| one.kept == kept).map(|(one, information)| (cut(one.name), information));
            let series = Series::new(name, bars);
            if !series.points.is_empty() {
                figure = figure.with(series);
            }
        }
        figure
    }
}

fn scores(candidates: &[Candidate<'_>]) -> Result<DataFrame, StageError> {
    let numbers = |of: fn(&Candidate<'_>) -> Option<f64>| candidates.iter().map(of).collect::<Vec<Option<f64>>>();
    let out = vec![
        Column::new(SCORES[0].into(), candidates.iter().map(|one| one.name).collect::<Vec<_>>()),
        Column::new(SCORES[1].into(), candidates.iter().map(|one| one.feature.kind()).collect::<Vec<_>>()),
        Column::new(SCORES[2].into(), numbers(|one| one.feature.completeness)),
        Column::new(SCORES[3].into(), candidates.iter().map(|one| one.relevance.test).collect::<Vec<_>>()),
        Column::new(SCORES[4].into(), numbers(|one| one.relevance.statistic)),
        Column::new(SCORES[5].into(), numbers(|one| one.relevance.p_value)),
        Column::new(SCORES[6].into(), numbers(|one| one.relevance.association)),
        Column::new(SCORES[7].into(), numbers(|one| one.relevance.mutual_information)),
        Column::new(SCORES[8].into(), candidates.iter().map(|one| one.kept).collect::<Vec<_>>()),
        Column::new(SCORES[9].into(), candidates.iter().map(|one| one.reason.as_str()).collect::<Vec<_>>()),
    ];
    DataFrame::new(candidates.len(), out).map_err(|error| polars_error("collecting scores", &error))
}

/// Whether the values of a column are numbers to a selection, categories, or neither.
pub(crate) fn role(select: &Select, name: &str, dtype: &DataType) -> Role {
    match dtype {
        dtype if dtype.is_float() => Role::Number,
        dtype if is_numeric(dtype) && !select.categorical.iter().any(|other| other == name) => Role::Number,
        dtype if is_numeric(dtype) => Role::Category,
        DataType::String | DataType::Boolean => Role::Category,
        _ => Role::Other,
    }
}

/// What a column is to a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Number,
    Category,
    Other,
}
