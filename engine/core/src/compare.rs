use crate::BASE;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::{Node, Span, Value};
use crate::spec::{expect_map, known_keys, text};

/// The keys of `compare:`.
pub(crate) const COMPARE_KEYS: &[&str] = &["baseline", "metrics"];

/// What the variants are compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompareSpec {
    /// The variant that the others are compared with.
    pub baseline: String,
    /// Where the workflow names it.
    pub(crate) baseline_span: Span,
    /// The metrics, in the order of the rows.
    pub metrics: Vec<MetricRef>,
}

/// `stage.metric`: a number in the metrics that a stage puts out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricRef {
    /// The stage.
    pub stage: String,
    /// The name of the metric, such as `ndcg@10`.
    pub metric: String,
    /// Where the workflow names it.
    pub(crate) span: Span,
}

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
    let mut metrics = Vec::new();
    match node.get("metrics").map(|node| (&node.value, node.span)) {
        Some((Value::Seq(items), _)) => {
            for item in items {
                let Some(reference) = text(item, "a metric", diagnostics) else { continue };
                match reference.split_once('.') {
                    Some((stage, metric)) if !metric.is_empty() => {
                        metrics.push(MetricRef { stage: stage.to_owned(), metric: metric.to_owned(), span: item.span })
                    }
                    _ => diagnostics.push(Diagnostic::new(
                        item.span,
                        format!("`{reference}` does not name a metric"),
                        "expected `stage.metric`, such as `scores.ndcg@10`",
                    )),
                }
            }
        }
        Some((_, span)) => {
            diagnostics.push(Diagnostic::new(span, "`metrics` is not a list", "expected `[stage.metric, …]`"))
        }
        None => diagnostics.push(Diagnostic::new(
            node.span,
            "`compare` names no metrics",
            "expected `metrics: [stage.metric, …]`",
        )),
    }
    Some(CompareSpec { baseline, baseline_span, metrics })
}
