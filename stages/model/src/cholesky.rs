//! Small symmetric systems of equations.

/// The factor `L` of a positive definite matrix `L Lᵀ`: the lower triangle, row by row.
pub(crate) struct Cholesky {
    factor: Vec<f64>,
    size: usize,
}

fn at(row: usize, column: usize) -> usize {
    row * (row + 1) / 2 + column
}

impl Cholesky {
    /// The factor of a matrix whose lower triangle is given row by row; `None` unless it is positive definite by more
    /// than rounding errors.
    pub(crate) fn of(triangle: &[f64], size: usize) -> Option<Self> {
        let mut factor = triangle.to_vec();
        for row in 0..size {
            for column in 0..=row {
                let (head, tail) = (at(row, 0), at(column, 0));
                let known: f64 = (0..column).map(|k| factor[head + k] * factor[tail + k]).sum();
                let value = factor[head + column] - known;
                factor[head + column] = if row > column {
                    value / factor[at(column, column)]
                } else if value > 1e-12 * triangle[at(row, row)] && value.is_finite() {
                    value.sqrt()
                } else {
                    return None;
                };
            }
        }
        Some(Self { factor, size })
    }

    /// The factor of the matrix with `diagonal` added; where that is not positive definite, of the nearest of a row of
    /// matrices with ever more added to it. A Newton step from it goes downhill all the same.
    pub(crate) fn of_nearest(triangle: &[f64], diagonal: &[f64]) -> Self {
        let size = diagonal.len();
        let mut matrix = triangle.to_vec();
        for (row, value) in diagonal.iter().enumerate() {
            matrix[at(row, row)] += value;
        }
        let mut more = 0.0;
        // Beyond 1 the added diagonal outweighs all else.
        while more <= 1.0 {
            let mut tried = matrix.clone();
            for row in 0..size {
                let scale = if matrix[at(row, row)] > 0.0 { matrix[at(row, row)] } else { 1.0 };
                tried[at(row, row)] += more * scale;
            }
            if let Some(factor) = Self::of(&tried, size) {
                return factor;
            }
            more = if more == 0.0 { 1e-10 } else { more * 10.0 };
        }
        let mut factor = vec![0.0; matrix.len()];
        for row in 0..size {
            let value = matrix[at(row, row)];
            factor[at(row, row)] = if value > 0.0 && value.is_finite() { value.sqrt() } else { 1.0 };
        }
        Self { factor, size }
    }

    /// The solution of `matrix × x = right`.
    pub(crate) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut x = right.to_vec();
        for row in 0..self.size {
            let known: f64 = (0..row).map(|k| self.factor[at(row, k)] * x[k]).sum();
            x[row] = (x[row] - known) / self.factor[at(row, row)];
        }
        for row in (0..self.size).rev() {
            let known: f64 = (row + 1..self.size).map(|k| self.factor[at(k, row)] * x[k]).sum();
            x[row] = (x[row] - known) / self.factor[at(row, row)];
        }
        x
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Cholesky;

    #[test]
    fn solves_a_system() {
        // [[4, 2], [2, 3]] x = [10, 9] has the solution [1.5, 2].
        let factor = Cholesky::of(&[4.0, 2.0, 3.0], 2).unwrap();
        let x = factor.solve(&[10.0, 9.0]);
        assert!((x[0] - 1.5).abs() < 1e-15 && (x[1] - 2.0).abs() < 1e-15, "{x:?}");
    }

    #[test]
    fn a_singular_matrix_has_no_factor_but_a_neighbour_has() {
        assert!(Cholesky::of(&[1.0, 1.0, 1.0], 2).is_none());
        let x = Cholesky::of_nearest(&[1.0, 1.0, 1.0], &[0.0, 0.0]).solve(&[2.0, 2.0]);
        assert!((x[0] + x[1] - 2.0).abs() < 1e-6, "{x:?}");
    }
}
