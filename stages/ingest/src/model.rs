//! `ingest.model`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, Model as Learned, PersonalColumns, Port, Source, Stage, StageContext, StageError};

use crate::files;

/// Read a model that another workflow learned, to apply it with `model.predict`.
///
/// The file is what `stagewright get STAGE.model --output model.json` writes: a JSON object with the keys `learned_by`
/// (a stage type), `task` (`classification` or `regression`), `features` (the columns that the model reads, with type
/// and range), `target`, `rows` and `state`. It may be compressed with gzip or Zstandard. Its bytes are part of what
/// the stages after it depend on: a model learned anew is applied anew, and one that came out the same is not.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    /// The file.
    #[schemars(length(min = 1))]
    path: String,
}

impl Stage for Model {
    const TYPE: &'static str = "ingest.model";
    const EXAMPLE: &'static str = "with: { path: models/reorder.json }";

    fn ports() -> Vec<Port> {
        vec![Port::output("model", Kind::Model, "The model, as it was learned.")]
    }

    fn personal(&self, _: &PersonalColumns) -> PersonalColumns {
        PersonalColumns::new()
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::new("path", self.path.clone())]
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let source = match context.sources("path") {
            [one] => one,
            [] => return Err(StageError::data(format!("no file matches `{}`", self.path))),
            several => {
                return Err(StageError::data(format!("{} files match `{}`, one is needed", several.len(), self.path))
                    .with_help("a stage reads one model; use a stage for each"));
            }
        };
        let text = files::read(source)?;
        if !text.invalid.is_empty() {
            return Err(not_a_model(&text.name, "it is not UTF-8 text"));
        }
        let model: Learned = serde_json::from_str(&text.text).map_err(|error| {
            let wrong = error.to_string();
            // The place is said apart.
            let wrong = wrong.split(" at line ").next().unwrap_or(&wrong);
            not_a_model(&text.name, wrong).at(format!("{}:{}:{}", text.name, error.line(), error.column()))
        })?;
        context.put("model", model)
    }
}

fn not_a_model(file: &str, why: &str) -> StageError {
    StageError::data(format!("`{file}` does not hold a model: {why}")).with_help(
        "a model is a JSON object with `learned_by`, `task`, `features`, `target`, `rows` and `state`; \
         `stagewright get STAGE.model --output model.json` writes one",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::json;
    use stagewright_contract::{Model as Learned, ModelFeature, Task};

    use super::Model;
    use crate::trial::{fails, run};

    fn learned() -> Learned {
        Learned {
            learned_by: "model.logistic".to_owned(),
            task: Task::Classification,
            features: vec![
                ModelFeature { name: "age".to_owned(), dtype: "int64".to_owned(), range: Some((12.0, 70.0)) },
                ModelFeature { name: "spent".to_owned(), dtype: "double".to_owned(), range: None },
            ],
            target: "reordered".to_owned(),
            rows: 12,
            state: json!({ "coefficients": [0.1, -1.0 / 3.0], "intercept": 1e-300 }),
        }
    }

    #[test]
    fn a_model_comes_back_as_it_was_written() {
        for text in [serde_json::to_string(&learned()).unwrap(), serde_json::to_string_pretty(&learned()).unwrap()] {
            let done = run::<Model>(json!({}), &[("model.json", format!("{text}\n").as_bytes())]).unwrap();
            assert_eq!(*done.model("model"), learned());
        }
    }

    #[test]
    fn another_file_is_refused() {
        let help = "a model is a JSON object with `learned_by`, `task`, `features`, `target`, `rows` and `state`; \
                    `stagewright get STAGE.model --output model.json` writes one";
        let mut other = serde_json::to_value(learned()).unwrap();
        other["task"] = "ranking".into();
        let other = other.to_string();
        let whole = serde_json::to_string(&learned()).unwrap();
        for (bytes, expected) in [
            (&b"a,b\n1,2\n"[..], "m.json:1:1: `m.json` does not hold a model: expected value"),
            (b"", "m.json:1:0: `m.json` does not hold a model: EOF while parsing a value"),
            (b"\xff{}", "`m.json` does not hold a model: it is not UTF-8 text"),
            (
                br#"{"title": "ROC", "series": []}"#,
                "m.json:1:30: `m.json` does not hold a model: missing field `learned_by`",
            ),
            (
                b"[]",
                "m.json:1:2: `m.json` does not hold a model: invalid length 0, expected struct Model with 6 elements",
            ),
            (&whole.as_bytes()[..40], "m.json:1:40: `m.json` does not hold a model: EOF while parsing"),
            (other.as_bytes(), "unknown variant `ranking`, expected `classification` or `regression`"),
        ] {
            let found = fails::<Model>(json!({}), &[("m.json", bytes)]);
            assert!(found.contains(expected) && found.ends_with(help), "{found}");
        }
        let two = [("a.json", whole.as_bytes()), ("b.json", whole.as_bytes())];
        assert_eq!(
            fails::<Model>(json!({}), &two),
            "2 files match `files`, one is needed | a stage reads one model; use a stage for each"
        );
        assert_eq!(fails::<Model>(json!({}), &[]), "no file matches `files`");
    }
}
