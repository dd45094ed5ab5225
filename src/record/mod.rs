//! Record layers: what turns handshake messages and data into what travels, and back.
//!
//! [`Datagram`] is DTLS, [`Stream`] is TLS. Which of them a [`Connection`](crate::Connection) has
//! makes it a [`DtlsConnection`](crate::DtlsConnection) or a
//! [`TlsConnection`](crate::TlsConnection).

// A connection drives a layer through `Layer`; a layer knows no handshake state. The handshake
// engine tells it, through the connection, which keys belong to which epoch, which messages form a
// flight and what ends it; everything else (fragments, order, retransmission, replay, sizes) stays
// below this seam.

pub(crate) mod datagram;
pub(crate) mod protection;
mod stats;
pub(crate) mod stream;

pub use datagram::Datagram;
pub use stats::{Discard, Initiator, RenegotiationCounts, Stats};
pub use stream::Stream;

use crate::error::{Error, InvalidMessage, PeerMisbehaved, SendError};
use crate::protocol::{
    AgreedLimits, Alert, AlertLevel, CarriedId, ConnectionId, ConnectionIds, Dialect, Epoch,
    FlightEnd, FlightId, HandshakeType, MessageSeq, Path, ProtocolVersion, ReadSwitch,
    RecordNumber,
};
use crate::secrets::traffic::{Protections, RecordProtection};
use crate::wire::alert;
use crate::wire::handshake::InboundMessage;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A record layer. Sealed: [`Datagram`] and [`Stream`] implement it.
#[expect(
    private_bounds,
    reason = "sealed: the layer's half of the seam is not for users"
)]
pub trait RecordLayer: Layer {}

/// What a layer hands up, in the order in which it must be looked at.
pub(crate) enum Inbound {
    /// A whole handshake message, the next one in order.
    Handshake(InboundMessage),
    /// Data, authenticated.
    ApplicationData(Received),
    /// An alert; in the plaintext epoch anybody may have sent it.
    Alert {
        alert: Alert,
        /// Whether it is an error, after which nothing goes on.
        error: bool,
        number: RecordNumber,
    },
    /// A message of a return routability check, authenticated.
    PathMessage { path: Path, contents: Bytes },
    /// The peer has all of a flight that waits for its acknowledgement (RFC 9147 §7).
    FlightDelivered(FlightId),
}

/// Something under keys that has come from another address than the peer's, of which it carries the
/// connection ID.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elsewhere {
    /// The way that it came.
    pub(crate) path: Path,
    /// How many bytes it was.
    pub(crate) bytes: usize,
    /// How many bytes were sent there in answer.
    pub(crate) answered: usize,
    /// Whether no record before it had a higher number (RFC 9146 §6).
    pub(crate) newest: bool,
}

/// Data from the peer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// The data: a slice of the buffer that was given to `handle_datagram` or `handle_bytes`, which
    /// it keeps alive.
    pub data: Bytes,
    /// The epoch whose keys protected it;
    /// [`Connection::peer_identity_in`](crate::Connection::peer_identity_in) says who the peer was
    /// in it.
    pub epoch: Epoch,
    /// The way it came, which need not be the one that is in use
    /// ([`Migration`](crate::config::Migration)); [`Path::UNSPECIFIED`] over a stream.
    pub path: Path,
    /// The connection ID that its record carried.
    pub(crate) carried: CarriedId,
    /// The place of its record within the epoch.
    pub(crate) sequence: u64,
    /// How many bytes of the caller's buffer it pins: the length of the datagram or of the record.
    pub(crate) pinned: usize,
}

impl Received {
    /// The connection ID that its record carried (RFC 9146 §4, RFC 9147 §4), one of those that this
    /// end has given to the peer; `None` where records carry none, and over a stream.
    pub fn connection_id(&self) -> Option<ConnectionId> {
        self.carried.id()
    }
}

/// What ends a connection from below the seam. Small, because every record's way up could end in
/// it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// A key has seen as many forgeries as it may (RFC 9325 §4.4).
    TooManyForgeries,
    /// A record of a stream does not authenticate (RFC 5246 §6.2.3.3).
    BadRecordMac,
    /// A record of a stream is longer than it may be (RFC 5246 §6.2.1).
    RecordOverflow,
    /// A record of a stream has another version than the connection.
    RecordVersion,
    /// A record of a stream has a type that does not exist.
    UnknownContentType,
    /// Data in a stream without keys, or inside a handshake message.
    UnexpectedData,
    /// A handshake message that goes on over a change of keys, or data after it under the old ones
    /// (RFC 8446 §5.1).
    MessageAcrossKeys,
    /// An authentic record of version 1.3 that is nothing but padding (RFC 8446 §5.4).
    NoContentType,
    /// An acknowledgement of a record that was never sent (RFC 9147 §7.2).
    AckOfUnsentRecord,
    /// ChangeCipherSpec in a stream where no keys are armed for it.
    UnexpectedChangeCipherSpec,
    /// An empty handshake record, or a flood of empty data records.
    EmptyRecord,
    /// A record of alerts that is no alert.
    MalformedAlert,
    /// An alert whose level does not exist (RFC 5246 §7.2).
    UnknownAlertLevel,
    /// A handshake message is longer than the policy allows.
    MessageTooLong,
    /// More data before the answer to a hello than can be meant honestly (RFC 8446 §4.2.10).
    TooMuchEarlyData,
    /// A handshake message where no honest peer would say it.
    UnexpectedMessage(HandshakeType),
    /// A handshake fragment that makes no sense.
    BadFragment,
    /// A handshake fragment that contradicts others of its message.
    ConflictingFragment,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        use PeerMisbehaved as P;
        match fault {
            Fault::TooManyForgeries => Self::TooManyForgeries,
            Fault::BadRecordMac => P::BadRecordMac.into(),
            Fault::RecordOverflow => P::RecordOverflow.into(),
            Fault::RecordVersion => P::WrongRecordVersion.into(),
            Fault::UnknownContentType => P::UnknownContentType.into(),
            Fault::UnexpectedData => P::UnexpectedData.into(),
            Fault::UnexpectedChangeCipherSpec => P::UnexpectedChangeCipherSpec.into(),
            Fault::MessageAcrossKeys => P::MessageAcrossKeys.into(),
            Fault::NoContentType => P::NoContentType.into(),
            Fault::AckOfUnsentRecord => P::AckOfUnsentRecord.into(),
            Fault::EmptyRecord => P::EmptyRecord.into(),
            Fault::MalformedAlert => InvalidMessage::IllegalValue("alert").into(),
            Fault::UnknownAlertLevel => P::UnknownAlertLevel.into(),
            Fault::MessageTooLong => P::MessageTooLong.into(),
            Fault::TooMuchEarlyData => P::TooMuchEarlyData.into(),
            Fault::UnexpectedMessage(typ) => P::UnexpectedMessage { got: typ.0 }.into(),
            Fault::BadFragment => InvalidMessage::IllegalValue("a fragment").into(),
            Fault::ConflictingFragment => InvalidMessage::Inconsistent("a fragment").into(),
        }
    }
}

/// The alert in a record, and whether it is an error: at 1.2 its level says so, at 1.3 its
/// description (RFC 8446 §6).
fn read_alert(contents: &[u8], is_13: bool) -> Result<(Alert, bool), Fault> {
    let alert = alert::decode(contents).ok_or(Fault::MalformedAlert)?;
    match alert.level {
        _ if is_13 && alert.is_farewell() => Ok((Alert::warning(alert.description), false)),
        AlertLevel::FATAL => Ok((alert, true)),
        AlertLevel::WARNING => Ok((alert, is_13)),
        _ => Err(Fault::UnknownAlertLevel),
    }
}

/// What a layer's policy limits above the layer.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// How many pieces of received data wait for the application.
    pub(crate) receive_items: usize,
    /// Whether data that overtakes the peer's Finished is kept.
    pub(crate) keeps_overtaking_data: bool,
    /// How many bytes of the caller's buffers they may pin together.
    pub(crate) receive_bytes: usize,
    /// How many bytes wait to be sent.
    pub(crate) send_bytes: usize,
    /// How long the first handshake may take.
    pub(crate) handshake_deadline: Option<Duration>,
    /// Whether what comes before keys exist is waited out where it may be meant for another hello.
    pub(crate) doubts_plaintext: bool,
    /// How long a server that has chosen 1.3 may take to prove that it was the one that was asked.
    pub(crate) proof_timeout: Duration,
    /// How many warnings in a row are tolerated.
    pub(crate) warnings: u8,
}

/// What a close_notify is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Goodbye {
    /// Over datagrams a hint, which may be lost and may overtake what was said before it. It ends
    /// both directions, and what it has overtaken is still taken.
    Hint,
    /// Over a stream of version 1.2 the last word of whoever sends it. It is answered by the other
    /// end's own, and until that comes the peer is listened to (RFC 5246 §7.2.1).
    Last,
    /// Over a stream of version 1.3 the end of one direction; the other goes on (RFC 8446 §6.1).
    Half,
}

/// What it means that the peer says nothing to a renegotiation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Silence {
    /// It does not take part: what was sent has been lost or ignored time and again. The attempt is
    /// given up as long as that is possible.
    Ignored,
    /// It takes its time: what was sent has arrived, and the answer may still come.
    Late,
}

/// Where a flight is once it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// As good as there: nothing is lost on a stream.
    Delivered,
    /// On its way. If its end asks for that, [`Inbound::FlightDelivered`] says when it is there.
    OnItsWay,
}

/// The retransmission limit is reached.
pub(crate) struct GaveUp;

/// How many records of a key are kept for the handshake or the key update that replaces it, however
/// often that has to be sent again, and for the alert that ends the association where nothing does.
pub(crate) const RESERVED: u64 = 256;

/// The half of a record layer that a connection drives.
pub(crate) trait Layer {
    /// What the handshake must know about this transport.
    const DIALECT: &'static Dialect;
    /// Where the bytes are that were not looked at yet, if the layer does not hold them itself.
    type Input: Default;

    /// What the policy says to the connection.
    fn limits(&self) -> Limits;
    /// Where the peer is, if that is known.
    fn peer(&self) -> Option<SocketAddr>;
    /// What a close_notify is.
    fn goodbye(&self) -> Goodbye;
    /// What it means that the peer says nothing to a renegotiation.
    fn silence(&self) -> Silence;
    /// Whether an alert without protection is believed, which anybody on the way may have sent;
    /// `error` is whether nothing goes on after it.
    fn believes_plaintext_alert(&self, error: bool) -> bool;
    /// Whether what has come can wait where it is, so that a full receive queue stops the intake. A
    /// datagram that waits is one that is lost.
    fn intake_can_stop(&self) -> bool;
    /// How many of `length` bytes of data are taken where there is room for `room`: over datagrams
    /// all, over a stream as many as fit.
    ///
    /// # Errors
    ///
    /// `Backlog` if that is none, `TooLarge` for what never fits.
    fn portion(&self, length: usize, room: usize) -> Result<usize, SendError>;
    /// For how long one refusal answers the peer's wishes to renegotiate, which are repeated over
    /// datagrams. Over a stream each is a new one, and the time ends when the refusal has left.
    fn refusal_interval(&self) -> Duration;
    /// How long a renegotiation may take.
    fn renegotiation_deadline(&self) -> Option<Duration> {
        self.limits().handshake_deadline
    }
    /// From here on records have the form of this version.
    fn version_decided(&mut self, version: ProtocolVersion);
    /// Every epoch that is installed from here on has these connection IDs.
    fn connection_ids_agreed(&mut self, _ids: ConnectionIds) {}
    /// What was agreed on about the length of records: for every epoch that is installed from here
    /// on, at 1.3 also for those that are installed (RFC 8449 §4), and for everything at once as
    /// far as RFC 6066 §4 says so. Whether that changes at once how much data goes into a record,
    /// where that is what the application must know.
    fn limit_records(&mut self, limits: AgreedLimits) -> bool;
    /// The most contents of a record that is taken now, in bytes.
    fn max_received(&self) -> usize;
    /// The most contents of a record that is written now, in bytes, whatever the path carries.
    fn max_sent(&self) -> usize {
        self.max_payload()
    }
    /// What is written from here on carries this connection ID.
    fn use_connection_id(&mut self, _theirs: ConnectionId) {}
    /// Whether paths may be checked (RFC 9853 §3).
    fn checks_paths(&self) -> bool {
        false
    }
    /// Where this end sends to.
    fn path(&self) -> Path {
        Path::UNSPECIFIED
    }
    /// From here on this end sends there.
    fn move_to(&mut self, _path: Path) {}
    /// Where something of the peer has come from since the last call, if that is another address
    /// than the one in use.
    fn take_elsewhere(&mut self) -> Option<Box<Elsewhere>> {
        None
    }
    /// How long an answer takes at most, as far as is known.
    fn round_trip_limit(&self) -> Duration {
        Duration::from_secs(1)
    }
    /// How long a datagram with a message of a check is.
    fn path_message_len(&self) -> usize {
        0
    }
    /// Sends a message of a check by `path`, as a datagram of its own; whether there was room.
    fn send_path_message(&mut self, _path: Path, _message: &[u8]) -> bool {
        false
    }
    /// What the peer puts into its records, the newest, if there was an agreement on any.
    fn connection_id(&self) -> Option<ConnectionId> {
        None
    }
    /// The peer may use these connection IDs from here on, beside those that it has; how many of
    /// them, as there is a limit.
    fn admit_connection_ids(&mut self, _ours: &[ConnectionId]) -> usize {
        0
    }
    /// Adds a message to the flight under construction.
    fn send_message(&mut self, epoch: Epoch, seq: MessageSeq, typ: HandshakeType, body: Vec<u8>);
    /// Adds ChangeCipherSpec to the flight under construction.
    fn send_change_cipher_spec(&mut self, epoch: Epoch);
    /// Queues an alert in the current write epoch, once: alerts are not repeated (RFC 6347 §4.2.7).
    fn send_alert(&mut self, alert: Alert);
    /// Makes `epoch` writable, and current.
    fn install_write(&mut self, epoch: Epoch, protection: RecordProtection);
    /// Makes `epoch` readable, from `when` on.
    fn install_read(&mut self, epoch: Epoch, protection: RecordProtection, when: ReadSwitch);
    /// What comes next may be data that was sealed before any answer: nobody here can open it.
    fn skip_early_data(&mut self);
    /// Starts the retention of `epoch`, which is over.
    fn retire_read(&mut self, now: Instant, epoch: Epoch);
    /// Sends the flight under construction.
    fn end_flight(&mut self, now: Instant, id: FlightId, end: FlightEnd) -> Sent;
    /// Sends the flight again that is out.
    fn repeat_flight(&mut self, now: Instant);
    /// A handshake begins on the epoch in force; `expected` is the number of the peer's next
    /// message. The first answer to a client may have the number after it, because a HelloRequest
    /// came before it and was lost.
    fn begin_handshake(&mut self, expected: MessageSeq);
    /// What has come ahead of its turn cannot answer what is said now.
    fn forget_ahead(&mut self);
    /// The handshake begins again, because nothing has come that counts: what was sent and what
    /// waits is forgotten, but no record number is used twice. Only where a server asks for
    /// cookies.
    fn begin_afresh(&mut self);
    /// Whether the flight that is out has waited for its answer as long as it does before it is
    /// sent again.
    fn is_unanswered(&self, now: Instant) -> bool;
    /// Whether not even a part of an answer is here.
    fn hears_nothing(&self) -> bool;
    /// This end awaits an answer of its own: until that has come, messages of the peer wait, and
    /// what was sent before is not sent again.
    fn hold_messages(&mut self, now: Instant, hold: bool);
    /// The handshake, or the request for one, comes to nothing: the epoch in force goes on.
    fn abandon_handshake(&mut self);
    /// The handshake is done; `epoch` is the one in force. Whether that changes how much data goes
    /// into a record, where that is what the application must know.
    fn established(&mut self, now: Instant, epoch: Epoch) -> bool;
    /// The next thing that came, out of `input`.
    ///
    /// # Errors
    ///
    /// A [`Fault`], which ends the connection.
    fn next_inbound(
        &mut self,
        now: Instant,
        input: &mut Self::Input,
    ) -> Result<Option<Inbound>, Fault>;
    /// The handshake did not take the message that was handed up last. Whether that ends the
    /// connection.
    fn refuse(&mut self, epoch: Epoch, seq: MessageSeq, why: Discard) -> bool;
    /// Seals data and says how many bytes of it: over datagrams all or none, over a stream as many
    /// as fit. Nothing is queued on error.
    fn send_data(&mut self, data: &[u8]) -> Result<usize, SendError>;
    /// How many records the key has protected that is written with.
    fn written(&self) -> u64;
    /// Whether it protects no more data: its last [`RESERVED`] records are kept.
    fn is_used_up(&self) -> bool;
    /// The newest epoch whose key has seen half of the forgeries that it may (RFC 9147 §4.5.3); a
    /// stream has no second one.
    fn attacked(&self) -> Option<Epoch>;
    /// From here on data is sealed however much waits already.
    fn lift_send_limit(&mut self);
    /// The most data that goes into one record; 0 before keys exist.
    fn max_payload(&self) -> usize;
    /// The next deadline of the layer.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Does what is due at `now`.
    ///
    /// # Errors
    ///
    /// [`GaveUp`] when the retransmission limit is reached.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), GaveUp>;
    /// Whether nothing was read or written for a while, in which case [`Layer::put_away`] gives
    /// memory back. Asked after each [`Layer::handle_timeout`].
    fn is_unused(&mut self, _now: Instant) -> bool {
        false
    }
    /// Puts the keys away that were made from these protections, until they are needed.
    fn put_away(&mut self, _protections: Protections) {}
    /// Drops everything that is only of use to a live association.
    fn shut_down(&mut self);
    /// How often the current flight was sent again.
    fn retransmissions(&self) -> u32;
    /// Whether a message came that is too long to be taken, of which anybody may be the sender.
    fn has_seen_too_long(&self) -> bool;
    /// A fatal alert that was not believed, if there was one.
    fn disbelieved_alert(&self) -> Option<Alert>;
    /// The counters.
    fn stats(&self) -> &Stats;
    /// The counters, to count what the connection itself discards.
    fn stats_mut(&mut self) -> &mut Stats;
}
