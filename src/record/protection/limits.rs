//! How much a record may protect, as far as it was agreed on.

use super::{Form, Keys, NotOpened, Opener, Sealer, TYPE_LEN};
use crate::protocol::AgreedLimits;
use crate::wire::record_tls::MAX_PLAINTEXT_LEN;

/// The most that a record of version 1.2 encrypts, in bytes (RFC 5246 §6.2.1).
const MOST_12: u16 = MAX_PLAINTEXT_LEN as u16;

/// The same at version 1.3, where the type counts (RFC 8446 §5.2).
const MOST_13: u16 = MOST_12 + TYPE_LEN as u16;

impl Form {
    /// The most that a record encrypts, in bytes, whatever was agreed on.
    pub(super) const fn most(&self) -> u16 {
        match self {
            Self::V12 => MOST_12,
            Self::V13 { .. } => MOST_13,
        }
    }

    /// Whether the type of the contents is encrypted with them; at 1.2 only in records with a
    /// connection ID (RFC 9146 §4).
    const fn has_type_inside(&self, identified: bool) -> bool {
        match self {
            Self::V12 => identified,
            Self::V13 { .. } => true,
        }
    }
}

impl Keys {
    /// The most that a record encrypts under this limit, and how many bytes of that its type takes.
    fn under(&self, limit: u16, identified: bool) -> (u16, u16) {
        let type_len = u16::from(self.form.has_type_inside(identified)) * TYPE_LEN as u16;
        (self.form.most().min(limit), type_len)
    }
}

impl Sealer {
    /// From here on no record holds more than was agreed; `identified` says whether they have
    /// connection IDs.
    pub(crate) fn limit_records(&mut self, limits: AgreedLimits, identified: bool) {
        let (most, type_len) = self.keys.under(limits.write(), identified);
        self.keys.most = most - type_len;
    }

    /// From here on no record has more contents than this, in bytes, nor than before.
    pub(crate) fn limit_contents(&mut self, most: u16) {
        self.keys.most = self.keys.most.min(most);
    }

    /// The most contents of a record, in bytes.
    #[inline]
    pub(crate) const fn max_contents(&self) -> u16 {
        self.keys.most
    }
}

impl Opener {
    /// From here on no record may protect more than was agreed; `identified` says whether they have
    /// connection IDs.
    pub(crate) fn limit_records(&mut self, limits: AgreedLimits, identified: bool) {
        let inside = self.keys.form.has_type_inside(identified);
        self.keys.most = self.keys.under(limits.read(inside), identified).0;
    }

    /// The most that a record may protect, in bytes, with everything that is encrypted.
    #[inline]
    pub(crate) const fn most(&self) -> u16 {
        self.keys.most
    }

    /// The same as that of another opener with the same keys.
    pub(crate) const fn limit_to(&mut self, most: u16) {
        self.keys.most = most;
    }

    /// Why a record is not taken that protects so many bytes.
    #[cold]
    pub(super) fn overlong(&self, length: usize) -> NotOpened {
        match length > usize::from(self.keys.form.most()) {
            true => NotOpened::Overlong,
            false => NotOpened::BeyondLimit,
        }
    }
}
