//! A layered drawing: every stage below all that it takes from, few crossings, edges nearly straight.
//!
//! The method of Sugiyama, Tagawa and Toda (1981): longest-path layers, long edges as chains of dummies, barycentre
//! sweeps for the order within a layer; then positions that minimise the squared distance to the neighbours, which
//! within one layer of fixed order is isotonic regression and so has an exact, linear solution.

use super::Graph;

/// Between two boxes side by side.
const GAP: f64 = 26.0;
/// Between an edge that passes through a layer and what is beside it.
const LANE: f64 = 16.0;
/// Between two layers.
const LAYER_GAP: f64 = 52.0;
/// Up to this many items the drawing is worth many sweeps.
const SMALL: usize = 2_000;

/// Where everything is.
pub(super) struct Layout {
    /// The centre of each node's top side.
    pub nodes: Vec<(f64, f64)>,
    /// Each edge's way in the graph's order: out of a node, through zero or more layers, into a node.
    pub edges: Vec<Option<Route>>,
    pub width: f64,
    pub height: f64,
}

/// The way of an edge.
pub(super) struct Route {
    pub start: (f64, f64),
    /// The tops of the lanes through the layers in between.
    pub lanes: Vec<(f64, f64)>,
    pub end: (f64, f64),
}

/// A node, or the place where a long edge passes through a layer.
struct Item {
    layer: usize,
    width: f64,
    node: Option<usize>,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// Lays a graph out, given how wide each node is and how high all are.
pub(super) fn layout(graph: &Graph, widths: &[f64], height: f64) -> Layout {
    let ends = graph.ends();
    let layers = layers(graph.nodes.len(), &ends);

    let mut items: Vec<Item> = layers
        .iter()
        .zip(widths)
        .enumerate()
        .map(|(at, (&layer, &width))| Item { layer, width, node: Some(at), above: Vec::new(), below: Vec::new() })
        .collect();
    let span = |&(from, to): &(usize, usize)| layers[to].saturating_sub(layers[from]);
    let lanes: usize = ends.iter().flatten().map(|ends| span(ends).saturating_sub(1)).sum();
    // A huge graph of long edges would have quadratically many lanes: there, edges go straight.
    let with_lanes = lanes <= 4 * (graph.nodes.len() + graph.edges.len()) + 1_000;

    let mut chains: Vec<Option<Vec<usize>>> = Vec::with_capacity(ends.len());
    for ends in &ends {
        let Some((from, to)) = *ends else {
            chains.push(None);
            continue;
        };
        let mut chain = vec![from];
        if span(&(from, to)) > 0 {
            if with_lanes {
                for layer in layers[from] + 1..layers[to] {
                    chain.push(items.len());
                    items.push(Item { layer, width: 0.0, node: None, above: Vec::new(), below: Vec::new() });
                }
            }
            chain.push(to);
            for pair in chain.windows(2) {
                items[pair[0]].below.push(pair[1]);
                items[pair[1]].above.push(pair[0]);
            }
        } else {
            // Only a cycle makes an edge that does not go down; it has no say in where things are.
            chain.push(to);
        }
        chains.push(Some(chain));
    }

    let order = order(&items);
    let x = positions(&items, &order);

    let top = |layer: usize| layer as f64 * (height + LAYER_GAP);
    let left = items.iter().zip(&x).map(|(item, x)| x - item.width / 2.0).fold(f64::INFINITY, f64::min);
    let right = items.iter().zip(&x).map(|(item, x)| x + item.width / 2.0).fold(f64::NEG_INFINITY, f64::max);
    let left = if left.is_finite() { left } else { 0.0 };
    let at = |item: usize| (x[item] - left, top(items[item].layer));

    let (starts, stops) = attachments(&chains, &x, widths);
    let edges = chains
        .iter()
        .enumerate()
        .map(|(edge, chain)| {
            let chain = chain.as_ref()?;
            let (&from, &to) = (chain.first()?, chain.last()?);
            let (start, end) = (at(from), at(to));
            Some(Route {
                start: (start.0 + starts[edge], start.1 + height),
                lanes: chain[1..chain.len() - 1].iter().map(|&lane| at(lane)).collect(),
                end: (end.0 + stops[edge], end.1),
            })
        })
        .collect();
    Layout {
        nodes: (0..graph.nodes.len()).map(at).collect(),
        edges,
        width: (right - left).max(0.0),
        height: match layers.iter().max() {
            Some(&last) => top(last) + height,
            None => 0.0,
        },
    }
}

/// The layer of each node: one below the lowest that it takes from. A source sits just above the first that takes
/// from it. A cycle is cut where the search meets it first.
fn layers(nodes: usize, ends: &[Option<(usize, usize)>]) -> Vec<usize> {
    let mut below = vec![Vec::new(); nodes];
    let mut waiting = vec![0_usize; nodes];
    for &(from, to) in ends.iter().flatten().filter(|(from, to)| from != to) {
        below[from].push(to);
        waiting[to] += 1;
    }
    let sources: Vec<usize> = (0..nodes).filter(|&node| waiting[node] == 0).collect();
    let mut layer = vec![0_usize; nodes];
    let mut done = vec![false; nodes];
    let mut ready = sources.clone();
    let (mut next, mut unvisited) = (0, 0);
    loop {
        let node = if let Some(&node) = ready.get(next) {
            next += 1;
            node
        } else {
            while unvisited < nodes && done[unvisited] {
                unvisited += 1;
            }
            if unvisited == nodes {
                break;
            }
            unvisited
        };
        if std::mem::replace(&mut done[node], true) {
            continue;
        }
        for &to in &below[node] {
            if !done[to] {
                layer[to] = layer[to].max(layer[node] + 1);
                waiting[to] -= 1;
                if waiting[to] == 0 {
                    ready.push(to);
                }
            }
        }
    }
    for source in sources {
        if let Some(first) = below[source].iter().map(|&to| layer[to]).min() {
            layer[source] = first.saturating_sub(1);
        }
    }
    layer
}

/// The items of each layer from left to right: barycentre sweeps, of which the one with the fewest crossings counts.
fn order(items: &[Item]) -> Vec<Vec<usize>> {
    let depth = items.iter().map(|item| item.layer + 1).max().unwrap_or(0);
    let mut order = vec![Vec::new(); depth];
    // Depth first from the top keeps what belongs together side by side from the start.
    let mut seen = vec![false; items.len()];
    let mut roots: Vec<usize> = (0..items.len()).filter(|&item| items[item].above.is_empty()).collect();
    roots.extend(0..items.len());
    for root in roots {
        let mut stack = vec![root];
        while let Some(item) = stack.pop() {
            if !std::mem::replace(&mut seen[item], true) {
                order[items[item].layer].push(item);
                stack.extend(items[item].below.iter().rev());
            }
        }
    }

    let mut place = vec![0_usize; items.len()];
    let set = |place: &mut Vec<usize>, row: &[usize]| {
        for (at, &item) in row.iter().enumerate() {
            place[item] = at;
        }
    };
    order.iter().for_each(|row| set(&mut place, row));
    let mut best = (crossings(items, &order, &place), order.clone());
    for round in 0..if items.len() <= SMALL { 24 } else { 4 } {
        let down = round % 2 == 0;
        for step in 0..depth {
            let layer = if down { step } else { depth - 1 - step };
            let mut keyed: Vec<(f64, usize)> = order[layer]
                .iter()
                .map(|&item| {
                    let beside = if down { &items[item].above } else { &items[item].below };
                    let sum: usize = beside.iter().map(|&other| place[other]).sum();
                    (if beside.is_empty() { place[item] as f64 } else { sum as f64 / beside.len() as f64 }, item)
                })
                .collect();
            // Ties are turned round in every other pair of sweeps, or they would never be tried both ways.
            if round % 4 >= 2 {
                keyed.reverse();
            }
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            order[layer] = keyed.into_iter().map(|(_, item)| item).collect();
            set(&mut place, &order[layer]);
        }
        let crossings = crossings(items, &order, &place);
        if crossings < best.0 {
            best = (crossings, order.clone());
        }
        if best.0 == 0 {
            break;
        }
    }
    best.1
}

/// How many pairs of edges cross: inversions, counted with a Fenwick tree.
fn crossings(items: &[Item], order: &[Vec<usize>], place: &[usize]) -> u64 {
    let mut crossings = 0;
    for pair in order.windows(2) {
        let mut tree = vec![0_u64; pair[1].len() + 1];
        let mut added = 0;
        for &item in &pair[0] {
            // Where lanes are left out an edge may go past the next layer; it does not count.
            let mut targets: Vec<usize> = items[item]
                .below
                .iter()
                .filter(|&&to| items[to].layer == items[item].layer + 1)
                .map(|&to| place[to])
                .collect();
            targets.sort_unstable();
            for &target in &targets {
                let (mut at, mut not_after) = (target + 1, 0);
                while at > 0 {
                    not_after += tree[at];
                    at &= at - 1;
                }
                crossings += added - not_after;
            }
            for target in targets {
                let mut at = target + 1;
                while at < tree.len() {
                    tree[at] += 1;
                    at += at & at.wrapping_neg();
                }
                added += 1;
            }
        }
    }
    crossings
}

/// Where the middle of each item is.
fn positions(items: &[Item], order: &[Vec<usize>]) -> Vec<f64> {
    let mut x = vec![0.0; items.len()];
    // Within a layer, each item's place when all are pushed together to the left.
    let mut packed = vec![0.0; items.len()];
    for row in order {
        let mut at = 0.0;
        for (index, &item) in row.iter().enumerate() {
            if let Some(&before) = index.checked_sub(1).and_then(|before| row.get(before)) {
                let lane = items[before].node.is_none() || items[item].node.is_none();
                at += (items[before].width + items[item].width) / 2.0 + if lane { LANE } else { GAP };
            }
            packed[item] = at;
        }
        for &item in row {
            x[item] = packed[item] - at / 2.0;
        }
    }
    // Straight long edges look better than straight short ones.
    let pull = |a: usize, b: usize| match (items[a].node, items[b].node) {
        (Some(_), Some(_)) => 1.0,
        (None, None) => 8.0,
        _ => 2.0,
    };
    let rounds = if items.len() <= SMALL { 24 } else { 4 };
    for round in 0..rounds {
        let both = round + 4 >= rounds;
        let down = round % 2 == 0;
        for step in 0..order.len() {
            let row = &order[if down { step } else { order.len() - 1 - step }];
            let wanted: Vec<(f64, f64)> = row
                .iter()
                .map(|&item| {
                    let above = items[item].above.iter().filter(|_| down || both);
                    let below = items[item].below.iter().filter(|_| !down || both);
                    let (mut sum, mut weight) = (0.0, 0.0);
                    for &other in above.chain(below) {
                        sum += pull(item, other) * x[other];
                        weight += pull(item, other);
                    }
                    let wanted = if weight > 0.0 { sum / weight } else { x[item] };
                    (wanted - packed[item], if weight > 0.0 { weight } else { 0.1 })
                })
                .collect();
            for (&item, shift) in row.iter().zip(isotonic(&wanted)) {
                x[item] = packed[item] + shift;
            }
        }
    }
    x
}

/// The non-decreasing values nearest to the wanted ones (value, weight): pool adjacent violators.
fn isotonic(wanted: &[(f64, f64)]) -> Vec<f64> {
    let mut pools: Vec<(f64, f64, usize)> = Vec::with_capacity(wanted.len());
    for &(value, weight) in wanted {
        let mut pool = (value, weight, 1);
        while let Some(last) = pools.pop_if(|last| last.0 > pool.0) {
            let weight = last.1 + pool.1;
            pool = ((last.0 * last.1 + pool.0 * pool.1) / weight, weight, last.2 + pool.2);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(value, _, length)| std::iter::repeat_n(value, length)).collect()
}

/// How far from the middle of its node each edge leaves and arrives, so that edges side by side do not start as one.
fn attachments(chains: &[Option<Vec<usize>>], x: &[f64], widths: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let spread = |leaving: bool| {
        let mut sides: Vec<Vec<(f64, usize)>> = vec![Vec::new(); widths.len()];
        for (edge, chain) in chains.iter().enumerate() {
            let (first, second, before, last) = match chain.as_deref() {
                Some(&[first, last]) => (first, last, first, last),
                Some(&[first, lane, last]) => (first, lane, lane, last),
                Some(&[first, second, .., before, last]) => (first, second, before, last),
                _ => continue,
            };
            let (node, towards) = if leaving { (first, second) } else { (last, before) };
            sides[node].push((x[towards], edge));
        }
        let mut offsets = vec![0.0; chains.len()];
        for (side, width) in sides.iter_mut().zip(widths) {
            side.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let steps = side.len().saturating_sub(1).max(1) as f64;
            let step = (width * 0.7 / steps).min(22.0);
            for (at, &(_, edge)) in side.iter().enumerate() {
                offsets[edge] = (at as f64 - (side.len() - 1) as f64 / 2.0) * step;
            }
        }
        offsets
    };
    (spread(true), spread(false))
}
