//! The provider `template`: messages put together from parts, without a service and without a cost.

mod parts;

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{ParamError, StageContext, StageError};

use self::parts::{CONCISE, FORMAL, FRIENDLY, Parts};
use crate::recipients::{Recipient, values};
use crate::templates::{Fields, Templates};

/// How the built-in texts speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Tone {
    /// Warm, in whole sentences.
    #[default]
    Friendly,
    /// Courteous and reserved.
    Formal,
    /// As short as it can be.
    Concise,
}

/// How the provider `template` writes. A message is a subject, a greeting, an opening, a body, a closing and a
/// signature; of each there are several, and which one a user gets depends on the seed and the user alone. Texts of
/// your own replace the built-in ones of a part. They are templates (minijinja) that see `first` and `rest` (the first
/// product and those after it), `products`, `count`, `user` (columns of `users`), `merge` (placeholders of
/// `merge_fields`) and `sender`. A product has the columns of both tables, and `name`, `category`, `reason`, `price`,
/// `label` (name and category), `why` (the reason as a clause about `this`) and `price_text`, each null where there is
/// nothing. Filters: `join_and` (`a, b, and c`), `with_article` (`an apple`), `number` (`three`), `capital`,
/// `sentence`, `lower_words`; function: `plural(count, one, many)`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub struct Template {
    /// How the built-in texts speak: `friendly`, `formal` or `concise`. They are in English, with the Oxford comma, and
    /// greet with `first_name` where it is among `merge_fields`.
    tone: Tone,
    /// Who signs.
    sender: String,
    /// What stands before or behind a price: a sign (`£`) before, a code (`EUR`) behind.
    currency: String,
    /// Subjects, instead of the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    subjects: Option<Vec<String>>,
    /// Greetings, instead of the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    greetings: Option<Vec<String>>,
    /// Openings, instead of the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    openings: Option<Vec<String>>,
    /// Bodies, instead of the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    bodies: Option<Vec<String>>,
    /// Closings, instead of the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    closings: Option<Vec<String>>,
    /// Signatures, instead of the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    signatures: Option<Vec<String>>,
}

impl Default for Template {
    fn default() -> Self {
        Self {
            tone: Tone::Friendly,
            sender: "Your shop team".to_owned(),
            currency: String::new(),
            subjects: None,
            greetings: None,
            openings: None,
            bodies: None,
            closings: None,
            signatures: None,
        }
    }
}

/// The variables that the templates of parts begin with.
const VARIABLES: &[&str] = &["first", "rest", "products", "count", "user", "merge", "sender"];

/// The parts in their order in a message; the first is the subject.
const NAMES: [&str; 6] = ["subjects", "greetings", "openings", "bodies", "closings", "signatures"];

/// A message as it was put together.
pub(crate) struct Copy {
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl Template {
    /// Whether every part is one of the built-in texts, which are in English.
    pub(crate) fn is_built_in(&self) -> bool {
        let Self { tone: _, sender: _, currency: _, subjects, greetings, openings, bodies, closings, signatures } =
            self;
        [subjects, greetings, openings, bodies, closings, signatures].into_iter().all(Option::is_none)
    }

    pub(crate) fn currency(&self) -> &str {
        &self.currency
    }

    /// Compiles all texts of all parts.
    ///
    /// # Errors
    /// The first that is no template.
    pub(crate) fn templates(&self) -> Result<Templates, ParamError> {
        let sources = NAMES.into_iter().zip(self.parts()).flat_map(|(part, texts)| {
            texts.into_iter().enumerate().map(move |(index, text)| (path(part, index), text.to_owned()))
        });
        Templates::new(sources, VARIABLES)
    }

    /// Writes a user's message. `attempt` counts from 0: another attempt is another choice of parts.
    ///
    /// # Errors
    /// When a template cannot be filled in.
    pub(crate) fn write(
        &self,
        context: &StageContext,
        templates: &Templates,
        recipient: &Recipient,
        merge: &Fields,
        attempt: u32,
    ) -> Result<Copy, StageError> {
        let mut rng = context.rng(&format!("message {attempt} {}", recipient.id));
        let mut values = values(recipient, merge);
        values.insert("sender".to_owned(), self.sender.clone().into());
        let mut filled = Vec::with_capacity(NAMES.len());
        for (part, texts) in NAMES.into_iter().zip(self.parts()) {
            let chosen = rng.random_range(0..texts.len().max(1));
            filled.push(templates.render(&path(part, chosen), &values)?);
        }
        let mut filled = filled.into_iter();
        let subject = filled.next().unwrap_or_default();
        let text = filled.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n");
        Ok(Copy { subject, text })
    }

    fn parts(&self) -> [Vec<&str>; 6] {
        let Parts { subjects, greetings, openings, bodies, closings, signatures } = match self.tone {
            Tone::Friendly => FRIENDLY,
            Tone::Formal => FORMAL,
            Tone::Concise => CONCISE,
        };
        fn of<'a>(own: &'a Option<Vec<String>>, built_in: &[&'static str]) -> Vec<&'a str> {
            own.as_ref().map_or_else(|| built_in.to_vec(), |own| own.iter().map(String::as_str).collect())
        }
        [
            of(&self.subjects, subjects),
            of(&self.greetings, greetings),
            of(&self.openings, openings),
            of(&self.bodies, bodies),
            of(&self.closings, closings),
            of(&self.signatures, signatures),
        ]
    }
}

fn path(part: &str, index: usize) -> String {
    format!("template/{part}/{index}")
}
