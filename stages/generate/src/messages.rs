use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::{Column, DataFrame};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Digest, Disclosure, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, SecretUse, Stage, StageContext,
    StageError, Table,
};
use stagewright_frame::{polars_error, to_table};

use crate::chat::OpenAi;
use crate::checks::{Checker, Checks, Draft};
use crate::copy::Template;
use crate::framed::Framed;
use crate::recipients::{Recipients, disclosed};
use crate::templates::{Fields, Templates};

/// Write a message to each user about what is recommended to them.
///
/// The provider `template` puts messages together from texts, without a service and without a cost; `openai` asks a
/// language model behind any endpoint that speaks the chat-completions protocol. Each text is checked; one that fails
/// is written again, at most `regenerate` times, and then put into `quarantine` with the reasons, so that `table` holds
/// what passed alone. A product goes by the `name` of the input `products`, or of `recommendations`, or else by its
/// identifier.
///
/// Personal columns may not get into a prompt or a text: a workflow whose templates name one is refused before anything
/// executes. Only columns whose names stand in the code of a template reach it. To greet people by their names, list
/// the fields in `merge_fields`: `%%first_name%%` stands in the text, and whoever delivers it fills it in.
///
/// Answers of a service are kept in the ledger of the store as they arrive, under everything that was sent. A run that
/// is interrupted, fails or is changed for some users goes on with what is missing and pays for nothing twice; users
/// with the same prompt share one answer.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// Who writes: `template` or `openai`.
    #[serde(default)]
    provider: Provider,
    /// How the provider `template` writes.
    #[serde(default)]
    template: Template,
    /// The service that the provider `openai` asks, and what it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    openai: Option<OpenAi>,
    /// How many of the recommendations of a user a message is about, at most, best first.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    top: usize,
    /// Fields that the delivery fills in: `first_name` is written as `%%first_name%%`, and is `merge.first_name` in
    /// templates.
    #[serde(default)]
    merge_fields: Vec<String>,
    /// What the columns are called.
    #[serde(default)]
    columns: Columns,
    /// What every text is checked for.
    #[serde(default)]
    checks: Checks,
    /// How often a text that fails a check is written again.
    #[serde(default = "two")]
    #[schemars(range(max = 20))]
    regenerate: u32,
}

/// Who writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Provider {
    /// Texts with gaps.
    #[default]
    Template,
    /// A language model behind a chat-completions endpoint.
    #[serde(rename = "openai")]
    OpenAi,
}

/// What the columns are called.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub struct Columns {
    /// The user, in `recommendations`.
    pub(crate) user: String,
    /// The product, in `recommendations`.
    pub(crate) product: String,
    /// The place of the product in the user's list, from 1 (integer), in `recommendations`.
    pub(crate) rank: String,
    /// The user, in `users`; as `user` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) users_key: Option<String>,
    /// The product, in `products`; as `product` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) products_key: Option<String>,
    /// What a product is called, in `products`, or in `recommendations` when that is not connected.
    pub(crate) name: String,
    /// What kind of product it is, in either table, if there is such a column.
    pub(crate) category: String,
    /// Why it is recommended, in either table, if there is such a column.
    pub(crate) reason: String,
    /// What it costs, in either table; without it no price is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price: Option<String>,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            user: "user_id".to_owned(),
            product: "product_id".to_owned(),
            rank: "rank".to_owned(),
            users_key: None,
            products_key: None,
            name: "name".to_owned(),
            category: "category".to_owned(),
            reason: "reason".to_owned(),
            price: None,
        }
    }
}

fn two() -> u32 {
    2
}

fn three() -> usize {
    3
}

/// The columns of the outputs besides the user.
const OUTPUT: &[&str] = &[
    "message_id",
    "subject",
    "text",
    "provider",
    "model",
    "attempts",
    "prompt_tokens",
    "completion_tokens",
    "reasons",
];

/// A text that was written for a user, and what is wrong with it.
#[derive(Clone)]
pub(crate) struct Written {
    pub(crate) subject: Option<String>,
    pub(crate) text: String,
    pub(crate) model: Option<String>,
    /// How many texts it took, this one included.
    pub(crate) attempts: u32,
    pub(crate) tokens: Option<(u64, u64)>,
    pub(crate) reasons: Vec<String>,
}

/// What the provider has to tell besides the texts.
#[derive(Default)]
pub(crate) struct Bill {
    /// Answers that the texts rest on.
    pub(crate) answers: u64,
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
    pub(crate) cost: Option<f64>,
    /// Texts that failed a check, those that were written again included.
    pub(crate) failed: u64,
}

impl Stage for Messages {
    const TYPE: &'static str = "generate.messages";
    const EXAMPLE: &'static str = "\
inputs: { recommendations: recommend, products: catalogue }
with:
  top: 3
  merge_fields: [first_name]
  template: { tone: friendly, sender: The Corner Shop }
  columns: { products_key: id }";
    const SEEDED: bool = true;

    fn ports() -> Vec<Port> {
        vec![
            Port::input(
                "recommendations",
                Kind::Table,
                "One row per user and recommended product: the user, product and rank columns, and others that \
                 templates may name.",
            ),
            Port::input("products", Kind::Table, "One row per product: its name, category, price and others.")
                .optional(),
            Port::input("users", Kind::Table, "One row per user: attributes that templates may name.").optional(),
            Port::output(
                "table",
                Kind::Table,
                "One row per user whose text passed every check, ascending: the user column, `message_id` (the first \
                 32 hexadecimal digits of a digest of user, subject and text), `subject` (null without one), `text`, \
                 `provider`, `model` (null for templates), `attempts` (int64, how many texts it took), \
                 `prompt_tokens` and `completion_tokens` of the last (int64, null for templates).",
            ),
            Port::output(
                "quarantine",
                Kind::Table,
                "The same for users whose last text failed a check, with `reasons` (separated by `; `).",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`users`, `messages` (texts that passed), `quarantined`, `failed_texts` (those written again \
                 included); of a service `answers`, `prompt_tokens`, `completion_tokens` and, where prices are set, \
                 `cost` that the messages rest on, whichever run paid for them.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if OUTPUT.contains(&self.columns.user.as_str()) {
            let message = format!("`{}` is another column of the output", self.columns.user);
            return Err(ParamError::new("columns/user", message).with_help("rename it with `clean.rename`"));
        }
        if self.columns.user == self.columns.product {
            let message = format!("`{}` is the user column, too", self.columns.product);
            return Err(ParamError::new("columns/product", message));
        }
        for (index, field) in self.merge_fields.iter().enumerate() {
            if field.is_empty() || !field.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.' || c == '-') {
                return Err(ParamError::new(
                    format!("merge_fields/{index}"),
                    format!("`{field}` is not the name of a field"),
                )
                .with_help("letters, digits, `_`, `-` and `.` make a name, without `%%`"));
            }
        }
        self.checks.check()?;
        match (self.provider, &self.openai) {
            (Provider::OpenAi, None) => Err(ParamError::new("openai", "the provider `openai` needs these parameters")
                .with_help("say which service: `openai: { base_url: \"http://…/v1\", model: … }`")),
            (Provider::OpenAi, Some(openai)) => openai.check(),
            (Provider::Template, _) => self.template.templates().map(drop),
        }
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let user = &self.columns.user;
        let personal = inputs.get("recommendations").is_some_and(|columns| columns.contains(user));
        let columns: BTreeSet<String> = personal.then(|| user.clone()).into_iter().collect();
        ["table", "quarantine"].into_iter().map(|port| (port.to_owned(), columns.clone())).collect()
    }

    fn discloses(&self) -> Vec<Disclosure> {
        let Ok(templates) = self.templates() else { return Vec::new() };
        let columns: Vec<String> = disclosed(&templates.names(), &self.columns).into_iter().collect();
        let to = match self.provider {
            Provider::Template => "the text of a message",
            Provider::OpenAi => "a prompt",
        };
        let help = "leave the column out of the templates; for a name or an address list the field in `merge_fields`, \
                    so that a placeholder such as `%%first_name%%` stands in the text and the delivery fills it in";
        ["recommendations", "products", "users"]
            .map(|port| Disclosure { port, columns: Some(columns.clone()), to, help: help.to_owned() })
            .into()
    }

    fn secrets(&self) -> Vec<SecretUse> {
        match (self.provider, &self.openai) {
            (Provider::OpenAi, Some(openai)) => openai.secrets(),
            _ => Vec::new(),
        }
    }

    fn budget(&self) -> Option<stagewright_contract::Budget> {
        match (self.provider, &self.openai) {
            (Provider::OpenAi, Some(openai)) => Some(openai.limits()),
            _ => None,
        }
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let refused = |error: ParamError| StageError::data(error.to_string());
        let templates = self.templates().map_err(refused)?;
        let currency = self.template.currency();
        let recipients = Recipients::read(context, &self.columns, self.top, currency, &templates.names())?;
        // The built-in texts ask whether there is a first name.
        let mut merge = Fields::from([("first_name".to_owned(), ().into())]);
        merge.extend(self.merge_fields.iter().map(|field| (field.clone(), format!("%%{field}%%").into())));
        let fields: BTreeSet<String> = merge.keys().cloned().collect();
        templates.check_fields(|variable| match variable {
            "user" => recipients.user_columns.clone(),
            "merge" => fields.clone(),
            "first" => recipients.product_columns.clone(),
            // A variable of the template's own can be any of them.
            _ => [&recipients.user_columns, &fields, &recipients.product_columns]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
        })?;
        let checker = Checker::new(&self.checks, &self.merge_fields, &recipients.catalogue).map_err(refused)?;
        let (written, bill) = match (self.provider, &self.openai) {
            (Provider::OpenAi, Some(openai)) => {
                openai.write(context, &templates, &recipients, &merge, checker, self.regenerate)?
            }
            _ => {
                let checker =
                    if self.template.is_built_in() { checker.of_texts_in(whatlang::Lang::Eng) } else { checker };
                self.fill_in(context, &templates, &recipients, &merge, &checker)?
            }
        };
        self.put(context, &recipients, &written, &bill)
    }
}

impl Messages {
    fn templates(&self) -> Result<Templates, ParamError> {
        match (self.provider, &self.openai) {
            (Provider::OpenAi, Some(openai)) => openai.templates(),
            _ => self.template.templates(),
        }
    }

    /// The provider `template`.
    fn fill_in(
        &self,
        context: &StageContext,
        templates: &Templates,
        recipients: &Recipients,
        merge: &Fields,
        checker: &Checker,
    ) -> Result<(Vec<Written>, Bill), StageError> {
        let mut bill = Bill::default();
        let mut written = Vec::with_capacity(recipients.list.len());
        for (done, recipient) in recipients.list.iter().enumerate() {
            if done % 256 == 0 {
                context.check_cancelled()?;
                context.progress(done as u64, recipients.list.len() as u64);
            }
            let mut attempt = 0;
            let last = loop {
                let copy = self.template.write(context, templates, recipient, merge, attempt)?;
                let reasons = checker.reasons(&Draft {
                    subject: Some(&copy.subject),
                    text: &copy.text,
                    allowed: &recipient.allowed,
                    personal: &recipient.personal,
                    cut_off: false,
                });
                bill.failed += u64::from(!reasons.is_empty());
                if reasons.is_empty() || attempt >= self.regenerate {
                    break Written {
                        subject: Some(copy.subject),
                        text: copy.text,
                        model: None,
                        attempts: attempt + 1,
                        tokens: None,
                        reasons,
                    };
                }
                attempt += 1;
            };
            written.push(last);
        }
        Ok((written, bill))
    }

    fn put(
        &self,
        context: &mut StageContext,
        recipients: &Recipients,
        written: &[Written],
        bill: &Bill,
    ) -> Result<(), StageError> {
        let rows = || {
            recipients.list.iter().zip(written).map(|(recipient, written)| (recipient.code, &*recipient.id, written))
        };
        let (passed, failed): (Vec<_>, Vec<_>) = rows().partition(|(.., written)| written.reasons.is_empty());
        if !failed.is_empty() {
            let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
            for reason in failed.iter().flat_map(|(.., written)| &written.reasons) {
                *reasons.entry(reason).or_default() += 1;
            }
            let mut reasons: Vec<(&str, usize)> = reasons.into_iter().collect();
            reasons.sort_by_key(|(_, count)| Reverse(*count));
            let more = if reasons.len() > 3 { ", …" } else { "" };
            let shown: Vec<String> =
                reasons.iter().take(3).map(|(reason, count)| format!("{reason} ({count})")).collect();
            context.warn(format!(
                "{} of {} messages are in `quarantine`, since their last text failed a check: {}{more}",
                failed.len(),
                written.len(),
                shown.join(", ")
            ));
        }
        context.put("table", self.table(recipients, &passed, false)?)?;
        context.put("quarantine", self.table(recipients, &failed, true)?)?;
        let mut metrics = Metrics::new();
        let mut count = |name: &str, value: u64, goal| metrics.insert(name, Some(value as f64), goal);
        count("users", written.len() as u64, Goal::Describe)?;
        count("messages", passed.len() as u64, Goal::Maximize)?;
        count("quarantined", failed.len() as u64, Goal::Minimize)?;
        count("failed_texts", bill.failed, Goal::Minimize)?;
        if self.provider == Provider::OpenAi {
            count("answers", bill.answers, Goal::Minimize)?;
            count("prompt_tokens", bill.prompt_tokens, Goal::Describe)?;
            count("completion_tokens", bill.completion_tokens, Goal::Describe)?;
            if bill.cost.is_some() {
                metrics.insert("cost", bill.cost, Goal::Minimize)?;
            }
        }
        context.put("metrics", metrics)
    }

    fn table(
        &self,
        recipients: &Recipients,
        rows: &[(u32, &str, &Written)],
        reasons: bool,
    ) -> Result<Table, StageError> {
        let codes: Vec<u32> = rows.iter().map(|(code, ..)| *code).collect();
        let texts = |of: fn(&Written) -> Option<&str>| rows.iter().map(|(.., written)| of(written)).collect::<Vec<_>>();
        let counts = |of: fn(&Written) -> Option<u64>| {
            rows.iter().map(|(.., written)| of(written).map(|count| count as i64)).collect::<Vec<_>>()
        };
        let provider = match self.provider {
            Provider::Template => "template",
            Provider::OpenAi => "openai",
        };
        let ids: Vec<String> =
            rows.iter().map(|(_, id, written)| message_id(id, written.subject.as_deref(), &written.text)).collect();
        let mut columns = vec![
            recipients.ids.column(&codes)?,
            Column::new("message_id".into(), ids),
            Column::new("subject".into(), texts(|written| written.subject.as_deref())),
            Column::new("text".into(), texts(|written| Some(&written.text))),
            Column::new("provider".into(), vec![provider; rows.len()]),
            Column::new("model".into(), texts(|written| written.model.as_deref())),
            Column::new("attempts".into(), counts(|written| Some(u64::from(written.attempts)))),
            Column::new("prompt_tokens".into(), counts(|written| written.tokens.map(|tokens| tokens.0))),
            Column::new("completion_tokens".into(), counts(|written| written.tokens.map(|tokens| tokens.1))),
        ];
        if reasons {
            let reasons: Vec<String> = rows.iter().map(|(.., written)| written.reasons.join("; ")).collect();
            columns.push(Column::new("reasons".into(), reasons));
        }
        let frame =
            DataFrame::new(rows.len(), columns).map_err(|error| polars_error("writing the messages", &error))?;
        to_table(frame)
    }
}

/// What a decision about a message refers to: another text for the user, or the same text for another user, is another
/// message.
pub(crate) fn message_id(user: &str, subject: Option<&str>, text: &str) -> String {
    let digest: Digest = Framed::new("stagewright message 1")
        .field("user", user)
        .field("subject", subject.unwrap_or_default())
        .field("text", text)
        .digest();
    digest.hex().chars().take(32).collect()
}
