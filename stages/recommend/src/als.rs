use rand::Rng;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};

use crate::defaults::{product_id, ten, user_id};
use crate::factors::Factors;
use crate::lists::{Lists, check_names, personal, table_port, users_port, warn_without};
use crate::matrix::Bought;
use crate::pairs::Pairs;
use crate::reasons::{Names, Reason, name, products_port};

/// Recommend by matrix factorisation of who bought what (implicit alternating least squares).
///
/// Users and products become vectors of `factors` numbers whose dot product, the score, is near 1 where a user bought a
/// product and near 0 elsewhere. What was bought in r rows has confidence 1 + `alpha` × r, everything else 1; the loss is
/// the sum over all users and products of confidence × squared error, plus `regularization` × the sum of the squared
/// vectors (Hu, Koren and Volinsky 2008, "Collaborative Filtering for Implicit Feedback Datasets", ICDM). Product vectors
/// start at random; then users, given the products, and products, given the users, are improved in turn, each by
/// `cg_steps` steps of conjugate gradients from where they were (Takács, Pilászy and Tikk 2011, "Applications of the
/// Conjugate Gradient Method for Implicit Feedback Collaborative Filtering", RecSys). The reason names the user's product
/// whose vector is most alike. Users without purchases get nothing. Rows without a user or a product are left out, with a
/// warning.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Als {
    /// How many products to recommend to each user, at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1))]
    n: usize,
    /// The length of the vectors.
    #[serde(default = "sixty_four")]
    #[schemars(range(min = 1, max = 1024))]
    factors: usize,
    /// What keeps the vectors short, above 0.
    #[serde(default = "regularization")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    regularization: f64,
    /// How much confidence a purchase adds, 0 or more.
    #[serde(default = "alpha")]
    #[schemars(range(min = 0.0))]
    alpha: f64,
    /// How often users and products are improved.
    #[serde(default = "fifteen")]
    #[schemars(range(min = 1))]
    iterations: usize,
    /// How many steps of conjugate gradients improve a vector; as many as `factors` solve for it exactly.
    #[serde(default = "three")]
    #[schemars(range(min = 1))]
    cg_steps: usize,
    /// Whether to leave out what a user has already bought.
    #[serde(default)]
    exclude_purchased: bool,
    /// The column that tells users apart (integers or text).
    #[serde(default = "user_id")]
    user: String,
    /// The column that tells products apart (integers or text).
    #[serde(default = "product_id")]
    product: String,
    /// The column of the input `products` with their names (text).
    #[serde(default = "name")]
    name: String,
}

fn sixty_four() -> usize {
    64
}

fn regularization() -> f64 {
    0.1
}

fn alpha() -> f64 {
    1.0
}

fn fifteen() -> usize {
    15
}

fn three() -> usize {
    3
}

impl Stage for Als {
    const TYPE: &'static str = "recommend.als";
    const EXAMPLE: &'static str = "\
inputs: { purchases: train }
with: { n: 10, factors: 64, regularization: 0.1, alpha: 1.0, iterations: 15 }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input("purchases", Kind::Table, "One row per purchase: the user and product columns."),
            users_port(),
            products_port(),
            table_port("the dot product of the vectors, mostly between 0 and 1"),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if !(self.regularization > 0.0 && self.regularization.is_finite()) {
            return Err(ParamError::new("regularization", format!("{} is not above 0", self.regularization)));
        }
        if !(self.alpha >= 0.0 && self.alpha.is_finite()) {
            return Err(ParamError::new("alpha", format!("{} is not a number of 0 or more", self.alpha)));
        }
        check_names(&self.user, &self.product)
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        personal(inputs, &self.user, &self.product, Some(&self.name))
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let Pairs { purchases, users, products, pairs } = Pairs::read(context, &self.user, &self.product)?;
        let names = Names::read(context, &purchases, &products, &self.product, &self.name)?;
        let by_user = Rows::of(pairs.clone(), users.ids.len());
        let by_product = Rows::of(pairs.iter().map(|(user, product)| (*product, *user)).collect(), products.len());
        let bought = Bought::of(pairs, users.ids.len(), products.len());

        let mut rng = context.rng("factors");
        let mut start = |count: usize| Factors {
            width: self.factors,
            values: (0..count * self.factors).map(|_| (rng.random::<f64>() - 0.5) * 0.1).collect(),
        };
        let mut product_factors = start(products.len());
        let mut user_factors = Factors { width: self.factors, values: vec![0.0; users.ids.len() * self.factors] };
        for iteration in 0..self.iterations {
            context.progress(iteration as u64, self.iterations as u64);
            context.check_cancelled()?;
            self.improve(&mut user_factors, &product_factors, &by_user);
            context.check_cancelled()?;
            self.improve(&mut product_factors, &user_factors, &by_product);
        }
        if product_factors.values.iter().chain(&user_factors.values).any(|value| !value.is_finite()) {
            return Err(StageError::data("the factorisation diverged")
                .with_help("choose a smaller `alpha` or a larger `regularization`"));
        }

        let with: Vec<u32> =
            users.targets.iter().copied().filter(|user| !bought.by_user.row(*user).is_empty()).collect();
        warn_without(context, users.targets.len() - with.len(), users.targets.len());
        let excluded = |user| if self.exclude_purchased { bought.by_user.row(user) } else { &[] };
        let found = Factors::top(&user_factors, &product_factors, &with, self.n, excluded);
        let found: Vec<Vec<_>> = with
            .par_iter()
            .zip(found)
            .map(|(user, list)| {
                let own = bought.by_user.row(*user);
                list.into_iter().map(|scored| (scored, because(&product_factors, scored.0, own))).collect()
            })
            .collect();
        let mut lists = Lists::default();
        for (user, list) in with.iter().zip(found) {
            lists.push(*user, list);
        }
        let table = lists.table(&users.ids, &products, &names)?;
        context.put("table", table)
    }
}

/// The person's other product whose vector is most alike.
fn because(factors: &Factors, product: u32, own: &[u32]) -> Reason {
    let vector = factors.at(product);
    let cosine = |other: u32| {
        let other = factors.at(other);
        let length = dot(other, other).sqrt();
        if length > 0.0 { dot(vector, other) / length } else { 0.0 }
    };
    let others = own.iter().filter(|other| **other != product);
    let most = others.map(|other| (*other, cosine(*other))).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
    most.map_or(Reason::Popular, |(other, _)| Reason::With(other))
}

/// For each row, the columns in which there is something and how often.
struct Rows {
    starts: Vec<usize>,
    entries: Vec<(u32, f64)>,
}

impl Rows {
    fn of(mut pairs: Vec<(u32, u32)>, rows: usize) -> Self {
        pairs.sort_unstable();
        let mut starts = vec![0; rows + 1];
        let mut entries = Vec::with_capacity(pairs.len());
        for same in pairs.chunk_by(|a, b| a == b) {
            if let Some((row, column)) = same.first() {
                entries.push((*column, same.len() as f64));
                if let Some(count) = starts.get_mut(*row as usize + 1) {
                    *count += 1;
                }
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Self { starts, entries }
    }

    fn at(&self, row: usize) -> &[(u32, f64)] {
        match (self.starts.get(row), self.starts.get(row + 1)) {
            (Some(start), Some(end)) => self.entries.get(*start..*end).unwrap_or(&[]),
            _ => &[],
        }
    }
}

impl Als {
    /// Improves the vectors of one side, given those of the other.
    fn improve(&self, vectors: &mut Factors, others: &Factors, rows: &Rows) {
        let all = squares(others);
        vectors.values.par_chunks_mut(self.factors).enumerate().for_each(|(row, vector)| {
            let entries = rows.at(row);
            if entries.is_empty() {
                // The exact solution.
                vector.fill(0.0);
                return;
            }
            // The residual b - Ax, where A = all + regularization + Σ αr yyᵀ and b = Σ (1 + αr) y.
            let times = |x: &[f64], out: &mut [f64]| {
                for ((out, row), own) in out.iter_mut().zip(all.chunks(self.factors)).zip(x) {
                    *out = dot(row, x) + self.regularization * own;
                }
                for (other, count) in entries {
                    let y = others.at(*other);
                    add(out, self.alpha * count * dot(y, x), y);
                }
            };
            let mut product = vec![0.0; self.factors];
            times(vector, &mut product);
            let mut residual: Vec<f64> = product.iter().map(|value| -value).collect();
            for (other, count) in entries {
                add(&mut residual, 1.0 + self.alpha * count, others.at(*other));
            }
            let mut direction = residual.clone();
            let mut error = dot(&residual, &residual);
            for _ in 0..self.cg_steps {
                if error < 1e-24 {
                    break;
                }
                times(&direction, &mut product);
                let length = error / dot(&direction, &product);
                add(vector, length, &direction);
                add(&mut residual, -length, &product);
                let next = dot(&residual, &residual);
                for (direction, residual) in direction.iter_mut().zip(&residual) {
                    *direction = residual + next / error * *direction;
                }
                error = next;
            }
        });
    }
}

/// The sum of yyᵀ over the vectors, in chunks that are added in their order.
fn squares(vectors: &Factors) -> Vec<f64> {
    let width = vectors.width;
    let chunks: Vec<Vec<f64>> = vectors
        .values
        .par_chunks(width * 2_048)
        .map(|vectors| {
            let mut sum = vec![0.0; width * width];
            for vector in vectors.chunks(width) {
                for (row, value) in sum.chunks_mut(width).zip(vector) {
                    add(row, *value, vector);
                }
            }
            sum
        })
        .collect();
    let mut sum = vec![0.0; width * width];
    for chunk in chunks {
        add(&mut sum, 1.0, &chunk);
    }
    sum
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Four sums, which a processor adds at once.
    let mut sums = [0.0; 4];
    let (a_chunks, b_chunks) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

fn add(sum: &mut [f64], factor: f64, values: &[f64]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use polars::prelude::{DataFrame, df};
    use serde_json::json;
    use stagewright_contract::testkit::{Done, Trial};
    use stagewright_frame::testkit::table;

    use super::{Als, Rows};
    use crate::factors::Factors;
    use crate::testing::{lists, reasons, rows, shuffled};

    /// With numpy: for each row u of R, C = diag(1 + 2 R[u]), p = R[u] > 0,
    /// solve(Y.T @ C @ Y + .5 * eye(2), Y.T @ C @ p).
    #[test]
    fn as_many_steps_as_factors_solve_exactly() {
        let als: Als =
            serde_json::from_value(json!({ "factors": 2, "cg_steps": 2, "alpha": 2.0, "regularization": 0.5 }))
                .unwrap();
        let products = Factors { width: 2, values: vec![0.5, -0.25, 1.0, 0.75, -0.5, 0.5, 0.25, 1.0] };
        let counts = Rows::of(vec![(0, 2), (2, 1), (0, 0), (2, 0), (2, 1), (0, 0), (2, 3), (2, 1)], 3);
        let mut users = Factors { width: 2, values: vec![0.3, 0.1, 0.7, 0.2, -0.4, 0.9] };
        als.improve(&mut users, &products, &counts);
        let expected = [0.2928216062544421, 0.11513859275053304, 0.0, 0.0, 0.8230875667127892, 0.39059102589444544];
        for (found, expected) in users.values.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    /// Users 0 to 9 buy two of products 1 to 3, users 10 to 19 two of products 4 to 6: with two factors, numpy finds the
    /// third of each for all users and any seed.
    fn camps() -> DataFrame {
        let pairs = (0..20_i64).flat_map(|user| {
            let first = if user < 10 { 1 } else { 4 };
            (0..3).filter(move |product| *product != user % 3).map(move |product| (user, first + product))
        });
        let (users, products): (Vec<i64>, Vec<i64>) = pairs.unzip();
        df!["user_id" => users, "product_id" => products].unwrap()
    }

    fn run(purchases: DataFrame, seed: u64) -> Done {
        let params = json!({ "factors": 2, "n": 1, "exclude_purchased": true });
        Trial::new::<Als>(params).seed(seed).input("purchases", table(purchases)).run().unwrap()
    }

    #[test]
    fn users_get_what_others_of_their_taste_bought() {
        for seed in [1, 2, 3] {
            let done = run(camps(), seed);
            for (user, product, ..) in rows(&done) {
                let user: i64 = user.parse().unwrap();
                let first = if user < 10 { 1 } else { 4 };
                assert_eq!(product, (first + user % 3).to_string(), "user {user}");
            }
            assert!(reasons(&done).iter().all(|reason| reason.starts_with("often bought with product ")));
        }
    }

    #[test]
    fn the_seed_counts_and_the_order_of_rows_and_the_number_of_threads_do_not() {
        let bytes = run(camps(), 1).bytes();
        assert_ne!(run(camps(), 2).bytes(), bytes);
        assert_eq!(run(shuffled(&camps(), 7), 1).bytes(), bytes);
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| run(camps(), 1).bytes() == bytes));
        }
    }

    #[test]
    fn users_without_purchases_get_nothing() {
        let users = df!["user_id" => [3_i64, 99]].unwrap();
        let trial = Trial::new::<Als>(json!({ "factors": 2, "n": 1, "exclude_purchased": true }));
        let done = trial.input("purchases", table(camps())).input("users", table(users)).run().unwrap();
        assert_eq!(lists(&done), "3: 1");
        assert_eq!(done.warnings, ["1 of 2 users get no recommendations: they have no purchases to go by"]);
        let error = Trial::new::<Als>(json!({ "regularization": 0.0 })).check().unwrap_err();
        assert_eq!(error.to_string(), "regularization: 0 is not above 0");
    }
}
