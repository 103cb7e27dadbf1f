//! The measures group by group, and how far the groups are apart.

use polars::prelude::Column;
use stagewright_contract::{Goal, Metrics, StageError};

use super::ranked::{Ranked, share};
use super::{Rows, numeric};
use crate::groups::{Groups, spread};
use crate::outputs::counts;

/// The columns of the table of groups.
pub(super) const COLUMNS: &[&str] = &[
    "column",
    "group",
    "rows",
    "positives",
    "base_rate",
    "share_flagged",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "false_positive_rate",
    "auc",
    "average_precision",
    "log_loss",
    "brier",
];

/// The measures of a group; `None` where it has none of the rows that a measure is about.
#[derive(Clone, Debug)]
pub(super) struct GroupScores {
    pub(super) rows: u64,
    pub(super) positives: u64,
    pub(super) base_rate: Option<f64>,
    pub(super) share_flagged: Option<f64>,
    pub(super) accuracy: Option<f64>,
    pub(super) precision: Option<f64>,
    pub(super) recall: Option<f64>,
    pub(super) f1: Option<f64>,
    pub(super) false_positive_rate: Option<f64>,
    pub(super) auc: Option<f64>,
    pub(super) average_precision: Option<f64>,
    pub(super) log_loss: Option<f64>,
    pub(super) brier: Option<f64>,
}

impl GroupScores {
    /// Those of some rows.
    pub(super) fn of(ranked: &Ranked, threshold: f64) -> Self {
        let confusion = ranked.at(threshold);
        let any = |value: f64| (ranked.rows() > 0).then_some(value);
        Self {
            rows: ranked.rows(),
            positives: ranked.positives,
            base_rate: ranked.base_rate(),
            share_flagged: share(confusion.flagged(), confusion.rows()),
            accuracy: any(confusion.accuracy()),
            precision: any(confusion.precision()),
            recall: confusion.true_positive_rate(),
            f1: any(confusion.f1()),
            false_positive_rate: confusion.false_positive_rate(),
            auc: ranked.auc(),
            average_precision: ranked.average_precision(),
            log_loss: ranked.log_loss(),
            brier: ranked.brier(),
        }
    }
}

/// One of the measures of a group.
type Measure = fn(&GroupScores) -> Option<f64>;

/// The measures of each group, in their order.
pub(super) fn group_scores(rows: &Rows, groups: &Groups, threshold: f64) -> Vec<GroupScores> {
    let mut of_groups: Vec<[Vec<f64>; 2]> = groups.names.iter().map(|_| Default::default()).collect();
    for (case, group) in rows.cases.iter().zip(&groups.codes) {
        if let (Some((score, is_positive)), Some([negatives, positives])) = (case, of_groups.get_mut(*group as usize)) {
            if *is_positive { positives.push(*score) } else { negatives.push(*score) }
        }
    }
    let scores = |[negatives, positives]: &[Vec<f64>; 2]| GroupScores::of(&Ranked::of(positives, negatives), threshold);
    of_groups.iter().map(scores).collect()
}

/// The largest differences between the groups of a column that have enough rows.
pub(super) fn differences(
    metrics: &mut Metrics,
    column: &str,
    groups: &[GroupScores],
    least_rows: u64,
) -> Result<(), StageError> {
    let groups = || groups.iter().filter(|group| group.rows >= least_rows);
    let between = |measure: Measure| spread(groups().map(measure));
    let recall = between(|group| group.recall);
    let false_positives = between(|group| group.false_positive_rate);
    let flagged = || groups().filter_map(|group| group.share_flagged);
    let most = flagged().fold(0.0, f64::max);
    let ratio = (flagged().count() > 1 && most > 0.0).then(|| flagged().fold(1.0, f64::min) / most);
    for (name, value, goal) in [
        ("demographic_parity_difference", between(|group| group.share_flagged), Goal::Minimize),
        ("demographic_parity_ratio", ratio, Goal::Maximize),
        ("equal_opportunity_difference", recall, Goal::Minimize),
        ("equalized_odds_difference", recall.zip(false_positives).map(|(a, b)| a.max(b)), Goal::Minimize),
        ("accuracy_difference", between(|group| group.accuracy), Goal::Minimize),
    ] {
        metrics.insert(format!("{name}:{column}"), value, goal)?;
    }
    Ok(())
}

/// The table of groups: all rows first, then the groups of each column.
pub(super) fn by_group(all: &GroupScores, groups: &[Groups], by: &[Vec<GroupScores>]) -> Vec<Column> {
    let mut columns: Vec<Option<&str>> = vec![None];
    let mut names: Vec<Option<&str>> = vec![None];
    let mut scores = vec![all];
    for (groups, by) in groups.iter().zip(by) {
        columns.extend(groups.names.iter().map(|_| Some(groups.column.as_str())));
        names.extend(groups.names.iter().map(Option::as_deref));
        scores.extend(by);
    }
    let measures: [(&str, Measure); 11] = [
        ("base_rate", |group| group.base_rate),
        ("share_flagged", |group| group.share_flagged),
        ("accuracy", |group| group.accuracy),
        ("precision", |group| group.precision),
        ("recall", |group| group.recall),
        ("f1", |group| group.f1),
        ("false_positive_rate", |group| group.false_positive_rate),
        ("auc", |group| group.auc),
        ("average_precision", |group| group.average_precision),
        ("log_loss", |group| group.log_loss),
        ("brier", |group| group.brier),
    ];
    let mut table = vec![
        Column::new("column".into(), columns),
        Column::new("group".into(), names),
        counts("rows", scores.iter().map(|group| group.rows)),
        counts("positives", scores.iter().map(|group| group.positives)),
    ];
    table.extend(measures.map(|(name, measure)| numeric(name, scores.iter().map(|group| measure(group)))));
    table
}
