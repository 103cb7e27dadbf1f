//! What the recommenders share: who gets a list, and the table of all lists.

use std::collections::BTreeSet;

use polars::prelude::{DataFrame, IntoColumn, NamedFrom, Series};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, StageContext, StageError, Table};
use stagewright_frame::{Ids, polars_error, to_frame, to_table};

use crate::reasons::{Names, Reason};

/// The columns of a list that the user and product columns stand beside.
pub(crate) const OTHERS: [&str; 3] = ["rank", "score", "reason"];

/// A product's code and its score.
pub(crate) type Scored = (u32, f64);

/// The order of every list: best score first, then the smaller product.
pub(crate) fn by_score(a: &Scored, b: &Scored) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// The first `n` in the order of lists.
pub(crate) fn best(mut scored: Vec<Scored>, n: usize) -> Vec<Scored> {
    if n < scored.len() {
        scored.select_nth_unstable_by(n, by_score);
        scored.truncate(n);
    }
    scored.sort_unstable_by(by_score);
    scored
}

/// The port of those who get a list.
pub(crate) fn users_port() -> Port {
    Port::input(
        "users",
        Kind::Table,
        "Who gets recommendations: a table with the user column, of the same type; other columns and repetitions do \
         not matter. Every user of `purchases` where it is left out.",
    )
    .optional()
}

/// The port of the lists.
pub(crate) fn table_port(score: &str) -> Port {
    Port::output(
        "table",
        Kind::Table,
        &format!(
            "One row per user and recommended product, sorted by user, then rank: the user and product columns as in \
             `purchases`, `rank` (int64, from 1), `score` (float64): {score}; and `reason` (text), why the product is \
             there. Equal scores rank by product, ascending."
        ),
    )
}

/// Which columns of the lists may be personal: those that bear the name of a personal column of an input, and the
/// reason where it tells a personal identifier or name of a product.
pub(crate) fn personal(inputs: &PersonalColumns, user: &str, product: &str, name: Option<&str>) -> PersonalColumns {
    let all: BTreeSet<&str> = inputs.values().flatten().map(String::as_str).collect();
    let mut columns: BTreeSet<String> =
        [user, product].into_iter().chain(OTHERS).filter(|name| all.contains(name)).map(str::to_owned).collect();
    if name.is_some_and(|name| all.contains(product) || all.contains(name)) {
        columns.insert("reason".to_owned());
    }
    PersonalColumns::from([("table".to_owned(), columns)])
}

/// Checks that the columns of the output have different names.
pub(crate) fn check_names(user: &str, product: &str) -> Result<(), ParamError> {
    for (path, name) in [("user", user), ("product", product)] {
        if OTHERS.contains(&name) {
            return Err(ParamError::new(path, format!("`{name}` is the name of another column of the output"))
                .with_help("rename the column first, with `clean.rename`"));
        }
    }
    if user == product {
        return Err(ParamError::new("product", format!("`{product}` is the user column, too"))
            .with_help("name the column that holds the products"));
    }
    Ok(())
}

/// The users of the purchases and of the `users` input.
pub(crate) struct Users {
    /// Their identifiers.
    pub(crate) ids: Ids,
    /// The user of each purchase.
    pub(crate) rows: Vec<Option<u32>>,
    /// Who gets a list, ascending.
    pub(crate) targets: Vec<u32>,
}

impl Users {
    /// Reads them.
    ///
    /// # Errors
    /// When the user column is missing or cannot be used.
    pub(crate) fn read(context: &StageContext, purchases: &DataFrame, name: &str) -> Result<Self, StageError> {
        if !context.has_input("users") {
            let ids = Ids::of(name, &[("purchases", purchases)])?;
            let rows = ids.codes(purchases)?;
            return Ok(Self { targets: (0..).take(ids.len()).collect(), ids, rows });
        }
        let users = to_frame(&*context.table("users")?)?;
        let ids = Ids::of(name, &[("purchases", purchases), ("users", &users)])?;
        let mut targets: Vec<u32> = ids.codes(&users)?.into_iter().flatten().collect();
        targets.sort_unstable();
        targets.dedup();
        Ok(Self { rows: ids.codes(purchases)?, ids, targets })
    }
}

/// The lists of all users, in the making.
#[derive(Default)]
pub(crate) struct Lists {
    users: Vec<u32>,
    products: Vec<u32>,
    ranks: Vec<i64>,
    scores: Vec<f64>,
    reasons: Vec<Reason>,
}

impl Lists {
    /// Appends the list of a user, best first, with why each product is in it. Users come in ascending order.
    pub(crate) fn push(&mut self, user: u32, list: impl IntoIterator<Item = (Scored, Reason)>) {
        for (rank, ((product, score), reason)) in (1..).zip(list) {
            self.users.push(user);
            self.products.push(product);
            self.ranks.push(rank);
            self.scores.push(score);
            self.reasons.push(reason);
        }
    }

    /// The output.
    pub(crate) fn table(self, users: &Ids, products: &Ids, names: &Names) -> Result<Table, StageError> {
        let reasons: Vec<String> = self.reasons.iter().map(|reason| reason.text(products, names)).collect();
        let columns = vec![
            users.column(&self.users)?,
            products.column(&self.products)?,
            Series::new("rank".into(), self.ranks).into_column(),
            Series::new("score".into(), self.scores).into_column(),
            Series::new("reason".into(), reasons).into_column(),
        ];
        let frame = DataFrame::new(self.users.len(), columns)
            .map_err(|error| polars_error("writing the recommendations", &error))?;
        let mut table = to_table(frame)?;
        if names.are_personal() {
            table.mark_personal(["reason"]);
        }
        Ok(table)
    }
}

/// Says how many purchases could not be used.
pub(crate) fn warn_left_out(context: &StageContext, left_out: usize, of: usize, columns: &[&str]) {
    if left_out > 0 {
        let columns = columns.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        context.warn(format!("{left_out} of {of} purchases are left out: a value is missing in one of {columns}"));
    }
}

/// Says how many users get nothing.
pub(crate) fn warn_without(context: &StageContext, without: usize, of: usize) {
    if without > 0 {
        context.warn(format!("{without} of {of} users get no recommendations: they have no purchases to go by"));
    }
}
