//! The dual problem of a support vector machine, by sequential minimal optimisation with the working set of Fan, Chen &
//! Lin (2005), as in LIBSVM.

use rayon::prelude::*;

use crate::kernel::Kernel;

/// What is to be solved: minimise `½ αᵀQα - Σα` with `Q = y yᵀ K`, `yᵀα = 0` and `0 ≤ α ≤ C` of each row's class.
pub(crate) struct Problem<'a> {
    pub(crate) rows: &'a [Vec<f64>],
    /// 1 and -1.
    pub(crate) signs: &'a [f64],
    pub(crate) kernel: Kernel,
    /// C of the negative and of the positive class.
    pub(crate) c: [f64; 2],
    pub(crate) tol: f64,
    pub(crate) max_iter: usize,
}

/// The solution of a [`Problem`].
pub(crate) struct Solution {
    /// Of each row.
    pub(crate) alpha: Vec<f64>,
    pub(crate) intercept: f64,
    pub(crate) iterations: usize,
    pub(crate) converged: bool,
}

/// A curvature that is not above 0 counts as this.
const TAU: f64 = 1e-12;

/// With fewer numbers than this a row of the kernel is not worth handing out.
const SMALL: usize = 1 << 15;

impl Problem<'_> {
    /// Solves it. `check` is called now and then and may end it.
    pub(crate) fn solve<E>(&self, check: impl Fn() -> Result<(), E>) -> Result<Solution, E> {
        let count = self.rows.len();
        let signs = self.signs;
        let diagonal: Vec<f64> = self.rows.iter().map(|row| self.kernel.of(row, row)).collect();
        let mut alpha = vec![0.0; count];
        let mut gradient = vec![-1.0; count];
        let mut cache: Vec<Option<Vec<f32>>> = vec![None; count];
        let c = |row: usize| self.c[usize::from(signs[row] > 0.0)];
        let mut iterations = 0;
        let mut converged = false;
        while iterations < self.max_iter {
            if iterations % 256 == 0 {
                check()?;
            }
            // The row that violates optimality most.
            let mut first = None;
            let mut highest = f64::NEG_INFINITY;
            for row in 0..count {
                let may_rise = if signs[row] > 0.0 { alpha[row] < c(row) } else { alpha[row] > 0.0 };
                if may_rise && -signs[row] * gradient[row] > highest {
                    highest = -signs[row] * gradient[row];
                    first = Some(row);
                }
            }
            let Some(i) = first else {
                converged = true;
                break;
            };
            let of_i = self.cached(&mut cache, i);
            // The row with which it gains most.
            let mut second = None;
            let mut best = 0.0;
            let mut lowest = f64::INFINITY;
            for row in 0..count {
                let may_fall = if signs[row] > 0.0 { alpha[row] > 0.0 } else { alpha[row] < c(row) };
                if !may_fall {
                    continue;
                }
                let value = -signs[row] * gradient[row];
                lowest = lowest.min(value);
                if value < highest {
                    let curvature = diagonal[i] + diagonal[row] - 2.0 * f64::from(of_i[row]);
                    let gain = (highest - value).powi(2) / if curvature > 0.0 { curvature } else { TAU };
                    if gain > best {
                        best = gain;
                        second = Some((row, curvature));
                    }
                }
            }
            let Some((j, curvature)) = second.filter(|_| highest - lowest >= self.tol) else {
                converged = true;
                break;
            };
            // Move both along yᵀα = 0 as far as is best and allowed.
            let step = (highest + signs[j] * gradient[j]) / if curvature > 0.0 { curvature } else { TAU };
            let room_i = if signs[i] > 0.0 { c(i) - alpha[i] } else { alpha[i] };
            let room_j = if signs[j] > 0.0 { alpha[j] } else { c(j) - alpha[j] };
            let step = step.min(room_i).min(room_j);
            // Exactly at the bound where that is what limits the step.
            alpha[i] = moved(alpha[i], signs[i] * step, step == room_i, c(i));
            alpha[j] = moved(alpha[j], -signs[j] * step, step == room_j, c(j));
            self.cached(&mut cache, j);
            let (Some(of_i), Some(of_j)) = (&cache[i], &cache[j]) else { break };
            for row in 0..count {
                gradient[row] += signs[row] * step * (f64::from(of_i[row]) - f64::from(of_j[row]));
            }
            iterations += 1;
        }
        let intercept = self.intercept(&alpha, &gradient, c);
        Ok(Solution { alpha, intercept, iterations, converged })
    }

    /// A row of the kernel, computed when it is first asked for.
    fn cached<'c>(&self, cache: &'c mut [Option<Vec<f32>>], row: usize) -> &'c [f32] {
        cache[row].get_or_insert_with(|| {
            let of = |other: &Vec<f64>| self.kernel.of(&self.rows[row], other) as f32;
            if self.rows.len() * self.rows[row].len() < SMALL {
                self.rows.iter().map(of).collect()
            } else {
                self.rows.par_iter().map(of).collect()
            }
        })
    }

    /// The intercept: the mean over rows strictly between their bounds, or else the middle of what is allowed.
    fn intercept(&self, alpha: &[f64], gradient: &[f64], c: impl Fn(usize) -> f64) -> f64 {
        let (mut sum, mut free) = (0.0, 0usize);
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
        for row in 0..alpha.len() {
            let value = -self.signs[row] * gradient[row];
            let (at_zero, at_c) = (alpha[row] <= 0.0, alpha[row] >= c(row));
            if !at_zero && !at_c {
                sum += value;
                free += 1;
            } else if at_zero == (self.signs[row] > 0.0) {
                low = low.max(value);
            } else {
                high = high.min(value);
            }
        }
        if free > 0 {
            sum / free as f64
        } else if low.is_finite() && high.is_finite() {
            (low + high) / 2.0
        } else {
            0.0
        }
    }
}

fn moved(alpha: f64, by: f64, to_the_bound: bool, c: f64) -> f64 {
    match to_the_bound {
        true if by > 0.0 => c,
        true => 0.0,
        false => (alpha + by).clamp(0.0, c),
    }
}
