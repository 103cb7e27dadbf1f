//! Which units are in which arm, and what they did.

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use stagewright_contract::{Digest, StageContext, StageError};
use stagewright_frame::{Ids, nearest};

use super::{AbTest, Missing};
use crate::amounts::amounts;
use crate::groups::Groups;
use crate::shares::{Shares, planned};
use crate::units::{Keys, Units};

/// A test that was read: all its units, in arms.
pub(super) struct Test {
    /// The arms, ascending by name.
    pub(super) arms: Vec<Arm>,
    /// The place of the control among them.
    pub(super) control: usize,
    /// The planned share of each arm; they add up to 1.
    pub(super) shares: Vec<f64>,
    /// The number of units in all arms.
    pub(super) units: u64,
    /// The identities of the units and the arms they are in.
    pub(super) digest: Digest,
    /// For each column, the value of every unit.
    values: BTreeMap<String, Vec<f64>>,
}

/// An arm.
pub(super) struct Arm {
    pub(super) name: String,
    /// The places of its units in `values`.
    units: Vec<usize>,
}

impl Arm {
    /// The number of its units.
    pub(super) fn len(&self) -> u64 {
        self.units.len() as u64
    }
}

impl Test {
    /// Reads and checks both tables.
    pub(super) fn read(
        stage: &AbTest,
        context: &StageContext,
        assignment: &DataFrame,
        outcomes: Option<&DataFrame>,
    ) -> Result<Self, StageError> {
        let groups = Groups::read(assignment, "assignment", &stage.arm)?;
        let without = groups.codes.iter().filter(|code| groups.names.get(**code as usize) == Some(&None)).count();
        if without > 0 {
            let rows = counted(without, "row of `assignment` has", "rows of `assignment` have");
            return Err(StageError::data(format!("{rows} no `{}`", stage.arm))
                .with_help("every unit of a test is in an arm: filter the others out with `clean.drop_nulls`"));
        }
        let mut arms: Vec<Arm> =
            groups.names.into_iter().flatten().map(|name| Arm { name, units: Vec::new() }).collect();
        for (unit, code) in groups.codes.iter().enumerate() {
            if let Some(arm) = arms.get_mut(*code as usize) {
                arm.units.push(unit);
            }
        }
        let control = control(&arms, &stage.control)?;
        let shares = shares(&arms, planned(stage.shares.as_ref(), context)?.as_ref())?;
        let codes = stage.unit.as_ref().map(|unit| units(unit, assignment, outcomes, &groups.codes)).transpose()?;

        let mut values = BTreeMap::new();
        let needed = stage.metrics.iter().flat_map(|metric| std::iter::once(&metric.column).chain(&metric.denominator));
        match (outcomes, codes) {
            (Some(outcomes), Some(codes)) => {
                let places = codes.places(context, outcomes)?;
                for column in needed {
                    let summed = summed(&amounts(outcomes, column)?, &places, assignment.height());
                    values.insert(column.clone(), complete(stage, column, summed)?);
                }
            }
            (Some(_), None) => {
                return Err(StageError::data("`outcomes` is connected, and no `unit` says whose they are")
                    .with_help("name the column that tells units apart in `unit`"));
            }
            (None, _) => {
                for column in needed {
                    values.insert(column.clone(), complete(stage, column, amounts(assignment, column)?)?);
                }
            }
        }
        if let Some(covariate) = &stage.covariate {
            let known: Option<Vec<f64>> = amounts(assignment, covariate)?.into_iter().collect();
            let known = known.ok_or_else(|| {
                StageError::data(format!("the covariate `{covariate}` is missing for some units"))
                    .with_help("fill it with `clean.fill`, the same way in all arms")
            })?;
            values.insert(covariate_key(covariate), known);
        }
        let digest = digest(stage, assignment)?;
        Ok(Self { arms, control, shares, units: assignment.height() as u64, digest, values })
    }

    /// What the units of an arm did.
    pub(super) fn of_arm(&self, arm: &Arm, column: &str) -> Vec<f64> {
        let values = self.values.get(column).map_or(&[][..], Vec::as_slice);
        arm.units.iter().filter_map(|unit| values.get(*unit)).copied().collect()
    }

    /// What was known of the units of an arm before.
    pub(super) fn covariate(&self, arm: &Arm, covariate: &str) -> Vec<f64> {
        self.of_arm(arm, &covariate_key(covariate))
    }
}

/// A column may be a covariate in `assignment` and an outcome in `outcomes`.
fn covariate_key(covariate: &str) -> String {
    format!("before {covariate}")
}

/// The place of the control.
fn control(arms: &[Arm], control: &str) -> Result<usize, StageError> {
    let names = || arms.iter().map(|arm| arm.name.as_str());
    if arms.is_empty() {
        return Err(StageError::data("nobody is assigned to an arm")
            .with_help("the table at `assignment` is empty: look at the stages before"));
    }
    let Some(place) = names().position(|name| name == control) else {
        return Err(with_arms(StageError::data(format!("no unit is in the control arm `{control}`")), control, arms));
    };
    if arms.len() == 1 {
        return Err(StageError::data(format!(
            "all units are in the arm `{control}`: there is nothing to compare it with"
        ))
        .with_help("look at the stages before, or name another column in `arm`"));
    }
    Ok(place)
}

/// The error with the arm that was meant by a name, or those that there are.
fn with_arms(error: StageError, name: &str, arms: &[Arm]) -> StageError {
    let names = || arms.iter().map(|arm| arm.name.as_str());
    match nearest(name, names()) {
        Some(near) => error.with_help(format!("did you mean `{near}`?")),
        None => error.with_help(format!("the arms are: {}", names().take(20).collect::<Vec<_>>().join(", "))),
    }
}

/// The planned share of each arm.
fn shares(arms: &[Arm], planned: Option<&Shares>) -> Result<Vec<f64>, StageError> {
    let Some(planned) = planned else { return Ok(vec![1.0 / arms.len() as f64; arms.len()]) };
    let names = || arms.iter().map(|arm| arm.name.as_str());
    if let Some(unknown) = planned.keys().find(|name| names().all(|arm| arm != *name)) {
        let error = StageError::data(format!("`shares` plans an arm `{unknown}`, and no unit is in it"));
        return Err(with_arms(error, unknown, arms));
    }
    let share = |arm: &Arm| {
        planned.get(&arm.name).copied().ok_or_else(|| {
            StageError::data(format!("`shares` says nothing of the arm `{}`", arm.name))
                .with_help("plan a share for every arm, or leave `shares` out where all are the same")
        })
    };
    let shares: Vec<f64> = arms.iter().map(share).collect::<Result<_, _>>()?;
    let whole: f64 = shares.iter().sum();
    Ok(shares.into_iter().map(|share| share / whole).collect())
}

/// The identifiers of the units, each once in the assignment.
struct UnitCodes {
    ids: Ids,
    column: String,
    /// The row of `assignment` of each code.
    rows: Vec<Option<usize>>,
}

/// Reads the identifiers and checks that each is assigned once.
fn units(
    unit: &str,
    assignment: &DataFrame,
    outcomes: Option<&DataFrame>,
    arms: &[u32],
) -> Result<UnitCodes, StageError> {
    let tables: Vec<_> =
        std::iter::once(("assignment", assignment)).chain(outcomes.map(|outcomes| ("outcomes", outcomes))).collect();
    let ids = Ids::of(unit, &tables)?;
    let mut rows: Vec<Option<usize>> = vec![None; ids.len()];
    let (mut unnamed, mut twice, mut in_two_arms) = (0_usize, Vec::new(), Vec::new());
    for (row, code) in ids.codes(assignment)?.into_iter().enumerate() {
        match code.and_then(|code| rows.get_mut(code as usize)) {
            None => unnamed += 1,
            Some(first) => match *first {
                None => *first = Some(row),
                Some(first) if arms.get(first) == arms.get(row) => twice.push((first, row)),
                Some(first) => in_two_arms.push((first, row)),
            },
        }
    }
    if unnamed > 0 {
        return Err(StageError::data(format!(
            "{} no `{unit}`",
            counted(unnamed, "row of `assignment` has", "rows of `assignment` have")
        ))
        .with_help("filter them out with `clean.drop_nulls`"));
    }
    // Identifiers are people's: rows are named instead.
    if let Some((first, row)) = in_two_arms.first() {
        return Err(StageError::data(format!(
            "{} in more than one arm (rows {} and {} of `assignment` are the same `{unit}`)",
            counted(in_two_arms.len(), "unit is", "units are"),
            first + 1,
            row + 1
        ))
        .with_help("a unit has one arm: filter such units out, and find out how they came about"));
    }
    if let Some((first, row)) = twice.first() {
        return Err(StageError::data(format!(
            "{} a unit (rows {} and {} are the same `{unit}`)",
            counted(twice.len(), "row of `assignment` repeats", "rows of `assignment` repeat"),
            first + 1,
            row + 1
        ))
        .with_help("make it one row per unit with `clean.drop_duplicates`"));
    }
    Ok(UnitCodes { ids, column: unit.to_owned(), rows })
}

/// A count and what is counted.
fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

impl UnitCodes {
    /// The row of `assignment` that each outcome belongs to, if its unit was assigned.
    fn places(&self, context: &StageContext, outcomes: &DataFrame) -> Result<Vec<Option<usize>>, StageError> {
        let codes = self.ids.codes(outcomes)?;
        let place = |code: &Option<u32>| code.and_then(|code| self.rows.get(code as usize).copied().flatten());
        let places: Vec<Option<usize>> = codes.iter().map(place).collect();
        let left_out = places.iter().filter(|place| place.is_none()).count();
        if left_out > 0 {
            context.warn(format!(
                "{left_out} of {} outcomes are left out: their `{}` is missing or was not assigned to an arm",
                places.len(),
                self.column
            ));
        }
        Ok(places)
    }
}

/// The sum of the amounts of each unit; `None` without any.
fn summed(amounts: &[Option<f64>], places: &[Option<usize>], units: usize) -> Vec<Option<f64>> {
    let mut sums: Vec<Option<f64>> = vec![None; units];
    for (amount, place) in amounts.iter().zip(places) {
        if let (Some(amount), Some(sum)) = (amount, place.and_then(|place| sums.get_mut(place))) {
            *sum = Some(sum.unwrap_or(0.0) + amount);
        }
    }
    sums
}

/// Every unit's value, units without one done with as `missing` says.
fn complete(stage: &AbTest, column: &str, values: Vec<Option<f64>>) -> Result<Vec<f64>, StageError> {
    let without = values.iter().filter(|value| value.is_none()).count();
    if without > 0 && stage.missing == Missing::Error {
        return Err(StageError::data(format!("{} no `{column}`", counted(without, "unit has", "units have")))
            .with_help("say `missing: zero` where that means that they did nothing"));
    }
    Ok(values.into_iter().map(|value| value.unwrap_or(0.0)).collect())
}

/// Which units there are and in which arms.
fn digest(stage: &AbTest, assignment: &DataFrame) -> Result<Digest, StageError> {
    let names: Vec<String> = std::iter::once(&stage.arm).chain(&stage.unit).cloned().collect();
    let keys = Keys::read(assignment, &names)?;
    let mut units = Units::new("ab_test");
    let mut bytes = Vec::new();
    for row in 0..assignment.height() {
        bytes.clear();
        keys.write(row, &mut bytes);
        if stage.unit.is_none() {
            bytes.extend_from_slice(&(row as u64).to_le_bytes());
        }
        units.add(&bytes);
    }
    Ok(units.digest())
}
