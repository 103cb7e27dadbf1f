use crate::testing::{assert_mistakes, mistakes};

/// A workflow with a stage of type `fake.cluster` and this `with:`.
fn with(with: &str) -> String {
    format!(
        "workflow: w\nstages:\n  t: {{ uses: fake.read, with: {{ path: a }} }}\n  \
         c: {{ uses: fake.cluster, inputs: {{ table: t }}, with: {with} }}\n"
    )
}

/// That this `with:` has one mistake; the line and the beginning of the column are left out.
#[track_caller]
fn assert_mistake(text: &str, expected: &str) {
    let found = mistakes(&with(text));
    assert_eq!(found.len(), 1, "{found:#?}");
    let (_, found) = found[0].split_once(' ').unwrap();
    assert_eq!(found, expected);
}

#[test]
fn types() {
    assert_mistake("{ k: many }", "«many» `k` must be an integer | this is text");
    assert_mistake("{ k: 2.5 }", "«2.5» `k` must be an integer | this is a number");
    assert_mistake("{ k: '2' }", "«'2'» `k` must be an integer | this is text");
    assert_mistake("{ k: ~ }", "«~» `k` must be an integer | this is nothing");
    assert_mistake("{ k: 2, share: [1] }", "«[» `share` must be a number or nothing | this is a list");
    assert_mistake("{ k: 2, weights: 3 }", "«3» `weights` must be a mapping | this is an integer");
}

#[test]
fn a_whole_number_written_with_a_point_is_an_integer() {
    // As JSON Schema has it; the stage then says that it is none.
    assert_eq!(mistakes(&with("{ k: 2.0 }")).len(), 1);
}

#[test]
fn ranges() {
    assert_mistake("{ k: 1 }", "«1» `k` must be at least 2 | expected 2 or more");
    assert_mistake("{ k: 51 }", "«51» `k` must be at most 50 | expected 50 or less");
    assert_mistake("{ k: 2, share: 0 }", "«0» `share` must be more than 0 | expected more than 0");
    assert_mistake("{ k: 2, share: 1.0 }", "«1.0» `share` must be less than 1 | expected less than 1");
}

#[test]
fn sizes_and_forms() {
    assert_mistake("{ k: 2, names: [] }", "«[» `names` needs at least 1 entries | too few");
    assert_mistake("{ k: 2, names: [a, a] }", "«[» `names` holds the same entry twice | expected distinct entries");
    assert_mistake(
        "{ k: 2, limits: [{ name: a }, { name: b }, { name: c }, { name: d }] }",
        "«[» `limits` takes at most 3 entries | too many",
    );
    assert_mistake("{ k: 2, letter: '' }", "«''» `letter` is too short | expected more characters");
    assert_mistake("{ k: 2, letter: abc }", "«abc» `letter` is too long | expected at most 2 characters");
    assert_mistake(
        "{ k: 2, letter: A }",
        "«A» `letter` is not of the right form | expected a text that matches `^[a-z]*$`",
    );
}

#[test]
fn missing_parameters_come_with_their_documentation() {
    assert_mistakes(
        &with("{}"),
        &["w.yaml:4:14 «fake.cluster» `fake.cluster` needs the parameter `k` | `k` is missing | `k`: How many groups."],
    );
    assert_mistake("{ k: 2, limits: [{ at: 1 }] }", "«{» `limits[0]` needs the key `name` | `name` is missing");
}

#[test]
fn unknown_parameters_and_keys_name_the_nearest() {
    assert_mistake(
        "{ k: 2, strat: random }",
        "«strat» `fake.cluster` has no parameter `strat` | unknown parameter | did you mean `start`?",
    );
    assert_mistake(
        "{ k: 2, limits: [{ name: a }, { name: b, att: 1 }] }",
        "«att» `limits[1]` has no key `att` | unknown parameter | did you mean `at`?",
    );
}

#[test]
fn choices_with_documentation_name_the_nearest() {
    assert_mistake(
        "{ k: 2, start: randm }",
        "«randm» `start` cannot be `randm` | expected `spread`, `random` | did you mean `random`?",
    );
    assert_mistake(
        "{ k: 2, start: 3 }",
        "«3» `start` cannot be `3` | expected `spread`, `random` | valid names: random, spread",
    );
}

#[test]
fn plain_and_nullable_choices_name_the_nearest() {
    assert_mistake(
        "{ k: 2, unit: metres }",
        "«metres» `unit` cannot be `metres` | expected `metre`, `mile` | did you mean `metre`?",
    );
}

#[test]
fn untagged_choices_say_which_types_are_taken() {
    assert_mistake("{ k: 2, fill: [1] }", "«[» `fill` must be a number or text or nothing | this is a list");
}

#[test]
fn a_mistake_inside_something_optional_is_shown_there() {
    assert_mistake(
        "{ k: 2, limit: { name: a, att: 1 } }",
        "«att» `limit` has no key `att` | unknown parameter | did you mean `at`?",
    );
    assert_mistake("{ k: 2, limit: { name: 3 } }", "«3» `limit.name` must be text | this is an integer");
    assert_mistake("{ k: 2, limit: { at: 3 } }", "«{» `limit` needs the key `name` | `name` is missing");
    assert_mistake("{ k: 2, limit: 3 }", "«3» `limit` must be a mapping or nothing | this is an integer");
}

#[test]
fn mistakes_deep_inside_lists_and_mappings_have_their_path() {
    assert_mistake(
        "{ k: 2, limits: [{ name: a }, { name: b, at: x }] }",
        "«x» `limits[1].at` must be a number or nothing | this is text",
    );
    assert_mistake("{ k: 2, weights: { a: 1, b/c: x } }", "«x» `weights.b/c` must be a number | this is text");
    assert_mistake("{ k: 2, names: [a, 3] }", "«3» `names[1]` must be text | this is an integer");
}

#[test]
fn all_mistakes_of_a_stage_are_found() {
    let found = mistakes(&with("{ k: 1, start: x, kk: 2, share: 7, names: [1, 2] }"));
    assert_eq!(found.len(), 6, "{found:#?}");
}

#[test]
fn a_check_of_the_stage_type_is_shown_at_the_parameter() {
    assert_mistake(
        "{ k: 2, limits: [{ name: '' }] }",
        "«''» a limit needs a name | in the parameters of `fake.cluster` | such as `upper`",
    );
}

#[test]
fn what_is_not_written_here_is_blamed_on_the_type() {
    assert_mistakes(
        "workflow: w\nstages:\n  t: { uses: fake.read }\n",
        &[
            "w.yaml:3:14 «fake.read» `fake.read` needs the parameter `path` | `path` is missing | `path`: Where the file is.",
        ],
    );
}

#[test]
fn a_value_that_is_too_long_is_shortened() {
    let found = mistakes(&with(&format!("{{ k: 2, unit: {} }}", "é".repeat(100))));
    assert!(found[0].contains(&format!("`unit` cannot be `{}…`", "é".repeat(40))), "{}", found[0]);
}
