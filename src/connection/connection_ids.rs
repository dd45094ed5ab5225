//! Connection IDs: where those come from that the peer is to use (RFC 9146 §3, RFC 9147 §9), and
//! calls for others.
//!
//! The engine half, which says what is sent, is [`Post`](crate::handshake::post).

use super::phase::Phase;
use super::{Connection, DtlsConnection};
use crate::config::{Parameters, RenegotiatedConnectionId};
use crate::error::{ConnectionIdError, Error};
use crate::handshake::post::Post;
use crate::protocol::{ConnectionId, Dialect};
use crate::record::RecordLayer;
use crate::wire::connection_id_update::ConnectionIdUsage;
use std::fmt;
use std::sync::Arc;

/// What makes connection IDs by which an endpoint finds an association again.
pub(crate) trait ConnectionIdIssuer: Send + Sync {
    /// A new one of `length` bytes, not used before, for the association that the issuer calls
    /// `whose`.
    fn issue(&self, whose: u64, length: usize) -> Result<ConnectionId, Error>;
}

impl fmt::Debug for dyn ConnectionIdIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionIdIssuer")
    }
}

/// Who issues connection IDs for an association, and what that calls it; `None` where nobody routes
/// by them, and they are drawn at random. Most associations have none, and none uses it often: one
/// more pointer on the way is worth a smaller one in each.
pub(crate) type Issuer = Option<Box<(Arc<Box<dyn ConnectionIdIssuer>>, u64)>>;

/// A connection ID for a handshake to announce; `None` if the configuration, or the transport, has
/// none.
pub(super) fn draw(
    dialect: &Dialect,
    parameters: &Parameters,
    issuer: &Issuer,
) -> Result<Option<ConnectionId>, Error> {
    let length = parameters.datagram.connection_ids;
    let Some(length) = length.filter(|_| dialect.connection_ids) else {
        return Ok(None);
    };
    let drawn = match issuer {
        // RFC 9146 §3: this end finds the association without.
        _ if length == 0 => ConnectionId::empty(),
        Some(issuer) => issuer.0.issue(issuer.1, length)?,
        None => {
            let mut bytes = vec![0; length];
            parameters.random.fill(&mut bytes)?;
            ConnectionId::new(&bytes)
        }
    };
    Ok(Some(drawn))
}

impl<R: RecordLayer> Connection<R> {
    /// A fresh connection ID.
    fn draw_connection_id(&self) -> Result<Option<ConnectionId>, Error> {
        draw(R::DIALECT, self.role.parameters(), &self.issuer)
    }

    /// A connection ID for the next renegotiation to announce: each has one of its own, unless the
    /// policy is to keep the one that is in force.
    pub(super) fn next_connection_id(&self) -> Result<Option<ConnectionId>, Error> {
        let policy = &self.role.parameters().datagram;
        let kept = match policy.renegotiated_connection_id {
            RenegotiatedConnectionId::Change => None,
            RenegotiatedConnectionId::Keep => self.records.connection_id(),
        };
        match kept.filter(|kept| policy.connection_ids == Some(kept.len())) {
            Some(kept) => Ok(Some(kept)),
            None => self.draw_connection_id(),
        }
    }

    /// Issues connection IDs that the peer has asked for.
    pub(super) fn issue_connection_ids(&mut self, count: u8) -> Result<(), Error> {
        self.give_connection_ids(count, ConnectionIdUsage::Spare)
            .map(|_| ())
    }

    /// Gives the peer connection IDs, as many as there is room for. The records know them before
    /// the peer can use them.
    fn give_connection_ids(&mut self, count: u8, usage: ConnectionIdUsage) -> Result<usize, Error> {
        let mut cids = Vec::with_capacity(count.into());
        for _ in 0..count {
            // A configuration that has changed since the handshake may want none any more.
            cids.extend(self.draw_connection_id()?.filter(|cid| !cid.is_empty()));
        }
        cids.truncate(self.records.admit_connection_ids(&cids));
        let given = cids.len();
        if let Some(post) = self.phase.post() {
            post.announce(cids, usage);
        }
        Ok(given)
    }
}

impl DtlsConnection {
    /// Asks the peer for `count` more connection IDs, which this end uses on other paths
    /// (RFC 9147 §9). The peer may give fewer, or none; more than 8 are not kept. The next input or
    /// output sends the request.
    ///
    /// # Errors
    ///
    /// None is fatal: `NotConnected` before the handshake is done and after the end, `Version12`,
    /// `NotNegotiated` where the peer wants no connection IDs in this end's records, `Pending`
    /// while the peer has not answered the last request.
    pub fn request_connection_ids(&mut self, count: u8) -> Result<(), ConnectionIdError> {
        self.post_for_ids()?.request_connection_ids(count)
    }

    /// Gives the peer a fresh connection ID, which it uses at once instead of the one that it has
    /// (RFC 9147 §9): whoever has seen the old one does not recognise what comes from then on. The
    /// next input or output sends it; the old one is good for what is on its way.
    ///
    /// # Errors
    ///
    /// None is fatal: `NotConnected` before the handshake is done and after the end, `Version12`,
    /// `NotNegotiated` where the peer's records carry no connection IDs, `Pending` while the peer
    /// has not acknowledged what it was given before, `RandomFailed`.
    pub fn renew_connection_id(&mut self) -> Result<(), ConnectionIdError> {
        self.post_for_ids()?.check_renewal()?;
        match self.give_connection_ids(1, ConnectionIdUsage::Immediate) {
            Ok(0) => Err(ConnectionIdError::Pending),
            Ok(_) => Ok(()),
            Err(_) => Err(ConnectionIdError::RandomFailed),
        }
    }

    /// What gives connection IDs and takes them.
    fn post_for_ids(&mut self) -> Result<&mut Post, ConnectionIdError> {
        if self.write_closed || matches!(self.phase, Phase::Initial(_) | Phase::Closed { .. }) {
            return Err(ConnectionIdError::NotConnected);
        }
        self.phase.post().ok_or(ConnectionIdError::Version12)
    }
}
