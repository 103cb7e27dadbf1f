//! What the recommenders that only ask who bought what read.

use polars::prelude::DataFrame;
use stagewright_contract::{StageContext, StageError};
use stagewright_frame::{Ids, to_frame};

use crate::lists::{Users, warn_left_out};

/// The purchases as pairs.
pub(crate) struct Pairs {
    /// The table.
    pub(crate) purchases: DataFrame,
    /// Who buys, and who gets a list.
    pub(crate) users: Users,
    /// What was bought.
    pub(crate) products: Ids,
    /// User and product of each row that has both, in the order of the rows.
    pub(crate) pairs: Vec<(u32, u32)>,
}

impl Pairs {
    /// Reads the inputs `purchases` and `users`.
    ///
    /// # Errors
    /// When a column is missing or cannot be used.
    pub(crate) fn read(context: &StageContext, user: &str, product: &str) -> Result<Self, StageError> {
        let purchases = to_frame(&*context.table("purchases")?)?;
        let users = Users::read(context, &purchases, user)?;
        let products = Ids::of(product, &[("purchases", &purchases)])?;
        let rows = users.rows.iter().zip(products.codes(&purchases)?);
        let pairs: Vec<(u32, u32)> = rows.filter_map(|(user, product)| Some(((*user)?, product?))).collect();
        warn_left_out(context, purchases.height() - pairs.len(), purchases.height(), &[user, product]);
        Ok(Self { purchases, users, products, pairs })
    }
}
