use std::sync::Arc;

use polars_arrow::array::{
    Array, BinaryViewArray, BooleanArray, MutableBinaryViewArray, NullArray, PrimitiveArray, Utf8Array, Utf8ViewArray,
};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::{ArrowSchema, Field, Metadata};
use polars_arrow::io::ipc::write::{FileWriter, WriteOptions};
use polars_arrow::record_batch::RecordBatch;
use proptest::prelude::*;

use super::*;
use crate::{Artifact, Digest, Kind};

fn column(name: &str, array: ArrayRef) -> TableColumn {
    TableColumn { name: name.to_owned(), dtype: array.dtype().clone(), chunks: vec![array] }
}

fn table(columns: Vec<TableColumn>) -> Table {
    Table::new(columns).unwrap()
}

fn integers(values: &[Option<i64>]) -> ArrayRef {
    PrimitiveArray::<i64>::from_slice_opt(values).boxed()
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Utf8ViewArray::from_slice(values).boxed()
}

trait FromOptions {
    fn from_slice_opt(values: &[Option<i64>]) -> Self;
}

impl FromOptions for PrimitiveArray<i64> {
    fn from_slice_opt(values: &[Option<i64>]) -> Self {
        values.iter().copied().collect()
    }
}

fn encode(table: &Table) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.encode(&mut bytes).unwrap();
    bytes
}

/// The same file by the writer of polars.
fn encode_by_polars(table: &Table) -> Vec<u8> {
    let table = table.canonical().unwrap();
    let schema = Arc::new(ArrowSchema::from_iter(table.columns.iter().map(|column| {
        let field = Field::new(column.name.as_str().into(), column.dtype.clone(), true);
        let mark = table.is_personal(&column.name).then(|| ("stagewright.personal".into(), "true".into()));
        if let Some(mark) = mark { field.with_metadata(Metadata::from([mark])) } else { field }
    })));
    let arrays = table.columns.iter().map(|column| column.chunks[0].clone()).collect();
    let batch = RecordBatch::try_new(table.rows, Arc::clone(&schema), arrays).unwrap();
    let mut bytes = Vec::new();
    let mut file = FileWriter::try_new(&mut bytes, schema, None, WriteOptions { compression: None }).unwrap();
    file.write(&batch, None).unwrap();
    file.finish().unwrap();
    bytes
}

fn decode(bytes: Vec<u8>) -> Table {
    Table::decode(Bytes::new(bytes)).unwrap()
}

/// One column of every type that can be stored, three rows of which the second is null.
fn every_type() -> Vec<TableColumn> {
    fn of<T: polars_arrow::types::NativeType>(dtype: ArrowDataType, one: T, two: T) -> ArrayRef {
        PrimitiveArray::<T>::from_iter([Some(one), None, Some(two)]).to(dtype).boxed()
    }
    let arrays = vec![
        NullArray::new(ArrowDataType::Null, 3).boxed(),
        BooleanArray::from_slice([true, false, true]).with_validity(Some(Bitmap::from([true, false, true]))).boxed(),
        of(ArrowDataType::Int8, i8::MIN, i8::MAX),
        of(ArrowDataType::Int16, i16::MIN, i16::MAX),
        of(ArrowDataType::Int32, i32::MIN, i32::MAX),
        of(ArrowDataType::Int64, i64::MIN, i64::MAX),
        of(ArrowDataType::UInt8, 0_u8, u8::MAX),
        of(ArrowDataType::UInt16, 0_u16, u16::MAX),
        of(ArrowDataType::UInt32, 0_u32, u32::MAX),
        of(ArrowDataType::UInt64, 0_u64, u64::MAX),
        of(ArrowDataType::Float32, -0.5_f32, f32::INFINITY),
        of(ArrowDataType::Float64, -0.5_f64, f64::MAX),
        of(ArrowDataType::Date32, 0_i32, 20_000),
        of(ArrowDataType::Time64(TimeUnit::Nanosecond), 0_i64, 1),
        of(ArrowDataType::Duration(TimeUnit::Millisecond), -1_i64, 1),
        of(ArrowDataType::Timestamp(TimeUnit::Microsecond, None), -1_i64, 1),
        of(ArrowDataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), -1_i64, 1),
        texts(&[Some("ö"), None, Some("a text of more than twelve bytes")]),
        BinaryViewArray::from_slice([Some(&b"\xff"[..]), None, Some(&[0; 100][..])]).boxed(),
    ];
    arrays.into_iter().enumerate().map(|(at, array)| column(&format!("c{at}"), array)).collect()
}

/// That a table comes back from its bytes as it was.
#[track_caller]
fn assert_round_trip(table: &Table) {
    let bytes = encode(table);
    assert_eq!(bytes, encode_by_polars(table));
    let back = decode(bytes.clone());
    assert_eq!(back.rows(), table.rows());
    assert_eq!(back.schema(), table.schema());
    for (before, after) in table.columns().iter().zip(back.columns()) {
        assert_eq!(before.dtype, after.dtype);
        let before: Vec<&dyn Array> = before.chunks.iter().map(|chunk| &**chunk).collect();
        if let [before] = before.as_slice() {
            assert!(**before == *after.chunks[0], "{before:?} {:?}", after.chunks[0]);
        }
    }
    assert_eq!(encode(&back), bytes);
}

#[test]
fn every_type_comes_back() {
    assert_round_trip(&table(every_type()));
}

#[test]
fn every_type_comes_back_as_it_is_whole_and_sliced() {
    for column in every_type() {
        let whole = table(vec![column]);
        for table in [whole.slice(0, 3), whole.slice(1, 2), whole.slice(2, 1), whole.slice(1, 0)] {
            let mut bytes = Vec::new();
            table.encode_as_it_is(&mut bytes).unwrap();
            assert_eq!(encode(&decode(bytes)), encode(&table));
        }
    }
}

#[test]
fn every_type_comes_back_one_by_one_without_nulls_without_rows_and_sliced() {
    for column in every_type() {
        let whole = table(vec![column]);
        assert_round_trip(&whole);
        assert_round_trip(&whole.slice(0, 1));
        assert_round_trip(&whole.slice(1, 2));
        assert_round_trip(&whole.slice(2, 1));
        // A slice of no rows has no chunks, of which the type is known all the same.
        assert_round_trip(&whole.slice(1, 0));
    }
}

#[test]
fn a_table_without_columns_comes_back() {
    let empty = Table::new(Vec::new()).unwrap();
    assert_eq!((empty.rows(), empty.schema()), (0, Vec::new()));
    assert_round_trip(&empty);
}

#[test]
fn several_chunks_come_back_as_one() {
    let mut numbers = column("n", integers(&[Some(1), None]));
    numbers.chunks.push(integers(&[]));
    numbers.chunks.push(integers(&[Some(3)]));
    let back = decode(encode(&table(vec![numbers])));
    assert!(*back.columns()[0].chunks[0] == *integers(&[Some(1), None, Some(3)]));
    assert_eq!(back.columns()[0].chunks.len(), 1);
}

/// These guard the bytes: whoever changes them raises `CONTRACT_VERSION` and writes new ones.
#[test]
fn golden_digests_of_tables() {
    let mut small = table(vec![
        column("id", integers(&[Some(1), Some(2), None])),
        column("name", texts(&[Some("a"), None, Some("a text of more than twelve bytes")])),
    ]);
    let plain = Digest::of(&encode(&small)).hex();
    small.mark_personal(["name"]);
    assert_eq!(encode(&small), encode_by_polars(&small));
    let personal = Digest::of(&encode(&small)).hex();
    let all = Digest::of(&encode(&table(every_type()))).hex();
    assert_eq!(
        [plain, personal, all],
        [
            "fa7f37056d58eae793c73e0c748802385966a9e91db4d544643b84ac53f2541a",
            "101ace1b8f98e9842f4ea2c128ad164b6068c2cc2ba8af067bc9c332f360d233",
            "44cba5bb2fa81033c2abf4d00ac661b48360a12b4903d4fe706478d378070fa3",
        ]
    );
}

#[test]
fn personal_columns_stay_personal_and_change_the_bytes() {
    let mut table = table(vec![column("id", integers(&[Some(1)])), column("mail", texts(&[Some("a@b")]))]);
    let before = encode(&table);
    table.mark_personal(["mail", "phone"]);
    assert_eq!(table.personal().collect::<Vec<_>>(), ["mail"]);
    let after = encode(&table);
    assert_ne!(before, after);
    let back = decode(after);
    assert!(back.is_personal("mail") && !back.is_personal("id"));
    assert_eq!(back.slice(0, 1).personal().collect::<Vec<_>>(), ["mail"]);
}

#[test]
fn names_types_and_order_of_columns_change_the_bytes() {
    let bytes = |columns: Vec<TableColumn>| encode(&table(columns));
    let (a, b) = (column("a", integers(&[Some(1)])), column("b", integers(&[Some(1)])));
    let dated =
        PrimitiveArray::<i64>::from_vec(vec![1]).to(ArrowDataType::Timestamp(TimeUnit::Microsecond, None)).boxed();
    let all = [
        bytes(vec![a.clone(), b.clone()]),
        bytes(vec![b.clone(), a.clone()]),
        bytes(vec![a.clone()]),
        bytes(vec![b]),
        bytes(vec![column("a", dated)]),
        bytes(vec![column("a", integers(&[None]))]),
        bytes(vec![column("a", integers(&[Some(0)]))]),
        bytes(vec![column("a", integers(&[Some(1), None]))]),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(all[..at].iter().all(|other| other != one), "{at}");
    }
}

#[test]
fn columns_must_fit_each_other() {
    let message = |columns: Vec<TableColumn>| Table::new(columns).unwrap_err().to_string();
    assert_eq!(
        message(vec![column("a", integers(&[Some(1)])), column("b", integers(&[]))]),
        "column `b` has 0 rows where the first has 1"
    );
    assert_eq!(message(vec![column("a", integers(&[])), column("a", integers(&[]))]), "two columns are named `a`");
}

#[test]
fn types_that_cannot_be_stored_are_refused() {
    let error = |column: TableColumn| table(vec![column]).encode(&mut Vec::new()).unwrap_err().to_string();
    assert_eq!(
        error(column("a", Utf8Array::<i64>::from_slice(["x"]).boxed())),
        "column `a` has type LargeUtf8, which cannot be stored"
    );
    assert_eq!(
        error(TableColumn { name: "a".into(), dtype: ArrowDataType::Int32, chunks: vec![integers(&[Some(1)])] }),
        "column `a` says it is Int32 but its values are not"
    );
}

#[test]
fn a_slice_ends_with_the_table() {
    let table = table(vec![column("a", integers(&[Some(1), Some(2), Some(3)]))]);
    assert_eq!(table.slice(1, 99).rows(), 2);
    assert_eq!(table.slice(99, 1).rows(), 0);
    assert_eq!(table.slice(1, 1).rows(), 1);
    assert_eq!(encode(&table.slice(0, 3)), encode(&table));
}

#[test]
fn types_have_the_names_that_arrow_gives_them() {
    let schema = table(every_type()).schema();
    let types: Vec<&str> = schema.iter().map(|column| column.dtype.as_str()).collect();
    assert_eq!(
        types,
        [
            "null",
            "bool",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "float",
            "double",
            "date32",
            "time64[ns]",
            "duration[ms]",
            "timestamp[us]",
            "timestamp[ns, UTC]",
            "string",
            "binary",
        ]
    );
}

#[test]
fn what_is_no_table_is_refused() {
    for bytes in [&b""[..], b"ARROW1", b"ARROW1\0\0ARROW1", b"not a table at all, but long enough"] {
        let error = Artifact::decode(Kind::Table, Bytes::new(bytes.to_vec())).unwrap_err();
        assert!(error.to_string().starts_with("not a table artifact: "), "{error}");
    }
}

#[test]
fn a_table_that_was_cut_short_is_refused() {
    let bytes = encode(&table(every_type()));
    for len in 0..bytes.len() {
        assert!(Table::decode(Bytes::new(bytes[..len].to_vec())).is_err(), "{len} of {}", bytes.len());
    }
}

/// The same values in another guise: in chunks, out of the middle of larger arrays, with leftovers under nulls, and
/// with a validity where nothing is null.
#[derive(Clone, Debug)]
struct Guise {
    cuts: Vec<prop::sample::Index>,
    before: usize,
    after: usize,
    always_validity: bool,
    shared: bool,
}

fn guise() -> impl Strategy<Value = Guise> {
    (prop::collection::vec(any::<prop::sample::Index>(), 0..4), 0_usize..10, 0_usize..10, any::<bool>(), any::<bool>())
        .prop_map(|(cuts, before, after, always_validity, shared)| Guise {
            cuts,
            before,
            after,
            always_validity,
            shared,
        })
}

impl Guise {
    /// The array of these values, built by `build` from values and validity, in this guise.
    fn dress<T: Clone>(
        &self,
        values: &[Option<T>],
        junk: &T,
        build: &dyn Fn(&[T], Option<Bitmap>) -> ArrayRef,
    ) -> Vec<ArrayRef> {
        let whole = |values: &[Option<T>]| {
            let padding = |count: usize| std::iter::repeat_n(Some(junk.clone()), count);
            let padded: Vec<Option<T>> =
                padding(self.before).chain(values.iter().cloned()).chain(padding(self.after)).collect();
            let nulls = self.always_validity || padded.iter().any(Option::is_none);
            let validity = nulls.then(|| padded.iter().map(Option::is_some).collect::<Bitmap>());
            let full: Vec<T> = padded.into_iter().map(|value| value.unwrap_or_else(|| junk.clone())).collect();
            build(&full, validity).sliced(self.before, values.len())
        };
        let mut cuts: Vec<usize> =
            self.cuts.iter().map(|cut| cut.index(values.len() + 1)).chain([0, values.len()]).collect();
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| (cut[0], cut[1]));
        if self.shared {
            let all = whole(values);
            pieces.map(|(from, to)| all.sliced(from, to - from)).collect()
        } else {
            pieces.map(|(from, to)| whole(&values[from..to])).collect()
        }
    }
}

fn options<T: std::fmt::Debug>(values: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<Option<T>>> {
    prop::collection::vec(prop::option::weighted(0.8, values), 0..60)
}

/// That values in a guise give the bytes that they give in none.
fn check<T: Clone>(
    values: &[Option<T>],
    junk: &T,
    guise: &Guise,
    build: &dyn Fn(&[T], Option<Bitmap>) -> ArrayRef,
) -> Result<(), TestCaseError> {
    let plain = Guise { cuts: Vec::new(), before: 0, after: 0, always_validity: false, shared: false };
    let bytes = |guise: &Guise| {
        let chunks = guise.dress(values, junk, build);
        let dtype = build(&[], None).dtype().clone();
        let table = table(vec![TableColumn { name: "c".to_owned(), dtype, chunks }]);
        (encode(&table), encode_by_polars(&table))
    };
    let ((one, by_polars), (other, _)) = (bytes(&plain), bytes(guise));
    prop_assert_eq!(&one, &other);
    prop_assert_eq!(&one, &by_polars);
    prop_assert_eq!(encode(&decode(one)), other);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equal_numbers_give_equal_bytes(values in options(any::<i64>()), guise in guise()) {
        check(&values, &-1, &guise, &|values, validity| {
            PrimitiveArray::new(ArrowDataType::Int64, values.to_vec().into(), validity).boxed()
        })?;
    }

    #[test]
    fn equal_small_numbers_give_equal_bytes(values in options(any::<u8>()), guise in guise()) {
        check(&values, &7, &guise, &|values, validity| {
            PrimitiveArray::new(ArrowDataType::UInt8, values.to_vec().into(), validity).boxed()
        })?;
    }

    #[test]
    fn equal_fractions_give_equal_bytes(values in options(any::<f64>()), guise in guise()) {
        check(&values, &f64::NAN, &guise, &|values, validity| {
            PrimitiveArray::new(ArrowDataType::Float64, values.to_vec().into(), validity).boxed()
        })?;
    }

    #[test]
    fn equal_booleans_give_equal_bytes(values in options(any::<bool>()), guise in guise()) {
        check(&values, &true, &guise, &|values, validity| {
            BooleanArray::new(ArrowDataType::Boolean, values.iter().copied().collect(), validity).boxed()
        })?;
    }

    #[test]
    fn equal_texts_give_equal_bytes(
        values in options(prop_oneof![
            3 => "[a-zö]{0,20}",
            1 => ("[a-z]", 100_usize..20_000).prop_map(|(letter, count)| letter.repeat(count)),
        ]),
        guise in guise(),
    ) {
        check(&values, &"what lies under a null, long".to_owned(), &guise, &|values, validity| {
            Utf8ViewArray::from_slice_values(values.iter().map(String::as_str).collect::<Vec<_>>())
                .with_validity(validity)
                .boxed()
        })?;
    }

    #[test]
    fn equal_bytes_give_equal_bytes(values in options(prop::collection::vec(any::<u8>(), 0..30)), guise in guise()) {
        check(&values, &vec![255; 20], &guise, &|values, validity| {
            let mut array = MutableBinaryViewArray::<[u8]>::new();
            values.iter().for_each(|value| array.push_value(value.as_slice()));
            BinaryViewArray::from(array).with_validity(validity).boxed()
        })?;
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(Table::decode(Bytes::new(bytes)));
    }

    #[test]
    fn garbage_in_the_frame_of_a_table_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), footer in 0_i32..500) {
        let mut framed = b"ARROW1\0\0".to_vec();
        framed.extend(bytes);
        framed.extend(footer.to_le_bytes());
        framed.extend(b"ARROW1");
        drop(Table::decode(Bytes::new(framed)));
    }
}
