use polars::prelude::Column;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, Port, Stage, StageContext, StageError, Task};
use stagewright_frame::to_frame;

use crate::predictor::Learned;
use crate::tables::with_columns;

/// Predict with a model.
///
/// The table needs the columns that the model was learned from, by name and of the same kind (number, boolean or text);
/// otherwise the stage fails and names what does not fit. The probability of the positive class goes into a column, and
/// the class whose side of the threshold it is on into another: a probability that equals the threshold counts as
/// positive. A regression's value goes into `prediction`. Rows whose features are missing get null unless the model
/// takes missing values, with a warning. A warning also counts values outside the range and categories outside the set
/// that the model has learned from: the table may have drifted.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Predict {
    /// The name of the column that receives the probability of the positive class, from 0 to 1.
    #[serde(default = "probability")]
    #[schemars(length(min = 1))]
    pub probability: String,
    /// The name of the column that receives the predicted class, in the values that the target had, or the predicted
    /// value.
    #[serde(default = "prediction")]
    #[schemars(length(min = 1))]
    pub prediction: String,
    /// The least probability, from 0 to 1, that makes the prediction positive; without it the one that
    /// `model.threshold` has put into the model, or else 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: Option<f64>,
}

fn probability() -> String {
    "probability".to_owned()
}

fn prediction() -> String {
    "prediction".to_owned()
}

impl Stage for Predict {
    const TYPE: &'static str = "model.predict";
    const EXAMPLE: &'static str = "inputs: { model: learn.model, table: split.test }\nwith: { threshold: 0.4 }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("model", Kind::Model, "A model of any learning stage of this crate."),
            Port::input("table", Kind::Table, "Any table with the model's features."),
            Port::output(
                "table",
                Kind::Table,
                "The same rows and columns; of a classification `probability` (double, 0 to 1) and `prediction` (as \
                 the target), of a regression `prediction` (double).",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.probability == self.prediction {
            return Err(ParamError::new("prediction", format!("`{}` receives the probability", self.prediction))
                .with_help("name another column"));
        }
        Ok(())
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let model = context.model("model")?;
        let table = context.table("table")?;
        let (features, learned) = Learned::of(&model)?;
        if model.task == Task::Regression && self.threshold.is_some() {
            return Err(StageError::data("a regression has no threshold").with_help("leave `threshold` out"));
        }
        let frame = to_frame(&table)?;
        let predictions = learned.predict(&features, &frame)?;
        for warning in predictions.warnings {
            context.warn(warning);
        }
        let values = predictions.values;
        let columns = match &learned.classes {
            None => vec![Column::new(self.prediction.as_str().into(), values)],
            Some(classes) => {
                let threshold = self.threshold.or(learned.threshold).unwrap_or(0.5);
                let positive: Vec<Option<bool>> =
                    values.iter().map(|value| value.map(|value| value >= threshold)).collect();
                vec![Column::new(self.probability.as_str().into(), values), classes.column(&self.prediction, &positive)]
            }
        };
        context.put("table", with_columns(&frame, &columns, "`probability` or `prediction`")?)
    }
}
