mod others;
mod own;
mod rows;

use std::collections::BTreeSet;

use polars::prelude::{Column, DataFrame};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{Ids, polars_error, require, to_frame, to_table};

use self::others::{Others, others};
use self::own::{Own, Tally, own};
use self::rows::Rows;
use crate::names;

/// Put beside each purchased item what was known of its user, product and department before the order.
///
/// The table has one row per item of an order and keeps its rows and their order. A user's orders are told apart and
/// put in order by their number; what a user did *before* a row is in the rows of the same user with a smaller number,
/// so the items of one order never see each other. What *other* users did before is in those rows of other users whose
/// order was over, by the column `time`, before the row's order began (strictly; an order lasts from the least to the
/// greatest time of its rows). Without `time` it is in all rows of other users of the input `reference`, which should
/// then be the training part of a split. A user's own rows never count among those of others, so that no row sees its
/// own outcome or, through what is left of a sum, guesses it. A row's features thus do not depend on its own
/// `reordered`, nor on anything that came later.
///
/// Beware of `user_product`: where a table holds all of a user's purchases, `reordered` is 1 exactly where
/// `user_product_times` is above 0. A model that predicts `reordered` from them looks the answer up; that is why they
/// are not made unless asked for. They are made for predicting which products an order will hold.
///
/// Counts are int64 and 0 where nothing came before; shares, means and gaps are null there. Rates are of the rows
/// whose `reordered` is known. A row without a user or an order number, and under `time` an order without a time, has
/// null features and is nobody's history, with a warning; a row without a product or a department lacks the features
/// about it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The column that says who bought.
    #[serde(default = "names::user_id")]
    pub user: String,
    /// The column with the number of the order among the user's orders (or any date, timestamp or number that is the
    /// same throughout an order and grows from one to the next).
    #[serde(default = "names::order_number")]
    pub number: String,
    /// The column that says what was bought.
    #[serde(default = "names::product_id")]
    pub product: String,
    /// The column with the department of what was bought, or another kind of it.
    #[serde(default = "names::department_id")]
    pub department: String,
    /// The column that says whether the user had bought the product before: 0 or 1, or true or false, or null where it
    /// is not known.
    #[serde(default = "names::reordered")]
    pub reordered: String,
    /// The column that puts the orders of different users in order: a date, a timestamp, or a number that grows with
    /// time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The features to make, each name standing for several.
    #[serde(default = "not_a_lookup")]
    #[schemars(length(min = 1))]
    pub features: Vec<Feature>,
    /// The columns of the table to put before the features; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carry: Option<Vec<String>>,
}

/// Features about the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Of the user's earlier orders: `user_orders` and `user_items` (how many), `user_products` (how many different),
    /// `user_basket` (mean items of an order), `user_reorder_rate` (share of items with `reordered`).
    User,
    /// Of the user's earlier orders with things of the department: `user_department_times` (items),
    /// `user_department_share` (of the user's earlier orders), `user_department_gap` (orders since the last with one,
    /// 1 for the order just before), `user_department_reorder_rate`.
    UserDepartment,
    /// Of the user's earlier orders with the product: `user_product_times` (items), `user_product_share`,
    /// `user_product_gap`.
    UserProduct,
    /// Of other users' earlier orders with the product: `product_buyers` (users), `product_orders`,
    /// `product_reorder_rate`.
    Product,
    /// Of other users' earlier orders with things of the department: `department_buyers`, `department_orders`,
    /// `department_reorder_rate`.
    Department,
}

impl Feature {
    /// The columns that it stands for.
    const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::User => &["user_orders", "user_items", "user_products", "user_basket", "user_reorder_rate"],
            Self::UserDepartment => &[
                "user_department_times",
                "user_department_share",
                "user_department_gap",
                "user_department_reorder_rate",
            ],
            Self::UserProduct => &["user_product_times", "user_product_share", "user_product_gap"],
            Self::Product => &["product_buyers", "product_orders", "product_reorder_rate"],
            Self::Department => &["department_buyers", "department_orders", "department_reorder_rate"],
        }
    }

    /// Whether it is about what others did.
    const fn of_others(self) -> bool {
        matches!(self, Self::Product | Self::Department)
    }
}

fn not_a_lookup() -> Vec<Feature> {
    vec![Feature::User, Feature::UserDepartment, Feature::Product, Feature::Department]
}

impl Stage for History {
    const TYPE: &'static str = "features.history";
    const EXAMPLE: &'static str = "\
inputs: { table: purchases }
with: { time: order_id, features: [user, user_department, product, department] }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input(
                "table",
                Kind::Table,
                "One row per item of an order, with its user, order number, product, department and whether it was \
                 bought before.",
            ),
            Port::input(
                "reference",
                Kind::Table,
                "The rows from which to learn what other users do, with the same columns; those of `table` when left \
                 out, which then needs `time`.",
            )
            .optional(),
            Port::output("table", Kind::Table, "The rows of `table`, with the features after the carried columns."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        for (index, feature) in self.features.iter().enumerate() {
            if self.features[..index].contains(feature) {
                return Err(ParamError::new(format!("features/{index}"), "it is named twice"));
            }
        }
        let carry = self.carry.as_deref().unwrap_or_default();
        for (index, name) in carry.iter().enumerate() {
            let path = format!("carry/{index}");
            if self.columns().any(|feature| feature == name) {
                return Err(ParamError::new(path, format!("`{name}` is the name of a feature"))
                    .with_help("rename the column with `clean.rename`"));
            }
            if carry[..index].contains(name) {
                return Err(ParamError::new(path, format!("`{name}` is carried twice")));
            }
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let known: BTreeSet<&String> = inputs.values().flatten().collect();
        let carried = |name: &str| self.carry.as_ref().is_none_or(|carry| carry.iter().any(|kept| kept == name));
        let mut out: BTreeSet<String> = known
            .iter()
            .filter(|name| carried(name) || self.columns().any(|feature| feature == name.as_str()))
            .map(|name| (*name).clone())
            .collect();
        if known.contains(&self.reordered) {
            out.extend(self.rates().map(str::to_owned));
        }
        PersonalColumns::from([("table".to_owned(), out)])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        let reference = if context.has_input("reference") { Some(context.table("reference")?) } else { None };
        let others_frame = reference.as_deref().map(to_frame).transpose()?;
        if reference.is_none() && self.time.is_none() && self.features.iter().any(|feature| feature.of_others()) {
            return Err(StageError::data("what other users did before cannot be told without a `time`").with_help(
                "name the column that puts all orders in order in `time`, connect the training part of a split to the \
                 input `reference`, or leave `product` and `department` out of `features`",
            ));
        }
        let mut out = self.carried(&frame)?;
        for name in self.columns() {
            if out.get_column_index(name).is_some() {
                return Err(StageError::data(format!("there is a column `{name}` already"))
                    .with_help("leave it out of `carry`, or rename it with `clean.rename`"));
            }
        }

        let tables: Vec<(&str, &DataFrame)> = [("table", Some(&frame)), ("reference", others_frame.as_ref())]
            .into_iter()
            .filter_map(|(port, frame)| frame.map(|frame| (port, frame)))
            .collect();
        let ids = [&self.user, &self.product, &self.department].map(|name| Ids::of(name, &tables));
        let [users, products, departments] = ids;
        let (users, products, departments) = (users?, products?, departments?);
        let read = |frame| Rows::read(self, frame, &users, &products, &departments);
        let rows = read(&frame)?;
        rows.warn(self, context, "table");
        let reference = others_frame.as_ref().map(read).transpose()?;
        if let Some(reference) = &reference {
            reference.warn(self, context, "reference");
        }
        context.check_cancelled()?;

        let own = own(&rows);
        let mut columns = Vec::new();
        for feature in &self.features {
            context.check_cancelled()?;
            let past = reference.as_ref().unwrap_or(&rows);
            columns.extend(match feature {
                Feature::User => user_columns(&own),
                Feature::UserDepartment => pair_columns(*feature, &own, &rows.department, |own| &own.department),
                Feature::UserProduct => pair_columns(*feature, &own, &rows.product, |own| &own.product),
                Feature::Product => {
                    others_columns(*feature, &others(products.len(), &past.product, past, &rows.product, &rows))
                }
                Feature::Department => others_columns(
                    *feature,
                    &others(departments.len(), &past.department, past, &rows.department, &rows),
                ),
            });
        }
        out.hstack_mut(&columns).map_err(|error| polars_error("collecting features", &error))?;
        let mut out = to_table(out)?;
        if tables.len() > 1 && context.table("reference")?.is_personal(&self.reordered)
            || table.is_personal(&self.reordered)
        {
            out.mark_personal(self.rates());
        }
        context.put("table", out)
    }
}

impl History {
    /// The names of the columns that it makes.
    fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.features.iter().flat_map(|feature| feature.columns()).copied()
    }

    /// Those of them that are means of `reordered`.
    fn rates(&self) -> impl Iterator<Item = &'static str> {
        self.columns().filter(|name| name.ends_with("_rate"))
    }

    fn carried(&self, frame: &DataFrame) -> Result<DataFrame, StageError> {
        let Some(carry) = &self.carry else { return Ok(frame.clone()) };
        require(frame, carry.iter().map(String::as_str))?;
        let columns = carry.iter().map(|name| stagewright_frame::column(frame, name).cloned());
        DataFrame::new(frame.height(), columns.collect::<Result<_, _>>()?)
            .map_err(|error| polars_error("carrying columns", &error))
    }
}

/// `part / whole`, unless the whole is 0.
fn ratio(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| f64::from(part) / f64::from(whole))
}

fn user_columns(own: &[Option<Own>]) -> Vec<Column> {
    let [orders, items, products, basket, rate] =
        ["user_orders", "user_items", "user_products", "user_basket", "user_reorder_rate"];
    vec![
        whole(orders, own, |own| Some(own.user.orders)),
        whole(items, own, |own| Some(own.user.items)),
        whole(products, own, |own| Some(own.products)),
        real(basket, own, |own| ratio(own.user.items, own.user.orders)),
        real(rate, own, |own| ratio(own.user.reordered, own.user.labelled)),
    ]
}

/// What a user did with the thing in each row, which may be unknown.
fn pair_columns(
    feature: Feature,
    own: &[Option<Own>],
    things: &[Option<u32>],
    tally: impl Fn(&Own) -> &Tally,
) -> Vec<Column> {
    let pairs: Vec<Option<(u32, Tally)>> = own
        .iter()
        .zip(things)
        .map(|(own, thing)| own.as_ref().filter(|_| thing.is_some()).map(|own| (own.user.orders, *tally(own))))
        .collect();
    let column = |name: &'static str| match name {
        name if name.ends_with("_times") => whole(name, &pairs, |(_, pair)| Some(pair.items)),
        name if name.ends_with("_share") => real(name, &pairs, |(orders, pair)| ratio(pair.orders, *orders)),
        name if name.ends_with("_gap") => {
            whole(name, &pairs, |(orders, pair)| (pair.orders > 0).then(|| orders + 1 - pair.last))
        }
        name => real(name, &pairs, |(_, pair)| ratio(pair.reordered, pair.labelled)),
    };
    feature.columns().iter().copied().map(column).collect()
}

fn others_columns(feature: Feature, others: &[Option<Others>]) -> Vec<Column> {
    let column = |name: &'static str| match name {
        name if name.ends_with("_buyers") => whole(name, others, |others| Some(others.buyers)),
        name if name.ends_with("_orders") => whole(name, others, |others| Some(others.orders)),
        name => real(name, others, |others| ratio(others.reordered, others.labelled)),
    };
    feature.columns().iter().copied().map(column).collect()
}

fn whole<T>(name: &str, rows: &[Option<T>], value: impl Fn(&T) -> Option<u32>) -> Column {
    let values = rows.iter().map(|row| row.as_ref().and_then(&value).map(i64::from));
    Column::new(name.into(), values.collect::<Vec<Option<i64>>>())
}

fn real<T>(name: &str, rows: &[Option<T>], value: impl Fn(&T) -> Option<f64>) -> Column {
    let values = rows.iter().map(|row| row.as_ref().and_then(&value));
    Column::new(name.into(), values.collect::<Vec<Option<f64>>>())
}

#[cfg(test)]
mod tests;
