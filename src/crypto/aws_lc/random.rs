//! AWS-LC's generator, which the system seeds.

/// Fills `out` with unpredictable bytes; `None` if there are none.
pub(crate) fn fill(out: &mut [u8]) -> Option<()> {
    aws_lc_rs::rand::fill(out).ok()
}
