//! The shipped plugin in Python: matrix factorisation by the package `implicit`, set beside the stage type that is built in.

use std::path::{Path, PathBuf};

use crate::exec::venv;
use crate::space::TestSpace;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/implicit").canonicalize().unwrap()
}

/// The plugin's workflow with this Python.
fn workflow(venv: &Path) -> String {
    let text = std::fs::read_to_string(folder().join("workflow.yaml")).unwrap();
    let plugin = folder().join("plugin.py").display().to_string();
    let changed = [
        ("venv/bin/python, plugin.py", format!("{}/bin/python, {plugin}", venv.display())),
        ("[requirements.txt]", format!("[{}]", folder().join("requirements.txt").display())),
    ];
    changed.into_iter().fold(text, |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "`{from}`");
        text.replace(from, &to)
    })
}

#[test]
fn the_package_takes_the_place_of_what_is_built_in() {
    let Some(venv) = venv("implicit") else { return };
    let space = TestSpace::with(&workflow(&venv));
    let run = space.json("run --json");
    let ndcg = |variant: &str| run["metrics"][variant]["scores.ndcg@10"].as_f64().unwrap();
    // Two ways to the same model from other random numbers.
    assert!(ndcg("base") > 0.1 && (ndcg("implicit") / ndcg("base") - 1.0).abs() < 0.1, "{}", run["metrics"]);
    // The columns, their types and the order of rows are the same.
    let head = |variant: &str| {
        let path = space.path(&format!("{variant}.csv"));
        let output = space.run(&format!("get recommend.table --variant {variant} --output {}", path.display()));
        assert_eq!(output.code, Some(0), "{output}");
        let text = std::fs::read_to_string(path).unwrap();
        let rows = text.lines().skip(1).map(|row| row.split(',').take(3).map(str::to_owned).collect::<Vec<_>>());
        let mut places: Vec<(i64, i64)> = rows.map(|row| (row[0].parse().unwrap(), row[2].parse().unwrap())).collect();
        assert!(places.is_sorted());
        places.dedup();
        (text.lines().next().unwrap().to_owned(), places)
    };
    let (columns, places) = head("base");
    assert_eq!(columns, "household_id,product_id,rank,score,reason");
    assert!(head("implicit") == (columns, places));
    assert_eq!(space.summary("").executed(), [""; 0]);
    assert_eq!(space.run("run --check-determinism --set params.seed=7").code, Some(0));
    space.assert_sound();
}

#[test]
fn the_plugin_keeps_the_rules() {
    let Some(venv) = venv("implicit") else { return };
    let space = TestSpace::new();
    let (python, plugin) = (venv.join("bin/python"), folder().join("plugin.py"));
    let checked = space.run_args(&["plugin", "check", &python.to_string_lossy(), &plugin.to_string_lossy()]);
    assert!(checked.code == Some(0) && checked.stdout.contains(" 0 failed, 1 skipped"), "{checked}");
}

/// From where the two begin to say the same.
#[test]
fn the_workflow_on_files_differs_in_where_data_come_from_alone() {
    let body = |name: &str| {
        let text = std::fs::read_to_string(folder().join(name)).unwrap();
        text.split_once("\n  # ").unwrap().1.replace("shop.transactions", "transactions")
    };
    assert_eq!(body("workflow.yaml"), body("complete-journey.yaml"));
}

/// Parameters, defaults and limits are those of `recommend.als`.
#[test]
fn the_parameters_are_those_of_what_is_built_in() {
    let Some(venv) = venv("implicit") else { return };
    let space = TestSpace::with(&workflow(&venv));
    let properties = |json: serde_json::Value| {
        let properties = json["params"]["properties"].as_object().unwrap().clone();
        let limits = |schema: &serde_json::Value| {
            let mut schema = schema.clone();
            let kept = schema.as_object_mut().unwrap();
            kept.retain(|key, _| ["type", "default", "minimum", "maximum", "exclusiveMinimum"].contains(&key.as_str()));
            for key in ["minimum", "maximum", "exclusiveMinimum"] {
                if let Some(limit) = kept.get_mut(key) {
                    *limit = limit.as_f64().into();
                }
            }
            schema
        };
        properties.iter().map(|(name, schema)| (name.clone(), limits(schema))).collect::<Vec<_>>()
    };
    let own = properties(space.json("stages recommend.als --json"));
    let mut theirs = properties(space.json("stages implicit.als -f workflow.yaml --json"));
    theirs.sort_by_key(|(name, _)| own.iter().position(|(known, _)| known == name));
    assert_eq!(own, theirs);
}
