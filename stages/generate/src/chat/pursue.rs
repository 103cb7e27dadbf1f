//! All messages: those in the ledger first, then the service is asked for the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use stagewright_contract::{ErrorKind, Ledger, StageContext, StageError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::OpenAi;
use super::budget::{Amount, Exhausted, Purse};
use super::client::{Client, Refusal, Reply};
use super::entry::{Entry, Prompt};
use super::pace::{Next, Pace};
use crate::checks::{Checker, Draft};
use crate::grammar::{count, counted};
use crate::messages::{Bill, Written};
use crate::recipients::{Recipient, Recipients};

/// How often the run looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(50);
/// How long requests that are under way when a run is cancelled may take to be answered: they are paid for.
const GRACE: Duration = Duration::from_secs(5);
/// A service that wants to be left alone for longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(900);
/// After so many messages in a row that could not be had, the service is taken to be down.
const DOWN: u32 = 5;

/// One prompt, and those whose message it asks for.
struct Task {
    prompt: Prompt,
    members: Vec<Member>,
    /// The answers so far, one for each attempt.
    entries: Vec<Entry>,
}

/// A user who waits for a message.
struct Member {
    index: usize,
    id: String,
    allowed: Vec<String>,
    personal: Vec<(String, String)>,
    written: Option<Written>,
    failed: u64,
}

impl Task {
    fn done(&self, regenerate: u32) -> bool {
        let passed = |member: &Member| member.written.as_ref().is_some_and(|written| written.reasons.is_empty());
        self.entries.len() > regenerate as usize || self.members.iter().all(passed)
    }

    /// The next answer: checked for everyone whose message has not passed yet.
    fn accept(&mut self, service: &OpenAi, checker: &Checker, entry: Entry) {
        let parts = service.parts(&entry);
        let attempts = self.entries.len() as u32 + 1;
        for member in &mut self.members {
            if member.written.as_ref().is_some_and(|written| written.reasons.is_empty()) {
                continue;
            }
            let (subject, text, reasons) = match &parts {
                Err(wrong) => (None, entry.content.clone(), vec![wrong.clone()]),
                Ok((subject, text)) => {
                    let draft = Draft {
                        subject: subject.as_deref(),
                        text,
                        allowed: &member.allowed,
                        personal: &member.personal,
                        cut_off: entry.cut_off,
                    };
                    (subject.clone(), text.clone(), checker.reasons(&draft))
                }
            };
            member.failed += u64::from(!reasons.is_empty());
            member.written = Some(Written {
                subject,
                text,
                model: Some(entry.model.clone()),
                attempts,
                tokens: Some((entry.prompt_tokens, entry.completion_tokens)),
                reasons,
            });
        }
        self.entries.push(entry);
    }
}

/// What all requests share.
struct Shared {
    service: OpenAi,
    client: Client,
    checker: Checker,
    ledger: Arc<dyn Ledger>,
    regenerate: u32,
    purse: Purse,
    pace: Mutex<Pace>,
    /// A request has ended.
    ended: Notify,
    /// No request is begun any more.
    stopped: watch::Sender<bool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Why no request is begun any more.
    stop: Option<Stop>,
    /// Messages that could not be had one after the other.
    in_a_row: u32,
    /// What was said of the last that could not be had.
    last_refusal: Option<String>,
    unheard: u64,
    /// What this run asked and got.
    requests: u64,
    answers: u64,
}

enum Stop {
    Budget(Exhausted),
    Refused(StageError),
    Down,
}

/// See [`OpenAi::write`].
pub(super) fn all(
    service: &OpenAi,
    context: &StageContext,
    recipients: &Recipients,
    prompts: Vec<Prompt>,
    checker: Checker,
    regenerate: u32,
) -> Result<(Vec<Written>, Bill), StageError> {
    let ledger = context.ledger()?;
    let total = recipients.list.len() as u64;
    let mut tasks = tasks(recipients, prompts);
    let mut spent = Amount::default();
    for task in &mut tasks {
        context.check_cancelled()?;
        while !task.done(regenerate) {
            let Some(entry) = kept(service, &*ledger, task)? else { break };
            spent = add(spent, &entry);
            task.accept(service, &checker, entry);
        }
    }
    let (mut done, left): (Vec<Task>, Vec<Task>) = tasks.into_iter().partition(|task| task.done(regenerate));
    if !left.is_empty() {
        let known = done.iter().map(|task| task.members.len() as u64).sum();
        let key = service.api_key.as_ref().map(|key| context.secret(key)).transpose()?.cloned();
        let url = service.url().map_err(|error| StageError::data(error.to_string()))?;
        let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if key.is_some() && url.scheme() == "http" && !loopback {
            context.warn("the key is sent without encryption: `base_url` begins with `http://`");
        }
        let timeout = Duration::try_from_secs_f64(service.timeout).unwrap_or(PATIENCE);
        let now = Instant::now();
        let shared = Arc::new(Shared {
            client: Client::new(url, key, timeout)?,
            checker,
            ledger,
            regenerate,
            purse: Purse::new(service.budget.clone(), service.price.clone(), spent),
            pace: Mutex::new(Pace::new(
                service.requests_per_minute,
                service.tokens_per_minute,
                service.concurrency,
                now,
            )),
            ended: Notify::new(),
            stopped: watch::Sender::new(false),
            state: Mutex::new(State::default()),
            service: service.clone(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| StageError::environment(format!("cannot start the threads for requests: {error}")))?;
        let asked = runtime.block_on(ask(&shared, context, left, known, total));
        // Requests that nobody waits for any more are dropped with the runtime.
        runtime.shutdown_background();
        done.extend(asked?);
        shared.tell(context, spent.requests);
    }
    context.progress(total, total);
    Ok(sum(service, context, done, total))
}

/// One task for each prompt, in the order of the users.
fn tasks(recipients: &Recipients, prompts: Vec<Prompt>) -> Vec<Task> {
    let mut places: BTreeMap<Prompt, usize> = BTreeMap::new();
    let mut tasks: Vec<Task> = Vec::new();
    for (index, (recipient, prompt)) in recipients.list.iter().zip(prompts).enumerate() {
        let Recipient { id, allowed, personal, .. } = recipient;
        let member = Member {
            index,
            id: id.clone(),
            allowed: allowed.clone(),
            personal: personal.clone(),
            written: None,
            failed: 0,
        };
        let place = *places.entry(prompt.clone()).or_insert(tasks.len());
        match tasks.get_mut(place) {
            Some(task) => task.members.push(member),
            None => tasks.push(Task { prompt, members: vec![member], entries: Vec::new() }),
        }
    }
    tasks
}

/// The answer to the next attempt, if it is in the ledger. It is about everyone who has this prompt now.
fn kept(service: &OpenAi, ledger: &dyn Ledger, task: &Task) -> Result<Option<Entry>, StageError> {
    let key = service.key(&task.prompt, task.entries.len() as u32);
    // What cannot be read is asked for again.
    let Some(mut entry) = ledger.get(key)?.and_then(|bytes| serde_json::from_slice::<Entry>(&bytes).ok()) else {
        return Ok(None);
    };
    let known: BTreeSet<String> = entry.subjects.iter().cloned().collect();
    if task.members.iter().any(|member| !known.contains(&member.id)) {
        entry.subjects = known.into_iter().chain(task.members.iter().map(|member| member.id.clone())).collect();
        entry.subjects.sort();
        entry.subjects.dedup();
        keep(ledger, key, &entry)?;
    }
    if entry.cost.is_none() {
        entry.cost = service.price.as_ref().map(|price| price.of(entry.prompt_tokens, entry.completion_tokens));
    }
    Ok(Some(entry))
}

fn keep(ledger: &dyn Ledger, key: stagewright_contract::Digest, entry: &Entry) -> Result<(), StageError> {
    let bytes = serde_json::to_vec(entry)
        .map_err(|error| StageError::bug(format!("an answer cannot be written down: {error}")))?;
    let subjects: Vec<&str> = entry.subjects.iter().map(String::as_str).collect();
    ledger.put(key, &subjects, &bytes)
}

fn add(amount: Amount, entry: &Entry) -> Amount {
    Amount {
        requests: amount.requests + 1,
        prompt_tokens: amount.prompt_tokens + entry.prompt_tokens,
        completion_tokens: amount.completion_tokens + entry.completion_tokens,
    }
}

/// Asks for all that is left.
async fn ask(
    shared: &Arc<Shared>,
    context: &StageContext,
    left: Vec<Task>,
    known: u64,
    total: u64,
) -> Result<Vec<Task>, StageError> {
    // More than may be under way, so that those that rest before they try again keep nobody waiting.
    let most = 4 * shared.service.concurrency as usize;
    let mut waiting = left.into_iter();
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    let mut have = known;
    let mut cancelled: Option<Instant> = None;
    context.progress(have, total);
    loop {
        while cancelled.is_none() && running.len() < most && !*shared.stopped.borrow() {
            let Some(task) = waiting.next() else { break };
            running.spawn(pursue(Arc::clone(shared), task));
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            joined = running.join_next() => match joined {
                Some(Ok(Some(task))) => {
                    have += task.members.len() as u64;
                    context.progress(have, total);
                    done.push(task);
                }
                Some(Err(error)) if error.is_panic() => return Err(StageError::bug("asking for a message panicked")),
                _ => {}
            },
            () = sleep(LOOK) => {}
        }
        if cancelled.is_none() && context.check_cancelled().is_err() {
            cancelled = Some(Instant::now());
            shared.stopped.send_replace(true);
        }
        if cancelled.is_some_and(|since| since.elapsed() > GRACE) {
            running.abort_all();
        }
    }
    if cancelled.is_some() {
        return Err(StageError::cancelled());
    }
    shared.conclude(have, total)?;
    Ok(done)
}

/// Asks until every member of a task has a text that passes, or all attempts are used. `None` when it did not come to
/// that; the reason is in the shared state.
async fn pursue(shared: Arc<Shared>, mut task: Task) -> Option<Task> {
    while !task.done(shared.regenerate) {
        let attempt = task.entries.len() as u32;
        let mut subjects: Vec<String> = task.members.iter().map(|member| member.id.clone()).collect();
        subjects.sort();
        let entry = shared.obtain(&task.prompt, attempt, subjects).await?;
        task.accept(&shared.service, &shared.checker, entry);
    }
    Some(task)
}

impl Shared {
    /// An answer, asked for as often as it takes and kept in the ledger.
    async fn obtain(&self, prompt: &Prompt, attempt: u32, subjects: Vec<String>) -> Option<Entry> {
        let body = self.service.body(prompt, attempt);
        let key = self.service.key(prompt, attempt);
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(60))
            .with_max_times(self.service.max_retries as usize)
            .with_jitter()
            .build();
        loop {
            let most = self.leave(prompt.bytes()).await?;
            let sent = Instant::now();
            let reply = self.client.ask(&body).await;
            let now = Instant::now();
            let refusal = match reply {
                Reply::Answer { body, pause } => match self.service.answer(&body, prompt) {
                    Some(mut entry) => {
                        // Before anything else: it is paid for.
                        entry.subjects = subjects;
                        let kept = keep(&*self.ledger, key, &entry);
                        self.purse.learn(prompt.bytes(), entry.prompt_tokens);
                        self.purse.settle(most, Amount::request(entry.prompt_tokens, entry.completion_tokens));
                        let kept = kept.map_err(|error| self.stop::<()>(Stop::Refused(error)));
                        let mut pace = self.pace();
                        pace.ended();
                        pace.answered();
                        pause.into_iter().for_each(|pause| pace.pause(now, pause.min(PATIENCE)));
                        drop(pace);
                        self.ended.notify_waiters();
                        let mut state = self.state();
                        state.answers += 1;
                        state.in_a_row = 0;
                        drop(state);
                        return kept.is_ok().then_some(entry);
                    }
                    None => Refusal {
                        why: "the reply is not that of a chat-completions service".to_owned(),
                        pause,
                        too_fast: false,
                        charged: true,
                    },
                },
                Reply::Again(refusal) => refusal,
                Reply::Never(error) => {
                    // Before the place is free: the next in line must see it.
                    let nothing = self.stop(Stop::Refused(error));
                    self.release(most, Amount { requests: 1, ..Amount::default() });
                    return nothing;
                }
            };
            // What may have been counted by the service counts here, too.
            let cost = if refusal.charged { most } else { Amount { requests: 1, ..Amount::default() } };
            let backoff = pauses.next();
            let pause = refusal.pause.unwrap_or_default();
            if refusal.too_fast {
                self.pace().refused(sent, now, pause.min(PATIENCE));
            }
            if pause > PATIENCE {
                let error = StageError::environment(format!(
                    "the service wants to be left alone for {} minutes: {}",
                    pause.as_secs() / 60,
                    refusal.why
                ));
                let help = "run again then: what was paid for is in the ledger";
                let nothing = self.stop(Stop::Refused(error.with_help(help)));
                self.release(most, cost);
                return nothing;
            }
            let Some(backoff) = backoff else {
                let nothing = self.unheard(refusal.why);
                self.release(most, cost);
                return nothing;
            };
            self.release(most, cost);
            if !self.rest(backoff.max(pause)).await {
                return None;
            }
        }
    }

    /// Waits until a request may be sent, and sets aside what it may cost. `None` when none may be sent any more.
    async fn leave(&self, bytes: u64) -> Option<Amount> {
        let mut stopped = self.stopped.subscribe();
        let reserved = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => return None,
            reserved = self.purse.reserve(bytes, u64::from(self.service.max_tokens)) => reserved,
        };
        let most = match reserved {
            Ok(most) => most,
            Err(exhausted) => return self.stop(Stop::Budget(exhausted)),
        };
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            let next = (!*stopped.borrow()).then(|| self.pace().next(Instant::now(), most.tokens()));
            let go_on = match next {
                None => false,
                Some(Next::Go) => {
                    self.state().requests += 1;
                    return Some(most);
                }
                Some(Next::After(wait)) => self.rest(wait).await,
                Some(Next::Ended) => tokio::select! {
                    biased;
                    _ = stopped.wait_for(|stopped| *stopped) => false,
                    () = ended => true,
                },
            };
            if !go_on {
                self.purse.settle(most, Amount::default());
                return None;
            }
        }
    }

    /// Sleeps; says whether requests may still be sent.
    async fn rest(&self, time: Duration) -> bool {
        let mut stopped = self.stopped.subscribe();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => false,
            () = sleep(time) => true,
        }
    }

    /// A request has ended without an answer.
    fn release(&self, reserved: Amount, cost: Amount) {
        self.purse.settle(reserved, cost);
        self.pace().ended();
        self.ended.notify_waiters();
    }

    /// A message could not be had. The others may be.
    fn unheard(&self, why: String) -> Option<Entry> {
        let mut state = self.state();
        state.unheard += 1;
        state.in_a_row += 1;
        state.last_refusal = Some(why);
        let down = state.in_a_row >= DOWN;
        drop(state);
        if down { self.stop(Stop::Down) } else { None }
    }

    /// No request is begun from now on.
    fn stop<T>(&self, stop: Stop) -> Option<T> {
        self.state().stop.get_or_insert(stop);
        self.stopped.send_replace(true);
        None
    }

    /// Whether all is well; otherwise what is done, what is left, and what to do.
    fn conclude(&self, have: u64, total: u64) -> Result<(), StageError> {
        let mut state = self.state();
        let left = total - have;
        let done =
            format!("{} of {} are done and in the ledger, {} left", count(have), counted(total, "message"), are(left));
        match state.stop.take() {
            Some(Stop::Budget(Exhausted { param, limit })) => {
                let error = StageError::data(format!("the budget of {limit} is used up: {done}"));
                Err(error.with_help(format!(
                    "raise `openai.budget.{param}` and run again: what is done is not asked for again"
                )))
            }
            Some(Stop::Refused(mut error)) => {
                if error.kind != ErrorKind::Bug {
                    error.message = format!("{}; {done}", error.message);
                }
                Err(error)
            }
            Some(Stop::Down) => {
                let why = state.last_refusal.take().unwrap_or_default();
                Err(StageError::environment(format!("the service does not answer: {why}; {done}"))
                    .with_help("run again when it does: what is done is not asked for again"))
            }
            None if left > 0 => {
                let why = state.last_refusal.take().unwrap_or_default();
                Err(StageError::environment(format!(
                    "{} could not be had, the last because of {why}; {done}",
                    counted(state.unheard, "answer")
                ))
                .with_help("run again: what is done is not asked for again"))
            }
            None => Ok(()),
        }
    }

    /// Says what this run asked for, and what it paid.
    fn tell(&self, context: &StageContext, kept: u64) {
        let State { requests, answers, .. } = *self.state();
        let spent = self.purse.spent();
        let cost = self.service.price.as_ref().map(|price| {
            let cost = price.of(spent.prompt_tokens, spent.completion_tokens);
            format!(", {cost:.4} {} with all that may have been charged", price.currency)
        });
        context.warn(format!(
            "{} for {} in this run; {} came from the ledger; {} in all{}",
            counted(requests, "request"),
            counted(answers, "answer"),
            count(kept),
            counted(spent.tokens(), "token"),
            cost.unwrap_or_default()
        ));
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn are(left: u64) -> String {
    if left == 1 { "1 is".to_owned() } else { format!("{} are", count(left)) }
}

/// The texts in the order of the users, and what they cost.
fn sum(service: &OpenAi, context: &StageContext, mut done: Vec<Task>, total: u64) -> (Vec<Written>, Bill) {
    done.sort_by_key(|task| task.members.first().map(|member| member.index));
    let mut bill = Bill { cost: service.price.as_ref().map(|_| 0.0), ..Bill::default() };
    let mut estimated = 0;
    let mut written = BTreeMap::new();
    for task in done {
        for entry in &task.entries {
            bill.answers += 1;
            bill.prompt_tokens += entry.prompt_tokens;
            bill.completion_tokens += entry.completion_tokens;
            estimated += u64::from(entry.estimated);
            bill.cost = bill.cost.zip(entry.cost).map(|(sum, cost)| sum + cost);
        }
        for member in task.members {
            bill.failed += member.failed;
            written.extend(member.written.map(|text| (member.index, text)));
        }
    }
    if estimated > 0 {
        context.warn(format!(
            "the tokens of {} are estimates: the service did not say how many there were",
            counted(estimated, "answer")
        ));
    }
    debug_assert_eq!(written.len() as u64, total);
    (written.into_values().collect(), bill)
}
