//! What a reader sees of a classifier.

use stagewright_contract::{Figure, FigureKind, Series};

use super::curves::{self, Bin};
use super::fairness::GroupScores;
use super::ranked::{Confusion, Ranked, Step, share};
use crate::groups::Groups;
use crate::outputs::series;

/// The false and the true positive rate at a step; before the first, nothing is flagged.
pub(super) fn rates(ranked: &Ranked, step: Option<&Step>) -> (Option<f64>, Option<f64>) {
    let (positives, negatives) = step.map_or((0, 0), |step| (step.positives, step.negatives));
    (share(negatives, ranked.negatives), share(positives, ranked.positives))
}

pub(super) fn roc(ranked: &Ranked) -> Figure {
    let points = curves::roc(ranked);
    let points = points.iter().filter_map(|step| {
        let (false_positives, true_positives) = rates(ranked, step.as_ref());
        Some((false_positives?, true_positives))
    });
    Figure::new(FigureKind::Line, "ROC curve", "false positive rate", "true positive rate")
        .with(series("classifier", points))
        .with(Series::new("chance", [(0.0, 0.0), (1.0, 1.0)]))
}

pub(super) fn precision_recall(ranked: &Ranked) -> Figure {
    let points = curves::precision_recall(ranked);
    let points = points.iter().filter_map(|step| {
        Some((share(step.positives, ranked.positives)?, share(step.positives, step.positives + step.negatives)))
    });
    let base = ranked.base_rate();
    Figure::new(FigureKind::Line, "Precision by recall", "recall", "precision")
        .with(series("classifier", points))
        .with(series("always positive", [(0.0, base), (1.0, base)]))
}

pub(super) fn calibration(bins: &[Bin]) -> Figure {
    let points = bins.iter().filter_map(|bin| Some((bin.mean_probability()?, share(bin.positives, bin.rows()))));
    Figure::new(FigureKind::Line, "Calibration", "mean probability", "share positive")
        .with(series("classifier", points))
        .with(Series::new("perfect", [(0.0, 0.0), (1.0, 1.0)]))
}

pub(super) fn thresholds(points: &[(f64, Confusion)], rows: u64) -> Figure {
    let curve = |name: &str, measure: fn(Confusion) -> f64| {
        series(name, points.iter().map(|(threshold, at)| (*threshold, (rows > 0).then(|| measure(*at)))))
    };
    let flagged = points.iter().map(|(threshold, at)| (*threshold, share(at.flagged(), rows)));
    Figure::new(FigureKind::Line, "What a threshold gives", "threshold", "share")
        .with(curve("precision", Confusion::precision))
        .with(curve("recall", Confusion::recall))
        .with(curve("F1", Confusion::f1))
        .with(series("share flagged", flagged))
}

pub(super) fn histogram(bins: &[Bin], negative: &str, positive: &str) -> Figure {
    let bars = |name: &str, rows: fn(&Bin) -> u64| {
        let places = bins.iter().map(|bin| (format!("{:.2}–{:.2}", bin.lower, bin.upper), Some(rows(bin) as f64)));
        series(name, places)
    };
    Figure::new(FigureKind::Bar, "Probabilities by outcome", "probability", "rows")
        .with(bars(negative, |bin| bin.negatives))
        .with(bars(positive, |bin| bin.positives))
}

pub(super) fn confusion(confusion: Confusion, negative: &str, positive: &str) -> Figure {
    let row = |actual: &str, cells: [u64; 2]| {
        let predicted = [format!("predicted {negative}"), format!("predicted {positive}")];
        series(&format!("actual {actual}"), predicted.into_iter().zip(cells.map(|rows| Some(rows as f64))))
    };
    Figure::new(FigureKind::Heatmap, "Confusion matrix", "predicted", "rows")
        .with(row(negative, [confusion.true_negatives, confusion.false_positives]))
        .with(row(positive, [confusion.false_negatives, confusion.true_positives]))
}

pub(super) fn by_group(all: &GroupScores, groups: &[Groups], by: &[Vec<GroupScores>]) -> Figure {
    let mut bars = vec![("all rows".to_owned(), all)];
    for (groups, scores) in groups.iter().zip(by) {
        let name = |group: usize| format!("{} = {}", groups.column, groups.label(group));
        bars.extend(scores.iter().enumerate().map(|(group, scores)| (name(group), scores)));
    }
    let series = |name: &str, measure: fn(&GroupScores) -> Option<f64>| {
        series(name, bars.iter().map(|(group, scores)| (group.as_str(), measure(scores))))
    };
    Figure::new(FigureKind::Bar, "Groups beside each other", "group", "share")
        .with(series("share flagged", |group| group.share_flagged))
        .with(series("recall", |group| group.recall))
        .with(series("false positive rate", |group| group.false_positive_rate))
}
