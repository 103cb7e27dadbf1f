//! What goes wrong, drawn by a seed and by how many requests came before.

use crate::Options;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// 429, and how long to wait.
    TooMany,
    /// Blocked, and not for how long.
    Blocked,
    /// 500 or 503.
    Broken(u16),
    /// Every token expires.
    Expired,
    /// It is done, and the answer comes late.
    Slow,
    /// It is done, and the answer breaks off.
    CutOff,
    /// Some rows of the batch fail.
    Partial,
}

impl Trouble {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TooMany => "trouble 429",
            Self::Blocked => "trouble 50200",
            Self::Broken(_) => "trouble 5xx",
            Self::Expired => "trouble expired token",
            Self::Slow => "trouble slow",
            Self::CutOff => "trouble cut off",
            Self::Partial => "trouble partial batch",
        }
    }
}

pub(crate) fn draw(options: &Options, request: u64, is_token: bool) -> Option<Trouble> {
    if request < options.too_many_at_first {
        return Some(Trouble::TooMany);
    }
    let drawn = mix(options.seed, request);
    let share = (drawn >> 11) as f64 / (1u64 << 53) as f64;
    if share >= options.trouble {
        return None;
    }
    Some(match mix(drawn, 1) % 100 {
        0..22 => Trouble::TooMany,
        22..30 => Trouble::Blocked,
        30..42 => Trouble::Broken(500),
        42..50 => Trouble::Broken(503),
        50..54 => Trouble::Slow,
        54..66 => Trouble::CutOff,
        _ if is_token => Trouble::Broken(500),
        66..82 => Trouble::Expired,
        _ => Trouble::Partial,
    })
}

/// A number that depends on these two alone (the finisher of SplitMix64).
pub(crate) fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
