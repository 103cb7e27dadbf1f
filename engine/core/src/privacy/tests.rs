use crate::testing::{assert_mistakes, plan};

/// People, what `stages` do with them, and a letter that names the columns of `letter`.
fn text(stages: &str, from: &str, letter: &str) -> String {
    format!(
        "workflow: w\nstages:\n  people: {{ uses: fake.people }}\n{stages}  letter: {{ uses: fake.write, \
         inputs: {{ table: {from} }}, with: {{ columns: [{letter}] }} }}\n"
    )
}

#[test]
fn a_personal_column_is_followed_to_where_it_would_be_disclosed() {
    let filters = "  one: { uses: fake.filter, inputs: { table: people }, with: { where: a } }\n  \
                   two: { uses: fake.filter, inputs: { table: one }, with: { where: b } }\n";
    assert_mistakes(
        &text(filters, "two", "name, email"),
        &["w.yaml:6:48 «two» the personal column `email` would get into a prompt | \
           `email` comes from `people` → `one` → `two` → `letter` | leave it out"],
    );
    assert_eq!(plan(&text(filters, "two", "name")).nodes.len(), 4);
}

#[test]
fn a_column_made_of_a_personal_one_is_personal() {
    let made = "  made: { uses: fake.make, inputs: { table: people }, with: { column: name } }\n";
    assert_mistakes(
        &text(made, "made", "name"),
        &["w.yaml:5:48 «made» the personal column `name` would get into a prompt | \
           `name` comes from `people` → `made` → `letter` | leave it out"],
    );
    assert_eq!(plan(&text(made, "made", "email")).nodes.len(), 3);
}

#[test]
fn a_variant_is_followed_whether_it_is_run_or_not() {
    let variant = "variants: { v: { stages: { letter: { with: { columns: [email] } } } } }\n";
    assert_mistakes(
        &(text("", "people", "name") + variant),
        &["w.yaml:4:48 «people» the personal column `email` would get into a prompt | \
           `email` comes from `people` → `letter` | leave it out"],
    );
}

#[test]
fn nodes_know_what_may_be_personal() {
    let plan = plan(&text(
        "  one: { uses: fake.filter, inputs: { table: people }, with: { where: a, rejects: true } }\n",
        "one.table",
        "",
    ));
    let one = &plan.nodes[1].personal;
    assert_eq!(one.keys().map(String::as_str).collect::<Vec<_>>(), ["rejects", "table"]);
    assert!(one["rejects"].contains("email"));
}

#[test]
fn a_secret_goes_where_one_is_taken() {
    let with = |password: &str| {
        format!("workflow: w\nstages:\n  people: {{ uses: fake.people, with: {{ password: '{password}' }} }}\n")
    };
    let plan = plan(&with("${secret:TOKEN}"));
    assert_eq!(plan.nodes[0].secrets[0].name, "TOKEN");
    assert_eq!(plan.nodes[0].configured.params()["password"], "${secret:TOKEN}");
    assert_mistakes(
        &with("hunter2"),
        &["w.yaml:3:50 «'hunter2'» `password` must name a secret | expected `${secret:NAME}` | \
           the value comes from the environment variable `NAME`, so that it rests nowhere"],
    );
}
