use polars::prelude::Column;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Series, Stage, StageContext,
    StageError, Task,
};

use crate::calibration::Calibration;
use crate::predictor::Learned;
use crate::scores::Score;
use crate::tables::{Judged, named, of_columns, with_columns};
use crate::target::Label;

/// Learn which probability is meant by a predicted one (probability calibration).
///
/// The table has predicted probabilities beside what came true, of rows that the model has not learned from: the output
/// of `model.predict` on held-out rows, or of `model.cross_validate`. `sigmoid` (Platt 1999, as scikit-learn) fits
/// `1 / (1 + exp(-(a × log odds + b)))` and suits few rows; `isotonic` fits the rising line with the least squared error
/// (pool adjacent violators, linear between its points, as scikit-learn's `IsotonicRegression`) and wants a thousand
/// rows or more. Equal probabilities stay equal, and the order of rows changes only by ties. With `model` connected, the
/// output `model` is that model followed by the calibration; without, it is the calibration alone, and reads the
/// probability column.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibrate {
    /// The column that tells what came true: two values.
    pub target: String,
    /// The value of the target whose probability is given; without it that of the model, or else `true`, the larger
    /// number, or the text that comes later by its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<Label>,
    /// The column with the predicted probability, from 0 to 1.
    #[serde(default = "probability")]
    pub probability: String,
    /// How to calibrate.
    #[serde(default)]
    pub method: CalibrationMethod,
    /// The name of the column that receives the calibrated probability, from 0 to 1.
    #[serde(default = "calibrated")]
    #[schemars(length(min = 1))]
    pub into: String,
    /// The number of bins of equal width of the calibration curve.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 200))]
    pub n_bins: usize,
}

/// How probabilities are calibrated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationMethod {
    /// By a sigmoid of the log odds.
    #[default]
    Sigmoid,
    /// By a rising line.
    Isotonic,
}

fn probability() -> String {
    "probability".to_owned()
}

fn calibrated() -> String {
    "calibrated".to_owned()
}

fn ten() -> usize {
    10
}

impl Stage for Calibrate {
    const TYPE: &'static str = "model.calibrate";
    const EXAMPLE: &'static str = "\
inputs: { table: held_out, model: learn.model }
with: { target: reordered, method: isotonic }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Rows with a predicted probability and the target."),
            Port::input("model", Kind::Model, "The model whose probabilities they are.").optional(),
            Port::output("table", Kind::Table, "The same rows and columns, and `calibrated` (double, 0 to 1)."),
            Port::output("model", Kind::Model, "The calibrated model, for `model.predict`."),
            Port::output(
                "curve",
                Kind::Table,
                "For each bin that has rows, before and after: `stage` (`before` or `after`), `bin` (int64, from 1), \
                 `rows` (int64), `predicted` (the mean probability), `observed` (the share of the positive class).",
            ),
            Port::output("figure", Kind::Figure, "The observed share against the predicted probability."),
            Port::output(
                "metrics",
                Kind::Metrics,
                "On the rows learned from, which flatters the calibration: `train_log_loss`, `train_brier`, and both \
                 before it as `log_loss_before`, `brier_before`; `rows`.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.probability == self.target {
            return Err(ParamError::new("probability", format!("`{}` is the target", self.target)));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let curve = named(inputs, &["stage", "bin", "rows", "predicted", "observed"]);
        let all = inputs.values().flatten().cloned().collect();
        PersonalColumns::from([("curve".to_owned(), curve), ("table".to_owned(), all)])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let model = if context.has_input("model") { Some(context.model("model")?) } else { None };
        let learned = model.as_deref().map(classifier).transpose()?;
        let classes = learned.as_ref().and_then(|learned| learned.classes.as_ref());
        let judged = Judged::read(context, &table, &self.probability, &self.target, self.positive.as_ref(), classes)?;
        let calibration = match self.method {
            CalibrationMethod::Isotonic => Calibration::isotonic(&judged.pairs),
            CalibrationMethod::Sigmoid => {
                let (calibration, converged) = Calibration::sigmoid(&judged.pairs);
                if !converged {
                    context.warn("the sigmoid has not converged");
                }
                calibration
            }
        };
        if matches!(calibration, Calibration::Sigmoid { slope, .. } if slope <= 0.0) {
            context.warn("the higher the probability, the rarer is the positive class: the calibration turns it round");
        }

        let after: Vec<(f64, f64)> = judged.pairs.iter().map(|(p, y)| (calibration.apply(*p), *y)).collect();
        let mut metrics = Metrics::new();
        for score in [Score::LogLoss, Score::Brier] {
            metrics.insert(format!("train_{}", score.name()), score.of(&after), score.goal())?;
            metrics.insert(format!("{}_before", score.name()), score.of(&judged.pairs), Goal::Describe)?;
        }
        metrics.insert("rows", Some(after.len() as f64), Goal::Describe)?;
        context.put("metrics", metrics)?;

        let curves = [("before", self.curve(&judged.pairs)), ("after", self.curve(&after))];
        let bins = || curves.iter().flat_map(|(stage, bins)| bins.iter().map(move |bin| (*stage, bin)));
        context.put(
            "curve",
            of_columns(vec![
                Column::new("stage".into(), bins().map(|(stage, _)| stage).collect::<Vec<_>>()),
                Column::new("bin".into(), bins().map(|(_, bin)| bin.number).collect::<Vec<_>>()),
                Column::new("rows".into(), bins().map(|(_, bin)| bin.rows).collect::<Vec<_>>()),
                Column::new("predicted".into(), bins().map(|(_, bin)| bin.predicted).collect::<Vec<_>>()),
                Column::new("observed".into(), bins().map(|(_, bin)| bin.observed).collect::<Vec<_>>()),
            ])?,
        )?;
        let series = curves
            .iter()
            .map(|(stage, bins)| Series::new(*stage, bins.iter().map(|bin| (bin.predicted, bin.observed))));
        let mut figure = Figure::new(FigureKind::Line, "Calibration", "predicted probability", "observed share")
            .with(Series::new("perfect", [(0.0, 0.0), (1.0, 1.0)]));
        figure.series.extend(series);
        context.put("figure", figure)?;

        let values: Vec<Option<f64>> =
            judged.probabilities.iter().map(|p| (!p.is_nan()).then(|| calibration.apply(*p))).collect();
        let column = Column::new(self.into.as_str().into(), values);
        context.put("table", with_columns(&judged.frame, &[column], "`into`")?)?;

        let model = match model {
            Some(model) => (*model).clone(),
            None => Learned::given(Self::TYPE, &self.probability, &self.target, judged.classes, judged.pairs.len())?,
        };
        let (_, mut learned) = Learned::of(&model)?;
        learned.calibrations.push(calibration);
        context.put("model", learned.put_into(&model)?)
    }
}

/// The state of a model, which must be a classification.
pub(crate) fn classifier(model: &stagewright_contract::Model) -> Result<Learned, StageError> {
    if model.task != Task::Classification {
        return Err(StageError::data(format!(
            "the model of `{}` is a regression, it has no probabilities",
            model.learned_by
        ))
        .with_help("connect a classification"));
    }
    Ok(Learned::of(model)?.1)
}

struct Bin {
    number: i64,
    rows: i64,
    predicted: f64,
    observed: f64,
}

impl Calibrate {
    fn curve(&self, pairs: &[(f64, f64)]) -> Vec<Bin> {
        let mut sums = vec![(0i64, 0.0, 0.0); self.n_bins];
        for (p, y) in pairs {
            let bin = ((p * self.n_bins as f64) as usize).min(self.n_bins - 1);
            let (rows, predicted, observed) = &mut sums[bin];
            (*rows, *predicted, *observed) = (*rows + 1, *predicted + p, *observed + y);
        }
        let mean = |(number, (rows, predicted, observed)): (i64, (i64, f64, f64))| {
            let count = rows as f64;
            (rows > 0).then(|| Bin { number, rows, predicted: predicted / count, observed: observed / count })
        };
        (1..).zip(sums).filter_map(mean).collect()
    }
}
