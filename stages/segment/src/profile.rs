use polars::prelude::{Column, DataFrame, DataType, IdxCa, IdxSize, SortMultipleOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, Port, Stage, StageContext, StageError};
use stagewright_frame::{column, numbers, polars_error, require, to_frame, to_table};

use crate::matrix::unit;

/// Describe each cluster by its size and the means of its columns.
///
/// One row per value of the cluster column, in ascending order: its number of rows, its share of all rows that have a
/// cluster (0 to 1), and the mean of each of `columns` over its rows. Null and NaN take no part in a mean; a mean over
/// nothing is null. Rows without a cluster are left out with a warning.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The column that says which cluster a row belongs to.
    #[serde(default = "cluster")]
    pub cluster: String,
    /// The numeric columns to average (of booleans, the share that is true); without it, all of them but the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

fn cluster() -> String {
    "cluster".to_owned()
}

const SIZE: &str = "size";
const SHARE: &str = "share";

impl Stage for Profile {
    const TYPE: &'static str = "segment.profile";
    const EXAMPLE: &'static str =
        "inputs: { table: segments }\nwith: { cluster: cluster, columns: [total_user_spent, age] }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with a cluster column, such as `table` of `segment.kmeans`."),
            Port::output(
                "table",
                Kind::Table,
                "One row per cluster, ascending: the cluster, `size` (int64), `share` (double), and the mean of each \
                 column (double).",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if [SIZE, SHARE].contains(&self.cluster.as_str()) {
            let message = format!("`{}` is another column of the output", self.cluster);
            return Err(ParamError::new("cluster", message).with_help("rename the column with `clean.rename`"));
        }
        for (index, name) in self.columns.iter().flatten().enumerate() {
            let path = format!("columns/{index}");
            if [SIZE, SHARE, &self.cluster].contains(&name.as_str()) {
                return Err(ParamError::new(path, format!("`{name}` is another column of the output"))
                    .with_help("leave it out, or rename the column with `clean.rename`"));
            }
            if self.columns.iter().flatten().take(index).any(|other| other == name) {
                return Err(ParamError::new(path, format!("`{name}` is named twice")));
            }
        }
        Ok(())
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        let key = column(&frame, &self.cluster)?;
        let columns = match &self.columns {
            Some(columns) => columns.clone(),
            None => self.numeric(&frame)?,
        };
        require(&frame, columns.iter().map(String::as_str))?;

        let failed = |error| polars_error(&format!("grouping by column `{}`", self.cluster), &error);
        let unclustered = key.null_count();
        if unclustered > 0 {
            let rows = if unclustered == 1 { "1 row has".to_owned() } else { format!("{unclustered} rows have") };
            context.warn(format!("{rows} no `{}`: left out", self.cluster));
        }
        let frame = frame.filter(&key.is_not_null()).map_err(failed)?;
        let groups = frame.group_by_stable([&self.cluster]).map_err(failed)?.into_groups();
        let groups = groups.as_ref().clone().into_idx();
        let first = IdxCa::from_vec("first".into(), groups.first().to_vec());
        let rows = groups.all();

        let mut out = vec![
            column(&frame, &self.cluster)?.take(&first).map_err(failed)?,
            Column::new(SIZE.into(), rows.iter().map(|rows| rows.len() as i64).collect::<Vec<_>>()),
            Column::new(
                SHARE.into(),
                rows.iter().map(|rows| rows.len() as f64 / frame.height() as f64).collect::<Vec<_>>(),
            ),
        ];
        for name in &columns {
            let values = numbers(&frame, name)?;
            let infinite = values.iter().flatten().filter(|value| value.is_infinite()).count();
            if infinite > 0 {
                return Err(StageError::data(format!(
                    "{infinite} of {} rows have an infinite value in column `{name}`, finite numbers are needed",
                    values.len()
                ))
                .with_help("filter those rows out, or set the values to null"));
            }
            let unit = unit(values.iter().flatten());
            let mean = |rows: &[IdxSize]| {
                let known = || rows.iter().filter_map(|row| values[*row as usize]);
                let count = known().count();
                (count > 0).then(|| known().map(|value| value / unit).sum::<f64>() / count as f64 * unit)
            };
            out.push(Column::new(name.as_str().into(), rows.iter().map(|rows| mean(rows)).collect::<Vec<_>>()));
        }
        let out = DataFrame::new(rows.len(), out)
            .and_then(|out| out.sort([&self.cluster], SortMultipleOptions::default().with_maintain_order(true)))
            .map_err(failed)?;
        context.put("table", to_table(out)?)
    }
}

impl Profile {
    fn numeric(&self, frame: &DataFrame) -> Result<Vec<String>, StageError> {
        let is_number = |dtype: &DataType| dtype.is_primitive_numeric() || dtype == &DataType::Boolean;
        let columns: Vec<String> = frame
            .columns()
            .iter()
            .filter(|column| is_number(column.dtype()) && column.name().as_str() != self.cluster)
            .map(|column| column.name().to_string())
            .collect();
        match columns.iter().find(|name| [SIZE, SHARE].contains(&name.as_str())) {
            Some(name) => Err(StageError::data(format!("`{name}` is another column of the output"))
                .with_help("name the columns to average in `columns`, or rename this one with `clean.rename`")),
            None => Ok(columns),
        }
    }
}
