//! Counters, by cause.

use std::fmt;

/// Defines the causes and their names once.
macro_rules! discards {
    ($($(#[$meta:meta])* $name:ident = $text:literal,)*) => {
        /// Why something that arrived was dropped. Never an error: anybody can send datagrams.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum Discard {
            $($(#[$meta])* $name,)*
        }

        impl Discard {
            /// Every cause.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The cause as a word for logs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

discards! {
    /// Too short for a record header, or longer than its datagram.
    BadRecord = "bad_record",
    /// A version that no record can have at this point.
    BadVersion = "bad_version",
    /// A content type that does not exist (RFC 6347 §4.1.2.7).
    UnknownContentType = "unknown_content_type",
    /// An unprotected record with more than 2^14 bytes of contents, or one whose header announces
    /// more than any record may have.
    OverlongRecord = "overlong_record",
    /// An epoch that is over.
    OldEpoch = "old_epoch",
    /// An epoch whose keys do not exist yet, where the record is not one of the few that are kept
    /// until they do.
    FutureEpoch = "future_epoch",
    /// A record number that was seen already, or is too old for the replay window (RFC 6347
    /// §4.1.2.6).
    Replay = "replay",
    /// A connection ID that this peer was not given, or in a record that has none; the rest of its
    /// datagram is dropped as well (RFC 9147 §4).
    UnknownConnectionId = "unknown_connection_id",
    /// A protected record without a connection ID, where one was agreed on (RFC 9146 §3).
    MissingConnectionId = "missing_connection_id",
    /// A return routability check that was not agreed on, makes no sense, or answers nothing that
    /// was asked on this path (RFC 9853 §5.4).
    PathCheck = "path_check",
    /// A record that does not authenticate.
    Unauthenticated = "unauthenticated",
    /// Application data without protection.
    PlaintextData = "plaintext_data",
    /// An alert without protection although keys exist.
    PlaintextAlert = "plaintext_alert",
    /// An alert without protection that is not two bytes or has no level.
    MalformedAlert = "malformed_alert",
    /// A handshake fragment whose header makes no sense, or an empty fragment of a message that is
    /// not empty.
    BadFragment = "bad_fragment",
    /// A fragment that contradicts earlier ones of its message in type, length, epoch or bytes.
    ConflictingFragment = "conflicting_fragment",
    /// A fragment of a message that was taken already: a retransmission.
    OldMessage = "old_message",
    /// A fragment too many messages ahead.
    MessageTooFarAhead = "message_too_far_ahead",
    /// An unprotected message longer than the policy allows.
    MessageTooLong = "message_too_long",
    /// A fragment for which the association's buffer has no room.
    ReassemblyFull = "reassembly_full",
    /// A message that has no place in this state.
    UnexpectedMessage = "unexpected_message",
    /// An unprotected message that does not decode.
    UndecodableMessage = "undecodable_message",
    /// An acknowledgement without protection, or at version 1.2.
    PlaintextAck = "plaintext_ack",
    /// Early data of a client of version 1.3 (RFC 8446 §2.3), which is not accepted.
    EarlyData = "early_data",
    /// ChangeCipherSpec: over datagrams the epoch of each record says the same, so it is only
    /// counted.
    ChangeCipherSpec = "change_cipher_spec",
    /// An empty application record.
    EmptyData = "empty_data",
    /// Data for which the receive queue has no room.
    ReceiveQueueFull = "receive_queue_full",
    /// Data after the peer's close_notify.
    AfterClose = "after_close",
    /// Anything for an association that is over.
    Closed = "closed",
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who began a renegotiation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Initiator {
    /// A call at this end.
    Local,
    /// A limit at this end: bytes, time or the AEAD algorithm's.
    Automatic,
    /// The peer.
    Peer,
}

impl Initiator {
    const ALL: [Self; 3] = [Self::Local, Self::Automatic, Self::Peer];
}

/// How many renegotiations of one kind there were. While the association lives and none is under
/// way, `started` is the sum of `completed` and `refused`; one that is cut off by the end of the
/// association is neither. A request of the peer that this end refuses counts as often as it
/// arrives.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct RenegotiationCounts {
    /// How many were begun: the first message was sent or, if the peer began, was received.
    pub started: u64,
    /// How many ended with new keys.
    pub completed: u64,
    /// How many came to nothing: refused by either end, or unanswered.
    pub refused: u64,
}

/// The counters of one association. They only grow.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Stats {
    pub(crate) records_sent: u64,
    pub(crate) records_received: u64,
    /// The causes that have occurred, in the order of [`Discard::ALL`]: few, on most associations.
    discarded: Box<[(Discard, u64)]>,
    /// `None` while no flight was repeated and no key replaced.
    events: Option<Box<Events>>,
}

/// What happens once in a while.
#[derive(Clone, PartialEq, Eq, Default)]
struct Events {
    flights_retransmitted: u64,
    renegotiations: [RenegotiationCounts; Initiator::ALL.len()],
    key_updates_sent: u64,
    key_updates_received: u64,
}

impl Stats {
    /// How much was dropped for this cause: records, fragments or messages, whichever the cause is
    /// about.
    pub fn discarded(&self, cause: Discard) -> u64 {
        self.place(cause).map_or(0, |place| self.discarded[place].1)
    }

    /// Every cause that occurred, with its count.
    pub fn discards(&self) -> impl Iterator<Item = (Discard, u64)> + '_ {
        self.discarded.iter().copied()
    }

    /// Where the count of a cause is, or would be.
    fn place(&self, cause: Discard) -> Result<usize, usize> {
        self.discarded
            .binary_search_by_key(&(cause as usize), |&(cause, _)| cause as usize)
    }

    /// How many records were sealed, plaintext ones and retransmissions included.
    pub fn records_sent(&self) -> u64 {
        self.records_sent
    }

    /// How many records were received and opened.
    pub fn records_received(&self) -> u64 {
        self.records_received
    }

    /// How often a flight was sent again, by timer or on demand.
    pub fn flights_retransmitted(&self) -> u64 {
        self.event(|events| events.flights_retransmitted)
    }

    pub(crate) fn flight_retransmitted(&mut self) {
        self.events.get_or_insert_default().flights_retransmitted += 1;
    }

    /// The renegotiations that `initiator` began.
    pub fn renegotiations_by(&self, initiator: Initiator) -> RenegotiationCounts {
        self.event(|events| events.renegotiations[initiator as usize])
    }

    pub(crate) fn renegotiations_completed(&self) -> u64 {
        let completed = |counts: &RenegotiationCounts| counts.completed;
        self.event(|events| events.renegotiations.iter().map(completed).sum())
    }

    pub(crate) fn renegotiations(&mut self, initiator: Initiator) -> &mut RenegotiationCounts {
        &mut self.events.get_or_insert_default().renegotiations[initiator as usize]
    }

    /// How often a key update has changed the keys that this end writes with (RFC 8446 §4.6.3).
    pub fn key_updates_sent(&self) -> u64 {
        self.event(|events| events.key_updates_sent)
    }

    /// How often a key update has changed the keys that the peer writes with.
    pub fn key_updates_received(&self) -> u64 {
        self.event(|events| events.key_updates_received)
    }

    pub(crate) fn key_updates(&mut self, own: bool) {
        let events = self.events.get_or_insert_default();
        if own {
            events.key_updates_sent += 1;
        } else {
            events.key_updates_received += 1;
        }
    }

    fn event<T: Default>(&self, count: impl FnOnce(&Events) -> T) -> T {
        self.events.as_deref().map_or_else(T::default, count)
    }

    #[cold]
    pub(crate) fn discard(&mut self, cause: Discard) {
        match self.place(cause) {
            Ok(place) => self.discarded[place].1 += 1,
            Err(place) => {
                let mut counts = std::mem::take(&mut self.discarded).into_vec();
                counts.reserve_exact(1);
                counts.insert(place, (cause, 1));
                self.discarded = counts.into();
            }
        }
        tracing::trace!(%cause, "discarded");
    }
}

impl fmt::Debug for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stats")
            .field("records_sent", &self.records_sent)
            .field("records_received", &self.records_received)
            .field("flights_retransmitted", &self.flights_retransmitted())
            .field("renegotiations", &self.event(|it| it.renegotiations))
            .field("key_updates_sent", &self.key_updates_sent())
            .field("key_updates_received", &self.key_updates_received())
            .field("discarded", &self.discards().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_a_counter_of_its_own() {
        let mut stats = Stats::default();
        for &cause in Discard::ALL.iter().rev().chain(Discard::ALL) {
            let before = stats.discarded(cause);
            stats.discard(cause);
            assert_eq!(stats.discarded(cause), before + 1, "{cause}");
        }
        let all = Discard::ALL.iter().map(|&cause| (cause, 2));
        assert!(stats.discards().eq(all));
    }
}
