//! The planned share of each arm of a test.

use std::collections::BTreeMap;

use stagewright_contract::{ParamError, StageContext, StageError};
use stagewright_frame::{numbers, to_frame};

use crate::groups::Groups;

/// Shares by the name of the arm, in any proportion.
pub(crate) type Shares = BTreeMap<String, f64>;

/// Checks the parameter `shares`.
pub(crate) fn check(shares: &Shares) -> Result<(), ParamError> {
    for (arm, share) in shares {
        if !(*share > 0.0 && share.is_finite()) {
            return Err(ParamError::new(format!("shares/{arm}"), format!("a share is above 0, not {share}")));
        }
    }
    Ok(())
}

/// The shares of the parameter, or of the table at the input `shares`, as `evaluate.thompson_sampling` puts it out; arms
/// with a share of 0 are left out.
///
/// # Errors
/// When both are there, or the table has no columns `arm` and `share`, an arm twice, or a share that is none.
pub(crate) fn planned(param: Option<&Shares>, context: &StageContext) -> Result<Option<Shares>, StageError> {
    if !context.has_input("shares") {
        return Ok(param.cloned());
    }
    if param.is_some() {
        return Err(StageError::data("shares come from the input `shares` and from the parameter `shares`")
            .with_help("leave one of them out"));
    }
    let frame = to_frame(&*context.table("shares")?)?;
    let arms = Groups::read(&frame, "shares", "arm")?;
    let mut shares = Shares::new();
    for (code, share) in arms.codes.iter().zip(numbers(&frame, "share")?) {
        let (Some(Some(arm)), Some(share)) = (arms.names.get(*code as usize), share) else {
            return Err(StageError::data("a row of `shares` has no arm or no share"));
        };
        if !(0.0..=1e100).contains(&share) {
            return Err(StageError::data(format!("the share of `{arm}` is {share}, and not 0 or more")));
        }
        if shares.insert(arm.clone(), share).is_some() {
            return Err(StageError::data(format!("`shares` has two rows of the arm `{arm}`")));
        }
    }
    shares.retain(|_, share| *share > 0.0);
    if shares.is_empty() {
        return Err(StageError::data("no arm in `shares` has a share above 0"));
    }
    Ok(Some(shares))
}
