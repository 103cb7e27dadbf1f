//! k-means from several starts, of which the best is kept and made better.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use stagewright_contract::{StageContext, StageError};

use crate::breathing::{improve, is_better, neighbour};
use crate::lloyd::{Fit, Limits, fit};
use crate::matrix::{CHUNK, Matrix};

/// The parameters of k-means.
#[derive(Clone, Copy)]
pub(crate) struct Starts {
    pub(crate) n_init: usize,
    pub(crate) max_iter: usize,
    /// See [`Limits::movement`]; in the mean variance of the features.
    pub(crate) tol: f64,
}

/// Above this many rows the best start stays as it is: local optima matter less there than time.
const BREATHING_ROWS: usize = 50_000;

/// Rows to be clustered into `k` clusters.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) data: &'a Matrix,
    pub(crate) k: usize,
}

impl Starts {
    /// For each job the start with the least WCSS, the first of several. Where the rows are not too many for that, it
    /// is made better by breathing, and by trying what jobs over the same rows with a cluster more or less have found.
    pub(crate) fn best(self, context: &StageContext, jobs: &[Job<'_>]) -> Result<Vec<Fit>, StageError> {
        let best = self.best_from(context, jobs, 0)?;
        let check = || context.check_cancelled();
        let breathe = |(Job { data, k }, fit): (&Job<'_>, Fit)| {
            let mut rng = context.rng(&format!("k={k} breathing"));
            if data.rows() > BREATHING_ROWS { Ok(fit) } else { improve(data, fit, self.limits(data), &mut rng, &check) }
        };
        let mut best: Vec<Fit> = jobs.par_iter().zip(best).map(breathe).collect::<Result<_, StageError>>()?;
        let up = (1..jobs.len()).map(|at| (at - 1, at));
        for (from, to) in up.clone().chain(up.rev().map(|(from, to)| (to, from))) {
            let (Job { data, k }, other) = (jobs[to], jobs[from]);
            let whole = best[from].centers.len() == other.k * data.width;
            if !std::ptr::eq(data, other.data)
                || data.rows() > BREATHING_ROWS
                || !whole
                || k == 1
                || k.abs_diff(other.k) != 1
            {
                continue;
            }
            let mut rng = context.rng(&format!("k={k} from {}", other.k));
            let found = neighbour(data, &best[from], k > other.k, self.limits(data), &mut rng, &check)?;
            if is_better(&found, &best[to]) {
                best[to] = found;
            }
        }
        Ok(best)
    }

    fn limits(self, data: &Matrix) -> Limits {
        Limits { max_iter: self.max_iter, movement: self.tol * data.mean_variance() }
    }

    /// The same with the starts from number `first` on: others than those before.
    pub(crate) fn best_from(
        self,
        context: &StageContext,
        jobs: &[Job<'_>],
        first: usize,
    ) -> Result<Vec<Fit>, StageError> {
        let mut limits: Vec<Limits> = Vec::with_capacity(jobs.len());
        for (at, job) in jobs.iter().enumerate() {
            let movement = match limits.last() {
                Some(last) if std::ptr::eq(job.data, jobs[at - 1].data) => last.movement,
                _ => self.limits(job.data).movement,
            };
            limits.push(Limits { max_iter: self.max_iter, movement });
        }
        // A single center is the mean from every start.
        let starts: Vec<(usize, usize)> = (0..jobs.len())
            .flat_map(|at| (0..if jobs[at].k == 1 { 1 } else { self.n_init }).map(move |start| (at, first + start)))
            .collect();
        let done = AtomicU64::new(0);
        let run = |&(at, start): &(usize, usize)| {
            let Job { data, k } = jobs[at];
            let mut rng = context.rng(&format!("k={k} start={start}"));
            let fit = fit(data, k, limits[at], &mut rng, &|| context.check_cancelled())?;
            context.progress(done.fetch_add(1, Ordering::Relaxed) + 1, starts.len() as u64);
            Ok((at, fit))
        };
        let mut best: Vec<Option<Fit>> = jobs.iter().map(|_| None).collect();
        let mut keep = |(at, fit): (usize, Fit)| {
            if best[at].as_ref().is_none_or(|best| fit.wcss < best.wcss) {
                best[at] = Some(fit);
            }
        };
        if jobs.iter().all(|job| job.data.rows() <= CHUNK) {
            let fits = starts.par_iter().map(run).collect::<Result<Vec<_>, StageError>>()?;
            fits.into_iter().for_each(keep);
        } else {
            // Each start is parallel in itself, and only the best ones are held in memory.
            starts.iter().try_for_each(|start| run(start).map(&mut keep))?;
        }
        Ok(best.into_iter().flatten().collect())
    }
}
