use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{Ids, numbers, to_frame};

use crate::defaults::{order_id, product_id, ten, user_id};
use crate::directions::{Direction, Directions, Point, standardise};
use crate::lists::{Lists, Users, check_names, personal, table_port, users_port, warn_left_out, warn_without};
use crate::reasons::{Names, Reason};

/// Recommend products whose price and buyers' gender are like a user's spend and gender.
///
/// A user is the vector (gender code, total spend / number of different orders), a product one vector (gender code of
/// the buyer, price) for each different pair it was bought at. Gender codes are 0, 1, … in ascending order of the
/// values; a user with several has the smallest. Each coordinate is standardised over the users, or over the different
/// product vectors, to mean 0 and population standard deviation 1; a constant one becomes 0. The score is the cosine
/// similarity of the two vectors, from -1 to 1, and 0 where either is zero; a product counts once, with its best score.
/// Users without purchases get nothing. To make ties the same on every machine, vectors shorter than 1e-12 count as
/// zero, and unit vectors and scores are rounded to multiples of 1e-12 before they are compared. This is the
/// recommender of a published campaign system; two coordinates say little about taste, so judge it against
/// `recommend.popular`. Rows with a missing value or an infinite price are left out, with a warning.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cosine {
    /// How many products to recommend to each user, at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1))]
    n: usize,
    /// The column that tells users apart (integers or text).
    #[serde(default = "user_id")]
    user: String,
    /// The column that tells products apart (integers or text).
    #[serde(default = "product_id")]
    product: String,
    /// The column that tells orders apart (integers or text).
    #[serde(default = "order_id")]
    order: String,
    /// The column with the price that was paid (a number, in any currency unit).
    #[serde(default = "sale_price")]
    price: String,
    /// The column with the gender of the buyer (integers or text).
    #[serde(default = "gender")]
    gender: String,
}

fn sale_price() -> String {
    "sale_price".to_owned()
}

fn gender() -> String {
    "gender".to_owned()
}

impl Stage for Cosine {
    const TYPE: &'static str = "recommend.cosine";
    const EXAMPLE: &'static str = "\
inputs: { purchases: joined }
with: { n: 5, price: sale_price, gender: gender }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input(
                "purchases",
                Kind::Table,
                "One row per item of an order: the user, product, order, price and gender columns.",
            ),
            users_port(),
            table_port("the cosine similarity, from -1 to 1"),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        check_names(&self.user, &self.product)
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        personal(inputs, &self.user, &self.product, None)
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let purchases = to_frame(&*context.table("purchases")?)?;
        let users = Users::read(context, &purchases, &self.user)?;
        let products = Ids::of(&self.product, &[("purchases", &purchases)])?;
        let product_rows = products.codes(&purchases)?;
        let orders = Ids::of(&self.order, &[("purchases", &purchases)])?.codes(&purchases)?;
        let genders = Ids::of(&self.gender, &[("purchases", &purchases)])?.codes(&purchases)?;
        let prices = numbers(&purchases, &self.price)?;
        let mut rows = Vec::with_capacity(purchases.height());
        for (((user, product), (order, gender)), price) in
            users.rows.iter().zip(product_rows).zip(orders.into_iter().zip(genders)).zip(prices)
        {
            if let (Some(user), Some(product), Some(order), Some(gender), Some(price)) =
                (*user, product, order, gender, price.filter(|price| price.is_finite()))
            {
                rows.push(Row { user, order, product, gender, price });
            }
        }
        let columns: [&str; 5] = [&self.user, &self.product, &self.order, &self.price, &self.gender];
        warn_left_out(context, purchases.height() - rows.len(), purchases.height(), &columns);
        context.check_cancelled()?;

        scale(&mut rows);
        // Sums follow this order, whatever the order of the input.
        rows.sort_unstable_by(|a, b| a.key().cmp(&b.key()).then(a.price.total_cmp(&b.price)));
        let user_directions = user_directions(&rows);
        let directions = Directions::of(product_points(rows), products.len());
        context.check_cancelled()?;

        let mut wanted: Vec<Direction> = Vec::with_capacity(users.targets.len());
        let mut found: Vec<(u32, Direction)> = Vec::with_capacity(users.targets.len());
        for user in &users.targets {
            if let Ok(index) = user_directions.binary_search_by_key(user, |(user, _)| *user)
                && let Some((_, direction)) = user_directions.get(index)
            {
                found.push((*user, *direction));
                wanted.push(*direction);
            }
        }
        warn_without(context, users.targets.len() - found.len(), users.targets.len());
        wanted.sort_unstable();
        wanted.dedup();
        // Users with equal vectors share a list.
        let best: Vec<_> = wanted
            .par_iter()
            .with_min_len(64)
            .map_init(|| directions.search(), |search, direction| search.nearest(*direction, self.n))
            .collect();
        let mut lists = Lists::default();
        for (user, direction) in found {
            if let Ok(index) = wanted.binary_search(&direction)
                && let Some(list) = best.get(index)
            {
                lists.push(user, list.iter().map(|scored| (*scored, Reason::Similar)));
            }
        }
        let table = lists.table(&users.ids, &products, &Names::none())?;
        context.put("table", table)
    }
}

struct Row {
    user: u32,
    order: u32,
    product: u32,
    gender: u32,
    price: f64,
}

impl Row {
    fn key(&self) -> (u32, u32, u32, u32) {
        (self.user, self.order, self.product, self.gender)
    }
}

/// Brings prices into -1..1, which standardised values do not notice, so that no sum or square overflows.
fn scale(rows: &mut [Row]) {
    let largest = rows.iter().map(|row| row.price.abs()).fold(0.0, f64::max);
    if largest > 0.0 {
        for row in rows {
            row.price = row.price / largest + 0.0;
        }
    }
}

/// The direction of every user's vector, by user.
fn user_directions(rows: &[Row]) -> Vec<(u32, Direction)> {
    let mut users = Vec::new();
    let mut points = Vec::new();
    for rows in rows.chunk_by(|a, b| a.user == b.user) {
        if let (Some(first), Some(gender)) = (rows.first(), rows.iter().map(|row| row.gender).min()) {
            let spend: f64 = rows.iter().map(|row| row.price).sum();
            let orders = rows.chunk_by(|a, b| a.order == b.order).count();
            users.push(first.user);
            points.push((f64::from(gender), spend / orders as f64));
        }
    }
    standardise(&mut points);
    users.into_iter().zip(points.into_iter().map(Direction::of)).collect()
}

/// The standardised vectors of the products.
fn product_points(mut rows: Vec<Row>) -> Vec<Point> {
    rows.sort_unstable_by(|a, b| (a.product, a.gender).cmp(&(b.product, b.gender)).then(a.price.total_cmp(&b.price)));
    rows.dedup_by(|a, b| (a.product, a.gender, a.price) == (b.product, b.gender, b.price));
    let mut points: Vec<(f64, f64)> = rows.iter().map(|row| (f64::from(row.gender), row.price)).collect();
    standardise(&mut points);
    rows.iter().zip(points).map(|(row, point)| (row.product, Direction::of(point))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use polars::prelude::{Column, DataFrame, NamedFrom, Series, df};
    use serde_json::{Value, json};
    use stagewright_contract::testkit::{Done, Trial};
    use stagewright_frame::testkit::table;

    use super::Cosine;
    use crate::testing::{lists, rows, shuffled};

    fn purchases() -> DataFrame {
        df![
            "user_id" => [1_i64, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 6, 6, 7, 7, 7, 7,
                7, 7, 7, 7, 8, 8, 8, 8, 8, 8],
            "product_id" => [11_i64, 3, 11, 12, 1, 2, 3, 10, 5, 10, 12, 12, 7, 3, 6, 1, 8, 11, 5, 9, 7, 6, 9, 10, 11, 1,
                12, 3, 12, 9, 10, 2, 12, 11, 5, 2, 8, 8, 2, 6],
            "order_id" => [101_i64, 101, 102, 103, 103, 104, 104, 104, 105, 106, 106, 107, 107, 108, 108, 109, 110, 111,
                111, 112, 112, 113, 113, 113, 114, 114, 115, 115, 115, 116, 116, 117, 117, 117, 118, 118, 119, 120, 120,
                120],
            "sale_price" => [67.59, 47.54, 67.59, 59.08, 32.37, 67.59, 47.54, 31.95, 76.96, 31.95, 59.08, 59.08, 6.51,
                47.54, 12.54, 32.37, 101.31, 67.59, 76.96, 34.83, 6.51, 12.54, 34.83, 31.95, 67.59, 32.37, 59.08, 47.54,
                59.08, 34.83, 31.95, 67.59, 59.08, 67.59, 76.96, 67.59, 101.31, 101.31, 67.59, 12.54],
            "gender" => ["F", "F", "F", "M", "M", "M", "M", "M", "M", "F", "F", "F", "F", "M", "M", "M", "M", "M", "M",
                "M", "M", "M", "M", "M", "M", "M", "F", "F", "F", "F", "F", "F", "F", "F", "M", "M", "M", "M", "M",
                "M"],
        ]
        .unwrap()
    }

    fn run(purchases: DataFrame, params: Value) -> Done {
        Trial::new::<Cosine>(params).input("purchases", table(purchases)).run().unwrap()
    }

    fn with(name: &str, values: impl IntoIterator<Item = f64>) -> DataFrame {
        let mut frame = purchases();
        let values: Vec<f64> = values.into_iter().collect();
        frame.with_column(Column::from(Series::new(name.into(), values))).unwrap();
        frame
    }

    /// Computed in Python with scikit-learn 1.9: LabelEncoder for the gender; users = (min gender, sum of sale_price /
    /// nunique order_id), products = distinct (product_id, gender, sale_price); StandardScaler on each;
    /// cosine_similarity, np.round(…, 12), maximum per user and product, sorted by (score desc, product asc), head(3).
    #[test]
    fn it_gives_what_scikit_learn_gives() {
        let expected = [
            (1, 9, 1, 0.995993057883),
            (1, 10, 2, 0.986239904087),
            (1, 3, 3, 0.95646969156),
            (2, 3, 1, 0.985802618952),
            (2, 12, 2, 0.938003896411),
            (2, 2, 3, 0.816320463519),
            (3, 10, 1, 0.989842929498),
            (3, 9, 2, 0.976075785693),
            (3, 7, 3, 0.950479657514),
            (4, 6, 1, 0.999865264863),
            (4, 7, 2, 0.998777828338),
            (4, 10, 3, 0.917796647683),
            (5, 9, 1, 0.999937449062),
            (5, 1, 2, 0.997394912642),
            (5, 10, 3, 0.996348338744),
            (6, 3, 1, 0.996398280399),
            (6, 9, 2, 0.88507252609),
            (6, 1, 3, 0.843231999373),
            (7, 2, 1, 0.954194349883),
            (7, 11, 2, 0.954194349883),
            (7, 12, 3, 0.868123079636),
            (8, 8, 1, 0.994222122647),
            (8, 5, 2, 0.991325830394),
            (8, 2, 3, 0.949976640574),
        ];
        let found = rows(&run(purchases(), json!({ "n": 3 })));
        assert_eq!(found.len(), expected.len());
        for (found, (user, product, rank, score)) in found.iter().zip(expected) {
            assert_eq!((&found.0, &found.1, found.2), (&user.to_string(), &product.to_string(), rank));
            assert!((found.3 - score).abs() < 3e-12, "{found:?} {score}");
        }
    }

    #[test]
    fn every_product_is_in_a_long_list_once() {
        let rows = rows(&run(purchases(), json!({ "n": 100 })));
        assert_eq!(rows.len(), 8 * 11, "eight users, eleven products");
        for pair in rows.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            assert!(pair[0].3 >= pair[1].3);
            assert_ne!(pair[0].1, pair[1].1);
        }
    }

    #[test]
    fn with_one_gender_only_the_side_of_the_mean_matters() {
        let purchases = df![
            "user_id" => [1_i64, 2, 3],
            "order_id" => [1_i64, 2, 3],
            "product_id" => [5_i64, 6, 7],
            "sale_price" => [10.0, 11.0, 60.0],
            "gender" => ["F", "F", "F"],
        ];
        let done = run(purchases.unwrap(), json!({}));
        assert_eq!(lists(&done), "1: 5 6 7 | 2: 5 6 7 | 3: 7 5 6");
        assert_eq!(rows(&done).iter().map(|row| row.3).collect::<Vec<_>>(), [1., 1., -1., 1., 1., -1., 1., -1., -1.]);
    }

    #[test]
    fn one_user_is_the_mean_and_so_zero() {
        let done = run(purchases().head(Some(3)), json!({}));
        assert_eq!(lists(&done), "1: 3 11");
        assert!(rows(&done).iter().all(|row| row.3 == 0.0));
    }

    #[test]
    fn the_unit_of_the_price_does_not_matter() {
        let expected = lists(&run(purchases(), json!({})));
        let prices: Vec<f64> = purchases().column("sale_price").unwrap().f64().unwrap().iter().flatten().collect();
        for factor in [1e306, 1e-300, 0.07] {
            assert_eq!(lists(&run(with("sale_price", prices.iter().map(|price| price * factor)), json!({}))), expected);
        }
    }

    #[test]
    fn users_who_bought_nothing_get_nothing() {
        let users = df!["user_id" => [8_i64, 77]].unwrap();
        let trial = Trial::new::<Cosine>(json!({ "n": 2 }));
        let done = trial.input("purchases", table(purchases())).input("users", table(users)).run().unwrap();
        assert_eq!(lists(&done), "8: 8 5");
        assert_eq!(done.warnings, ["1 of 2 users get no recommendations: they have no purchases to go by"]);
    }

    #[test]
    fn infinite_prices_are_left_out() {
        let mut prices: Vec<f64> = purchases().column("sale_price").unwrap().f64().unwrap().iter().flatten().collect();
        prices[0] = f64::INFINITY;
        prices[1] = f64::NAN;
        let done = run(with("sale_price", prices), json!({}));
        assert_eq!(
            done.warnings,
            ["2 of 40 purchases are left out: a value is missing in one of `user_id`, `product_id`, `order_id`, \
              `sale_price`, `gender`"]
        );
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let bytes = run(purchases(), json!({})).bytes();
        for stride in 1..20 {
            assert_eq!(run(shuffled(&purchases(), stride), json!({})).bytes(), bytes);
        }
    }
}
