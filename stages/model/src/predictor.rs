//! What an estimator has learned: the state of a [`Model`], and how it predicts.

use polars::prelude::DataFrame;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Model, ModelFeature, StageError, Task};

use crate::boosting::Boosting;
use crate::calibration::Calibration;
use crate::features::{Encoding, Feature, Features};
use crate::kernel::SupportVectors;
use crate::linear_predictor::LinearPredictor;
use crate::matrix::Matrix;
use crate::target::Classes;
use crate::trees::Trees;

/// What an estimator has learned, enough to predict. Each form carries its version in its name; a change to what a form
/// means is a new form beside the old one, so that stored models go on to mean what they meant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "form")]
pub enum Predictor {
    /// A weighted sum of the columns, or the probability that belongs to it.
    #[serde(rename = "linear/1")]
    Linear(LinearPredictor),
    /// A sum of trees, or the probability that belongs to it.
    #[serde(rename = "boosting/1")]
    Boosting(Boosting),
    /// The mean of trees.
    #[serde(rename = "trees/1")]
    Trees(Trees),
    /// A weighted sum of how alike a row is to others.
    #[serde(rename = "support_vectors/1")]
    SupportVectors(SupportVectors),
    /// The first column as it is: a probability that comes from elsewhere.
    #[serde(rename = "given/1")]
    Given,
}

impl Predictor {
    /// A probability or a value for each row, for a matrix of as many columns as it has learned from. Where values are
    /// missing and [`Predictor::takes_missing`] is false, what it says is of no use.
    pub fn predict(&self, matrix: &Matrix) -> Vec<f64> {
        match self {
            Self::Linear(linear) => linear.predict(matrix),
            Self::Boosting(boosting) => boosting.predict(matrix),
            Self::Trees(trees) => trees.predict(matrix),
            Self::SupportVectors(vectors) => vectors.predict(matrix),
            Self::Given => matrix.columns().first().cloned().unwrap_or_default(),
        }
    }

    /// Whether it can do with missing values.
    pub fn takes_missing(&self) -> bool {
        match self {
            Self::Boosting(_) | Self::Trees(_) => true,
            Self::Linear(_) | Self::SupportVectors(_) | Self::Given => false,
        }
    }

    /// Whether it can predict for a matrix of so many columns: what was read from a file need not have been learned.
    pub(crate) fn is_sound(&self, columns: usize) -> bool {
        match self {
            Self::Linear(linear) => linear.coefficients.len() == columns,
            Self::Boosting(boosting) => boosting.is_sound(columns),
            Self::Trees(trees) => trees.is_sound(columns),
            Self::SupportVectors(vectors) => vectors.is_sound(columns),
            Self::Given => true,
        }
    }
}

/// The state of a [`Model`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Learned {
    /// How each feature becomes columns of the matrix.
    pub(crate) encodings: Vec<Encoding>,
    /// What 0 and 1 stand for, of a classification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) classes: Option<Classes>,
    /// What predicts.
    pub(crate) predictor: Predictor,
    /// What the probabilities then go through, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) calibrations: Vec<Calibration>,
    /// The least probability that makes a prediction positive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) threshold: Option<f64>,
}

/// What a model says about a table.
pub(crate) struct Predictions {
    /// A probability or a value for each row; `None` where there is none.
    pub(crate) values: Vec<Option<f64>>,
    /// What a person should know.
    pub(crate) warnings: Vec<String>,
}

impl Learned {
    /// A regression without features.
    pub(crate) fn new(predictor: Predictor) -> Self {
        Self { encodings: Vec::new(), classes: None, predictor, calibrations: Vec::new(), threshold: None }
    }

    /// A classification that takes its probability from a column.
    ///
    /// # Errors
    /// A bug, when the state cannot be written down.
    pub(crate) fn given(
        learned_by: &str,
        probability: &str,
        target: &str,
        classes: Classes,
        rows: usize,
    ) -> Result<Model, StageError> {
        let column = ModelFeature { name: probability.to_owned(), dtype: "double".to_owned(), range: Some((0.0, 1.0)) };
        let features = Features(vec![Feature { column, encoding: Encoding::Number }]);
        let learned = Self { encodings: vec![Encoding::Number], classes: Some(classes), ..Self::new(Predictor::Given) };
        learned.into_model(learned_by, Task::Classification, &features, target, rows)
    }

    /// The same model with another state.
    ///
    /// # Errors
    /// A bug, when the state cannot be written down.
    pub(crate) fn put_into(&self, model: &Model) -> Result<Model, StageError> {
        Ok(Model { state: self.to_value()?, ..model.clone() })
    }

    fn to_value(&self) -> Result<serde_json::Value, StageError> {
        serde_json::to_value(self)
            .map_err(|error| StageError::bug(format!("what was learned cannot be written down: {error}")))
    }

    /// The model of this state.
    ///
    /// # Errors
    /// A bug, when the state cannot be written down.
    pub(crate) fn into_model(
        self,
        learned_by: &str,
        task: Task,
        features: &Features,
        target: &str,
        rows: usize,
    ) -> Result<Model, StageError> {
        Ok(Model {
            learned_by: learned_by.to_owned(),
            task,
            features: features.0.iter().map(|feature| feature.column.clone()).collect(),
            target: target.to_owned(),
            rows: rows as u64,
            state: self.to_value()?,
        })
    }

    /// The features and the state of a model.
    ///
    /// # Errors
    /// When the state is of a form that is not known here.
    pub(crate) fn of(model: &Model) -> Result<(Features, Self), StageError> {
        let unknown = |why: String| {
            StageError::data(format!("the model of `{}` has a form that is not known: {why}", model.learned_by))
                .with_help("learn it again with this version of the program")
        };
        let learned: Self = serde_json::from_value(model.state.clone()).map_err(|error| unknown(error.to_string()))?;
        if learned.encodings.len() != model.features.len() {
            return Err(unknown("its features and its state differ".to_owned()));
        }
        if (model.task == Task::Classification) != learned.classes.is_some() {
            return Err(unknown("its task and its state differ".to_owned()));
        }
        if !learned.predictor.is_sound(learned.encodings.iter().map(Encoding::width).sum()) {
            return Err(unknown("its columns and its state differ".to_owned()));
        }
        let features = model
            .features
            .iter()
            .zip(&learned.encodings)
            .map(|(column, encoding)| Feature { column: column.clone(), encoding: encoding.clone() })
            .collect();
        Ok((Features(features), learned))
    }

    /// What it says about each row of a table with the columns of its features.
    ///
    /// # Errors
    /// Those of [`Features::encode`].
    pub(crate) fn predict(&self, features: &Features, frame: &DataFrame) -> Result<Predictions, StageError> {
        let encoded = features.encode(frame)?;
        let mut warnings = encoded.warnings;
        let values = self.predict_matrix(&encoded.matrix);
        let without = values.iter().filter(|value| value.is_none()).count();
        if without > 0 {
            let why = if self.predictor.takes_missing() {
                "their values are too large"
            } else {
                "a feature is missing or too large"
            };
            warnings.push(format!("{without} of {} rows have no prediction: {why}", values.len()));
        }
        Ok(Predictions { values, warnings })
    }

    /// What it says about each row of a matrix.
    pub(crate) fn predict_matrix(&self, matrix: &Matrix) -> Vec<Option<f64>> {
        let takes_missing = self.predictor.takes_missing();
        let mut values = self.predictor.predict(matrix);
        for calibration in &self.calibrations {
            values.iter_mut().for_each(|value| *value = calibration.apply(*value));
        }
        let known = |(row, value): (usize, f64)| {
            (value.is_finite() && (takes_missing || !matrix.is_missing(row))).then_some(value)
        };
        values.into_iter().enumerate().map(known).collect()
    }
}
