//! Handshake records, taken apart: what enters, and whose fault it is when something cannot.

use super::reassembly::Reassembly;
use super::{Delivery, Means, Numbering};
use crate::protocol::{Epoch, HandshakeType, MessageSeq, RecordNumber};
use crate::record::{Discard, Fault};
use crate::wire::codec::Reader;
use crate::wire::handshake::FragmentHeader;
use std::time::Instant;

/// A part of a handshake message.
pub(super) struct Fragment<'a> {
    /// When it came.
    pub(super) now: Instant,
    pub(super) epoch: Epoch,
    /// The number of its record within the epoch.
    pub(super) sequence: u64,
    pub(super) header: FragmentHeader,
    pub(super) data: &'a [u8],
}

/// Why a fragment was not entered.
pub(super) enum NotEntered {
    /// It is noise, or known.
    Discard(Discard),
    /// No honest peer says it here: under keys its sender is at fault.
    Misplaced,
}

impl From<Discard> for NotEntered {
    fn from(cause: Discard) -> Self {
        Self::Discard(cause)
    }
}

impl<'a> Fragment<'a> {
    fn decode(now: Instant, number: RecordNumber, reader: &mut Reader<'a>) -> Option<Self> {
        let header = FragmentHeader::decode(reader).ok()?;
        let length = usize::try_from(header.fragment_length).unwrap_or(usize::MAX);
        let data = reader.bytes(length, "fragment").ok()?;
        Some(Self {
            now,
            epoch: number.epoch,
            sequence: number.sequence,
            header,
            data,
        })
    }

    /// Whether it is of a Finished.
    pub(super) fn is_finished(&self) -> bool {
        self.header.typ == HandshakeType::FINISHED
    }

    /// Whether its message ends with it.
    pub(super) fn is_last(&self) -> bool {
        self.header.ends_with(self.data)
    }

    /// Whether it is its whole message.
    pub(super) fn is_whole(&self) -> bool {
        self.header.offset == 0 && self.is_last()
    }

    /// The same with another number.
    pub(super) fn numbered(&self, seq: MessageSeq) -> Self {
        Self {
            header: FragmentHeader { seq, ..self.header },
            ..*self
        }
    }

    /// Adds it to its message.
    pub(super) fn enter(&self, slots: &mut Reassembly) -> Result<(), Discard> {
        slots.insert(self.epoch, &self.header, self.data)
    }
}

impl Delivery {
    /// Takes a handshake record; a header that makes no sense ends it.
    ///
    /// # Errors
    ///
    /// A [`Fault`] of the peer, which ends the connection.
    #[cold]
    pub(in super::super) fn take_record(
        &mut self,
        now: Instant,
        number: RecordNumber,
        contents: &[u8],
        means: &mut Means<'_>,
    ) -> Result<(), Fault> {
        let mut reader = Reader::new(contents);
        let mut whole = !reader.is_empty();
        while !reader.is_empty() {
            let Some(fragment) = Fragment::decode(now, number, &mut reader) else {
                let (cause, fault) = (Discard::BadFragment, Fault::BadFragment);
                return self.count_or_fail(number.epoch, cause, fault, means);
            };
            if let Err(why) = self.enter(&fragment, means) {
                whole &= is_known(&why, &fragment);
                self.not_entered(why, &fragment, means)?;
            }
        }
        if whole {
            self.note_record(now, number, means.records);
        }
        Ok(())
    }

    fn enter(&mut self, fragment: &Fragment<'_>, means: &mut Means<'_>) -> Result<(), NotEntered> {
        let sender = &mut self.sender;
        match &mut self.numbering {
            Numbering::Hello(hello) => {
                hello.fragment(fragment, sender.side, means.records.writing().written())
            }
            Numbering::V12(v12) => v12.fragment(fragment, sender, means),
            Numbering::V13(v13) => v13.fragment(fragment, sender, means.records),
        }
    }

    /// Counts a fragment that was not entered, or takes it for a fault of the peer.
    fn not_entered(
        &mut self,
        why: NotEntered,
        fragment: &Fragment<'_>,
        means: &mut Means<'_>,
    ) -> Result<(), Fault> {
        let typ = fragment.header.typ;
        let (cause, fault) = match why {
            NotEntered::Misplaced => (Discard::UnexpectedMessage, Fault::UnexpectedMessage(typ)),
            NotEntered::Discard(cause @ Discard::ConflictingFragment) => {
                return self.count_or_fail(
                    fragment.epoch,
                    cause,
                    Fault::ConflictingFragment,
                    means,
                );
            }
            NotEntered::Discard(cause @ Discard::MessageTooLong) => {
                if self.believes_too_long(fragment) {
                    return Err(Fault::MessageTooLong);
                }
                (cause, Fault::MessageTooLong)
            }
            NotEntered::Discard(cause) => {
                means.stats.discard(cause);
                return Ok(());
            }
        };
        if fragment.epoch != Epoch::PLAINTEXT {
            // Under keys nobody else can have sent it, and the handshake cannot go on without it.
            return Err(fault);
        }
        self.count_or_fail(fragment.epoch, cause, fault, means)
    }
}

/// Whether nothing is missing of a record although this fragment of it was not entered.
fn is_known(why: &NotEntered, fragment: &Fragment<'_>) -> bool {
    match why {
        NotEntered::Discard(Discard::OldMessage) => true,
        // An empty fragment of a message that is put together says nothing.
        NotEntered::Discard(Discard::BadFragment) => fragment.data.is_empty(),
        _ => false,
    }
}
