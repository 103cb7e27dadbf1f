//! The same figure of several variants in one chart.

use stagewright_contract::{Figure, FigureKind, Series};

use crate::chart::LOOKS;

/// One chart for the curves of several variants, or `None` where they are better beside each other.
///
/// It takes figures that show the same (title and axes), each with one curve of its own: that gets the variant's name.
/// Curves that are equal in all, such as what chance would give, are drawn once. There must be no more of them than can
/// be told apart.
pub fn overlay(figures: &[(String, Figure)]) -> Option<Figure> {
    let [(_, first), _, ..] = figures else { return None };
    let what = |figure: &Figure| (figure.title.clone(), figure.x_label.clone(), figure.y_label.clone());
    if figures.iter().any(|(_, figure)| figure.kind != FigureKind::Line || what(figure) != what(first)) {
        return None;
    }
    let everywhere = |series: &Series| figures.iter().all(|(_, figure)| figure.series.contains(series));
    let mut series = Vec::new();
    for (variant, figure) in figures {
        let mut own = figure.series.iter().filter(|series| !everywhere(series));
        let (Some(curve), None) = (own.next(), own.next()) else { return None };
        series.push(Series { name: variant.clone(), points: curve.points.clone() });
    }
    series.extend(first.series.iter().filter(|series| everywhere(series)).cloned());
    (series.len() <= LOOKS).then(|| Figure { series, ..first.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roc(height: f64) -> Figure {
        Figure::new(FigureKind::Line, "ROC curve", "false positive rate", "true positive rate")
            .with(Series::new("classifier", [(0.0, 0.0), (0.5, height), (1.0, 1.0)]))
            .with(Series::new("chance", [(0.0, 0.0), (1.0, 1.0)]))
    }

    fn names(figure: Option<Figure>) -> Option<Vec<String>> {
        figure.map(|figure| figure.series.into_iter().map(|series| series.name).collect())
    }

    #[test]
    fn each_variant_gives_its_curve_and_what_all_share_is_there_once() {
        let figures = [("base".to_owned(), roc(0.6)), ("honest".to_owned(), roc(0.8))];
        let names = names(overlay(&figures));
        assert_eq!(names, Some(["base", "honest", "chance"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn what_does_not_go_together_stays_apart() {
        let both = |other: Figure| overlay(&[("a".to_owned(), roc(0.6)), ("b".to_owned(), other)]);
        assert_eq!(overlay(&[("a".to_owned(), roc(0.6))]), None, "one alone");
        assert_eq!(both(Figure { y_label: "share".to_owned(), ..roc(0.8) }), None, "another measure");
        assert_eq!(both(Figure { kind: FigureKind::Bar, ..roc(0.8) }), None, "another kind");
        assert_eq!(both(roc(0.8).with(Series::new("third", [(0.0, 0.0)]))), None, "two curves of its own");
        assert_eq!(both(roc(0.6)), None, "none of its own");
        let seven: Vec<(String, Figure)> = (0..7).map(|at| (at.to_string(), roc(f64::from(at) / 10.0))).collect();
        assert_eq!(overlay(&seven), None, "more than can be told apart");
        assert!(overlay(&seven[..5]).is_some());
    }
}
