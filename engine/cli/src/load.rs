//! From the command line to a plan.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use stagewright_core::diagnostic::nearest;
use stagewright_core::{MAX_TEXT, Plan, SourceText, Sources, VariantName, Workflow};
use stagewright_runtime::find_files;
use stagewright_store::Store;

use crate::args::{Global, StoreOf, WorkflowArgs};
use crate::failure::Failure;
use crate::plugins::Types;

/// The name of a store's folder.
const STORE: &str = ".stagewright";

/// A workflow, read and parsed.
pub(crate) struct Loaded {
    pub(crate) path: PathBuf,
    pub(crate) sources: Sources,
    pub(crate) workflow: Workflow,
    pub(crate) types: Types,
}

impl Loaded {
    /// Reads the workflow and the overrides that the command line names.
    pub(crate) fn read(args: &WorkflowArgs) -> Result<Self, Failure> {
        let bytes = read(&args.workflow)?;
        let path = std::path::absolute(&args.workflow).unwrap_or_else(|_| args.workflow.clone());
        let here = std::env::current_dir().unwrap_or_default();
        let mut sources = Sources::default();
        let add = |sources: &mut Sources, name: String, bytes: &[u8], base: &Path| {
            sources.add(SourceText { name, text: String::from_utf8_lossy(bytes).into_owned(), base: base.to_owned() })
        };
        let folder = |path: &Path| path.parent().unwrap_or(Path::new("/")).to_owned();
        let first = add(&mut sources, args.workflow.display().to_string(), &bytes, &folder(&path));
        let mut workflow =
            Workflow::parse(&bytes, first).map_err(|mistakes| Failure::of_diagnostics(mistakes, &sources))?;
        for file in &args.params {
            let bytes = read(file)?;
            let base = folder(&std::path::absolute(file).unwrap_or_else(|_| file.clone()));
            let source = add(&mut sources, file.display().to_string(), &bytes, &base);
            if let Err(mistakes) = workflow.override_params(&bytes, source) {
                workflow.add_mistakes(mistakes);
            }
        }
        for argument in &args.set {
            let source = add(&mut sources, "--set".to_owned(), argument.as_bytes(), &here);
            if let Err(mistakes) = workflow.set(argument, source) {
                workflow.add_mistakes(mistakes);
            }
        }
        let mut types = Types::everywhere()?;
        if let Err(mistakes) = types.add_named(workflow.plugins(), &sources) {
            workflow.add_mistakes(mistakes);
        }
        Ok(Self { path, sources, workflow, types })
    }

    /// Plans the variants of which a name matches one of the patterns, or all: a sweep's name stands for its members, a
    /// variant's for its repeats.
    pub(crate) fn plan(&self, patterns: &[String]) -> Result<Plan, Failure> {
        let mut compiled = Vec::with_capacity(patterns.len());
        let variants = self.workflow.variant_names();
        let names = || variants.iter().flat_map(VariantName::all);
        for pattern in patterns {
            let glob = glob::Pattern::new(pattern)
                .map_err(|error| Failure::usage(format!("`{pattern}` is not a pattern: {}", error.msg)))?;
            if !names().any(|name| glob.matches(name)) {
                let names: BTreeSet<&str> = names().collect();
                return Err(Failure::unknown("variant", pattern, names));
            }
            compiled.push(glob);
        }
        let wanted = |name: &str| compiled.is_empty() || compiled.iter().any(|glob| glob.matches(name));
        self.workflow
            .plan(&self.types.registry, &self.sources, &wanted, &find_files)
            .map_err(|diagnostics| Failure::of_diagnostics(diagnostics, &self.sources))
    }

    /// Opens the store, and makes it if need be.
    pub(crate) fn store(&self, global: &Global) -> Result<Store, Failure> {
        Ok(Store::open(&store_path(&self.path, global))?)
    }
}

/// The stage types that a workflow may use, or every workflow.
pub(crate) fn types_of(workflow: Option<&Path>) -> Result<Types, Failure> {
    let Some(workflow) = workflow else { return Types::everywhere() };
    let args = WorkflowArgs { workflow: workflow.to_owned(), set: Vec::new(), params: Vec::new() };
    let Loaded { types, sources, mut workflow, .. } = Loaded::read(&args)?;
    match workflow.take_mistakes() {
        mistakes if mistakes.is_empty() => Ok(types),
        mistakes => Err(Failure::of_diagnostics(mistakes, &sources)),
    }
}

/// The folder of a workflow's store.
pub(crate) fn store_path(workflow: &Path, global: &Global) -> PathBuf {
    match &global.store {
        Some(store) => store.clone(),
        None => {
            let path = std::path::absolute(workflow).unwrap_or_else(|_| workflow.to_owned());
            path.parent().unwrap_or(Path::new(".")).join(STORE)
        }
    }
}

/// The store that a command without a workflow means. It must be there.
pub(crate) fn existing_store(of: &StoreOf, global: &Global) -> Result<Store, Failure> {
    let path = match (&global.store, &of.file) {
        (Some(store), _) => store.clone(),
        (None, Some(workflow)) => store_path(workflow, global),
        (None, None) => {
            let here = PathBuf::from(STORE);
            let workflows = Path::new("workflows").join(STORE);
            if !here.is_dir() && workflows.is_dir() { workflows } else { here }
        }
    };
    if !path.is_dir() {
        return Err(Failure::usage(format!("there is no store at `{}`", path.display()))
            .with_help("name it with `--store DIR`, or the workflow it lies beside with `--file WORKFLOW`"));
    }
    Ok(Store::open(&path)?)
}

/// The bytes of a workflow or a file of parameters.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path.is_dir() {
        return Err(Failure::usage(format!("`{}` is a folder, not a file", path.display())));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| not_read(path, &error))?;
    let said = file.metadata().map_or(0, |metadata| metadata.len());
    // What is not a regular file (a pipe, a device) says nothing, and may never end.
    let limit = MAX_TEXT as u64;
    if said <= limit {
        file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| not_read(path, &error))?;
    }
    if said.max(bytes.len() as u64) > limit {
        let message = format!("`{}` is longer than the {} MiB that a workflow may have", path.display(), limit >> 20);
        return Err(Failure::usage(message).with_help("keep data in files and name their paths in the workflow"));
    }
    // A byte order mark is no part of the text.
    Ok(bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes))
}

fn not_read(path: &Path, error: &std::io::Error) -> Failure {
    if error.kind() != std::io::ErrorKind::NotFound {
        return Failure::usage(format!("cannot read `{}`: {error}", path.display()));
    }
    let failure = Failure::usage(format!("there is no file `{}`", path.display()));
    let parent = path.parent().unwrap_or(Path::new(""));
    let folder = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let wanted = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| {
            entries
                .filter_map(Result::ok)
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .filter(|name| name.ends_with(".yaml") || name.ends_with(".yml"))
                .collect()
        })
        .unwrap_or_default();
    // Without their endings, which make any two names look alike.
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let stems: Vec<String> = names.iter().map(|name| stem(name)).collect();
    let near = nearest(&wanted, stems.iter().map(String::as_str));
    match names.iter().find(|name| Some(stem(name).as_str()) == near) {
        Some(name) => failure.with_help(format!("did you mean `{}`?", parent.join(name).display())),
        None => failure.with_help("name a workflow file, or write one with `stagewright init`"),
    }
}
