//! What a user did before.

use polars::datatypes::{InitHashMaps, PlHashMap};
use rayon::prelude::*;

use super::rows::Rows;

/// What a user had done before an order.
#[derive(Clone, Copy, Default)]
pub(super) struct Own {
    /// With anything.
    pub(super) user: Tally,
    /// How many different products.
    pub(super) products: u32,
    /// With the product of the row.
    pub(super) product: Tally,
    /// With the department of the row.
    pub(super) department: Tally,
}

/// How often something was bought.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) items: u32,
    pub(super) orders: u32,
    /// The last of those orders, counting the user's orders from 1.
    pub(super) last: u32,
    /// The items of which it is known whether they were bought before.
    pub(super) labelled: u32,
    /// Those that were.
    pub(super) reordered: u32,
}

impl Tally {
    fn add(&mut self, order: u32, reordered: Option<bool>) {
        self.items += 1;
        if self.last != order {
            self.last = order;
            self.orders += 1;
        }
        self.labelled += u32::from(reordered.is_some());
        self.reordered += u32::from(reordered == Some(true));
    }
}

/// For each row, what its user had done before its order; nothing for a row without an order.
pub(super) fn own(rows: &Rows) -> Vec<Option<Own>> {
    let order = |row: u32| rows.order[row as usize];
    let users: Vec<&[u32]> = rows
        .ascending
        .chunk_by(|a, b| order(*a).map(|order| order.user) == order(*b).map(|order| order.user))
        .collect();
    let found: Vec<Vec<Own>> = users.par_iter().map(|user| of_user(rows, user)).collect();
    let mut own = vec![None; rows.order.len()];
    for (row, found) in rows.ascending.iter().zip(found.into_iter().flatten()) {
        own[*row as usize] = Some(found);
    }
    own
}

/// For each of a user's rows, which ascend by order: first all rows of an order look back, then all of them become
/// history.
fn of_user(rows: &Rows, user: &[u32]) -> Vec<Own> {
    let mut found = Vec::with_capacity(user.len());
    let mut all = Tally::default();
    let mut products: PlHashMap<u32, Tally> = PlHashMap::new();
    let mut departments: PlHashMap<u32, Tally> = PlHashMap::new();
    let orders = user.chunk_by(|a, b| rows.order[*a as usize] == rows.order[*b as usize]);
    for (number, order) in (1..).zip(orders) {
        let of = |tallies: &PlHashMap<u32, Tally>, thing: Option<u32>| {
            thing.and_then(|thing| tallies.get(&thing)).copied().unwrap_or_default()
        };
        found.extend(order.iter().map(|row| Own {
            user: all,
            products: products.len() as u32,
            product: of(&products, rows.product[*row as usize]),
            department: of(&departments, rows.department[*row as usize]),
        }));
        for row in order {
            let row = *row as usize;
            all.add(number, rows.reordered[row]);
            for (tallies, thing) in [(&mut products, rows.product[row]), (&mut departments, rows.department[row])] {
                if let Some(thing) = thing {
                    tallies.entry(thing).or_default().add(number, rows.reordered[row]);
                }
            }
        }
    }
    found
}
