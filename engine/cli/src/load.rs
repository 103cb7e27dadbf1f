//! From the command line to a plan.

use std::path::{Path, PathBuf};

use stagewright_core::diagnostic::nearest;
use stagewright_core::{Plan, Registry, SourceText, Sources, Workflow};
use stagewright_runtime::find_files;
use stagewright_store::Store;

use crate::args::{Global, StoreOf, WorkflowArgs};
use crate::failure::Failure;
use crate::registry::registry;

/// The name of a store's folder.
const STORE: &str = ".stagewright";

/// A workflow, read and parsed.
pub(crate) struct Loaded {
    pub(crate) path: PathBuf,
    pub(crate) sources: Sources,
    pub(crate) workflow: Workflow,
    pub(crate) registry: Registry,
}

impl Loaded {
    /// Reads the workflow and the overrides that the command line names.
    pub(crate) fn read(args: &WorkflowArgs) -> Result<Self, Failure> {
        let bytes = std::fs::read(&args.workflow).map_err(|error| not_read(&args.workflow, &error))?;
        let path = std::path::absolute(&args.workflow).unwrap_or_else(|_| args.workflow.clone());
        let here = std::env::current_dir().unwrap_or_default();
        let mut sources = Sources::default();
        let mut add = |name: String, bytes: &[u8], base: &Path| {
            sources.add(SourceText { name, text: String::from_utf8_lossy(bytes).into_owned(), base: base.to_owned() })
        };
        let folder = |path: &Path| path.parent().unwrap_or(Path::new("/")).to_owned();
        let mut found = Ok(());
        let first = add(args.workflow.display().to_string(), &bytes, &folder(&path));
        let mut workflow = match Workflow::parse(&bytes, first) {
            Ok(workflow) => Some(workflow),
            Err(diagnostics) => {
                found = Err(diagnostics);
                None
            }
        };
        if let Some(workflow) = &mut workflow {
            for file in &args.params {
                let bytes = std::fs::read(file).map_err(|error| not_read(file, &error))?;
                let base = folder(&std::path::absolute(file).unwrap_or_else(|_| file.clone()));
                let source = add(file.display().to_string(), &bytes, &base);
                if found.is_ok() {
                    found = workflow.override_params(&bytes, source);
                }
            }
            for argument in &args.set {
                let source = add("--set".to_owned(), argument.as_bytes(), &here);
                if found.is_ok() {
                    found = workflow.set(argument, source);
                }
            }
        }
        match (workflow, found) {
            (Some(workflow), Ok(())) => Ok(Self { path, sources, workflow, registry: registry() }),
            (_, Err(diagnostics)) => Err(Failure::of_diagnostics(diagnostics, &sources)),
            (None, Ok(())) => Err(Failure::usage("the workflow cannot be read")),
        }
    }

    /// Plans the variants whose names match one of the patterns, or all.
    pub(crate) fn plan(&self, patterns: &[String]) -> Result<Plan, Failure> {
        let mut compiled = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let glob = glob::Pattern::new(pattern)
                .map_err(|error| Failure::usage(format!("`{pattern}` is not a pattern: {}", error.msg)))?;
            if !self.workflow.variant_names().any(|name| glob.matches(name)) {
                return Err(Failure::unknown("variant", pattern, self.workflow.variant_names()));
            }
            compiled.push(glob);
        }
        let wanted = |name: &str| compiled.is_empty() || compiled.iter().any(|glob| glob.matches(name));
        self.workflow
            .plan(&self.registry, &self.sources, &wanted, &find_files)
            .map_err(|diagnostics| Failure::of_diagnostics(diagnostics, &self.sources))
    }

    /// The folder of the store.
    pub(crate) fn store_path(&self, global: &Global) -> PathBuf {
        match &global.store {
            Some(store) => store.clone(),
            None => self.path.parent().unwrap_or(Path::new(".")).join(STORE),
        }
    }

    /// Opens the store, and makes it if need be.
    pub(crate) fn store(&self, global: &Global) -> Result<Store, Failure> {
        Ok(Store::open(&self.store_path(global))?)
    }
}

/// The store that a command without a workflow means. It must be there.
pub(crate) fn existing_store(of: &StoreOf, global: &Global) -> Result<Store, Failure> {
    let path = match (&global.store, &of.file) {
        (Some(store), _) => store.clone(),
        (None, Some(workflow)) => {
            let path = std::path::absolute(workflow).unwrap_or_else(|_| workflow.clone());
            path.parent().unwrap_or(Path::new(".")).join(STORE)
        }
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

fn not_read(path: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::usage(format!("cannot read `{}`: {error}", path.display()));
    if error.kind() != std::io::ErrorKind::NotFound {
        return failure;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let wanted = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| {
            entries
                .filter_map(Result::ok)
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .filter(|name| name.ends_with(".yaml") || name.ends_with(".yml"))
                .collect()
        })
        .unwrap_or_default();
    match nearest(&wanted, names.iter().map(String::as_str)) {
        Some(near) => failure.with_help(format!("did you mean `{}`?", folder.join(near).display())),
        None => failure.with_help("name a workflow file, or write one with `stagewright init`"),
    }
}
