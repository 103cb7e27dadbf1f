//! The widest instructions that the machine has.

/// Does what compilers make vector instructions of with the widest that the machine has. They round as narrow ones do,
/// and nothing is added up in another order: the bits are the same on every machine. What `work` calls must be inlined
/// into it.
#[inline]
pub(crate) fn wide<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}
