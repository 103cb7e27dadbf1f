//! Requests to Marketing Cloud: with a token that holds, and again until there is an answer.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use stagewright_plugin::{Digest, Monitor, SecretValue, StageError};

/// How often the run looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(50);
/// A service that wants to be left alone for longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(900);
/// A token is renewed when so little of its time is left.
const MARGIN: Duration = Duration::from_secs(30);

/// How many new tokens one request is worth.
const RENEWALS: u32 = 3;

/// Whom requests are made for.
pub(super) struct Account {
    pub(super) auth: Url,
    pub(super) rest: Url,
    pub(super) client_id: SecretValue,
    pub(super) client_secret: SecretValue,
    pub(super) account_id: Option<String>,
}

/// A token, and until when it holds.
#[derive(Clone)]
struct Token {
    text: String,
    until: Instant,
}

/// The tokens of this process, by account: Marketing Cloud wants to be asked once in twenty minutes.
static TOKENS: Mutex<Option<HashMap<Digest, Token>>> = Mutex::new(None);

/// A connection to the service.
pub(super) struct Client {
    http: reqwest::Client,
    account: Account,
    name: Digest,
    /// The first pause before a request is sent again, and how often it is.
    again: (Duration, u32),
    monitor: Arc<Monitor>,
    /// How many requests were sent, and how many tokens were asked for.
    pub(super) requests: Cell<u64>,
    pub(super) tokens: Cell<u64>,
}

/// What a request came to.
enum Reply {
    Answer(Value),
    /// It may come to something when it is sent again.
    Again {
        why: String,
        pause: Option<Duration>,
    },
    /// The token has expired.
    Expired(String),
    /// There is no such thing (404).
    Gone(String),
    Never(StageError),
}

/// What the service says about a request.
pub(super) enum Answer {
    There(Value),
    /// It knows of no such thing.
    Gone,
}

impl Client {
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(
        account: Account,
        timeout: Duration,
        again: (Duration, u32),
        monitor: &Arc<Monitor>,
    ) -> Result<Self, StageError> {
        // Another stage of the process may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(timeout)
            // A token goes where the workflow says and nowhere else.
            .redirect(Policy::none())
            .user_agent("stagewright-sfmc")
            .build()
            .map_err(|error| StageError::environment(format!("cannot set up connections: {}", causes(&error))))?;
        let secret = account.client_secret.expose();
        let parts =
            [account.auth.as_str(), account.client_id.expose(), secret, account.account_id.as_deref().unwrap_or("")];
        let name = Digest::of(parts.join("\0").as_bytes());
        Ok(Self {
            http,
            account,
            name,
            again,
            monitor: Arc::clone(monitor),
            requests: Cell::new(0),
            tokens: Cell::new(0),
        })
    }

    /// Sends a request until it is answered.
    ///
    /// # Errors
    /// When the service refuses it, does not answer in spite of everything, or the run is cancelled.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&[u8]>) -> Result<Answer, StageError> {
        let mut pauses = self.pauses();
        let mut renewals = 0;
        loop {
            let token = self.token().await?;
            let url = format!("{}{path}", self.account.rest.as_str().trim_end_matches('/'));
            let mut request = self.http.request(method.clone(), url).bearer_auth(&token);
            if let Some(body) = body {
                request = request.header("Content-Type", "application/json").body(body.to_vec());
            }
            match self.send(request).await? {
                Reply::Answer(answer) => return Ok(Answer::There(answer)),
                Reply::Gone(_) if method == Method::GET => return Ok(Answer::Gone),
                Reply::Gone(why) => {
                    return Err(StageError::data(format!("the service refuses the rows: {why}"))
                        .with_help("make the data extension first: the bundle has its definition"));
                }
                Reply::Expired(why) if renewals == RENEWALS => {
                    return Err(StageError::data(format!("the service refuses a new token: {why}"))
                        .with_help("check what the installed package may do: it must read and write data extensions"));
                }
                Reply::Expired(why) => {
                    self.forget(&token);
                    // Once is what tokens do; a new one that is refused may not be known everywhere yet.
                    if renewals > 0 {
                        self.pause(&mut pauses, None, &why).await?;
                    }
                    renewals += 1;
                }
                Reply::Again { why, pause } => self.pause(&mut pauses, pause, &why).await?,
                Reply::Never(error) => return Err(error),
            }
        }
    }

    /// A token that holds for a while yet: the one that is known, or a new one.
    async fn token(&self) -> Result<String, StageError> {
        let known = with_tokens(|tokens| tokens.get(&self.name).cloned());
        if let Some(token) = known.filter(|token| token.until > Instant::now()) {
            return Ok(token.text);
        }
        let mut body = json!({
            "grant_type": "client_credentials",
            "client_id": self.account.client_id.expose(),
            "client_secret": self.account.client_secret.expose(),
        });
        if let Some(account) = &self.account.account_id {
            body["account_id"] = account.as_str().into();
        }
        let url = format!("{}/v2/token", self.account.auth.as_str().trim_end_matches('/'));
        let mut pauses = self.pauses();
        loop {
            let asked = Instant::now();
            self.tokens.set(self.tokens.get() + 1);
            match self.send(self.http.post(&url).json(&body)).await? {
                Reply::Answer(answer) => {
                    let text = answer.get("access_token").and_then(Value::as_str);
                    let life = answer.get("expires_in").and_then(Value::as_u64).unwrap_or(1079);
                    let Some(text) = text.filter(|text| !text.is_empty()) else {
                        return Err(StageError::environment("the service answers without a token"));
                    };
                    let life = Duration::from_secs(life.min(86_400));
                    // A short life keeps half of it.
                    let until = asked + life.saturating_sub(MARGIN).max(life / 2);
                    with_tokens(|tokens| tokens.insert(self.name, Token { text: text.to_owned(), until }));
                    return Ok(text.to_owned());
                }
                Reply::Again { why, pause } => self.pause(&mut pauses, pause, &why).await?,
                Reply::Expired(why) | Reply::Gone(why) => {
                    return Err(StageError::data(format!("the service gives no token: {why}"))
                        .with_help("check `subdomain`, `client_id`, `client_secret` and `account_id`"));
                }
                Reply::Never(error) => {
                    return Err(error.with_help("check `client_id`, `client_secret` and `account_id`"));
                }
            }
        }
    }

    /// The token is not used again; another may have been asked for meanwhile.
    fn forget(&self, token: &str) {
        with_tokens(|tokens| {
            if tokens.get(&self.name).is_some_and(|known| known.text == token) {
                tokens.remove(&self.name);
            }
        });
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply, StageError> {
        self.requests.set(self.requests.get() + 1);
        let exchange = async {
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => return Reply::Again { why: network(error), pause: None },
            };
            let status = response.status();
            let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let body = match response.bytes().await {
                Ok(body) => body,
                Err(error) => return Reply::Again { why: network(error), pause: None },
            };
            let json: Option<Value> = serde_json::from_slice(&body).ok();
            if status.is_success() {
                return match json {
                    Some(json) => Reply::Answer(json),
                    None => Reply::Again { why: "the reply is no JSON".to_owned(), pause: None },
                };
            }
            let why = self.said(status.as_u16(), json.as_ref());
            let code = json.as_ref().and_then(|json| json.get("errorcode")).and_then(Value::as_i64);
            match status.as_u16() {
                401 => Reply::Expired(why),
                404 => Reply::Gone(why),
                429 => Reply::Again { why, pause: pause_of(header.as_deref(), json.as_ref()) },
                // Blocked for a while, and not said for how long.
                _ if code == Some(50200) => Reply::Again { why, pause: pause_of(header.as_deref(), json.as_ref()) },
                408 | 425 | 500.. => Reply::Again { why, pause: pause_of(header.as_deref(), json.as_ref()) },
                _ => Reply::Never(StageError::data(format!("the service refuses the request: {why}"))),
            }
        };
        tokio::select! {
            reply = exchange => Ok(reply),
            () = self.cancelled() => Err(StageError::cancelled()),
        }
    }

    /// What the service said, without anything that might be somebody's: values stand between brackets or quotes.
    fn said(&self, status: u16, json: Option<&Value>) -> String {
        let message = json.and_then(|json| json.get("message").or_else(|| json.get("error"))).and_then(Value::as_str);
        let code = json.and_then(|json| json.get("errorcode")).map(ToString::to_string);
        let mut said = status.to_string();
        if let Some(message) = message {
            said = format!("{said}: {}", shown(message));
        }
        if let Some(code) = code {
            said = format!("{said} ({code})");
        }
        for secret in [&self.account.client_id, &self.account.client_secret] {
            if !secret.expose().is_empty() {
                said = said.replace(secret.expose(), "***");
            }
        }
        said
    }

    fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.again.0)
            .with_max_delay(Duration::from_secs(60))
            .with_max_times(self.again.1 as usize)
            .with_jitter()
            .build()
    }

    async fn pause(
        &self,
        pauses: &mut impl Iterator<Item = Duration>,
        wanted: Option<Duration>,
        why: &str,
    ) -> Result<(), StageError> {
        let wanted = wanted.unwrap_or_default();
        let failed = |what: &str| {
            StageError::environment(format!("{what}: {why}"))
                .with_help("run again later: rows that are there are not doubled, and the rest is sent")
        };
        if wanted > PATIENCE {
            return Err(failed(&format!("the service wants to be left alone for {} minutes", wanted.as_secs() / 60)));
        }
        let backoff = pauses.next().ok_or_else(|| failed("the service does not answer"))?;
        self.rest(backoff.max(wanted)).await
    }

    /// Waits.
    ///
    /// # Errors
    /// When the run is cancelled meanwhile.
    pub(super) async fn rest(&self, time: Duration) -> Result<(), StageError> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.cancelled() => Err(StageError::cancelled()),
        }
    }

    async fn cancelled(&self) {
        while !self.monitor.is_cancelled() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn with_tokens<T>(body: impl FnOnce(&mut HashMap<Digest, Token>) -> T) -> T {
    body(TOKENS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// How long to wait, in seconds, by the header or the body.
fn pause_of(header: Option<&str>, json: Option<&Value>) -> Option<Duration> {
    let header = header.and_then(|text| text.trim().parse::<f64>().ok());
    let body = json.and_then(|json| json.get("retryAfter")).and_then(Value::as_f64);
    let longest = [header, body]
        .into_iter()
        .flatten()
        .fold(None, |longest: Option<f64>, next| Some(longest.map_or(next, |longest| longest.max(next))))?;
    Duration::try_from_secs_f64(longest).ok()
}

/// A message of the service with what it quotes struck out: that may be a value of a row.
pub(super) fn shown(message: &str) -> String {
    let mut out = String::new();
    let mut within: Option<char> = None;
    for c in message.chars().take(400) {
        match within {
            Some(end) if c == end => {
                within = None;
                out.push(c);
            }
            Some(_) => {}
            None => {
                within = match c {
                    '(' => Some(')'),
                    '[' => Some(']'),
                    '\'' | '"' => Some(c),
                    _ => None,
                };
                out.push(if c.is_control() { ' ' } else { c });
                if within.is_some() {
                    out.push('…');
                }
            }
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn network(error: reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    format!("{what} ({})", causes(&error.without_url()))
}

/// The innermost cause of an error, which says most.
fn causes(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_pause_is_kept() {
        let body = json!({ "message": "Rate limit exceeded", "errorcode": 50100, "retryAfter": 5 });
        assert_eq!(pause_of(None, Some(&body)), Some(Duration::from_secs(5)));
        assert_eq!(pause_of(Some("7"), Some(&body)), Some(Duration::from_secs(7)));
        assert_eq!(pause_of(Some("soon"), None), None);
        assert_eq!(pause_of(Some("-1"), None), None);
    }

    #[test]
    fn what_a_message_quotes_is_not_shown() {
        let message =
            "Violation of PRIMARY KEY constraint 'PK_C207'. The duplicate key value is (ada@example.com).\r\nEnd";
        assert_eq!(shown(message), "Violation of PRIMARY KEY constraint '…'. The duplicate key value is (…). End");
    }
}
