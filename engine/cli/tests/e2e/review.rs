//! Messages that people decide about.

use crate::space::TestSpace;

const WORKFLOW: &str = "\
workflow: reviewed
stages:
  recommended: { uses: ingest.csv, with: { path: recommended.csv, personal: [user_id] } }
  messages:
    uses: generate.messages
    inputs: { recommendations: recommended }
    with: { template: { tone: concise } }
  review:
    uses: generate.review
    inputs: { messages: messages.table }
    with: { decisions: reviews/decisions.csv }
";

const RECOMMENDED: &str =
    "user_id,product_id,rank,name\n1,a,1,Green Tea\n2,b,1,Dark Chocolate\n3,c,1,Oat Biscuits\n4,a,1,Green Tea\n";

fn space() -> TestSpace {
    let space = TestSpace::with(WORKFLOW);
    space.write("recommended.csv", RECOMMENDED);
    space
}

/// The rows of an output as CSV, without the header.
fn rows(space: &TestSpace, port: &str) -> usize {
    let metrics = space.run("get review.metrics");
    let metrics: serde_json::Value =
        serde_json::from_str(&metrics.stdout).unwrap_or_else(|error| panic!("{error}\n{metrics}"));
    metrics["values"][port]["value"].as_f64().unwrap() as usize
}

/// The identifiers of the messages, in the order of the users.
fn ids(space: &TestSpace) -> Vec<String> {
    let form = space.run("review export workflow.yaml review");
    assert_eq!(form.code, Some(0), "{form}");
    form.stdout
        .lines()
        .filter_map(|line| line.split_once(','))
        .map(|(id, _)| id.to_owned())
        .filter(|id| id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit()))
        .collect()
}

#[test]
fn decisions_go_out_and_come_back() {
    let space = space();
    let early = space.run("review export workflow.yaml review");
    assert_eq!(early.code, Some(2), "{early}");
    assert!(early.stderr.contains("help: execute it first: `stagewright run workflow.yaml`"), "{early}");
    space.summary("");
    assert_eq!(["approved", "pending", "rejected"].map(|port| rows(&space, port)), [0, 4, 0]);

    let form = space.run("review export workflow.yaml review --output form.csv");
    assert_eq!(form.stdout, "wrote 4 pending messages to `form.csv`\n");
    assert_eq!(form.stderr, "note: `form.csv` holds personal columns: user_id\n");
    let text = space.read("form.csv");
    assert!(text.starts_with("message_id,user,decision,subject,text,reviewer,note\n"), "{text}");
    let ids = ids(&space);
    assert_eq!(ids.len(), 4);

    // As a spreadsheet gives it back: one of each, one left open.
    space.write(
        "form.csv",
        format!(
            "message_id,user,decision,text,reviewer,note\r\n{},1,approve,,Ann,\r\n\
             {},2,edit,\"Hello,\r\n\r\nwe have dark chocolate for you, and hope that you like it.\",Ann,too short\r\n\
             {},3,reject,,Ben,no biscuits\r\n{},4,,,,\r\n",
            ids[0], ids[1], ids[2], ids[3]
        ),
    );
    let import = space.run("review import workflow.yaml review form.csv");
    assert_eq!(import.code, Some(0), "{import}");
    assert_eq!(
        import.stdout,
        "imported 3 decisions: 1 approved, 1 edited, 1 rejected\n1 message is pending; the decisions are in \
         `[space]/reviews/decisions.csv`, and `stagewright run workflow.yaml` goes on with them\n"
    );
    // The decisions are part of the key.
    assert_eq!(space.summary("").executed(), ["review"]);
    assert_eq!(["approved", "edited", "pending", "rejected"].map(|port| rows(&space, port)), [2, 1, 1, 1]);
    let approved = space.run("get review.approved --format csv").stdout;
    assert!(approved.contains("we have dark chocolate for you") && approved.contains("too short"), "{approved}");
    assert!(space.run("get review.rejected --format csv").stdout.contains("no biscuits"));
    assert_eq!(space.summary("").executed(), [""; 0]);

    // The form has what is left; a later decision replaces an earlier one.
    assert_eq!(self::ids(&space), [ids[3].clone()]);
    space.write("again.csv", format!("message_id,decision\n{},approve\n{},approve\n", ids[2], ids[3]));
    let import = space.run("review import workflow.yaml review again.csv");
    assert!(
        import.stdout.starts_with("imported 2 decisions: 2 approved, 0 edited, 0 rejected\n1 of them replaced"),
        "{import}"
    );
    space.summary("");
    assert_eq!(["approved", "pending", "rejected"].map(|port| rows(&space, port)), [4, 0, 0]);

    // A text that is written anew is pending again; the decisions about the others survive.
    space.replace("recommended.csv", "Oat Biscuits", "Rice Cakes");
    space.summary("");
    assert_eq!(["approved", "pending", "rejected"].map(|port| rows(&space, port)), [3, 1, 0]);
}

#[test]
fn forms_with_mistakes_are_refused_and_nothing_is_written() {
    let space = space();
    space.summary("");
    let ids = ids(&space);
    let refused = |form: String, expected: &str| {
        space.write("form.csv", form);
        let import = space.run("review import workflow.yaml review form.csv");
        assert_eq!(import.code, Some(2), "{import}");
        assert_eq!(import.stderr, expected);
        assert!(!space.path("reviews").exists());
    };
    refused(
        format!("message_id,decision\n{},approve\n{},perhaps\n", ids[0], ids[1]),
        "error: form.csv:3: `perhaps` is not a decision\nhelp: write `approve`, `reject` or `edit`, or nothing\n",
    );
    refused(
        "message_id,decision\nabc,approve\n".to_owned(),
        "error: form.csv:2: there is no message `abc` in `review`\n\
         help: its text may have been written anew since the form was: export it again\n",
    );
    refused(
        format!("message_id,decision,text\n{},approve,Another text\n", ids[0]),
        "error: form.csv:2: the decision is `approve`, but the text is not that of the message\n\
         help: write `edit` to approve it with this change\n",
    );
    let wrong = space.run("review export workflow.yaml messages");
    assert_eq!(wrong.stderr, "error: `messages` is a stage of type `generate.messages`, not `generate.review`\n");
    let nobody = space.run("review workflow.yaml");
    assert_eq!(nobody.code, Some(2), "{nobody}");
    assert!(
        nobody.stderr.starts_with("error: there is no terminal to ask for decisions in\nhelp: write a form"),
        "{nobody}"
    );
}

#[test]
fn a_garbled_file_of_decisions_fails_the_stage_with_its_line() {
    let space = space();
    space.summary("");
    let ids = ids(&space);
    space.write("reviews/decisions.csv", format!("message_id,decision\n{},aprove\n", ids[0]));
    let run = space.run("run");
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("decisions.csv:2: `aprove` is not a decision"), "{run}");
}
