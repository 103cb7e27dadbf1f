//! The `plugins:` section: which libraries the workflow takes stage types from.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::{Node, Span, Value};
use crate::spec::{expect_map, known_keys, text};

const PLUGIN_KEYS: &[&str] = &["path", "command", "code", "sha256", "isolation"];

/// A plugin as a workflow names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSpec {
    /// The path of the library, or of an executable file; a relative one starts from the folder of the workflow. Empty
    /// where there is a command.
    pub path: String,
    /// The words of the command of an executable.
    pub command: Vec<String>,
    /// Files that the code of an executable is made of besides: paths or patterns.
    pub code: Vec<String>,
    /// Where the path stands.
    pub span: Span,
    /// The SHA-256 that the file must have, in hexadecimal digits.
    pub sha256: Option<String>,
    /// Whether its code runs in the program itself instead of a worker process.
    pub in_process: bool,
}

/// Reads the section: a list of paths, or of mappings that say more.
pub(crate) fn parse(node: Option<&Node>, diagnostics: &mut Diagnostics) -> Vec<PluginSpec> {
    match node.map(|node| (node, &node.value)) {
        None | Some((_, Value::Null)) => Vec::new(),
        Some((_, Value::Seq(items))) => items.iter().filter_map(|item| plugin(item, diagnostics)).collect(),
        Some((node, _)) => {
            diagnostics.push(Diagnostic::new(
                node.span,
                format!("`plugins` must be a list, this is {}", node.describe()),
                "expected `[PATH, …]`",
            ));
            Vec::new()
        }
    }
}

fn plugin(node: &Node, diagnostics: &mut Diagnostics) -> Option<PluginSpec> {
    if let Value::Str(path) = &node.value {
        return Some(PluginSpec {
            path: path.clone(),
            command: Vec::new(),
            code: Vec::new(),
            span: node.span,
            sha256: None,
            in_process: false,
        });
    }
    if !expect_map(node, "a plugin", diagnostics) {
        return None;
    }
    known_keys(node, PLUGIN_KEYS, "a plugin", diagnostics);
    let (path, command) = (node.get("path"), node.get("command"));
    let Some(at) = path.or(command) else {
        diagnostics.push(Diagnostic::new(node.span, "the plugin has no path", "expected `path: FILE`"));
        return None;
    };
    if let (Some(_), Some(command)) = (path, command) {
        diagnostics.push(Diagnostic::new(command.span, "a plugin has a path or a command, not both", "expected one"));
    }
    let command = command.map(|command| texts(command, "`command`", diagnostics)).unwrap_or_default();
    if let (Some(pin), None) = (node.get("sha256"), path) {
        diagnostics.push(
            Diagnostic::new(pin.span, "a command cannot be pinned", "expected `path:`")
                .with_help("its code is several files, whose digests are part of the key"),
        );
    }
    let code = node.get("code").map(|code| texts(code, "`code`", diagnostics)).unwrap_or_default();
    let sha256 = node.get("sha256").and_then(|node| {
        let pin = text(node, "a SHA-256", diagnostics)?;
        if pin.len() != 64 || !pin.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            diagnostics.push(
                Diagnostic::new(node.span, format!("`{pin}` is not a SHA-256"), "expected 64 hexadecimal digits")
                    .with_help("`sha256sum FILE` prints it"),
            );
        }
        Some(pin)
    });
    let in_process = match node.get("isolation").map(|node| (node, &node.value)) {
        None => false,
        Some((_, Value::Str(text))) if text == "process" => false,
        Some((_, Value::Str(text))) if text == "in-process" => true,
        Some((node, _)) => {
            diagnostics.push(
                Diagnostic::new(node.span, "this is no isolation", "expected `process` or `in-process`")
                    .with_help("`process`, the default, has a crash cost one stage; `in-process` saves milliseconds"),
            );
            false
        }
    };
    let path = match path {
        Some(path) => text(path, "a path", diagnostics)?,
        None => String::new(),
    };
    Some(PluginSpec { path, command, code, span: at.span, sha256, in_process })
}

/// A list of texts that is not empty.
fn texts(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Vec<String> {
    match &node.value {
        Value::Seq(items) if !items.is_empty() => {
            items.iter().filter_map(|item| text(item, "a word", diagnostics)).collect()
        }
        _ => {
            let message = format!("{what} must be a list of texts, this is {}", node.describe());
            diagnostics.push(Diagnostic::new(node.span, message, "expected `[TEXT, …]`"));
            Vec::new()
        }
    }
}
