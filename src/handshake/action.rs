//! What a handshake wants done outside, step by step.

use super::completed::Completed;
use super::question::Question;
use crate::error::Error;
use crate::protocol::{
    AgreedLimits, ConnectionId, ConnectionIds, Epoch, FlightEnd, FlightId, HandshakeType,
    MessageSeq, ProtocolVersion, ReadSwitch, Side,
};
use crate::secrets::traffic::RecordProtection;
use crate::session::Session;

/// One step that the engine wants done. Performed strictly in order.
pub(crate) enum Action {
    /// The client says its hello again: what has come ahead of its turn answers the earlier one.
    ForgetAhead,
    /// From here on the records have the form of this version.
    VersionDecided(ProtocolVersion),
    /// The hellos have agreed on these connection IDs, for every epoch that is installed from here
    /// on (RFC 9146 §3); empty ones where they have not.
    ConnectionIdsAgreed(ConnectionIds),
    /// What was agreed on about the length of records. It holds for every epoch that is installed
    /// from here on, at 1.3 also for those that are installed; as far as RFC 6066 §4 says so, it
    /// holds for everything at once.
    LimitRecords(AgreedLimits),
    /// What this end writes from here on carries another connection ID (RFC 9147 §9).
    UseConnectionId(ConnectionId),
    /// The peer asks for so many more connection IDs (RFC 9147 §9).
    IssueConnectionIds { count: u8 },
    /// Send this message in this epoch.
    SendMessage {
        epoch: Epoch,
        seq: MessageSeq,
        typ: HandshakeType,
        body: Vec<u8>,
    },
    /// Send ChangeCipherSpec, the last record of this epoch.
    SendChangeCipherSpec { epoch: Epoch },
    /// From here on this end can write this epoch.
    InstallWrite {
        epoch: Epoch,
        protection: RecordProtection,
    },
    /// From here on, or from the peer's ChangeCipherSpec on, this end can read this epoch.
    InstallRead {
        epoch: Epoch,
        protection: RecordProtection,
        when: ReadSwitch,
    },
    /// The client has sent early data (RFC 8446 §4.2.10), which is never accepted: it is skipped.
    SkipEarlyData,
    /// The epoch is over; what is still on its way is accepted for a while.
    RetireRead(Epoch),
    /// The flight is complete and can be sent.
    EndFlight { id: FlightId, end: FlightEnd },
    /// The peer has only now become ready for the flight that is out: it is sent again at once.
    RepeatFlight,
    /// The engine goes on when it has the answer.
    Ask(Question),
    /// The session can be resumed from now on.
    SaveSession(Session),
    /// This end writes, or reads, with newer keys than before.
    KeysUpdated { side: Side },
    /// The handshake is done; nothing follows.
    Completed(Box<Completed>),
}

/// The epochs that a handshake goes between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Epochs {
    /// Carries every message but Finished.
    pub(crate) current: Epoch,
    /// Begins with Finished.
    pub(crate) next: Epoch,
}

impl Epochs {
    /// The step from `current` to the epoch after it; `KeyExhausted` where epochs end
    /// (RFC 6347 §4.1).
    pub(crate) fn after(current: Epoch) -> Result<Self, Error> {
        let next = current.next(Epoch::LIMIT_12).ok_or(Error::KeyExhausted)?;
        Ok(Self { current, next })
    }
}
