//! Source files: from a path or a pattern in a workflow to the files that are there.

use std::path::{Path, PathBuf};

use stagewright_core::diagnostic::nearest;
use stagewright_core::plan::NotFound;

/// The files that a path or glob pattern means, sorted; a relative one starts from `base`.
///
/// # Errors
/// When nothing is there, naming the nearest file that is.
pub fn find_files(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, NotFound> {
    let full = base.join(pattern);
    if full.is_file() {
        return Ok(vec![full]);
    }
    let no = |message: String, help: Option<String>| Err(NotFound { message, help });
    if pattern.contains(['*', '?', '[']) {
        let text = full.to_string_lossy();
        let matches = match glob::glob(&text) {
            Ok(matches) => matches,
            Err(error) => return no(format!("`{pattern}` is not a pattern: {}", error.msg), None),
        };
        let mut files: Vec<PathBuf> = matches.filter_map(Result::ok).filter(|path| path.is_file()).collect();
        files.sort();
        return if files.is_empty() { no(format!("no file matches `{}`", full.display()), None) } else { Ok(files) };
    }
    if full.is_dir() {
        return no(
            format!("`{}` is a folder, not a file", full.display()),
            Some(format!("name a file in it, or a pattern such as `{}/*.csv`", pattern.trim_end_matches('/'))),
        );
    }
    let folder = full.parent().unwrap_or(Path::new("."));
    let name = full.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return no(format!("there is no folder `{}`", folder.display()), None);
    };
    let names: Vec<String> =
        entries.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let help = nearest(&name, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
    no(format!("there is no file `{}`", full.display()), help)
}
