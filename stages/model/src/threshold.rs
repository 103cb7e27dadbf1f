use polars::prelude::Column;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Figure, FigureKind, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Series, Stage, StageContext, StageError,
};

use crate::calibrate::classifier;
use crate::predictor::Learned;
use crate::scores::ladder;
use crate::tables::{Judged, named, of_columns, with_columns};
use crate::target::Label;

/// Choose the probability from which on a row counts as positive.
///
/// Every distinct probability of the table is a candidate, and so is one just above the largest, from which on nothing
/// is positive; a row is positive when its probability is at least the threshold. The one that is best by `choose` wins;
/// of several the highest, which acts on the fewest rows. Choose on rows that the model has not learned from; the
/// figures at the chosen threshold flatter it a little, since it was chosen for them. The curve and the figure hold up
/// to 200 candidates at equal steps of candidates, the chosen one and both ends among them. With `model` connected, the output
/// `model` is that model with the threshold, which `model.predict` then uses; without, it is one that reads the
/// probability column.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The column that tells what came true: two values.
    pub target: String,
    /// The value of the target whose probability is given; without it that of the model, or else `true`, the larger
    /// number, or the text that comes later by its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<Label>,
    /// The column with the predicted probability, from 0 to 1.
    #[serde(default = "probability")]
    pub probability: String,
    /// What makes a threshold good.
    pub choose: Choose,
    /// The name of the column that receives the predicted class, in the values of the target.
    #[serde(default = "prediction")]
    #[schemars(length(min = 1))]
    pub into: String,
}

/// What makes a threshold good.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Choose {
    /// The least cost of mistakes.
    Cost {
        /// What a negative row costs that is predicted positive (an e-mail in vain), in any unit, at least 0.
        #[schemars(range(min = 0.0))]
        false_positive: f64,
        /// What a positive row costs that is predicted negative (a sale missed), in the same unit, at least 0.
        #[schemars(range(min = 0.0))]
        false_negative: f64,
    },
    /// The largest F1, the harmonic mean of precision and recall.
    F1,
    /// The largest share of rows predicted right.
    Accuracy,
    /// The largest difference between the true and the false positive rate (Youden 1950).
    Youden,
    /// The largest precision among thresholds with enough recall.
    Precision {
        /// The least recall, from 0 to 1.
        #[schemars(range(min = 0.0, max = 1.0))]
        min_recall: f64,
    },
    /// The largest recall among thresholds with enough precision.
    Recall {
        /// The least precision, from 0 to 1.
        #[schemars(range(min = 0.0, max = 1.0))]
        min_precision: f64,
    },
}

fn probability() -> String {
    "probability".to_owned()
}

fn prediction() -> String {
    "prediction".to_owned()
}

/// The most candidates in the curve and in the figure.
const POINTS: usize = 200;

/// What a threshold makes of the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    threshold: f64,
    true_positives: f64,
    false_positives: f64,
    false_negatives: f64,
    true_negatives: f64,
}

impl Candidate {
    fn rows(&self) -> f64 {
        self.true_positives + self.false_positives + self.false_negatives + self.true_negatives
    }

    /// `None` where nothing is predicted positive.
    fn precision(&self) -> Option<f64> {
        let predicted = self.true_positives + self.false_positives;
        (predicted > 0.0).then(|| self.true_positives / predicted)
    }

    fn recall(&self) -> f64 {
        self.true_positives / (self.true_positives + self.false_negatives)
    }

    fn false_positive_rate(&self) -> f64 {
        self.false_positives / (self.false_positives + self.true_negatives)
    }

    fn f1(&self) -> f64 {
        2.0 * self.true_positives / (2.0 * self.true_positives + self.false_positives + self.false_negatives)
    }

    fn accuracy(&self) -> f64 {
        (self.true_positives + self.true_negatives) / self.rows()
    }
}

impl Choose {
    /// How good a candidate is, larger is better; `None` where it may not be chosen.
    fn merit(self, candidate: &Candidate) -> Option<f64> {
        match self {
            Self::Cost { .. } => self.cost(candidate).map(|cost| -cost),
            Self::F1 => Some(candidate.f1()),
            Self::Accuracy => Some(candidate.true_positives + candidate.true_negatives),
            Self::Youden => Some(candidate.recall() - candidate.false_positive_rate()),
            Self::Precision { min_recall } => candidate.precision().filter(|_| candidate.recall() >= min_recall),
            Self::Recall { min_precision } => {
                candidate.precision().filter(|precision| *precision >= min_precision).map(|_| candidate.recall())
            }
        }
    }

    /// The mean cost of a row.
    fn cost(self, candidate: &Candidate) -> Option<f64> {
        let Self::Cost { false_positive, false_negative } = self else { return None };
        let rows = candidate.rows();
        let cost =
            candidate.false_positives / rows * false_positive + candidate.false_negatives / rows * false_negative;
        cost.is_finite().then_some(cost)
    }
}

impl Stage for Threshold {
    const TYPE: &'static str = "model.threshold";
    const EXAMPLE: &'static str = "\
inputs: { table: held_out, model: learn.model }
with:
  target: reordered
  choose: { by: cost, false_positive: 1, false_negative: 5 }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Rows with a predicted probability and the target."),
            Port::input("model", Kind::Model, "The model whose probabilities they are.").optional(),
            Port::output("table", Kind::Table, "The same rows and columns, and `prediction` (as the target)."),
            Port::output("model", Kind::Model, "The model with the threshold, for `model.predict`."),
            Port::output(
                "curve",
                Kind::Table,
                "Candidates, ascending: `threshold`, `precision` (null where nothing is positive), `recall`, \
                 `false_positive_rate`, `f1`, `accuracy`, `cost` (per row; null unless chosen by cost), \
                 `positive_share` (double), `chosen` (boolean).",
            ),
            Port::output(
                "figure",
                Kind::Figure,
                "The cost per row, or precision, recall, F1 and accuracy, by threshold.",
            ),
            Port::output(
                "metrics",
                Kind::Metrics,
                "The `threshold`, and at it `precision`, `recall`, `f1`, `accuracy`, `positive_share` and, chosen by \
                 cost, `cost` per row beside `cost_all_positive` and `cost_all_negative`; `rows`.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.probability == self.target {
            return Err(ParamError::new("probability", format!("`{}` is the target", self.target)));
        }
        if let Choose::Cost { false_positive, false_negative } = self.choose
            && false_positive == 0.0
            && false_negative == 0.0
        {
            return Err(ParamError::new("choose", "mistakes cost nothing, so every threshold is as good")
                .with_help("say what a false positive and a false negative cost"));
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let ours = ["threshold", "precision", "recall", "false_positive_rate", "f1", "accuracy", "cost"];
        let curve = named(inputs, &[&ours[..], &["positive_share", "chosen"]].concat());
        let all = inputs.values().flatten().cloned().collect();
        PersonalColumns::from([("curve".to_owned(), curve), ("table".to_owned(), all)])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let model = if context.has_input("model") { Some(context.model("model")?) } else { None };
        let learned = model.as_deref().map(classifier).transpose()?;
        let classes = learned.as_ref().and_then(|learned| learned.classes.as_ref());
        let judged = Judged::read(context, &table, &self.probability, &self.target, self.positive.as_ref(), classes)?;
        let candidates = candidates(&judged.pairs);
        let chosen = self.chosen(&candidates)?;
        let best = candidates[chosen];

        self.put_curve(context, &candidates, chosen)?;
        let (all, none) = (candidates[candidates.len() - 1], candidates[0]);
        let mut metrics = Metrics::new();
        metrics.insert("threshold", Some(best.threshold), Goal::Describe)?;
        metrics.insert("precision", best.precision(), Goal::Maximize)?;
        metrics.insert("recall", Some(best.recall()), Goal::Maximize)?;
        metrics.insert("f1", Some(best.f1()), Goal::Maximize)?;
        metrics.insert("accuracy", Some(best.accuracy()), Goal::Maximize)?;
        let share = (best.true_positives + best.false_positives) / best.rows();
        metrics.insert("positive_share", Some(share), Goal::Describe)?;
        metrics.insert("rows", Some(best.rows()), Goal::Describe)?;
        if let Choose::Cost { .. } = self.choose {
            metrics.insert("cost", self.choose.cost(&best), Goal::Minimize)?;
            metrics.insert("cost_all_positive", self.choose.cost(&all), Goal::Describe)?;
            metrics.insert("cost_all_negative", self.choose.cost(&none), Goal::Describe)?;
        }
        context.put("metrics", metrics)?;

        let positive: Vec<Option<bool>> =
            judged.probabilities.iter().map(|p| (!p.is_nan()).then_some(*p >= best.threshold)).collect();
        let column = judged.classes.column(&self.into, &positive);
        context.put("table", with_columns(&judged.frame, &[column], "`into`")?)?;

        let model = match model {
            Some(model) => (*model).clone(),
            None => Learned::given(Self::TYPE, &self.probability, &self.target, judged.classes, judged.pairs.len())?,
        };
        let (_, learned) = Learned::of(&model)?;
        context.put("model", Learned { threshold: Some(best.threshold), ..learned }.put_into(&model)?)
    }
}

/// From the highest threshold, which makes nothing positive, to the lowest, which makes everything positive.
fn candidates(pairs: &[(f64, f64)]) -> Vec<Candidate> {
    let ladder = ladder(pairs);
    let (positives, negatives) = ladder.last().map_or((0, 0), |(_, positives, negatives)| (*positives, *negatives));
    let above = ladder.first().map(|(p, ..)| (p.next_up(), 0, 0));
    let candidate = |(threshold, up, right): (f64, u64, u64)| Candidate {
        threshold,
        true_positives: up as f64,
        false_positives: right as f64,
        false_negatives: (positives - up) as f64,
        true_negatives: (negatives - right) as f64,
    };
    above.into_iter().chain(ladder.iter().copied()).map(candidate).collect()
}

impl Threshold {
    /// The place of the best candidate, the first of several.
    fn chosen(&self, candidates: &[Candidate]) -> Result<usize, StageError> {
        let mut best: Option<(usize, f64)> = None;
        for (at, candidate) in candidates.iter().enumerate() {
            if let Some(merit) = self.choose.merit(candidate)
                && best.is_none_or(|(_, least)| merit > least)
            {
                best = Some((at, merit));
            }
        }
        best.map(|(at, _)| at).ok_or_else(|| {
            let what = match self.choose {
                Choose::Recall { min_precision } => format!("no threshold has a precision of {min_precision}"),
                Choose::Precision { min_recall } => format!("no threshold has a recall of {min_recall}"),
                _ => "the costs are too large".to_owned(),
            };
            StageError::data(what).with_help("ask for less in `choose`")
        })
    }

    fn put_curve(&self, context: &mut StageContext, candidates: &[Candidate], chosen: usize) -> Result<(), StageError> {
        let last = candidates.len() - 1;
        let steps = POINTS.min(candidates.len()) - 2;
        // At equal steps of candidates, which are distinct probabilities; both ends and the chosen one among them.
        let mut shown: Vec<usize> = (0..=steps).map(|step| step * last / steps.max(1)).collect();
        shown.extend([last, chosen]);
        shown.sort_unstable_by(|a, b| b.cmp(a));
        shown.dedup();
        let column = |name: &str, of: &dyn Fn(&Candidate) -> Option<f64>| {
            Column::new(name.into(), shown.iter().map(|&at| of(&candidates[at])).collect::<Vec<_>>())
        };
        let curve = vec![
            column("threshold", &|c| Some(c.threshold)),
            column("precision", &|c| c.precision()),
            column("recall", &|c| Some(c.recall())),
            column("false_positive_rate", &|c| Some(c.false_positive_rate())),
            column("f1", &|c| Some(c.f1())),
            column("accuracy", &|c| Some(c.accuracy())),
            column("cost", &|c| self.choose.cost(c)),
            column("positive_share", &|c| Some((c.true_positives + c.false_positives) / c.rows())),
            Column::new("chosen".into(), shown.iter().map(|&at| at == chosen).collect::<Vec<_>>()),
        ];
        context.put("curve", of_columns(curve)?)?;
        let series = |name: &str, of: &dyn Fn(&Candidate) -> Option<f64>| {
            let points = shown.iter().filter_map(|&at| of(&candidates[at]).map(|y| (candidates[at].threshold, y)));
            Series::new(name, points)
        };
        let figure = |label: &str| Figure::new(FigureKind::Line, "Choice of the threshold", "threshold", label);
        let figure = match self.choose {
            Choose::Cost { .. } => figure("cost per row").with(series("cost", &|c| self.choose.cost(c))),
            _ => figure("share")
                .with(series("precision", &|c| c.precision()))
                .with(series("recall", &|c| Some(c.recall())))
                .with(series("f1", &|c| Some(c.f1())))
                .with(series("accuracy", &|c| Some(c.accuracy()))),
        };
        context.put("figure", figure)
    }
}
