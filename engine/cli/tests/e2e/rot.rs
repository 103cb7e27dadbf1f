//! Blobs that rot while nobody looks: their files' times say that nothing happened, and only reading them shows it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::space::{Summary, TestSpace};

/// Damages the only output of a stage, and makes the index believe that its file was never touched.
fn rot(space: &TestSpace, stage: &str) {
    let index = space.index();
    let query = "SELECT lower(hex(digest)) FROM outputs JOIN manifests USING (key) WHERE stage = ?";
    let digest: String = index.query_row(query, [stage], |row| row.get(0)).unwrap();
    let path = space.path(&format!(".stagewright/blobs/{}/{digest}", &digest[..2]));
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, bytes).unwrap();
    let file = fs::metadata(&path).unwrap();
    let nanos = |seconds: i64, nanos: i64| seconds * 1_000_000_000 + nanos;
    let changed = index
        .execute(
            "UPDATE blobs SET mtime = ?, ctime = ?, inode = ? WHERE lower(hex(digest)) = ?",
            (
                nanos(file.mtime(), file.mtime_nsec()),
                nanos(file.ctime(), file.ctime_nsec()),
                file.ino().cast_signed(),
                &digest,
            ),
        )
        .unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn a_stage_that_reads_a_rotten_input_has_it_computed_again() {
    let space = TestSpace::shop();
    space.run("run");
    rot(&space, "adults");
    check!("rot_found", space.run("run --jobs 1 --variant base --set params.k=4"));
    space.assert_sound();
}

#[test]
fn get_does_not_print_what_is_rotten() {
    let space = TestSpace::shop();
    space.run("run");
    rot(&space, "adults");
    check!("rot_get", space.run("get adults"));
}

/// While `people` is computed again for `adults`, `both` still waits for `slow`: it must not start without it.
#[test]
fn computing_an_input_again_does_not_start_what_waits_for_others() {
    let workflow = "\
workflow: rot
params: { age: 18, users: 10 }
stages:
  people: { uses: ingest.csv, with: { path: people.csv } }
  adults: { uses: clean.filter, inputs: { table: people }, with: { where: 'age >= ${params.age}' } }
  slow: { uses: ingest.synthetic, with: { users: '${params.users}', products: 10 } }
  both:
    uses: clean.join
    inputs: { left: people, right: slow.users }
    with: { on: [id] }
  twice: { uses: clean.join, inputs: { left: people, right: people }, with: { on: [id], suffix: _again } }
";
    let change = "--set params.age=30 --set params.users=4000";
    let run = |rotten: bool| {
        let space = TestSpace::with(workflow);
        space.write("people.csv", crate::space::PEOPLE);
        space.run("run");
        if rotten {
            rot(&space, "people");
        }
        let output = space.run(&format!("run --json {change}"));
        assert_eq!(output.code, Some(0), "{output}");
        assert_eq!(output.stderr.contains("  damaged  "), rotten, "{output}");
        space.assert_sound();
        Summary::of(&serde_json::from_str(&output.stdout).unwrap()).digests()
    };
    assert_eq!(run(true), run(false));
}
