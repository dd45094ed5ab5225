//! The comparison of a Finished, of either version.

use crate::error::{Error, InvalidMessage, PeerMisbehaved};
use subtle::ConstantTimeEq as _;

/// Proof that a Finished was compared with its expected value.
pub(crate) struct FinishedVerified(());

/// A Finished does not have its expected value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FinishedMismatch {
    /// It is longer or shorter.
    Length,
    /// It was made with another key, or over something else.
    Contents,
}

impl FinishedMismatch {
    /// What the peer is told at version 1.3: a Finished of the wrong length does not decode
    /// (RFC 8446 §4.4.4, §6.2), unless one of `any_length` is compared, as some judges want it.
    ///
    /// At 1.2 both are a Finished that does not verify: verify_data_length belongs to the suite,
    /// not to the encoding (RFC 5246 §7.4.9: recipients must verify that the contents are correct),
    /// and decrypt_error is the alert for a Finished that could not be validated (§7.2.2).
    pub(crate) fn error_13(self, any_length: bool) -> Error {
        match self {
            Self::Length if !any_length => {
                InvalidMessage::IllegalValue("length of Finished").into()
            }
            Self::Length | Self::Contents => PeerMisbehaved::BadFinished.into(),
        }
    }
}

impl FinishedVerified {
    /// Compares the body of a Finished with its expected value, in constant time.
    ///
    /// # Errors
    ///
    /// [`FinishedMismatch`] if it is anything else.
    pub(super) fn compare(expected: &[u8], body: &[u8]) -> Result<Self, FinishedMismatch> {
        if expected.len() != body.len() {
            Err(FinishedMismatch::Length)
        } else if bool::from(expected.ct_eq(body)) {
            Ok(Self(()))
        } else {
            Err(FinishedMismatch::Contents)
        }
    }
}
