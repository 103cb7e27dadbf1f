//! Files that nobody writes by accident: each ends in a clear error, within the memory of a small workflow and 100 MB.

use std::process::Command;

use crate::space::{Output, TestSpace};

/// Runs `validate` with at most 100 MB of data (heap and stacks) in kilobytes, which is less than what is asked for:
/// the program's own needs are in it.
fn validate(space: &TestSpace) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -d 100000 && exec \"$0\" validate", env!("CARGO_BIN_EXE_stagewright")]);
    space.prepare(&mut command);
    Output::of(&mut command, space.folder())
}

/// The error of a workflow with this text.
fn refused(text: impl AsRef<[u8]>) -> Output {
    let space = TestSpace::new();
    space.write("workflow.yaml", text);
    let output = validate(&space);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.len() < 4_000, "{} bytes are no clear error", output.stderr.len());
    output
}

#[test]
fn aliases_of_aliases() {
    let mut text = "workflow: bomb\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let list = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
    }
    check!("hostile_aliases_of_aliases", refused(text));
}

#[test]
fn aliases_of_a_long_text() {
    let text = format!("workflow: bomb\ntext: &text {}\nlist: [{}]\n", "z".repeat(60_000), ["*text"; 900].join(", "));
    check!("hostile_aliases_of_a_long_text", refused(text));
}

#[test]
fn merged_mappings() {
    let mut text = "workflow: bomb\nparams:\n  a0: &a0 { a: 1, b: 2, c: 3, d: 4 }\n".to_owned();
    for level in 1..30 {
        let list = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("  a{level}: &a{level} {{ <<: [{list}] }}\n"));
    }
    check!("hostile_merged_mappings", refused(text));
}

#[test]
fn references_to_references() {
    let mut text = "workflow: bomb\nparams:\n  a0: lol\n".to_owned();
    for level in 1..20 {
        text.push_str(&format!("  a{level}: '{}'\n", format!("${{params.a{}}}", level - 1).repeat(9)));
    }
    text.push_str("stages: { people: { uses: ingest.synthetic } }\n");
    check!("hostile_references_to_references", refused(text));
}

#[test]
fn lists_of_references() {
    let mut text = "workflow: bomb\nparams:\n  a0: [lol]\n".to_owned();
    for level in 1..20 {
        let list = vec![format!("'${{params.a{}}}'", level - 1); 9].join(", ");
        text.push_str(&format!("  a{level}: [{list}]\n"));
    }
    text.push_str("stages: { people: { uses: ingest.synthetic } }\n");
    check!("hostile_lists_of_references", refused(text));
}

#[test]
fn a_chain_of_references() {
    let chain: String = (0..20_000).map(|link| format!("  a{link}: ${{params.a{}}}\n", link + 1)).collect();
    let text =
        format!("workflow: chain\nparams:\n{chain}  a20000: 1\nstages: {{ people: {{ uses: ingest.synthetic }} }}\n");
    let space = TestSpace::with(&text);
    let output = validate(&space);
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("in a chain"), "{output}");
}

#[test]
fn a_megabyte_of_plain_text() {
    check!("hostile_megabyte_plain", refused(format!("workflow: {}\n", "x".repeat(1 << 20))));
}

#[test]
fn a_megabyte_of_quoted_text() {
    check!("hostile_megabyte_quoted", refused(format!("workflow: \"{}\"\n", "x y ".repeat(1 << 18))));
}

#[test]
fn a_megabyte_of_quoted_lines() {
    check!("hostile_megabyte_quoted_lines", refused(format!("workflow: \"{}\"\n", "word\n  ".repeat(1 << 18))));
}

#[test]
fn a_megabyte_of_block_text() {
    check!("hostile_megabyte_block", refused(format!("workflow: |\n{}\n", "  some line of it\n".repeat(1 << 16))));
}

#[test]
fn deep_nesting_in_flow_style() {
    check!("hostile_deep_flow", refused(format!("stages: {}{}\n", "[".repeat(10_000), "]".repeat(10_000))));
    check!("hostile_deep_flow_mappings", refused(format!("stages: {}{}\n", "{a: ".repeat(10_000), "}".repeat(10_000))));
    check!("hostile_deep_flow_unclosed", refused("[".repeat(10_000)));
}

#[test]
fn deep_nesting_in_block_style() {
    // Each level needs one more space: ten thousand levels of mappings take 50 MB, so these are dashes.
    check!("hostile_deep_block", refused(format!("{}x\n", "- ".repeat(10_000))));
    let mappings: String = (0..2_000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    check!("hostile_deep_block_mappings", refused(mappings));
}

#[test]
fn text_that_is_not_utf8() {
    check!("hostile_latin1", refused(b"workflow: caf\xe9\n"));
    let utf16: Vec<u8> = "workflow: x\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check!("hostile_utf16", refused([b"\xff\xfe".as_slice(), &utf16].concat()));
    check!("hostile_binary", refused(b"\x7fELF\x02\x01\x01\0\0\0\0"));
}

#[test]
fn nothing_at_all() {
    check!("hostile_empty", refused(""));
    check!("hostile_only_a_comment", refused("# nothing yet\n"));
    check!("hostile_only_a_list", refused("- workflow\n"));
}

#[test]
fn two_documents() {
    check!("hostile_two_documents", refused("workflow: a\n---\nworkflow: b\n"));
}

#[test]
fn a_file_larger_than_memory() {
    let space = TestSpace::with("");
    std::fs::File::create(space.path("workflow.yaml")).unwrap().set_len(1 << 40).unwrap();
    check!("hostile_huge", validate(&space));
}

#[test]
fn a_device_without_an_end() {
    let space = TestSpace::new();
    std::os::unix::fs::symlink("/dev/zero", space.path("workflow.yaml")).unwrap();
    check!("hostile_endless", validate(&space));
}

#[test]
fn a_folder() {
    let space = TestSpace::new();
    std::fs::create_dir(space.path("workflow.yaml")).unwrap();
    check!("hostile_folder", validate(&space));
}

#[test]
fn a_hundred_thousand_mistakes() {
    let stages: String = (0..100_000).map(|stage| format!("  s{stage}: {{ uses: nothing.like.it }}\n")).collect();
    let space = TestSpace::with(&format!("workflow: many\nstages:\n{stages}"));
    let output = space.run("validate");
    assert_eq!(output.code, Some(2));
    assert!(
        output.stderr.ends_with("and 99950 more\n100000 mistakes found, nothing was executed\n"),
        "{}",
        output.stderr.len()
    );
}

#[test]
fn a_byte_order_mark_is_no_mistake() {
    let space = TestSpace::new();
    space.write("workflow.yaml", "\u{feff}workflow: marked\nstages: { people: { uses: ingest.synthetic } }\n");
    let output = space.run("validate");
    assert_eq!(output.code, Some(0), "{output}");
}
