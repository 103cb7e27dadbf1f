mod fairness;
mod lists;
#[cfg(test)]
mod tests;
mod variety;

use std::collections::BTreeSet;

use polars::prelude::{Column, DataFrame, NamedFrom, Series};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Disclosure, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Sample, Stage, StageContext, StageError,
};
use stagewright_frame::{polars_error, to_table};

use crate::outputs::{personal, put};
use fairness::{Audit, UserGroups};
use lists::{Input, QUALITIES, UserScores, discounts, distinct, harmonic, users_of};
use variety::Shown;

/// Measure lists of recommendations against what users really bought.
///
/// The list of a user is ordered by `rank`, ascending, or without such a column by `score`, descending; rows without
/// either come last, and equal ones go by product, ascending. A product counts once, at its first place; the places are
/// then numbered from 1 without gaps. A hit is a recommended product among the user's test products (each counts once).
/// For every K, a user has: `precision` = hits in the first K / K, however short the list; `recall` = hits / test
/// products; `f1` = 2pr / (p + r); `accuracy` = hits / products recommended in the first K; `ndcg` = the sum of
/// 1 / log2(place + 1) over the hits, divided by the largest value possible, that of min(test products, K) hits at the
/// top (Järvelin and Kekäläinen 2002, binary gains); `map` = the sum of the precision at each hit's place / min(test
/// products, K); `mrr` = 1 / place of the first hit; `hit_rate` = 1 if there is a hit. All lie from 0 to 1, are 0 where
/// there is nothing to divide by, and are averaged over the users, but `f1@K` is computed from the mean precision and
/// the mean recall. `coverage@K` is the share of the catalogue's products that are in the first K of any list. Over no
/// users, and over an empty catalogue, these are undefined. Rows without a user or a product are left out, with a
/// warning. The digest of the units covers the users and their test products, so that two results can be compared
/// exactly if they were tested on the same.
///
/// `gini@K` says how unevenly the products of the catalogue are shown: the sum over the products, by how often they are
/// in the first K of any list, ascending, of (2i - n - 1) × that count, divided by n × the sum of the counts; 0 where
/// all are shown equally often, towards 1 where one is shown to everybody (as in RecBole; those never shown count 0).
/// With `purchases`, `novelty@K` is the mean over all lists of the mean of -log2 of the share that a shown product has
/// of all purchases, in bits (Zhou et al. 2010); a product that nobody bought counts as bought once.
///
/// With `users` and `groups`, the measures are taken over the users of each group, coverage, Gini and novelty over
/// their lists, and the largest difference between groups is the metric `MEASURE@K_difference:COLUMN`. Users who are
/// not in `users`, or have no value there, are a group of their own.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ranking {
    /// The lengths K of the lists to measure, each at least 1.
    #[serde(default = "five_and_ten")]
    #[schemars(length(min = 1), inner(range(min = 1)), extend("uniqueItems" = true))]
    k: Vec<usize>,
    /// The column that tells users apart (integers or text).
    #[serde(default = "user_id")]
    user: String,
    /// The column that tells products apart (integers or text).
    #[serde(default = "product_id")]
    product: String,
    /// Which users the means are over: `with_test`, all users with test rows (one without recommendations counts as 0),
    /// or `recommended`, all users with recommendations (one without test rows counts as 0).
    #[serde(default)]
    users: RankingUsers,
    /// The columns of the input `users` whose groups are measured one by one (integers or text, at most 500 values).
    #[serde(default)]
    groups: Vec<String>,
    /// Groups with fewer users take no part in the differences between groups; they are in the table.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    min_group_users: usize,
}

/// Which users the means are over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RankingUsers {
    /// The users with test rows.
    #[default]
    WithTest,
    /// The users with recommendations.
    Recommended,
}

fn five_and_ten() -> Vec<usize> {
    vec![5, 10]
}

fn one() -> usize {
    1
}

fn user_id() -> String {
    "user_id".to_owned()
}

fn product_id() -> String {
    "product_id".to_owned()
}

impl Stage for Ranking {
    const TYPE: &'static str = "evaluate.ranking";
    const EXAMPLE: &'static str = "\
inputs: { recommendations: recommend, test: split.test }
with: { k: [5, 10] }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input(
                "recommendations",
                Kind::Table,
                "One row per user and recommended product: the user and product columns, and `rank` (from 1) or \
                 `score`.",
            ),
            Port::input("test", Kind::Table, "What users really bought: the user and product columns."),
            Port::input(
                "catalog",
                Kind::Table,
                "All products there are, for the coverage: a table with the product column. Without it, the products \
                 of the other two inputs.",
            )
            .optional(),
            Port::input(
                "purchases",
                Kind::Table,
                "What was bought before, a row per purchase with the product column, for the novelty.",
            )
            .optional(),
            Port::input("users", Kind::Table, "One row per user: the user column and the columns of `groups`.")
                .optional(),
            Port::output(
                "metrics",
                Kind::Metrics,
                "The means `precision@K`, `recall@K`, `f1@K`, `accuracy@K`, `ndcg@K`, `map@K`, `mrr@K`, `hit_rate@K`, \
                 and `coverage@K`, `gini@K`, `novelty@K` (with `purchases`) and `hits@K` for every K; the differences \
                 between groups; and the counts `users` (averaged over), \
                 `users_with_recommendations`, `users_with_test`, `products_recommended`, `test_pairs`.",
            ),
            Port::output(
                "per_user",
                Kind::Table,
                "One row per user averaged over, sorted by user: the user column, and for every K `precision@K`, \
                 `recall@K`, `f1@K`, `accuracy@K`, `ndcg@K`, `map@K`, `mrr@K`, `hit_rate@K` (float64, 0 to 1).",
            ),
            Port::output(
                "by_group",
                Kind::Table,
                "All users averaged over (`column` and `group` null), then each group: `column`, `group`, `users`, and \
                 for every K the eight means, `coverage@K`, `gini@K` and `novelty@K` (float64).",
            ),
            Port::output(
                "by_group_figure",
                Kind::Figure,
                "NDCG, recall and hit rate at the largest K, of all users and of each group.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.k.iter().collect::<BTreeSet<_>>().len() < self.k.len() {
            return Err(ParamError::new("k", "a length occurs twice").with_help("give every K once"));
        }
        if self.user == self.product {
            return Err(ParamError::new("product", format!("`{}` is the user column, too", self.product))
                .with_help("name the column that holds the products"));
        }
        if let Some(index) = (1..self.groups.len()).find(|index| self.groups[..*index].contains(&self.groups[*index])) {
            let message = format!("`{}` is named twice", self.groups[index]);
            return Err(ParamError::new(format!("groups/{index}"), message));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let measures = |names: &[&str]| -> Vec<String> {
            self.k.iter().flat_map(|k| names.iter().map(move |name| format!("{name}@{k}"))).collect()
        };
        let means = measures(&QUALITIES.map(|(name, _)| name));
        let more = measures(&["coverage", "gini", "novelty"]);
        let per_user: Vec<&str> = [self.user.as_str()].into_iter().chain(means.iter().map(String::as_str)).collect();
        let by_group: Vec<&str> =
            ["column", "group", "users"].into_iter().chain(means.iter().chain(&more).map(String::as_str)).collect();
        personal(&[("per_user", &per_user), ("by_group", &by_group)], &self.holding(), inputs)
    }

    fn discloses(&self) -> Vec<Disclosure> {
        if self.groups.is_empty() {
            return Vec::new();
        }
        vec![Disclosure {
            port: "users",
            columns: Some(self.groups.clone()),
            to: "a table and a figure of measures by group",
            help: "group by a column that is not personal, such as one made with `clean.bin`".to_owned(),
        }]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let input = Input::read(context, &self.user, &self.product)?;
        context.check_cancelled()?;
        let users: Vec<u32> = match self.users {
            RankingUsers::WithTest => users_of(&input.tested),
            RankingUsers::Recommended => users_of(&input.recommended),
        };
        let lengths: BTreeSet<usize> = self.k.iter().copied().collect();
        let discounts = discounts(input.longest());

        let mut metrics = Metrics::new()
            .over("user", users.len() as u64, input.units(&users))
            .with_units_at("per_user", std::slice::from_ref(&self.user));
        let mut columns = vec![input.user_ids.column(&users)?];
        let everybody: Vec<usize> = (0..users.len()).collect();
        let mut by_length: Vec<(usize, UserMeasures)> = Vec::new();
        for k in lengths.iter().copied() {
            context.check_cancelled()?;
            let scores: Vec<UserScores> = users.iter().map(|user| input.score(*user, k, &discounts)).collect();
            let measures = QUALITIES.map(|(_, quality)| scores.iter().map(quality).collect::<Vec<f64>>());
            for ((name, _), value) in QUALITIES.iter().zip(means(&measures, &everybody)) {
                let metric = format!("{name}@{k}");
                metrics.insert(metric.as_str(), value, Goal::Maximize)?;
                // The mean F1 is computed from two means and is no mean of its own.
                if *name != "f1" {
                    metrics.sampled([(metric.as_str(), Sample::Mean(metric.clone()))]);
                }
            }
            for ((name, _), values) in QUALITIES.iter().zip(&measures) {
                columns.push(Column::from(Series::new(format!("{name}@{k}").into(), values)));
            }
            let shown = Shown::to_all(&input, k);
            metrics.insert(format!("coverage@{k}"), shown.coverage(), Goal::Maximize)?;
            metrics.insert(format!("gini@{k}"), shown.gini(), Goal::Minimize)?;
            if input.popularity.is_some() {
                metrics.insert(format!("novelty@{k}"), shown.novelty(), Goal::Maximize)?;
            }
            by_length.push((k, measures));
            let hits = scores.iter().map(|scores| scores.hits).sum();
            metrics.insert(format!("hits@{k}"), Some(hits), Goal::Describe)?;
        }
        for (name, count) in [
            ("users", users.len()),
            ("users_with_recommendations", users_of(&input.recommended).len()),
            ("users_with_test", users_of(&input.tested).len()),
            ("products_recommended", distinct(input.recommended.iter().map(|pair| pair.1)).len()),
            ("test_pairs", input.tested.len()),
        ] {
            metrics.insert(name, Some(count as f64), Goal::Describe)?;
        }
        let groups = self.user_groups(context, &input, &users)?;
        let audit = Audit::of(&input, &users, &by_length, &groups);
        audit.differences(&mut metrics, &groups, self.min_group_users)?;
        let longest = lengths.last().copied().unwrap_or(1);
        context.put("by_group_figure", audit.figure(longest, &groups))?;
        let holds = if context.has_input("users") { context.table("users")? } else { context.table("test")? };
        put(context, "by_group", audit.table(users.len(), &groups), &self.holding(), &holds)?;
        let per_user = DataFrame::new(users.len(), columns)
            .map_err(|error| polars_error("writing the measures of each user", &error))?;
        context.put("metrics", metrics)?;
        context.put("per_user", to_table(per_user)?)
    }
}

impl Ranking {
    fn user_groups(&self, context: &StageContext, input: &Input, users: &[u32]) -> Result<Vec<UserGroups>, StageError> {
        let Some(table) = &input.users else {
            if self.groups.is_empty() {
                return Ok(Vec::new());
            }
            return Err(StageError::data("`groups` are named, and nothing is connected to the input `users`")
                .with_help("connect a table with a row per user, or leave `groups` out"));
        };
        let groups = self.groups.iter().map(|name| UserGroups::read(input, table, name, users));
        let groups = groups.collect::<Result<Vec<_>, _>>()?;
        for groups in &groups {
            let small = groups.smaller_than(self.min_group_users);
            if small > 0 {
                context.warn(format!(
                    "{small} of {} groups of `{}` have fewer than {} users: they take no part in the differences",
                    groups.len(),
                    groups.column(),
                    self.min_group_users
                ));
            }
        }
        Ok(groups)
    }

    /// Output columns that hold values of a column of `users` under another name.
    fn holding(&self) -> Vec<(&str, &str, &str)> {
        self.groups.iter().map(|name| ("by_group", "group", name.as_str())).collect()
    }
}

/// The measures of the users in the order of [`QUALITIES`].
type UserMeasures = [Vec<f64>; QUALITIES.len()];

/// The means of the measures over some of the users; F1 from the mean precision and the mean recall.
fn means(measures: &UserMeasures, places: &[usize]) -> [Option<f64>; QUALITIES.len()] {
    let mean = |values: &Vec<f64>| {
        let sum: f64 = places.iter().filter_map(|place| values.get(*place)).sum();
        (!places.is_empty()).then(|| sum / places.len() as f64)
    };
    let mut means = measures.each_ref().map(mean);
    let [precision, recall, f1, ..] = &mut means;
    *f1 = precision.zip(*recall).map(|(precision, recall)| harmonic(precision, recall));
    means
}
