//! Record layers: what turns handshake messages and data into what travels, and back.
//!
//! [`Datagram`] is DTLS. `Connection<R>` drives a layer through the crate-private half of [`Records`]; a layer
//! knows no handshake state. The handshake engine tells it, through the connection, which keys belong to which
//! epoch, which messages form a flight and what ends it; everything else (fragments, order, retransmission,
//! replay, sizes) stays below this seam.

pub(crate) mod datagram;
pub(crate) mod protection;
mod stats;

pub use datagram::Datagram;
pub use stats::{Discard, Stats};

use crate::error::{Error, SendError};
use crate::protocol::{
    Alert, Dialect, Epoch, FlightEnd, FlightId, HandshakeType, MessageSeq, Path, ProtocolVersion,
    ReadSwitch, RecordNumber,
};
use crate::secrets::traffic::RecordProtection;
use crate::wire::handshake::InboundMessage;
use bytes::Bytes;
use std::time::Instant;

/// A record layer. Sealed: [`Datagram`] implements it.
#[expect(
    private_bounds,
    reason = "sealed: the layer's half of the seam is not for users"
)]
pub trait Records: Layer {}

/// What a layer hands up, in the order in which it must be looked at.
pub(crate) enum Inbound {
    /// A whole handshake message, the next one in order.
    Handshake(InboundMessage),
    /// Data, authenticated.
    ApplicationData(Received),
    /// An alert; in the plaintext epoch anybody may have sent it.
    Alert { alert: Alert, number: RecordNumber },
}

/// Data from the peer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// The data: a slice of the buffer that was given to `handle_datagram`, which it keeps alive.
    pub data: Bytes,
    /// The epoch whose keys protected it.
    pub epoch: Epoch,
    /// The way it came.
    pub path: Path,
    /// The place of its record within the epoch.
    pub(crate) sequence: u64,
    /// How many bytes of the caller's buffer it pins: the datagram's length.
    pub(crate) pinned: usize,
}

/// What ends a connection from below the seam. Small, because every record's way up could end in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// A key has seen as many forgeries as it may (RFC 9325 §4.4).
    TooManyForgeries,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooManyForgeries => Self::TooManyForgeries,
        }
    }
}

/// The retransmission limit is reached.
pub(crate) struct GaveUp;

/// The half of a record layer that a connection drives.
pub(crate) trait Layer {
    /// What the handshake must know about this transport.
    const DIALECT: &'static Dialect;

    /// From here on records have the form of this version.
    fn version_decided(&mut self, version: ProtocolVersion);
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
    /// Starts the retention of `epoch`, which is over.
    fn retire_read(&mut self, now: Instant, epoch: Epoch);
    /// Sends the flight under construction.
    fn end_flight(&mut self, now: Instant, id: FlightId, end: FlightEnd);
    /// The handshake is done; `epoch` is the one in force.
    fn established(&mut self, now: Instant, epoch: Epoch);
    /// The next thing that came.
    ///
    /// # Errors
    ///
    /// A [`Fault`], which ends the connection.
    fn next_inbound(&mut self, now: Instant) -> Result<Option<Inbound>, Fault>;
    /// The handshake did not take the message that was handed up last. Whether that ends the connection.
    fn refuse(&mut self, epoch: Epoch, seq: MessageSeq, why: Discard) -> bool;
    /// Seals data; nothing is queued on error.
    fn send_data(&mut self, data: &[u8]) -> Result<(), SendError>;
    /// The next deadline of the layer.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Does what is due at `now`.
    ///
    /// # Errors
    ///
    /// [`GaveUp`] when the retransmission limit is reached.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), GaveUp>;
    /// Drops everything that is only of use to a live association.
    fn shut_down(&mut self);
    /// How often the current flight was sent again.
    fn retransmissions(&self) -> u32;
    /// A fatal alert that was not believed, if there was one.
    fn disbelieved_alert(&self) -> Option<Alert>;
    /// The counters.
    fn stats(&self) -> &Stats;
    /// The counters, to count what the connection itself discards.
    fn stats_mut(&mut self) -> &mut Stats;
}
