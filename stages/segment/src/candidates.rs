//! Clusterings of the same rows into 1, 2, 3… clusters, and the choice between them.

use polars::prelude::Column;
use rand::seq::index;
use stagewright_contract::{Figure, FigureKind, ParamError, Series, StageContext, StageError};

use crate::clusters::{count, table_of};
use crate::matrix::Matrix;
use crate::silhouette::silhouettes;

/// Up to this many rows silhouettes are exact.
const EXACT_ROWS: usize = 50_000;

/// Over this many rows silhouettes are estimated beyond.
const SAMPLED_ROWS: usize = 20_000;

/// The parameters that say how many clusters there shall be.
#[derive(Clone, Copy)]
pub(crate) struct Search {
    pub(crate) k: Option<usize>,
    pub(crate) k_min: usize,
    pub(crate) k_max: usize,
}

impl Search {
    pub(crate) fn check(self) -> Result<(), ParamError> {
        if self.k.is_none() && self.k_max < self.k_min {
            return Err(ParamError::new("k_max", "the largest number of clusters is below `k_min`")
                .with_help("raise `k_max`, or give the number of clusters as `k`"));
        }
        Ok(())
    }

    /// From 1 to `k_max`, and `k` if it is beyond.
    pub(crate) fn ks(self) -> Vec<usize> {
        (1..=self.k_max).chain(self.k.filter(|k| *k > self.k_max)).collect()
    }
}

/// Clusterings by their number of clusters.
pub(crate) struct Candidates {
    pub(crate) ks: Vec<usize>,
    /// The labels of the rows in each.
    pub(crate) labelings: Vec<Vec<u32>>,
    /// How many clusters have rows in each: fewer than asked for where rows are equal.
    pub(crate) found: Vec<usize>,
    /// The mean silhouette of each, where it has one.
    pub(crate) silhouettes: Vec<Option<f64>>,
}

impl Candidates {
    pub(crate) fn rate(
        context: &StageContext,
        data: &Matrix,
        ks: Vec<usize>,
        labelings: Vec<Vec<u32>>,
        sample_size: Option<usize>,
    ) -> Result<Self, StageError> {
        let found = labelings.iter().map(|labels| count(labels)).collect();
        let slices: Vec<&[u32]> = labelings.iter().map(Vec::as_slice).collect();
        let silhouettes = rate(context, data, &slices, sample_size)?;
        Ok(Self { ks, labelings, found, silhouettes })
    }

    /// The one with `k` clusters; without `k`, the one with the largest silhouette, the first of several.
    pub(crate) fn choose(&self, context: &StageContext, search: Search) -> usize {
        if let Some(k) = search.k {
            return self.ks.iter().position(|candidate| *candidate == k).unwrap_or(0);
        }
        let candidates = (0..self.ks.len()).filter(|&at| self.ks[at] >= search.k_min && self.is_proper(at));
        let rated = candidates.filter_map(|at| self.silhouettes[at].map(|silhouette| (at, silhouette)));
        // Of equal ones the first: `max_by` would take the last.
        let best = rated.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map_or_else(
            || {
                context.warn("there are too few distinct rows to choose a number of clusters: all are one");
                0
            },
            |(at, _)| at,
        )
    }

    /// Whether it has as many clusters as it was asked for.
    fn is_proper(&self, at: usize) -> bool {
        self.found[at] == self.ks[at]
    }

    /// Puts the outputs `silhouettes` and `silhouette_figure`, from 2 clusters to `k_max`.
    pub(crate) fn put(&self, context: &mut StageContext, k_max: usize) -> Result<(), StageError> {
        let ks = &self.ks[1..k_max];
        let rated: Vec<Option<f64>> =
            (1..k_max).map(|at| self.silhouettes[at].filter(|_| self.is_proper(at))).collect();
        let points = ks.iter().zip(&rated).filter_map(|(k, silhouette)| Some((*k as f64, (*silhouette)?)));
        let figure =
            Figure::new(FigureKind::Line, "Silhouette by number of clusters", "number of clusters", "mean silhouette")
                .with(Series::new("silhouette", points));
        context.put("silhouette_figure", figure)?;
        context.put("silhouettes", table_of(vec![numbered(ks), Column::new("silhouette".into(), rated)])?)
    }
}

/// The column `k`.
pub(crate) fn numbered(ks: &[usize]) -> Column {
    Column::new("k".into(), ks.iter().map(|k| *k as i64).collect::<Vec<_>>())
}

/// The mean silhouette of each clustering, where it has one. Over `sample_size` rows drawn at random; unless that is
/// given, over all rows or, where they are many, over a sample, with a warning.
pub(crate) fn rate(
    context: &StageContext,
    data: &Matrix,
    labelings: &[&[u32]],
    sample_size: Option<usize>,
) -> Result<Vec<Option<f64>>, StageError> {
    // A single cluster has none, and a look at it would take as long as at any other.
    let several: Vec<&[u32]> = labelings.iter().copied().filter(|labels| count(labels) > 1).collect();
    if several.is_empty() {
        return Ok(vec![None; labelings.len()]);
    }
    let rows = data.rows();
    let check = || context.check_cancelled();
    let size = sample_size.unwrap_or(if rows > EXACT_ROWS { SAMPLED_ROWS } else { rows });
    let rated = if size < rows {
        if sample_size.is_none() {
            context.warn(format!("silhouettes are estimated over {size} of {rows} rows"));
        }
        let mut sample = index::sample(&mut context.rng("silhouette"), rows, size).into_vec();
        sample.sort_unstable();
        let labels: Vec<Vec<u32>> =
            several.iter().map(|labels| sample.iter().map(|&row| labels[row]).collect()).collect();
        silhouettes(&data.select(&sample), &labels.iter().map(Vec::as_slice).collect::<Vec<_>>(), &check)?
    } else {
        silhouettes(data, &several, &check)?
    };
    let mut rated = rated.into_iter();
    Ok(labelings.iter().map(|labels| if count(labels) > 1 { rated.next().flatten() } else { None }).collect())
}
