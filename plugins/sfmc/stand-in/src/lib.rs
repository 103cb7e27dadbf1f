//! A stand-in for Salesforce Marketing Cloud, for tests and for trying a workflow out without an account.
//!
//! It keeps the documented rules of what the delivery plugin uses: tokens with a life, data extensions whose primary
//! key must be there, 32,000 rows in a batch at most, batches that are pending before they are done, results in pages
//! of 50, and the bodies of its refusals. On request it misbehaves, by a seed. `GET /stand-in` says what it has seen.

mod extension;
mod extract;
mod state;
mod trouble;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tiny_http::{Header, Method, Request, Response, Server};

pub use extension::Extension;
pub use extract::{Rates, add_file, extract};
use state::State;
use trouble::Trouble;

/// How many threads answer.
const THREADS: usize = 6;

/// How it behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port on this machine; 0 for any that is free.
    pub port: u16,
    /// What an installed package has to say of itself.
    pub client_id: String,
    /// And its secret.
    pub client_secret: String,
    /// How long a token holds.
    pub token_life: Duration,
    /// How long a batch is pending.
    pub pending: Duration,
    /// The share of requests that go wrong, from 0 to 1.
    pub trouble: f64,
    /// What goes wrong depends on this.
    pub seed: u64,
    /// So many requests at first are answered with 429.
    pub too_many_at_first: u64,
    /// How long a 429 wants to be left alone, in seconds.
    pub retry_after: u64,
    /// How long a slow answer takes.
    pub slow: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            client_id: "client".to_owned(),
            client_secret: "secret".to_owned(),
            token_life: Duration::from_secs(1079),
            pending: Duration::from_millis(500),
            trouble: 0.0,
            seed: 42,
            too_many_at_first: 0,
            retry_after: 5,
            slow: Duration::from_secs(90),
        }
    }
}

/// The service, in threads of its own until the process ends.
#[derive(Clone)]
pub struct StandIn {
    address: SocketAddr,
    options: Arc<Options>,
    state: Arc<Mutex<State>>,
}

impl StandIn {
    /// Starts it.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(options: Options) -> Result<Self, String> {
        let server = Server::http(("127.0.0.1", options.port)).map_err(|error| error.to_string())?;
        let address = server.server_addr().to_ip().ok_or("it has no address")?;
        let server = Arc::new(server);
        let service = Self { address, options: Arc::new(options), state: Arc::default() };
        for _ in 0..THREADS {
            let (server, service) = (Arc::clone(&server), service.clone());
            std::thread::spawn(move || {
                while let Ok(request) = server.recv() {
                    service.serve(request);
                }
            });
        }
        Ok(service)
    }

    /// Where it is: both `auth_url` and `rest_url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a data extension from its definition, as `data_extension.json` of a bundle has it. One of the same key is
    /// replaced.
    ///
    /// # Errors
    /// When the definition is not one.
    pub fn define(&self, definition: &Value) -> Result<(), String> {
        let extension = Extension::new(definition)?;
        self.state().extensions.insert(extension.key.clone(), extension);
        Ok(())
    }

    /// The rows of a data extension.
    pub fn rows(&self, key: &str) -> Vec<Map<String, Value>> {
        let mut state = self.state();
        state.settle(self.options.pending);
        state.extensions.get(key).map(|extension| extension.rows.values().cloned().collect()).unwrap_or_default()
    }

    /// How often it saw and did what.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.state().counts.clone()
    }

    /// Forgets every token, as when they expire.
    pub fn expire_tokens(&self) {
        self.state().tokens.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut request: Request) {
        let mut body = Vec::new();
        if request.as_reader().read_to_end(&mut body).is_err() {
            return;
        }
        let (path, query) = match request.url().split_once('?') {
            Some((path, query)) => (path.to_owned(), query.to_owned()),
            None => (request.url().to_owned(), String::new()),
        };
        if path.starts_with("/stand-in") {
            let reply = self.about(request.method(), &path, &query, &body);
            let _ = match reply {
                Ok(About::Json(value)) => request.respond(response(200, &value, None)),
                Ok(About::Zip(bytes)) => request.respond(Response::from_data(bytes)),
                Err(error) => request.respond(response(400, &json!({ "message": error }), None)),
            };
            return;
        }
        let is_token = path == "/v2/token";
        let trouble = {
            let mut state = self.state();
            state.settle(self.options.pending);
            state.count("requests");
            let trouble = trouble::draw(&self.options, state.drawn, is_token);
            state.drawn += 1;
            if let Some(trouble) = trouble {
                state.count(trouble.name());
            }
            trouble
        };
        match trouble {
            Some(Trouble::TooMany) => {
                let after = self.options.retry_after;
                let body = json!({ "message": "Rate limit exceeded", "errorcode": 50100, "retryAfter": after });
                let _ = request.respond(response(429, &body, Some(after)));
                return;
            }
            Some(Trouble::Blocked) => {
                let body = json!({ "message": "Temporarily blocked", "errorcode": 50200 });
                let _ = request.respond(response(429, &body, None));
                return;
            }
            Some(Trouble::Broken(status)) => {
                let _ =
                    request.respond(response(status, &json!({ "message": "An internal error", "errorcode": 0 }), None));
                return;
            }
            Some(Trouble::Expired) => self.expire_tokens(),
            Some(Trouble::Slow | Trouble::CutOff | Trouble::Partial) | None => {}
        }
        let (status, reply) = if is_token {
            self.token(&body)
        } else {
            let authorization = request.headers().iter().find(|header| header.field.equiv("Authorization"));
            let token =
                authorization.and_then(|header| header.value.as_str().strip_prefix("Bearer ")).map(str::to_owned);
            self.rest(request.method(), &path, &query, token.as_deref(), &body, trouble == Some(Trouble::Partial))
        };
        self.state().count(&format!("replies {status}"));
        match trouble {
            // It was done, and the other side does not hear of it.
            Some(Trouble::CutOff) => {
                let mut writer = request.into_writer();
                let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{\"req");
                let _ = writer.flush();
            }
            Some(Trouble::Slow) => {
                std::thread::sleep(self.options.slow);
                let _ = request.respond(response(status, &reply, None));
            }
            _ => {
                let _ = request.respond(response(status, &reply, None));
            }
        }
    }

    fn token(&self, body: &[u8]) -> (u16, Value) {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut state = self.state();
        state.count("token requests");
        let now = Instant::now();
        // The soft limit: one in twenty minutes. It is counted, and nobody is refused for it.
        state.token_requests.retain(|asked| now.duration_since(*asked) < Duration::from_secs(20 * 60));
        if !state.token_requests.is_empty() {
            state.count("token requests beyond the soft limit");
        }
        state.token_requests.push(now);
        let said = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
        let options = &self.options;
        if said("grant_type") != "client_credentials" {
            return (
                400,
                json!({ "error": "unsupported_grant_type", "error_description": "The grant type is not supported." }),
            );
        }
        if said("client_id") != options.client_id || said("client_secret") != options.client_secret {
            return (401, json!({ "error": "invalid_client", "error_description": "Invalid client ID or secret." }));
        }
        let token = format!("token-{}-{}", options.seed, state.counts.get("token requests").unwrap_or(&0));
        state.tokens.insert(token.clone(), now + options.token_life);
        let reply = json!({
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": options.token_life.as_secs(),
            "scope": "data_extensions_read data_extensions_write",
            "rest_instance_url": self.url(),
            "soap_instance_url": self.url(),
        });
        (200, reply)
    }

    fn rest(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        token: Option<&str>,
        body: &[u8],
        partial: bool,
    ) -> (u16, Value) {
        let mut state = self.state();
        let holds = token.and_then(|token| state.tokens.get(token)).is_some_and(|until| *until > Instant::now());
        if !holds {
            return (401, json!({ "message": "Not Authorized", "errorcode": 0, "documentation": "" }));
        }
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            (Method::Put | Method::Post, ["data", "v1", "async", "dataextensions", key, "rows"]) => {
                let Some(key) = key.strip_prefix("key:") else {
                    return (404, json!({ "message": "Data extensions are known by key here", "errorcode": 10000 }));
                };
                let drawn = state.drawn;
                state.take(key, *method == Method::Put, body, partial.then(|| trouble::mix(self.options.seed, drawn)))
            }
            (Method::Get, ["data", "v1", "async", id, "status"]) => state.status(id),
            (Method::Get, ["data", "v1", "async", id, "results"]) => {
                let page = parameter(query, "page").and_then(|page| page.parse().ok()).unwrap_or(1);
                state.results(id, page)
            }
            _ => (404, json!({ "message": "There is nothing here", "errorcode": 404 })),
        }
    }

    /// What is asked of the stand-in itself.
    fn about(&self, method: &Method, path: &str, query: &str, body: &[u8]) -> Result<About, String> {
        match (method, path) {
            (Method::Get, "/stand-in") => {
                let mut state = self.state();
                state.settle(self.options.pending);
                let rows: BTreeMap<&str, usize> =
                    state.extensions.iter().map(|(key, extension)| (key.as_str(), extension.rows.len())).collect();
                Ok(About::Json(json!({ "rows": rows, "counts": state.counts })))
            }
            (Method::Post, "/stand-in/data-extensions") => {
                let definition = serde_json::from_slice(body).map_err(|error| error.to_string())?;
                self.define(&definition)?;
                Ok(About::Json(json!({})))
            }
            (Method::Get, "/stand-in/rows") => {
                Ok(About::Json(json!(self.rows(parameter(query, "key").unwrap_or_default()))))
            }
            (Method::Get, "/stand-in/extract") => {
                let job = parameter(query, "job").and_then(|job| job.parse().ok()).unwrap_or(1);
                let keys = subscriber_keys(&self.rows(parameter(query, "key").unwrap_or_default()));
                let people = keys.into_iter().map(|key| (key, Rates::default()));
                extract(people, job, "2026-01-05T15:00:00Z", self.options.seed).map(About::Zip)
            }
            _ => Err(
                "ask for /stand-in, /stand-in/rows?key=KEY or /stand-in/extract?key=KEY&job=1, or POST a definition \
                      to /stand-in/data-extensions"
                    .to_owned(),
            ),
        }
    }
}

enum About {
    Json(Value),
    Zip(Vec<u8>),
}

/// The subscriber keys among some rows.
pub fn subscriber_keys(rows: &[Map<String, Value>]) -> Vec<String> {
    rows.iter().filter_map(|row| row.get("SubscriberKey")?.as_str().map(str::to_owned)).collect()
}

/// A parameter of a query, under its name or with a dollar sign before it.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| key.trim_start_matches('$') == name)
        .map(|pair| pair.1)
}

fn response(status: u16, body: &Value, retry_after: Option<u64>) -> Response<std::io::Cursor<Vec<u8>>> {
    let mut response = Response::from_string(body.to_string()).with_status_code(status);
    let headers =
        [Some(("Content-Type", "application/json".to_owned())), retry_after.map(|s| ("Retry-After", s.to_string()))];
    for (name, value) in headers.into_iter().flatten() {
        if let Ok(header) = Header::from_bytes(name, value) {
            response = response.with_header(header);
        }
    }
    response
}
