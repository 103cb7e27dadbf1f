use std::fs;
use std::os::unix::fs::PermissionsExt;

use stagewright_contract::ErrorKind;
use stagewright_store::StoreError;

use super::*;

#[test]
fn what_is_published_is_found() {
    let (_folder, store) = store();
    let (table, numbers) = (users(), metrics("recall", 0));
    let (table_blob, numbers_blob) = (store.put(&table).unwrap(), store.put(&numbers).unwrap());
    let mut made = manifest(key(1), &[("table", &table, &table_blob), ("metrics", &numbers, &numbers_blob)]);
    made.warnings = vec!["2 rows have no `age`".to_owned()];
    let fields = vec![("params.k".to_owned(), "2".to_owned()), ("code".to_owned(), "ab".to_owned())];
    store.publish(&[Made { manifest: &made, fields: &fields, blobs: &[table_blob, numbers_blob] }]).unwrap();

    let found = hit(&store, key(1));
    assert_eq!(found, made);
    assert_eq!(store.manifest(key(1)).unwrap(), Some(made));
    assert_eq!(store.key_fields(key(1)).unwrap(), Some(fields));
    assert_eq!(store.lookup(key(2)).unwrap(), Lookup::Miss);
    assert_eq!(store.manifest(key(2)).unwrap(), None);
    assert_eq!(store.key_fields(key(2)).unwrap(), None);

    let output = &found.outputs["table"];
    assert_eq!((output.kind, output.rows, output.size), (Kind::Table, Some(3), bytes(&table).len() as u64));
    assert_eq!(output.digest, Digest::of(&bytes(&table)));
    let schema: Vec<_> = output.schema.iter().map(|c| (c.name.as_str(), c.dtype.as_str(), c.personal)).collect();
    assert_eq!(schema, [("user", "int64", false), ("email", "string", true), ("spent", "double", false)]);
    for (port, artifact) in [("table", &table), ("metrics", &numbers)] {
        let output = &found.outputs[port];
        let read = store.read(output.kind, output.digest).unwrap();
        assert_eq!(bytes(&read), bytes(artifact));
    }
}

#[test]
fn an_artifact_outlives_its_blob_and_its_store() {
    let (folder, store) = store();
    let made = publish(&store, key(1), &users());
    let read = store.read(Kind::Table, made.outputs["out"].digest).unwrap();
    drop(store);
    folder.close().unwrap();
    assert_eq!(bytes(&read), bytes(&users()));
}

#[test]
fn large_artifacts_pass() {
    let (_folder, store) = store();
    let large = metrics("large", 5 << 20);
    let made = publish(&store, key(1), &large);
    let output = &made.outputs["out"];
    assert_eq!(output.digest, Digest::of(&bytes(&large)));
    assert_eq!(bytes(&store.read(Kind::Metrics, output.digest).unwrap()), bytes(&large));
}

#[test]
fn a_stage_may_have_no_outputs() {
    let (_folder, store) = store();
    let made = manifest(key(1), &[]);
    store.publish(&[Made { manifest: &made, fields: &[], blobs: &[] }]).unwrap();
    assert_eq!(hit(&store, key(1)), made);
}

#[test]
fn publishing_again_replaces() {
    let (_folder, store) = store();
    publish(&store, key(1), &metrics("first", 0));
    let (a, b) = (metrics("a", 0), metrics("b", 0));
    let blobs = [store.put(&a).unwrap(), store.put(&b).unwrap()];
    let second = manifest(key(1), &[("a", &a, &blobs[0]), ("b", &b, &blobs[1])]);
    store.publish(&[Made { manifest: &second, fields: &[], blobs: &blobs }]).unwrap();
    assert_eq!(hit(&store, key(1)), second);
}

#[test]
fn executions_of_a_workflow_are_listed_the_latest_first() {
    let (_folder, store) = store();
    for (number, workflow) in [(1, "shop"), (2, "other"), (3, "shop")] {
        let made = Manifest {
            workflow: workflow.to_owned(),
            seconds: f64::from(number),
            created: number.into(),
            ..manifest(key(number), &[])
        };
        store.publish(&[Made { manifest: &made, fields: &[], blobs: &[] }]).unwrap();
    }
    let found = store.executions("shop", 10).unwrap();
    let found: Vec<_> = found.iter().map(|found| (found.key, found.stage_type.as_str(), found.seconds)).collect();
    assert_eq!(found, [(key(3), "example.make", 3.0), (key(1), "example.make", 1.0)]);
    assert_eq!(store.executions("shop", 1).unwrap().len(), 1);
}

#[test]
fn equal_bytes_are_one_blob() {
    let (_folder, store) = store();
    let first = publish(&store, key(1), &metrics("same", 0));
    let second = publish(&store, key(2), &metrics("same", 0));
    assert_eq!(first.outputs, second.outputs);
    assert_eq!(count(&store.root().join("blobs")), 1);
    assert_eq!((hit(&store, key(1)), hit(&store, key(2))), (first, second));
}

#[test]
fn publishing_without_a_blob_is_a_bug() {
    let (_folder, store) = store();
    let artifact = metrics("a", 0);
    let blob = store.put(&artifact).unwrap();
    let error = store
        .publish(&[Made { manifest: &manifest(key(1), &[("out", &artifact, &blob)]), fields: &[], blobs: &[] }])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Bug);
    assert_eq!(error.to_string(), "output `out` of `make` is published without its blob");
    assert_eq!(store.lookup(key(1)).unwrap(), Lookup::Miss);
}

#[test]
fn fields_are_kept_of_a_stage_that_failed() {
    let (_folder, store) = store();
    let fields = |k: &str| vec![("params.k".to_owned(), k.to_owned())];
    store.record_fields(key(1), &fields("2")).unwrap();
    assert_eq!(store.lookup(key(1)).unwrap(), Lookup::Miss);
    assert_eq!(store.key_fields(key(1)).unwrap(), Some(fields("2")));
    publish(&store, key(1), &users());
    assert_eq!(store.key_fields(key(1)).unwrap(), Some(fields("2")));
}

#[test]
fn the_folder_is_laid_out_as_said() {
    let (_folder, store) = store();
    let blob = store.put(&users()).unwrap();
    let root = store.root();
    assert_eq!(fs::read_to_string(root.join(".gitignore")).unwrap(), "*\n");
    let tag = fs::read_to_string(root.join("CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
    let hex = blob.digest.hex();
    let path = root.join("blobs").join(&hex[..2]).join(&hex);
    assert_eq!(path, store.blob_path(blob.digest));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o333, 0, "nobody may write");
    assert_eq!(count(&root.join("tmp")), 0);
    // Opening again, relative or not, changes nothing and mends what is missing.
    publish(&store, key(1), &users());
    fs::remove_dir(root.join("tmp")).unwrap();
    hit(&Store::open(root).unwrap(), key(1));
    store.put(&metrics("a", 0)).unwrap();
}

#[test]
fn a_claim_is_one_holders() {
    let (_folder, store) = store();
    let other = Store::open(store.root()).unwrap();
    let claim = store.claim(key(1)).unwrap().unwrap();
    assert!(store.claim(key(1)).unwrap().is_none());
    assert!(other.claim(key(1)).unwrap().is_none());
    assert_eq!(other.claim_holder(key(1)), Some(std::process::id()));
    assert!(other.claim(key(2)).unwrap().is_some());
    drop(claim);
    assert_eq!(count(&store.root().join("claims")), 0);
    assert_eq!(other.claim_holder(key(1)), None);
    assert!(other.claim(key(1)).unwrap().is_some());
}

#[test]
fn a_later_format_is_refused() {
    let (folder, store) = store();
    drop(store);
    let root = folder.path().join("store");
    let index = rusqlite::Connection::open(root.join("store.db")).unwrap();
    index.pragma_update(None, "user_version", 99).unwrap();
    drop(index);
    let error = Store::open(&root).err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 99, known: 2, .. }));
    let text =
        format!("the store `{}` has format 99, this version of Stagewright knows formats up to 2", root.display());
    assert_eq!(error.to_string(), text);
    assert_eq!(error.help().unwrap(), "use that version of Stagewright, or another folder for the store");
}

#[test]
fn the_database_of_another_program_is_refused() {
    let folder = TempDir::new().unwrap();
    let index = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
    index.execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    drop(index);
    let error = Store::open(folder.path()).err().unwrap();
    assert!(error.to_string().ends_with("cannot be used: it is the database of another program, or empty"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = Store::open(&folder.path().join("file/store")).err().unwrap();
    assert!(error.to_string().starts_with("cannot create `"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Environment);
}
