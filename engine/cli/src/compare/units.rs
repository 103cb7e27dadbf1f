//! The tables of units, read once however many metrics come from them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use stagewright_contract::{Artifact, Digest, Kind, Sample, Table};
use stagewright_store::Store;

/// What a metric is computed from, unit by unit.
pub(crate) enum Values {
    /// Numbers whose mean is the metric.
    Numbers(Vec<f64>),
    /// Truths whose share is the metric.
    Truths(Vec<bool>),
    /// Scores and the outcomes that they should tell.
    Scores(Vec<bool>, Vec<f64>),
}

pub(crate) struct Units<'a> {
    store: &'a Store,
    tables: RefCell<BTreeMap<Digest, Arc<Table>>>,
}

impl<'a> Units<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, tables: RefCell::default() }
    }

    fn table(&self, digest: Digest) -> Result<Arc<Table>, String> {
        if let Some(table) = self.tables.borrow().get(&digest) {
            return Ok(Arc::clone(table));
        }
        match self.store.read(Kind::Table, digest) {
            Ok(Artifact::Table(table)) => {
                self.tables.borrow_mut().insert(digest, Arc::clone(&table));
                Ok(table)
            }
            Ok(_) => Err("its units are no table".to_owned()),
            Err(error) => Err(format!("its units cannot be read ({error}): run again")),
        }
    }

    /// The values that a metric comes from; with `cluster`, of whatever shares a value of that column: a cluster's value
    /// is what all its rows together add to the metric, so that the mean over clusters is the metric still.
    pub(crate) fn values(&self, digest: Digest, sample: &Sample, cluster: Option<&str>) -> Result<Values, String> {
        let table = self.table(digest)?;
        let column = |name: &str| stagewright_frame::values(&table, name).map_err(|error| error.to_string());
        let truths = |name: &str| Ok::<_, String>(column(name)?.into_iter().map(|value| value == 1.0).collect());
        let Some(cluster) = cluster else {
            return Ok(match sample {
                Sample::Mean(name) => Values::Numbers(column(name)?),
                Sample::Share(name) => Values::Truths(truths(name)?),
                Sample::Auc { score, outcome } => Values::Scores(truths(outcome)?, column(score)?),
            });
        };
        let values = match sample {
            Sample::Mean(name) | Sample::Share(name) => column(name)?,
            Sample::Auc { score, outcome } => {
                let outcomes: Vec<bool> = truths(outcome)?;
                stagewright_compare::auc_values(&outcomes, &column(score)?).map_err(|error| error.to_string())?
            }
        };
        let clusters = stagewright_frame::clusters(&table, cluster).map_err(|error| error.to_string())?;
        Ok(Values::Numbers(by_cluster(&values, &clusters)))
    }
}

/// The linearised values of the mean, cluster by cluster.
fn by_cluster(values: &[f64], clusters: &[usize]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let mut sums = vec![0.0; clusters.iter().max().map_or(0, |last| last + 1)];
    for (value, cluster) in values.iter().zip(clusters) {
        sums[*cluster] += value - mean;
    }
    let scale = sums.len() as f64 / values.len().max(1) as f64;
    sums.into_iter().map(|sum| mean + sum * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::by_cluster;

    #[test]
    fn clusters_keep_the_mean() {
        let values = [1.0, 3.0, 5.0, 7.0, 9.0];
        // The mean is 5; the clusters add (-4 - 2) * 3 / 5, 0 and (2 + 4) * 3 / 5 to it, by hand.
        let clusters = by_cluster(&values, &[0, 0, 1, 2, 2]);
        assert_eq!(clusters.len(), 3);
        for (found, expected) in clusters.iter().zip([5.0 - 3.6, 5.0, 5.0 + 3.6]) {
            assert!((found - expected).abs() < 1e-12, "{clusters:?}");
        }
        assert_eq!(by_cluster(&values, &[0, 1, 2, 3, 4]), values);
    }
}
