//! Policies: choices that both ends of an association make for themselves.

use super::conformance::InForce;
use crate::error::ConfigError;
use crate::protocol::Side;
use crate::wire::record_tls::MAX_PLAINTEXT_LEN;
use std::time::Duration;

/// Whether a peer must bind its session to the handshake (RFC 7627).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum ExtendedMasterSecret {
    /// It is used where the peer has it. Sessions without it are not resumed, and exporters stay
    /// closed on them (§5.4). A renegotiation is full and bound by RFC 5746, and a peer that had it
    /// does not lose it. LibreSSL, Erlang and Botan 2 have none.
    #[default]
    Prefer,
    /// A peer without it is refused (RFC 7627 §5.2 lets either side do so).
    Require,
}

/// Whether a peer of version 1.2 must bind renegotiations to what they renegotiate (RFC 5746).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum SecureRenegotiation {
    /// A peer without it is refused, as RFC 9325 §3.5 wants it: another party may be between the
    /// two ends of a renegotiation.
    #[default]
    Require,
    /// A peer without it is served, for the sake of old ones. With such a peer nothing is ever
    /// renegotiated.
    Prefer,
}

/// Whether a handshake of version 1.3 with a pre-shared key exchanges keys as well (RFC 8446
/// §4.2.9).
///
/// Without an exchange whoever learns the pre-shared key later can read what was recorded before.
/// A server takes tickets with an exchange only.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum PskKeyExchange {
    /// Always: psk_dhe_ke alone.
    #[default]
    Required,
    /// Where the peer does. A client offers both modes, a server takes psk_ke from clients that
    /// offer nothing else.
    Preferred,
    /// Where the peer insists. A client offers psk_ke alone, a server prefers it. For devices on
    /// which an exchange takes too long.
    Avoided,
}

/// Whether a fatal alert is believed that comes before keys exist, when anybody on the path could
/// have sent it.
///
/// Once this end has read keys an unprotected alert is never believed, whatever is set here. That
/// includes a server's refusal of a client's certificate at version 1.2: see
/// [`Connection::unauthenticated_alert`](crate::Connection::unauthenticated_alert).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum PlaintextAlerts {
    /// The attempt ends with `AlertReceived { authenticated: false }`: a refusal is seen at once,
    /// and so is a forgery.
    #[default]
    Believe,
    /// It is counted and otherwise ignored: a refusal shows as a timeout.
    Ignore,
}

/// Whether an association follows a peer whose address changes (RFC 9146 §6, RFC 9853). Only a
/// peer that puts connection IDs into its records can be followed: see
/// [`DatagramPolicy::connection_ids`].
///
/// Its data is received wherever it comes from. This is about where data is sent to, and only a
/// record that is newer than any before it leads anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum Migration {
    /// What is sent goes to the first address for ever.
    Never,
    /// Once the peer has answered a challenge at the new address (RFC 9853 §5.1). A peer that does
    /// not take part in such checks is not followed.
    #[default]
    Validated,
    /// The same, but the old address is asked first, and a peer that answers there is not followed
    /// (RFC 9853 §5.2): whoever copies its datagrams from another address, and wins the race, gains
    /// nothing. Where the old address is dead that takes a second longer, or the first
    /// retransmission timeout if that is set otherwise.
    Enhanced,
    /// At once. Whoever can make datagrams of the peer arrive from another address first can direct
    /// to it everything that is sent (RFC 9146 §6): only for an application that has its own way to
    /// see whether the peer is there, for example in CoAP (RFC 9175).
    Newest,
}

/// Whether a renegotiation of version 1.2 changes the connection ID that the peer puts into its
/// records. Each agrees on connection IDs anew (RFC 9146 §3); this is about what this end says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum RenegotiatedConnectionId {
    /// Each announces a fresh one, under the keys in force, and the records of the new epoch carry
    /// it.
    #[default]
    Change,
    /// Each announces the one that is in force, unless the configuration wants one of another
    /// length by now. This is for peers that end an association whose connection ID changes, as
    /// wolfSSL 5.9 does. It costs what a renegotiation gains otherwise: the connection ID stays the
    /// same as long as the association lives, and whoever has seen it once recognises all that the
    /// peer sends, from whatever address (RFC 9146 §8).
    Keep,
}

/// How an association behaves over datagrams: timers, sizes and queues.
///
/// Each setter checks its range; the defaults are those of RFC 6347 where it has one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DatagramPolicy {
    pub(crate) mtu: usize,
    pub(crate) initial_timeout: Duration,
    pub(crate) max_timeout: Duration,
    pub(crate) max_retransmissions: Option<u32>,
    pub(crate) handshake_deadline: Option<Duration>,
    pub(crate) plaintext_alerts: PlaintextAlerts,
    pub(crate) timer_jitter: u8,
    pub(crate) receive_datagrams: usize,
    pub(crate) receive_bytes: usize,
    pub(crate) send_bytes: usize,
    pub(crate) max_message: usize,
    pub(crate) connection_ids: Option<usize>,
    pub(crate) renegotiated_connection_id: RenegotiatedConnectionId,
    pub(crate) migration: Migration,
    pub(crate) hybrid_share: bool,
    pub(crate) conformance: InForce,
}

impl Default for DatagramPolicy {
    fn default() -> Self {
        Self {
            mtu: 1400,
            initial_timeout: Duration::from_secs(1),
            max_timeout: Duration::from_secs(60),
            max_retransmissions: None,
            handshake_deadline: Some(Duration::from_secs(120)),
            plaintext_alerts: PlaintextAlerts::Believe,
            timer_jitter: 25,
            receive_datagrams: 256,
            receive_bytes: 1 << 20,
            send_bytes: 1 << 18,
            max_message: 1 << 15,
            connection_ids: None,
            renegotiated_connection_id: RenegotiatedConnectionId::default(),
            migration: Migration::default(),
            hybrid_share: false,
            conformance: InForce::default(),
        }
    }
}

/// The smallest datagram that a handshake is cut to: 576 bytes of IPv4 less 28 of headers (RFC 791,
/// RFC 768).
pub(crate) const MIN_HANDSHAKE_MTU: usize = 548;

/// The smallest MTU that can be set: room for a record that carries at least a few bytes of a
/// handshake message.
const MIN_MTU: usize = 128;

/// The largest UDP payload over IPv4.
const MAX_MTU: usize = 65_507;

/// The shortest connection ID that tells all associations of an endpoint apart.
const MIN_CONNECTION_ID: usize = 4;

/// The longest connection ID that is worth its place in each record: that of QUIC.
const MAX_CONNECTION_ID: usize = 20;

/// Retransmitting more often than this is a flood.
const MIN_TIMEOUT: Duration = Duration::from_millis(10);

/// Waiting longer than this for a first answer makes a handshake useless.
const MAX_INITIAL_TIMEOUT: Duration = Duration::from_secs(60);

/// Waiting longer than this between two tries is giving up.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

impl DatagramPolicy {
    /// The largest datagram to send, in bytes of UDP payload: 128 to 65,507, 1,400 by default.
    ///
    /// Handshake flights are cut to it, and to less after two tries without an answer (RFC 6347
    /// §4.1.1.1). Where the system refuses a datagram of this size, smaller ones are sent at once,
    /// of data as well ([`Event::MaxPayloadChanged`](crate::Event::MaxPayloadChanged)). What an
    /// association has learned, it keeps.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn mtu(mut self, bytes: usize) -> Result<Self, ConfigError> {
        self.mtu = in_range("mtu", bytes, MIN_MTU, MAX_MTU)?;
        Ok(self)
    }

    /// The first retransmission timeout, 10 ms to 60 s, 1 s by default, and the value at which
    /// doubling stops, at most an hour, 60 s by default (RFC 6347 §4.2.4.1).
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if the first is out of range or larger than the last.
    pub fn retransmission_timeouts(
        mut self,
        initial: Duration,
        max: Duration,
    ) -> Result<Self, ConfigError> {
        if !(MIN_TIMEOUT..=MAX_INITIAL_TIMEOUT).contains(&initial)
            || !(initial..=MAX_TIMEOUT).contains(&max)
        {
            return Err(ConfigError::OutOfRange {
                what: "timeouts in ms, the first no longer than the last,",
                min: 10,
                max: 3_600_000,
            });
        }
        self.initial_timeout = initial;
        self.max_timeout = max;
        Ok(self)
    }

    /// How often a flight is sent again before the handshake fails, or, after one of version 1.3, a
    /// ticket is given up; `None`, the default, leaves a handshake to the deadline and sends a
    /// ticket again for about a minute.
    #[must_use]
    pub fn max_retransmissions(mut self, count: Option<u32>) -> Self {
        self.max_retransmissions = count;
        self
    }

    /// How long a whole handshake may take, 120 s by default; `None` for ever. A client of version
    /// 1.3 waits as long again for the server to acknowledge its last flight, which is repeated
    /// meanwhile; the handshake is complete by then.
    #[must_use]
    pub fn handshake_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.handshake_deadline = deadline;
        self
    }

    /// Whether unprotected fatal alerts are believed, as they are by default.
    #[must_use]
    pub fn plaintext_alerts(mut self, policy: PlaintextAlerts) -> Self {
        self.plaintext_alerts = policy;
        self
    }

    /// By how much of itself a retransmission timeout is longer at most, in percent: 0 to 100, 25
    /// by default. How much it is each time is drawn anew, from a seed that the configuration's
    /// `random` gives, so that clients that have begun or were turned away together do not come
    /// back together.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn timer_jitter(mut self, percent: u8) -> Result<Self, ConfigError> {
        let percent = in_range("timer jitter in percent", usize::from(percent), 0, 100)?;
        self.timer_jitter = u8::try_from(percent).unwrap_or(u8::MAX);
        Ok(self)
    }

    /// Connection IDs (RFC 9146, RFC 9147 §9), with which a peer is recognised whose address has
    /// changed: how many bytes the peer puts into each record of its own for this end, 4 to 20.
    /// With 0 this end puts in what the peer wants, and wants none itself, which is usual for
    /// clients whose server stays where it is. `None`, the default, is not to use any.
    ///
    /// Eight bytes are enough for any endpoint, and name the member of a fleet. With fewer there is
    /// room for no member, and an association has 256 of them, so that one that is renewed often
    /// comes again. An eavesdropper sees at version 1.2 that records of one association
    /// belong together, wherever they come from (RFC 9146 §8).
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn connection_ids(mut self, length: Option<usize>) -> Result<Self, ConfigError> {
        if let Some(length @ 1..) = length {
            let (min, max) = (MIN_CONNECTION_ID, MAX_CONNECTION_ID);
            in_range("the length of a connection ID", length, min, max)?;
        }
        self.connection_ids = length;
        Ok(self)
    }

    /// Whether a renegotiation of version 1.2 changes the connection ID that the peer puts into its
    /// records; it does, by default.
    #[must_use]
    pub fn renegotiated_connection_id(mut self, policy: RenegotiatedConnectionId) -> Self {
        self.renegotiated_connection_id = policy;
        self
    }

    /// Whether a peer is followed whose address changes; once it was validated, by default.
    #[must_use]
    pub fn migration(mut self, policy: Migration) -> Self {
        self.migration = policy;
        self
    }

    /// Whether a client's first hello holds the share of X25519MLKEM768, if that comes first in
    /// [`Algorithms::groups`](super::Algorithms::groups), with that of X25519 beside it. The hello
    /// then takes two datagrams (1,216 bytes of share), which many servers of DTLS 1.3 and some
    /// firewalls do not take. By default the group is listed, and the share of the next curve in
    /// the list is sent alone: a server that insists on X25519MLKEM768 asks for it (RFC 8446
    /// §4.1.4), and the second hello holds its share. Servers take either, whatever is set here.
    ///
    /// After two hellos without an answer the client begins again as it does by default, and
    /// [`Event::HybridShareLeftOut`](crate::Event::HybridShareLeftOut) tells. Whoever can drop
    /// datagrams can bring that about; a client that does not allow X25519 never does it.
    #[must_use]
    pub fn hybrid_share(mut self, at_once: bool) -> Self {
        self.hybrid_share = at_once;
        self
    }

    /// How much received data waits for `recv`: in datagrams (1 to 65,536, 256 by default) and in
    /// bytes of whole datagrams (at least 65,536, 1 MiB by default), where the shortest counts for
    /// its place in the queue. The newest is dropped, and counted. Data is a slice of the buffer
    /// that was given to `handle_datagram`, which may be a large one that serves many: what is not
    /// fetched before the next turn moves to memory of its own (`detach_unread`), and what was
    /// fetched and is to be kept is better copied (`recv_into`).
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn receive_queue(mut self, datagrams: usize, bytes: usize) -> Result<Self, ConfigError> {
        self.receive_datagrams = in_range("receive queue in datagrams", datagrams, 1, 65_536)?;
        self.receive_bytes = in_range("receive queue in bytes", bytes, 65_536, 1 << 30)?;
        Ok(self)
    }

    /// How many bytes of sealed records wait for `poll_transmit`: 65,536 to 2^30, 256 KiB by
    /// default. More is refused with `SendError::Backlog`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn send_queue(mut self, bytes: usize) -> Result<Self, ConfigError> {
        self.send_bytes = in_range("send queue in bytes", bytes, 65_536, 1 << 30)?;
        Ok(self)
    }

    /// The longest handshake message that is taken, in bytes: 4,096 to 131,072, 32 KiB by default.
    /// A certificate chain must fit. Twice this much is buffered at most while messages are put
    /// together. A longer one ends the attempt with an alert; one that came without protection as
    /// soon as more than this has come of it, and only where
    /// [`plaintext_alerts`](Self::plaintext_alerts) would believe an alert as well.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn max_message(mut self, bytes: usize) -> Result<Self, ConfigError> {
        self.max_message = in_range("longest message", bytes, 4096, 1 << 17)?;
        Ok(self)
    }
}

/// How a connection behaves over a byte stream: deadlines, sizes and queues.
///
/// Each setter checks its range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamPolicy {
    /// What was set; until then the side decides.
    handshake_deadline: Option<Option<Duration>>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) receive_bytes: usize,
    pub(crate) send_bytes: usize,
    pub(crate) max_message: usize,
    pub(crate) max_fragment: usize,
    pub(crate) conformance: InForce,
}

/// How long a handshake may take where nothing else waits for its descriptor.
const DEADLINE: Duration = Duration::from_secs(120);

/// How long a server of streams waits for a client that it does not know yet.
const SERVER_DEADLINE: Duration = Duration::from_secs(10);

impl Default for StreamPolicy {
    fn default() -> Self {
        Self {
            handshake_deadline: None,
            idle_timeout: Some(Duration::from_secs(900)),
            receive_bytes: 1 << 18,
            send_bytes: 1 << 18,
            max_message: 1 << 16,
            max_fragment: MAX_PLAINTEXT_LEN,
            conformance: InForce::default(),
        }
    }
}

impl StreamPolicy {
    /// How long a whole handshake may take, the first one and each renegotiation; `None` for ever.
    ///
    /// Until it is set, it depends: the first handshake of a server may take 10 s, because a client
    /// that connects and says nothing holds a descriptor for so long; that of a client 120 s,
    /// because connecting the socket is part of it with
    /// [`TlsStream::connect`](crate::net::TlsStream::connect), and systems try for about as long; a
    /// renegotiation 120 s on either side.
    #[must_use]
    pub fn handshake_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.handshake_deadline = Some(deadline);
        self
    }

    /// How long the first handshake of `side` may take.
    pub(crate) fn first_deadline(&self, side: Side) -> Option<Duration> {
        self.handshake_deadline.unwrap_or(match side {
            Side::Server => Some(SERVER_DEADLINE),
            Side::Client => Some(DEADLINE),
        })
    }

    /// How long a renegotiation may take.
    pub(crate) fn renegotiation_deadline(&self) -> Option<Duration> {
        self.handshake_deadline.unwrap_or(Some(DEADLINE))
    }

    /// After how long without a record in either direction an established
    /// [`TlsStream`](crate::net::TlsStream) ends, with
    /// [`Error::IdleTimeout`](crate::Error::IdleTimeout) and a goodbye to the peer: 15 minutes by
    /// default, `None` for never.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How many bytes of received records wait for `recv`: 32,768 to 2^30, 256 KiB by default. More
    /// stays with the caller, so that the transport slows the peer down.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn receive_queue(mut self, bytes: usize) -> Result<Self, ConfigError> {
        self.receive_bytes = in_range("receive queue in bytes", bytes, 1 << 15, 1 << 30)?;
        Ok(self)
    }

    /// How many bytes of sealed records wait for `poll_transmit`: 32,768 to 2^30, 256 KiB by
    /// default. Then `send` takes less, or returns `SendError::Backlog`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn send_queue(mut self, bytes: usize) -> Result<Self, ConfigError> {
        self.send_bytes = in_range("send queue in bytes", bytes, 1 << 15, 1 << 30)?;
        Ok(self)
    }

    /// The longest handshake message that is taken, in bytes: 4,096 to 2^20, 64 KiB by default. A
    /// certificate chain must fit.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn max_message(mut self, bytes: usize) -> Result<Self, ConfigError> {
        self.max_message = in_range("longest message", bytes, 4096, 1 << 20)?;
        Ok(self)
    }

    /// The longest record that is sent, in bytes of what it carries: 512 to 16,384, which is the
    /// default (RFC 5246 §6.2.1). A record can be opened when all of it has arrived, so short ones
    /// are seen earlier, and cost more.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn max_fragment(mut self, bytes: usize) -> Result<Self, ConfigError> {
        self.max_fragment = in_range("longest record", bytes, 512, MAX_PLAINTEXT_LEN)?;
        Ok(self)
    }
}

pub(super) fn in_range(
    what: &'static str,
    value: usize,
    min: usize,
    max: usize,
) -> Result<usize, ConfigError> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(ConfigError::OutOfRange {
            what,
            min: min as u64,
            max: max as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_refused_with_the_range() {
        let refused = DatagramPolicy::default().mtu(MIN_MTU - 1).unwrap_err();
        assert_eq!(refused.to_string(), "mtu must lie between 128 and 65507");
        assert!(DatagramPolicy::default().mtu(MIN_MTU).is_ok());
        assert!(DatagramPolicy::default().mtu(MAX_MTU + 1).is_err());
        let second = Duration::from_secs(1);
        assert!(
            DatagramPolicy::default()
                .retransmission_timeouts(second, second / 2)
                .is_err()
        );
        for length in 0..=300 {
            let policy = DatagramPolicy::default().connection_ids(Some(length));
            let fits = length == 0 || (MIN_CONNECTION_ID..=MAX_CONNECTION_ID).contains(&length);
            assert_eq!(policy.is_ok(), fits, "{length}");
        }
    }
}
