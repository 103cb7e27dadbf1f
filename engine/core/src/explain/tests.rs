use super::*;

fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The changes as `field: before -> after`.
fn shown(before: &[(&str, &str)], after: &[(&str, &str)]) -> Vec<String> {
    changes(&fields(before), &fields(after))
        .into_iter()
        .map(|change| {
            let show = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
            format!("{}: {} -> {}", change.field, show(change.before), show(change.after))
        })
        .collect()
}

#[test]
fn nothing_changed() {
    assert_eq!(shown(&[("a", "1"), ("b", "2")], &[("a", "1"), ("b", "2")]), Vec::<String>::new());
}

#[test]
fn changed_new_and_gone_in_the_order_of_the_walk() {
    assert_eq!(
        shown(&[("code", "1"), ("with.a", "1"), ("with.b", "2")], &[("code", "1"), ("with.b", "3"), ("with.c", "4")]),
        ["with.b: 2 -> 3", "with.c: - -> 4", "with.a: 1 -> -"]
    );
}

#[test]
fn of_several_files_the_equal_ones_pair_up_first() {
    assert_eq!(
        shown(
            &[("source.p", "a 1"), ("source.p", "b 2"), ("source.p", "c 3")],
            &[("source.p", "b 2"), ("source.p", "c 4"), ("source.p", "d 5"), ("source.p", "e 6")],
        ),
        ["source.p: a 1 -> c 4", "source.p: c 3 -> d 5", "source.p: - -> e 6"]
    );
}

#[test]
fn many_files_are_compared_soon() {
    let before: Vec<(String, String)> = (0..10_000).map(|n| ("source.p".to_owned(), format!("f{n} 1"))).collect();
    let mut after = before.clone();
    after[5_000].1 = "f5000 2".to_owned();
    let began = std::time::Instant::now();
    assert_eq!(changes(&before, &after).len(), 1);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

/// The sentence for a change.
fn say(field: &str, before: Option<&str>, after: Option<&str>) -> String {
    sentence(&Change { field: field.to_owned(), before: before.map(str::to_owned), after: after.map(str::to_owned) })
}

#[test]
fn sentences() {
    let digest = "0123456789abcdef".repeat(4);
    assert_eq!(say("with.k", Some("2"), Some("3")), "parameter `k` changed from 2 to 3");
    assert_eq!(say("with.weights.a", None, Some("0.5")), "parameter `weights.a` is new: 0.5");
    assert_eq!(say("with.k", Some("2"), None), "parameter `k` is gone: it was 2");
    assert_eq!(
        say("inputs.table", Some(&format!("table {digest}")), Some("table x")),
        "input `table` changed from table 0123456789ab to table x"
    );
    assert_eq!(
        say("source.path", None, Some(&format!("users.csv {digest}"))),
        "source `path` is new: users.csv 0123456789ab"
    );
    assert_eq!(say("code", Some(&digest), Some("x")), "the code of the stage type changed from 0123456789ab to x");
    assert_eq!(say("uses", Some("a.b"), Some("a.c")), "the stage type changed from a.b to a.c");
    assert_eq!(say("seed", Some("1"), None), "the seed is gone: it was 1");
    assert_eq!(say("key", Some("1"), Some("2")), "the version of Stagewright's keys changed from 1 to 2");
    assert_eq!(say("contract", Some("1"), Some("2")), "the version of Stagewright's keys changed from 1 to 2");
}

#[test]
fn long_values_are_shortened() {
    assert_eq!(
        say("with.where", None, Some(&"é".repeat(100))),
        format!("parameter `where` is new: {}…", "é".repeat(59))
    );
}
