//! Metrics as programs write them.

use serde_json::Value;
use stagewright_contract::{Goal, Metrics};

/// Reads metrics from JSON: an object of numbers by name, such as `{"auc": 0.81}`, where a number may be null, or
/// `{"value": 0.81, "goal": "maximize"}`; or a whole artifact as `stagewright get` prints it.
///
/// # Errors
/// What is none of these.
pub(crate) fn parse(bytes: &[u8]) -> Result<Metrics, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let hint = if has_nan(bytes) { "; NaN and Infinity are no JSON: write null" } else { "" };
        format!("it is not JSON: {error}{hint}")
    })?;
    let Value::Object(entries) = &value else { return Err("it is no object of numbers by name".to_owned()) };
    if entries.get("values").is_some_and(Value::is_object) {
        return serde_json::from_value(value).map_err(|error| error.to_string());
    }
    let mut metrics = Metrics::new();
    for (name, said) in entries {
        let number = |value: &Value| match value {
            Value::Null => Ok(None),
            Value::Number(number) => Ok(number.as_f64()),
            _ => Err(format!("metric `{name}` is neither a number nor null, nor `{{\"value\": …, \"goal\": …}}`")),
        };
        let (value, goal) = match said {
            Value::Object(parts) => {
                if let Some(other) = parts.keys().find(|key| !["value", "goal"].contains(&key.as_str())) {
                    return Err(format!("metric `{name}` has a key `{other}`: expected `value` and `goal`"));
                }
                let goal = parts.get("goal").cloned().unwrap_or_else(|| Value::from("describe"));
                let goal: Goal = serde_json::from_value(goal).map_err(|_| {
                    format!("the goal of metric `{name}` is none of `maximize`, `minimize` and `describe`")
                })?;
                (number(parts.get("value").unwrap_or(&Value::Null))?, goal)
            }
            other => (number(other)?, Goal::Describe),
        };
        metrics.insert(name, value, goal).map_err(|error| error.message)?;
    }
    Ok(metrics)
}

fn has_nan(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.contains("NaN") || text.contains("Infinity")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn numbers_by_name_are_metrics() {
        let metrics = parse(br#"{"auc": {"value": 0.81, "goal": "maximize"}, "rows": 3, "none": null}"#).unwrap();
        assert_eq!(metrics.values["auc"].value, Some(0.81));
        assert_eq!(metrics.values["auc"].goal, Goal::Maximize);
        assert_eq!((metrics.values["rows"].value, metrics.values["rows"].goal), (Some(3.0), Goal::Describe));
        assert_eq!(metrics.values["none"].value, None);
    }

    #[test]
    fn an_artifact_is_read_as_it_was_written() {
        let mut metrics = Metrics::new();
        metrics.insert("auc", Some(0.5), Goal::Maximize).unwrap();
        assert_eq!(parse(&serde_json::to_vec(&metrics).unwrap()).unwrap(), metrics);
    }

    #[test]
    fn what_is_no_metrics_is_refused() {
        for (text, said) in [
            (r#"{"auc": NaN}"#, "write null"),
            ("[1]", "no object"),
            (r#"{"auc": "high"}"#, "neither a number"),
            (r#"{"auc": {"value": 1, "goal": "up"}}"#, "maximize"),
            (r#"{"auc": {"valu": 1}}"#, "a key `valu`"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
