//! The inputs and outputs of a connection over a byte stream.

use super::phase::Phase;
use super::role::Opening;
use super::{Event, Role, TlsConnection};
use crate::config::{ClientConfig, ServerConfig};
use crate::error::{Error, SendError};
use crate::protocol::Side;
use crate::record::{Goodbye, Layer as _, Stream};
use bytes::BytesMut;
use pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

impl TlsConnection {
    /// Starts a connection with a server that must prove to be `server`. The ClientHello waits in
    /// `poll_transmit`.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`]; there is no connection then.
    pub fn connect(
        now: Instant,
        config: Arc<ClientConfig>,
        server: ServerName<'static>,
    ) -> Result<Self, Error> {
        let policy = config.parameters.stream.clone();
        let role = Role::Client { config, server };
        let handshake = role.first_handshake(Stream::DIALECT, Opening::FIRST)?;
        let records = Stream::new(Side::Client, &policy);
        let mut connection = Self::new(now, records, role, handshake);
        connection.pump(now, &mut BytesMut::new())?;
        Ok(connection)
    }

    /// Waits for a client at the other end of the stream.
    ///
    /// # Errors
    ///
    /// None today; a configuration that cannot serve anybody is found when it is built.
    pub fn accept(now: Instant, config: Arc<ServerConfig>) -> Result<Self, Error> {
        let records = Stream::new(Side::Server, &config.parameters.stream);
        let role = Role::Server(config);
        let handshake = role.first_handshake(Stream::DIALECT, Opening::FIRST)?;
        Ok(Self::new(now, records, role, handshake))
    }

    /// Says where the peer is, for errors and logs.
    pub fn set_peer(&mut self, remote: SocketAddr) {
        self.records.set_peer(remote);
        self.log_peer(remote);
    }

    /// Takes whole records out of `bytes`; received data are slices of its buffer.
    ///
    /// What is left in `bytes` is an incomplete record, or whole ones for which the receive queue
    /// has no room, or which must wait because the handshake awaits an answer of this end's own.
    /// Append what the transport delivers next, fetch data with `recv`, and call again.
    ///
    /// # Errors
    ///
    /// Fatal, and given once: a fault of the peer, a fatal alert, a failed verification.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &mut BytesMut) -> Result<(), Error> {
        if let Phase::Closed { .. } = self.phase {
            bytes.clear();
            return Ok(());
        }
        let outcome = self.pump(now, bytes);
        if let Phase::Closed { .. } = self.phase {
            bytes.clear();
        }
        outcome
    }

    /// Takes note that the transport delivers no more bytes.
    ///
    /// # Errors
    ///
    /// [`Error::StreamEnded`], fatal, in the middle of the first handshake. Later an end without
    /// the peer's close_notify is [`Event::Truncated`], and the connection is over. After this
    /// end's own close_notify at version 1.2 it means nothing: the peer need not answer that
    /// (RFC 5246 §7.2.1).
    pub fn handle_eof(&mut self) -> Result<(), Error> {
        match self.phase {
            Phase::Closed { .. } => Ok(()),
            Phase::Initial(_) => Err(self.fail(Error::StreamEnded)),
            _ if self.read_closed.is_some() => Ok(()),
            _ if self.write_closed && self.records.goodbye() == Goodbye::Last => {
                self.over();
                Ok(())
            }
            _ => {
                self.events.push_back(Event::Truncated);
                self.over();
                Ok(())
            }
        }
    }

    /// Appends everything that waits to `out`, which is swapped with it if it is empty, and says
    /// how many bytes that were; `None` if nothing waits.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<usize> {
        let _span = self.enter_span();
        // If it cannot begin, the failure is kept and its alert is sent.
        let _failed = self.start_wanted(now);
        self.release_held(now);
        self.rekeying.all_left();
        self.records.poll_transmit(out)
    }

    /// Seals as much of `data` as the send queue has room for and says how many bytes that are; at
    /// least one, unless `data` is empty.
    ///
    /// # Errors
    ///
    /// `NotConnected` before the handshake is done, `Backlog` when the send queue is full,
    /// `Renegotiating` when nothing more can wait for new keys that are under way, or the old ones
    /// are used up meanwhile, `Closed` after `close`. `KeyExhausted` is the end of the connection.
    pub fn send(&mut self, now: Instant, data: &[u8]) -> Result<usize, SendError> {
        self.send_data(now, data)
    }

    /// After how long without a record the policy ends an established connection.
    #[cfg(feature = "net")]
    pub(crate) fn idle_timeout(&self) -> Option<std::time::Duration> {
        let established = !self.is_handshaking() && !self.is_closed();
        self.records.idle_timeout().filter(|_| established)
    }

    /// Whether `poll_transmit` has something to hand out, now or after what waits has been sealed.
    pub fn has_transmit(&self) -> bool {
        self.records.has_transmit() || self.lets_data_go() || self.has_wish()
    }

    /// How many bytes are held on behalf of the peer: part of a handshake message, data that waits
    /// for `recv` (by the memory it keeps alive) and sealed records that wait for `poll_transmit`.
    pub fn buffered(&self) -> usize {
        self.records.buffered() + self.received.pinned() + self.held_bytes()
    }
}
