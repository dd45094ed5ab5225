//! How much a record may protect, as far as it was agreed on.

use super::{Form, NotOpened, Opener, Sealer, TYPE_LEN};
use crate::protocol::RecordLimits;
use crate::wire::record_tls::MAX_PLAINTEXT_LEN;

/// The most that a record of version 1.2 encrypts, in bytes (RFC 5246 §6.2.1).
pub(super) const MOST_12: u16 = MAX_PLAINTEXT_LEN as u16;

/// The same at version 1.3, where the type counts (RFC 8446 §5.2).
pub(super) const MOST_13: u16 = MOST_12 + TYPE_LEN as u16;

impl Sealer {
    /// The most contents of a record without a connection ID, in bytes.
    pub(crate) const fn max_contents(&self, limits: RecordLimits) -> u16 {
        match self.keys.form {
            Form::V12 => at_most(MOST_12, limits.write()),
            Form::V13 { .. } => at_most(MOST_13, limits.write()) - TYPE_LEN as u16,
        }
    }

    /// The same with a connection ID: the type of the contents is inside at 1.2 as well
    /// (RFC 9146 §4).
    pub(crate) const fn max_contents_identified(&self, limits: RecordLimits) -> u16 {
        match self.keys.form {
            Form::V12 => self.max_contents(limits) - TYPE_LEN as u16,
            Form::V13 { .. } => self.max_contents(limits),
        }
    }
}

const fn at_most(most: u16, limit: u16) -> u16 {
    if limit < most { limit } else { most }
}

impl Opener {
    /// From here on no record may protect more than was agreed; `identified` says whether they have
    /// connection IDs.
    pub(crate) fn limit(&mut self, limits: RecordLimits, identified: bool) {
        let (most, inside) = match self.keys.form {
            Form::V12 => (MOST_12, identified),
            Form::V13 { .. } => (MOST_13, true),
        };
        self.most = most.min(limits.read(inside));
    }

    /// The most that a record may protect, in bytes, with everything that is encrypted.
    #[inline]
    pub(crate) const fn most(&self) -> u16 {
        self.most
    }

    /// The same as before.
    pub(crate) const fn limit_to(&mut self, most: u16) {
        self.most = most;
    }

    /// Why a record is not taken that protects so many bytes.
    #[cold]
    pub(super) const fn overlong(&self, length: usize) -> NotOpened {
        let most = match self.keys.form {
            Form::V12 => MOST_12,
            Form::V13 { .. } => MOST_13,
        };
        match length > most as usize {
            true => NotOpened::Overlong,
            false => NotOpened::BeyondLimit,
        }
    }
}
