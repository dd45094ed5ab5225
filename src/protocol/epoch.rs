//! Counters that must never wrap: epochs, record numbers and message sequence numbers.

use std::fmt;

/// One generation of keys, in both directions and on both transports.
///
/// At 1.2 epoch 0 is plaintext and every handshake adds one, up to 65,535. At 1.3 epoch 0 is
/// plaintext, 2 protects the handshake, 3 is the first for application data, and every key update
/// of a direction adds one (RFC 9147 §6.1); a stream counts in the same way. The limit belongs to
/// the version, not to the type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Epoch(u64);

impl Epoch {
    /// Before any keys: records are plaintext.
    pub(crate) const PLAINTEXT: Self = Self(0);

    /// The last epoch of version 1.2: the field is 16 bits wide (RFC 6347 §4.1).
    pub(crate) const LIMIT_12: Self = Self(0xffff);

    /// The epoch of the handshake messages after the ServerHello at 1.3 (RFC 9147 §6.1).
    pub(crate) const HANDSHAKE_13: Self = Self(2);

    /// The first epoch of application data at 1.3 (RFC 9147 §6.1).
    pub(crate) const APPLICATION_13: Self = Self(3);

    /// The last epoch of version 1.3 (RFC 9147 §8).
    pub(crate) const LIMIT_13: Self = Self((1 << 48) - 1);

    /// The epoch with this number.
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number, as printed in logs.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The epoch after this one, unless `limit` has been reached: epochs never wrap
    /// (RFC 6347 §4.1).
    pub(crate) const fn next(self, limit: Self) -> Option<Self> {
        if self.0 < limit.0 {
            Some(Self(self.0 + 1))
        } else {
            None
        }
    }

    /// The two bits of the number that a record header of 1.3 carries (RFC 9147 §4).
    pub(crate) const fn low_bits(self) -> u8 {
        (self.0 & 3) as u8
    }

    /// Whether `self` comes directly after `earlier`.
    pub(crate) const fn follows(self, earlier: Self) -> bool {
        self.0 > earlier.0 && self.0 - earlier.0 == 1
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Names one record, for good: no two different records ever carry the same number (RFC 6347 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecordNumber {
    /// The generation of keys.
    pub epoch: Epoch,
    /// The position within the epoch, from 0.
    pub sequence: u64,
}

impl RecordNumber {
    /// Below every record that is protected.
    pub(crate) const NONE: Self = Self {
        epoch: Epoch::PLAINTEXT,
        sequence: 0,
    };

    /// The last sequence number of a datagram record: the field is 48 bits wide (RFC 6347 §4.1).
    pub(crate) const LIMIT_48: u64 = (1 << 48) - 1;

    /// The eight bytes `epoch ‖ sequence` of a DTLS 1.2 record: explicit nonce and additional data
    /// use them (RFC 6347 §4.1.2.1, RFC 9325 §7.2.1).
    pub(crate) const fn to_bytes_12(self) -> [u8; 8] {
        ((self.epoch.0 << 48) | (self.sequence & Self::LIMIT_48)).to_be_bytes()
    }
}

/// The sequence number of a handshake message, counted by both transports and written by DTLS
/// (RFC 6347 §4.2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct MessageSeq(pub(crate) u16);

impl MessageSeq {
    /// The first message of each handshake (RFC 6347 §4.2.2).
    pub(crate) const FIRST: Self = Self(0);

    /// The next number, or `None` instead of wrapping.
    pub(crate) const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// How far `self` lies after `first`; `None` if it lies before.
    pub(crate) const fn distance_from(self, first: Self) -> Option<u16> {
        self.0.checked_sub(first.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_end_at_the_limit_of_the_version() {
        let last = Epoch::LIMIT_12;
        assert_eq!(Epoch::new(65_534).next(last), Some(last));
        assert_eq!(last.next(last), None);
    }

    #[test]
    fn message_numbers_refuse_to_wrap() {
        assert_eq!(MessageSeq(65_534).next(), Some(MessageSeq(65_535)));
        assert_eq!(MessageSeq(65_535).next(), None);
    }

    #[test]
    fn a_record_number_is_sixteen_bits_of_epoch_and_forty_eight_of_sequence() {
        let number = RecordNumber {
            epoch: Epoch::new(2),
            sequence: 0x0102_0304_0506,
        };
        assert_eq!(number.to_bytes_12(), [0, 2, 1, 2, 3, 4, 5, 6]);
    }
}
