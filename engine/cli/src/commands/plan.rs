use std::process::ExitCode;

use serde_json::{Value, json};
use stagewright_contract::{Artifact, Budget, Kind};
use stagewright_core::{NodeId, Plan, PlanNode};
use stagewright_report::number::{self, plain};
use stagewright_report::table::{Column, TextTable};
use stagewright_runtime::{History, Preview, PreviewStatus, preview};
use stagewright_store::Store;

use crate::args::{Global, PlanArgs};
use crate::failure::Failure;
use crate::load::Loaded;
use crate::{commands, terminal};

pub(crate) fn run(args: &PlanArgs, global: &Global) -> Result<ExitCode, Failure> {
    let loaded = Loaded::read(&args.workflow)?;
    let plan = loaded.plan(&args.variant)?;
    let store = loaded.store(global)?;
    let last = commands::runs::last_record(&store, &loaded.path)?;
    let previews = preview(&plan, &store, last.as_ref())?;
    let history = History::of(&store, &plan.workflow)?;
    let seconds: Vec<Prediction> =
        plan.nodes.iter().zip(&previews).map(|(node, preview)| Prediction::of(node, preview, &history)).collect();
    let total: Prediction = seconds.iter().copied().sum();
    let variants = shares(&plan, &previews, &seconds);
    let bills = bills(&plan, &previews, &history, &store)?;
    if args.json {
        println!("{}", to_json(&plan, &previews, &seconds, &variants, &bills));
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = TextTable::new([
        Column::left("stage"),
        Column::left("variant"),
        Column::left("type"),
        Column::left("status"),
        Column::right("predicted"),
        Column::left("reason").wrapping(),
    ]);
    for ((node, preview), seconds) in plan.nodes.iter().zip(&previews).zip(&seconds) {
        table.row([
            node.stage.as_str(),
            node.variant.as_str(),
            node.stage_type.name(),
            preview.status.name(),
            &seconds.text(),
            preview.reason.as_str(),
        ]);
    }
    let print = |table: &TextTable| print!("{}", table.render(terminal::width(), terminal::colour_out()));
    print(&table);
    if variants.len() > 1 {
        let mut table = TextTable::new([
            Column::left("variant"),
            Column::right("shared"),
            Column::right("cached"),
            Column::right("to execute"),
            Column::right("depend on those"),
            Column::right("predicted"),
        ]);
        for (variant, share) in plan.variants.iter().zip(&variants) {
            let count = |count: usize| plain(&number::count(count as u64));
            table.row([
                variant.name.clone(),
                count(share.shared),
                count(share.hits),
                count(share.misses),
                count(share.unknown),
                share.prediction.text(),
            ]);
        }
        println!();
        print(&table);
    }
    let count = |status| previews.iter().filter(|preview| preview.status == status).count();
    println!(
        "\n{} cached, {} to execute, {} that depend on those; {} shared between variants",
        count(PreviewStatus::Hit),
        count(PreviewStatus::Miss),
        count(PreviewStatus::Unknown),
        variants.iter().map(|share| share.shared).sum::<usize>(),
    );
    if total.executing > 0 {
        println!("{}", total.sentence());
    }
    for bill in &bills {
        println!("{}", bill.sentence(&plan));
    }
    Ok(ExitCode::SUCCESS)
}

/// How long what would execute will take, as far as earlier executions tell.
#[derive(Clone, Copy, Default)]
struct Prediction {
    /// How many would execute.
    executing: usize,
    /// How many of them were executed before.
    known: usize,
    /// What those took, together.
    seconds: f64,
}

impl Prediction {
    fn of(node: &PlanNode, preview: &Preview, history: &History) -> Self {
        if !matches!(preview.status, PreviewStatus::Miss | PreviewStatus::Unknown) {
            return Self::default();
        }
        let seconds = history.seconds(node);
        Self { executing: 1, known: usize::from(seconds.is_some()), seconds: seconds.unwrap_or(0.0) }
    }

    fn text(&self) -> String {
        let seconds = plain(&number::seconds(self.seconds));
        match (self.executing, self.known) {
            (0, _) => String::new(),
            (_, 0) => "?".to_owned(),
            (executing, known) if known < executing => format!("{seconds} + ?"),
            _ => seconds,
        }
    }

    fn sentence(&self) -> String {
        let seconds = plain(&number::seconds(self.seconds));
        match self.executing - self.known {
            _ if self.known == 0 => "predicted: none of these stages was executed before".to_owned(),
            0 => format!("predicted: {seconds}, one stage after the other, by earlier executions"),
            1 => format!("predicted: {seconds}, one stage after the other, and one that was not executed before"),
            new => format!("predicted: {seconds}, one stage after the other, and {new} that were not executed before"),
        }
    }

    /// The seconds, where they are known of all.
    fn json(&self) -> Option<f64> {
        (self.known == self.executing).then_some(self.seconds)
    }
}

impl std::iter::Sum for Prediction {
    fn sum<I: Iterator<Item = Self>>(predictions: I) -> Self {
        predictions.fold(Self::default(), |a, b| Self {
            executing: a.executing + b.executing,
            known: a.known + b.known,
            seconds: a.seconds + b.seconds,
        })
    }
}

/// What a variant adds to those before it.
#[derive(Default)]
struct Share {
    shared: usize,
    hits: usize,
    misses: usize,
    unknown: usize,
    prediction: Prediction,
}

fn shares(plan: &Plan, previews: &[Preview], seconds: &[Prediction]) -> Vec<Share> {
    let mut seen = vec![false; plan.nodes.len()];
    plan.variants
        .iter()
        .map(|variant| {
            let mut share = Share::default();
            for &(_, id) in &variant.stages {
                if std::mem::replace(&mut seen[id], true) {
                    share.shared += 1;
                    continue;
                }
                match previews[id].status {
                    PreviewStatus::Hit => share.hits += 1,
                    PreviewStatus::Miss => share.misses += 1,
                    PreviewStatus::Unknown => share.unknown += 1,
                    PreviewStatus::Skipped => {}
                }
                share.prediction = [share.prediction, seconds[id]].into_iter().sum();
            }
            share
        })
        .collect()
}

/// What a stage that would execute will ask of a service.
struct Bill {
    node: NodeId,
    /// Whether the numbers are those of its latest execution, or limits that its parameters set.
    known: bool,
    answers: Option<u64>,
    tokens: Option<u64>,
    cost: Option<f64>,
    currency: Option<String>,
}

/// The bills of the stages that would execute.
fn bills(plan: &Plan, previews: &[Preview], history: &History, store: &Store) -> Result<Vec<Bill>, Failure> {
    let mut bills = Vec::new();
    for (id, (node, preview)) in plan.nodes.iter().zip(previews).enumerate() {
        let executes = matches!(preview.status, PreviewStatus::Miss | PreviewStatus::Unknown);
        let Some(budget) = node.configured.budget().filter(|_| executes) else { continue };
        bills.push(match last_bill(id, node, &budget, history, store)? {
            Some(bill) => bill,
            None => {
                let Budget { requests, tokens, cost, currency } = budget;
                Bill { node: id, known: false, answers: requests, tokens, cost, currency }
            }
        });
    }
    Ok(bills)
}

/// What the latest execution of a stage was charged, if it is told: in its metrics.
fn last_bill(
    id: NodeId,
    node: &PlanNode,
    budget: &Budget,
    history: &History,
    store: &Store,
) -> Result<Option<Bill>, Failure> {
    let Some(latest) = history.latest(node) else { return Ok(None) };
    let Some(manifest) = store.manifest(latest)? else { return Ok(None) };
    let metrics = manifest.outputs.values().filter(|output| output.kind == Kind::Metrics);
    for output in metrics {
        // One that is damaged tells nothing; the next run finds it.
        let Ok(Artifact::Metrics(metrics)) = store.read(Kind::Metrics, output.digest) else { continue };
        let value = |name: &str| metrics.values.get(name).and_then(|metric| metric.value);
        // Counts, which are exact up to 2⁵³.
        let count = |name: &str| value(name).map(|value| value as u64);
        let Some(answers) = count("answers") else { continue };
        let tokens = count("prompt_tokens").zip(count("completion_tokens")).map(|(prompt, answer)| prompt + answer);
        let currency = budget.currency.clone();
        return Ok(Some(Bill { node: id, known: true, answers: Some(answers), tokens, cost: value("cost"), currency }));
    }
    Ok(None)
}

impl Bill {
    fn sentence(&self, plan: &Plan) -> String {
        let node = &plan.nodes[self.node];
        let variant = if plan.is_of_base(node) { String::new() } else { format!(" ({})", node.variant) };
        let counted =
            |count: u64, what: &str| plain(&number::counted(usize::try_from(count).unwrap_or(usize::MAX), what));
        let currency = self.currency.as_deref().unwrap_or_default();
        let amounts: Vec<String> = [
            self.answers.map(|count| counted(count, if self.known { "answer" } else { "request" })),
            self.tokens.map(|count| counted(count, "token")),
            self.cost.map(|cost| format!("{} {currency}", plain(&number::number(cost))).trim_end().to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect();
        let stage = format!("`{}`{variant} asks a service", node.stage);
        match (self.known, amounts.is_empty()) {
            (true, _) => format!("{stage}: {} last time; what is kept of it is not paid for again", amounts.join(", ")),
            (false, false) => format!("{stage}: at most {}", amounts.join(", ")),
            (false, true) => format!("{stage}, and nothing limits what it may spend"),
        }
    }
}

fn to_json(plan: &Plan, previews: &[Preview], seconds: &[Prediction], variants: &[Share], bills: &[Bill]) -> Value {
    let stages: Vec<_> = plan
        .variants
        .iter()
        .flat_map(|variant| variant.stages.iter().map(move |(stage, id)| (variant, stage, *id)))
        .map(|(variant, stage, id)| {
            let preview = &previews[id];
            json!({
                "stage": stage,
                "variant": variant.name,
                "uses": plan.nodes[id].stage_type.name(),
                "status": preview.status.name(),
                "reason": preview.reason,
                "key": preview.key,
                "shared": plan.nodes[id].variant != variant.name,
                "predicted_seconds": seconds[id].json(),
            })
        })
        .collect();
    let shares: Vec<_> = plan
        .variants
        .iter()
        .zip(variants)
        .map(|(variant, Share { shared, hits, misses, unknown, prediction })| {
            json!({
                "variant": variant.name,
                "group": variant.group,
                "seed": variant.seed,
                "shared": shared,
                "cached": hits,
                "to_execute": misses,
                "dependent": unknown,
                "predicted_seconds": prediction.json(),
            })
        })
        .collect();
    let bills: Vec<_> = bills
        .iter()
        .map(|Bill { node, known, answers, tokens, cost, currency }| {
            json!({
                "stage": plan.nodes[*node].stage,
                "variant": plan.nodes[*node].variant,
                "at_most": !known,
                "answers": answers,
                "tokens": tokens,
                "cost": cost,
                "currency": currency,
            })
        })
        .collect();
    let total: Prediction = seconds.iter().copied().sum();
    json!({
        "workflow": plan.workflow,
        "predicted_seconds": total.json(),
        "variants": shares,
        "services": bills,
        "stages": stages,
    })
}
