//! Ending an association: two facts, what this end has said and what the peer has said.

use super::phase::Phase;
use super::{Connection, Event};
use crate::error::{Error, Failure};
use crate::protocol::{Alert, AlertDescription, RecordNumber};
use crate::record::{Goodbye, RecordLayer};
use std::time::Instant;

impl<R: RecordLayer> Connection<R> {
    /// Says that no more data follows (RFC 5246 §7.2.1). Received data can still be taken; over
    /// datagrams the rest of the association, a handshake included, is over at once. Over a stream,
    /// what the peer sends is taken until it says the same: at 1.3 it may go on for as long as it
    /// likes (RFC 8446 §6.1), at 1.2 only what was already on its way is left. Drain
    /// `poll_transmit` to send the alert.
    ///
    /// Data that waits for the end of a renegotiation leaves before the alert, under the old keys.
    /// It is lost if this end has already switched to the new ones, which the peer can no longer
    /// confirm.
    ///
    /// A second call does nothing.
    pub fn close(&mut self, now: Instant) {
        if self.write_closed || matches!(self.phase, Phase::Closed { .. }) {
            return;
        }
        // What the peer still says to a handshake that this end gives up has no place.
        let handshake_runs = self.phase.handshake().is_some();
        let listens = !handshake_runs && self.records.goodbye() != Goodbye::Hint;
        if self.phase.has_way_back() {
            self.go_back();
        }
        // It was taken, so it is sent even where the queue is full; no more can follow.
        self.records.lift_send_limit();
        self.release_held(now);
        if let Phase::Closed { .. } = self.phase {
            return;
        }
        self.records.send_alert(Alert::CLOSE_NOTIFY);
        self.write_closed = true;
        // What has just left may have used the keys up, but nothing more is begun.
        self.phase.forget_wanted();
        self.rekeying.forget_hello();
        if self.read_closed.is_some() || !listens {
            self.over();
        }
    }

    /// Ends the association at once with a fatal alert of the application's choice (RFC 8446 §6.2),
    /// for example `access_denied`. Drain `poll_transmit` to send it; [`Connection::failure`] is
    /// [`Error::Aborted`] from then on. Received data can still be taken. Nothing happens if the
    /// association is already over.
    pub fn abort(&mut self, alert: AlertDescription) {
        if !self.is_closed() {
            self.fail(Error::Aborted(alert));
        }
    }

    /// Whether this end has said that it sends no more data, or has failed.
    pub fn is_write_closed(&self) -> bool {
        self.write_closed || matches!(self.phase, Phase::Closed { .. })
    }

    /// Whether the peer has said that it sends no more data, or the association has failed.
    pub fn is_read_closed(&self) -> bool {
        self.read_closed.is_some() || matches!(self.phase, Phase::Closed { .. })
    }

    /// Whether the association is over: it has failed, was closed by this end, or was closed by the
    /// peer and that was answered. No data can be sent any more. What is queued can be drained, and
    /// data that the peer's close_notify has overtaken is still taken.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
            || self.write_closed && self.read_closed.is_some()
    }

    /// The peer sends nothing more. That is answered and ends both directions (RFC 5246 §7.2.1),
    /// unless each of them ends by itself.
    ///
    /// # Errors
    ///
    /// [`Error::StreamEnded`] on a stream whose first handshake is not done: nothing can follow
    /// that would end it.
    pub(super) fn peer_closed(&mut self, number: RecordNumber) -> Result<(), Error> {
        if self.read_closed.is_some() {
            return Ok(());
        }
        let hint = self.records.goodbye() == Goodbye::Hint;
        if !hint && matches!(self.phase, Phase::Initial(_)) {
            return Err(Error::StreamEnded);
        }
        self.read_closed = Some(Box::new(number));
        // What may have overtaken the peer's Finished counts once that has come.
        if !hint || self.is_committed(number.epoch) {
            self.confirm_peer_closed();
        }
        Ok(())
    }

    /// Tells the application, and answers.
    pub(super) fn confirm_peer_closed(&mut self) {
        self.events.push_back(Event::PeerClosed);
        match self.records.goodbye() {
            Goodbye::Last | Goodbye::Half if self.write_closed => return self.over(),
            Goodbye::Half => return,
            Goodbye::Last | Goodbye::Hint => {}
        }
        if !self.write_closed {
            self.records.send_alert(Alert::CLOSE_NOTIFY);
            self.write_closed = true;
        }
        self.held = None;
        self.rekeying.forget_hello();
        self.go_back();
    }

    /// Drops what only a live association needs. Data that waits for the application is kept if it
    /// was verified.
    pub(super) fn over(&mut self) {
        self.held = None;
        // I13: data that came before the peer's Finished was verified is dropped with the
        // handshake, so the application never sees it.
        self.phase.conclude();
        self.waker = None;
        self.rekeying.forget_hello();
        self.records.shut_down();
    }

    /// Ends the association for a reason of this end's own.
    pub(crate) fn abandon(&mut self, error: Error) -> Failure {
        let error = self.fail(error);
        self.failure.as_deref().cloned().unwrap_or(Failure {
            error,
            state: "Closed",
            side: self.side(),
            peer: self.records.peer(),
            alert_sent: None,
        })
    }
}
