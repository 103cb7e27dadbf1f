use polars::prelude::DataFrame;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{Ids, to_frame};

use crate::defaults::{product_id, ten, user_id};
use crate::lists::{Lists, Scored, by_score, check_names, personal, table_port, users_port};
use crate::pairs::Pairs;
use crate::reasons::{Names, Reason};

/// Recommend what most people buy.
///
/// The score of a product is how many different users bought it, or in how many rows it was bought. Everybody gets the
/// same list, also users without purchases; with `exclude_purchased` each user's own past purchases are left out of
/// theirs. With the input `segments`, only the purchases within a user's segment count for them; users without a segment
/// get what is popular with all. This is the baseline that any personal method must beat. Rows without a user or a
/// product are left out, with a warning.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Popular {
    /// How many products to recommend to each user, at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1))]
    n: usize,
    /// What counts as popular: `buyers`, the number of different users who bought a product, or `purchases`, the
    /// number of rows.
    #[serde(default)]
    by: PopularBy,
    /// Whether to leave out what a user has already bought.
    #[serde(default)]
    exclude_purchased: bool,
    /// The column that tells users apart (integers or text).
    #[serde(default = "user_id")]
    user: String,
    /// The column that tells products apart (integers or text).
    #[serde(default = "product_id")]
    product: String,
    /// The column of the input `segments` that says which segment a user belongs to (integers or text).
    #[serde(default = "cluster")]
    segment: String,
}

fn cluster() -> String {
    "cluster".to_owned()
}

/// What makes a product popular.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PopularBy {
    /// The number of different users who bought it.
    #[default]
    Buyers,
    /// The number of rows.
    Purchases,
}

impl Stage for Popular {
    const TYPE: &'static str = "recommend.popular";
    const EXAMPLE: &'static str = "\
inputs: { purchases: train }
with: { n: 10, exclude_purchased: true }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("purchases", Kind::Table, "One row per purchase: the user and product columns."),
            users_port(),
            Port::input(
                "segments",
                Kind::Table,
                "The segment of each user: a table with the user and segment columns, such as `table` of \
                 `segment.kmeans`. Of several segments of a user, the smallest counts.",
            )
            .optional(),
            table_port("how many users bought the product, or in how many rows"),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        check_names(&self.user, &self.product)
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        personal(inputs, &self.user, &self.product, None)
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let Pairs { purchases, users, products, pairs: mut bought } = Pairs::read(context, &self.user, &self.product)?;
        let segments = self.segments(context, &purchases, &users.ids)?;
        let segment_of = |user: u32| segments.get(user as usize).copied().flatten();

        bought.sort_unstable();
        if self.by == PopularBy::Buyers {
            bought.dedup();
        }
        let overall = ranking(bought.iter().map(|(_, product)| *product), products.len());
        let mut in_segments: Vec<(u32, u32)> =
            bought.iter().filter_map(|(user, product)| Some((segment_of(*user)?, *product))).collect();
        in_segments.sort_unstable();
        let rankings: Vec<(u32, Vec<Scored>)> = in_segments
            .chunk_by(|a, b| a.0 == b.0)
            .filter_map(|rows| Some((rows.first()?.0, sparse_ranking(rows))))
            .collect();
        bought.dedup();
        context.check_cancelled()?;

        let mut lists = Lists::default();
        for user in &users.targets {
            let segment = segment_of(*user)
                .and_then(|segment| rankings.binary_search_by_key(&segment, |(segment, _)| *segment).ok())
                .and_then(|place| rankings.get(place));
            let (ranking, reason) = match segment {
                Some((_, ranking)) => (ranking, Reason::PopularInSegment),
                None => (&overall, Reason::Popular),
            };
            let own = if self.exclude_purchased { of_user(&bought, *user) } else { &[] };
            let others = ranking.iter().filter(|(product, _)| own.binary_search(&(*user, *product)).is_err());
            lists.push(*user, others.take(self.n).map(|scored| (*scored, reason)));
        }
        let table = lists.table(&users.ids, &products, &Names::none())?;
        context.put("table", table)
    }
}

impl Popular {
    /// The segment of each user; empty where there are no segments.
    fn segments(
        &self,
        context: &StageContext,
        purchases: &DataFrame,
        users: &Ids,
    ) -> Result<Vec<Option<u32>>, StageError> {
        if !context.has_input("segments") {
            return Ok(Vec::new());
        }
        let frame = to_frame(&*context.table("segments")?)?;
        // Only the types are compared: users who neither bought nor get a list need no code.
        let heads = [("purchases", &purchases.head(Some(0))), ("segments", &frame.head(Some(0)))];
        Ids::of(&self.user, &heads)?;
        let codes = Ids::of(&self.segment, &[("segments", &frame)])?.codes(&frame)?;
        let mut segments: Vec<Option<u32>> = vec![None; users.len()];
        for (user, segment) in users.codes(&frame)?.into_iter().zip(codes) {
            if let (Some(slot), Some(segment)) = (user.and_then(|user| segments.get_mut(user as usize)), segment) {
                *slot = Some(slot.map_or(segment, |known| known.min(segment)));
            }
        }
        Ok(segments)
    }
}

/// The products of these sorted rows by how often they occur, most frequent first.
fn sparse_ranking(rows: &[(u32, u32)]) -> Vec<Scored> {
    let products = rows.chunk_by(|a, b| a.1 == b.1);
    let mut ranking: Vec<Scored> = products.filter_map(|rows| Some((rows.first()?.1, rows.len() as f64))).collect();
    ranking.sort_unstable_by(by_score);
    ranking
}

/// The products by how often they occur, most frequent first.
pub(crate) fn ranking(occurrences: impl Iterator<Item = u32>, products: usize) -> Vec<Scored> {
    let mut counts = vec![0_u64; products];
    for product in occurrences {
        if let Some(count) = counts.get_mut(product as usize) {
            *count += 1;
        }
    }
    let mut ranking: Vec<Scored> =
        (0..).zip(counts).filter(|(_, count)| *count > 0).map(|(product, count)| (product, count as f64)).collect();
    ranking.sort_unstable_by(by_score);
    ranking
}

/// The part of `pairs`, which are ascending, that is about one user.
pub(crate) fn of_user(pairs: &[(u32, u32)], user: u32) -> &[(u32, u32)] {
    let start = pairs.partition_point(|pair| pair.0 < user);
    let end = pairs.partition_point(|pair| pair.0 <= user);
    pairs.get(start..end).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use polars::prelude::{DataFrame, DataType, df};
    use serde_json::json;
    use stagewright_contract::testkit::Trial;
    use stagewright_frame::testkit::{frame, table};

    use super::Popular;
    use crate::testing::{lists, reasons, rows, shuffled};

    /// Product 7 has 3 rows but 1 buyer; 8 and 9 have 2 buyers each; 5 has 1.
    fn purchases() -> DataFrame {
        df!["user_id" => [1_i64, 1, 1, 1, 2, 2, 3, 3, 4], "product_id" => [7_i64, 7, 7, 9, 9, 8, 8, 5, 5]].unwrap()
    }

    fn run(params: serde_json::Value) -> stagewright_contract::testkit::Done {
        Trial::new::<Popular>(params).input("purchases", table(purchases())).run().unwrap()
    }

    #[test]
    fn buyers_count_once_and_ties_go_to_the_smaller_product() {
        let done = run(json!({ "n": 3 }));
        assert_eq!(lists(&done), "1: 5 8 9 | 2: 5 8 9 | 3: 5 8 9 | 4: 5 8 9");
        assert_eq!(rows(&done)[..3].iter().map(|row| row.3).collect::<Vec<_>>(), [2.0, 2.0, 2.0]);
    }

    #[test]
    fn purchases_count_rows() {
        assert_eq!(lists(&run(json!({ "n": 2, "by": "purchases" }))), "1: 7 5 | 2: 7 5 | 3: 7 5 | 4: 7 5");
    }

    #[test]
    fn own_purchases_can_be_left_out() {
        let done = run(json!({ "n": 2, "exclude_purchased": true }));
        assert_eq!(lists(&done), "1: 5 8 | 2: 5 7 | 3: 9 7 | 4: 8 9");
    }

    #[test]
    fn within_segments_only_their_own_purchases_count() {
        // Users 1 and 2 are in segment a, 3 is in b and in c (b counts), 4 in none, 5 bought nothing.
        let segments = df!["user_id" => [1_i64, 2, 3, 3, 5], "cluster" => ["a", "a", "c", "b", "b"]].unwrap();
        let users = df!["user_id" => [1_i64, 2, 3, 4, 5]].unwrap();
        let trial = Trial::new::<Popular>(json!({ "n": 2 })).input("users", table(users));
        let done = trial.input("purchases", table(purchases())).input("segments", table(segments)).run().unwrap();
        assert_eq!(lists(&done), "1: 9 7 | 2: 9 7 | 3: 5 8 | 4: 5 8 | 5: 5 8");
        let reasons = reasons(&done);
        assert_eq!((reasons[0].as_str(), reasons[6].as_str()), ("popular in your segment", "popular"));
    }

    #[test]
    fn the_users_input_says_who_gets_a_list() {
        let users = df!["user_id" => [Some(99_i64), Some(2), None, Some(2)]].unwrap();
        let trial = Trial::new::<Popular>(json!({ "n": 2, "exclude_purchased": true }));
        let done = trial.input("purchases", table(purchases())).input("users", table(users)).run().unwrap();
        assert_eq!(lists(&done), "2: 5 7 | 99: 5 8");
    }

    #[test]
    fn identifiers_keep_their_type_and_column_names() {
        let purchases = df!["who" => ["ann", "bob", "bob"], "what" => ["tea", "tea", "jam"]].unwrap();
        let trial = Trial::new::<Popular>(json!({ "user": "who", "product": "what" }));
        let done = trial.input("purchases", table(purchases)).run().unwrap();
        assert_eq!(lists(&done), "ann: tea jam | bob: tea jam");

        let purchases = df!["user_id" => [1_i32, 2], "product_id" => [3_u16, 4]].unwrap();
        let done = Trial::new::<Popular>(json!({})).input("purchases", table(purchases)).run().unwrap();
        let types: Vec<_> = frame(&done.table("table")).dtypes();
        assert_eq!(types, [DataType::Int32, DataType::UInt16, DataType::Int64, DataType::Float64, DataType::String]);
    }

    #[test]
    fn rows_without_a_product_are_left_out_with_a_warning() {
        let purchases = df!["user_id" => [1_i64, 2], "product_id" => [Some(3_i64), None]].unwrap();
        let done = Trial::new::<Popular>(json!({})).input("purchases", table(purchases)).run().unwrap();
        assert_eq!(lists(&done), "1: 3 | 2: 3");
        assert_eq!(
            done.warnings,
            ["1 of 2 purchases are left out: a value is missing in one of `user_id`, `product_id`"]
        );
    }

    #[test]
    fn personal_users_stay_personal() {
        let mut purchases = table(purchases());
        purchases.mark_personal(["user_id"]);
        let done = Trial::new::<Popular>(json!({})).input("purchases", purchases).run().unwrap();
        assert!(done.table("table").is_personal("user_id"));
        assert!(!done.table("table").is_personal("product_id"));
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let bytes = run(json!({ "exclude_purchased": true })).bytes();
        for stride in 1..9 {
            let trial = Trial::new::<Popular>(json!({ "exclude_purchased": true }));
            let done = trial.input("purchases", table(shuffled(&purchases(), stride))).run().unwrap();
            assert_eq!(done.bytes(), bytes);
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        let users = df!["user_id" => ["a", "b"]].unwrap();
        let trial = Trial::new::<Popular>(json!({}));
        let error = trial.input("purchases", table(purchases())).input("users", table(users)).run().unwrap_err();
        assert_eq!(error.message, "column `user_id` is i64 in `purchases` and str in `users`, the same is needed");
        assert_eq!(error.help.unwrap(), "cast one of them with `clean.cast`");

        let floats = df!["user_id" => [1.5, 2.0], "product_id" => [1_i64, 2]].unwrap();
        let error = Trial::new::<Popular>(json!({})).input("purchases", table(floats)).run().unwrap_err();
        assert_eq!(error.message, "column `user_id` is f64, integers or text are needed to tell one from another");

        let error = Trial::new::<Popular>(json!({ "user": "rank" })).check().unwrap_err();
        assert_eq!(error.to_string(), "user: `rank` is the name of another column of the output");
        let error = Trial::new::<Popular>(json!({ "user": "id", "product": "id" })).check().unwrap_err();
        assert_eq!(error.to_string(), "product: `id` is the user column, too");
    }
}
