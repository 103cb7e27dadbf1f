//! Twenty-four purchases of eight users; the references in the tests were computed from them with pandas 3.1.

use polars::prelude::*;

/// One row per item, as in the pandas frame of the references.
pub(crate) fn purchases() -> DataFrame {
    let days = [0i64, 0, 9, 3, 3, 1, 12, 12, 30, 5, 5, 8, 2, 2, 14, 20, 20, 6, 7, 7, 11, 11, 13, 28];
    // 19,723 days from 1970 to 2024; every purchase is at noon.
    let times: Vec<i64> = days.iter().map(|day| ((19_723 + day) * 24 + 12) * 3_600_000_000).collect();
    let times =
        Column::new("created_at".into(), times).cast(&DataType::Datetime(TimeUnit::Microseconds, None)).unwrap();
    let mut frame = df!(
        "user_id" => [1i64, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 8],
        "order_id" => [10i64, 10, 11, 12, 12, 13, 14, 14, 15, 16, 16, 17, 18, 18, 19, 20, 20, 21,
                       22, 22, 23, 23, 24, 25],
        "product_id" => [101i64, 102, 101, 103, 101, 102, 102, 104, 102, 101, 103, 103,
                         104, 104, 101, 102, 101, 103, 101, 103, 102, 101, 103, 102],
        "sale_price" => [10.5, 20.25, 10.5, 7.0, 11.0, 20.0, 19.5, 3.25, 20.0, 10.0, 7.5, 7.5,
                         3.0, 3.0, 10.5, 20.0, 10.0, 7.0, 10.0, 7.25, 20.5, 10.0, 7.0, 20.0],
        "num_of_item" => [2i64, 2, 1, 2, 2, 1, 2, 2, 1, 2, 2, 1, 2, 2, 1, 2, 2, 1, 2, 2, 2, 2, 1, 1],
        "age" => [31i64, 31, 31, 45, 45, 22, 22, 22, 22, 60, 60, 60, 38, 38, 27, 27, 27, 51, 51, 51, 19, 19, 19, 19],
        "gender" => ["F", "F", "F", "M", "M", "F", "F", "F", "F", "M", "M", "M",
                     "F", "F", "M", "M", "M", "F", "F", "F", "M", "M", "M", "M"],
    )
    .unwrap();
    frame.with_column(times).unwrap();
    frame
}
