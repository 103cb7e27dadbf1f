use polars::prelude::{
    BooleanChunked, Column, DataFrame, DataType, IntoColumn, IntoLazy, IntoSeries, NamedFrom, NewChunkedArray, Scalar,
    Series, UniqueKeepStrategy, col, is_in, lit,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{
    Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError, Table, personal_among,
};
use stagewright_frame::{column, polars_error, require, to_frame, to_table};

use crate::constant::Constant;
use crate::table::{count, missing, nan_to_null, no_repeats, repeats, rows, show, through, type_name};

/// What a check expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// No value of `column`, or of each of `columns`, is missing.
    NotNull,
    /// No value of `column`, or no combination of values of `columns`, appears twice; nulls are not compared.
    Unique,
    /// Every value of `column` lies between `min` and `max`, both included.
    Between,
    /// Every value of `column` is one of `values`.
    InSet,
    /// The table has at least `min` and at most `max` rows.
    RowCount,
    /// Every value of `column` appears in column `references` of input `parent`.
    ForeignKey,
}

/// What follows when a check fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The stage fails.
    #[default]
    Error,
    /// The stage warns.
    Warn,
}

/// One thing that is expected of the table.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What is expected.
    pub check: CheckKind,
    /// The column to check; for every check but `row_count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Several columns to check, for `not_null` (each) and `unique` (together).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// The least value (`between`; a date or time is text in ISO 8601) or number of rows (`row_count`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Constant>,
    /// The greatest value (`between`) or number of rows (`row_count`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Constant>,
    /// The allowed values (`in_set`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub values: Option<Vec<Constant>>,
    /// The column of input `parent` that holds every allowed value (`foreign_key`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<String>,
    /// What follows when the check fails.
    #[serde(default)]
    pub severity: Severity,
}

/// Let a table pass only when it is as expected.
///
/// Every check looks at the whole table. When any check of severity `error` fails, the stage fails and its error lists
/// all failed checks, how many values fail, and a few of them unless the column is personal; failed checks of severity
/// `warn` are warnings. Missing values (null and NaN) fail `not_null` alone: the other checks pass over them. The table
/// passes unchanged.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// What is expected of the table.
    #[schemars(length(min = 1))]
    pub checks: Vec<Check>,
}

impl Stage for Expect {
    const TYPE: &'static str = "clean.expect";
    const EXAMPLE: &'static str = "\
inputs: { table: orders, parent: users }
with:
  checks:
    - { check: row_count, min: 1 }
    - { check: not_null, columns: [order_id, user_id] }
    - { check: unique, column: order_id }
    - { check: between, column: sale_price, min: 0, max: 1000, severity: warn }
    - { check: in_set, column: status, values: [Complete, Shipped, Processing] }
    - { check: foreign_key, column: user_id, references: id }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "The table to check."),
            Port::input("parent", Kind::Table, "The table that `foreign_key` checks refer to.").optional(),
            Port::output("table", Kind::Table, "The table, unchanged."),
            Port::output(
                "report",
                Kind::Table,
                "One row per check and column: `check`, `column` (null for `row_count`), `severity`, `passed`; \
                 `checked` and `failed` count values (for `row_count`, rows, and how many are too few or too many); \
                 `sample` holds up to 5 distinct failing values as text, null when there are none or the column is \
                 personal.",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        self.checks.iter().enumerate().try_for_each(|(index, check)| {
            check.check().map_err(|mut error| {
                error.path = format!("checks/{index}/{}", error.path);
                error
            })
        })
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let mut columns = through(inputs, |_| {});
        columns.insert("report".to_owned(), personal_among(inputs, REPORT));
        columns
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let parent = if context.has_input("parent") { Some(context.table("parent")?) } else { None };
        let data = Data {
            frame: to_frame(&table)?,
            parent: parent.as_deref().map(|parent| Ok::<_, StageError>((to_frame(parent)?, parent))).transpose()?,
            table: &table,
        };
        let mut results = Vec::new();
        for (done, check) in self.checks.iter().enumerate() {
            context.check_cancelled()?;
            context.progress(done as u64, self.checks.len() as u64);
            results.extend(check.results(&data)?);
        }
        let of = |severity| results.iter().filter(move |result| !result.passed() && result.severity == severity);
        let errors: Vec<String> = of(Severity::Error).map(Outcome::sentence).collect();
        for warning in of(Severity::Warn) {
            context.warn(warning.sentence());
        }
        if !errors.is_empty() {
            return Err(StageError::data(format!(
                "{} of {} failed: {}",
                errors.len(),
                count(results.len(), "check"),
                errors.join("; ")
            ))
            .with_help("mend the data before this stage, or give a check `severity: warn`"));
        }
        context.put("report", report(&results)?)?;
        context.put("table", table)
    }
}

struct Data<'a> {
    frame: DataFrame,
    table: &'a Table,
    parent: Option<(DataFrame, &'a Table)>,
}

/// How a check ended.
struct Outcome {
    check: CheckKind,
    column: Option<String>,
    severity: Severity,
    checked: usize,
    failed: usize,
    sample: Vec<String>,
    /// What is wrong with the values that fail, as in `is null`; for `row_count`, what was expected.
    fault: String,
}

impl Check {
    /// Checks that it has the parameters that its kind needs and no others.
    fn check(&self) -> Result<(), ParamError> {
        let name = self.check.name();
        let given = [
            ("column", self.column.is_some()),
            ("columns", self.columns.is_some()),
            ("min", self.min.is_some()),
            ("max", self.max.is_some()),
            ("values", self.values.is_some()),
            ("references", self.references.is_some()),
        ];
        let (needed, one_of): (&[&str], &[&str]) = match self.check {
            CheckKind::NotNull | CheckKind::Unique => (&[], &["column", "columns"]),
            CheckKind::Between => (&["column"], &["min", "max"]),
            CheckKind::InSet => (&["column", "values"], &[]),
            CheckKind::RowCount => (&[], &["min", "max"]),
            CheckKind::ForeignKey => (&["column", "references"], &[]),
        };
        for (param, there) in given {
            if there && !needed.contains(&param) && !one_of.contains(&param) {
                let takes: Vec<&str> = needed.iter().chain(one_of).copied().collect();
                return Err(ParamError::new(param, format!("check `{name}` has no `{param}`"))
                    .with_help(format!("it takes `{}` and `severity`", takes.join("`, `"))));
            }
            if !there && needed.contains(&param) {
                return Err(ParamError::new("check", format!("check `{name}` needs `{param}`")));
            }
        }
        if !one_of.is_empty() && !given.iter().any(|(param, there)| *there && one_of.contains(param)) {
            return Err(ParamError::new("check", format!("check `{name}` needs `{}`", one_of.join("` or `"))));
        }
        if self.column.is_some() && self.columns.is_some() {
            return Err(ParamError::new("columns", "`column` and `columns` exclude each other"));
        }
        no_repeats("columns", self.columns.as_deref().unwrap_or_default())?;
        for (param, bound) in [("min", &self.min), ("max", &self.max)] {
            match bound {
                Some(Constant::Bool(_)) => {
                    return Err(ParamError::new(param, format!("`{param}` must be a number or a date")));
                }
                Some(bound) if self.check == CheckKind::RowCount && !matches!(bound, Constant::Int(0..)) => {
                    return Err(ParamError::new(param, format!("`{param}` must be a number of rows, not `{bound}`")));
                }
                _ => {}
            }
        }
        if let (Some(min), Some(max)) = (&self.min, &self.max) {
            let number = |bound: &Constant| bound.number();
            let descends = match (number(min), number(max)) {
                (Some(min), Some(max)) => min > max,
                (None, None) => false,
                _ => return Err(ParamError::new("max", "`min` and `max` must both be numbers or both be dates")),
            };
            if descends {
                return Err(ParamError::new("max", format!("`max` ({max}) is below `min` ({min})")));
            }
        }
        Ok(())
    }

    /// Looks at the data; one outcome for each column.
    fn results(&self, data: &Data<'_>) -> Result<Vec<Outcome>, StageError> {
        let columns: Vec<String> = self.column.iter().chain(self.columns.iter().flatten()).cloned().collect();
        require(&data.frame, columns.iter().map(String::as_str))?;
        if self.check == CheckKind::RowCount {
            return Ok(vec![self.row_count(data.frame.height())]);
        }
        if self.check == CheckKind::Unique {
            return Ok(vec![self.unique(data, &columns)?]);
        }
        columns.iter().map(|name| self.each(data, name)).collect()
    }

    fn row_count(&self, found: usize) -> Outcome {
        let bound = |bound: &Option<Constant>| match bound {
            Some(Constant::Int(rows)) => usize::try_from(*rows).ok(),
            _ => None,
        };
        let (min, max) = (bound(&self.min), bound(&self.max));
        let expected = match (min, max) {
            (Some(min), Some(max)) => format!("{min} to {max}"),
            (Some(min), None) => format!("at least {min}"),
            (None, Some(max)) => format!("at most {max}"),
            (None, None) => "any number".to_owned(),
        };
        let too_few = min.unwrap_or(0).saturating_sub(found);
        let too_many = found.saturating_sub(max.unwrap_or(usize::MAX));
        Outcome {
            check: self.check,
            column: None,
            severity: self.severity,
            checked: found,
            failed: too_few + too_many,
            sample: Vec::new(),
            fault: expected,
        }
    }

    fn unique(&self, data: &Data<'_>, columns: &[String]) -> Result<Outcome, StageError> {
        let keys = columns.iter().map(|name| nan_to_null(column(&data.frame, name)?)).collect::<Result<Vec<_>, _>>()?;
        let keys = DataFrame::new(data.frame.height(), keys)
            .and_then(|keys| keys.drop_nulls::<String>(None))
            .map_err(|error| polars_error("comparing values", &error))?;
        let failed = repeats(&keys, columns)?;
        self.outcome(data, columns, &keys, &failed, "repeats an earlier value".to_owned())
    }

    /// Checks that look at every value of a column by itself.
    fn each(&self, data: &Data<'_>, name: &str) -> Result<Outcome, StageError> {
        let values = column(&data.frame, name)?;
        let all = DataFrame::new(values.len(), vec![values.clone()]).map_err(|error| reading(name, &error))?;
        let gaps = missing(values)?;
        let names = [name.to_owned()];
        if self.check == CheckKind::NotNull {
            return self.outcome(data, &names, &all, &gaps, "is null".to_owned());
        }
        let present = rows(&all, &!&gaps)?;
        let values = column(&present, name)?;
        let (failed, fault) = match self.check {
            CheckKind::Between => self.outside(values)?,
            CheckKind::InSet => self.not_in_set(values)?,
            _ => self.without_parent(values, data)?,
        };
        self.outcome(data, &names, &present, &failed, fault)
    }

    fn outside(&self, values: &Column) -> Result<(BooleanChunked, String), StageError> {
        let name = values.name();
        let mut failed: Option<polars::prelude::Expr> = None;
        for (bound, below) in [(&self.min, true), (&self.max, false)] {
            let Some(constant) = bound else { continue };
            let orders = !matches!(values.dtype(), DataType::Boolean | DataType::String);
            let (value, bound) = match (constant.scalar(values.dtype()), constant.number()) {
                (Some(scalar), _) if orders => (col(name.clone()), lit(scalar)),
                (None, Some(number)) if values.dtype().is_primitive_numeric() => {
                    (col(name.clone()).cast(DataType::Float64), lit(number))
                }
                _ => {
                    return Err(StageError::data(format!(
                        "column `{name}` is {}, which cannot be compared with `{constant}`",
                        type_name(values.dtype())
                    ))
                    .with_help(
                        "numbers compare with numbers, dates and times with ISO 8601 text; convert with `clean.cast`",
                    ));
                }
            };
            let out = if below { value.lt(bound) } else { value.gt(bound) };
            failed = Some(match failed {
                Some(other) => other.or(out),
                None => out,
            });
        }
        let fault = match (&self.min, &self.max) {
            (Some(min), Some(max)) => format!("is not between {min} and {max}"),
            (Some(min), None) => format!("is below {min}"),
            (None, Some(max)) => format!("is above {max}"),
            (None, None) => String::new(),
        };
        let frame = DataFrame::new(values.len(), vec![values.clone()]).map_err(|error| reading(name, &error))?;
        let failed = frame
            .lazy()
            .select([failed.unwrap_or_else(|| lit(false)).alias("failed")])
            .collect()
            .map_err(|error| reading(name, &error))?;
        let failed = column(&failed, "failed")?.bool().map_err(|error| reading(name, &error))?.clone();
        Ok((failed, fault))
    }

    fn not_in_set(&self, values: &Column) -> Result<(BooleanChunked, String), StageError> {
        let name = values.name();
        let allowed = self.values.as_deref().unwrap_or_default();
        let scalars = allowed
            .iter()
            .map(|constant| {
                constant.scalar(values.dtype()).ok_or_else(|| {
                    StageError::data(format!(
                        "column `{name}` is {}, which `{constant}` is no value of",
                        type_name(values.dtype())
                    ))
                    .with_help("give values of that type, or convert the column with `clean.cast` before")
                })
            })
            .collect::<Result<Vec<Scalar>, _>>()?;
        let scalars: Vec<_> = scalars.iter().map(Scalar::as_any_value).collect();
        let allowed_values = Series::from_any_values_and_dtype(name.clone(), &scalars, values.dtype(), true)
            .map_err(|error| reading(name, &error))?;
        let fault = "is not among the allowed values".to_owned();
        Ok((absent(values, &allowed_values)?, fault))
    }

    fn without_parent(&self, values: &Column, data: &Data<'_>) -> Result<(BooleanChunked, String), StageError> {
        let references = self.references.as_deref().unwrap_or_default();
        let (parent, _) = data.parent.as_ref().ok_or_else(|| {
            StageError::data(format!("check `foreign_key` on `{}` needs input `parent`", values.name()))
                .with_help("connect the table that holds the keys, as in `inputs: { table: orders, parent: users }`")
        })?;
        let keys = column(parent, references).map_err(|mut error| {
            error.message = format!("input `parent`: {}", error.message);
            error
        })?;
        if keys.dtype() != values.dtype() {
            return Err(StageError::data(format!(
                "column `{}` is {}, column `{references}` of `parent` is {}",
                values.name(),
                type_name(values.dtype()),
                type_name(keys.dtype())
            ))
            .with_help("give both the same type with `clean.cast`"));
        }
        let failed = absent(values, keys.as_materialized_series())?;
        Ok((failed, format!("is not in `{references}` of `parent`")))
    }

    /// Counts the rows of `values` where `failed` is true and takes a sample of them.
    fn outcome(
        &self,
        data: &Data<'_>,
        columns: &[String],
        values: &DataFrame,
        failed: &BooleanChunked,
        fault: String,
    ) -> Result<Outcome, StageError> {
        let number = failed.sum().unwrap_or(0) as usize;
        let refers_to_personal = self
            .references
            .as_deref()
            .zip(data.parent.as_ref())
            .is_some_and(|(references, (_, parent))| parent.is_personal(references));
        let personal = refers_to_personal || columns.iter().any(|name| data.table.is_personal(name));
        let mut sample = Vec::new();
        if number > 0 && !personal && self.check != CheckKind::NotNull {
            let distinct = rows(values, failed)?
                .unique_stable(None, UniqueKeepStrategy::First, None)
                .map_err(|error| polars_error("taking a sample", &error))?;
            for row in (0..SAMPLE).map_while(|row| distinct.get(row)) {
                sample.push(row.iter().map(show).collect::<Vec<_>>().join(" / "));
            }
        }
        Ok(Outcome {
            check: self.check,
            column: Some(columns.join(", ")),
            severity: self.severity,
            checked: values.height(),
            failed: number,
            sample,
            fault,
        })
    }
}

/// How many failing values a report shows at most.
const SAMPLE: usize = 5;

/// True where a value is not among `allowed`.
fn absent(values: &Column, allowed: &Series) -> Result<BooleanChunked, StageError> {
    let name = values.name();
    let list = allowed.implode().map_err(|error| reading(name, &error))?.into_series();
    let found = is_in(values.as_materialized_series(), &list, false).map_err(|error| reading(name, &error))?;
    Ok(!&found)
}

fn reading(name: &str, error: &polars::error::PolarsError) -> StageError {
    polars_error(&format!("checking column `{name}`"), error)
}

impl CheckKind {
    fn name(self) -> &'static str {
        match self {
            Self::NotNull => "not_null",
            Self::Unique => "unique",
            Self::Between => "between",
            Self::InSet => "in_set",
            Self::RowCount => "row_count",
            Self::ForeignKey => "foreign_key",
        }
    }
}

impl Outcome {
    fn passed(&self) -> bool {
        self.failed == 0
    }

    /// What is wrong, in a sentence.
    fn sentence(&self) -> String {
        let Some(column) = &self.column else {
            return format!("the table has {}, expected {}", count(self.checked, "row"), self.fault);
        };
        let sample = match self.sample.as_slice() {
            [] => String::new(),
            values => format!(" (such as `{}`)", values.join("`, `")),
        };
        format!("`{column}` {} in {} of {}{sample}", self.fault, self.failed, count(self.checked, "row"))
    }
}

/// The columns of the report.
const REPORT: [&str; 7] = ["check", "column", "severity", "passed", "checked", "failed", "sample"];

fn report(results: &[Outcome]) -> Result<Table, StageError> {
    let text = |name: &str, value: &dyn Fn(&Outcome) -> Option<String>| {
        let values: Vec<Option<String>> = results.iter().map(value).collect();
        Series::new(name.into(), values).into_column()
    };
    let number = |name: &str, value: &dyn Fn(&Outcome) -> usize| {
        let values: Vec<i64> = results.iter().map(|result| i64::try_from(value(result)).unwrap_or(i64::MAX)).collect();
        Series::new(name.into(), values).into_column()
    };
    let passed: Vec<bool> = results.iter().map(Outcome::passed).collect();
    let columns = vec![
        text("check", &|result| Some(result.check.name().to_owned())),
        text("column", &|result| result.column.clone()),
        text("severity", &|result| Some(if result.severity == Severity::Error { "error" } else { "warn" }.to_owned())),
        BooleanChunked::from_slice("passed".into(), &passed).into_column(),
        number("checked", &|result| result.checked),
        number("failed", &|result| result.failed),
        text("sample", &|result| (!result.sample.is_empty()).then(|| result.sample.join(", "))),
    ];
    let frame = DataFrame::new(results.len(), columns).map_err(|error| polars_error("writing the report", &error))?;
    to_table(frame)
}
