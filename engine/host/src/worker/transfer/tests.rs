use polars_arrow::array::{BinaryViewArray, BooleanArray, NullArray, PrimitiveArray, Utf8ViewArray};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::{ArrowDataType, TimeUnit};
use proptest::prelude::*;
use stagewright_contract::TableColumn;

use super::*;

/// Columns of every kind of buffers, of three rows with a null.
fn table() -> Table {
    let integers = PrimitiveArray::<i64>::from_iter([Some(1), None, Some(i64::MAX)]);
    let arrays = vec![
        NullArray::new(ArrowDataType::Null, 3).boxed(),
        BooleanArray::from_slice([true, false, true]).with_validity(Some(Bitmap::from([true, false, true]))).boxed(),
        BooleanArray::from_slice([true, false, true]).boxed(),
        PrimitiveArray::<i8>::from_slice([1, -1, 0]).boxed(),
        integers.clone().boxed(),
        integers.to(ArrowDataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))).boxed(),
        PrimitiveArray::<f64>::from_iter([Some(0.5), None, Some(f64::NAN)]).boxed(),
        Utf8ViewArray::from_slice([Some("ö"), None, Some("a text of more than twelve bytes")]).boxed(),
        BinaryViewArray::from_slice([Some(&b"\xff"[..]), None, Some(&[0; 100][..])]).boxed(),
        Utf8ViewArray::from_slice([Some("short"), None, Some("another text of more than twelve bytes")]).boxed(),
    ];
    let columns = arrays.into_iter().enumerate().map(|(at, array)| TableColumn {
        name: format!("c{at}"),
        dtype: array.dtype().clone(),
        chunks: vec![array],
    });
    let mut table = Table::new(columns.collect()).unwrap();
    table.mark_personal(["c7"]);
    table
}

fn bytes(table: &Table) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.encode(&mut bytes).unwrap();
    bytes
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = memory_file("test").unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn an_answer_comes_back_as_it_was_and_can_be_changed_by_nobody_afterwards() {
    for table in [table(), table().slice(1, 1), table().slice(0, 0), Table::new(vec![]).unwrap()] {
        let mut file = memory_file("test").unwrap();
        pass_on(&table.clone().into(), &mut file).unwrap();
        let Artifact::Table(back) = read(Kind::Table, &mut file).unwrap() else { panic!("a table") };
        assert_eq!(bytes(&back), bytes(&table));
        assert_eq!(
            file.rewind().and_then(|()| file.write_all(b"other")).unwrap_err().raw_os_error(),
            Some(libc::EPERM)
        );
        assert!(file.set_len(0).is_err());
    }
}

#[test]
fn a_table_in_chunks_comes_back() {
    let whole = table();
    let columns = whole.columns().iter().map(|column| TableColumn {
        chunks: vec![column.chunks[0].sliced(0, 1), column.chunks[0].sliced(1, 2)],
        ..column.clone()
    });
    let mut chunked = Table::new(columns.collect()).unwrap();
    chunked.mark_personal(["c7"]);
    let mut file = memory_file("test").unwrap();
    pass_on(&chunked.into(), &mut file).unwrap();
    assert_eq!(bytes(&table_of(&mut file).unwrap()), bytes(&whole));
}

#[test]
fn texts_with_offsets_and_files_that_somebody_can_still_write_to_are_read() {
    let mut offsets = memory_file("test").unwrap();
    write_table(&table(), &mut offsets, false).unwrap();
    assert_eq!(bytes(&table_of(&mut offsets).unwrap()), bytes(&table()));

    let mut file = file_of(&bytes(&table()));
    // SAFETY: nothing is done with the mapping.
    let map = unsafe { memmap2::MmapMut::map_mut(&file) }.unwrap();
    assert_eq!(bytes(&table_of(&mut file).unwrap()), bytes(&table()));
    file.set_len(0).unwrap();
    drop(map);
}

#[test]
fn a_text_that_is_none_is_refused() {
    let table = Table::new(vec![TableColumn {
        name: "text".to_owned(),
        dtype: ArrowDataType::Utf8View,
        chunks: vec![Utf8ViewArray::from_slice([Some("a text of more than twelve bytes"), Some("short")]).boxed()],
    }])
    .unwrap();
    for text in [&b"twelve"[..], b"short"] {
        let mut bytes = bytes(&table);
        let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
        bytes[at] = 0xff;
        assert_eq!(table_of(&mut file_of(&bytes)).unwrap_err(), "column `text`: invalid utf8");
    }
    assert_eq!(table_of(&mut file_of(b"text")).unwrap_err(), "it is no Arrow IPC file");
    assert_eq!(table_of(&mut file_of(b"")).unwrap_err(), "it is no Arrow IPC file");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What is read of a file with some bytes changed can be written to the end.
    #[test]
    fn a_spoiled_file_is_refused_or_a_table(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut spoiled = bytes(&table());
        for (index, byte) in changes {
            *index.get_mut(&mut spoiled) = byte;
        }
        if let Ok(table) = read_table(&mut file_of(&spoiled)) {
            bytes(&table);
        }
    }
}
