//! A folder with a workflow in it, and the binary to run there.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

/// A small shop: a source, a filter, and two variants that share both.
pub(crate) const SHOP: &str = "\
workflow: shop
params: { data: data, min_age: 18, k: 2, seed: 7 }
stages:
  people:
    uses: ingest.csv
    with: { path: '${params.data}/people.csv', personal: [name] }
  adults:
    uses: clean.filter
    inputs: { table: people }
    with: { where: 'age >= ${params.min_age}' }
  clusters:
    uses: segment.kmeans
    inputs: { table: adults }
    with: { columns: [age, spent], k: '${params.k}', k_max: 1 }
  profile:
    uses: segment.profile
    inputs: { table: clusters.table }
    with: { columns: [age, spent] }
variants:
  three: { params: { k: 3 } }
compare:
  metrics: [clusters.silhouette, clusters.wcss]
";

/// The people of the shop; the last is no adult.
pub(crate) const PEOPLE: &str = "\
id,name,age,spent
1,Ada,36,120.5
2,Ben,21,10
3,Cleo,62,80
4,Dan,24,15.25
5,Eve,58,95
6,Finn,31,130
7,Gus,12,3
";

/// A temporary folder.
pub(crate) struct TestSpace {
    folder: TempDir,
}

impl TestSpace {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A folder with this `workflow.yaml`.
    pub(crate) fn with(workflow: &str) -> Self {
        let space = Self::new();
        space.write("workflow.yaml", workflow);
        space
    }

    /// A folder with the small shop.
    pub(crate) fn shop() -> Self {
        let space = Self::with(SHOP);
        space.write("data/people.csv", PEOPLE);
        space
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders it lies in.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Replaces a text that stands once in a file.
    pub(crate) fn replace(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {name}");
        self.write(name, text.replace(from, to));
    }

    /// The binary, to be run in the folder with nothing of this machine's environment that it looks at.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stagewright"));
        command.args(args).stdin(Stdio::null());
        self.prepare(&mut command);
        command
    }

    /// Makes another program run in the folder as [`TestSpace::command`] does.
    pub(crate) fn prepare(&self, command: &mut Command) {
        command.current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STAGEWRIGHT") {
                command.env_remove(name);
            }
        }
        command.env("XDG_DATA_HOME", self.path(".home")).env("XDG_CACHE_HOME", self.path(".home"));
        command.env("COLUMNS", "100").env("NO_COLOR", "1").env("TZ", "UTC");
    }

    /// Runs the binary; the arguments are separated by spaces.
    pub(crate) fn run(&self, args: &str) -> Output {
        self.run_args(&args.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs the binary with arguments that may hold spaces.
    pub(crate) fn run_args(&self, args: &[&str]) -> Output {
        Output::of(&mut self.command(args), self.folder.path())
    }

    /// Runs the binary, expects it to succeed and parses what it prints.
    pub(crate) fn json(&self, args: &str) -> Value {
        let output = self.run(args);
        assert_eq!(output.code, Some(0), "{output}");
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output}"))
    }

    /// Runs the workflow and says what became of its stages; it must succeed.
    pub(crate) fn summary(&self, args: &str) -> Summary {
        Summary::of(&self.json(&format!("run --json {args}")))
    }

    /// Starts the binary in the background.
    pub(crate) fn spawn(&self, args: &str) -> Child {
        let args: Vec<&str> = args.split_whitespace().collect();
        self.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The files of all blobs in the store.
    pub(crate) fn blobs(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = fs::read_dir(self.path(".stagewright/blobs"))
            .unwrap()
            .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path())
            .collect();
        found.sort();
        found
    }

    /// The index of the store.
    pub(crate) fn index(&self) -> Connection {
        Connection::open_with_flags(self.path(".stagewright/store.db"), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap()
    }

    /// How often the journal says that each stage key was executed, over all runs.
    pub(crate) fn executions(&self) -> BTreeMap<Vec<u8>, u32> {
        let index = self.index();
        let mut query = index.prepare("SELECT key, count(*) FROM events WHERE kind = 'executed' GROUP BY key").unwrap();
        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    /// The store holds what its index says.
    pub(crate) fn assert_sound(&self) {
        let report = self.json("store verify --json");
        assert_eq!(report["damaged"], serde_json::json!([]));
        assert_eq!(report["index"], serde_json::json!([]));
    }
}

/// What a command said and how it ended.
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl Output {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command, folder: &Path) -> Self {
        let output = command.output().unwrap();
        Self::new(&output, folder)
    }

    /// Waits for a command that was started.
    pub(crate) fn wait(child: Child, folder: &Path) -> Self {
        Self::new(&child.wait_with_output().unwrap(), folder)
    }

    fn new(output: &std::process::Output, folder: &Path) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&*folder.to_string_lossy(), "[space]");
        Self { stdout: text(&output.stdout), stderr: text(&output.stderr), code: output.status.code() }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or("killed".to_owned(), |code| code.to_string());
        writeln!(f, "exit code: {code}")?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "----- {name} -----\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}

/// What `run --json` says.
pub(crate) struct Summary {
    json: Value,
}

impl Summary {
    pub(crate) fn of(json: &Value) -> Self {
        Self { json: json.clone() }
    }

    /// The stages of a status, as `stage` or `variant/stage`, sorted.
    pub(crate) fn with_status(&self, status: &str) -> Vec<String> {
        let mut found: Vec<String> = self
            .stages()
            .filter(|stage| stage["status"] == status)
            .map(|stage| match stage["variant"].as_str().unwrap() {
                "base" => stage["stage"].as_str().unwrap().to_owned(),
                variant => format!("{variant}/{}", stage["stage"].as_str().unwrap()),
            })
            .collect();
        found.sort();
        found
    }

    /// The stages that executed.
    pub(crate) fn executed(&self) -> Vec<String> {
        self.with_status("executed")
    }

    /// The digests of all outputs of all stages.
    pub(crate) fn digests(&self) -> BTreeMap<String, String> {
        self.stages()
            .flat_map(|stage| {
                let name = format!("{}/{}", stage["variant"].as_str().unwrap(), stage["stage"].as_str().unwrap());
                stage["outputs"].as_object().unwrap().iter().map(move |(port, output)| {
                    (format!("{name}.{port}"), output["digest"].as_str().unwrap().to_owned())
                })
            })
            .collect()
    }

    fn stages(&self) -> impl Iterator<Item = &Value> {
        self.json["stages"].as_array().unwrap().iter()
    }
}

/// Sends a signal to a process that we started.
pub(crate) fn signal(name: &str, child: &Child) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// What differs from run to run, and what to show instead.
pub(crate) fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r"\b\d{8}-\d{6}-[0-9a-f]{4}\b", "[run]"),
        (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b", "[when]"),
        (r"\b[0-9a-f]{64}\b", "[digest]"),
        (r"\b[0-9a-f]{12}\b", "[short digest]"),
        (r" *<?\b\d+(\.\d+)? (ms|s|min)\b", " [time]"),
        (r"( *)\b\d+(\.\d+)? (B|kB|MB)\b", " [size]"),
        (r"\( \[size\]", "([size]"),
        (r#""(seconds|\w+_seconds|started|finished|at)":[0-9.e-]+"#, r#""$1":"[time]""#),
        // The widths of the columns follow from the above.
        (r"(?m)^─+(  ─+)+$", "────"),
        (r"(?m)[ \t]+$", ""),
    ]
}

/// Compares a table whose columns are as wide as the times in them, with the snapshot of this name.
#[macro_export]
macro_rules! check_table {
    ($name:expr, $output:expr) => {
        insta::with_settings!({ filters => [$crate::space::filters(), vec![(r"  +", "  ")]].concat(), omit_expression => true }, {
            insta::assert_snapshot!($name, $output.to_string());
        })
    };
}

/// Compares what a command said with the snapshot of this name.
#[macro_export]
macro_rules! check {
    ($name:expr, $output:expr) => {
        insta::with_settings!({ filters => $crate::space::filters(), omit_expression => true }, {
            insta::assert_snapshot!($name, $output.to_string());
        })
    };
}
