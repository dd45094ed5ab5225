//! What an association reports to the application.

use crate::error::Failure;
use crate::handshake::Outcome;
use crate::protocol::{Path, Side};
use std::collections::VecDeque;

/// Something that the application may want to act on.
///
/// A server's association shows up at its [`Endpoint`](crate::endpoint::Endpoint) with its
/// [`Event::HandshakeComplete`], and its last event is [`Event::Closed`] or [`Event::Failed`].
/// These two are given by an endpoint alone; a connection without one says what they say by the
/// error of an input, [`Connection::failure`](crate::Connection::failure) and
/// [`Connection::is_closed`](crate::Connection::is_closed).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Keys are in force, and the peer has proved what the configuration demands of it. Data can be
    /// sent.
    HandshakeComplete {
        /// How its keys came about.
        kind: HandshakeKind,
        /// Whether it replaced earlier keys.
        renegotiation: bool,
    },
    /// A renegotiation has come to nothing. The association goes on under the keys that it had.
    RenegotiationRefused {
        /// Why.
        reason: RenegotiationRefusal,
    },
    /// A key update: what `sender` sends is protected with newer keys from now on
    /// (RFC 8446 §4.6.3).
    KeysUpdated {
        /// Whose keys they are.
        sender: Side,
    },
    /// Over datagrams: two hellos with the share of X25519MLKEM768, which take two datagrams each,
    /// have not been answered, so the client has begun again with the share of X25519 alone
    /// ([`DatagramPolicy::hybrid_share`](crate::config::DatagramPolicy::hybrid_share)). A server,
    /// or a firewall before it, may take no hello in pieces; it may as well be down.
    HybridShareLeftOut,
    /// A client of version 1.3 has received a ticket (RFC 8446 §4.6.1).
    /// [`Connection::session`](crate::Connection::session) returns it, and the store of the
    /// configuration already has it.
    TicketReceived,
    /// A record holds more or less data from now on than before. Either a renegotiation has agreed
    /// on another limit ([`Connection::record_limits`](crate::Connection::record_limits)), or the
    /// system has refused a datagram as too large for the way out, so that this association sends
    /// smaller ones. What was refused is lost, except for handshake messages, which are sent again
    /// at once in smaller pieces. Data that no longer fits is refused by `send`, and is lost if it
    /// was waiting for the end of a renegotiation. It may come several times in a row, because the
    /// system does not say what would fit.
    /// [`DtlsConnection::set_mtu`](crate::DtlsConnection::set_mtu) sets the size anew.
    MaxPayloadChanged {
        /// The most data that `send` takes at once, in bytes, once the handshake is done.
        max_payload: usize,
    },
    /// The peer's address has changed, and what is sent goes to the new one from now on
    /// (RFC 9146 §6). Data, handshakes and keys are not concerned.
    PathChanged(Box<PathChange>),
    /// Something of the peer has come from another address, where it does not answer: it was
    /// copied, or the peer has moved on. What is sent goes where it went before. This is the way
    /// that it came.
    PathNotValidated(Box<Path>),
    /// Data waits for `recv`. It is given once, until the queue has been empty again.
    Readable,
    /// The peer sends no more data. Over a stream of version 1.3 it may still take some
    /// (RFC 8446 §6.1); otherwise that is the end of the association (RFC 5246 §7.2.1).
    PeerClosed,
    /// The stream has ended although the peer has not said that it sends no more data: anybody on
    /// the path may have cut short what it sent (RFC 5246 §7.2.1). The connection is over.
    Truncated,
    /// The association is over because of an error. This is its last event: its identifier is no
    /// longer valid.
    Failed(Box<Failure>),
    /// The association is over because one end closed it. This is its last event: its identifier is
    /// no longer valid.
    Closed,
}

/// The peer's address has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PathChange {
    /// The way that was in use.
    pub from: Path,
    /// The way that is in use now.
    pub to: Path,
    /// Whether the peer has shown that it receives there (RFC 9853). It has not with
    /// [`Migration::Newest`](crate::config::Migration::Newest), which leaves that to the
    /// application.
    pub validated: bool,
}

/// The events that wait for the application.
///
/// Nearly all of them say [`Event::Readable`]. One of those at the end takes no place in the queue,
/// so that an association which only receives data needs no memory for its events.
#[derive(Default)]
pub(super) struct Events {
    queue: VecDeque<Event>,
    /// After all others, that data waits.
    readable: bool,
}

impl Events {
    /// Data waits.
    #[inline]
    pub(super) const fn push_readable(&mut self) {
        self.readable = true;
    }

    /// Anything else has happened.
    pub(super) fn push_back(&mut self, event: Event) {
        if std::mem::take(&mut self.readable) {
            self.queue.push_back(Event::Readable);
        }
        self.queue.push_back(event);
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Event> {
        match self.queue.is_empty() {
            false => self.queue.pop_front(),
            true => std::mem::take(&mut self.readable).then_some(Event::Readable),
        }
    }

    /// Takes back the last event if `is_outdated` says so of it.
    pub(super) fn take_back(&mut self, is_outdated: impl FnOnce(&Event) -> bool) {
        if !self.readable && self.queue.back().is_some_and(is_outdated) {
            self.queue.pop_back();
        }
    }

    /// Gives back memory that is not needed.
    pub(super) fn shrink_to_fit(&mut self) {
        self.queue.shrink_to_fit();
    }
}

/// How a handshake came to its keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HandshakeKind {
    /// By a key exchange.
    Full,
    /// From an earlier session: by an abbreviated handshake (RFC 5246 §7.3), or with a pre-shared
    /// key (RFC 8446 §2.2).
    Resumed,
}

impl HandshakeKind {
    pub(super) const fn of(outcome: &Outcome) -> Self {
        if outcome.resumed {
            Self::Resumed
        } else {
            Self::Full
        }
    }

    /// The kind as a word for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
        }
    }
}

/// Why a renegotiation came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RenegotiationRefusal {
    /// The peer said no_renegotiation (RFC 5246 §7.2.2).
    NoRenegotiation,
    /// The peer has not answered. Over a stream an answer may still come and is taken then.
    Unanswered,
    /// The peer asked, and this end's [`RekeyPolicy`](crate::config::RekeyPolicy) does not allow
    /// it.
    Policy,
}

impl RenegotiationRefusal {
    /// The reason as a word for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoRenegotiation => "no_renegotiation",
            Self::Unanswered => "unanswered",
            Self::Policy => "policy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_the_order_in_which_things_happened() {
        let mut events = Events::default();
        events.push_readable();
        events.push_back(Event::TicketReceived);
        events.push_readable();
        events.push_readable();
        events.take_back(|_| true);
        let all: Vec<_> = std::iter::from_fn(|| events.pop_front()).collect();
        let expected = [Event::Readable, Event::TicketReceived, Event::Readable];
        assert_eq!(all, expected);
        events.push_back(Event::TicketReceived);
        events.take_back(|_| true);
        assert_eq!(events.pop_front(), None);
    }
}
