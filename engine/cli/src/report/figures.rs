//! The figures of a run: those that stages put out, and the metrics as curves.

use stagewright_contract::{Artifact, Digest, Figure, FigureKind, Kind, Series};
use stagewright_core::Plan;
use stagewright_report::{ChartGroup, Comparison, Panel, overlay};
use stagewright_runtime::RunOutcome;
use stagewright_store::Store;

use crate::compare::VariantMetrics;

/// So many figures are read at most.
const MANY: usize = 200;

/// A port that puts figures out, and which variants have which.
struct FigurePort<'a> {
    stage: &'a str,
    name: &'a str,
    different: Vec<(Digest, Vec<&'a str>)>,
}

/// The figures that the stages put out, in the order of the stages. Where variants have different ones of a stage, they
/// are in one chart if they go together, and beside each other otherwise; what several have in common is there once. One
/// that is damaged is left out: the next run finds it.
pub(super) fn figures(plan: &Plan, outcome: &RunOutcome, store: &Store) -> Vec<ChartGroup> {
    let mut ports: Vec<FigurePort<'_>> = Vec::new();
    for variant in &plan.variants {
        for (stage, id) in &variant.stages {
            for (name, output) in outcome.nodes[*id].outputs.iter().filter(|(_, output)| output.kind == Kind::Figure) {
                let at = ports.iter().position(|port| port.stage == stage && port.name == name).unwrap_or(ports.len());
                if at == ports.len() {
                    ports.push(FigurePort { stage, name, different: Vec::new() });
                }
                let different = &mut ports[at].different;
                match different.iter_mut().find(|(digest, _)| *digest == output.digest) {
                    Some((_, variants)) => variants.push(&variant.name),
                    None => different.push((output.digest, vec![&variant.name])),
                }
            }
        }
    }
    let mut groups: Vec<ChartGroup> = Vec::new();
    let mut left = MANY;
    for FigurePort { stage, different, .. } in ports {
        let everywhere = different.len() == 1 && different.iter().all(|(_, of)| of.len() == plan.variants.len());
        let read: Vec<(Vec<&str>, Figure)> = different
            .into_iter()
            .take(left)
            .filter_map(|(digest, variants)| match store.read(Kind::Figure, digest) {
                Ok(Artifact::Figure(figure)) => Some((variants, (*figure).clone())),
                _ => None,
            })
            .collect();
        left -= read.len();
        let named: Vec<(String, Figure)> =
            read.iter().map(|(variants, figure)| (listed(variants), figure.clone())).collect();
        let titled = |figure: Figure| Figure { title: format!("{stage}: {}", figure.title), ..figure };
        if let Some(figure) = overlay(&named) {
            groups.push(titled(figure).into());
            continue;
        }
        let panels = read.into_iter().map(|(variants, figure)| Panel {
            variants: if everywhere { Vec::new() } else { variants.into_iter().map(str::to_owned).collect() },
            figure: titled(figure),
        });
        let panels: Vec<Panel> = panels.collect();
        if !panels.is_empty() {
            groups.push(ChartGroup { title: format!("`{stage}` of the variants"), panels });
        }
    }
    groups
}

/// The names of a few variants, or of the first of many.
fn listed(variants: &[&str]) -> String {
    match variants {
        [first, second, _, _, ..] => format!("{first}, {second} and {} more", variants.len() - 2),
        few => few.join(", "),
    }
}

/// Metrics at several K as curves over K, a line for each variant: for each metric that is compared at some K.
pub(super) fn curves(comparison: &Comparison, metrics: &VariantMetrics) -> Vec<ChartGroup> {
    let mut names: Vec<(&str, &str)> = Vec::new();
    for row in &comparison.rows {
        let name = row.metric.rsplit_once('@').and_then(|(name, _)| name.split_once('.'));
        names.extend(name.filter(|name| !names.contains(name)));
    }
    let mut charts = Vec::new();
    for (stage, name) in names {
        let line = |variant: &String| -> Vec<(f64, f64)> {
            let values = metrics.get(variant).and_then(|stages| stages.get(stage)).map(|metrics| &metrics.values);
            let at_k = values.into_iter().flatten().filter_map(|(metric, value)| {
                let (_, k) = metric.rsplit_once('@').filter(|(of, _)| *of == name)?;
                Some((k.parse().ok()?, value.value?))
            });
            let mut points: Vec<(f64, f64)> = at_k.collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            points
        };
        let series: Vec<Series> =
            comparison.variants.iter().map(|variant| Series::new(variant, line(variant))).collect();
        if series.iter().any(|series| series.points.len() > 1) {
            let title = format!("{stage}.{name} by number of recommendations");
            charts.push(Figure { series, ..Figure::new(FigureKind::Line, title, "K", name) }.into());
        }
    }
    charts
}
