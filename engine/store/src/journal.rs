//! The journal: which runs there were, what happened in them, and how they ended.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stagewright_contract::Digest;

use crate::claim::Claim;
use crate::db::{self, Survives};
use crate::hold::Hold;
use crate::manifest::to_json;
use crate::{Store, StoreError};

/// What there is to say about a run when it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStart {
    /// The name of the workflow.
    pub workflow: String,
    /// Where the workflow is. Runs belong together when this is equal.
    pub workflow_path: PathBuf,
    /// The command line. It must not hold secrets.
    pub args: Vec<String>,
    /// When, in milliseconds since 1970.
    pub started: i64,
}

/// A run in progress. While it lives, others see that the run is alive, and `gc` removes nothing. Dropped without
/// [`Store::finish_run`], the run counts as killed.
#[derive(Debug)]
pub struct Run {
    id: String,
    _alive: Claim,
    _hold: Arc<Hold>,
}

impl Run {
    /// Its id, such as `20261123-153012-a1b2`: the time it started (UTC) and four digits. Ids sort by time.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// How a run ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunEnd {
    /// Every stage is done.
    Succeeded,
    /// A stage failed.
    Failed,
    /// A person stopped it.
    Interrupted,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Its process is alive.
    Running,
    /// Every stage is done.
    Succeeded,
    /// A stage failed.
    Failed,
    /// A person stopped it.
    Interrupted,
    /// Its process is gone, and did not say why.
    Killed,
}

impl RunStatus {
    /// The name used in messages and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Killed => "killed",
        }
    }
}

impl From<RunEnd> for RunStatus {
    fn from(end: RunEnd) -> Self {
        match end {
            RunEnd::Succeeded => Self::Succeeded,
            RunEnd::Failed => Self::Failed,
            RunEnd::Interrupted => Self::Interrupted,
        }
    }
}

/// A run, as listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Its id.
    pub id: String,
    /// How it began.
    #[serde(flatten)]
    pub start: RunStart,
    /// When it ended, in milliseconds since 1970; `None` while running, and where it was killed.
    pub finished: Option<i64>,
    /// How it stands.
    pub status: RunStatus,
    /// The earlier run since which it found nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What: `executed`, `failed`, …
    pub kind: String,
    /// To which stage.
    pub stage: String,
    /// Of which variant.
    pub variant: String,
    /// The stage's key, once known. `gc` keeps what a recent run has named so.
    pub key: Option<Digest>,
    /// Whatever else there is to say.
    pub data: Value,
}

const INFO: &str = "SELECT id, workflow, workflow_path, args, started, finished, status, same_as FROM runs";

impl Store {
    /// Begins a run; waits while `gc` is at work.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn begin_run(&self, start: RunStart) -> Result<Run, StoreError> {
        let hold = self.hold()?;
        let args = serde_json::to_string(&start.args).unwrap_or_default();
        for attempt in 0_u64.. {
            let id = run_id(start.started, attempt);
            // Before the row, so that nobody sees the row of a run that seems dead.
            let Some(alive) = Claim::take(self.run_claim(&id))? else { continue };
            let added = self.db.write(Survives::Kill, |transaction| {
                transaction.execute(
                    "INSERT OR IGNORE INTO runs (id, workflow, workflow_path, args, started) VALUES (?, ?, ?, ?, ?)",
                    params![id, start.workflow, start.workflow_path.to_string_lossy(), args, start.started],
                )
            })?;
            if added == 1 {
                return Ok(Run { id, _alive: alive, _hold: hold });
            }
        }
        Err(StoreError::Bug("no run id is free".to_owned()))
    }

    /// Ends a run. `record` is whatever the caller wants to know about it later.
    ///
    /// # Errors
    /// When the index cannot be written, or the record is not JSON.
    pub fn finish_run(&self, run: Run, end: RunEnd, record: &impl Serialize) -> Result<(), StoreError> {
        self.db.write(Survives::PowerLoss, |transaction| {
            transaction.execute(
                "UPDATE runs SET finished = ?, status = ?, record = ? WHERE id = ?",
                params![crate::now(), RunStatus::from(end).name(), to_json(record)?, run.id],
            )
        })?;
        Ok(())
    }

    /// Writes down a run that is over already, since it found nothing changed since an earlier one: that one's record
    /// and keys are its own too. `None`, and nothing written, where the journal does not know the earlier run.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn unchanged_run(&self, start: &RunStart, earlier: &str) -> Result<Option<String>, StoreError> {
        let args = serde_json::to_string(&start.args).unwrap_or_default();
        for attempt in 0_u64..64 {
            let id = run_id(start.started, attempt);
            let added = self.db.write(Survives::Kill, |transaction| {
                transaction.execute(
                    "INSERT OR IGNORE INTO runs (id, workflow, workflow_path, args, started, finished, status, same_as)
                     SELECT ?, ?, ?, ?, ?, ?, ?, id FROM runs WHERE id = ?",
                    params![
                        id,
                        start.workflow,
                        start.workflow_path.to_string_lossy(),
                        args,
                        start.started,
                        crate::now(),
                        RunStatus::Succeeded.name(),
                        earlier
                    ],
                )
            })?;
            if added == 1 {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Writes down what happened in a run, as it happens: a run that is killed later still shows it.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn event(&self, run: &str, event: &Event) -> Result<(), StoreError> {
        self.db.write(Survives::Kill, |transaction| {
            let key = event.key.as_ref().map(Digest::as_bytes);
            transaction
                .prepare_cached(
                    "INSERT INTO events
                     SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7 FROM events WHERE run = ?1",
                )?
                .execute(params![run, event.at, event.kind, event.stage, event.variant, key, to_json(&event.data)?])?;
            if let Some(key) = key {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO run_keys VALUES (?, ?)")?
                    .execute(params![run, key])?;
            }
            Ok(())
        })
    }

    /// Writes down which stage keys a run uses, hits included: `gc` keeps them.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn use_keys(&self, run: &str, keys: &[Digest]) -> Result<(), StoreError> {
        self.db.write(Survives::Kill, |transaction| {
            let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO run_keys VALUES (?, ?)")?;
            for key in keys {
                insert.execute(params![run, key.as_bytes()])?;
            }
            Ok(())
        })
    }

    /// The latest runs, latest first.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn runs(&self, limit: usize) -> Result<Vec<RunInfo>, StoreError> {
        self.infos("ORDER BY id DESC LIMIT ?1", &i64::try_from(limit).unwrap_or(i64::MAX))
    }

    /// The run whose id starts with `prefix`, or whose last four digits it is.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn run(&self, prefix: &str) -> Result<RunInfo, StoreError> {
        let fits = "WHERE substr(id, 1, length(?1)) = ?1 OR substr(id, -4) = ?1 ORDER BY id DESC LIMIT 8";
        let mut found = self.infos(fits, &prefix)?;
        match (found.len(), found.pop()) {
            (1, Some(run)) => Ok(run),
            (_, None) => Err(StoreError::UnknownRun(prefix.to_owned())),
            (_, Some(last)) => Err(StoreError::AmbiguousRun {
                prefix: prefix.to_owned(),
                candidates: found.into_iter().chain([last]).map(|run| run.id).collect(),
            }),
        }
    }

    /// The latest run of a workflow; with `before`, the latest before that run.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn last_run(
        &self,
        workflow_path: &std::path::Path,
        before: Option<&str>,
    ) -> Result<Option<RunInfo>, StoreError> {
        let path = workflow_path.to_string_lossy();
        // Ids are ASCII: all sort before `~`.
        let before = before.unwrap_or("~");
        let id: Option<String> = self.db.read(|connection| {
            connection
                .prepare_cached("SELECT max(id) FROM runs WHERE workflow_path = ? AND id < ?")?
                .query_row(params![path, before], |row| row.get(0))
        })?;
        id.map(|id| self.run(&id)).transpose()
    }

    /// What was recorded when a run ended; `None` while it has not.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn record(&self, run: &str) -> Result<Option<Value>, StoreError> {
        let record = self.db.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT record FROM runs WHERE id = (SELECT coalesce(same_as, id) FROM runs WHERE id = ?)",
                )?
                .query_row([run], |row| db::json(row, 0))
                .optional()
        })?;
        Ok(record.flatten())
    }

    /// What happened in a run, in order.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn events(&self, run: &str) -> Result<Vec<Event>, StoreError> {
        self.db.read(|connection| {
            connection
                .prepare_cached("SELECT at, kind, stage, variant, key, data FROM events WHERE run = ? ORDER BY number")?
                .query_map([run], |row| {
                    Ok(Event {
                        at: row.get(0)?,
                        kind: row.get(1)?,
                        stage: row.get(2)?,
                        variant: row.get(3)?,
                        key: row.get::<_, Option<[u8; 32]>>(4)?.map(Digest::from_bytes),
                        data: db::json(row, 5)?.unwrap_or_default(),
                    })
                })?
                .collect()
        })
    }

    /// The ids of the runs whose process is alive.
    pub(crate) fn live_runs(&self) -> Result<Vec<String>, StoreError> {
        let unfinished: Vec<String> = self.db.read(|connection| {
            connection
                .prepare_cached("SELECT id FROM runs WHERE status IS NULL ORDER BY id")?
                .query_map([], |row| row.get(0))?
                .collect()
        })?;
        Ok(unfinished.into_iter().filter(|id| Claim::is_held(&self.run_claim(id))).collect())
    }

    fn infos(&self, condition: &str, argument: &dyn rusqlite::ToSql) -> Result<Vec<RunInfo>, StoreError> {
        let mut found: Vec<(RunInfo, bool)> = self.db.read(|connection| {
            connection.prepare_cached(&format!("{INFO} {condition}"))?.query_map([argument], info)?.collect()
        })?;
        for (run, ended) in &mut found {
            if !*ended && Claim::is_held(&self.run_claim(&run.id)) {
                run.status = RunStatus::Running;
            }
        }
        Ok(found.into_iter().map(|(run, _)| run).collect())
    }

    fn run_claim(&self, id: &str) -> PathBuf {
        self.claim_path(&format!("run-{id}"))
    }
}

/// A run, killed where it has not ended, and whether it has.
fn info(row: &Row) -> rusqlite::Result<(RunInfo, bool)> {
    let start = RunStart {
        workflow: row.get(1)?,
        workflow_path: row.get::<_, String>(2)?.into(),
        args: db::json(row, 3)?.unwrap_or_default(),
        started: row.get(4)?,
    };
    let status = match row.get_ref(6)?.as_str_or_null()? {
        None => None,
        Some("succeeded") => Some(RunStatus::Succeeded),
        Some("failed") => Some(RunStatus::Failed),
        Some("interrupted") => Some(RunStatus::Interrupted),
        Some(other) => return Err(db::unreadable(6, format!("unknown status of a run `{other}`"))),
    };
    let run = RunInfo {
        id: row.get(0)?,
        start,
        finished: row.get(5)?,
        status: status.unwrap_or(RunStatus::Killed),
        same_as: row.get(7)?,
    };
    Ok((run, status.is_some()))
}

/// `YYYYMMDD-HHMMSS-xxxx`, in UTC.
fn run_id(started: i64, attempt: u64) -> String {
    // A millisecond has few ids. Where they are taken, those of the next are tried.
    let started = started.saturating_add_unsigned(attempt / 64);
    let seconds = started.div_euclid(1_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let who = format!("{} {} {attempt}", std::process::id(), crate::now());
    // The last four digits: the millisecond, so that runs of one second sort by time, and something of the process.
    let [chance, ..] = *Digest::of(who.as_bytes()).as_bytes();
    let digits = started.rem_euclid(1_000) * 65 + i64::from(chance) % 65;
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}-{digits:04x}")
}

/// Year, month and day of a number of days since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    // Months counted from March, so that the day that leap years add comes last.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_dates() {
        // Expected values: `date -u -d @SECONDS +%Y%m%d-%H%M%S`.
        for (seconds, expected) in [
            (0, "19700101-000000-"),
            (951_782_399, "20000228-235959-"),
            (951_782_400, "20000229-000000-"),
            (1_795_447_812, "20261123-153012-"),
            (4_107_542_399, "21000228-235959-"),
            (4_107_542_400, "21000301-000000-"),
        ] {
            let id = run_id(seconds * 1_000 + 999, 0);
            assert!(id.starts_with(expected), "{id} {expected}");
            assert_eq!(id.len(), expected.len() + 4);
        }
        assert!(run_id(-1, 0).starts_with("19691231-235959-"));
    }
}
