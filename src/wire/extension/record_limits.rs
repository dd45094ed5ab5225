//! record_size_limit (RFC 8449 §4) and max_fragment_length (RFC 6066 §4): both ends write the same
//! form, in the hellos and in EncryptedExtensions.

use super::put_extension;
use crate::error::InvalidMessage;
use crate::protocol::{ExtensionType, MaxFragmentLength};
use crate::wire::codec::{Reader, Writer};

/// Both extensions as they came. What their values mean is not looked at here: a server ignores the
/// one where the other is present.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct LimitExtensions {
    /// RFC 8449 §4.
    pub(crate) record_size_limit: Option<u16>,
    /// RFC 6066 §4: the number on the wire.
    pub(crate) max_fragment_length: Option<u8>,
}

impl LimitExtensions {
    /// The types of both.
    pub(crate) const TYPES: [ExtensionType; 2] = [
        ExtensionType::RECORD_SIZE_LIMIT,
        ExtensionType::MAX_FRAGMENT_LENGTH,
    ];

    /// The type of one that is present.
    pub(crate) const fn present(&self) -> Option<ExtensionType> {
        match self {
            Self {
                record_size_limit: Some(_),
                ..
            } => Some(ExtensionType::RECORD_SIZE_LIMIT),
            Self {
                max_fragment_length: Some(_),
                ..
            } => Some(ExtensionType::MAX_FRAGMENT_LENGTH),
            _ => None,
        }
    }

    /// These extensions.
    pub(crate) fn new(size: Option<u16>, fragment: Option<MaxFragmentLength>) -> Self {
        Self {
            record_size_limit: size,
            max_fragment_length: fragment.map(MaxFragmentLength::number),
        }
    }

    /// Reads one of [`LimitExtensions::TYPES`].
    pub(super) fn decode(
        &mut self,
        typ: ExtensionType,
        body: &mut Reader<'_>,
    ) -> Result<(), InvalidMessage> {
        if typ == ExtensionType::RECORD_SIZE_LIMIT {
            self.record_size_limit = Some(body.u16("record_size_limit")?);
        } else {
            self.max_fragment_length = Some(body.u8("max_fragment_length")?);
        }
        Ok(())
    }

    /// Appends them, as far as they are there.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        if let Some(number) = self.max_fragment_length {
            let typ = ExtensionType::MAX_FRAGMENT_LENGTH;
            put_extension(out, typ, |out| out.put_u8(number));
        }
        if let Some(bytes) = self.record_size_limit {
            let typ = ExtensionType::RECORD_SIZE_LIMIT;
            put_extension(out, typ, |out| out.put_u16(bytes));
        }
    }
}
