//! Why a key is another one than last time.

/// A field of a key that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name, such as `with.k`, `inputs.table` or `code`.
    pub field: String,
    /// What it was; `None` where it is new.
    pub before: Option<String>,
    /// What it is; `None` where it is gone.
    pub after: Option<String>,
}

/// The fields that differ, in the order of the walk; those that are gone come last.
pub fn changes(before: &[(String, String)], after: &[(String, String)]) -> Vec<Change> {
    // A name may stand several times, for the files of one glob: what is equal pairs up first, then what shares a name.
    let mut gone: Vec<&(String, String)> = before.iter().collect();
    let mut new: Vec<&(String, String)> = Vec::new();
    for field in after {
        match gone.iter().position(|old| *old == field) {
            Some(same) => drop(gone.remove(same)),
            None => new.push(field),
        }
    }
    let mut out = Vec::new();
    for (name, value) in new {
        let old = gone.iter().position(|(old, _)| old == name).map(|at| gone.remove(at));
        out.push(Change { field: name.clone(), before: old.map(|(_, old)| old.clone()), after: Some(value.clone()) });
    }
    for (name, value) in gone {
        out.push(Change { field: name.clone(), before: Some(value.clone()), after: None });
    }
    out
}

/// One change in words: ``parameter `k` changed from 2 to 3``.
pub fn sentence(change: &Change) -> String {
    let name = change.field.as_str();
    let what = if let Some(param) = name.strip_prefix("with.") {
        format!("parameter `{param}`")
    } else if let Some(port) = name.strip_prefix("inputs.") {
        format!("input `{port}`")
    } else if let Some(param) = name.strip_prefix("source.") {
        format!("source `{param}`")
    } else {
        match name {
            "code" => "the code of the stage type".to_owned(),
            "uses" => "the stage type".to_owned(),
            "seed" => "the seed".to_owned(),
            "contract" | "key" => "the version of Stagewright's keys".to_owned(),
            other => format!("`{other}`"),
        }
    };
    let show = |value: &str| shorten(value);
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{what} changed from {} to {}", show(before), show(after)),
        (None, Some(after)) => format!("{what} is new: {}", show(after)),
        (Some(before), None) => format!("{what} is gone: it was {}", show(before)),
        (None, None) => what,
    }
}

/// Digests to twelve digits, long texts to sixty characters.
fn shorten(value: &str) -> String {
    let words: Vec<String> = value
        .split(' ')
        .map(|word| {
            if word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                word[..12].to_owned()
            } else {
                word.to_owned()
            }
        })
        .collect();
    let text = words.join(" ");
    if text.chars().count() > 60 { text.chars().take(59).chain(['…']).collect() } else { text }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
