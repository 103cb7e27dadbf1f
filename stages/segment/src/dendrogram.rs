//! The upper part of a tree of merges, as a figure.

use stagewright_contract::{Figure, FigureKind, Series};

use crate::linkage::Merge;

/// How many merges are drawn: more would be too narrow to tell apart.
const DRAWN: usize = 30;

/// The last merges, each a joint from its left branch to its right one. The first `kept` merges lie within clusters:
/// their joints bear the cluster's name.
pub(crate) fn dendrogram(merges: &[Merge], kept: usize, clusters: &[Option<i64>]) -> Figure {
    let rows = merges.len() + 1;
    let first = merges.len().saturating_sub(DRAWN);
    let mut tree = Tree { merges, first: rows + first, rows, leaves: 0, joints: Vec::new() };
    if !merges.is_empty() {
        tree.place(rows + merges.len() - 1);
    }
    let figure = Figure::new(FigureKind::Dendrogram, "Dendrogram of the last merges", "groups of rows", "distance");
    tree.joints.into_iter().fold(figure, |figure, (node, points)| {
        let name = match clusters.get(row_in(merges, node)).copied().flatten() {
            Some(cluster) if node < rows + kept => format!("cluster {cluster}"),
            _ => String::new(),
        };
        figure.with(Series::new(name, points))
    })
}

struct Tree<'a> {
    merges: &'a [Merge],
    /// The first group that is drawn with its branches.
    first: usize,
    rows: usize,
    leaves: usize,
    joints: Vec<(usize, [(f64, f64); 4])>,
}

impl Tree<'_> {
    /// Places a group after those placed so far; gives where and how high it is.
    fn place(&mut self, node: usize) -> (f64, f64) {
        if node < self.first {
            self.leaves += 1;
            return (self.leaves as f64, 0.0);
        }
        let Merge { pair, distance, .. } = self.merges[node - self.rows];
        let [(left, left_height), (right, right_height)] = pair.map(|part| self.place(part));
        self.joints.push((node, [(left, left_height), (left, distance), (right, distance), (right, right_height)]));
        ((left + right) / 2.0, distance)
    }
}

/// Some row of a group.
fn row_in(merges: &[Merge], mut node: usize) -> usize {
    while let Some(at) = node.checked_sub(merges.len() + 1) {
        node = merges[at].pair[0];
    }
    node
}

#[cfg(test)]
mod tests {
    use super::dendrogram;
    use crate::linkage::Merge;

    #[test]
    fn joints_hang_together() {
        let merge = |pair, distance, size| Merge { pair, distance, size };
        let merges = [merge([0, 2], 1.0, 2), merge([1, 3], 2.0, 2), merge([4, 5], 5.0, 4)];
        let figure = dendrogram(&merges, 2, &[Some(0), Some(1), Some(0), Some(1)]);
        let joints: Vec<_> = figure
            .series
            .iter()
            .map(|series| {
                let points = series.points.iter().map(|point| (point.x.clone(), point.y.unwrap_or(-1.0)));
                (series.name.as_str(), points.collect::<Vec<_>>())
            })
            .collect();
        let at = |points: [(f64, f64); 4]| points.map(|(x, y)| (x.into(), y)).to_vec();
        assert_eq!(
            joints,
            [
                ("cluster 0", at([(1.0, 0.0), (1.0, 1.0), (2.0, 1.0), (2.0, 0.0)])),
                ("cluster 1", at([(3.0, 0.0), (3.0, 2.0), (4.0, 2.0), (4.0, 0.0)])),
                ("", at([(1.5, 1.0), (1.5, 5.0), (3.5, 5.0), (3.5, 2.0)])),
            ]
        );
        assert!(dendrogram(&[], 0, &[Some(0)]).series.is_empty());
    }

    #[test]
    fn only_the_last_merges_are_drawn() {
        let merges: Vec<Merge> = (0..99)
            .map(|at| Merge {
                pair: if at == 0 { [0, 1] } else { [at + 1, at + 99] },
                distance: at as f64,
                size: at + 2,
            })
            .collect();
        let figure = dendrogram(&merges, 97, &[Some(0); 100]);
        assert_eq!(figure.series.len(), 30);
        assert_eq!(figure.series.iter().filter(|series| series.name.is_empty()).count(), 2);
    }
}
