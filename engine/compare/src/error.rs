/// Why numbers cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// Too few units for the method.
    #[error("there are {given} units, at least {needed} are needed")]
    TooFew {
        /// How many the method needs.
        needed: u64,
        /// How many there are.
        given: u64,
    },
    /// Sides that should hold the same units, and do not.
    #[error("there are {left} values on one side and {right} on the other: pairs must be of the same units")]
    Lengths {
        /// The number of values on one side.
        left: usize,
        /// The number of values on the other.
        right: usize,
    },
    /// An infinity or a NaN.
    #[error("value {index} (counted from 0) is not a finite number")]
    NotFinite {
        /// Where it stands.
        index: usize,
    },
    /// Numbers whose squares are too large for a 64-bit float.
    #[error("the values are too large to calculate with")]
    TooLarge,
    /// Labels that are all the same, or all but one.
    #[error("at least 2 units of each class are needed, there are {positive} positive and {negative} negative ones")]
    OneClass {
        /// How many units are positive.
        positive: u64,
        /// How many are negative.
        negative: u64,
    },
    /// A difference without any variance to judge it by.
    #[error("the values do not vary, so nothing tells their difference from chance")]
    NoVariance,
    /// A ratio whose denominator is 0.
    #[error("the denominators add up to 0")]
    ZeroDenominator,
    /// More successes than there are units.
    #[error("there are {successes} successes among {n} units")]
    Successes {
        /// The successes.
        successes: u64,
        /// The units.
        n: u64,
    },
    /// An argument outside its range.
    #[error("the {name} is {value}; it must be {expected}")]
    Argument {
        /// What it is called.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed.
        expected: &'static str,
    },
}

/// Checks a level of confidence.
pub(crate) fn check_level(level: f64) -> Result<(), CompareError> {
    check("level", level, level > 0.0 && level < 1.0, "above 0 and below 1")
}

/// Checks an argument.
pub(crate) fn check(name: &'static str, value: f64, holds: bool, expected: &'static str) -> Result<(), CompareError> {
    if holds { Ok(()) } else { Err(CompareError::Argument { name, value, expected }) }
}

/// Checks that all values are finite.
pub(crate) fn check_finite(values: &[f64]) -> Result<(), CompareError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(CompareError::NotFinite { index }),
        None => Ok(()),
    }
}

/// Checks that two sides may be of the same units: as long as each other, and finite.
pub(crate) fn check_pairs(left: &[f64], right: &[f64]) -> Result<(), CompareError> {
    if left.len() != right.len() {
        return Err(CompareError::Lengths { left: left.len(), right: right.len() });
    }
    check_finite(left)?;
    check_finite(right)
}

/// Checks that there are at least `needed` units.
pub(crate) fn check_count(given: usize, needed: u64) -> Result<(), CompareError> {
    if (given as u64) < needed { Err(CompareError::TooFew { needed, given: given as u64 }) } else { Ok(()) }
}
