//! What the stages compute, against references from scikit-learn 1.6, and what they refuse.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::heaps;
use polars::prelude::*;
use serde_json::{Value, json};
use stagewright_contract::testkit::{Done, Trial};
use stagewright_contract::{FigureKind, Goal, Stage, StageError, StageType, X};
use stagewright_frame::testkit::{frame, table};
use stagewright_segment::{
    Compare, Dbscan, Distribution, GaussianMixture, Hierarchical, Kmeans, MinibatchKmeans, Profile, Spectral,
};

fn run<S: Stage>(params: Value, input: &DataFrame) -> Done {
    Trial::new::<S>(params).input("table", table(input.clone())).run().unwrap()
}

fn error<S: Stage>(params: Value, input: &DataFrame) -> StageError {
    Trial::new::<S>(params).input("table", table(input.clone())).run().unwrap_err()
}

fn refused<S: Stage>(params: Value) -> String {
    Trial::new::<S>(params).check().unwrap_err().to_string()
}

fn floats(done: &Done, port: &str, name: &str) -> Vec<Option<f64>> {
    frame(&done.table(port)).column(name).unwrap().f64().unwrap().iter().collect()
}

fn ints(done: &Done, port: &str, name: &str) -> Vec<i64> {
    frame(&done.table(port)).column(name).unwrap().i64().unwrap().iter().flatten().collect()
}

fn names(done: &Done, port: &str) -> Vec<String> {
    done.table(port).names().map(str::to_owned).collect()
}

fn close(found: &[Option<f64>], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found.unwrap() / expected - 1.0).abs() < tolerance, "{found:?} {expected}");
    }
}

#[test]
fn clusters_are_those_of_scikit_learn() {
    let done = run::<Kmeans>(json!({ "columns": ["a", "b", "c"], "k": 4, "k_max": 5, "n_init": 30 }), &heaps());
    // KMeans(k, n_init=200).fit(StandardScaler().fit_transform(x)).inertia_ and silhouette_score
    let wcss = [899.9999999999999, 472.2568926470098, 245.4883592612257, 172.61525097069762, 134.6125336089684];
    let silhouette = [0.5156985325141146, 0.5160313340620546, 0.44847113960229135, 0.4655589931444664];
    assert_eq!(ints(&done, "elbow", "k"), [1, 2, 3, 4, 5]);
    close(&floats(&done, "elbow", "wcss"), &wcss, 1e-12);
    assert_eq!(ints(&done, "silhouettes", "k"), [2, 3, 4, 5]);
    close(&floats(&done, "silhouettes", "silhouette"), &silhouette, 1e-12);

    // np.bincount(labels_) and x[labels_ == i].mean(0), largest first
    assert_eq!(names(&done, "centers"), ["cluster", "size", "a", "b", "c"]);
    assert_eq!(ints(&done, "centers", "cluster"), [0, 1, 2, 3]);
    assert_eq!(ints(&done, "centers", "size"), [94, 88, 60, 58]);
    let a = [3.7032971406815736, 3.1810032978787417, 10.568211929795009, 2.4709417996552254];
    let c = [219.84762778699428, 65.82540102927845, 243.13927432468327, 372.8114095336673];
    close(&floats(&done, "centers", "a"), &a, 1e-12);
    close(&floats(&done, "centers", "c"), &c, 1e-12);

    assert_eq!(names(&done, "table"), ["name", "a", "b", "c", "cluster"]);
    let labels = ints(&done, "table", "cluster");
    assert_eq!([0, 1, 2, 3].map(|cluster| labels.iter().filter(|label| **label == cluster).count()), [94, 88, 60, 58]);

    let metrics = done.metrics("metrics");
    let metric = |name: &str| (metrics.values[name].value.unwrap(), metrics.values[name].goal);
    assert_eq!(metric("k"), (4.0, Goal::Describe));
    assert_eq!(metric("wcss"), (floats(&done, "elbow", "wcss")[3].unwrap(), Goal::Minimize));
    assert_eq!(metric("silhouette"), (floats(&done, "silhouettes", "silhouette")[2].unwrap(), Goal::Maximize));
    assert_eq!(metric("iterations").1, Goal::Describe);
    assert_eq!(done.warnings, [""; 0]);
}

#[test]
fn unscaled_clusters_are_those_of_scikit_learn() {
    let params = json!({ "columns": ["a", "b", "c"], "k": 4, "k_max": 5, "n_init": 30, "standardize": false });
    let done = run::<Kmeans>(params, &heaps());
    // KMeans(k, n_init=200).fit(x).inertia_; from k = 3 on only one start in 25 to 125 ends there (in scikit-learn,
    // too), and several optima lie within a thousandth.
    let wcss = [4864517.751977737, 1803683.18277694, 911210.7528291516, 658430.5343639124, 519129.97488518496];
    let found = floats(&done, "elbow", "wcss");
    close(&found[..2], &wcss[..2], 1e-12);
    close(&found[2..], &wcss[2..], 1e-3);
}

#[test]
fn the_number_of_clusters_is_chosen_by_silhouette() {
    let chosen = |params: Value| run::<Kmeans>(params, &heaps()).metrics("metrics").values["k"].value.unwrap();
    assert_eq!(chosen(json!({ "columns": ["a", "b", "c"], "k_max": 5 })), 3.0);
    assert_eq!(chosen(json!({ "columns": ["a", "b", "c"], "k_min": 4, "k_max": 5 })), 5.0);
}

#[test]
fn a_k_beyond_k_max_is_found_but_not_tabled() {
    let done = run::<Kmeans>(json!({ "columns": ["a", "b", "c"], "k": 4, "k_max": 1, "n_init": 30 }), &heaps());
    assert_eq!(ints(&done, "elbow", "k"), [1]);
    assert_eq!(ints(&done, "silhouettes", "k"), [] as [i64; 0]);
    let silhouette = done.metrics("metrics").values["silhouette"].value;
    close(&[silhouette], &[0.44847113960229135], 1e-12);

    let one = run::<Kmeans>(json!({ "columns": ["a"], "k": 1, "k_max": 1 }), &heaps());
    assert_eq!(ints(&one, "centers", "size"), [300]);
    assert_eq!(one.metrics("metrics").values["silhouette"].value, None);
}

#[test]
fn fewer_distinct_rows_than_clusters_are_a_warning() {
    let input = df!("x" => [1i64, 1, 2, 2, 3], "y" => [0i64, 0, 0, 0, 0]).unwrap();
    let done = run::<Kmeans>(json!({ "columns": ["x", "y"], "k": 4, "k_max": 5 }), &input);
    assert_eq!(
        done.warnings,
        ["only 3 of 4 clusters have rows: there are too few distinct rows, or `max_iter` is too small"]
    );
    // Equal sizes are ordered by center.
    assert_eq!(ints(&done, "table", "cluster"), [0, 0, 1, 1, 2]);
    assert_eq!(floats(&done, "elbow", "wcss")[2..], [Some(0.0); 3]);
    assert_eq!(floats(&done, "silhouettes", "silhouette")[2..], [None; 2]);
    assert_eq!(done.metrics("metrics").values["k"].value, Some(3.0));

    let equal = df!("x" => [1.5, 1.5, 1.5]).unwrap();
    let done = run::<Kmeans>(json!({ "columns": ["x"] }), &equal);
    assert_eq!(done.warnings, ["there are too few distinct rows to choose a number of clusters: all are one"]);
    assert_eq!(ints(&done, "table", "cluster"), [0; 3]);
    assert_eq!(floats(&done, "centers", "x"), [Some(1.5)]);
}

#[test]
fn a_sampled_silhouette_is_near_the_exact_one() {
    let params = json!({ "columns": ["a", "b", "c"], "k": 3, "k_max": 4, "sample_size": 150 });
    let done = run::<Kmeans>(params, &heaps());
    assert_eq!(done.warnings, [""; 0]);
    let sampled = done.metrics("metrics").values["silhouette"].value.unwrap();
    assert!((sampled - 0.516).abs() < 0.05 && (sampled - 0.5160313340620546).abs() > 1e-9, "{sampled}");
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let input = heaps();
    let bytes = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run::<Kmeans>(json!({ "columns": ["a", "b", "c"], "n_init": 3 }), &input).bytes())
    };
    assert_eq!(bytes(1), bytes(4));
}

#[test]
fn extreme_values_are_scaled_or_refused() {
    let input = df!("x" => [1e300, -1e300, 1e300, 1.0], "y" => [f64::MAX, f64::MIN, 0.0, 1.0]).unwrap();
    let done = run::<Kmeans>(json!({ "columns": ["x", "y"], "k": 2, "k_max": 3 }), &input);
    assert!(floats(&done, "centers", "y").iter().all(|center| center.unwrap().is_finite()));
    let refusal = error::<Kmeans>(json!({ "columns": ["x"], "k": 2, "standardize": false }), &input);
    assert_eq!(refusal.message, "column `x` has a value beyond 1e100, too large to square");
}

#[test]
fn every_row_needs_its_features() {
    let input = df!("x" => [Some(1.0), None, Some(f64::NAN), Some(f64::INFINITY), Some(2.0)]).unwrap();
    let missing = error::<Kmeans>(json!({ "columns": ["x"], "k": 2 }), &input);
    assert_eq!(missing.message, "3 of 5 rows have no finite number in column `x`, every row needs one");
    assert_eq!(
        missing.help.as_deref(),
        Some("fill them with `clean.fill`, or leave those rows out with `clean.drop_nulls` or `clean.filter`")
    );
    let empty = error::<Kmeans>(json!({ "columns": ["a"], "k": 2 }), &heaps().head(Some(0)));
    assert_eq!(empty.message, "there are no rows to cluster");
    let text = error::<Kmeans>(json!({ "columns": ["name"], "k": 2 }), &heaps());
    assert_eq!(text.message, "column `name` is str, a number is needed");
    let taken = error::<Kmeans>(json!({ "columns": ["a"], "k": 2, "into": "b" }), &heaps());
    assert_eq!(taken.message, "there is a column `b` already");
}

#[test]
fn kmeans_params_are_checked() {
    for (params, expected) in [
        (json!({ "columns": [] }), "columns: no column to cluster by is named"),
        (json!({ "columns": ["a", "a"] }), "columns/1: `a` is named twice"),
        (json!({ "columns": ["a", "size"] }), "columns/1: `size` is another column of the output `centers`"),
        (json!({ "columns": ["a"], "into": "a" }), "columns/0: `a` is another column of the output `centers`"),
        (json!({ "columns": ["a"], "into": "size" }), "into: `size` is another column of the output `centers`"),
        (json!({ "columns": ["a"], "k_min": 5, "k_max": 4 }), "k_max: the largest number of clusters is below `k_min`"),
    ] {
        assert_eq!(refused::<Kmeans>(params), expected);
    }
}

#[test]
fn clusters_are_profiled() {
    let input = df!(
        "cluster" => [Some("b"), Some("a"), Some("b"), None, Some("b")],
        "age" => [Some(20i64), Some(30), None, Some(99), Some(40)],
        "spent" => [Some(1.0), Some(f64::NAN), Some(2.0), Some(3.0), Some(6.0)],
        "city" => ["x", "y", "x", "y", "x"],
    )
    .unwrap();
    let done = run::<Profile>(json!({}), &input);
    assert_eq!(done.warnings, ["1 row has no `cluster`: left out"]);
    assert_eq!(names(&done, "table"), ["cluster", "size", "share", "age", "spent"]);
    let clusters = frame(&done.table("table"));
    assert_eq!(clusters.column("cluster").unwrap().str().unwrap().iter().collect::<Vec<_>>(), [Some("a"), Some("b")]);
    assert_eq!(ints(&done, "table", "size"), [1, 3]);
    assert_eq!(floats(&done, "table", "share"), [Some(0.25), Some(0.75)]);
    assert_eq!(floats(&done, "table", "age"), [Some(30.0), Some(30.0)]);
    assert_eq!(floats(&done, "table", "spent"), [None, Some(3.0)]);

    let only = run::<Profile>(json!({ "columns": ["spent"] }), &input);
    assert_eq!(names(&only, "table"), ["cluster", "size", "share", "spent"]);
    assert_eq!(
        refused::<Profile>(json!({ "columns": ["cluster"] })),
        "columns/0: `cluster` is another column of the output"
    );
    assert_eq!(refused::<Profile>(json!({ "cluster": "size" })), "cluster: `size` is another column of the output");
    let infinite = df!("cluster" => [1i64, 2], "x" => [1.0, f64::INFINITY]).unwrap();
    assert_eq!(
        error::<Profile>(json!({}), &infinite).message,
        "1 of 2 rows have an infinite value in column `x`, finite numbers are needed"
    );
}

/// What the plan hears of the outputs when `personal` columns come in.
fn personal<S: Stage>(params: &Value, personal: &[&str]) -> Vec<(String, Vec<String>)> {
    let stage = StageType::of::<S>("test").configure(params).unwrap();
    let inputs = [("table".to_owned(), personal.iter().map(|name| (*name).to_owned()).collect())].into();
    stage.personal(&inputs).into_iter().map(|(port, names)| (port, names.into_iter().collect())).collect()
}

#[test]
fn only_features_are_personal_in_centers() {
    let params = json!({ "columns": ["age", "spent"] });
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let expected = vec![("centers".to_owned(), names(&["age"])), ("table".to_owned(), names(&["age", "email"]))];
    assert_eq!(personal::<Kmeans>(&params, &["age", "email"]), expected);
    assert_eq!(personal::<Hierarchical>(&params, &["age", "email"]), expected);
    assert_eq!(personal::<Spectral>(&params, &["age", "email"]), expected);
    let table = |expected: &[&str]| vec![("table".to_owned(), names(expected))];
    assert_eq!(personal::<Distribution>(&json!({ "column": "brand" }), &["age", "cluster"]), table(&["cluster"]));
}

#[test]
fn kmeans_figures_show_its_tables() {
    let done = run::<Kmeans>(json!({ "columns": ["a", "b", "c"], "k": 3, "k_max": 4, "n_init": 2 }), &heaps());
    for (port, of, column) in [("elbow_figure", "elbow", "wcss"), ("silhouette_figure", "silhouettes", "silhouette")] {
        let figure = done.figure(port);
        assert_eq!(figure.kind, FigureKind::Line);
        let points = &figure.series[0].points;
        assert_eq!(points.iter().map(|point| point.y).collect::<Vec<_>>(), floats(&done, of, column));
        let first = ints(&done, of, "k")[0] as f64;
        assert_eq!(points[0].x, X::Number(first));
    }
}

#[test]
fn hierarchical_clusters_are_those_of_scipy() {
    // fcluster(linkage(StandardScaler().fit_transform(x), method), k, "maxclust"): sizes for k = 5, silhouettes for k
    // from 2 to 5; and the distances of the last three merges.
    for (method, sizes, silhouettes, distances) in [
        (
            "ward",
            [85, 60, 60, 55, 40],
            [0.5156985325141146, 0.5185171702805078, 0.4457153851011597, 0.46027542852570225],
            [12.020793994057335, 21.22854173938649, 29.24869594881077],
        ),
        (
            "average",
            [80, 60, 60, 60, 40],
            [0.5156985325141146, 0.5185171702805078, 0.42823742643848706, 0.45134267750099544],
            [1.5814996742467011, 2.4581425717085925, 3.3031263809484743],
        ),
        (
            "complete",
            [94, 86, 60, 38, 22],
            [0.5156985325141146, 0.5185171702805078, 0.43877589760639496, 0.3865974462447983],
            [3.0600194336016138, 4.572659910897639, 5.150879631077239],
        ),
        (
            "single",
            [180, 60, 48, 10, 2],
            [0.5156985325141146, 0.5185171702805078, 0.4697323654593964, 0.450580716245247],
            [0.46404809863980545, 0.6014372954137487, 1.5860862118510493],
        ),
    ] {
        let params = json!({ "columns": ["a", "b", "c"], "linkage": method, "k": 5, "k_max": 5 });
        let done = run::<Hierarchical>(params, &heaps());
        assert_eq!(ints(&done, "centers", "size"), sizes, "{method}");
        close(&floats(&done, "silhouettes", "silhouette"), &silhouettes, 1e-12);
        let merges = floats(&done, "merges", "distance");
        close(&merges[296..], &distances, 1e-12);
        assert_eq!(ints(&done, "merges", "size")[298], 300);
        assert_eq!(done.warnings, [""; 0]);
    }
    let done = run::<Hierarchical>(json!({ "columns": ["a", "b", "c"] }), &heaps());
    assert_eq!(done.metrics("metrics").values["k"].value, Some(3.0));
    assert_eq!(names(&done, "table"), ["name", "a", "b", "c", "cluster"]);
    // The last two merges are above all clusters, the other 28 that are drawn within one.
    let figure = done.figure("dendrogram");
    assert_eq!(figure.kind, FigureKind::Dendrogram);
    let named = |name: &str| figure.series.iter().filter(|series| series.name == name).count();
    assert_eq!((figure.series.len(), named("")), (30, 2));
    assert_eq!(["cluster 0", "cluster 1", "cluster 2"].map(named).iter().sum::<usize>(), 28);
}

#[test]
fn a_cut_between_equal_merges_is_a_warning() {
    let input = df!("x" => [0i64, 1, 2, 3, 9]).unwrap();
    let params = json!({ "columns": ["x"], "linkage": "single", "k": 3, "k_max": 4, "standardize": false });
    let done = run::<Hierarchical>(params, &input);
    assert_eq!(
        done.warnings,
        ["there are 2 clusters instead of 3: no cut of the tree gives 3, since merges at the same distance are \
             undone together"]
    );
    assert_eq!(ints(&done, "table", "cluster"), [0, 0, 0, 0, 1]);
    let silhouettes = floats(&done, "silhouettes", "silhouette");
    assert!(silhouettes[0].is_some() && silhouettes[1..] == [None; 2], "{silhouettes:?}");
    let many = df!("x" => (0..30_001i64).collect::<Vec<_>>()).unwrap();
    let refusal = error::<Hierarchical>(json!({ "columns": ["x"] }), &many);
    assert_eq!(refusal.message, "there are 30001 rows, hierarchical clustering takes at most 30000");
    assert_eq!(refusal.help.as_deref(), Some("use `segment.kmeans`, or cluster a sample of the rows"));
}

#[test]
fn spectral_clusters_are_those_of_scikit_learn() {
    // One of the heaps is a component of its own. SpectralClustering(3, affinity="nearest_neighbors")
    let done = run::<Spectral>(json!({ "columns": ["a", "b", "c"], "k": 3, "k_max": 4 }), &heaps());
    assert_eq!(ints(&done, "centers", "size"), [180, 60, 60]);
    let warning =
        "the graph of nearest neighbours falls into 2 components; more neighbours (`n_neighbors`) may join them";
    assert_eq!(done.warnings, [warning]);
    close(&floats(&done, "silhouettes", "silhouette")[1..2], &[0.5185171702805078], 1e-12);
    let metrics = done.metrics("metrics");
    assert_eq!(metrics.values["components"].value, Some(2.0));
    assert_eq!(metrics.values["k"].value, Some(3.0));
    // The heap in two: [90, 90, 60, 60] and 0.4620693411932238 of theirs.
    let four = floats(&done, "silhouettes", "silhouette")[2].unwrap();
    assert!((four - 0.462).abs() < 0.02, "{four}");
}

#[test]
fn values_are_counted_in_each_cluster() {
    let input = df!(
        "cluster" => [Some(0i64), Some(1), Some(0), Some(0), None, Some(1)],
        "brand" => [Some("b"), Some("a"), Some("a"), Some("c"), Some("a"), None],
    )
    .unwrap();
    let done = run::<Distribution>(json!({ "column": "brand", "top": 2 }), &input);
    assert_eq!(done.warnings, ["2 rows have no `cluster` or no `brand`: left out"]);
    assert_eq!(names(&done, "table"), ["cluster", "value", "count", "share"]);
    let rows = frame(&done.table("table"));
    let values: Vec<_> = rows.column("value").unwrap().str().unwrap().iter().flatten().map(str::to_owned).collect();
    assert_eq!(values, ["a", "b", "a", "b"]);
    assert_eq!(ints(&done, "table", "cluster"), [0, 0, 1, 1]);
    assert_eq!(ints(&done, "table", "count"), [1, 1, 1, 0]);
    assert_eq!(floats(&done, "table", "share"), [1.0 / 3.0, 1.0 / 3.0, 1.0, 0.0].map(Some));
    let figure = done.figure("figure");
    assert_eq!(figure.kind, FigureKind::Bar);
    assert_eq!(figure.series.iter().map(|series| series.name.as_str()).collect::<Vec<_>>(), ["cluster 0", "cluster 1"]);
    assert_eq!(figure.series[1].points.iter().map(|point| point.y).collect::<Vec<_>>(), [Some(1.0), Some(0.0)]);

    let all = run::<Distribution>(json!({ "column": "cluster", "cluster": "brand" }), &input);
    assert_eq!(ints(&all, "table", "value"), [0, 1, 0, 1, 0, 1]);
    assert_eq!(ints(&all, "table", "count"), [1, 1, 1, 0, 1, 0]);
    assert_eq!(refused::<Distribution>(json!({ "column": "cluster" })), "column: it is the cluster column itself");
    assert_eq!(
        refused::<Distribution>(json!({ "column": "x", "cluster": "share" })),
        "cluster: `share` is another column of the output"
    );
    let stage = StageType::of::<Distribution>("test").configure(&json!({ "column": "brand" })).unwrap();
    let disclosed = stage.discloses();
    assert_eq!(disclosed[0].columns, Some(vec!["brand".to_owned(), "cluster".to_owned()]));
    assert_eq!(disclosed[0].to, "the report");
}

#[test]
fn dense_rows_are_those_of_scikit_learn() {
    // DBSCAN(eps, min_samples).fit(StandardScaler().fit_transform(x)): sizes, noise, cores, and silhouette_score of the
    // rows that are not noise.
    for (eps, sizes, noise, cores, silhouette) in [
        (0.5, vec![180, 59, 59], 2.0, 288.0, 0.5236228912562758),
        (0.35, vec![89, 88, 43, 28, 19, 5], 28.0, 217.0, 0.40498660604247455),
    ] {
        let done = run::<Dbscan>(json!({ "columns": ["a", "b", "c"], "eps": eps }), &heaps());
        assert_eq!(ints(&done, "centers", "size"), sizes);
        let metrics = done.metrics("metrics");
        let metric = |name: &str| metrics.values[name].value.unwrap();
        assert_eq!((metric("noise"), metric("cores"), metric("k")), (noise, cores, sizes.len() as f64));
        assert_eq!(metric("noise_share"), noise / 300.0);
        assert!((metric("silhouette") - silhouette).abs() < 1e-12, "{}", metric("silhouette"));
        let clusters = frame(&done.table("table"));
        assert_eq!(clusters.column("cluster").unwrap().null_count() as f64, noise);
    }
    let far = df!("x" => [0.0, 10.0, 20.0]).unwrap();
    let done = run::<Dbscan>(json!({ "columns": ["x"], "standardize": false }), &far);
    assert_eq!(done.warnings, ["all rows are noise: a larger `eps` or a smaller `min_samples` may find clusters"]);
    assert_eq!(ints(&done, "centers", "size"), [] as [i64; 0]);
    assert_eq!(refused::<Dbscan>(json!({ "columns": ["x"], "eps": 0.0 })), "eps: it must be above 0");
}

/// A row between two clusters belongs to the one whose first core comes first, as in scikit-learn; distances of exactly
/// `eps` are near.
#[test]
fn a_row_between_dense_clusters_belongs_to_the_first() {
    let input = df!("x" => [0i64, 1, 2, 3, 5, 7, 8, 9, 10]).unwrap();
    let params = json!({ "columns": ["x"], "eps": 2.0, "min_samples": 4, "standardize": false });
    let done = run::<Dbscan>(params, &input);
    // DBSCAN(2, min_samples=4).fit_predict(x): cores are 1, 2, 3, 7, 8 and 9.
    assert_eq!(ints(&done, "table", "cluster"), [0, 0, 0, 0, 0, 1, 1, 1, 1]);
}

#[test]
fn mixtures_are_those_of_scikit_learn() {
    // GaussianMixture(k, covariance_type=…, n_init=20, tol=1e-9).fit(StandardScaler().fit_transform(x)): score times
    // rows, bic, aic, and the sizes of predict.
    for (covariance, k, log_likelihood, bic, aic, sizes) in [
        ("full", 1, -1117.5346441745533, 2286.403330621012, 2253.0692883491065, vec![300]),
        ("full", 3, -778.7603163282101, 1722.9303244214502, 1615.5206326564203, vec![180, 60, 60]),
        ("full", 4, -725.3023991452137, 1673.0523148020193, 1528.6047982904274, vec![90, 90, 60, 60]),
        ("diag", 3, -799.563929755142, 1713.203509003408, 1639.127859510284, vec![180, 60, 60]),
        ("diag", 4, -730.3121734207418, 1614.6264736572011, 1514.6243468414837, vec![90, 90, 60, 60]),
    ] {
        let params = json!({
            "columns": ["a", "b", "c"], "k": k, "covariance_type": covariance,
            "n_init": 5, "tol": 1e-9, "max_iter": 2000
        });
        let done = run::<GaussianMixture>(params, &heaps());
        close(&floats(&done, "criteria", "log_likelihood"), &[log_likelihood], 1e-8);
        close(&floats(&done, "criteria", "bic"), &[bic], 1e-8);
        close(&floats(&done, "criteria", "aic"), &[aic], 1e-8);
        assert_eq!(ints(&done, "centers", "size"), sizes, "{covariance} {k}");
        let metrics = done.metrics("metrics");
        assert_eq!(metrics.values["bic"].value, floats(&done, "criteria", "bic")[0]);
        assert_eq!(done.warnings, [""; 0]);
    }
}

#[test]
fn mixtures_are_chosen_by_bic_and_say_how_sure_they_are() {
    let params = json!({ "columns": ["a", "b", "c"], "covariance_type": "diag", "k_max": 4, "n_init": 3 });
    let done = run::<GaussianMixture>(params, &heaps());
    assert_eq!(ints(&done, "criteria", "k"), [1, 2, 3, 4]);
    assert_eq!(done.metrics("metrics").values["k"].value, Some(4.0));
    assert_eq!(done.figure("criteria_figure").series.len(), 2);
    assert_eq!(names(&done, "table"), ["name", "a", "b", "c", "probability", "cluster"]);
    assert_eq!(names(&done, "responsibilities"), ["cluster_0", "cluster_1", "cluster_2", "cluster_3"]);
    let clusters = ints(&done, "table", "cluster");
    let probability = floats(&done, "table", "probability");
    let shares = [0, 1, 2, 3].map(|cluster| floats(&done, "responsibilities", &format!("cluster_{cluster}")));
    for row in 0..300 {
        let of_row = shares.each_ref().map(|shares| shares[row].unwrap());
        assert!((of_row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let own = of_row[clusters[row] as usize];
        assert_eq!(Some(own), probability[row]);
        assert!(of_row.iter().all(|share| *share <= own));
    }
    let weights = floats(&done, "centers", "weight");
    assert!((weights.iter().map(|weight| weight.unwrap()).sum::<f64>() - 1.0).abs() < 1e-12);

    let short = json!({ "columns": ["a", "b", "c"], "k": 3, "max_iter": 1 });
    assert_eq!(
        run::<GaussianMixture>(short, &heaps()).warnings,
        ["the mixture did not settle in 1 iterations (`max_iter`)"]
    );
    let twins = df!("x" => [1.0, 2.0, 3.0, 4.0], "y" => [1.0, 2.0, 3.0, 4.0]).unwrap();
    let flat = error::<GaussianMixture>(json!({ "columns": ["x", "y"], "k": 1, "reg_covar": 0.0 }), &twins);
    assert_eq!(flat.message, "a component has shrunk to where its rows do not differ in some direction");
    assert_eq!(
        refused::<GaussianMixture>(json!({ "columns": ["weight"] })),
        "columns/0: `weight` is another column of the output `centers`"
    );
    assert_eq!(
        refused::<GaussianMixture>(json!({ "columns": ["a"], "into": "probability" })),
        "probability_into: it is the column of the cluster"
    );
}

#[test]
fn small_batches_come_near_k_means() {
    let params = json!({ "columns": ["a", "b", "c"], "k": 3, "batch_size": 50 });
    let done = run::<MinibatchKmeans>(params, &heaps());
    let metrics = done.metrics("metrics");
    let metric = |name: &str| metrics.values[name].value.unwrap();
    // KMeans(3, n_init=200).fit(z).inertia_
    let best = 245.4883592612257;
    assert!((best..best * 1.05).contains(&metric("wcss")), "{}", metric("wcss"));
    assert!(metric("silhouette") > 0.45, "{}", metric("silhouette"));
    assert!((12.0..=600.0).contains(&metric("batches")), "{}", metric("batches"));
    assert_eq!(ints(&done, "centers", "size").iter().sum::<i64>(), 300);
    let few = df!("x" => [1i64, 1, 2]).unwrap();
    let done = run::<MinibatchKmeans>(json!({ "columns": ["x"], "k": 3 }), &few);
    assert_eq!(done.warnings, ["only 2 of 3 clusters have rows: `k` is large for these rows"]);
}

#[test]
fn clusterings_are_compared_by_the_scores_of_scikit_learn() {
    let params = |metric: &str| {
        json!({
            "columns": ["a", "b", "c"], "methods": ["kmeans", "ward"], "k_max": 5, "n_init": 30, "metric": metric
        })
    };
    let done = run::<Compare>(params("silhouette"), &heaps());
    let scores = frame(&done.table("scores"));
    let methods: Vec<_> = scores.column("method").unwrap().str().unwrap().iter().flatten().map(str::to_owned).collect();
    assert_eq!(methods, ["kmeans", "kmeans", "kmeans", "kmeans", "ward", "ward", "ward", "ward"]);
    assert_eq!(ints(&done, "scores", "k"), [2, 3, 4, 5, 2, 3, 4, 5]);
    // silhouette_score, davies_bouldin_score and calinski_harabasz_score
    let silhouette = [
        0.5156985325141146,
        0.5160313340620546,
        0.44847113960229135,
        0.4655589931444664,
        0.5156985325141146,
        0.5185171702805078,
        0.4457153851011597,
        0.46027542852570225,
    ];
    let davies_bouldin = [
        0.6454633761456167,
        0.6600163488061186,
        0.8988780466126158,
        0.7420943508649811,
        0.6454633761456167,
        0.6533502882308102,
        0.9042019698767912,
        0.7304979033214672,
    ];
    let calinski_harabasz = [
        269.9112452901072,
        395.9250000375058,
        415.77223430318037,
        419.3318715054468,
        269.9112452901072,
        392.74343746029444,
        409.68665367754215,
        407.8601785416917,
    ];
    close(&floats(&done, "scores", "silhouette"), &silhouette, 1e-12);
    close(&floats(&done, "scores", "davies_bouldin"), &davies_bouldin, 1e-12);
    close(&floats(&done, "scores", "calinski_harabasz"), &calinski_harabasz, 1e-12);

    for (metric, chosen) in [("silhouette", 5), ("davies_bouldin", 0), ("calinski_harabasz", 3)] {
        let done = run::<Compare>(params(metric), &heaps());
        let scores = frame(&done.table("scores"));
        let flags: Vec<bool> = scores.column("chosen").unwrap().bool().unwrap().iter().flatten().collect();
        assert_eq!(flags.iter().position(|flag| *flag), Some(chosen), "{metric}");
        assert_eq!(flags.iter().filter(|flag| **flag).count(), 1);
        let k = ints(&done, "scores", "k")[chosen];
        assert_eq!(ints(&done, "centers", "size").len() as i64, k);
        assert_eq!(done.metrics("metrics").values["k"].value, Some(k as f64));
        assert_eq!(done.figure("figure").series.iter().map(|line| line.points.len()).collect::<Vec<_>>(), [4, 4]);
    }

    let equal = df!("x" => [2.0, 2.0, 2.0]).unwrap();
    let done = run::<Compare>(json!({ "columns": ["x"], "methods": ["ward", "kmeans"], "k_max": 3 }), &equal);
    assert_eq!(done.warnings, ["there are too few distinct rows to choose a clustering: all are one cluster"]);
    assert_eq!(ints(&done, "table", "cluster"), [0; 3]);
    assert_eq!(
        refused::<Compare>(json!({ "columns": ["x"], "methods": ["ward", "ward"] })),
        "methods/1: `ward` is named twice"
    );
    assert_eq!(refused::<Compare>(json!({ "columns": ["x"], "methods": [] })), "methods: no method is named");
}
