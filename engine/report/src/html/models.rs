//! A card for each model (Mitchell et al., “Model cards for model reporting”, 2019): what it is, what it learned from, how
//! good it was found to be, and where it ends.

use maud::{Markup, html};

use super::{facts, prose, scroll};
use crate::number;
use crate::{Feature, ModelCard};

/// The cards, folded but for the first.
pub(super) fn models(models: &[ModelCard]) -> Markup {
    html! {
        div.folds { @for (at, model) in models.iter().enumerate() {
            details.card open[at == 0] {
                summary {
                    (model.stage)
                    small.quiet {
                        (model.learned_by) @if !model.variants.is_empty() { ", " (model.variants.join(", ")) }
                    }
                }
                (card(model))
            }
        }
        }
    }
}

fn card(model: &ModelCard) -> Markup {
    let features = html! {
        table {
            thead {
                tr { th scope="col" { "Column" } th scope="col" { "Type" } th scope="col" { "Learned from values" } }
            }
            tbody {
                @for feature in &model.features {
                    tr { th scope="row" { (feature.column.name) } td { (feature.column.kind) } td { (range(feature)) } }
                }
            }
        }
    };
    html! {
        p {
            "Predicts " (model.task) " " code { (model.target) } ", learned by " code { (model.learned_by) } " from "
            (number::count(model.rows)) " rows" @if let Some(table) = &model.trained_on { " of " code { (table) } } "."
        }
        @if !model.metrics.is_empty() {
            h3 { "What was measured of it" }
            (facts(&model.metrics))
        }
        h3 { "Its limits" }
        ul.limits {
            li {
                "It has only seen rows like those it learned from: values outside the ranges below, other periods and other "
                "people are guesses."
            }
            @if model.metrics.is_empty() { li { "Nothing in this run measured how good it is." } }
            @if model.features.iter().any(|feature| feature.column.personal) {
                li { "It reads personal columns; their values are not shown." }
            }
            @for warning in &model.warnings { li.warning { (prose(warning)) } }
        }
        h3 { (number::counted(model.features.len(), "column")) " it reads" }
        (scroll(&format!("Columns that {} reads", model.stage), &features))
        @if !model.parameters.is_empty() {
            h3 { "Parameters" }
            (facts(&model.parameters))
        }
        p.quiet.digest { "Digest " span.code { (model.digest) } }
    }
}

fn range(feature: &Feature) -> Markup {
    html! {
        @if feature.column.personal { span.personal { "hidden (personal)" } }
        @else if let Some((low, high)) = feature.range { (number::number(low)) " to " (number::number(high)) }
        @else { span.none { "names" } }
    }
}
