//! Key updates of version 1.3 (RFC 8446 §4.6.3, RFC 9147 §8): calls, limits, and what comes of
//! them.
//!
//! The engine half, which says what is sent and which keys follow, is
//! [`Post`](crate::handshake::post).

use super::phase::Phase;
use super::{Connection, Event};
use crate::error::{Error, KeyUpdateError};
use crate::handshake::Completed;
use crate::handshake::post::Post;
use crate::protocol::{FlightId, Side};
use crate::record::RecordLayer;
use crate::wire::key_update::KeyUpdate;
use std::time::Instant;

impl<R: RecordLayer> Connection<R> {
    /// Schedules new keys for what this end sends, and with [`KeyUpdate::Requested`] asks the peer
    /// to follow with its own. The next input or output sends the KeyUpdate. Over a stream the new
    /// keys count at once, over datagrams as soon as the peer has acknowledged it (RFC 9147 §8);
    /// data flows meanwhile.
    ///
    /// [`Event::KeysUpdated`] reports each direction. This is `SSL_key_update`.
    ///
    /// # Errors
    ///
    /// None is fatal: `HandshakeNotComplete` in the handshake, `NotSupportedByVersion` at 1.2,
    /// `Pending` while a key update is scheduled or not acknowledged, and for a second request
    /// while the peer has not answered the first; `EpochsExhausted` where no more can follow;
    /// `Closed`.
    pub fn key_update(&mut self, update: KeyUpdate) -> Result<(), KeyUpdateError> {
        if self.write_closed {
            return Err(KeyUpdateError::Closed);
        }
        match &mut self.phase {
            Phase::Initial(_) => Err(KeyUpdateError::HandshakeNotComplete),
            Phase::Closed { .. } => Err(KeyUpdateError::Closed),
            established => established
                .post()
                .ok_or(KeyUpdateError::NotSupportedByVersion)?
                .schedule(update),
        }
    }

    /// The key update that is scheduled, or sent and not yet acknowledged; also one that the peer
    /// has asked for. This is `SSL_get_key_update_type`.
    pub fn key_update_type(&self) -> Option<KeyUpdate> {
        self.phase.established()?.post_ref()?.pending_update()
    }

    /// Whether the next output begins something that was scheduled.
    #[inline]
    pub(super) fn has_wish(&self) -> bool {
        let post = self.phase.established().and_then(Completed::post_ref);
        let update = post.is_some_and(Post::wants_to_begin);
        self.phase.wanted().is_some() || update && !self.write_closed
    }

    /// Sends the KeyUpdate that is scheduled, if one is.
    #[inline]
    pub(super) fn begin_key_update(&mut self, now: Instant) -> Result<(), Error> {
        match self.phase.post() {
            Some(post) if post.wants_to_begin() && !self.write_closed => post.begin()?,
            _ => return Ok(()),
        }
        self.perform(now)
    }

    /// The peer has the whole of a flight, which may be what the engine waits for.
    pub(super) fn delivered(&mut self, id: FlightId) -> Result<(), Error> {
        if let Some(post) = self.phase.post() {
            post.delivered(id)?;
            // Whichever flight it was, the peer had the handshake before it.
            self.phase.confirm();
        }
        Ok(())
    }

    /// The layer says that the peer has the whole of a flight.
    #[cold]
    pub(super) fn flight_delivered(&mut self, now: Instant, id: FlightId) -> Result<(), Error> {
        self.delivered(id)?;
        self.perform(now)
    }

    /// What `sender` sends is protected with newer keys from now on.
    pub(super) fn keys_updated(&mut self, now: Instant, sender: Side) {
        let own = sender == self.role.side();
        let policy = &self.role.parameters().rekey;
        self.rekeying.updated(now, policy, own);
        self.records.stats_mut().key_updates(own);
        self.events.push_back(Event::KeysUpdated { sender });
    }
}
