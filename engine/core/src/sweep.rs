//! Sweeps: one variant as written that stands for many, its members. `grid` has a member for every combination of the
//! values of its paths, `zip` for every place in its lists, `random` for every draw.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::{Entry, Node, Span, Value};
use crate::path::{OverridePath, unknown};
use crate::spec::{declared, expect_map, known_keys, whole_number};
use crate::variants::{Layer, MAX_VARIANTS};

pub(crate) const GRID: &str = "grid";
pub(crate) const ZIP: &str = "zip";
pub(crate) const RANDOM: &str = "random";
/// The keys of `random:`.
const RANDOM_KEYS: &[&str] = &["n", "seed", "draw"];
/// The ways to draw.
const DRAWS: &[&str] = &["uniform", "log_uniform", "integer", "choice"];
/// The most paths of a sweep.
const MAX_PATHS: usize = 64;
/// The longest value that a name spells out, in characters.
const MAX_LABEL: usize = 32;

/// The members of a sweep.
#[derive(Clone, Debug)]
pub(crate) struct Sweep {
    axes: Vec<Axis>,
    /// Which value of each axis a member has.
    members: Vec<Vec<usize>>,
}

/// A path and its values, each of them once.
#[derive(Clone, Debug)]
struct Axis {
    path: OverridePath,
    values: Vec<Node>,
    /// The places of the values, by their JSON.
    known: HashMap<String, usize>,
}

impl Axis {
    fn new(path: OverridePath) -> Self {
        Self { path, values: Vec::new(), known: HashMap::new() }
    }

    /// The place of a value, and whether it is new.
    fn place(&mut self, value: Node) -> (usize, bool) {
        let next = self.values.len();
        let place = *self.known.entry(value.to_json().to_string()).or_insert(next);
        if place == next {
            self.values.push(value);
        }
        (place, place == next)
    }
}

impl Sweep {
    /// The sweep of a variant, if it is one. What is wrong with it is told; then there is no sweep either.
    pub(crate) fn parse(
        variant: &Node,
        params: &[Entry],
        stages: &[Entry],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let kinds = [GRID, ZIP, RANDOM];
        let mut written = variant.entries().iter().filter(|entry| kinds.contains(&entry.key.as_str()));
        let sweep = written.next()?;
        if let Some(other) = written.next() {
            diagnostics.push(
                Diagnostic::new(
                    other.key_span,
                    format!("`{}` and `{}` stand in one variant", sweep.key, other.key),
                    "a variant is one sweep",
                )
                .with_help("declare two variants; what they share can be a third that both extend"),
            );
            return None;
        }
        let before = diagnostics.len();
        let mut paths = |node: &Node, diagnostics: &mut Diagnostics| -> Vec<(Axis, Entry)> {
            axes(node, params, stages, diagnostics)
        };
        let found = match sweep.key.as_str() {
            kind @ (GRID | ZIP) => {
                let axes = paths(&sweep.value, diagnostics);
                if sweep.value.entries().is_empty() && diagnostics.len() == before {
                    diagnostics.push(Diagnostic::new(
                        sweep.key_span,
                        format!("`{kind}` varies nothing"),
                        format!("expected `{kind}: {{ PATH: [VALUE, …] }}`"),
                    ));
                }
                if kind == GRID {
                    grid(axes, sweep.key_span, diagnostics)
                } else {
                    zip(axes, sweep.key_span, diagnostics)
                }
            }
            _ => random(&sweep.value, sweep.key_span, &mut paths, diagnostics),
        };
        found.filter(|_| diagnostics.len() == before)
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The members: what each is called, by the values that differ, and what it changes.
    pub(crate) fn members(&self) -> Vec<(String, Vec<Arc<Layer>>)> {
        let short = short_names(&self.axes);
        let labels: Vec<Vec<String>> = self.axes.iter().map(labels).collect();
        let layers: Vec<Vec<Arc<Layer>>> = self
            .axes
            .iter()
            .map(|axis| axis.values.iter().map(|value| Arc::new(axis.path.change(value.clone()))).collect())
            .collect();
        let differs = |axis: usize| self.axes[axis].values.len() > 1 || self.members.len() == 1;
        self.members
            .iter()
            .map(|places| {
                let places = || places.iter().enumerate();
                let name: Vec<String> = places()
                    .filter(|(axis, _)| differs(*axis))
                    .map(|(axis, &place)| format!("{}={}", short[axis], labels[axis][place]))
                    .collect();
                (name.join(","), places().map(|(axis, &place)| Arc::clone(&layers[axis][place])).collect())
            })
            .collect()
    }
}

/// The paths of a mapping, each with what stands under it.
fn axes(node: &Node, params: &[Entry], stages: &[Entry], diagnostics: &mut Diagnostics) -> Vec<(Axis, Entry)> {
    if !expect_map(node, "what varies", diagnostics) {
        return Vec::new();
    }
    let mut out = Vec::new();
    if let Some(entry) = node.entries().get(MAX_PATHS) {
        let label = format!("at most {MAX_PATHS} are possible");
        diagnostics.push(Diagnostic::new(entry.key_span, "too many paths vary together", label));
        return out;
    }
    for entry in node.entries() {
        match OverridePath::parse(&entry.key, entry.key_span) {
            Some(path) => {
                declared(&path.change(entry.value.clone()).params, params, diagnostics);
                out.push((Axis::new(path), entry.clone()));
            }
            None => diagnostics.push(unknown(&entry.key, entry.key_span, params, stages)),
        }
    }
    out
}

/// The values of a list, of which there must be one at least.
fn list<'a>(entry: &'a Entry, diagnostics: &mut Diagnostics) -> &'a [Node] {
    match &entry.value.value {
        Value::Seq(items) if !items.is_empty() => items,
        Value::Seq(_) => {
            diagnostics.push(Diagnostic::new(
                entry.value.span,
                format!("`{}` has no values", entry.key),
                "expected one value or more",
            ));
            &[]
        }
        _ => {
            diagnostics.push(Diagnostic::new(
                entry.value.span,
                format!("`{}` needs a list of values, this is {}", entry.key, entry.value.describe()),
                "expected `[VALUE, …]`",
            ));
            &[]
        }
    }
}

fn too_many(kind: &str, count: &str, span: Span) -> Diagnostic {
    Diagnostic::new(span, format!("`{kind}` has {count} members"), format!("at most {MAX_VARIANTS} are possible"))
}

fn grid(axes: Vec<(Axis, Entry)>, span: Span, diagnostics: &mut Diagnostics) -> Option<Sweep> {
    let mut count: u128 = 1;
    let mut filled = Vec::with_capacity(axes.len());
    for (mut axis, entry) in axes {
        for value in list(&entry, diagnostics) {
            if !axis.place(value.clone()).1 {
                diagnostics.push(Diagnostic::new(
                    value.span,
                    format!("a value of `{}` stands twice in its list", entry.key),
                    "the second one",
                ));
            }
        }
        count = count.saturating_mul(axis.values.len() as u128);
        filled.push(axis);
    }
    if count > MAX_VARIANTS as u128 {
        diagnostics.push(too_many(GRID, &count.to_string(), span));
        return None;
    }
    // The last path varies fastest, as in nested loops.
    let mut members: Vec<Vec<usize>> = vec![Vec::new()];
    for axis in &filled {
        members = members
            .iter()
            .flat_map(|before| (0..axis.values.len()).map(|place| before.iter().copied().chain([place]).collect()))
            .collect();
    }
    Some(Sweep { axes: filled, members })
}

fn zip(axes: Vec<(Axis, Entry)>, span: Span, diagnostics: &mut Diagnostics) -> Option<Sweep> {
    let mut members: Vec<Vec<usize>> = Vec::new();
    let mut filled = Vec::with_capacity(axes.len());
    let mut lengths: Vec<(String, usize)> = Vec::with_capacity(axes.len());
    let mut rows: Vec<Span> = Vec::new();
    for (mut axis, entry) in axes {
        let values = list(&entry, diagnostics);
        lengths.push((entry.key.clone(), values.len()));
        if filled.is_empty() {
            members = vec![Vec::new(); values.len()];
            rows = values.iter().map(|value| value.span).collect();
        }
        for (member, value) in members.iter_mut().zip(values) {
            member.push(axis.place(value.clone()).0);
        }
        filled.push(axis);
    }
    let (_, first) = lengths.first()?;
    if lengths.iter().any(|(_, length)| length != first) {
        let lengths: Vec<String> = lengths.iter().map(|(path, length)| format!("`{path}` has {length}")).collect();
        diagnostics.push(Diagnostic::new(span, "the lists of `zip` have different lengths", lengths.join(", ")));
        return None;
    }
    if members.len() > MAX_VARIANTS {
        diagnostics.push(too_many(ZIP, &members.len().to_string(), span));
        return None;
    }
    let mut seen = HashSet::new();
    for (member, span) in members.iter().zip(rows) {
        if !seen.insert(member) {
            diagnostics.push(Diagnostic::new(span, "two members of `zip` have the same values", "the second one"));
        }
    }
    Some(Sweep { axes: filled, members })
}

/// How a value is drawn.
enum Draw {
    Uniform(f64, f64),
    LogUniform(f64, f64),
    Integer(i64, i64),
    Choice(Vec<Node>),
}

/// Reads a mapping from paths to what stands under them.
type ReadPaths<'a> = dyn FnMut(&Node, &mut Diagnostics) -> Vec<(Axis, Entry)> + 'a;

fn random(node: &Node, span: Span, paths: &mut ReadPaths<'_>, diagnostics: &mut Diagnostics) -> Option<Sweep> {
    if !expect_map(node, "`random`", diagnostics) {
        return None;
    }
    known_keys(node, RANDOM_KEYS, "`random`", diagnostics);
    let missing = |key: &str, expected: &str| {
        Diagnostic::new(span, format!("`random` needs `{key}`"), format!("expected `{key}: {expected}`"))
    };
    let n = match node.get("n") {
        Some(n) => whole_number(n, "n", 1, MAX_VARIANTS as u64, diagnostics).unwrap_or(1),
        None => {
            diagnostics.push(missing("n", "HOW_MANY"));
            1
        }
    };
    let seed = node.get("seed").map_or(Some(42), |seed| whole_number(seed, "seed", 0, u64::MAX, diagnostics));
    let draw = node.get("draw").filter(|draw| **draw != Node { value: Value::Map(Vec::new()), ..**draw });
    let Some(draw) = draw else {
        diagnostics.push(missing("draw", "{ PATH: { uniform: [FROM, TO] } }"));
        return None;
    };
    let axes = paths(draw, diagnostics);
    if axes.is_empty() {
        return None; // Its paths were complained about.
    }
    let mut filled = Vec::with_capacity(axes.len());
    let mut draws = Vec::with_capacity(axes.len());
    for (axis, entry) in axes {
        draws.push((Draw::parse(&entry, diagnostics)?, entry));
        filled.push(axis);
    }
    let (n, seed) = (usize::try_from(n).unwrap_or(1), seed?);
    let mut members: Vec<Vec<usize>> = Vec::with_capacity(n);
    let mut seen = HashSet::new();
    // Members differ: what was drawn before is drawn again.
    for attempt in 0..(100 * n as u64 + 1_000) {
        if members.len() == n {
            break;
        }
        let member: Vec<usize> = filled
            .iter_mut()
            .zip(&draws)
            .map(|(axis, (draw, entry))| {
                let value = draw.value(bits(seed, attempt, &entry.key), &entry.value);
                axis.place(value).0
            })
            .collect();
        if seen.insert(member.clone()) {
            members.push(member);
        }
    }
    if members.len() < n {
        diagnostics.push(
            Diagnostic::new(
                span,
                format!("`random` finds {} different members instead of {n}", members.len()),
                "what it draws from is too small",
            )
            .with_help("ask for fewer, or list all combinations with `grid`"),
        );
        return None;
    }
    Some(Sweep { axes: filled, members })
}

/// The chance in a draw. It depends on the path and not on the others, so that a path that is added leaves the values of
/// those before it alone, and a larger `n` keeps the first members.
fn bits(seed: u64, attempt: u64, path: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"stagewright random 1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&attempt.to_le_bytes());
    hasher.update(path.as_bytes());
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

impl Draw {
    fn parse(entry: &Entry, diagnostics: &mut Diagnostics) -> Option<Self> {
        let node = &entry.value;
        let expected = || {
            Diagnostic::new(
                node.span,
                format!("how `{}` is drawn is not clear", entry.key),
                "expected one of `{ uniform: [FROM, TO] }`, `{ log_uniform: [FROM, TO] }`, `{ integer: [FROM, TO] }`, \
                 `{ choice: [VALUE, …] }`",
            )
        };
        let [how] = node.entries() else {
            diagnostics.push(expected());
            return None;
        };
        let number = |node: &Node| match node.value {
            Value::Int(value) => Some(value as f64),
            Value::UInt(value) => Some(value as f64),
            Value::Float(value) if value.is_finite() => Some(value),
            _ => None,
        };
        let integer = |node: &Node| match node.value {
            Value::Int(value) => Some(value),
            _ => None,
        };
        let items = match &how.value.value {
            Value::Seq(items) => items.as_slice(),
            _ => &[],
        };
        let range = |what: &str| {
            Diagnostic::new(
                how.value.span,
                format!("`{}` needs a range", how.key),
                format!("expected `[FROM, TO]`: {what}"),
            )
        };
        let found = match (how.key.as_str(), items) {
            ("choice", []) => {
                diagnostics.push(Diagnostic::new(
                    how.value.span,
                    "`choice` needs a list of values",
                    "expected `[VALUE, …]`",
                ));
                return None;
            }
            ("choice", values) => Some(Self::Choice(values.to_vec())),
            ("uniform", [from, to]) => match (number(from), number(to)) {
                (Some(from), Some(to)) if from < to && (to - from).is_finite() => Some(Self::Uniform(from, to)),
                _ => None,
            },
            ("log_uniform", [from, to]) => match (number(from), number(to)) {
                (Some(from), Some(to)) if 0.0 < from && from < to => Some(Self::LogUniform(from, to)),
                _ => None,
            },
            ("integer", [from, to]) => match (integer(from), integer(to)) {
                (Some(from), Some(to)) if from <= to => Some(Self::Integer(from, to)),
                _ => None,
            },
            (known, _) if DRAWS.contains(&known) => None,
            (other, _) => {
                diagnostics.push(
                    Diagnostic::new(how.key_span, format!("there is no way to draw called `{other}`"), "unknown key")
                        .suggest(other, DRAWS.iter().copied()),
                );
                return None;
            }
        };
        if found.is_none() {
            diagnostics.push(range(match how.key.as_str() {
                "uniform" => "two numbers, the smaller one first",
                "log_uniform" => "two numbers above 0, the smaller one first",
                _ => "two integers, the smaller one first; both may be drawn",
            }));
        }
        found
    }

    /// The value that 64 random bits stand for. Numbers with a fraction are rounded to what a name can hold: a step is
    /// at most a ten-thousandth of the range, or four digits where the logarithm is uniform.
    fn value(&self, bits: u64, node: &Node) -> Node {
        let share = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        // Exact: the decimal text of a number and the number of a decimal text are.
        let value = match self {
            Self::Uniform(from, to) => {
                let exponent: i32 =
                    format!("{:e}", to - from).split_once('e').and_then(|(_, text)| text.parse().ok()).unwrap_or(0);
                let decimals = usize::try_from(4 - exponent).unwrap_or(0);
                let drawn = from + (to - from) * share;
                Value::Float(format!("{drawn:.decimals$}").parse().unwrap_or(drawn).clamp(*from, *to))
            }
            Self::LogUniform(from, to) => {
                // Not the system's logarithm, which differs from machine to machine.
                let (low, high) = (libm::log(*from), libm::log(*to));
                let drawn = libm::exp(low + (high - low) * share);
                Value::Float(format!("{drawn:.3e}").parse().unwrap_or(drawn).clamp(*from, *to))
            }
            Self::Integer(from, to) => {
                let count = (i128::from(*to) - i128::from(*from) + 1).unsigned_abs();
                let drawn = i128::from(*from) + scaled(bits, count).cast_signed();
                Value::Int(i64::try_from(drawn).unwrap_or(*from))
            }
            Self::Choice(values) => {
                let place = usize::try_from(scaled(bits, values.len() as u128)).unwrap_or(0);
                return values.get(place).unwrap_or(node).clone();
            }
        };
        Node { value, span: node.span, base: node.base }
    }
}

/// A number below `count`, each with the same chance to 1 in 2⁶⁴.
fn scaled(bits: u64, count: u128) -> u128 {
    (u128::from(bits) * count) >> 64
}

/// What names call each axis: the last part of its path, and as many before it as tell it from the others.
fn short_names(axes: &[Axis]) -> Vec<String> {
    let telling: Vec<Vec<&str>> = axes.iter().map(|axis| axis.path.telling()).collect();
    let last = |of: usize, count: usize| {
        let names = &telling[of];
        names[names.len().saturating_sub(count)..].join(".")
    };
    let deepest = telling.iter().map(Vec::len).max().unwrap_or(1);
    (0..axes.len())
        .map(|at| {
            let alone =
                |count: &usize| (0..axes.len()).all(|other| other == at || last(other, *count) != last(at, *count));
            let name = last(at, (1..=deepest).find(alone).unwrap_or(deepest));
            let alone = (0..axes.len()).all(|other| other == at || telling[other] != telling[at]);
            // `stages.a.uses` beside `stages.a.with.uses` is the rare case.
            plain(&if alone { name } else { format!("{name}.{at}") })
        })
        .collect()
}

/// What names call the values of an axis, each by another name.
fn labels(axis: &Axis) -> Vec<String> {
    // Of the names of types, what is after the dot, where that tells them apart.
    let last = |node: &Node| node.as_str().map(|name| name.rsplit('.').next().unwrap_or(name).to_owned());
    let lasts: HashSet<Option<String>> = axis.values.iter().map(last).collect();
    let shorten = axis.path.is_type() && lasts.len() == axis.values.len();
    let mut taken = HashSet::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    axis.values
        .iter()
        .map(|value| {
            let text = match last(value).filter(|_| shorten) {
                Some(name) => plain(&name),
                None => plain(&label(value)),
            };
            let count = counts.entry(text.clone()).or_default();
            loop {
                *count += 1;
                let label = if *count == 1 { text.clone() } else { format!("{text}-{count}") };
                if taken.insert(label.clone()) {
                    return label;
                }
            }
        })
        .collect()
}

fn label(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        // The shortest text that gives the number again.
        Value::Float(value) => format!("{value:?}").trim_end_matches(".0").to_owned(),
        Value::Str(text) => text.clone(),
        Value::Seq(items) => items.iter().map(label).collect::<Vec<_>>().join("+"),
        Value::Map(entries) => {
            entries.iter().map(|entry| format!("{}-{}", entry.key, label(&entry.value))).collect::<Vec<_>>().join("+")
        }
    }
}

/// A text as a name may hold it: neither a shell nor a pattern takes any of its characters for something else.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+') {
            out.push(c);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    let out: String = out.trim_matches('_').chars().take(MAX_LABEL).collect();
    if out.is_empty() { "_".to_owned() } else { out }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
