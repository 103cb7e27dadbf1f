//! The widest instructions that the machine has.

/// Does what compilers make vector instructions of with the widest that the machine has. They round as narrow ones do,
/// and nothing is added up in another order: the bits are the same on every machine. What is called must be inlined: the
/// rest is compiled for the narrowest machine.
macro_rules! wide {
    ($work:expr) => {
        pulp::Arch::new().dispatch(
            // Else it might be a function of its own, which the narrowest machine must be able to run.
            #[inline(always)]
            || $work,
        )
    };
}

pub(crate) use wide;
