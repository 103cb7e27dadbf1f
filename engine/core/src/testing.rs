//! What the tests of this crate share: a handful of stage types that do nothing, and ways to see what a text says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Disclosure, Kind, ParamError, PersonalColumns, Port, Secret, SecretUse, Source, Stage, StageContext, StageError,
    StageType,
};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::{SourceText, Sources, Span};
use crate::plan::{NotFound, Plan};
use crate::{Registry, Workflow};

/// Reads a table.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Read {
    /// Where the file is.
    path: String,
    /// Which columns.
    columns: Option<Vec<String>>,
}

/// Keeps some rows.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// The condition.
    #[serde(rename = "where")]
    condition: String,
    /// Whether the other rows go to a port of their own.
    #[serde(default)]
    rejects: bool,
}

/// How clusters begin.
#[derive(Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
enum Start {
    /// Far from each other.
    #[default]
    Spread,
    /// Anywhere.
    Random,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Metre,
    Mile,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Limit {
    name: String,
    at: Option<f64>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Constant {
    Number(f64),
    Text(String),
}

/// Finds groups.
///
/// More about groups.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Cluster {
    /// How many groups.
    #[schemars(range(min = 2, max = 50))]
    k: u32,
    /// How they begin.
    #[serde(default)]
    start: Start,
    /// How distance is measured.
    unit: Option<Unit>,
    /// What each column counts.
    #[serde(default)]
    weights: BTreeMap<String, f64>,
    /// Where groups end.
    #[serde(default)]
    #[schemars(length(max = 3))]
    limits: Vec<Limit>,
    /// One limit for all.
    limit: Option<Limit>,
    /// What stands for nothing.
    fill: Option<Constant>,
    /// Ends between 0 and 1, both excluded.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    share: Option<f64>,
    /// At least one, all different.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    names: Option<Vec<String>>,
    /// A letter.
    #[schemars(length(min = 1, max = 2), regex(pattern = "^[a-z]*$"))]
    letter: Option<String>,
}

/// Groups that are found in another way.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tree {
    /// How many groups.
    k: u32,
}

/// Brings two tables together.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Join {}

/// Measures a table.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Score {
    /// The columns that count.
    #[serde(default)]
    columns: Vec<String>,
}

/// Writes two tables, of which one only when asked; it is asked for unless told otherwise.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Split {
    /// Whether the rest is put out.
    #[serde(default = "yes")]
    rest: bool,
}

fn yes() -> bool {
    true
}

macro_rules! stage {
    ($type:ty, $name:literal, seeded: $seeded:literal, [$($port:expr),*] $(, $method:item)* $(,)?) => {
        impl Stage for $type {
            const TYPE: &'static str = $name;
            const EXAMPLE: &'static str = "";
            const SEEDED: bool = $seeded;

            fn ports() -> Vec<Port> {
                vec![$($port),*]
            }

            fn run(&self, _: &mut StageContext) -> Result<(), StageError> {
                Ok(())
            }

            $($method)*
        }
    };
}

stage!(
    Read,
    "fake.read",
    seeded: false,
    [Port::output("table", Kind::Table, "The file.")],
    fn sources(&self) -> Vec<Source> {
        vec![Source::new("path", self.path.clone())]
    }
);
stage!(
    Filter,
    "fake.filter",
    seeded: false,
    [
        Port::input("table", Kind::Table, "Any table."),
        Port::output("table", Kind::Table, "The rows kept."),
        Port::output("rejects", Kind::Table, "The others.").only_if("rejects", true)
    ]
);
stage!(
    Cluster,
    "fake.cluster",
    seeded: true,
    [Port::input("table", Kind::Table, "Any table."), Port::output("table", Kind::Table, "A group for each row.")],
    fn check(&self) -> Result<(), ParamError> {
        match self.limits.iter().position(|limit| limit.name.is_empty()) {
            Some(at) => {
                Err(ParamError::new(format!("limits/{at}/name"), "a limit needs a name").with_help("such as `upper`"))
            }
            None => Ok(()),
        }
    }
);
stage!(
    Tree,
    "fake.tree",
    seeded: false,
    [Port::input("table", Kind::Table, "Any table."), Port::output("table", Kind::Table, "A group for each row.")]
);
stage!(
    Join,
    "fake.join",
    seeded: false,
    [
        Port::input("left", Kind::Table, "The one."),
        Port::input("right", Kind::Table, "The other."),
        Port::output("table", Kind::Table, "Both.")
    ]
);
stage!(
    Score,
    "fake.score",
    seeded: false,
    [
        Port::input("table", Kind::Table, "What is measured."),
        Port::input("truth", Kind::Table, "What it is measured by.").optional(),
        Port::output("scores", Kind::Metrics, "How it did.")
    ]
);
stage!(
    Split,
    "fake.split",
    seeded: false,
    [
        Port::input("table", Kind::Table, "Any table."),
        Port::output("part", Kind::Table, "Some rows."),
        Port::output("rest", Kind::Table, "The others.").only_if("rest", true)
    ]
);

/// Reads a table with a personal column `email`, under a password.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct People {
    /// What opens the door.
    password: Option<Secret>,
}

stage!(
    People,
    "fake.people",
    seeded: false,
    [Port::output("table", Kind::Table, "People.")],
    fn personal(&self, _: &PersonalColumns) -> PersonalColumns {
        PersonalColumns::from([("table".to_owned(), ["email".to_owned()].into())])
    },
    fn secrets(&self) -> Vec<SecretUse> {
        let used = |secret: &Secret| SecretUse { name: secret.name().to_owned(), in_key: false };
        self.password.iter().map(used).collect()
    }
);

/// Makes a column out of another.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Make {
    /// The new column.
    column: String,
}

stage!(
    Make,
    "fake.make",
    seeded: false,
    [Port::input("table", Kind::Table, "Any table."), Port::output("table", Kind::Table, "With the new column alone.")],
    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let made = inputs.values().any(|columns| !columns.is_empty()).then(|| self.column.clone());
        PersonalColumns::from([("table".to_owned(), made.into_iter().collect())])
    }
);

/// Writes to people.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Write {
    /// What it names.
    columns: Vec<String>,
}

stage!(
    Write,
    "fake.write",
    seeded: false,
    [Port::input("table", Kind::Table, "Whom to write to.")],
    fn discloses(&self) -> Vec<Disclosure> {
        vec![Disclosure {
            port: "table",
            columns: Some(self.columns.clone()),
            to: "a prompt",
            help: "leave it out".to_owned(),
        }]
    }
);

/// The fake stage types.
pub(crate) fn registry() -> Registry {
    Registry::new([
        StageType::of::<Read>("read 1"),
        StageType::of::<Filter>("filter 1"),
        StageType::of::<Cluster>("cluster 1"),
        StageType::of::<Tree>("tree 1"),
        StageType::of::<Join>("join 1"),
        StageType::of::<Score>("score 1"),
        StageType::of::<Split>("split 1"),
        StageType::of::<People>("people 1"),
        StageType::of::<Make>("make 1"),
        StageType::of::<Write>("write 1"),
    ])
}

/// A text as source number 0, named `w.yaml`, in the folder `/w`.
pub(crate) fn sources(text: &str) -> Sources {
    let mut sources = Sources::default();
    sources.add(SourceText { name: "w.yaml".to_owned(), text: text.to_owned(), base: PathBuf::from("/w") });
    sources
}

/// Every path but those that contain `missing` is a file that is there.
pub(crate) fn find(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, NotFound> {
    if pattern.contains("missing") {
        Err(NotFound { message: format!("there is no file `{pattern}`"), help: None })
    } else {
        Ok(vec![base.join(pattern)])
    }
}

/// A workflow whose text is sound as far as [`Workflow::parse`] sees.
pub(crate) fn workflow(text: &str) -> Workflow {
    Workflow::parse(text.as_bytes(), 0).unwrap_or_else(|mistakes| panic!("{:#?}", shown(mistakes, &sources(text))))
}

/// The plan of a workflow without mistakes.
pub(crate) fn plan(text: &str) -> Plan {
    workflow(text)
        .plan(&registry(), &sources(text), &|_| true, &find)
        .unwrap_or_else(|mistakes| panic!("{:#?}", shown(mistakes, &sources(text))))
}

/// Every mistake of a text, as [`one`] writes them.
pub(crate) fn mistakes(text: &str) -> Vec<String> {
    let sources = sources(text);
    let found = match Workflow::parse(text.as_bytes(), 0) {
        Ok(workflow) => workflow.plan(&registry(), &sources, &|_| true, &find).err().unwrap_or_default(),
        Err(mistakes) => mistakes,
    };
    shown(found, &sources)
}

/// Mistakes as [`one`] writes them, in the order of their places.
pub(crate) fn shown(mistakes: Diagnostics, sources: &Sources) -> Vec<String> {
    mistakes.sorted().iter().map(|mistake| one(mistake, sources)).collect()
}

/// A mistake in one line: ``file:line:column «underlined text» message | label | help``.
pub(crate) fn one(mistake: &Diagnostic, sources: &Sources) -> String {
    let mut line = match mistake.span {
        Some(span) => format!("{} «{}» ", sources.locate(span), underlined(span, sources)),
        None => String::new(),
    };
    line.push_str(&mistake.message);
    for part in std::iter::once(&mistake.label).filter(|label| !label.is_empty()).chain(&mistake.help) {
        line.push_str(" | ");
        line.push_str(part);
    }
    line
}

/// The text that a span covers.
pub(crate) fn underlined(span: Span, sources: &Sources) -> String {
    let text = sources.get(span.source).map_or("", |source| &source.text);
    text.get(span.start..span.start + span.len).unwrap_or("(not a piece of the text)").replace('\n', "⏎")
}

/// Asserts that a text has exactly these mistakes, in this order.
#[track_caller]
pub(crate) fn assert_mistakes(text: &str, expected: &[&str]) {
    let found = mistakes(text);
    assert_eq!(found, expected, "\nfound:\n{}\n", found.join("\n"));
}
