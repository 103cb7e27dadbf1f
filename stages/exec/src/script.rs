//! `python.script`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use stagewright_contract::{
    Artifact, Digest, ErrorKind, Kind, ParamError, PersonalColumns, Port, SecretUse, Source, Stage, StageContext,
    StageDescriptor, StageError,
};
use stagewright_host::{Checked, Code, Executable, Launcher, PYTHON_MODULE, StageManifest, run_executable};

use crate::environment::{self, Declared};
use crate::folder::{Folder, check};
use crate::ports::{self, Output, check_input};

const RUNNER: &str = include_str!("python/runner.py");

/// Run a Python function over tables.
///
/// The script defines `def run(inputs, params, context)`. `inputs` holds what is connected, by port, under any names:
/// tables as `pyarrow.Table`, everything else as what its JSON says. It returns a dict of the outputs: for a table a
/// `pyarrow.Table` or a data frame of pandas or polars; for metrics numbers by name, each a number, `None` or
/// `{"value": …, "goal": "maximize"}`; for models and figures what their JSON says. `context` has `seed`, `scratch` (a
/// folder), `log(message, level)`, `progress(done, total)` and `cancelled`. The script is run by the virtual environment's
/// Python, which must have pyarrow, in a process of its own; what it prints is shown when it fails, and so is the way to an
/// exception. The key holds the digests of the script, of `code`, and of what says which packages the virtual environment
/// has (`pyvenv.cfg` and each package's METADATA, or else `lock`), read without starting Python. Hashes are not randomised,
/// so that sets keep their order; packages may still use a clock or threads in ways that do not repeat.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    /// The script, from the folder of the workflow on.
    #[schemars(length(min = 1))]
    script: String,
    /// The folder of the virtual environment: `python3 -m venv venv`, then `venv/bin/pip install pyarrow`.
    #[schemars(length(min = 1))]
    venv: String,
    /// The file that pins the packages, whose digest then stands for them: `uv.lock`, `requirements.txt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lock: Option<String>,
    /// The outputs by name: a kind (`table`, `metrics`, `model`, `figure`), or a mapping of `kind`, `columns` and
    /// `personal`.
    #[schemars(extend("minProperties" = 1))]
    outputs: BTreeMap<String, Output>,
    /// The argument `params`.
    #[serde(default)]
    params: Map<String, Value>,
    /// Files that the script's result depends on, such as modules that it imports; all `*.py` beside it when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Vec<String>>,
    /// Variables of the environment: a value, `${secret:NAME}`, or nothing (`~`) for one that is passed on as it is, whose
    /// value is no part of the key.
    #[serde(default)]
    environment: Declared,
    /// The seed, for a script that draws random numbers: `${params.seed}`, so that `seeds:` repeats it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

impl Stage for Script {
    const TYPE: &'static str = "python.script";
    const EXAMPLE: &'static str = "\
inputs: { customers: features }
with:
  script: score.py
  venv: venv
  outputs: { scores: table, quality: metrics }
  params: { k: 3 }";
    const OPEN: Option<&'static str> = Some("outputs");

    fn ports() -> Vec<Port> {
        Vec::new()
    }

    fn check(&self) -> Result<(), ParamError> {
        for (port, output) in &self.outputs {
            let path = format!("outputs/{port}");
            output.check(port, &path)?;
            if let Some(file) = &output.file {
                return Err(ParamError::new(path, format!("`{file}` is none of table, metrics, model and figure"))
                    .with_help("the function returns its outputs, and no files"));
            }
        }
        environment::check(&self.environment)
    }

    fn check_inputs(&self, inputs: &BTreeMap<String, Kind>) -> Result<(), ParamError> {
        inputs.iter().try_for_each(|(port, kind)| check_input(port, *kind))
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        ports::personal(&self.outputs, inputs)
    }

    fn sources(&self) -> Vec<Source> {
        let script = Path::new(&self.script);
        let beside = || vec![script.with_file_name("*.py").to_string_lossy().into_owned()];
        let code = self.code.clone().unwrap_or_else(beside);
        let mut sources = vec![
            Source::new("script", self.script.clone()),
            Source::new("venv", format!("{}/pyvenv.cfg", self.venv)).with_help(NO_VENV),
        ];
        sources.extend(code.into_iter().map(|pattern| Source::new("code", pattern)));
        sources.push(match &self.lock {
            Some(lock) => Source::new("lock", lock.clone()),
            None => {
                Source::new("venv", format!("{}/lib/python*/site-packages/*.dist-info/METADATA", self.venv)).optional()
            }
        });
        sources
    }

    fn secrets(&self) -> Vec<SecretUse> {
        environment::secrets(&self.environment)
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let Some(script) = context.sources("script").first().map(|file| file.path.clone()) else {
            return Err(StageError::data(format!("there is no script `{}`", self.script)));
        };
        let folder = Folder::new()?;
        folder.write("runner.py", RUNNER.as_bytes())?;
        folder.write("stagewright.py", PYTHON_MODULE.as_bytes())?;
        let mut environment = Executable::python_environment();
        environment.extend(environment::resolve(&self.environment, context)?);
        let executable = Executable {
            program: self.python(context)?,
            args: vec![folder.path().join("runner.py").to_string_lossy().into_owned()],
            environment,
            files: Vec::new(),
            readable: None,
        };
        let checked = Checked {
            path: PathBuf::from(&self.script),
            digest: Digest::of(RUNNER.as_bytes()),
            code: Code::Executable(executable),
        };
        let stage = StageManifest::from(&StageDescriptor {
            name: Self::TYPE.to_owned(),
            summary: String::new(),
            details: String::new(),
            ports: Vec::new(),
            params: json!({}),
            example: String::new(),
            seeded: false,
            open: None,
        });
        let params = json!({ "script": script, "params": self.params, "seed": self.seed });
        let outputs = self.outputs.iter().map(|(port, output)| (port.clone(), output.kind.into())).collect();
        let artifacts = run_executable(checked, &Launcher::this_program(), &stage, &params, &outputs, context)
            .map_err(|error| error_of_script(error, &self.script))?;
        for (port, mut artifact) in artifacts {
            let Some(output) = self.outputs.get(&port) else { continue };
            if let Artifact::Table(table) = &mut artifact {
                check(table, &port, output)?;
                if !output.personal.is_empty() {
                    let personal = output.personal.iter().map(String::as_str);
                    std::sync::Arc::make_mut(table).mark_personal(personal);
                }
            }
            context.put(&port, artifact)?;
        }
        Ok(())
    }
}

/// What breaks is the script that the workflow names, where another executable would be a plugin.
fn error_of_script(error: StageError, script: &str) -> StageError {
    if error.kind != ErrorKind::Bug {
        return error;
    }
    let printed = error.help.as_deref().and_then(|help| Some(help[help.find("it last printed:")?..].to_owned()));
    let mut own = StageError::data(error.message.replace("the plugin", &format!("`{script}`")));
    own.location = error.location;
    own.help = printed;
    own
}

const NO_VENV: &str = "make a virtual environment: `python3 -m venv DIR`, then `DIR/bin/pip install pyarrow`";

impl Script {
    /// The Python of the virtual environment. What links it is stays: it is how Python knows where its packages are.
    fn python(&self, context: &StageContext) -> Result<PathBuf, StageError> {
        let is_config = |path: &Path| path.file_name().is_some_and(|name| name == "pyvenv.cfg");
        let config = context.sources("venv").iter().map(|file| &file.path).find(|path| is_config(path));
        let python = config.and_then(|config| Some(config.parent()?.join("bin/python")));
        python.filter(|python| python.exists()).ok_or_else(|| {
            StageError::environment(format!("the virtual environment `{}` has no `bin/python`", self.venv))
                .with_help(NO_VENV)
        })
    }
}
