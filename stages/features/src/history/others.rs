//! What other users did before.

use polars::datatypes::{InitHashMaps, PlHashMap};
use rayon::prelude::*;

use super::rows::{Order, Rows};

/// What users had done with a thing before an order.
#[derive(Clone, Copy, Default)]
pub(super) struct Others {
    pub(super) buyers: u32,
    pub(super) orders: u32,
    /// The items of which it is known whether they were bought before.
    pub(super) labelled: u32,
    /// Those that were.
    pub(super) reordered: u32,
}

/// A thing in an order of the past.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    thing: u32,
    over: i64,
    order: Order,
    reordered: Option<bool>,
}

/// A row that looks back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Look {
    thing: u32,
    began: i64,
    user: u32,
    row: u32,
}

/// For each row of `now`, what users other than its own did with its thing in those orders of `past` that were over
/// before its order began; nothing for a row without an order, a thing or a time. There are `things` things, given by
/// number for each row of the past and of the present.
pub(super) fn others(
    things: usize,
    past_things: &[Option<u32>],
    past: &Rows,
    now_things: &[Option<u32>],
    now: &Rows,
) -> Vec<Option<Others>> {
    let mut events: Vec<Event> = (0..past_things.len())
        .filter_map(|row| {
            let (thing, order, lasted) = (past_things[row]?, past.order[row]?, past.lasted[row]?);
            Some(Event { thing, over: lasted.over, order, reordered: past.reordered[row] })
        })
        .collect();
    // Events that compare equal are equal, so an unstable sort has one result.
    events.par_sort_unstable();
    let mut of_thing: Vec<&[Event]> = vec![&[]; things];
    for events in events.chunk_by(|a, b| a.thing == b.thing) {
        of_thing[events[0].thing as usize] = events;
    }
    let mut looks: Vec<Look> = (0u32..)
        .zip(now_things)
        .filter_map(|(row, thing)| {
            let (order, lasted) = (now.order[row as usize]?, now.lasted[row as usize]?);
            Some(Look { thing: (*thing)?, began: lasted.began, user: order.user, row })
        })
        .collect();
    looks.par_sort_unstable();
    let looks_of_thing: Vec<&[Look]> = looks.chunk_by(|a, b| a.thing == b.thing).collect();
    let found: Vec<Vec<Others>> =
        looks_of_thing.par_iter().map(|looks| sweep(of_thing[looks[0].thing as usize], looks)).collect();
    let mut others = vec![None; now_things.len()];
    for (look, found) in looks.iter().zip(found.into_iter().flatten()) {
        others[look.row as usize] = Some(found);
    }
    others
}

/// Goes through the events of a thing as they are over and through the looks at it as they begin.
fn sweep(events: &[Event], looks: &[Look]) -> Vec<Others> {
    let mut all = Others::default();
    let mut own: PlHashMap<u32, Others> = PlHashMap::new();
    let mut seen = 0;
    looks
        .iter()
        .map(|look| {
            while let Some(event) = events.get(seen).filter(|event| event.over < look.began) {
                // All items of an order follow upon each other: they are over at the same time.
                let again = seen > 0 && events[seen - 1].order == event.order;
                let mine = own.entry(event.order.user).or_default();
                all.buyers += u32::from(mine.buyers == 0);
                mine.buyers = 1;
                for tally in [mine, &mut all] {
                    tally.orders += u32::from(!again);
                    tally.labelled += u32::from(event.reordered.is_some());
                    tally.reordered += u32::from(event.reordered == Some(true));
                }
                seen += 1;
            }
            let mine = own.get(&look.user).copied().unwrap_or_default();
            Others {
                buyers: all.buyers - mine.buyers,
                orders: all.orders - mine.orders,
                labelled: all.labelled - mine.labelled,
                reordered: all.reordered - mine.reordered,
            }
        })
        .collect()
}
