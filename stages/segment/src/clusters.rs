//! Clusters as a reader sees them: numbered from 0 by descending size, with their centers.

use polars::prelude::{Column, DataFrame};
use stagewright_contract::{StageContext, StageError, Table};
use stagewright_frame::{polars_error, to_table};

use crate::features::Data;
use crate::matrix::{Matrix, unit};

/// The column of the output `centers` that counts rows.
pub(crate) const SIZE: &str = "size";

/// The label of a row that belongs to no cluster.
pub(crate) const NOISE: u32 = u32::MAX;

/// How many rows have each label; those that are [`NOISE`] are not counted.
pub(crate) fn sizes(labels: &[u32]) -> Vec<usize> {
    let known = || labels.iter().filter(|label| **label != NOISE);
    let mut sizes = vec![0; known().max().map_or(0, |label| *label as usize + 1)];
    for label in known() {
        sizes[*label as usize] += 1;
    }
    sizes
}

/// How many labels have rows.
pub(crate) fn count(labels: &[u32]) -> usize {
    sizes(labels).iter().filter(|size| **size > 0).count()
}

/// The clusters that have rows, numbered for a reader.
pub(crate) struct Clusters {
    /// The cluster of each row; `None` for noise.
    pub(crate) labels: Vec<Option<i64>>,
    /// Which label each cluster had before.
    pub(crate) order: Vec<usize>,
    sizes: Vec<usize>,
}

impl Clusters {
    /// By descending size; of equally large ones, by ascending center.
    pub(crate) fn of(labels: &[u32], data: &Matrix) -> Self {
        let sizes = sizes(labels);
        let centers = centers(labels, &sizes, data);
        let center = |label: usize| &centers[label * data.width..][..data.width];
        let mut order: Vec<usize> = (0..sizes.len()).filter(|&label| sizes[label] > 0).collect();
        order.sort_by(|&a, &b| {
            let by_center = || center(a).iter().zip(center(b)).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne());
            sizes[b].cmp(&sizes[a]).then_with(|| by_center().unwrap_or(a.cmp(&b)))
        });
        let mut number = vec![0i64; sizes.len()];
        for (new, &old) in (0..).zip(&order) {
            number[old] = new;
        }
        Self {
            labels: labels.iter().map(|label| number.get(*label as usize).copied()).collect(),
            sizes: order.iter().map(|&label| sizes[label]).collect(),
            order,
        }
    }

    /// Puts the outputs `table`, with the column `into`, and `centers`; `more` are columns of the latter beside the
    /// size.
    pub(crate) fn put(
        self,
        context: &mut StageContext,
        data: &Data,
        names: &[String],
        into: &str,
        more: Vec<Column>,
    ) -> Result<(), StageError> {
        let mut centers = vec![
            Column::new(into.into(), (0..self.sizes.len() as i64).collect::<Vec<_>>()),
            Column::new(SIZE.into(), self.sizes.iter().map(|size| *size as i64).collect::<Vec<_>>()),
        ];
        centers.extend(more);
        for (name, column) in names.iter().zip(&data.columns) {
            let unit = unit(column);
            let mut sums = vec![0.0; self.sizes.len()];
            for (label, value) in self.labels.iter().zip(column) {
                if let Some(label) = label {
                    sums[*label as usize] += value / unit;
                }
            }
            let means: Vec<f64> = sums.iter().zip(&self.sizes).map(|(sum, size)| sum / *size as f64 * unit).collect();
            centers.push(Column::new(name.as_str().into(), means));
        }
        context.put("centers", table_of(centers)?)?;
        let labels = Column::new(into.into(), self.labels);
        let table = data.frame.hstack(&[labels]).map_err(|error| polars_error("collecting clusters", &error))?;
        context.put("table", to_table(table)?)
    }
}

/// The mean of the rows of each label, label by label; zeros where there are none.
pub(crate) fn centers(labels: &[u32], sizes: &[usize], data: &Matrix) -> Vec<f64> {
    let mut centers = vec![0.0; sizes.len() * data.width];
    for (label, row) in labels.iter().zip(data.values.chunks_exact(data.width)).filter(|(label, _)| **label != NOISE) {
        let center = &mut centers[*label as usize * data.width..][..data.width];
        center.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    for (center, size) in centers.chunks_exact_mut(data.width).zip(sizes) {
        center.iter_mut().for_each(|sum| *sum /= (*size).max(1) as f64);
    }
    centers
}

/// A table of columns of equal length.
pub(crate) fn table_of(columns: Vec<Column>) -> Result<Table, StageError> {
    DataFrame::new_infer_height(columns).map_err(|error| polars_error("collecting clusters", &error)).and_then(to_table)
}
