//! The delivery plugin in a worker, against the stand-in: killed, refused, and told to write to people who said no.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use stagewright_sfmc_stand_in::{Options, StandIn};

use crate::space::{Output, Summary, TestSpace, signal};

/// How many people there are; every seventh said no.
const PEOPLE: usize = 210;

const CAMPAIGN: &str = "\
workflow: campaign
plugins: [PLUGIN]
stages:
  contacts: { uses: ingest.csv, with: { path: contacts.csv, personal: [email] } }
  messages: { uses: ingest.csv, with: { path: messages.csv } }
  deliver:
    uses: sfmc.bundle
    inputs: { messages: messages, contacts: contacts }
    with:
      data_extension: { key: spring }
      fields: [{ name: Subject, from: messages.subject }]
      columns: { subscriber_key: key }
  upload:
    uses: sfmc.upload
    inputs: { bundle: deliver.bundle, contacts: contacts }
    with:
      account:
        subdomain: test
        client_id: '${secret:SFMC_ID}'
        client_secret: '${secret:SFMC_SECRET}'
        auth_url: SERVICE
        rest_url: SERVICE
      subscriber_key: key
      batch: { rows: 20 }
      opt_outs: opt-outs.csv
      retries: 40
      pause: 0.01
      timeout: 0.5
      poll: 0.01
";

/// Who is to be there in the end, with which subject.
fn expected(people: usize) -> BTreeMap<String, String> {
    (0..people).filter(|n| n % 7 != 3).map(|n| (format!("K{n}"), format!("For {n}"))).collect()
}

/// Quick, and bad in two requests of five where it is told to.
fn service(trouble: f64, seed: u64) -> StandIn {
    let (pending, slow) = (Duration::from_millis(10), Duration::from_millis(700));
    StandIn::start(Options { trouble, seed, pending, slow, retry_after: 0, ..Options::default() }).unwrap()
}

/// The library, which is built because the tests depend on it.
pub(crate) fn plugin() -> String {
    let program = std::env::current_exe().unwrap();
    let library = program.parent().unwrap().join("libstagewright_sfmc.so");
    assert!(library.exists(), "{}", library.display());
    library.to_string_lossy().into_owned()
}

fn campaign(service: &StandIn) -> TestSpace {
    let space = TestSpace::with(&CAMPAIGN.replace("SERVICE", &service.url()).replace("PLUGIN", &plugin()));
    let no = ["Unsubscribed", "HELD", " bounced "];
    let mut contacts = "user_id,key,email,status\n".to_owned();
    let mut messages = "user_id,subject\n".to_owned();
    for n in 0..PEOPLE {
        let status = if n % 7 == 3 { no[n % 3] } else { "Active" };
        contacts += &format!("{n},K{n},person{n}@example.com,{status}\n");
        messages += &format!("{n},For {n}\n");
    }
    space.write("contacts.csv", contacts);
    space.write("messages.csv", messages);
    space.write("opt-outs.csv", "SubscriberKey\n");
    space
}

fn command(space: &TestSpace, args: &str) -> Command {
    let mut command = space.command(&args.split_whitespace().collect::<Vec<_>>());
    command.env("SFMC_ID", "client").env("SFMC_SECRET", "secret");
    command
}

fn run(space: &TestSpace, args: &str) -> Output {
    Output::of(&mut command(space, args), space.folder())
}

/// Runs the campaign to its end, and says what was executed.
fn executed(space: &TestSpace) -> Vec<String> {
    let output = run(space, "run --json");
    assert_eq!(output.code, Some(0), "{output}");
    Summary::of(&serde_json::from_str(&output.stdout).unwrap()).executed()
}

/// Makes the data extension that a bundle defines. The first run makes the bundle, and fails for want of it.
fn define(space: &TestSpace, service: &StandIn) {
    let output = run(space, "run");
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("Unable to find the data extension"), "{output}");
    let output = run(space, "get deliver.bundle --output out");
    assert_eq!(output.code, Some(0), "{output}");
    service.define(&serde_json::from_str(&space.read("out/data_extension.json")).unwrap()).unwrap();
}

fn there(service: &StandIn) -> BTreeMap<String, String> {
    let rows = service.rows("spring");
    let text = |row: &serde_json::Map<String, serde_json::Value>, name: &str| row[name].as_str().unwrap().to_owned();
    let there: BTreeMap<String, String> =
        rows.iter().map(|row| (text(row, "SubscriberKey"), text(row, "Subject"))).collect();
    assert_eq!(there.len(), rows.len(), "somebody is there twice");
    there
}

#[test]
fn a_campaign_is_delivered_once() {
    let service = service(0.0, 0);
    let space = campaign(&service);
    define(&space, &service);
    assert_eq!(executed(&space), ["upload"]);
    assert_eq!(there(&service), expected(PEOPLE));
    let requests = service.counts()["requests"];
    assert_eq!(executed(&space), Vec::<String>::new());
    assert_eq!(service.counts()["requests"], requests, "nothing has changed, so nothing is sent");
    // The report shows which files there are, and nothing of what is in them.
    let report = run(&space, "run --report page.html");
    assert_eq!(report.code, Some(0), "{report}");
    let page = space.read("page.html");
    assert!(page.contains("spring_control.csv") && !page.contains("@example.com") && !page.contains("secret"));
    // A folder that is there is not written over.
    check!("sfmc_get_again", run(&space, "get deliver.bundle --output out"));
    check!("sfmc_get_list", run(&space, "get deliver.bundle"));
    let erased = run(&space, "store erase --subject K5 --dry-run");
    assert!(erased.stdout.contains("campaign/deliver.bundle"), "{erased}");
    space.assert_sound();
}

/// Killed after a while that grows, over and over, until a run gets to its end; beside a service that misbehaves.
#[test]
fn a_delivery_that_is_killed_again_and_again_loses_and_doubles_nobody() {
    let mut halfway = 0;
    for seed in 0..3 {
        let service = service(0.25, seed);
        let space = campaign(&service);
        define(&space, &service);
        let mut kills = 0;
        let mut patience = Duration::from_millis(60 + 35 * seed);
        loop {
            let mut child = command(&space, "run").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(patience);
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "seed {seed}");
                break;
            }
            signal("KILL", &child);
            child.wait().unwrap();
            kills += 1;
            let far = there(&service);
            assert!(far.iter().all(|(key, subject)| expected(PEOPLE).get(key) == Some(subject)), "seed {seed}");
            halfway += usize::from(!far.is_empty() && far.len() < expected(PEOPLE).len());
            patience += Duration::from_millis(150);
        }
        assert!(kills > 0, "seed {seed}: it was done before it could be killed");
        assert_eq!(there(&service), expected(PEOPLE), "seed {seed}, killed {kills} times");
        assert_eq!(executed(&space), Vec::<String>::new());
        space.assert_sound();
    }
    assert!(halfway > 0, "no run was killed while some rows were there and others not");
}

/// They were asked before the bundle was made, and said no before it was uploaded.
#[test]
fn whoever_opts_out_after_the_bundle_was_made_is_not_uploaded() {
    let service = service(0.0, 0);
    let space = campaign(&service);
    define(&space, &service);
    let bundle = space.read("out/spring.csv");
    assert!(bundle.contains("\"K4\"") && bundle.contains("\"K5\"") && bundle.contains("\"K6\""));
    space.write("opt-outs.csv", "subscriber_key,status\n k4 ,whatever\n\"K5\",Unsubscribed\nK6,active\n");
    assert_eq!(executed(&space), ["upload"]);
    let mut wanted = expected(PEOPLE);
    wanted.remove("K4");
    wanted.remove("K5");
    assert_eq!(there(&service), wanted);
}

/// Checks that the bundle of a variant holds people, and nobody who said no.
fn assert_kept(space: &TestSpace, variant: &str) {
    let output = run(space, &format!("get deliver.bundle --variant {variant} --output {variant}"));
    assert_eq!(output.code, Some(0), "{output}");
    let rows = space.read(&format!("{variant}/spring.csv"));
    let keys: Vec<&str> = rows.lines().skip(1).filter_map(|row| row.split('"').nth(1)).collect();
    assert_eq!(keys.len(), expected(PEOPLE).len());
    assert!(keys.iter().all(|key| expected(PEOPLE).contains_key(*key)), "{keys:?}");
}

/// Workflows that would like to write to everybody.
#[test]
fn no_workflow_writes_to_whoever_said_no() {
    let columns = "columns: { subscriber_key: key }";
    let each_line = |text: String, add: &dyn Fn(usize) -> String| -> String {
        text.lines().enumerate().map(|(at, line)| format!("{line}{}\n", add(at))).collect()
    };
    // Another column is said to be the consent, and everyone has it.
    let service = service(0.0, 0);
    let space = campaign(&service);
    space.replace("workflow.yaml", columns, &format!("{columns}\n      consent: {{ consent: [fine] }}"));
    space.write(
        "contacts.csv",
        each_line(space.read("contacts.csv"), &|at| if at == 0 { ",fine" } else { ",yes" }.into()),
    );
    define(&space, &service);
    assert_kept(&space, "base");
    // People are known by their key, in another case.
    let space = campaign(&service);
    space.replace("workflow.yaml", columns, "columns: { person: other, contact: key }");
    let other = |at: usize| if at == 0 { ",other".to_owned() } else { format!(", k{} ", at - 1) };
    space.write("messages.csv", each_line(space.read("messages.csv"), &other));
    assert_eq!(executed(&space).len(), 4);
    assert_kept(&space, "base");
    // A second row says that everyone is fine, before and after the first.
    let space = campaign(&service);
    let contacts = space.read("contacts.csv");
    let fine = |line: &str| line.rsplit_once(',').map(|(rest, _)| format!("{rest},Active\n"));
    let fine: String = contacts.lines().skip(1).filter_map(fine).collect();
    let (head, rest) = contacts.split_once('\n').unwrap();
    space.write("contacts.csv", format!("{head}\n{fine}{rest}{fine}"));
    assert_eq!(executed(&space).len(), 4);
    assert_kept(&space, "base");
    // In every variant.
    let space = campaign(&service);
    let variants = "variants: { other: { stages: { deliver: { with: { variant: other, control: 0 } } } } }\n";
    space.write("workflow.yaml", space.read("workflow.yaml") + variants);
    executed(&space);
    assert_kept(&space, "base");
    assert_kept(&space, "other");
    assert_eq!(there(&service), expected(PEOPLE));
}

#[test]
fn personal_columns_do_not_get_into_a_delivery() {
    let service = service(0.0, 0);
    let space = campaign(&service);
    space.replace("workflow.yaml", "from: messages.subject }", "from: contacts.email }");
    let output = run(&space, "validate");
    let text = output.to_string().replace(&plugin(), "[plugin]").replace(&service.url(), "[service]");
    check!("sfmc_personal", text);
}

/// `plugin check` finds nothing wrong.
#[test]
fn the_plugin_keeps_the_rules() {
    let space = TestSpace::new();
    let output = space.run_args(&["plugin", "check", &plugin()]);
    assert_eq!(output.code, Some(0), "{output}");
    let shown: String =
        output.stdout.lines().filter(|line| !line.starts_with("  limit ")).map(|l| format!("{l}\n")).collect();
    insta::assert_snapshot!("sfmc_checked", shown);
}
