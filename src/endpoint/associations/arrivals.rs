//! The way in: whose a datagram is that is not a hello, and what becomes of it.

use super::Associations;
use crate::connection::{DtlsConnection, Taken};
use crate::endpoint::id::AssociationId;
use crate::endpoint::routing::{Key, Route};
use crate::error::Error;
use crate::protocol::{Epoch, Path};
use crate::wire::record_datagram::{DatagramHeader, connection_id_at, later_connection_id_at};
use bytes::BytesMut;
use std::time::Instant;

impl Associations {
    /// Gives protected records to whoever they are for: a successor that has the keys is tried on a
    /// copy, because a failed opening destroys its input; else the current association in place.
    #[inline]
    pub(in super::super) fn take_protected(
        &mut self,
        now: Instant,
        path: Path,
        header: &DatagramHeader,
        datagram: BytesMut,
        route: Route,
    ) {
        if let Some(successor) = route.successor
            && let Some(association) = self.table.get(successor)
            && association.connection.can_read(header)
            && self.deliver(now, successor, path, BytesMut::from(&datagram[..])) != Delivery::Noise
        {
            return;
        }
        self.deliver(now, route.current, path, datagram);
    }

    /// Gives a datagram to whoever has given its connection ID to a peer. No address stands in for
    /// one that nobody knows.
    #[inline]
    pub(in super::super) fn take_identified(
        &mut self,
        now: Instant,
        path: Path,
        datagram: BytesMut,
        id: Option<AssociationId>,
    ) {
        match id {
            Some(id) => {
                self.deliver(now, id, path, datagram);
            }
            None => self.stats.unknown_connection_ids += 1,
        }
    }

    /// Whose a datagram is of which a later record has a connection ID: a flight that ends under
    /// keys. Its sender may have moved in the middle of its handshake, and where a client has two
    /// associations with one server the address does not tell them apart.
    #[cold]
    pub(in super::super) fn identified_later(&self, datagram: &[u8]) -> Option<AssociationId> {
        self.identified(later_connection_id_at(datagram)?)
    }

    /// Takes from the front of `datagrams`, each of them `size` bytes long, those that begin with a
    /// protected record of a peer that has one association, and brings everything up to date once.
    /// What it leaves is for the general way.
    pub(in super::super) fn take_run(
        &mut self,
        now: Instant,
        path: Path,
        datagrams: &mut BytesMut,
        size: usize,
    ) {
        // Near the limit each datagram is weighed by itself.
        if self.buffered + datagrams.len() >= self.policy.max_buffered {
            return;
        }
        let id = match connection_id_at(datagrams) {
            Some(at) => self.identified(at),
            None => {
                let route = self.routes.find(Key::of(path));
                route
                    .filter(|it| it.successor.is_none())
                    .map(|it| it.current)
            }
        };
        let Some(id) = id else {
            return;
        };
        let Some(association) = self.table.get_mut(id) else {
            return;
        };
        let connection = &mut association.connection;
        let is_its =
            |connection: &DtlsConnection, datagrams: &[u8]| match connection_id_at(datagrams) {
                Some(at) => connection.knows_id(at),
                None => begins_protected(datagrams) && !connection.is_identified(),
            };
        while !connection.is_closed() && is_its(connection, datagrams) {
            let datagram = next_datagram(datagrams, size);
            let outcome = connection.handle_datagram(now, path, datagram);
            if Delivery::of(&outcome) == Delivery::Authenticated {
                association.last_active = now;
                self.replies.note_work(now);
            }
        }
        self.settle(now, id);
    }

    /// Gives plaintext that begins no hello, the rest of a handshake, to the successor on a copy
    /// and to the current association in place.
    ///
    /// Even an established one has to see it, because protected records can follow in the same
    /// datagram: a client that missed our Finished repeats its whole flight. A record layer that
    /// has no use for the plaintext ones counts them.
    pub(in super::super) fn take_plaintext(
        &mut self,
        now: Instant,
        path: Path,
        datagram: BytesMut,
        route: Route,
    ) {
        if let Some(successor) = route.successor {
            self.deliver(now, successor, path, BytesMut::from(&datagram[..]));
        }
        self.deliver(now, route.current, path, datagram);
    }

    /// Gives a datagram to an association.
    #[inline]
    pub(in super::super) fn deliver(
        &mut self,
        now: Instant,
        id: AssociationId,
        path: Path,
        datagram: BytesMut,
    ) -> Delivery {
        let over_limit = self.buffered >= self.policy.max_buffered;
        let Some(association) = self.table.get_mut(id) else {
            return Delivery::Noise;
        };
        if over_limit && association.buffered > 0 {
            self.stats.over_limit += 1;
            return Delivery::Noise;
        }
        let outcome = association.connection.handle_datagram(now, path, datagram);
        let delivery = Delivery::of(&outcome);
        if delivery == Delivery::Authenticated {
            association.last_active = now;
            self.replies.note_work(now);
        }
        self.settle(now, id);
        delivery
    }
}

/// What came of a datagram that an association was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Delivery {
    /// Something of it was opened under keys.
    Authenticated,
    /// It has ended the association.
    Fatal,
    /// Anybody may have sent it.
    Noise,
}

impl Delivery {
    #[inline]
    const fn of(outcome: &Result<Taken, Error>) -> Self {
        match outcome {
            Ok(taken) if taken.is_authenticated() => Self::Authenticated,
            Ok(_) => Self::Noise,
            Err(_) => Self::Fatal,
        }
    }
}

/// Takes the first of datagrams that are `size` bytes long. The last is not split off: that would
/// be one more owner of its buffer, for nothing.
#[inline]
pub(in super::super) fn next_datagram(datagrams: &mut BytesMut, size: usize) -> BytesMut {
    if datagrams.len() <= size {
        std::mem::take(datagrams)
    } else {
        datagrams.split_to(size.max(1))
    }
}

/// Whether the first record is one under keys, as far as its header tells.
#[inline]
fn begins_protected(datagram: &[u8]) -> bool {
    match DatagramHeader::decode_anonymous(datagram, true) {
        Some((DatagramHeader::Full(header), _)) => header.number.epoch != Epoch::PLAINTEXT,
        Some((DatagramHeader::Unified(_), _)) => true,
        Some((DatagramHeader::Identified(..), _)) | None => false,
    }
}
