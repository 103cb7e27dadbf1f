use std::collections::BTreeSet;

use polars::prelude::{
    BooleanChunked, Column, DataFrame, DataFrameJoinOps, JoinArgs, JoinCoalesce, JoinType, MaintainOrderJoin,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Kind, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{column, polars_error, to_frame};

use crate::table::{count, no_repeats, put_frame, repeats, rows, show, type_name};

/// Which rows a join keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Every pair of rows with equal keys.
    #[default]
    Inner,
    /// The same, and the rows of `left` that have no partner.
    Left,
    /// The same, and the rows of either table that have no partner.
    Full,
    /// The rows of `left` that have a partner, once each, with the columns of `left` alone.
    Semi,
    /// The rows of `left` that have no partner, with the columns of `left` alone.
    Anti,
}

/// In which tables a key may appear only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Validate {
    /// In both.
    OneToOne,
    /// In `left`.
    OneToMany,
    /// In `right`.
    ManyToOne,
}

/// Combine the rows of two tables that have equal keys.
///
/// The columns are those of `left`, then those of `right` without its keys: a key appears once, under its name in
/// `left` (in a full join with the value of whichever table has it). Another column of `right` whose name is taken gets
/// the suffix. Keys must be of the same type on both sides; a null key equals nothing, as in SQL. The rows come in the
/// order of `left`, partners of one row in the order of `right`; a full join ends with the rows of `right` that have no
/// partner.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The key columns, when they have the same names in both tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub on: Option<Vec<String>>,
    /// The key columns of `left`, when they have other names in `right`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub left_on: Option<Vec<String>>,
    /// The key columns of `right`, in the order of `left_on`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub right_on: Option<Vec<String>>,
    /// Which rows to keep.
    #[serde(default)]
    pub how: How,
    /// What is added to the name of a column of `right` whose name is taken.
    #[serde(default = "suffix")]
    #[schemars(length(min = 1))]
    pub suffix: String,
    /// In which tables a key may appear only once; a table that repeats one is an error. Nulls are not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<Validate>,
}

fn suffix() -> String {
    "_right".to_owned()
}

impl Stage for Join {
    const TYPE: &'static str = "clean.join";
    const EXAMPLE: &'static str = "inputs: { left: order_items, right: products }\n\
        with: { left_on: [product_id], right_on: [id], how: left, validate: many_to_one }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("left", Kind::Table, "Any table; its rows give the order."),
            Port::input("right", Kind::Table, "The table to look up partners in."),
            Port::output("table", Kind::Table, "The combined rows: the columns of `left`, then the others of `right`."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        match (&self.on, &self.left_on, &self.right_on) {
            (Some(on), None, None) => no_repeats("on", on),
            (None, Some(left), Some(right)) => {
                if left.len() != right.len() {
                    return Err(ParamError::new(
                        "right_on",
                        format!("{} on the left, but {} on the right", count(left.len(), "key"), right.len()),
                    ));
                }
                no_repeats("left_on", left)?;
                no_repeats("right_on", right)
            }
            (None, Some(_), None) => Err(ParamError::new("left_on", "`left_on` needs `right_on`")),
            (None, None, Some(_)) => Err(ParamError::new("right_on", "`right_on` needs `left_on`")),
            (Some(_), ..) => Err(ParamError::new("on", "`on` excludes `left_on` and `right_on`")),
            (None, None, None) => Err(ParamError::new("", "the keys are not named")
                .with_help("name them with `on`, or with `left_on` and `right_on`")),
        }
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        let of = |port: &str| inputs.get(port).cloned().unwrap_or_default();
        let (mut personal, right) = (of("left"), of("right"));
        let left_on = self.on.as_ref().or(self.left_on.as_ref()).into_iter().flatten();
        let right_on = self.on.as_ref().or(self.right_on.as_ref()).into_iter().flatten();
        personal.extend(left_on.zip(right_on).filter(|(_, key)| right.contains(*key)).map(|(key, _)| key.clone()));
        // Whether the left table has a column of the same name is not known before.
        personal.extend(right.iter().map(|name| format!("{name}{}", self.suffix)));
        personal.extend(right);
        PersonalColumns::from([("table".to_owned(), personal)])
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let (left_table, right_table) = (context.table("left")?, context.table("right")?);
        let (left, right) = (to_frame(&left_table)?, to_frame(&right_table)?);
        let none = Vec::new();
        let left_on = self.on.as_ref().or(self.left_on.as_ref()).unwrap_or(&none);
        let right_on = self.on.as_ref().or(self.right_on.as_ref()).unwrap_or(&none);
        for (left_key, right_key) in left_on.iter().zip(right_on) {
            let left_type = of_input("left", column(&left, left_key))?.dtype();
            let right_type = of_input("right", column(&right, right_key))?.dtype();
            if left_type != right_type {
                return Err(StageError::data(format!(
                    "key `{left_key}` of `left` is {}, key `{right_key}` of `right` is {}",
                    type_name(left_type),
                    type_name(right_type)
                ))
                .with_help("give both the same type with `clean.cast`"));
            }
        }
        if matches!(self.validate, Some(Validate::OneToOne | Validate::OneToMany)) {
            once(self.validate, "left", &left, left_on, left_on.iter().any(|key| left_table.is_personal(key)))?;
        }
        if matches!(self.validate, Some(Validate::OneToOne | Validate::ManyToOne)) {
            once(self.validate, "right", &right, right_on, right_on.iter().any(|key| right_table.is_personal(key)))?;
        }
        context.check_cancelled()?;

        // The right table with its keys under the names of the left ones and its other columns under their final names.
        let mut personal: Vec<String> = left_table.personal().map(str::to_owned).collect();
        let mut columns: Vec<Column> = Vec::new();
        let mut names: BTreeSet<String> = left.columns().iter().map(|column| column.name().to_string()).collect();
        for (left_key, right_key) in left_on.iter().zip(right_on) {
            columns.push(column(&right, right_key)?.clone().with_name(left_key.as_str().into()));
            if right_table.is_personal(right_key) {
                personal.push(left_key.clone());
            }
        }
        let keeps_right = !matches!(self.how, How::Semi | How::Anti);
        for column in right.columns().iter().filter(|_| keeps_right) {
            let old = column.name().as_str();
            if right_on.iter().any(|key| key == old) {
                continue;
            }
            let taken = left.columns().iter().any(|column| column.name() == old);
            let new = if taken { format!("{old}{}", self.suffix) } else { old.to_owned() };
            if !names.insert(new.clone()) {
                return Err(StageError::data(format!("there would be two columns named `{new}`"))
                    .with_help("choose another `suffix`, or rename or drop columns before"));
            }
            columns.push(column.clone().with_name(new.as_str().into()));
            if right_table.is_personal(old) {
                personal.push(new);
            }
        }
        let failed = |error| polars_error("joining", &error);
        let right = DataFrame::new(right.height(), columns).map_err(failed)?;
        let mut args = JoinArgs::new(match self.how {
            How::Inner => JoinType::Inner,
            How::Left => JoinType::Left,
            How::Full => JoinType::Full,
            How::Semi => JoinType::Semi,
            How::Anti => JoinType::Anti,
        });
        args.maintain_order = MaintainOrderJoin::LeftRight;
        args.coalesce = JoinCoalesce::CoalesceColumns;
        let joined = left.join(&right, left_on, left_on, args, None).map_err(failed)?;
        put_frame(context, joined, personal.iter().map(String::as_str))
    }
}

/// Says in an error which input it is about.
fn of_input<T>(port: &str, result: Result<T, StageError>) -> Result<T, StageError> {
    result.map_err(|mut error| {
        error.message = format!("input `{port}`: {}", error.message);
        error
    })
}

/// Checks that no key appears twice.
fn once(
    validate: Option<Validate>,
    port: &str,
    frame: &DataFrame,
    keys: &[String],
    personal: bool,
) -> Result<(), StageError> {
    let failed = |error| polars_error("comparing keys", &error);
    let keys_only = frame.select(keys).and_then(|keys| keys.drop_nulls::<String>(None)).map_err(failed)?;
    let repeated: BooleanChunked = repeats(&keys_only, keys)?;
    let number = repeated.sum().unwrap_or(0) as usize;
    if number == 0 {
        return Ok(());
    }
    let first = rows(&keys_only, &repeated)?;
    let sample = match first.get(0) {
        Some(values) if !personal => {
            let values: Vec<String> = values.iter().map(show).collect();
            format!(", such as `{}`", values.join(", "))
        }
        _ => String::new(),
    };
    let relation = match validate {
        Some(Validate::OneToOne) => "one_to_one",
        Some(Validate::OneToMany) => "one_to_many",
        _ => "many_to_one",
    };
    Err(StageError::data(format!(
        "the join is not {relation}: {} of {} in `{port}` repeat{} a key (`{}`) of an earlier row{sample}",
        number,
        count(frame.height(), "row"),
        if number == 1 { "s" } else { "" },
        keys.join("`, `"),
    ))
    .with_help(format!("drop the repeated rows of `{port}` with `clean.drop_duplicates`, or relax `validate`")))
}
