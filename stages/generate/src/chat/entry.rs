//! What is sent, what comes back, and how an answer is kept in the ledger.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use stagewright_contract::Digest;

use super::OpenAi;
use crate::framed::Framed;

/// The two texts of a request.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Prompt {
    pub(super) system: String,
    pub(super) prompt: String,
}

impl Prompt {
    /// Its length in bytes, some for the form included: it has hardly more tokens than that.
    pub(super) fn bytes(&self) -> u64 {
        (self.system.len() + self.prompt.len()) as u64 + 32
    }

    /// How many tokens it has, roughly: where the service does not say.
    fn tokens(&self) -> u64 {
        self.bytes().div_ceil(4)
    }
}

/// An answer that was paid for, as it is in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// What the model wrote.
    pub(super) content: String,
    /// Whether it was cut off at `max_tokens`.
    pub(super) cut_off: bool,
    /// The model that the service names.
    pub(super) model: String,
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    /// Whether the service said nothing about tokens, so that they are estimated.
    pub(super) estimated: bool,
    /// What it cost, by the prices of that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cost: Option<f64>,
    /// The persons it is about.
    pub(super) subjects: Vec<String>,
}

impl OpenAi {
    /// The key of an answer: everything that was sent and where, and which attempt it is.
    pub(super) fn key(&self, prompt: &Prompt, attempt: u32) -> Digest {
        // In the order of their names, whatever the map's order is.
        let extra: BTreeMap<&String, &Value> = self.extra.iter().collect();
        Framed::new("stagewright answer 1")
            .field("provider", "openai")
            .field("base_url", self.base_url.trim_end_matches('/'))
            .field("model", &self.model)
            .field("system", &prompt.system)
            .field("prompt", &prompt.prompt)
            .field("temperature", &self.temperature.to_string())
            .field("max_tokens", &self.max_tokens.to_string())
            .field("seed", &self.seed.map(|seed| seed.to_string()).unwrap_or_default())
            .field("json", &self.json.to_string())
            .field("extra", &serde_json::to_string(&extra).unwrap_or_default())
            .field("attempt", &attempt.to_string())
            .digest()
    }

    /// The body of a request.
    pub(super) fn body(&self, prompt: &Prompt, attempt: u32) -> Value {
        let mut messages = Vec::new();
        if !prompt.system.is_empty() {
            messages.push(json!({ "role": "system", "content": prompt.system }));
        }
        messages.push(json!({ "role": "user", "content": prompt.prompt }));
        let mut body: Map<String, Value> = self.extra.clone();
        body.insert("model".to_owned(), json!(self.model));
        body.insert("messages".to_owned(), json!(messages));
        body.insert("temperature".to_owned(), json!(self.temperature));
        body.insert("max_tokens".to_owned(), json!(self.max_tokens));
        if let Some(seed) = self.seed {
            body.insert("seed".to_owned(), json!(seed.wrapping_add(u64::from(attempt))));
        }
        if self.json {
            body.insert("response_format".to_owned(), json!({ "type": "json_object" }));
        }
        Value::Object(body)
    }

    /// The answer in a reply; `None` when the reply is not one.
    pub(super) fn answer(&self, reply: &[u8], prompt: &Prompt) -> Option<Entry> {
        let reply: Value = serde_json::from_slice(reply).ok()?;
        let choice = reply.get("choices")?.get(0)?;
        let content = choice.get("message")?.get("content")?.as_str()?.to_owned();
        let usage = |name: &str| reply.get("usage")?.get(name)?.as_u64();
        let told = usage("prompt_tokens").zip(usage("completion_tokens"));
        let (prompt_tokens, completion_tokens) =
            told.unwrap_or_else(|| (prompt.tokens(), (content.chars().count() as u64).div_ceil(3)));
        Some(Entry {
            cut_off: choice.get("finish_reason").and_then(Value::as_str) == Some("length"),
            model: reply.get("model").and_then(Value::as_str).unwrap_or(&self.model).to_owned(),
            prompt_tokens,
            completion_tokens,
            estimated: told.is_none(),
            cost: self.price.as_ref().map(|price| price.of(prompt_tokens, completion_tokens)),
            subjects: Vec::new(),
            content,
        })
    }

    /// The subject and the text that an answer holds; what is wrong when it holds none.
    pub(super) fn parts(&self, entry: &Entry) -> Result<(Option<String>, String), String> {
        if !self.json {
            return Ok(subject_line(&entry.content));
        }
        let wrong = || format!("the answer is not a JSON object with a text at `{}`", self.text_key);
        let object: Value = serde_json::from_str(entry.content.trim()).map_err(|_| wrong())?;
        let text = object.get(&self.text_key).and_then(Value::as_str).ok_or_else(wrong)?;
        let subject = object.get(&self.subject_key).and_then(Value::as_str).map(|subject| subject.trim().to_owned());
        Ok((subject.filter(|subject| !subject.is_empty()), text.trim().to_owned()))
    }
}

/// A first line `Subject: …`, also in bold, apart from the text that follows.
fn subject_line(content: &str) -> (Option<String>, String) {
    let content = content.trim();
    let (first, rest) = content.split_once('\n').unwrap_or((content, ""));
    let plain = first.replace("**", "");
    let plain = plain.trim();
    let is_subject = plain.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("subject:"));
    match plain.get(8..).map(str::trim) {
        Some(subject) if is_subject && !subject.is_empty() => (Some(subject.to_owned()), rest.trim().to_owned()),
        _ => (None, content.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn service(more: Value) -> OpenAi {
        let mut params = json!({ "base_url": "http://127.0.0.1:1/v1/", "model": "m" });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(params).unwrap()
    }

    fn hello() -> Prompt {
        Prompt { system: "s".to_owned(), prompt: "hello".to_owned() }
    }

    /// Whoever changes this pays for every message anew.
    #[test]
    fn golden_key() {
        let key = service(json!({ "extra": { "top_p": 0.9, "stop": ["x"] } })).key(&hello(), 0).hex();
        assert_eq!(key, "6eb20e19686e0800fa28507e664cf2dc48660fef514eb93fa91986057421cdd8");
    }

    #[test]
    fn everything_that_is_sent_is_in_the_key() {
        let mut keys: Vec<String> = [
            json!({}),
            json!({ "model": "n" }),
            json!({ "temperature": 0.5 }),
            json!({ "max_tokens": 151 }),
            json!({ "seed": 1 }),
            json!({ "json": true }),
            json!({ "extra": { "top_p": 1 } }),
            json!({ "base_url": "http://127.0.0.1:2/v1" }),
        ]
        .into_iter()
        .map(|more| service(more).key(&hello(), 0).hex())
        .collect();
        keys.push(service(json!({})).key(&hello(), 1).hex());
        keys.push(service(json!({})).key(&Prompt { system: "sh".into(), prompt: "ello".into() }, 0).hex());
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all);
        // How it is sent is not.
        let patient =
            service(json!({ "timeout": 5, "max_retries": 1, "concurrency": 2, "base_url": "http://127.0.0.1:1/v1",
            "budget": { "requests": 9 }, "price": { "input": 1, "output": 2 }, "api_key": "${secret:KEY}" }));
        assert_eq!(patient.key(&hello(), 0), service(json!({})).key(&hello(), 0));
    }

    #[test]
    fn requests_have_the_fields_of_the_protocol() {
        let body = service(json!({ "seed": 7, "json": true, "extra": { "top_p": 0.9 } })).body(&hello(), 2);
        assert_eq!(
            body,
            json!({
                "model": "m", "temperature": 0.7, "max_tokens": 150, "seed": 9, "top_p": 0.9,
                "response_format": { "type": "json_object" },
                "messages": [{ "role": "system", "content": "s" }, { "role": "user", "content": "hello" }],
            })
        );
    }

    #[test]
    fn answers_are_read_and_garbled_replies_are_not() {
        let service = service(json!({ "price": { "input": 1.0, "output": 2.0 } }));
        let reply = json!({ "model": "m-1", "choices": [{ "message": { "content": "Hi" }, "finish_reason": "length" }],
            "usage": { "prompt_tokens": 10, "completion_tokens": 5 } });
        let entry = service.answer(reply.to_string().as_bytes(), &hello()).unwrap();
        assert_eq!((entry.content.as_str(), entry.cut_off, entry.model.as_str()), ("Hi", true, "m-1"));
        assert_eq!((entry.prompt_tokens, entry.completion_tokens, entry.estimated), (10, 5, false));
        assert_eq!(entry.cost, Some(2e-5));
        let bare = json!({ "choices": [{ "message": { "content": "Hi you" } }] });
        let entry = service.answer(bare.to_string().as_bytes(), &hello()).unwrap();
        assert_eq!((entry.prompt_tokens, entry.completion_tokens, entry.estimated), (10, 2, true));
        for garbled in ["", "{", "[]", r#"{"choices":[]}"#, r#"{"choices":[{"message":{"content":null}}]}"#, "<html>"] {
            assert_eq!(service.answer(garbled.as_bytes(), &hello()), None, "{garbled}");
        }
    }

    #[test]
    fn subjects_are_told_from_texts() {
        let of = |content: &str| subject_line(content);
        assert_eq!(of("Subject: A b\n\nHi,\nyou"), (Some("A b".into()), "Hi,\nyou".into()));
        assert_eq!(of("**Subject:** A b\nHi"), (Some("A b".into()), "Hi".into()));
        assert_eq!(of("Hi,\nSubject: x"), (None, "Hi,\nSubject: x".into()));
        let json = service(json!({ "json": true }));
        let entry = |content: &str| Entry {
            content: content.to_owned(),
            ..json.answer(br#"{"choices":[{"message":{"content":""}}]}"#, &hello()).unwrap()
        };
        assert_eq!(json.parts(&entry(r#"{"subject":"A","text":"Hi"}"#)), Ok((Some("A".into()), "Hi".into())));
        assert_eq!(json.parts(&entry("Hi")), Err("the answer is not a JSON object with a text at `text`".to_owned()));
    }
}
