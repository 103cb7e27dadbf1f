//! What it takes to run it again, and how to see that it is the same.

use maud::{Markup, html};

use super::scroll;
use crate::Report;
use crate::number;

/// Command, seed, versions, parameters and digests.
pub(super) fn again(report: &Report) -> Markup {
    let parameters = html! {
        table {
            thead { tr { th scope="col" { "Parameter" } th scope="col" { "Value" } } }
            tbody {
                @for parameter in &report.parameters {
                    tr { th scope="row" { (parameter.name) } td { code { (parameter.value) } } }
                }
            }
        }
    };
    let sources = html! {
        table {
            thead { tr { th scope="col" { "File" } th.num scope="col" { "Size" } th scope="col" { "Digest" } } }
            tbody {
                @for source in &report.sources {
                    tr {
                        th scope="row" { (source.name) }
                        td.num { (number::bytes(source.bytes)) }
                        td.digest.code { (source.digest) }
                    }
                }
            }
        }
    };
    let outputs = html! {
        table {
            thead {
                tr {
                    th scope="col" { "Output" }
                    th scope="col" { "Kind" }
                    th.num scope="col" { "Size" }
                    th scope="col" { "Digest" }
                }
            }
            tbody {
                @for output in &report.outputs {
                    tr {
                        th scope="row" {
                            (output.stage) "." (output.port)
                            @if let Some(variant) = &output.variant { small.quiet { (variant) } }
                        }
                        td {
                            (output.kind)
                            @for (name, bytes) in &output.files {
                                small.quiet { (name) ", " (number::bytes(*bytes)) }
                            }
                        }
                        td.num { (number::bytes(output.bytes)) }
                        td.digest.code { (output.digest) }
                    }
                }
            }
        }
    };
    html! {
        p {
            "The same sources, parameters, seed and versions give the same outputs, byte for byte: compare the digests."
        }
        @if !report.command.is_empty() { pre aria-label="Command line" { code { (report.command) } } }
        dl.facts {
            @if let Some(seed) = report.seed { div { dt { "Seed" } dd { (seed) } } }
            @for version in &report.versions { div { dt { (version.of) } dd { (version.version) } } }
        }
        @if !report.parameters.is_empty() { h3 { "Parameters" } (scroll("Parameters", &parameters)) }
        @if !report.sources.is_empty() { h3 { "Sources" } (scroll("Sources", &sources)) }
        @if !report.outputs.is_empty() {
            h3 { "Outputs" }
            details {
                summary { "Digests of " (number::counted(report.outputs.len(), "output")) }
                (scroll("Digests of the outputs", &outputs))
            }
        }
    }
}
