//! Hartigan's exchange (Hartigan and Wong 1979): one row after the other goes to another cluster where that makes the
//! WCSS less, its leave and its arrival counted. Lloyd's iterations only ask which center is nearest now, and stop in
//! more local optima.

use crate::lloyd::Fit;
use crate::matrix::{Matrix, squared_distance};

/// The clustering after all such moves, or after so many passes over the rows. `check` is called before each pass and
/// may end it.
pub(crate) fn exchange<E>(
    data: &Matrix,
    mut fit: Fit,
    passes: usize,
    check: &impl Fn() -> Result<(), E>,
) -> Result<Fit, E> {
    let width = data.width;
    let mut counts = vec![0.0_f64; fit.centers.len() / width];
    for label in &fit.labels {
        counts[*label as usize] += 1.0;
    }
    for _ in 0..passes {
        check()?;
        let mut moved = false;
        for (row, label) in data.values.chunks_exact(width).zip(&mut fit.labels) {
            let own = *label as usize;
            if counts[own] <= 1.0 {
                continue;
            }
            let distance = |at: usize| squared_distance(row, &fit.centers[at * width..][..width]);
            let saved = distance(own) * counts[own] / (counts[own] - 1.0);
            let costs = (0..counts.len())
                .filter(|&other| other != own && counts[other] > 0.0)
                .map(|other| (other, distance(other) * counts[other] / (counts[other] + 1.0)));
            // Rounding must not send a row back and forth.
            if let Some((other, _)) =
                costs.min_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, cost)| *cost < saved * (1.0 - 1e-10))
            {
                shift(&mut fit.centers[own * width..][..width], row, -1.0 / (counts[own] - 1.0));
                shift(&mut fit.centers[other * width..][..width], row, 1.0 / (counts[other] + 1.0));
                counts[own] -= 1.0;
                counts[other] += 1.0;
                *label = other as u32;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    Ok(fit)
}

/// Moves a center by a part of the way to a row.
fn shift(center: &mut [f64], row: &[f64], part: f64) {
    for (center, value) in center.iter_mut().zip(row) {
        *center += (value - *center) * part;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::exchange;
    use crate::lloyd::{Limits, settle};
    use crate::matrix::Matrix;

    /// The row at 2.9 is nearer to the mean of the three than to the single row at 6, but the single one moves to meet it.
    #[test]
    fn a_row_moves_that_lloyd_leaves() {
        let data = Matrix { values: vec![0.0, 0.0, 2.9, 4.9], width: 1 };
        let limits = Limits { max_iter: 100, movement: 0.0 };
        let stuck = settle::<()>(&data, vec![0.96, 4.9], limits, &|| Ok(())).unwrap();
        assert_eq!(stuck.labels, [0, 0, 0, 1]);
        let fit = exchange::<()>(&data, stuck, 10, &|| Ok(())).unwrap();
        assert_eq!(fit.labels, [0, 0, 1, 1]);
        assert!((fit.centers[0] - 0.0).abs() < 1e-12 && (fit.centers[1] - 3.9).abs() < 1e-12, "{:?}", fit.centers);
    }
}
