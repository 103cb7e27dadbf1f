//! A chat-completions service that behaves as badly as it is told to.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What the service does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers with this text.
    Answer(String),
    /// Refuses with this status, these header lines and this body.
    Refuse(u16, String, String),
    /// Says nothing until the other side gives up.
    Slow,
    /// Announces an answer and closes the connection in the middle of it.
    Truncate,
    /// Answers with what is no answer.
    Garble(String),
    /// Answers after a while.
    Late(Duration, String),
}

/// What the service saw.
#[derive(Default)]
pub(crate) struct Log {
    /// How often each prompt was asked.
    pub(crate) asked: BTreeMap<String, u32>,
    /// How often each prompt was answered in full: what is paid for.
    pub(crate) answered: BTreeMap<String, u32>,
    /// When each request came.
    pub(crate) times: Vec<Instant>,
    /// The bodies of the requests.
    pub(crate) bodies: Vec<Value>,
    /// The `Authorization` of the last request.
    pub(crate) authorization: Option<String>,
    /// How often it did what.
    pub(crate) acts: BTreeMap<&'static str, u32>,
}

impl Log {
    /// How many requests came.
    pub(crate) fn requests(&self) -> usize {
        self.times.len()
    }
}

type Behaviour = dyn Fn(&str, u32) -> Act + Send + Sync;

/// The service, in threads of its own until the process ends.
pub(crate) struct Server {
    pub(crate) url: String,
    log: Arc<Mutex<Log>>,
}

impl Server {
    /// A service that does what `behaviour` says to a prompt that is asked for the n-th time, from 0.
    pub(crate) fn start(behaviour: impl Fn(&str, u32) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Log::default()));
        let behaviour: Arc<Behaviour> = Arc::new(behaviour);
        let shared = Arc::clone(&log);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, behaviour) = (Arc::clone(&shared), Arc::clone(&behaviour));
                thread::spawn(move || serve(stream, &log, &*behaviour));
            }
        });
        Self { url, log }
    }

    /// One that always answers.
    pub(crate) fn good() -> Self {
        Self::start(|prompt, _| Act::Answer(letter(prompt)))
    }

    /// One that fails in every way at random: one request in three. What it does depends on the seed, the prompt and
    /// how often it was asked alone.
    pub(crate) fn bad(seed: u64) -> Self {
        Self::start(move |prompt, nth| {
            let refuse = |status: u16, header: &str, text: &str| {
                Act::Refuse(status, header.to_owned(), format!("{{\"error\":{{\"message\":\"{text}\"}}}}"))
            };
            match draw(seed, prompt, nth) % 100 {
                0..7 => refuse(429, "Retry-After: 0\r\n", "slow down"),
                7 => refuse(429, "Retry-After: 1\r\n", "slow down"),
                8 => refuse(429, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", "slow down"),
                9..17 => refuse(500, "", "a fault"),
                17 => Act::Slow,
                18..25 => Act::Truncate,
                25..29 => Act::Garble("{\"choices\":[".to_owned()),
                29..33 => Act::Garble("<html>busy</html>".to_owned()),
                _ => Act::Answer(letter(prompt)),
            }
        })
    }

    /// What it saw so far.
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }
}

/// A number that depends on these alone (FNV-1a, then a finisher).
fn draw(seed: u64, prompt: &str, nth: u32) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(prompt.bytes()).chain(nth.to_le_bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

/// A message about a prompt that passes the checks.
pub(crate) fn letter(prompt: &str) -> String {
    format!("Subject: For you\n\nHello there, we read your wish and thought of something that you may like: {prompt}.")
}

fn serve(stream: TcpStream, log: &Mutex<Log>, behaviour: &Behaviour) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some((authorization, body)) = request(&mut reader) {
        let prompt = body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
        let nth = {
            let mut log = log.lock().unwrap();
            log.times.push(Instant::now());
            log.bodies.push(body);
            log.authorization = authorization;
            let asked = log.asked.entry(prompt.clone()).or_default();
            *asked += 1;
            *asked - 1
        };
        let act = behaviour(&prompt, nth);
        let name = match &act {
            Act::Answer(_) | Act::Late(..) => "answer",
            Act::Refuse(429, ..) => "429",
            Act::Refuse(..) => "refuse",
            Act::Slow => "slow",
            Act::Truncate => "truncate",
            Act::Garble(_) => "garble",
        };
        *log.lock().unwrap().acts.entry(name).or_default() += 1;
        let sent = match act {
            Act::Answer(text) => answer(&mut writer, log, prompt, &text),
            Act::Late(time, text) => {
                thread::sleep(time);
                answer(&mut writer, log, prompt, &text)
            }
            Act::Refuse(status, headers, body) => reply(&mut writer, status, &headers, &body, body.len()),
            Act::Garble(body) => reply(&mut writer, 200, "", &body, body.len()),
            Act::Truncate => {
                let _ = reply(&mut writer, 200, "", "{\"choices\":[{\"message\":{\"content\":\"Hel", 900);
                return;
            }
            Act::Slow => {
                // Until the other side closes the connection.
                let _ = reader.read(&mut [0]);
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn answer(writer: &mut TcpStream, log: &Mutex<Log>, prompt: String, text: &str) -> std::io::Result<()> {
    let body = json!({
        "id": "x", "object": "chat.completion", "model": "test-1",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150 },
    })
    .to_string();
    // Counted before it is sent, so that no test looks too early.
    *log.lock().unwrap().answered.entry(prompt).or_default() += 1;
    reply(writer, 200, "", &body, body.len())
}

fn reply(writer: &mut TcpStream, status: u16, headers: &str, body: &str, length: usize) -> std::io::Result<()> {
    let head =
        format!("HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n");
    writer.write_all(format!("{head}{body}").as_bytes())?;
    writer.flush()
}

/// The authorization and the body of the next request on a connection.
fn request(reader: &mut impl BufRead) -> Option<(Option<String>, Value)> {
    let (mut length, mut authorization) = (0, None);
    let mut first = true;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if first {
            assert_eq!(line, "POST /v1/chat/completions HTTP/1.1");
            first = false;
        }
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((authorization, serde_json::from_slice(&body).unwrap()))
}
