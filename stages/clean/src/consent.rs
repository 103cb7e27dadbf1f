use polars::datatypes::{PlHashMap, PlHashSet};
use polars::prelude::{BooleanChunked, DataFrame, DataType, NewChunkedArray};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_contract::{Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Stage, StageContext, StageError};
use stagewright_frame::{Ids, column, polars_error, require, to_frame};

use crate::table::{count, no_repeats, null_where, put_frame, rows, through};

/// Keep the rows of people who consented to a purpose, or blank what is known of the others.
///
/// The input `consent` has one row per decision: the person, the purpose where there are several, and whether it was
/// granted (boolean). With `time`, a person's latest decision counts, and of decisions of the same time a refusal;
/// without it, one refusal outweighs any number of grants. Whoever has no decision, or a null, has not consented. Where
/// nothing is connected to `consent`, the decisions are columns of the table itself, row by row. `action: drop` leaves
/// rows without consent out; `action: mask` keeps them with nulls in the columns of `mask`. Rows without a person have
/// no consent.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// The column that tells people apart, in both tables (integers or text).
    #[serde(default = "user_id")]
    pub user: String,
    /// The boolean column that says whether consent was granted.
    #[serde(default = "consent")]
    pub granted: String,
    /// Which purpose is asked for, such as `email_marketing`; needs `purpose_column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The column that says which purpose a decision is about (text).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose_column: Option<String>,
    /// The column that says when the decision was made (timestamp, date or integer).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What becomes of rows without consent.
    #[serde(default)]
    pub action: ConsentAction,
    /// The columns to blank, of `action: mask`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mask: Vec<String>,
}

/// What becomes of rows without consent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsentAction {
    /// They are left out.
    #[default]
    Drop,
    /// They stay, with nulls in some columns.
    Mask,
}

fn user_id() -> String {
    "user_id".to_owned()
}

fn consent() -> String {
    "consent".to_owned()
}

impl Stage for Consent {
    const TYPE: &'static str = "clean.consent";
    const EXAMPLE: &'static str = "\
inputs: { table: users, consent: decisions }
with: { user: id, purpose: email_marketing, purpose_column: purpose, time: decided_at }";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("table", Kind::Table, "Any table with the user column."),
            Port::input(
                "consent",
                Kind::Table,
                "One row per decision: the user, `granted` (bool), and the purpose and time where they are named.",
            )
            .optional(),
            Port::output("table", Kind::Table, "The rows with consent; with `action: mask`, all rows."),
            Port::output(
                "metrics",
                Kind::Metrics,
                "`rows` of the input, `rows_with_consent`, and `consent_rate` (0 to 1).",
            ),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.purpose.is_some() != self.purpose_column.is_some() {
            let missing = if self.purpose.is_some() { "purpose_column" } else { "purpose" };
            return Err(ParamError::new(missing, "`purpose` and `purpose_column` are given together"));
        }
        match self.action {
            ConsentAction::Mask if self.mask.is_empty() => {
                Err(ParamError::new("mask", "no column to blank is named").with_help("name them, or `action: drop`"))
            }
            ConsentAction::Drop if !self.mask.is_empty() => {
                Err(ParamError::new("mask", "rows without consent are left out, so there is nothing to blank")
                    .with_help("set `action: mask`, or leave `mask` out"))
            }
            _ => no_repeats("mask", &self.mask),
        }
    }

    fn personal(&self, inputs: &PersonalColumns) -> PersonalColumns {
        through(inputs, |_| {})
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let table = context.table("table")?;
        let frame = to_frame(&table)?;
        require(&frame, self.mask.iter().map(String::as_str))?;
        let granted = if context.has_input("consent") {
            let decisions = to_frame(&*context.table("consent")?)?;
            let ids = Ids::of(&self.user, &[("table", &frame), ("consent", &decisions)])?;
            let people = self.consenting(&decisions, &ids.codes(&decisions)?)?;
            let of_row = ids.codes(&frame)?;
            of_row.into_iter().map(|person| person.is_some_and(|person| people.contains(&person))).collect()
        } else {
            let about = self.about_purpose(&frame)?;
            let granted = booleans(&frame, &self.granted)?;
            granted.into_iter().zip(about).map(|(granted, about)| about && granted == Some(true)).collect::<Vec<_>>()
        };
        let with_consent = granted.iter().filter(|granted| **granted).count();
        let mut metrics = Metrics::new();
        metrics.insert("rows", Some(granted.len() as f64), Goal::Describe)?;
        metrics.insert("rows_with_consent", Some(with_consent as f64), Goal::Describe)?;
        let rate = (!granted.is_empty()).then(|| with_consent as f64 / granted.len() as f64);
        metrics.insert("consent_rate", rate, Goal::Describe)?;
        context.put("metrics", metrics)?;
        let without = granted.len() - with_consent;
        if without > 0 {
            let what = if self.action == ConsentAction::Drop { "left out" } else { "blanked" };
            context.warn(format!("{} without consent: {what}", count(without, "row")));
        }
        let frame = match self.action {
            ConsentAction::Drop => rows(&frame, &BooleanChunked::from_slice("granted".into(), &granted))?,
            ConsentAction::Mask => self.masked(frame, &granted)?,
        };
        put_frame(context, frame, [])
    }
}

impl Consent {
    /// The codes of the people who consented.
    fn consenting(&self, decisions: &DataFrame, people: &[Option<u32>]) -> Result<PlHashSet<u32>, StageError> {
        let granted = booleans(decisions, &self.granted)?;
        let about = self.about_purpose(decisions)?;
        let times = match &self.time {
            Some(time) => times(decisions, time)?,
            None => vec![Some(0); people.len()],
        };
        // The latest time of each person, and whether every decision of that time grants.
        let mut latest: PlHashMap<u32, (i64, bool)> = PlHashMap::default();
        for (((person, granted), about), time) in people.iter().zip(granted).zip(about).zip(times) {
            let (Some(person), true, Some(time)) = (*person, about, time) else { continue };
            let granted = granted == Some(true);
            let entry = latest.entry(person).or_insert((time, granted));
            if time > entry.0 {
                *entry = (time, granted);
            } else if time == entry.0 {
                entry.1 &= granted;
            }
        }
        Ok(latest.into_iter().filter(|(_, (_, granted))| *granted).map(|(person, _)| person).collect())
    }

    /// Whether each row is about the purpose.
    fn about_purpose(&self, frame: &DataFrame) -> Result<Vec<bool>, StageError> {
        let (Some(purpose), Some(name)) = (&self.purpose, &self.purpose_column) else {
            return Ok(vec![true; frame.height()]);
        };
        let values = column(frame, name)?;
        let texts = values.str().map_err(|_| {
            StageError::data(format!("column `{name}` is {}, text is needed", values.dtype()))
                .with_help("cast it to `string` with `clean.cast`")
        })?;
        Ok(texts.iter().map(|value| value == Some(purpose)).collect())
    }

    fn masked(&self, mut frame: DataFrame, granted: &[bool]) -> Result<DataFrame, StageError> {
        let refused: Vec<bool> = granted.iter().map(|granted| !granted).collect();
        let refused = BooleanChunked::from_slice("refused".into(), &refused);
        for name in &self.mask {
            let blanked = null_where(column(&frame, name)?, &refused)?;
            frame.with_column(blanked).map_err(|error| polars_error(&format!("blanking column `{name}`"), &error))?;
        }
        Ok(frame)
    }
}

fn booleans(frame: &DataFrame, name: &str) -> Result<Vec<Option<bool>>, StageError> {
    let values = column(frame, name)?;
    let values = values.bool().map_err(|_| {
        StageError::data(format!("column `{name}` is {}, a boolean is needed", values.dtype()))
            .with_help("cast it to `bool` with `clean.cast`, or derive it with `clean.derive`")
    })?;
    Ok(values.iter().collect())
}

fn times(frame: &DataFrame, name: &str) -> Result<Vec<Option<i64>>, StageError> {
    let values = column(frame, name)?;
    let dtype = values.dtype();
    if !dtype.is_integer() && !matches!(dtype, DataType::Datetime(..) | DataType::Date) {
        return Err(StageError::data(format!("column `{name}` is {dtype}, a timestamp, date or integer is needed"))
            .with_help("cast it with `clean.cast`"));
    }
    let reading = |error| polars_error(&format!("reading column `{name}`"), &error);
    let values = values.strict_cast(&DataType::Int64).map_err(reading)?;
    Ok(values.i64().map_err(reading)?.iter().collect())
}
