//! One request, and what its reply means.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use serde_json::Value;
use stagewright_contract::{SecretValue, StageError};

/// A connection to the service.
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    key: Option<SecretValue>,
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// The service answered, and wants nothing more for this long.
    Answer { body: Vec<u8>, pause: Option<Duration> },
    /// It may answer when it is asked again.
    Again(Refusal),
    /// It will not answer, however often it is asked.
    Never(StageError),
}

/// Why there was no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    /// For people; holds neither the key nor the prompt.
    pub(super) why: String,
    /// How long the service wants to be left alone.
    pub(super) pause: Option<Duration>,
    /// Whether it was asked too often.
    pub(super) too_fast: bool,
    /// Whether the service may have done the work, and count it.
    pub(super) charged: bool,
}

impl Client {
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(url: Url, key: Option<SecretValue>, timeout: Duration) -> Result<Self, StageError> {
        // Another crate of the process may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(timeout)
            // A key goes where the workflow says and nowhere else.
            .redirect(Policy::none())
            .user_agent("stagewright")
            .build()
            .map_err(|error| StageError::environment(format!("cannot set up connections: {}", causes(&error))))?;
        Ok(Self { http, url, key })
    }

    /// Sends a request and waits for its end.
    pub(super) async fn ask(&self, body: &Value) -> Reply {
        let mut request = self.http.post(self.url.clone()).json(body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let charged = !error.is_connect();
                return self.again(self.network(error), None, charged);
            }
        };
        let status = response.status();
        let headers = response.headers().clone();
        let body = response.bytes().await;
        if status.is_success() {
            return match body {
                Ok(body) => Reply::Answer { body: body.to_vec(), pause: exhausted(&headers) },
                Err(error) => self.again(self.network(error), None, true),
            };
        }
        let said = self.without_key(&said(&body.unwrap_or_default()));
        let why = format!("{}{}{said}", status.as_u16(), if said.is_empty() { "" } else { ": " });
        let quota = said.contains("insufficient_quota") || said.contains("exceeded your current quota");
        if status == StatusCode::TOO_MANY_REQUESTS && !quota {
            let pause = retry_after(&headers, Timestamp::now()).or_else(|| exhausted(&headers));
            return Reply::Again(Refusal { why, pause, too_fast: true, charged: false });
        }
        if status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 425) {
            let pause = retry_after(&headers, Timestamp::now());
            return Reply::Again(Refusal { why, pause, too_fast: false, charged: false });
        }
        let error = StageError::data(format!("the service refuses the request: {why}"));
        Reply::Never(match status.as_u16() {
            401 | 403 if self.key.is_none() => error.with_help("give it a key: `api_key: ${secret:NAME}`"),
            401 | 403 => error.with_help("check the key and what it may be used for"),
            404 | 405 => error.with_help(format!("check `base_url` and `model`: the request went to {}", self.url)),
            429 => error.with_help("raise the limit with the service; what was paid for is in the ledger"),
            _ => error.with_help("check `model`, `max_tokens` and `extra`, and how long the prompts are"),
        })
    }

    fn again(&self, why: String, pause: Option<Duration>, charged: bool) -> Reply {
        Reply::Again(Refusal { why, pause, too_fast: false, charged })
    }

    fn network(&self, error: reqwest::Error) -> String {
        let what = if error.is_timeout() {
            "no answer in time"
        } else if error.is_connect() {
            "no connection"
        } else if error.is_body() || error.is_decode() {
            "the reply was cut off"
        } else {
            "the connection broke"
        };
        let causes = causes(&error.without_url());
        self.without_key(&format!("{what} ({causes})"))
    }

    /// What a service says may quote what it was sent.
    fn without_key(&self, text: &str) -> String {
        match &self.key {
            Some(key) if !key.expose().is_empty() => text.replace(key.expose(), "***"),
            _ => text.to_owned(),
        }
    }
}

/// The innermost cause of an error, which says most.
fn causes(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The text of an error in a reply: `error.message` with its code, or the beginning of whatever there is.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let error = json.as_ref().and_then(|json| json.get("error"));
    let message = error.and_then(|error| error.get("message").unwrap_or(error).as_str()).unwrap_or(&text);
    let code = error.and_then(|error| error.get("code")).and_then(Value::as_str);
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = line.chars().filter(|c| !c.is_control()).take(300).collect();
    match code {
        Some(code) if !shown.contains(code) => format!("{shown} ({code})"),
        _ => shown,
    }
}

/// `Retry-After`, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let then = rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(then.duration_since(now)).unwrap_or_default())
}

/// How long nothing is left of a limit per minute, by the `x-ratelimit` headers.
fn exhausted(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    ["requests", "tokens"]
        .into_iter()
        .filter(|what| header(&format!("x-ratelimit-remaining-{what}")) == Some("0"))
        .filter_map(|what| span(header(&format!("x-ratelimit-reset-{what}"))?))
        .max()
}

/// A time such as `6m0s`, `1.5s` or `20ms`; a bare number is in seconds.
fn span(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let value: f64 = rest.get(..number)?.parse().ok()?;
        rest = rest.get(number..)?;
        let unit = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let seconds = match rest.get(..unit)? {
            "ms" => value / 1000.0,
            "" | "s" => value,
            "m" => value * 60.0,
            "h" => value * 3600.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        rest = rest.get(unit..)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2015-10-21T07:28:00Z".parse().unwrap();
        let of = |text: &str| retry_after(&headers(&[("retry-after", text)]), now);
        assert_eq!(of("3"), Some(Duration::from_secs(3)));
        assert_eq!(of("Wed, 21 Oct 2015 07:28:20 GMT"), Some(Duration::from_secs(20)));
        assert_eq!(of("Wed, 21 Oct 2015 07:27:00 GMT"), Some(Duration::ZERO));
        assert_eq!((of("soon"), of("-1")), (None, None));
    }

    #[test]
    fn limits_that_are_used_up_say_for_how_long() {
        assert_eq!(span("6m0s"), Some(Duration::from_secs(360)));
        assert_eq!(span("20ms"), Some(Duration::from_millis(20)));
        assert_eq!(span("1h1m1.5s"), Some(Duration::from_millis(3_661_500)));
        assert_eq!((span("2"), span("x"), span("1d")), (Some(Duration::from_secs(2)), None, None));
        let spent = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "2s")];
        assert_eq!(exhausted(&headers(&spent)), Some(Duration::from_secs(2)));
        let left = [("x-ratelimit-remaining-tokens", "9"), ("x-ratelimit-reset-tokens", "2s")];
        assert_eq!(exhausted(&headers(&left)), None);
    }

    #[test]
    fn errors_are_said_in_the_words_of_the_service() {
        assert_eq!(
            said(br#"{"error":{"message":"No such model","code":"model_not_found"}}"#),
            "No such model (model_not_found)"
        );
        assert_eq!(said(br#"{"error":"no"}"#), "no");
        assert_eq!(said(b"<html>\n502 </html>"), "<html> 502 </html>");
        assert_eq!(said(b""), "");
    }
}
