//! What a run costs that has nothing to do, beside `ninja` on the same graph, and what a stage costs that has hardly
//! anything to do. Whole processes, by turns, medians: `cargo bench -p stagewright --bench noop`.
//!
//! Without `ninja` on the path its columns stay empty. `-- 1000` measures only the graphs of 1,000 stages.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot run should say so and stop")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TURNS: usize = 15;

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![1_000, 10_000] } else { sizes };
    let ninja = Command::new("ninja").arg("--version").output().is_ok();
    if !ninja {
        println!("ninja is not on the path: nothing to compare with");
    }
    println!("| graph | stages | cold run | per stage | no-op run | ninja | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for size in sizes {
        for shape in ["chain", "wide", "layered"] {
            let folder = tempfile::tempdir().unwrap();
            graph(folder.path(), shape, size, ninja);
            let cold = time(stagewright(folder.path()));
            if ninja {
                time(ninja_run(folder.path()));
            }
            let mut ours = Vec::new();
            let mut theirs = Vec::new();
            for _ in 0..TURNS {
                ours.push(time(stagewright(folder.path())));
                if ninja {
                    theirs.push(time(ninja_run(folder.path())));
                }
            }
            let ratios = ours.iter().zip(&theirs).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64());
            let ratio = median(ratios.collect());
            let millis = |times: &[Duration]| median(times.iter().map(|time| time.as_secs_f64() * 1e3).collect());
            println!(
                "| {shape} | {size} | {:.2} s | {:.2} ms | {:.1} ms | {} | {} |",
                cold.as_secs_f64(),
                cold.as_secs_f64() * 1e3 / size as f64,
                millis(&ours).unwrap_or_default(),
                millis(&theirs).map_or(String::new(), |time| format!("{time:.1} ms")),
                ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
            );
        }
    }
}

/// The same graph for both: every stage makes something that no other makes.
fn graph(folder: &Path, shape: &str, size: usize, ninja: bool) {
    let mut workflow = "workflow: bench\nstages:\n  s0:\n    uses: ingest.csv\n    with: { path: x.csv }\n".to_owned();
    let mut build = "rule make\n  command = { cat $in; echo $out; } > $out\nbuild s0: make x.csv\n".to_owned();
    for stage in 1..size {
        let from = match shape {
            "chain" => stage - 1,
            "wide" => 0,
            _ => stage.saturating_sub(100),
        };
        let _ = write!(
            workflow,
            "  s{stage}:\n    uses: clean.derive\n    inputs: {{ table: s{from} }}\n    with: {{ columns: {{ id: \"x + {stage}\" }} }}\n"
        );
        let _ = writeln!(build, "build s{stage}: make s{from}");
    }
    fs::write(folder.join("workflow.yaml"), workflow).unwrap();
    fs::write(folder.join("x.csv"), "x\n1\n").unwrap();
    if ninja {
        // A chain that copied all before it would grow with the square of its length.
        let build = build.replace("cat $in; ", "");
        fs::write(folder.join("build.ninja"), build).unwrap();
    }
    // Files changed within the last two seconds are read again: their times cannot be trusted yet.
    std::thread::sleep(Duration::from_millis(2_100));
}

fn stagewright(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stagewright"));
    command.arg("run").current_dir(folder).env_remove("STAGEWRIGHT_STORE");
    command
}

fn ninja_run(folder: &Path) -> Command {
    let mut command = Command::new("ninja");
    command.current_dir(folder);
    command
}

fn time(mut command: Command) -> Duration {
    let began = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    let took = began.elapsed();
    assert!(status.success(), "{command:?} failed");
    took
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
