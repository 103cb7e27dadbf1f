//! Minimising a smooth function of a few variables.

/// Where a search ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Minimum<const N: usize> {
    pub(super) at: [f64; N],
    /// Whether the slope there is as good as none.
    pub(super) converged: bool,
}

const STEPS: usize = 500;
const HALVINGS: usize = 40;
/// The steepest slope that is none.
const FLAT: f64 = 1e-9;
/// The steepest slope that is none where rounding keeps the search from going on.
const NEARLY_FLAT: f64 = 1e-6;

/// Searches by the quasi-Newton method of Broyden, Fletcher, Goldfarb and Shanno, halving a step until it helps
/// (Nocedal & Wright, Numerical Optimization, 2006, chapters 3 and 6). `of` gives value and gradient; a value that is
/// not finite says that one must not go there, which must not be so at the start.
pub(super) fn minimize<const N: usize>(
    start: [f64; N],
    mut of: impl FnMut(&[f64; N]) -> (f64, [f64; N]),
) -> Minimum<N> {
    let mut at = start;
    let (mut value, mut slope) = of(&at);
    let mut inverse = identity(1.0);
    let mut first = true;
    let mut idle = 0;
    for _ in 0..STEPS {
        if steepest(&slope) < FLAT {
            break;
        }
        let mut direction = product(&inverse, &slope).map(|way| -way);
        if dot(&direction, &slope) >= 0.0 {
            inverse = identity(1.0);
            direction = slope.map(|way| -way);
        }
        // Before anything is known of the curvature, a step is at most 1 long.
        let mut length = if first { (1.0 / dot(&slope, &slope).sqrt()).min(1.0) } else { 1.0 };
        let fall = dot(&direction, &slope);
        let mut next = None;
        for _ in 0..HALVINGS {
            let there: [f64; N] = std::array::from_fn(|i| at[i] + length * direction[i]);
            let (found, slope) = of(&there);
            if found.is_finite() && found <= value + 1e-4 * length * fall {
                next = Some((there, found, slope));
                break;
            }
            length /= 2.0;
        }
        let Some((there, found, slope_there)) = next else { break };
        // Steps that change the value by its rounding lead nowhere.
        idle = if value - found > 4.0 * f64::EPSILON * value.abs() { 0 } else { idle + 1 };
        let step: [f64; N] = std::array::from_fn(|i| there[i] - at[i]);
        let change: [f64; N] = std::array::from_fn(|i| slope_there[i] - slope[i]);
        let bend = dot(&step, &change);
        if bend > 1e-12 * (dot(&step, &step) * dot(&change, &change)).sqrt() {
            if first {
                inverse = identity(bend / dot(&change, &change));
                first = false;
            }
            inverse = updated(&inverse, &step, &change, bend);
        }
        (at, value, slope) = (there, found, slope_there);
        if idle == 2 {
            break;
        }
    }
    Minimum { at, converged: steepest(&slope) < NEARLY_FLAT }
}

/// H - (H y sᵀ + s yᵀ H) / (sᵀ y) + (1 + yᵀ H y / (sᵀ y)) s sᵀ / (sᵀ y), for a step s and a change y of the slope.
fn updated<const N: usize>(inverse: &[[f64; N]; N], s: &[f64; N], y: &[f64; N], bend: f64) -> [[f64; N]; N] {
    let hy = product(inverse, y);
    let factor = (1.0 + dot(y, &hy) / bend) / bend;
    std::array::from_fn(|i| {
        std::array::from_fn(|j| inverse[i][j] - (hy[i] * s[j] + s[i] * hy[j]) / bend + factor * s[i] * s[j])
    })
}

fn identity<const N: usize>(scale: f64) -> [[f64; N]; N] {
    std::array::from_fn(|i| std::array::from_fn(|j| if i == j { scale } else { 0.0 }))
}

fn product<const N: usize>(matrix: &[[f64; N]; N], vector: &[f64; N]) -> [f64; N] {
    std::array::from_fn(|i| dot(&matrix[i], vector))
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn steepest<const N: usize>(slope: &[f64; N]) -> f64 {
    slope.iter().fold(0.0, |most, way| most.max(way.abs()))
}

#[cfg(test)]
mod tests {
    use super::minimize;

    #[test]
    fn the_banana_valley_is_found() {
        // Rosenbrock's function, whose minimum is at (1, 1).
        let found = minimize([-1.2, 1.0], |[x, y]| {
            let (across, along) = (y - x * x, 1.0 - x);
            (100.0 * across * across + along * along, [-400.0 * x * across - 2.0 * along, 200.0 * across])
        });
        assert!(found.converged);
        assert!(found.at.iter().all(|x| (x - 1.0).abs() < 1e-8), "{found:?}");
    }

    #[test]
    fn a_search_keeps_out_of_where_there_is_no_value() {
        // x - ln x, whose minimum is at 1; there is nothing below 0.
        let found =
            minimize([20.0], |[x]| if *x <= 0.0 { (f64::INFINITY, [0.0]) } else { (x - x.ln(), [1.0 - 1.0 / x]) });
        assert!(found.converged && (found.at[0] - 1.0).abs() < 1e-8, "{found:?}");
        // Downhill forever, up to a wall.
        let found = minimize([0.0], |[x]| if *x > 5.0 { (f64::INFINITY, [0.0]) } else { (-x, [-1.0]) });
        assert!(!found.converged && found.at[0] > 4.99, "{found:?}");
    }
}
