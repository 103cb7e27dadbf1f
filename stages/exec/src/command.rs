//! `exec.command`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stagewright_contract::{
    Kind, ParamError, PersonalColumns, Port, SecretUse, Source, SourceFile, Stage, StageContext, StageError,
};
use stagewright_frame::nearest;
use stagewright_host::{Command as Process, Ended, Execution, Launcher, find_program};

use crate::environment::{self, Declared};
use crate::folder::Folder;
use crate::ports::{self, Output, check_file, check_input, default_file};
use crate::words::{CommandLine, Piece, pieces};

/// The file of the parameters in the folder of a command.
const PARAMS: &str = "params.json";

/// Run a command: inputs are files that it reads, outputs are files that it writes.
///
/// Inputs may have any name and be of any kind. The command is started as it is, by no shell (`sh -c '…'` asks for
/// one), in a scratch folder of its own below the system's temporary folder, which is removed when it is over. In its
/// words `{inputs.NAME}` and `{outputs.NAME}` stand for the paths of files, `{params}` for that of a JSON file with
/// `params`, `{scratch}` for the folder and `{seed}` for `seed`; `{{…}}` keeps its inner braces. A word that is the path
/// of a file, from the folder of the workflow on, stands for that file, whose digest is part of the key. A table is Arrow
/// IPC unless its file ends with .parquet, .csv or .json; everything else is JSON as `stagewright get` prints it, and
/// metrics may also be numbers by name. CSV and JSON are read as `ingest.csv` and `ingest.json` read them. The environment
/// holds `PATH`, what `environment` says, TMPDIR and STAGEWRIGHT_SCRATCH (the folder), STAGEWRIGHT_PARAMS and, where there
/// is one, STAGEWRIGHT_SEED. A command that ends with another exit code than 0 fails the stage, and its last lines are
/// shown; it is ended, with all that it started, when the stage's time or memory is up and when the run ends.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Command {
    /// The program and its arguments: a list of words, or one text.
    command: CommandLine,
    /// The files of inputs, such as `{ customers: customers.csv }`; an input that is not listed is in
    /// `inputs/NAME.arrow` or `inputs/NAME.json`.
    #[serde(default)]
    inputs: BTreeMap<String, String>,
    /// The outputs by name: a kind (`table`, `metrics`, `model`, `figure`), the file of a table (`scores.csv`), or a
    /// mapping of `kind`, `file`, `columns`, `types` and `personal`.
    #[schemars(extend("minProperties" = 1))]
    outputs: BTreeMap<String, Output>,
    /// Parameters for the command, which it finds as JSON at `{params}`.
    #[serde(default)]
    params: Map<String, Value>,
    /// Files that the command's result depends on, besides those that it names: paths or patterns such as `lib/*.py`.
    #[serde(default)]
    code: Vec<String>,
    /// Variables of the environment: a value, `${secret:NAME}`, or nothing (`~`) for one that is passed on as it is, whose
    /// value is no part of the key.
    #[serde(default)]
    environment: Declared,
    /// A seed for a command that draws random numbers: `${params.seed}`, so that `seeds:` repeats it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

impl Stage for Command {
    const TYPE: &'static str = "exec.command";
    const EXAMPLE: &'static str = "\
inputs: { customers: features }
with:
  command: sort -t, -k2 -o {outputs.sorted} {inputs.customers}
  inputs: { customers: customers.csv }
  outputs: { sorted: sorted.csv }";
    const OPEN: Option<&'static str> = Some("outputs");

    fn ports() -> Vec<Port> {
        Vec::new()
    }

    fn check(&self) -> Result<(), ParamError> {
        let words = self.command.words().map_err(|error| ParamError::new("command", error))?;
        for word in &words {
            self.check_word(word, None)?;
        }
        for (port, output) in &self.outputs {
            output.check(port, &format!("outputs/{port}"))?;
        }
        environment::check(&self.environment)
    }

    fn check_inputs(&self, inputs: &BTreeMap<String, Kind>) -> Result<(), ParamError> {
        for (port, kind) in inputs {
            check_input(port, *kind)?;
        }
        if let Some(port) = self.inputs.keys().find(|port| !inputs.contains_key(*port)) {
            let near = nearest(port, inputs.keys().map(String::as_str));
            let error = ParamError::new(format!("inputs/{port}"), format!("nothing is connected to an input `{port}`"));
            return Err(error.with_help(did_you_mean(near, "connect it in `inputs` of the stage")));
        }
        for word in self.words() {
            self.check_word(&word, Some(inputs))?;
        }
        let mut files = BTreeSet::from([PARAMS.to_owned()]);
        let outputs = self.outputs.iter().map(|(port, output)| (format!("outputs/{port}"), output.file(port)));
        let mut all: Vec<(String, String)> = outputs.collect();
        for (port, kind) in inputs {
            let file = self.input_file(port, *kind);
            check_file(&file, *kind, &format!("inputs/{port}"))?;
            all.push((format!("inputs/{port}"), file));
        }
        for (path, file) in all {
            if !files.insert(file.clone()) {
                return Err(ParamError::new(path, format!("two ports cannot share the file `{file}`")));
            }
        }
        Ok(())
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        ports::personal(&self.outputs, inputs)
    }

    fn sources(&self) -> Vec<Source> {
        let code = self.code.iter().map(|pattern| Source::new("code", pattern.clone()));
        // A word with a placeholder or a pattern is no path of a file that is there.
        let is_path = |word: &String| !word.is_empty() && !word.contains(['*', '?', '[', '{', '\n']);
        let mut words = self.words();
        // A program without a slash is one of `PATH`.
        if words.first().is_some_and(|program| !program.contains('/')) {
            words.remove(0);
        }
        code.chain(words.into_iter().filter(is_path).map(|word| Source::new(SCRIPT, word).optional())).collect()
    }

    fn secrets(&self) -> Vec<SecretUse> {
        environment::secrets(&self.environment)
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let folder = Folder::new()?;
        for (port, artifact) in context.inputs() {
            folder.put(context, port, &self.input_file(port, artifact.kind()))?;
        }
        for (port, output) in &self.outputs {
            folder.expect(&output.file(port))?;
        }
        let params = serde_json::to_vec(&self.params)
            .map_err(|error| StageError::bug(format!("the parameters are no JSON: {error}")))?;
        folder.write(PARAMS, &params)?;
        context.check_cancelled()?;

        let mut words = self.words().into_iter();
        let program = words.next().unwrap_or_default();
        let scripts = context.sources(SCRIPT);
        let args = words.map(|word| self.fill(&word, context, folder.path(), scripts)).collect();
        let process = Process {
            program: locate(&program, scripts)?,
            args,
            environment: self.variables(context, folder.path())?,
            folder: folder.path().to_owned(),
        };
        let execution = process.execute(&Launcher::this_program(), context)?;
        succeeded(&program, &execution)?;
        for (port, output) in &self.outputs {
            let artifact = folder.get(port, output).map_err(|error| with_lines(error, &execution.printed))?;
            context.put(port, artifact)?;
        }
        Ok(())
    }
}

/// The name under which files that the command names are sources.
const SCRIPT: &str = "script";

impl Command {
    fn words(&self) -> Vec<String> {
        self.command.words().unwrap_or_default()
    }

    fn input_file(&self, port: &str, kind: Kind) -> String {
        self.inputs.get(port).cloned().unwrap_or_else(|| default_file("inputs", port, kind))
    }

    /// Whether the placeholders of a word stand for something; `inputs` are those that are connected, once that is
    /// known.
    fn check_word(&self, word: &str, inputs: Option<&BTreeMap<String, Kind>>) -> Result<(), ParamError> {
        for piece in pieces(word) {
            let Piece::Placeholder(name) = piece else { continue };
            let inputs = inputs.map(|inputs| inputs.keys().map(|port| format!("inputs.{port}")));
            if name.starts_with("inputs.") && inputs.is_none() {
                continue;
            }
            let outputs = self.outputs.keys().map(|port| format!("outputs.{port}"));
            let mut known: Vec<String> = outputs.chain(inputs.into_iter().flatten()).collect();
            known.extend(["params".to_owned(), "scratch".to_owned()]);
            known.extend(self.seed.map(|_| "seed".to_owned()));
            if known.iter().any(|known| known == name) {
                continue;
            }
            let error = ParamError::new("command", format!("there is nothing that `{{{name}}}` stands for"));
            if name == "seed" {
                return Err(error.with_help("give the stage a seed: `seed: ${params.seed}` in its `with:`"));
            }
            known.sort();
            let listed = known.iter().map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ");
            let near = nearest(name, known.iter().map(String::as_str));
            let near = near.map(|near| format!("did you mean `{{{near}}}`? ")).unwrap_or_default();
            return Err(error.with_help(format!("{near}there are {listed}; `{{{{{name}}}}}` is the text itself")));
        }
        Ok(())
    }

    /// A word with what its placeholders stand for; the path of a file that the workflow has is made absolute.
    fn fill(&self, word: &str, context: &StageContext, scratch: &Path, scripts: &[SourceFile]) -> String {
        if let Some(script) = script(word, scripts) {
            return script.to_string_lossy().into_owned();
        }
        let stands_for = |name: &str| match name.split_once('.') {
            Some(("inputs", port)) => {
                let kind = context.inputs().get(port).map_or(Kind::Table, |artifact| artifact.kind());
                self.input_file(port, kind)
            }
            Some(("outputs", port)) => self.outputs.get(port).map(|output| output.file(port)).unwrap_or_default(),
            _ => match name {
                "params" => PARAMS.to_owned(),
                "seed" => self.seed.unwrap_or_default().to_string(),
                _ => scratch.to_string_lossy().into_owned(),
            },
        };
        let filled = |piece: Piece<'_>| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Placeholder(name) => stands_for(name),
        };
        pieces(word).into_iter().map(filled).collect()
    }

    fn variables(&self, context: &StageContext, scratch: &Path) -> Result<BTreeMap<String, String>, StageError> {
        let mut out = environment::resolve(&self.environment, context)?;
        let folder = scratch.to_string_lossy().into_owned();
        out.insert("STAGEWRIGHT_PARAMS".to_owned(), scratch.join(PARAMS).to_string_lossy().into_owned());
        out.insert("STAGEWRIGHT_SCRATCH".to_owned(), folder.clone());
        out.entry("TMPDIR".to_owned()).or_insert(folder);
        if let Some(seed) = self.seed {
            out.insert("STAGEWRIGHT_SEED".to_owned(), seed.to_string());
        }
        Ok(out)
    }
}

/// The file that a word names, among those that were found.
fn script<'a>(word: &str, scripts: &'a [SourceFile]) -> Option<&'a Path> {
    let word = Path::new(word.strip_prefix("./").unwrap_or(word));
    scripts.iter().map(|file| file.path.as_path()).find(|path| path.ends_with(word))
}

/// The program that the first word names.
fn locate(program: &str, scripts: &[SourceFile]) -> Result<PathBuf, StageError> {
    if program.contains('/') {
        return script(program, scripts).map(Path::to_owned).ok_or_else(|| {
            StageError::environment(format!("there is no program `{program}`"))
                .with_help("its path starts from the folder of the workflow")
        });
    }
    find_program(program, Path::new("")).ok_or_else(|| {
        let error = StageError::environment(format!("there is no program `{program}` in the folders of `PATH`"));
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let names: BTreeSet<String> = std::env::split_paths(&folders)
            .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok))
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        let near = nearest(program, names.iter().map(String::as_str));
        error.with_help(did_you_mean(near, "install it, or write its path with a slash, such as `./score.sh`"))
    })
}

fn did_you_mean(near: Option<&str>, otherwise: &str) -> String {
    near.map_or_else(|| otherwise.to_owned(), |near| format!("did you mean `{near}`? otherwise {otherwise}"))
}

/// Whether a command ended well, or why not.
pub(crate) fn succeeded(program: &str, execution: &Execution) -> Result<(), StageError> {
    let error = match &execution.ended {
        Ended::Code(0) => return Ok(()),
        Ended::Code(code) => StageError::environment(format!("`{program}` ended with exit code {code}")),
        Ended::Signal(9, _) => StageError::environment(format!("`{program}` was killed (SIGKILL)"))
            .with_help("by the system when memory ran out, or by a person; declare `resources: { memory: … }`"),
        Ended::Signal(_, name) => StageError::environment(format!("`{program}` was ended by a signal ({name})")),
        Ended::NotStarted(code, why) => {
            let error = StageError::environment(format!("`{program}` cannot be started: {why}"));
            match code {
                // EACCES, ENOEXEC, ENOENT: the first line of a script may name a program that is not there.
                Some(13) => error.with_help("make the file executable: `chmod +x`"),
                Some(8) => error.with_help("a script begins with the program that runs it, such as `#!/bin/sh`"),
                Some(2) => error.with_help("the first line of the script names a program that is not there"),
                _ => error,
            }
        }
    };
    Err(with_lines(error, &execution.printed))
}

/// The error, with the last lines that were printed.
fn with_lines(mut error: StageError, printed: &[String]) -> StageError {
    if !printed.is_empty() {
        let printed = format!("it last printed:\n{}", printed.join("\n"));
        error.help = Some(error.help.map_or(printed.clone(), |help| format!("{help}; {printed}")));
    }
    error
}
