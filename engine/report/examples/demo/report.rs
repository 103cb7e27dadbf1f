//! A report with everything in it; its numbers are made up.

use stagewright_contract::{Figure, FigureKind, Point, Series};
use stagewright_report::{
    Cell, Chain, Change, ChartGroup, Check, Column, Comparison, Conclusion, DataSheet, Edge, Energy, Feature, Goal,
    Graph, ModelCard, Node, Output, Panel, Parameter, Report, Row, Source, StageRow, State, Status, TablePreview,
    Variant, Verdict, Version, Work,
};

const VARIANTS: [&str; 3] = ["as-published", "honest", "hybrid"];

/// The same report after its differences were tested.
pub(crate) fn tested() -> Report {
    let mut report = report();
    report.comparisons.splice(0..1, [campaign(), sweep()]);
    report
}

/// The report of a run of three variants in which one stage failed to be needed, one warned and two checks did not
/// hold.
pub(crate) fn report() -> Report {
    Report {
        workflow: "UK spring campaign".to_owned(),
        description: Some(
            "Segments the buyers of the United Kingdom, recommends five products to each and measures how good that is."
                .to_owned(),
        ),
        run: "2026-03-14-k7f3".to_owned(),
        status: Status::Succeeded,
        started: "14 March 2026, 09:12:07 UTC".to_owned(),
        seconds: Some(41.73),
        command: "stagewright run workflows/campaign.yaml --variant as-published --variant honest --variant hybrid --set k=2"
            .to_owned(),
        problem: None,
        comparisons: vec![recommendation(), purchase()],
        variants: variants(),
        charts: charts().into_iter().map(ChartGroup::from).chain([confusions()]).collect(),
        tables: tables(),
        graph: graph(),
        stages: stages(),
        checks: checks(),
        longest_chain: Some(Chain {
            stages: ["products", "purchases", "features", "kmeans", "recommend", "evaluate"].map(str::to_owned).to_vec(),
            seconds: 27.3,
        }),
        models: vec![model()],
        sheets: sheets(),
        work: Work {
            spent_seconds: Some(46.3),
            cached_seconds: Some(61.2),
            shared_seconds: Some(17.4),
            cpu_seconds: Some(71.9),
            energy: Some(Energy { joules: 862.8, how: "Estimated: processor time at 12 W for a busy core.".to_owned() }),
        },
        sources: ["users.csv", "orders.csv", "order_items.csv", "products.csv"]
            .iter()
            .zip([17_482_113, 9_120_004, 21_000_751, 4_001_200])
            .map(|(name, bytes)| Source { name: format!("data/thelook/{name}"), bytes, digest: digest(name) })
            .collect(),
        parameters: [("country", "United Kingdom"), ("k", "2"), ("top_n", "5"), ("split_at", "2023-06-01")]
            .map(|(name, value)| Parameter { name: name.to_owned(), value: value.to_owned() })
            .to_vec(),
        seed: Some(42),
        versions: [("Stagewright", "0.1.0"), ("Store format", "1")]
            .map(|(of, version)| Version { of: of.to_owned(), version: version.to_owned() })
            .to_vec(),
        outputs: VARIANTS
            .iter()
            .map(|variant| Output {
                stage: "evaluate".to_owned(),
                port: "metrics".to_owned(),
                variant: Some((*variant).to_owned()),
                kind: "metrics".to_owned(),
                bytes: 1_204,
                digest: digest(variant),
                files: Vec::new(),
            })
            .collect(),
    }
}

/// Looks like a digest, and is different for different names.
fn digest(of: &str) -> String {
    let mut state = of
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (0..4)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{state:016x}")
        })
        .collect()
}

fn row(metric: &str, goal: Goal, values: [f64; 3]) -> Row {
    let cells = values
        .iter()
        .enumerate()
        .map(|(at, &value)| match at {
            0 => Cell { value: Some(value), ..Cell::default() },
            _ => Cell {
                value: Some(value),
                difference: Some(value - values[0]),
                relative: (values[0] != 0.0).then(|| (value - values[0]) / values[0]),
                ..Cell::default()
            },
        })
        .collect();
    Row { metric: metric.to_owned(), goal, guardrail: false, cells }
}

fn comparison(title: &str, rows: Vec<Row>, units: u64) -> Comparison {
    Comparison {
        title: Some(title.to_owned()),
        baseline: VARIANTS[0].to_owned(),
        variants: VARIANTS.map(str::to_owned).to_vec(),
        rows,
        unit: Some("user".to_owned()),
        units: Some(units),
        ..Comparison::default()
    }
}

fn recommendation() -> Comparison {
    comparison(
        "Recommendation",
        vec![
            row("ndcg@10", Goal::Maximize, [0.0412, 0.0931, 0.1077]),
            row("precision@10", Goal::Maximize, [0.0004, 0.0127, 0.0131]),
            row("recall@10", Goal::Maximize, [0.0034, 0.0611, 0.0598]),
            row("average_popularity", Goal::Minimize, [812.4, 640.2, 655.9]),
            row("items_recommended", Goal::Describe, [5447.0, 1893.0, 2210.0]),
        ],
        3_677,
    )
}

/// A metric to decide by, one that is not told apart, one with too few units, and a guardrail.
fn campaign() -> Comparison {
    let mut comparison = comparison(
        "Campaign",
        vec![
            row("conversion", Goal::Maximize, [0.0573, 0.0648, 0.0731]),
            row("spend_per_user", Goal::Maximize, [0.65, 0.77, 1.07]),
            row("unsubscribed", Goal::Minimize, [0.0113, 0.0119, 0.0161]),
        ],
        42_613,
    );
    comparison.level = Some(0.95);
    comparison.correction = Some("Holm over 6 tests".to_owned());
    comparison.rows[2].guardrail = true;
    let results = [
        [(Verdict::NoDifferenceShown, 0.0081, 0.041, 0.082), (Verdict::Better, 0.0072, 0.000_1, 0.000_6)],
        [(Verdict::Underpowered, 0.41, 0.57, 0.57), (Verdict::Better, 0.3, 0.006, 0.024)],
        [(Verdict::NoDifferenceShown, 0.0021, 0.58, 0.58), (Verdict::Worse, 0.0024, 0.000_2, 0.001)],
    ];
    for (row, results) in comparison.rows.iter_mut().zip(results) {
        let base = row.cells[0].value.unwrap_or(1.0);
        for (cell, (verdict, room, p, adjusted)) in row.cells.iter_mut().skip(1).zip(results) {
            let difference = cell.difference.unwrap_or(0.0);
            cell.verdict = Some(verdict);
            cell.interval = Some([difference - room, difference + room]);
            cell.relative_interval = cell.interval.map(|ends| ends.map(|end| end / base));
            cell.p_value = Some(p);
            cell.p_adjusted = Some(adjusted);
            cell.method = Some("Welch's t-test".to_owned());
        }
    }
    let conclude =
        |variant: &str, verdict, text: &str| Conclusion { variant: variant.to_owned(), verdict, text: text.to_owned() };
    comparison.conclusions = vec![
        conclude(
            "honest",
            Verdict::Underpowered,
            "`honest` is told apart on no metric; a lift of 31 % of `spend_per_user` would be seen with 160 000 users in each group.",
        ),
        conclude(
            "hybrid",
            Verdict::Worse,
            "`hybrid` is worse on the guardrail `unsubscribed` (+42.5 % [+21.2 %, +63.7 %]), though `conversion` is better.",
        ),
    ];
    comparison
}

/// More variants than find room beside each other.
fn sweep() -> Comparison {
    let variants: Vec<String> = (0..24)
        .map(|at| if at == 0 { "base".to_owned() } else { format!("k={}, seed={}", 2 + at % 6, at / 6) })
        .collect();
    let mut noise = noise();
    let cells = (0..24).map(|at| {
        let value = if at == 0 { 0.31 } else { 0.28 + 0.08 * noise() };
        let difference = (at > 0).then_some(value - 0.31);
        let verdict = difference.map(|difference| match difference {
            difference if difference > 0.03 => Verdict::Better,
            difference if difference < -0.02 => Verdict::Worse,
            _ => Verdict::NoDifferenceShown,
        });
        Cell {
            value: Some(value),
            difference,
            relative: difference.map(|difference| difference / 0.31),
            interval: difference.map(|difference| [difference - 0.02, difference + 0.02]),
            relative_interval: difference.map(|difference| [(difference - 0.02) / 0.31, (difference + 0.02) / 0.31]),
            verdict,
            ..Cell::default()
        }
    });
    let cells: Vec<Cell> = cells.collect();
    let conclude = |(variant, cell): (&String, &Cell)| {
        Some(Conclusion {
            variant: variant.clone(),
            verdict: cell.verdict?,
            text: format!("`{variant}` differs on `silhouette` by {:.3}.", cell.difference?),
        })
    };
    Comparison {
        title: Some("Number of segments".to_owned()),
        baseline: "base".to_owned(),
        conclusions: variants.iter().zip(&cells).filter_map(conclude).collect(),
        variants,
        rows: vec![Row { metric: "silhouette".to_owned(), goal: Goal::Maximize, guardrail: false, cells }],
        level: Some(0.95),
        ..Comparison::default()
    }
}

/// The same figure of two variants.
fn confusions() -> ChartGroup {
    let panel = |variant: &str, figure| Panel { variants: vec![variant.to_owned()], figure };
    ChartGroup {
        title: "evaluate".to_owned(),
        panels: vec![
            panel("as-published", confusion([24_016.0, 51_204.0])),
            panel("honest", confusion([39_400.0, 35_820.0])),
        ],
    }
}

fn model() -> ModelCard {
    let feature = |name: &str, personal, range| Feature {
        column: Column { name: name.to_owned(), kind: "double".to_owned(), personal },
        range,
    };
    let pair = |name: &str, value: &str| Parameter { name: name.to_owned(), value: value.to_owned() };
    ModelCard {
        stage: "purchase_model".to_owned(),
        variants: vec!["honest".to_owned(), "hybrid".to_owned()],
        learned_by: "model.gradient_boosting".to_owned(),
        task: "the probability of".to_owned(),
        target: "bought_again".to_owned(),
        trained_on: Some("split.train".to_owned()),
        rows: 2_941,
        features: vec![
            feature("days_since_last_order", false, Some((0.0, 1_412.0))),
            feature("mean_price", false, Some((2.5, 903.0))),
            feature("age", true, None),
            feature("category", false, None),
        ],
        parameters: vec![pair("trees", "200"), pair("learning_rate", "0.05"), pair("depth", "4")],
        metrics: vec![pair("scores.auc", "0.7132"), pair("scores.log_loss", "0.5822"), pair("scores.brier", "0.1987")],
        warnings: vec!["12 rows had no `category` and were put into a group of their own".to_owned()],
        digest: digest("purchase_model"),
    }
}

fn sheets() -> Vec<DataSheet> {
    let column = |name: &str, kind: &str, personal| Column { name: name.to_owned(), kind: kind.to_owned(), personal };
    vec![
        DataSheet {
            name: "users.table".to_owned(),
            uses: "ingest.csv".to_owned(),
            files: vec![Source { name: "users.csv".to_owned(), bytes: 17_482_113, digest: digest("users.csv") }],
            rows: 100_000,
            columns: vec![
                (column("id", "int64", false), 0),
                (column("first_name", "string", true), 0),
                (column("country", "string", false), 41),
            ],
        },
        DataSheet {
            name: "shop.orders".to_owned(),
            uses: "ingest.synthetic".to_owned(),
            files: Vec::new(),
            rows: 1_800,
            columns: vec![(column("order_id", "int64", false), 0)],
        },
    ]
}

fn purchase() -> Comparison {
    let mut loss = row("log_loss", Goal::Minimize, [0.6104, 0.5822, 0.5791]);
    loss.cells[2] =
        Cell { value: Some(0.5791), note: Some("not comparable: other test users".to_owned()), ..Cell::default() };
    let mut calibration = row("calibration_slope", Goal::Describe, [0.98, 1.02, 1.0]);
    calibration.cells[1] = Cell { note: Some("undefined: one class only".to_owned()), ..Cell::default() };
    comparison("Purchase prediction", vec![loss, calibration], 983_854)
}

fn variants() -> Vec<Variant> {
    let variant = |name: &str, description: &str, changes: &[(&str, &str)]| Variant {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        changes: changes
            .iter()
            .map(|(path, value)| Change { path: (*path).to_owned(), value: (*value).to_owned() })
            .collect(),
    };
    vec![
        variant("as-published", "The system as its author describes it, leakage included.", &[]),
        variant(
            "honest",
            "Splits by time and recommends by item neighbours.",
            &[("split.uses", "evaluate.split_time"), ("recommend.uses", "recommend.item_knn")],
        ),
        variant("hybrid", "The same, mixed with popularity in the segment.", &[("recommend.uses", "recommend.hybrid")]),
    ]
}

fn charts() -> Vec<Figure> {
    let ks = || (1..=10).map(f64::from);
    let curve =
        |name: &str, from: f64, decay: f64| Series::new(name, ks().map(move |k| (k, from / (1.0 + decay * (k - 1.0)))));
    let silhouettes = [
        ("K-Means", [0.4796, 0.3431, 0.3391, 0.3428]),
        ("spectral", [0.3479, 0.1639, 0.1998, 0.2224]),
        ("Ward", [0.5079, 0.2883, 0.2934, 0.2959]),
    ];
    let mut by_k: Vec<Series> = VARIANTS
        .iter()
        .zip([0.011, 0.032, 0.036])
        .map(|(name, scale)| Series::new(*name, [3.0, 5.0, 7.0, 10.0].map(|k: f64| (k, scale * k.sqrt()))))
        .collect();
    by_k[2].points[1] = Point { x: 5.0.into(), y: None };
    vec![
        Figure {
            title: "Elbow: within-cluster sum of squares by k".to_owned(),
            x_label: "k".to_owned(),
            y_label: "within-cluster sum of squares".to_owned(),
            kind: FigureKind::Line,
            series: vec![curve("K-Means", 14_708.0, 0.7)],
        },
        Figure {
            title: "Silhouette by k".to_owned(),
            x_label: "k".to_owned(),
            y_label: "mean silhouette, −1 to 1".to_owned(),
            kind: FigureKind::Line,
            series: silhouettes
                .iter()
                .map(|(name, values)| Series::new(*name, (2..=5).map(f64::from).zip(*values)))
                .collect(),
        },
        Figure {
            title: "nDCG@K by variant".to_owned(),
            x_label: "K".to_owned(),
            y_label: "nDCG@K".to_owned(),
            kind: FigureKind::Line,
            series: by_k,
        },
        Figure {
            title: "Revenue by category".to_owned(),
            x_label: "category".to_owned(),
            y_label: "revenue (£)".to_owned(),
            kind: FigureKind::Bar,
            series: vec![Series::new(
                "revenue",
                [
                    ("Outerwear & Coats", 61_204.0),
                    ("Jeans", 58_112.0),
                    ("Sweaters", 41_007.0),
                    ("Suits & Sport Coats", 30_940.0),
                    ("Fashion Hoodies & Sweatshirts", 27_811.0),
                    ("Swim", 22_190.0),
                ],
            )],
        },
        correlation(),
        confusion([24_016.0, 51_204.0]),
        prices(),
        clusters(),
        merges(),
        roc(),
        categories(),
        Figure {
            title: "Mean spend by age".to_owned(),
            x_label: "age".to_owned(),
            y_label: "£ per user".to_owned(),
            kind: FigureKind::Bar,
            series: vec![
                Series::new("cluster 0", [("under 20", 71.2), ("20–30", 77.0), ("30–40", 79.4), ("over 40", 74.9)]),
                Series::new("cluster 1", [("under 20", 210.1), ("20–30", 232.8), ("30–40", 229.7), ("over 40", 241.0)]),
            ],
        },
    ]
}

/// Numbers between 0 and 1 that look drawn by chance and are always the same.
fn noise() -> impl FnMut() -> f64 {
    let mut state = 0x2545_f491_u32;
    move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from(state) / f64::from(u32::MAX)
    }
}

fn correlation() -> Figure {
    let names = ["total_user_spent", "age", "order_frequency", "num_of_item", "sale_price", "retail_price"];
    let strength = |a: usize, b: usize| match (a.min(b), a.max(b)) {
        (a, b) if a == b => Some(1.0),
        (4, 5) => Some(0.98),
        (0, 2 | 3) => Some(0.71),
        (2, 3) => Some(0.83),
        (1, 5) => None,
        (1, b) => Some(-0.04 * b as f64),
        (a, b) => Some(0.11 * a as f64 - 0.17 * (b as f64 - 3.0)),
    };
    let row = |a: usize| Series {
        name: names[a].to_owned(),
        points: (0..names.len()).map(|b| Point { x: names[b].into(), y: strength(a, b) }).collect(),
    };
    (0..names.len()).map(row).fold(
        Figure::new(FigureKind::Heatmap, "Correlation of columns", "column", "Pearson's correlation"),
        Figure::with,
    )
}

fn confusion(negatives: [f64; 2]) -> Figure {
    let row = |name: &str, cells: [f64; 2]| Series::new(name, ["predicted no", "predicted yes"].into_iter().zip(cells));
    Figure::new(FigureKind::Heatmap, "Confusion matrix", "predicted", "rows")
        .with(row("actual no", negatives))
        .with(row("actual yes", [10_118.0, 111_433.0]))
}

fn prices() -> Figure {
    let bars = (0..11).map(|at| {
        let (low, high) = if at == 10 { (100, 200) } else { (at * 10, at * 10 + 10) };
        (
            format!("({low}, {high}]"),
            [812.0, 1_405.0, 1_288.0, 903.0, 640.0, 401.0, 277.0, 180.0, 95.0, 51.0, 108.0][at],
        )
    });
    Figure::new(FigureKind::Bar, "Distribution of mean sale_price per user", "mean sale_price per user", "users")
        .with(Series::new("count", bars))
}

fn clusters() -> Figure {
    let mut noise = noise();
    let mut cloud = |name: &str, number: usize, x: f64, y: f64| {
        let points: Vec<(f64, f64)> = (0..number)
            .map(|_| (x + 40.0 * (noise() + noise() - 1.0), (y + 90.0 * (noise() + noise() + noise() - 1.5)).max(1.0)))
            .collect();
        Series::new(name, points)
    };
    Figure::new(FigureKind::Scatter, "Spend by age", "age", "£ per user")
        .with(cloud("cluster 0", 700, 40.0, 90.0))
        .with(cloud("cluster 1", 180, 44.0, 260.0))
        .with(cloud("noise", 12, 45.0, 480.0))
}

fn merges() -> Figure {
    let mut noise = noise();
    let mut figure = Figure::new(FigureKind::Dendrogram, "Dendrogram of the last merges", "groups of rows", "distance");
    // Two trees that grow by a leaf or a pair at a time, and the joint above them.
    let mut tops = Vec::new();
    for (name, first, leaves) in [("cluster 0", 1_u32, 19_u32), ("cluster 1", 20, 8)] {
        let mut branches: Vec<(f64, f64)> = (first..first + leaves).map(|leaf| (f64::from(leaf), 0.0)).collect();
        let mut height = 6.0;
        while branches.len() > 1 {
            let at = (noise() * (branches.len() - 1) as f64) as usize;
            let (left, right) = (branches[at], branches.remove(at + 1));
            height += 1.0 + 3.0 * noise();
            let corners = [left, (left.0, height), (right.0, height), right];
            figure = figure.with(Series::new(name, corners));
            branches[at] = ((left.0 + right.0) / 2.0, height);
        }
        tops.extend(branches);
    }
    figure.with(Series::new("", [tops[0], (tops[0].0, 96.0), (tops[1].0, 96.0), tops[1]]))
}

fn roc() -> Figure {
    let curve = |bend: f64| (0..=240).map(move |at| f64::from(at) / 240.0).map(move |x| (x, x.powf(bend)));
    Figure::new(FigureKind::Line, "ROC curve", "false positive rate", "true positive rate")
        .with(Series::new("as-published", curve(0.55)))
        .with(Series::new("honest", curve(0.3)))
        .with(Series::new("chance", [(0.0, 0.0), (1.0, 1.0)]))
}

fn categories() -> Figure {
    let mut noise = noise();
    let names: Vec<String> = (1..=26).map(|at| format!("category {at}")).collect();
    (0..22)
        .map(|age| {
            let cells: Vec<f64> = names.iter().map(|_| (noise() * noise() * 90.0).round()).collect();
            Series::new(format!("{}–{}", 18 + age * 3, 21 + age * 3), names.iter().map(String::as_str).zip(cells))
        })
        .fold(Figure::new(FigureKind::Heatmap, "category by age", "category", "rows"), Figure::with)
}

fn tables() -> Vec<TablePreview> {
    let column = |name: &str, kind: &str, personal| Column { name: name.to_owned(), kind: kind.to_owned(), personal };
    let columns = vec![
        column("user_id", "int64", false),
        column("name", "utf8", true),
        column("email", "utf8", true),
        column("total_user_spent", "float64", false),
        column("age", "int64", true),
        column("order_frequency", "int64", false),
        column("favourite_category", "utf8", false),
        column("cluster", "int32", false),
    ];
    let head = (0..5)
        .map(|at| {
            vec![
                Some(format!("{}", 1_011 + at * 37)),
                Some("Ada Lovelace".to_owned()),
                Some("ada@example.org".to_owned()),
                Some(format!("{:.2}", 41.5 + 17.3 * f64::from(at))),
                Some("36".to_owned()),
                Some(format!("{}", 1 + at % 3)),
                (at != 2).then(|| "Fashion Hoodies & Sweatshirts".to_owned()),
                Some(format!("{}", at % 2)),
            ]
        })
        .collect();
    vec![
        TablePreview::new("kmeans", "segments", 3_677, columns, head),
        TablePreview::new(
            "recommend",
            "recommendations",
            18_385,
            vec![
                column("user_id", "int64", false),
                column("product_id", "int64", false),
                column("score", "float64", false),
                column("reason", "utf8", false),
            ],
            vec![
                vec![
                    Some("1011".to_owned()),
                    Some("29107".to_owned()),
                    Some("0.8713".to_owned()),
                    Some("because you bought “Levi's 501” and others who did also bought this".to_owned()),
                ],
                vec![Some("1011".to_owned()), Some("8014".to_owned()), Some("0.8441".to_owned()), None],
            ],
        )
        .variant("honest"),
        TablePreview::new("suppress", "suppressed", 0, vec![column("user_id", "int64", false)], Vec::new()),
    ]
}

/// Name, stage type, state, seconds, rows and inputs of the stages that all variants have in common.
type Common = (&'static str, &'static str, State, f64, u64, &'static [(&'static str, &'static str)]);
const COMMON: [Common; 10] = [
    ("users", "ingest.csv", State::Cached, 0.0, 100_000, &[]),
    ("orders", "ingest.csv", State::Cached, 0.0, 125_226, &[]),
    ("order_items", "ingest.csv", State::Cached, 0.0, 181_759, &[]),
    ("products", "ingest.csv", State::Executed, 0.31, 29_120, &[]),
    ("uk_users", "clean.filter", State::Cached, 0.0, 4_561, &[("users", "table")]),
    ("clean_products", "clean.drop_nulls", State::Executed, 0.04, 29_094, &[("products", "table")]),
    ("expectations", "clean.expect", State::Executed, 0.09, 6_520, &[("purchases", "table")]),
    (
        "purchases",
        "clean.join",
        State::Executed,
        0.87,
        6_520,
        &[("order_items", "items"), ("orders", "orders"), ("clean_products", "products"), ("uk_users", "users")],
    ),
    ("features", "features.aggregate", State::Executed, 0.22, 3_677, &[("purchases", "table")]),
    ("kmeans", "segment.kmeans", State::Executed, 6.4, 3_677, &[("features", "table")]),
];
/// The same for those that each variant has for itself.
const OWN: [Common; 4] = [
    ("split", "evaluate.split", State::Executed, 0.12, 6_520, &[("purchases", "table")]),
    ("recommend", "recommend.item_knn", State::Executed, 9.1, 18_385, &[("split", "train"), ("kmeans", "segments")]),
    ("evaluate", "evaluate.ranking", State::Executed, 1.4, 12, &[("recommend", "recommendations"), ("split", "test")]),
    ("messages", "generate.template", State::Executed, 0.6, 3_677, &[("recommend", "recommendations")]),
];

fn own_state(variant: &str, name: &str, state: State) -> State {
    match (variant, name) {
        ("hybrid", "split") => State::Shared,
        ("as-published", "split" | "recommend") => State::Cached,
        ("hybrid", "messages") => State::Pending,
        _ => state,
    }
}

fn graph() -> Graph {
    let mut graph = Graph::default();
    for (name, uses, state, _, _, inputs) in COMMON {
        graph.nodes.push(Node::new(name, name).detail(uses).state(state));
        graph.edges.extend(inputs.iter().map(|(from, port)| Edge::new(*from, name).label(*port)));
    }
    for variant in VARIANTS {
        for (name, uses, state, _, _, inputs) in OWN {
            let id = format!("{name}@{variant}");
            let state = own_state(variant, name, state);
            graph.nodes.push(Node::new(&id, name).detail(uses).state(state).group(variant));
            for (from, port) in inputs {
                let own = OWN.iter().any(|(name, ..)| name == from);
                let from = if own { format!("{from}@{variant}") } else { (*from).to_owned() };
                graph.edges.push(Edge::new(from, &id).label(*port));
            }
        }
    }
    graph
}

fn stages() -> Vec<StageRow> {
    let row = |(name, uses, state, seconds, rows, _): Common, variant: Option<&str>| StageRow {
        stage: name.to_owned(),
        variant: variant.map(str::to_owned),
        uses: uses.to_owned(),
        state: variant.map_or(state, |variant| own_state(variant, name, state)),
        seconds: (variant.map_or(state, |variant| own_state(variant, name, state)) == State::Executed)
            .then_some(seconds * if variant == Some("hybrid") { 1.7 } else { 1.0 }),
        rows: Some(rows),
        key: digest(&format!("{name}{variant:?}")).get(..10).map(str::to_owned),
        warnings: match name {
            "clean_products" => vec!["26 rows have no `brand` or no `name` and were dropped".to_owned()],
            _ => Vec::new(),
        },
        error: None,
    };
    let mut rows: Vec<StageRow> = COMMON.into_iter().map(|common| row(common, None)).collect();
    for variant in VARIANTS {
        rows.extend(OWN.into_iter().map(|own| row(own, Some(variant))));
    }
    rows
}

fn checks() -> Vec<Check> {
    let check = |expectation: &str, column: Option<&str>, failing: u64| Check {
        stage: "expectations".to_owned(),
        variant: None,
        expectation: expectation.to_owned(),
        column: column.map(str::to_owned),
        passed: failing == 0,
        failing: Some(failing),
        rows: Some(6_520),
    };
    vec![
        check("no value is null", Some("order_id"), 0),
        check("values are between 0 and 2 000", Some("sale_price"), 3),
        check("values are unique together", None, 0),
        check("values are one of M, F", Some("gender"), 0),
        check("no order is before its user's registration", Some("created_at"), 118),
    ]
}
