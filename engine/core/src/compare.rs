use stagewright_contract::Goal;

use crate::BASE;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::{Node, Span, Value};
use crate::spec::{expect_map, known_keys, text};

/// The keys of `compare:`.
pub(crate) const COMPARE_KEYS: &[&str] = &["baseline", "metrics", "guardrails", "unit", "level", "correction"];
/// The keys of a metric that is more than a name.
const METRIC_KEYS: &[&str] = &["metric", "goal", "minimum_effect"];
const GOALS: &[(&str, Goal)] = &[("maximize", Goal::Maximize), ("minimize", Goal::Minimize)];
const CORRECTIONS: &[(&str, Correction)] =
    &[("holm", Correction::Holm), ("benjamini_hochberg", Correction::BenjaminiHochberg), ("none", Correction::None)];

/// What the variants are compared by.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareSpec {
    /// The variant that the others are compared with.
    pub baseline: String,
    /// Where the workflow names it.
    pub(crate) baseline_span: Span,
    /// The metrics, in the order of the rows; guardrails last.
    pub metrics: Vec<MetricRef>,
    /// What is paired, such as `user`: the unit of the metrics, or a column of their table of units by which its rows
    /// belong together. `None` is the unit of the metrics.
    pub unit: Option<String>,
    /// The confidence of the intervals, between 0 and 1.
    pub level: f64,
    /// What is done about the number of tests.
    pub correction: Correction,
}

/// What is done so that many tests do not find something by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// The probability of a single false finding stays below the level.
    Holm,
    /// The share of false ones among the findings stays below the level.
    BenjaminiHochberg,
    /// Nothing.
    None,
}

/// `stage.metric`: a number in the metrics that a stage puts out.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRef {
    /// The stage.
    pub stage: String,
    /// The name of the metric, such as `ndcg@10`.
    pub metric: String,
    /// Where the workflow names it.
    pub(crate) span: Span,
    /// Whether it only must not get worse.
    pub guardrail: bool,
    /// Which way is better, where the workflow says so; otherwise the stage type does.
    pub goal: Option<Goal>,
    /// The smallest difference that matters, relative to the baseline: 0.05 is 5 %.
    pub minimum_effect: f64,
}

/// The smallest difference that matters unless the workflow says otherwise.
const MINIMUM_EFFECT: f64 = 0.05;

pub(crate) fn parse(node: &Node, diagnostics: &mut Diagnostics) -> Option<CompareSpec> {
    if !expect_map(node, "`compare`", diagnostics) {
        return None;
    }
    known_keys(node, COMPARE_KEYS, "`compare`", diagnostics);
    let (baseline, baseline_span) = match node.get("baseline") {
        Some(node) => {
            (text(node, "the name of the baseline", diagnostics).unwrap_or_else(|| BASE.to_owned()), node.span)
        }
        None => (BASE.to_owned(), node.span),
    };
    let level = match node.get("level") {
        Some(level) => number(level, "`level`", 0.5, 1.0, "a confidence such as 0.95", diagnostics).unwrap_or(0.95),
        None => 0.95,
    };
    let correction = node
        .get("correction")
        .and_then(|node| choice(node, "a correction", CORRECTIONS, diagnostics))
        .unwrap_or(Correction::Holm);
    let unit = node.get("unit").and_then(|node| text(node, "the unit", diagnostics));
    if node.get("metrics").is_none() {
        diagnostics.push(Diagnostic::new(
            node.span,
            "`compare` names no metrics",
            "expected `metrics: [stage.metric, …]`",
        ));
    }
    let mut metrics = Vec::new();
    for (key, guardrail) in [("metrics", false), ("guardrails", true)] {
        match node.get(key).map(|node| (&node.value, node.span)) {
            Some((Value::Seq(items), _)) => {
                metrics.extend(items.iter().filter_map(|item| metric(item, guardrail, diagnostics)));
            }
            Some((_, span)) => {
                let message = format!("`{key}` is not a list");
                diagnostics.push(Diagnostic::new(span, message, "expected `[stage.metric, …]`"));
            }
            None => {}
        }
    }
    Some(CompareSpec { baseline, baseline_span, metrics, unit, level, correction })
}

/// `stage.metric`, or a mapping that says more about it.
fn metric(node: &Node, guardrail: bool, diagnostics: &mut Diagnostics) -> Option<MetricRef> {
    let mut reference = MetricRef {
        stage: String::new(),
        metric: String::new(),
        span: node.span,
        guardrail,
        goal: None,
        minimum_effect: MINIMUM_EFFECT,
    };
    let mut name = node;
    if let Value::Map(_) = node.value {
        known_keys(node, METRIC_KEYS, "a metric", diagnostics);
        reference.goal = node.get("goal").and_then(|goal| choice(goal, "a goal", GOALS, diagnostics));
        if let Some(effect) = node.get("minimum_effect") {
            let expected = "the smallest relative difference that matters, such as 0.02 for 2 %";
            reference.minimum_effect =
                number(effect, "`minimum_effect`", 0.0, f64::INFINITY, expected, diagnostics).unwrap_or(MINIMUM_EFFECT);
        }
        let Some(named) = node.get("metric") else {
            diagnostics.push(Diagnostic::new(node.span, "the metric has no name", "expected `metric: stage.metric`"));
            return None;
        };
        name = named;
        reference.span = named.span;
    }
    let written = text(name, "a metric", diagnostics)?;
    match written.split_once('.') {
        Some((stage, metric)) if !metric.is_empty() => {
            reference.stage = stage.to_owned();
            reference.metric = metric.to_owned();
            Some(reference)
        }
        _ => {
            diagnostics.push(Diagnostic::new(
                name.span,
                format!("`{written}` does not name a metric"),
                "expected `stage.metric`, such as `scores.ndcg@10`",
            ));
            None
        }
    }
}

/// One of several words.
fn choice<T: Copy>(node: &Node, what: &str, choices: &[(&str, T)], diagnostics: &mut Diagnostics) -> Option<T> {
    let word = text(node, what, diagnostics)?;
    let found = choices.iter().find(|(name, _)| *name == word);
    if found.is_none() {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        diagnostics.push(
            Diagnostic::new(
                node.span,
                format!("`{word}` is not {what}"),
                format!("expected one of {}", names.join(", ")),
            )
            .suggest(&word, choices.iter().map(|(name, _)| *name)),
        );
    }
    found.map(|(_, value)| *value)
}

/// A number between two others, which are not allowed themselves.
fn number(
    node: &Node,
    what: &str,
    above: f64,
    below: f64,
    expected: &str,
    diagnostics: &mut Diagnostics,
) -> Option<f64> {
    let value = node.to_json().as_f64();
    let within = value.filter(|value| *value > above && *value < below);
    if within.is_none() {
        diagnostics.push(Diagnostic::new(
            node.span,
            match value {
                Some(value) => format!("{what} cannot be {value}"),
                None => format!("{what} cannot be {}", node.describe()),
            },
            format!("expected {expected}"),
        ));
    }
    within
}
