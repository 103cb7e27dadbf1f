#![allow(clippy::unwrap_used)]

use super::*;

fn small() -> Graph {
    Graph {
        nodes: vec![
            Node::new("users", "users").detail("ingest.csv").state(State::Cached),
            Node::new("kmeans@a", "kmeans").detail("segment.kmeans").state(State::Executed).group("k=\"2\" <b>"),
            Node::new("kmeans@b", "顧客; #1 \\ %%{").state(State::Failed).group("b"),
        ],
        edges: vec![
            Edge::new("users", "kmeans@a").label("table"),
            Edge::new("users", "kmeans@b"),
            Edge::new("users", "nowhere"),
        ],
    }
}

/// A workflow of ten thousand stages in which edges jump far.
fn huge() -> Graph {
    let count = 10_000_usize;
    let mut graph = Graph::default();
    for at in 0..count {
        graph.nodes.push(Node::new(format!("s{at}"), format!("stage {at}")).detail("a.b").state(State::Cached));
        if at > 0 {
            graph.edges.push(Edge::new(format!("s{}", at / 2), format!("s{at}")));
            graph.edges.push(Edge::new(format!("s{}", (at * 7_919) % at), format!("s{at}")));
        }
    }
    graph
}

#[test]
fn dot() {
    assert_eq!(
        small().to_dot(),
        r##"digraph stagewright {
  rankdir=TB;
  node [shape=box, style=rounded, fontname="sans-serif"];
  "users" [label="users\ningest.csv", style=rounded];
  subgraph cluster_1 {
    label="k=\"2\" <b>";
    "kmeans@a" [label="kmeans\nsegment.kmeans", style="rounded,filled", fillcolor="#d5ece7"];
  }
  subgraph cluster_2 {
    label="b";
    "kmeans@b" [label="顧客; #1 \\ %%{", style=rounded, color="#b3261e", penwidth=3];
  }
  "users" -> "kmeans@a" [label="table"];
  "users" -> "kmeans@b";
}
"##
    );
}

#[test]
fn mermaid() {
    assert_eq!(
        small().to_mermaid(),
        r#"flowchart TD
  n0["users<br/>ingest.csv"]:::cached
  subgraph g1["k#61;#34;2#34; #60;b#62;"]
    n1["kmeans<br/>segment.kmeans"]:::executed
  end
  subgraph g2["b"]
    n2["顧客#59; #35;1 #92; #37;#37;#123;"]:::failed
  end
  n0 -->|"table"| n1
  n0 --> n2
  classDef executed fill:#d5ece7,stroke:#0b6b5d,color:#12211e
  classDef cached fill:#f3f3f0,stroke:#6b6f6c,color:#1d211f
  classDef failed fill:#fbe4e1,stroke:#b3261e,stroke-width:3px,color:#410e0b
"#
    );
}

#[test]
fn svg() {
    let graph = Graph {
        nodes: vec![Node::new("a", "users"), Node::new("b", "a <\"b\">").state(State::Executed)],
        edges: vec![Edge::new("a", "b").label("table")],
    };
    let svg = graph.to_svg();
    let body = svg.split_once("</style>\n").unwrap().1;
    assert_eq!(body, SMALL_SVG);
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"sw-graph\" role=\"img\" width=\""));
    assert!(svg.contains("<title>Graph of 2 stages: 1 executed</title>"));
    assert!(!graph.to_inline_svg().contains("http"));
}

const SMALL_SVG: &str = r##"<rect class="back" width="100%" height="100%" fill="#ffffff"/>
<g transform="translate(8 8)">
<g fill="none" stroke-width="1.3" stroke-linejoin="round">
<path class="edge" stroke="#7d8885" d="M51.4 30V80.5M47.8 75L51.4 80.5L54.9 75"><title>a → b: table</title></path>
</g>
<text class="port" x="51.4" y="59.5" font-size="10.5" text-anchor="middle" fill="#59625f" stroke="#ffffff" stroke-width="4" stroke-linejoin="round" paint-order="stroke">table</text>
<g class="none" transform="translate(3.3 0)"><title>users</title><rect class="box" width="96" height="30" rx="5" fill="#ffffff" stroke="#7d8885" stroke-width="1.2"/><text class="name" x="14" y="19" font-size="13" font-weight="600" fill="#1b2220">users</text></g>
<g class="executed" transform="translate(0 82)"><title>a &lt;&quot;b&quot;&gt;, executed</title><rect class="box" width="102.7" height="30" rx="5" fill="#ffffff" stroke="#0a6a5c" stroke-width="1.5"/><path class="bar" d="M5 0H4.5V30H5A5 5 0 0 1 0 25V5A5 5 0 0 1 5 0Z" fill="#0a6a5c"/><text class="name" x="14" y="19" font-size="13" font-weight="600" fill="#1b2220">a &lt;&quot;b&quot;&gt;</text><g transform="translate(80.7 8)"><path class="sign" d="M2 7l3.2 3.2L11 3.5" fill="none" stroke="#0a6a5c" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"/></g></g>
</g>
<g class="executed" transform="translate(8 136)"><path class="sign" d="M2 7l3.2 3.2L11 3.5" fill="none" stroke="#0a6a5c" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"/><text class="detail" x="18" y="10.5" font-size="11.5" fill="#59625f">executed</text></g>
</svg>
"##;

#[test]
fn drawings_hold_every_stage_and_well_formed_text() {
    let graph = small();
    let svg = graph.to_svg();
    assert!(svg.contains("k=&quot;2&quot; &lt;b&gt;") && !svg.contains("<b>"));
    assert_eq!(svg.matches("<rect class=\"box\"").count(), 3);
    assert_eq!(svg.matches("<path class=\"edge\"").count(), 2);
    assert_eq!(svg, small().to_svg());
}

#[test]
fn stages_stand_below_what_they_take_from_and_never_on_each_other() {
    let mut graph = Graph::default();
    for at in 0..60_usize {
        graph.nodes.push(Node::new(at.to_string(), format!("stage {at}")));
        for before in [at / 2, at / 3, at.saturating_sub(7)] {
            if before < at {
                graph.edges.push(Edge::new(before.to_string(), at.to_string()));
            }
        }
    }
    let widths: Vec<f64> = (0..60).map(|at| 100.0 + f64::from(at % 5) * 20.0).collect();
    let layout = layout::layout(&graph, &widths, 40.0);
    for (from, to) in graph.ends().into_iter().flatten() {
        assert!(layout.nodes[from].1 < layout.nodes[to].1);
    }
    for a in 0..60 {
        for b in 0..a {
            let (p, q) = (layout.nodes[a], layout.nodes[b]);
            let apart = (p.0 - q.0).abs() >= (widths[a] + widths[b]) / 2.0 + 20.0 || (p.1 - q.1).abs() >= 60.0;
            assert!(apart, "{a} at {p:?} and {b} at {q:?}");
        }
        assert!(
            layout.nodes[a].0 - widths[a] / 2.0 >= -0.01 && layout.nodes[a].0 + widths[a] / 2.0 <= layout.width + 0.01
        );
    }
}

#[test]
fn a_chain_is_a_straight_line() {
    let chain = Graph {
        nodes: ["a", "b", "c"].map(|id| Node::new(id, id)).to_vec(),
        edges: vec![Edge::new("a", "b"), Edge::new("b", "c")],
    };
    let layout = layout::layout(&chain, &[100.0; 3], 40.0);
    assert!(layout.nodes.iter().all(|node| (node.0 - 50.0).abs() < 1e-9), "{:?}", layout.nodes);
    assert_eq!(layout.width, 100.0);
}

#[test]
fn stages_change_sides_where_edges_would_cross() {
    let crossed = Graph {
        nodes: ["a", "b", "c", "d"].map(|id| Node::new(id, id)).to_vec(),
        edges: vec![Edge::new("a", "d"), Edge::new("b", "c")],
    };
    let layout = layout::layout(&crossed, &[100.0; 4], 40.0);
    let x = |at: usize| layout.nodes[at].0;
    assert!((x(0) - x(1)) * (x(3) - x(2)) > 0.0, "{:?}", layout.nodes);
}

#[test]
fn cycles_loops_twins_and_nothing_at_all_are_drawn_too() {
    let node = |id: &str| Node::new(id, id);
    let cycle = Graph {
        nodes: vec![node("a"), node("b"), node("b"), node("c")],
        edges: vec![Edge::new("a", "b"), Edge::new("b", "c"), Edge::new("c", "a"), Edge::new("c", "c")],
    };
    for graph in [cycle, Graph::default(), Graph { nodes: vec![node("")], edges: vec![] }] {
        let svg = graph.to_svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(svg.matches("<rect class=\"box\"").count(), graph.nodes.len());
    }
}

#[test]
fn ten_thousand_stages_are_drawn_in_reasonable_time() {
    let graph = huge();
    let start = std::time::Instant::now();
    let svg = graph.to_svg();
    assert_eq!(svg.matches("<rect class=\"box\"").count(), 10_000);
    // It takes about a second unoptimised; quadratic work would take minutes.
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
