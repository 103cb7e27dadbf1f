//! All rows: in batches, each followed to its end, and those with errors taken apart.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use stagewright_plugin::{StageContext, StageError};

use super::client::{Answer, Client, shown};
use crate::package::Package;

/// How often one row is sent before it counts as refused.
const TRIES: u32 = 3;
/// How many rows may be refused before nothing more is sent.
const REFUSED: usize = 20;
/// How often the service may lose a batch.
const LOST: u32 = 5;
/// What a body is besides its rows.
const AROUND: usize = 12;

/// How much at once, and how patiently.
pub(super) struct Limits {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    pub(super) poll: Duration,
    pub(super) patience: Duration,
}

/// A batch that the service took, and was done with.
pub(super) struct Sent {
    pub(super) request_id: String,
    pub(super) rows: usize,
    /// Whether it found errors in it, so that its rows were sent again.
    pub(super) errors: bool,
}

/// What it came to.
pub(super) struct Done {
    pub(super) sent: Vec<Sent>,
    pub(super) requests: u64,
    pub(super) tokens: u64,
}

/// Consecutive rows that are sent together, and how often they were.
struct Part {
    rows: Range<usize>,
    tries: u32,
}

/// How a batch ended.
enum End {
    Complete,
    /// What the service said first.
    Errors(String),
    /// The service does not know of it.
    Lost,
}

/// Sends rows, each with its line in the file, until the service has confirmed every one.
///
/// The results of a batch do not say which row an error is about. Sending a row again changes nothing, so a batch with
/// errors is sent once more and then in halves, down to the row.
///
/// # Errors
/// When rows are refused, the service does not answer, or the run is cancelled.
pub(super) async fn all(
    client: &Client,
    package: &Package,
    rows: &[(usize, Vec<String>)],
    limits: &Limits,
    context: &StageContext,
) -> Result<Done, StageError> {
    let items: Vec<String> = rows.iter().map(|(_, row)| package.item(row).to_string()).collect();
    let mut parts = batches(&items, rows, limits)?;
    let mut refused: Vec<(usize, String)> = Vec::new();
    let mut sent = Vec::new();
    let (mut confirmed, mut lost) = (0, 0);
    context.progress(0, rows.len() as u64);
    while let Some(part) = parts.pop_front() {
        let (request_id, end) = follow(client, package, &items[part.rows.clone()], limits).await?;
        let count = part.rows.len();
        match end {
            End::Complete => {
                confirmed += count;
                context.progress(confirmed as u64, rows.len() as u64);
                sent.push(Sent { request_id, rows: count, errors: false });
            }
            End::Lost if lost < LOST => {
                lost += 1;
                parts.push_front(part);
            }
            End::Lost => return Err(StageError::environment("the service loses what it was sent, again and again")),
            End::Errors(why) => {
                sent.push(Sent { request_id, rows: count, errors: true });
                let tries = part.tries + 1;
                if count == 1 && tries >= TRIES {
                    refused.push((rows[part.rows.start].0, why));
                    if refused.len() >= REFUSED {
                        break;
                    }
                } else if count == 1 || tries == 1 {
                    parts.push_front(Part { tries, ..part });
                } else {
                    let middle = part.rows.start + count / 2;
                    parts.push_front(Part { rows: middle..part.rows.end, tries: 1 });
                    parts.push_front(Part { rows: part.rows.start..middle, tries: 1 });
                }
            }
        }
    }
    match refused.first() {
        None => Ok(Done { sent, requests: client.requests.get(), tokens: client.tokens.get() }),
        Some((_, why)) => {
            let lines: Vec<String> = refused.iter().map(|(line, _)| line.to_string()).collect();
            let (noun, open) = match refused.len() {
                1 => ("a row", ""),
                REFUSED => ("many rows", ", and no more was sent"),
                _ => ("some rows", ""),
            };
            Err(StageError::data(format!("the service refuses {noun}: {why}"))
                .at(format!("bundle, line {}", lines.join(", ")))
                .with_help(format!(
                    "{confirmed} of {} rows are there{open}; compare the data extension with the definition in the bundle",
                    rows.len()
                )))
        }
    }
}

/// Cuts rows into batches that keep the limits.
fn batches(items: &[String], rows: &[(usize, Vec<String>)], limits: &Limits) -> Result<VecDeque<Part>, StageError> {
    let mut parts = VecDeque::new();
    let (mut start, mut bytes) = (0, AROUND);
    for (at, item) in items.iter().enumerate() {
        let more = item.len() + 1;
        if AROUND + more > limits.bytes {
            return Err(StageError::data(format!(
                "a row of {more} bytes does not fit into a batch of {}",
                limits.bytes
            ))
            .at(format!("bundle, line {}", rows[at].0))
            .with_help("raise `batch: { bytes: … }`, or shorten its texts"));
        }
        if at - start == limits.rows || bytes + more > limits.bytes {
            parts.push_back(Part { rows: start..at, tries: 0 });
            (start, bytes) = (at, AROUND);
        }
        bytes += more;
    }
    if start < items.len() {
        parts.push_back(Part { rows: start..items.len(), tries: 0 });
    }
    Ok(parts)
}

/// Sends a batch and waits for its end.
async fn follow(
    client: &Client,
    package: &Package,
    items: &[String],
    limits: &Limits,
) -> Result<(String, End), StageError> {
    let body = format!("{{\"items\":[{}]}}", items.join(","));
    let path = format!("/data/v1/async/dataextensions/key:{}/rows", package.key);
    let Answer::There(answer) = client.ask(Method::PUT, &path, Some(body.as_bytes())).await? else {
        return Err(StageError::environment("the service has no data extensions"));
    };
    let request_id = answer.get("requestId").and_then(Value::as_str).filter(|id| is_request_id(id));
    let Some(request_id) = request_id else {
        return Err(StageError::environment("the service takes rows without giving a request id"));
    };
    let request_id = request_id.to_owned();
    let began = Instant::now();
    let mut pause = limits.poll;
    loop {
        client.rest(pause).await?;
        pause = (pause * 2).min(limits.poll * 30);
        let path = format!("/data/v1/async/{request_id}/status");
        let Answer::There(answer) = client.ask(Method::GET, &path, None).await? else {
            return Ok((request_id, End::Lost));
        };
        let status = answer.get("status");
        let text = |key: &str| status.and_then(|status| status.get(key)).and_then(Value::as_str);
        let has_errors = status.and_then(|status| status.get("hasErrors")).and_then(Value::as_bool);
        match text("requestStatus") {
            Some("Complete" | "Completed") if has_errors == Some(false) => return Ok((request_id, End::Complete)),
            Some("Complete" | "Completed" | "Error") => {
                let why = first_error(client, &request_id).await?;
                return Ok((request_id, End::Errors(why)));
            }
            _ if began.elapsed() > limits.patience => {
                return Err(StageError::environment(format!(
                    "the service was not done with a batch of {} rows after {} s",
                    items.len(),
                    limits.patience.as_secs()
                ))
                .with_help("run again later, or raise `patience`: sending rows again does not double them"));
            }
            _ => {}
        }
    }
}

/// What the results of a batch complain of first.
async fn first_error(client: &Client, request_id: &str) -> Result<String, StageError> {
    let path = format!("/data/v1/async/{request_id}/results");
    let Answer::There(answer) = client.ask(Method::GET, &path, None).await? else { return Ok(String::new()) };
    let items = answer.get("items").and_then(Value::as_array);
    let error = items.into_iter().flatten().find(|item| item.get("status").and_then(Value::as_str) == Some("Error"));
    let text = |key: &str| error.and_then(|error| error.get(key)).and_then(Value::as_str).unwrap_or_default();
    Ok(format!("{} {}", shown(text("errorCode")), shown(text("message"))).trim().to_owned())
}

/// It becomes part of an address.
fn is_request_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 100 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_both_limits() {
        let items: Vec<String> = (0..10).map(|n| "x".repeat(n * 10)).collect();
        let rows: Vec<(usize, Vec<String>)> = (0..10).map(|n| (n + 2, Vec::new())).collect();
        let limits = |rows, bytes| Limits { rows, bytes, poll: Duration::ZERO, patience: Duration::ZERO };
        let cut = |limits: Limits| -> Vec<Range<usize>> {
            batches(&items, &rows, &limits).unwrap().into_iter().map(|part| part.rows).collect()
        };
        assert_eq!(cut(limits(4, 1_000_000)), [0..4, 4..8, 8..10]);
        let by_bytes = cut(limits(100, 160));
        assert!(
            by_bytes
                .iter()
                .all(|rows| items[rows.clone()].iter().map(|item| item.len() + 1).sum::<usize>() + AROUND <= 160)
        );
        assert_eq!(by_bytes.into_iter().flatten().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        assert_eq!(batches(&items, &rows, &limits(4, 50)).err().unwrap().location.unwrap(), "bundle, line 6");
        assert!(batches(&[], &[], &limits(4, 50)).unwrap().is_empty());
    }
}
