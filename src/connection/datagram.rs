//! The inputs and outputs of an association over datagrams.

use super::connection_ids::{Issuer, draw};
use super::phase::Phase;
use super::role::Opening;
use super::{DtlsConnection, Role};
use crate::config::{ClientConfig, ProvenHello, ServerConfig};
use crate::error::{ConfigError, Error, SendError};
use crate::protocol::{ConnectionId, Path, RecordNumber};
use crate::record::datagram::Jitter;
use crate::record::{Datagram, Discard, Layer as _};
use crate::wire::record_datagram::DatagramHeader;
use bytes::BytesMut;
use pki_types::ServerName;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Datagrams for one peer, appended to the caller's buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Transmit {
    /// How many bytes were appended.
    pub len: usize,
    /// The size of each datagram except the last, which may be shorter; `None` for a single
    /// datagram.
    pub segment_size: Option<usize>,
    /// Where they go.
    pub path: Path,
}

/// What came of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Taken {
    /// The newest record of the datagram that was opened under keys; `None` if there was none, and
    /// anybody may have sent it. Records that waited for their keys since an earlier datagram do
    /// not count.
    pub newest: Option<RecordNumber>,
}

impl Taken {
    /// Whether the peer, and nobody else, has sent something of the datagram.
    #[inline]
    pub const fn is_authenticated(&self) -> bool {
        self.newest.is_some()
    }
}

/// Where an association begins, and with what.
struct Place {
    path: Path,
    /// The number of the first record that is sent.
    record_sequence: u64,
    /// What spreads the timers; `None` to draw it.
    jitter: Option<Jitter>,
}

impl Place {
    const fn of(path: Path) -> Self {
        Self {
            path,
            record_sequence: 0,
            jitter: None,
        }
    }
}

impl DtlsConnection {
    /// Starts an association with the server at `path`, which must prove to be `server`. The first
    /// ClientHello waits in `poll_transmit`.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`]; there is no association then.
    pub fn connect(
        now: Instant,
        config: Arc<ClientConfig>,
        server: ServerName<'static>,
        path: Path,
    ) -> Result<Self, Error> {
        Self::connect_with(now, config, server, path, None)
    }

    /// As [`DtlsConnection::connect`], for an association that is found by what `issuer` issues.
    pub(crate) fn connect_with(
        now: Instant,
        config: Arc<ClientConfig>,
        server: ServerName<'static>,
        path: Path,
        issuer: Issuer,
    ) -> Result<Self, Error> {
        let role = Role::Client { config, server };
        let mut connection = Self::begin(now, role, issuer, Opening::FIRST, Place::of(path))?;
        connection.pump(now, &mut ())?;
        Ok(connection)
    }

    /// Starts an association with the client that sent `hello`.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`]. A hello that cannot be served is not an error here: it makes a
    /// connection whose [`Connection::failure`](crate::Connection::failure) says why and whose
    /// `poll_transmit` holds the alert.
    pub fn accept(
        now: Instant,
        config: Arc<ServerConfig>,
        hello: ProvenHello,
    ) -> Result<Self, Error> {
        Self::accept_with(now, config, hello, None)
    }

    /// As [`DtlsConnection::accept`], for an association that is found by what `issuer` issues.
    pub(crate) fn accept_with(
        now: Instant,
        config: Arc<ServerConfig>,
        hello: ProvenHello,
        issuer: Issuer,
    ) -> Result<Self, Error> {
        let opening = Opening {
            first_seq: hello.message_seq,
            retried: hello.retried,
            only_resume: hello.only_resume,
            offers_session: false,
            connection_id: None,
            small_hello: false,
        };
        let place = Place {
            path: hello.path,
            record_sequence: hello.record_sequence,
            jitter: Some(Jitter::of_hello(&hello.random)),
        };
        let mut connection = Self::begin(now, Role::Server(config), issuer, opening, place)?;
        connection.records.receive(hello.path, hello.datagram);
        // The failure is kept in the connection, so that its alert can be sent.
        let _failed = connection.pump(now, &mut ());
        Ok(connection)
    }

    /// Waits for the hello of the client at `path`, whose address is known to be its own, as where
    /// ICE has chosen the pair (RFC 8445): there is no cookie. A server of strangers has an
    /// [`Endpoint`](crate::endpoint::Endpoint), which makes associations only after a valid cookie.
    /// The deadline of the handshake runs from now.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`]; a configuration that cannot serve anybody is found when it is
    /// built.
    pub fn listen(now: Instant, config: Arc<ServerConfig>, path: Path) -> Result<Self, Error> {
        let role = Role::Server(config);
        Self::begin(now, role, None, Opening::FIRST, Place::of(path))
    }

    /// An association at this place whose first handshake begins with `opening`, for which a
    /// connection ID is drawn. Records that carry it are admitted before anything that announces
    /// it is sent.
    fn begin(
        now: Instant,
        role: Role,
        issuer: Issuer,
        mut opening: Opening,
        place: Place,
    ) -> Result<Self, Error> {
        let dialect = Datagram::DIALECT;
        let connection_id = draw(dialect, role.parameters(), &issuer)?;
        opening.connection_id.clone_from(&connection_id);
        let first_seq = opening.first_seq;
        let handshake = role.first_handshake(dialect, opening)?;
        let jitter = match place.jitter {
            Some(jitter) => jitter,
            None => role.jitter(&handshake)?,
        };
        let mut records = Datagram::new(
            role.side(),
            &role.parameters().datagram,
            place.path,
            first_seq,
            place.record_sequence,
            jitter,
        );
        records.admit_connection_ids(connection_id.as_slice());
        let mut connection = Self::new(now, records, role, handshake);
        connection.issuer = issuer;
        Ok(connection)
    }

    /// Takes a datagram from the peer, and says what came of it. It is opened in place; received
    /// data are slices of it.
    ///
    /// With one large `BytesMut` from which each datagram is `split` and which is `reserve`d again,
    /// nothing is allocated per datagram.
    ///
    /// # Errors
    ///
    /// Fatal, and given once: a fault of the peer under keys, a fatal alert, a failed verification.
    #[inline]
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        path: Path,
        mut datagram: BytesMut,
    ) -> Result<Taken, Error> {
        if let Phase::Closed { .. } = self.phase {
            self.records.stats_mut().discard(Discard::Closed);
            return Ok(Taken::default());
        }
        // At rest nothing comes before what is in the datagram. Lines of a log belong to a span,
        // which `pump` enters.
        if !self.phase.is_at_rest() || self.span.is_some() {
            return self.take_datagram(now, path, datagram);
        }
        match self.records.receive_data(&path, &mut datagram) {
            Ok(Some(record)) => {
                let newest = Some(record.number);
                self.take_data(now, record.cut(path, datagram));
                if let Err(error) = self.follow_path(now) {
                    return Err(self.fail(error));
                }
                if self.phase.is_at_rest() && !self.is_attacked() {
                    return Ok(Taken { newest });
                }
                match self.conclude(now) {
                    Ok(()) => Ok(Taken { newest }),
                    Err(error) => Err(self.fail(error)),
                }
            }
            Ok(None) => self.pump_datagram(now),
            Err(fault) => Err(self.fail(fault.into())),
        }
    }

    /// Looks at a datagram that may be anything.
    fn take_datagram(
        &mut self,
        now: Instant,
        path: Path,
        datagram: BytesMut,
    ) -> Result<Taken, Error> {
        self.records.receive(path, datagram);
        self.pump_datagram(now)
    }

    /// Looks at everything that is in a datagram.
    fn pump_datagram(&mut self, now: Instant) -> Result<Taken, Error> {
        self.pump(now, &mut ())?;
        Ok(Taken {
            newest: self.records.taken(),
        })
    }

    /// Appends at most `max_datagrams` sealed datagrams of equal size (the last may be shorter) to
    /// `out`.
    ///
    /// An empty `out` is swapped for the waiting batch, so that nothing is copied. `None` if
    /// nothing waits.
    #[inline]
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        max_datagrams: usize,
        out: &mut Vec<u8>,
    ) -> Option<Transmit> {
        if !self.phase.is_at_rest() || self.held.is_some() {
            self.begin_output(now);
        }
        let (len, segment_size, path) = self.records.poll_transmit(max_datagrams, out)?;
        Some(Transmit {
            len,
            segment_size,
            path,
        })
    }

    /// What an output does before it takes what is sealed.
    fn begin_output(&mut self, now: Instant) {
        let _span = self.enter_span();
        // If it cannot begin, the failure is kept and its alert is sent.
        let _failed = self.start_wanted(now);
        self.release_held(now);
    }

    /// Sends `data` as one record, whole or not at all. It leaves with the next `poll_transmit`.
    ///
    /// An empty record is legal but pointless: receivers discard it.
    ///
    /// # Errors
    ///
    /// `TooLarge` or `BeyondPeerLimit` beyond `max_payload`, `NotConnected` before the handshake is
    /// done, `Backlog` when the send queue is full, `Renegotiating` when nothing more can wait for
    /// new keys that are under way, or the old ones are used up meanwhile, `Closed` after `close`.
    /// `KeyExhausted` is the end of the association.
    #[inline]
    pub fn send(&mut self, now: Instant, data: &[u8]) -> Result<(), SendError> {
        self.send_data(now, data).map(|_| ())
    }

    /// The most data that `send` takes at once, in bytes; 0 before the handshake is done. It
    /// depends on the MTU, as it was set or was found out, and on what the peer takes in a record
    /// ([`record_limits`](Self::record_limits)), of which the smaller counts. If it changes,
    /// [`MaxPayloadChanged`](crate::Event::MaxPayloadChanged) says so; a renegotiation changes it
    /// only if the peer's limit is another one than before, never because of the suite.
    pub fn max_payload(&self) -> usize {
        if self.is_handshaking() {
            0
        } else {
            self.records.max_payload()
        }
    }

    /// Takes note that the system has refused a datagram of `bytes` bytes as too large for the way
    /// out (`EMSGSIZE`). From then on datagrams are smaller:
    /// [`MaxPayloadChanged`](crate::Event::MaxPayloadChanged) says by how much, and a handshake
    /// flight that was cut to that size waits in `poll_transmit` in smaller pieces. A size that
    /// this association does not send is ignored. The size never goes below 548 bytes, the payload
    /// of the largest datagram that every IPv4 host must accept (RFC 791 §3.1).
    ///
    /// Call it only for what the host says of its own datagram. What arrives as ICMP, in an error
    /// queue or as a one-time error of a *connected* socket, can be forged by anybody
    /// (RFC 6347 §4.1.1.1).
    ///
    /// Returns whether anything has changed.
    pub fn handle_too_large(&mut self, bytes: usize) -> bool {
        if let Phase::Closed { .. } = self.phase {
            return false;
        }
        let news = self.records.handle_too_large(bytes);
        if news {
            self.tell_max_payload();
        }
        news
    }

    /// Changes the size of the largest datagram that is sent, in bytes of UDP payload, for this
    /// association alone. What was learned about the path is forgotten. Data that waits for the end
    /// of a renegotiation and no longer fits is lost.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`], as [`DatagramPolicy::mtu`](crate::config::DatagramPolicy::mtu).
    pub fn set_mtu(&mut self, bytes: usize) -> Result<(), ConfigError> {
        self.records.policy().clone().mtu(bytes)?;
        self.records.set_mtu(bytes);
        Ok(())
    }

    /// Changes the first retransmission timeout for this association alone: 10 ms to 60 s, and no
    /// more than the longest timeout. An application that learns the round-trip time of a path by
    /// other means can set it (RFC 9147 §5.8.2). A timer that runs is scaled, and keeps how often
    /// it was doubled.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`], as `retransmission_timeouts` of
    /// [`DatagramPolicy`](crate::config::DatagramPolicy).
    pub fn set_initial_timeout(&mut self, timeout: Duration) -> Result<(), ConfigError> {
        let policy = self.records.policy();
        policy
            .clone()
            .retransmission_timeouts(timeout, policy.max_timeout)?;
        self.records.set_initial_timeout(timeout);
        Ok(())
    }

    /// When something is sent next without any input: again a flight that the peer has not
    /// answered, or an acknowledgement. `None` if nothing waits for the peer.
    /// [`Connection::poll_timeout`](crate::Connection::poll_timeout) may be earlier, for work that
    /// sends nothing.
    pub fn retransmission_deadline(&self) -> Option<Instant> {
        self.records.retransmission_deadline()
    }

    /// The peer's address and the way to it.
    pub fn path(&self) -> Path {
        self.records.path()
    }

    /// The connection ID that the peer puts into its records, the newest if it has several to
    /// choose from. `None` if the handshake that counts has not agreed on connection IDs; empty if
    /// it has, and this end wants none.
    pub fn received_connection_id(&self) -> Option<ConnectionId> {
        self.records.ids().map(|(ours, _)| ours)
    }

    /// The connection ID that this end puts into its records. `None` if the handshake that counts
    /// has not agreed on connection IDs; empty if it has, and the peer wants none.
    pub fn sent_connection_id(&self) -> Option<ConnectionId> {
        self.records.ids().map(|(_, theirs)| theirs)
    }

    /// The addresses of this host have changed.
    pub(crate) fn forget_local_address(&mut self) {
        self.records.forget_local_address();
        self.use_fresh_connection_id();
    }

    /// Whether these bytes of a header begin with a connection ID that the peer was given.
    #[inline]
    pub(crate) fn knows_id(&self, at: &[u8]) -> bool {
        self.records.knows_id(at)
    }

    /// Whether what the peer writes is recognised wherever it comes from.
    pub(crate) fn is_identified(&self) -> bool {
        self.records.is_identified()
    }

    /// Whether an address has to lead here.
    pub(crate) fn needs_address(&self) -> bool {
        self.records.needs_address()
    }

    /// Takes an empty buffer from `buffers` for what is sent next, if there is none here.
    #[inline]
    pub(crate) fn borrow_buffer(&mut self, buffers: &mut Vec<Vec<u8>>) {
        self.records.borrow_buffer(buffers);
    }

    /// The empty buffer of a connection that has nothing to send, if there is one.
    #[inline]
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        self.records.take_buffer()
    }

    /// Whether `poll_transmit` has something to hand out, now or after what waits has been sealed.
    pub(crate) fn has_transmit(&self) -> bool {
        self.records.has_transmit() || self.lets_data_go() || self.has_wish()
    }

    /// Whether there are keys to read anything.
    pub(crate) fn has_read_keys(&self) -> bool {
        self.records.has_read_keys()
    }

    /// Whether a server's peer has gone on since its hello.
    pub(crate) fn has_advanced(&self) -> bool {
        let resuming =
            matches!(&self.phase, Phase::Initial(first) if first.handshake.is_resuming());
        self.records.peer_has_advanced(resuming)
    }

    /// Sends nothing again by itself from now on; the peer must repeat its own flight.
    pub(crate) fn stop_retransmitting(&mut self) {
        self.records.stop_retransmitting();
    }

    /// Whether this server has begun to resume a session.
    pub(crate) fn is_resuming(&mut self) -> bool {
        self.phase
            .handshake()
            .is_some_and(|handshake| handshake.is_resuming())
    }

    /// The peer's address was not proved, and `received` bytes have come from it. Returns whether
    /// what waits may be sent there.
    pub(crate) fn limit_amplification(&mut self, received: usize) -> bool {
        self.records.limit_amplification(received)
    }

    /// Whether there are keys to read a record with this header.
    pub(crate) fn can_read(&self, header: &DatagramHeader) -> bool {
        self.records.can_read(header)
    }

    /// How many bytes are held on behalf of the peer: messages under reassembly, data that waits
    /// for `recv` (by the memory it keeps alive, and at least by its place in the queue) and sealed
    /// datagrams that wait for `poll_transmit`.
    pub fn buffered(&self) -> usize {
        let received = self.received.pinned() + self.phase.early_bytes();
        self.records.buffered() + received + self.held_bytes()
    }
}
