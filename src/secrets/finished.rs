//! The comparison of a Finished, of either version.

use subtle::ConstantTimeEq as _;

/// Proof that a Finished was compared with what it must be.
pub(crate) struct FinishedVerified(());

/// A Finished is not what it must be.
pub(crate) struct FinishedMismatch;

impl FinishedVerified {
    /// Compares the body of a Finished with what it must be, in constant time.
    ///
    /// # Errors
    ///
    /// [`FinishedMismatch`] if it is anything else.
    pub(super) fn compare(expected: &[u8], body: &[u8]) -> Result<Self, FinishedMismatch> {
        if bool::from(expected.ct_eq(body)) {
            Ok(Self(()))
        } else {
            Err(FinishedMismatch)
        }
    }
}
