//! What it holds: data extensions, tokens, and batches on their way.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::extension::Extension;
use crate::trouble;

/// The most rows of a batch: a hard limit.
const MOST_ROWS: usize = 32_000;
/// How many results there are on a page.
const PAGE: usize = 50;

/// A batch that was taken.
pub(crate) struct Batch {
    key: String,
    upsert: bool,
    items: Vec<Map<String, Value>>,
    /// By place: the rows that are to go wrong although nothing is wrong with them.
    unlucky: Vec<usize>,
    taken: (Instant, Timestamp),
    /// The errors and when it was done, once it is.
    done: Option<(Vec<String>, Timestamp)>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) extensions: BTreeMap<String, Extension>,
    pub(crate) tokens: BTreeMap<String, Instant>,
    pub(crate) token_requests: Vec<Instant>,
    batches: BTreeMap<String, Batch>,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) drawn: u64,
}

impl State {
    pub(crate) fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn take(&mut self, key: &str, upsert: bool, body: &[u8], unlucky: Option<u64>) -> (u16, Value) {
        let refuse = |status: u16, message: &str| (status, json!({ "message": message, "errorcode": 10006 }));
        let Some(extension) = self.extensions.get(key) else {
            return refuse(404, "Unable to find the data extension");
        };
        if upsert && extension.primary().is_empty() {
            return refuse(400, "The data extension has no primary key");
        }
        let asked: Value = match serde_json::from_slice(body) {
            Ok(asked) => asked,
            Err(_) => return refuse(400, "The body is no JSON"),
        };
        let items: Option<Vec<Map<String, Value>>> = asked
            .get("items")
            .and_then(Value::as_array)
            .and_then(|items| items.iter().map(|item| item.as_object().cloned()).collect());
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            return refuse(400, "There are no items");
        };
        if items.len() > MOST_ROWS {
            return refuse(400, "There are more than 32,000 items");
        }
        // One row in twenty, and one at least.
        let is_unlucky = |seed: u64, place: usize| {
            trouble::mix(seed, place as u64).is_multiple_of(20) || place as u64 == seed % items.len() as u64
        };
        let unlucky =
            unlucky.map_or_else(Vec::new, |seed| (0..items.len()).filter(|place| is_unlucky(seed, *place)).collect());
        let id = format!("{:08x}-0000-4000-8000-{:012x}", self.batches.len(), items.len());
        self.count("batches");
        let batch = Batch {
            key: key.to_owned(),
            upsert,
            items,
            unlucky,
            taken: (Instant::now(), Timestamp::now()),
            done: None,
        };
        self.batches.insert(id.clone(), batch);
        (202, json!({ "requestId": id, "resultMessages": [] }))
    }

    /// Does what has been pending for long enough, in the order in which it came.
    pub(crate) fn settle(&mut self, pending: Duration) {
        for batch in self.batches.values_mut() {
            if batch.done.is_some() || batch.taken.0.elapsed() < pending {
                continue;
            }
            let mut errors = Vec::new();
            if let Some(extension) = self.extensions.get_mut(&batch.key) {
                for (place, item) in batch.items.drain(..).enumerate() {
                    let written = match batch.unlucky.contains(&place) {
                        true => Err("The row could not be written".to_owned()),
                        false => extension.write(item, batch.upsert),
                    };
                    errors.extend(written.err());
                }
            }
            batch.done = Some((errors, Timestamp::now()));
        }
    }

    pub(crate) fn status(&self, id: &str) -> (u16, Value) {
        let Some(batch) = self.batches.get(id) else {
            return (404, json!({ "message": "There is no such request", "errorcode": 10000 }));
        };
        let has_errors = batch.done.as_ref().is_some_and(|(errors, _)| !errors.is_empty());
        let status = json!({
            "callDateTime": batch.taken.1.to_string(),
            "pickupDateTime": batch.taken.1.to_string(),
            "completionDateTime": batch.done.as_ref().map(|(_, when)| when.to_string()),
            "hasErrors": has_errors,
            "requestStatus": if batch.done.is_none() { "Pending" } else if has_errors { "Error" } else { "Complete" },
            "resultStatus": if has_errors { "Error" } else { "OK" },
            "requestId": id,
        });
        (200, json!({ "status": status, "requestId": id, "resultMessages": [] }))
    }

    pub(crate) fn results(&self, id: &str, page: usize) -> (u16, Value) {
        let Some(batch) = self.batches.get(id) else {
            return (404, json!({ "message": "There is no such request", "errorcode": 10000 }));
        };
        let errors = batch.done.as_ref().map(|(errors, _)| errors.as_slice()).unwrap_or_default();
        let items: Vec<Value> = errors
            .iter()
            .skip(page.saturating_sub(1) * PAGE)
            .take(PAGE)
            .map(|message| json!({ "errorCode": "UnexpectedError", "message": message, "status": "Error" }))
            .collect();
        let reply = json!({
            "page": page, "pageSize": PAGE, "count": errors.len(), "items": items, "requestId": id, "resultMessages": [],
        });
        (200, reply)
    }
}
