//! The provider `openai`: a language model behind any endpoint of the chat-completions protocol.

mod budget;
mod client;
mod entry;
mod pace;
mod pursue;

use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stagewright_contract::{ParamError, Secret, SecretUse, StageContext, StageError};

use crate::checks::Checker;
use crate::messages::{Bill, Written};
use crate::recipients::{Recipients, values};
use crate::templates::{Fields, Templates};

/// A chat-completions service, and what it is asked.
///
/// Requests go to `{base_url}/chat/completions`. A refusal for lack of patience (429), an error of the server (5xx), a
/// time-out and a reply that is cut off or garbled are tried again, up to `max_retries` times, after a pause that
/// doubles from a quarter of a second to a minute, with jitter, and is as long as `Retry-After` says. Other refusals
/// (400, 401, 403, 404, …) end the stage with the text of the service. What an answer costs is counted in its `usage`,
/// or estimated from the length of the texts where there is none.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct OpenAi {
    /// Where the service is, such as `https://api.openai.com/v1` or `http://127.0.0.1:8080/v1`.
    base_url: String,
    /// Which of its models answers.
    #[schemars(length(min = 1))]
    model: String,
    /// The key that the service asks for: `${secret:NAME}`. No part of any key of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api_key: Option<Secret>,
    /// What the model is told about its task: a template, like `prompt`. An empty one is not sent.
    #[serde(default = "system")]
    system: String,
    /// What is asked for each user: a template (minijinja) that sees `products`, `first`, `rest`, `count`, `user` and
    /// `merge`, with the fields and filters that `template` describes. A variable that there is not is an error.
    #[serde(default = "prompt")]
    prompt: String,
    /// How much chance there is in the answer, from 0.
    #[serde(default = "temperature")]
    #[schemars(range(min = 0.0, max = 2.0))]
    temperature: f64,
    /// How long an answer may be, in tokens; a longer one is cut off, and fails the check `complete`.
    #[serde(default = "max_tokens")]
    #[schemars(range(min = 1))]
    max_tokens: u32,
    /// A seed for the model, where it takes one; a text that is written again gets the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// Whether the answer is to be a JSON object (`response_format`), with the keys below.
    #[serde(default)]
    json: bool,
    /// The key of the text, in JSON mode.
    #[serde(default = "text")]
    text_key: String,
    /// The key of the subject, in JSON mode; otherwise a first line `Subject: …` is the subject.
    #[serde(default = "subject")]
    subject_key: String,
    /// Other fields of the request, such as `top_p` or `stop`.
    #[serde(default)]
    extra: Map<String, Value>,
    /// How long an answer may take, in seconds.
    #[serde(default = "timeout")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    timeout: f64,
    /// How many requests may be under way at once. A 429 halves it; answers bring it back.
    #[serde(default = "concurrency")]
    #[schemars(range(min = 1, max = 1024))]
    concurrency: u32,
    /// How often a request is tried again.
    #[serde(default = "max_retries")]
    max_retries: u32,
    /// How many requests may be sent in a minute. A 429 slows down further; answers bring it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    requests_per_minute: Option<u32>,
    /// How many tokens may be sent and received in a minute, by their estimate (prompt and `max_tokens`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    tokens_per_minute: Option<u64>,
    /// What the messages of the stage may cost together.
    #[serde(default)]
    budget: Budget,
    /// What a million tokens cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    price: Option<Price>,
}

/// What the messages of the stage may cost together, answers in the ledger that an earlier run paid for included. A
/// request is sent only if what it may cost at most is left. When nothing more fits, the stage fails; what was paid
/// for is in the ledger, and a run with a larger budget goes on from there.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub struct Budget {
    /// How many requests, those that are tried again included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) requests: Option<u64>,
    /// How many tokens, of prompts and answers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<u64>,
    /// How much money, in the currency of `price`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cost: Option<f64>,
}

/// What a million tokens cost.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Price {
    /// A million tokens of prompts.
    pub(crate) input: f64,
    /// A million tokens of answers.
    pub(crate) output: f64,
    /// What it is counted in.
    #[serde(default = "currency")]
    pub(crate) currency: String,
}

impl Price {
    pub(crate) fn of(&self, prompt_tokens: u64, completion_tokens: u64) -> f64 {
        (prompt_tokens as f64 * self.input + completion_tokens as f64 * self.output) / 1e6
    }
}

fn system() -> String {
    "You write marketing e-mails for an online shop. You are honest: you claim nothing about a product that you were \
     not told, offer no discounts, and put no pressure on the reader."
        .to_owned()
}

fn prompt() -> String {
    "\
Write a short personal e-mail to a customer of ours that recommends {{ products|map(attribute='label')|join_and }}.
{% for product in products %}{% if product.why %}About {{ product.name }}: {{ product.why }}.
{% endif %}{% endfor %}\
Be friendly, engaging and persuasive, in at most 80 words. Name no other products. Begin with a line `Subject: …`, \
then greet the customer {% if merge.first_name %}as {{ merge.first_name }}{% else %}without a name{% endif %}. \
Leave no placeholders to be filled in{% if merge.first_name %} but that one{% endif %}."
        .to_owned()
}

fn temperature() -> f64 {
    0.7
}

fn max_tokens() -> u32 {
    150
}

fn text() -> String {
    "text".to_owned()
}

fn subject() -> String {
    "subject".to_owned()
}

fn timeout() -> f64 {
    60.0
}

fn concurrency() -> u32 {
    8
}

fn max_retries() -> u32 {
    6
}

fn currency() -> String {
    "USD".to_owned()
}

/// The variables that the templates of prompts begin with.
const VARIABLES: &[&str] = &["first", "rest", "products", "count", "user", "merge"];

/// Fields of a request that have parameters of their own.
const OWN: &[&str] = &["model", "messages", "temperature", "max_tokens", "seed", "response_format", "stream", "n"];

impl OpenAi {
    /// See [`stagewright_contract::Stage::check`].
    pub(crate) fn check(&self) -> Result<(), ParamError> {
        self.url()?;
        self.templates()?;
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return Err(ParamError::new("openai/temperature", format!("{} is not a temperature", self.temperature)));
        }
        if !(self.timeout > 0.0 && self.timeout <= 86_400.0) {
            let message = format!("{} is not a time in seconds, above 0 and at most a day", self.timeout);
            return Err(ParamError::new("openai/timeout", message));
        }
        if let Some(name) = OWN.iter().find(|name| self.extra.contains_key(**name)) {
            let path = format!("openai/extra/{name}");
            return Err(ParamError::new(path, format!("`{name}` is not another field of the request"))
                .with_help("use the parameter of its own, if there is one"));
        }
        if let Some(price) = &self.price
            && !(price.input >= 0.0 && price.output >= 0.0 && price.input.is_finite() && price.output.is_finite())
        {
            return Err(ParamError::new("openai/price", "a price is a number from 0"));
        }
        match (self.budget.cost, &self.price) {
            (Some(_), None) => Err(ParamError::new("openai/budget/cost", "costs are not known without prices")
                .with_help("say what a million tokens cost: `price: { input: 0.15, output: 0.60 }`")),
            (Some(cost), _) if !(cost >= 0.0 && cost.is_finite()) => {
                Err(ParamError::new("openai/budget/cost", format!("{cost} is not an amount of money")))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn secrets(&self) -> Vec<SecretUse> {
        let of = |key: &Secret| SecretUse { name: key.name().to_owned(), in_key: false };
        self.api_key.iter().map(of).collect()
    }

    /// See [`stagewright_contract::Stage::budget`].
    pub(crate) fn limits(&self) -> stagewright_contract::Budget {
        let Budget { requests, tokens, cost } = self.budget;
        let currency = self.price.as_ref().map(|price| price.currency.clone());
        stagewright_contract::Budget { requests, tokens, cost, currency }
    }

    /// Compiles the prompts.
    ///
    /// # Errors
    /// When one is no template.
    pub(crate) fn templates(&self) -> Result<Templates, ParamError> {
        let sources = [("openai/system", &self.system), ("openai/prompt", &self.prompt)];
        Templates::new(sources.map(|(name, text)| (name.to_owned(), text.clone())), VARIABLES)
    }

    /// Where requests go.
    fn url(&self) -> Result<Url, ParamError> {
        let error = |what: &str| {
            ParamError::new("openai/base_url", format!("`{}` is not the address of a service: {what}", self.base_url))
                .with_help("it looks like `https://api.openai.com/v1`")
        };
        let url = format!("{}/chat/completions", self.base_url.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|why| error(&why.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(error("it begins with neither `http://` nor `https://`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ParamError::new("openai/base_url", "the address holds a name or a password")
                .with_help("use `api_key: ${secret:NAME}`"));
        }
        Ok(url)
    }

    /// Writes the messages of all recipients, from the ledger as far as they are there.
    ///
    /// # Errors
    /// When the service refuses, cannot be reached or the budget is used up; what was paid for is in the ledger.
    pub(crate) fn write(
        &self,
        context: &StageContext,
        templates: &Templates,
        recipients: &Recipients,
        merge: &Fields,
        checker: Checker,
        regenerate: u32,
    ) -> Result<(Vec<Written>, Bill), StageError> {
        let mut prompts = Vec::with_capacity(recipients.list.len());
        for recipient in &recipients.list {
            let values = values(recipient, merge);
            let system = templates.render("openai/system", &values)?;
            prompts.push(entry::Prompt { system, prompt: templates.render("openai/prompt", &values)? });
            context.check_cancelled()?;
        }
        pursue::all(self, context, recipients, prompts, checker, regenerate)
    }
}
