//! Three hundred rows in four heaps; the references in the tests were computed from them with scikit-learn 1.6.

use polars::prelude::*;

/// `x = (heaps[np.arange(300) * 7 % 10 % 4] + 3 * lcg(900).reshape(300, 3)) * [1, 10, 100]`, where `lcg` yields
/// `s = (6364136223846793005 * s + 1442695040888963407) % 2**64` from `s = 1` as `(s >> 11) / 2**53`.
pub(crate) fn heaps() -> DataFrame {
    let heaps = [[0.0, 0.0, 0.0], [4.0, 1.0, 0.0], [1.0, 5.0, 2.0], [9.0, 9.0, 1.0]];
    let mut state = 1u64;
    let mut columns = [const { Vec::new() }; 3];
    for row in 0..300 {
        for (feature, column) in columns.iter_mut().enumerate() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = (state >> 11) as f64 / (1u64 << 53) as f64;
            column.push((heaps[row * 7 % 10 % 4][feature] + 3.0 * uniform) * 10f64.powi(feature as i32));
        }
    }
    let [a, b, c] = columns;
    let name: Vec<String> = (0..300).map(|row| format!("row {row}")).collect();
    df!("name" => name, "a" => a, "b" => b, "c" => c).unwrap()
}
