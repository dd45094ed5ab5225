//! A client's first handshake that begins again from scratch, because what answered it was meant
//! for another hello.
//!
//! Nothing binds what a server says in the clear to the hello that it answers. An attacker who
//! sends the server a hello of its own from this client's address makes the server ask this client
//! for a cookie that is good for that other hello, or refuse such a cookie. An earlier attempt from
//! the same port does the same without malice, and its ServerHello may still be on its way. So
//! nothing of that kind ends an attempt at once. It is a doubt, which the honest answer dispels; if
//! no such answer comes, the attempt begins again without a cookie, as RFC 9147 §5.1 allows.
//!
//! It also begins again with a smaller hello, where one that takes two datagrams is not answered:
//! there are servers and firewalls that take no hello in pieces.

use super::connection_ids::draw;
use super::role::Opening;
use super::{Connection, Event, Phase};
use crate::error::Error;
use crate::protocol::{Alert, AlertDescription};
use crate::record::RecordLayer;
use std::time::Instant;

/// How often an attempt begins again. Each time costs a timeout, so an attacker who wants to keep a
/// client out has to keep sending, and a server that does not know its own cookies is reported
/// soon.
const MAX_FRESH_STARTS: u8 = 4;

/// Why what has answered an attempt may have been meant for another one.
pub(super) enum Doubt {
    /// Something came that cannot be the answer, or refuses a hello; what ends the attempt if
    /// nothing else comes.
    Unfit(Error),
    /// A ServerHello of version 1.3 was taken, and nothing under its keys has come until then.
    Unproved { until: Instant },
}

impl<R: RecordLayer> Connection<R> {
    /// A message of the handshake was taken. That dispels earlier doubts.
    pub(super) fn taken(&mut self, now: Instant) {
        let limits = self.records.limits();
        let Phase::Initial(first) = &mut self.phase else {
            return;
        };
        let unproved = limits.doubts_plaintext && first.handshake.awaits_proof();
        let until = now.checked_add(limits.proof_timeout).filter(|_| unproved);
        first.doubt = until.map(|until| Box::new(Doubt::Unproved { until }));
    }

    /// Whether a fatal alert in the clear is a doubt: RFC 9147 §5.1 has a server refuse a cookie
    /// that it does not know with this one, and that cookie may not be this client's. Some servers
    /// also refuse a second hello in which anything else has changed, such as the binder of a
    /// session.
    pub(super) fn doubts_refusal(&mut self, alert: Alert) -> bool {
        let meant = alert.description == AlertDescription::ILLEGAL_PARAMETER
            && self.records.limits().doubts_plaintext;
        match &mut self.phase {
            Phase::Initial(first) if meant && first.handshake.may_doubt() => {
                let error = Error::AlertReceived {
                    alert,
                    authenticated: false,
                };
                first.doubt = Some(Box::new(Doubt::Unfit(error)));
                true
            }
            _ => false,
        }
    }

    /// The time for an answer is over, and nothing has come that can be one. The attempt begins
    /// again if it may do so once more; otherwise what is wrong ends it, unless that is a refusal
    /// that must not be believed.
    pub(super) fn resolve_doubt(&mut self, now: Instant) -> Result<(), Error> {
        let Phase::Initial(first) = &mut self.phase else {
            return Ok(());
        };
        let due = match first.doubt.as_deref() {
            None => false,
            Some(Doubt::Unfit(_)) => self.records.is_unanswered(now),
            Some(Doubt::Unproved { until }) => *until <= now,
        };
        let Some(doubt) = first.doubt.take_if(|_| due) else {
            return Ok(());
        };
        // A first hello that is refused would be refused again.
        let pointless = matches!(&*doubt, Doubt::Unfit(Error::AlertReceived { .. }))
            && !first.handshake.shows_cookie();
        match self.begin_afresh(now, !pointless) {
            Ok(true) => Ok(()),
            Ok(false) => match *doubt {
                Doubt::Unfit(error) if self.is_believed(&error) => Err(self.fail(error)),
                _ => Ok(()),
            },
            Err(error) => Err(self.fail(error)),
        }
    }

    fn is_believed(&self, error: &Error) -> bool {
        let alert = matches!(error, Error::AlertReceived { .. });
        !alert || self.records.believes_plaintext_alert(true)
    }

    /// Sends a hello that fits a datagram, if one with the share of a hybrid group has gone out
    /// twice and the time for an answer to the second is over as well. A part of an answer shows
    /// that the server takes it.
    pub(super) fn try_smaller_hello(&mut self, now: Instant) -> Result<(), Error> {
        let records = &self.records;
        let again = records.retransmissions() > 0 && records.is_unanswered(now);
        let unanswered = again && records.hears_nothing();
        let Phase::Initial(first) = &mut self.phase else {
            return Ok(());
        };
        if !unanswered || !first.handshake.can_be_smaller() {
            return Ok(());
        }
        first.small_hello = true;
        tracing::debug!("two hellos were not answered; the next one has no hybrid share");
        self.events.push_back(Event::HybridShareLeftOut);
        self.restart(now, Opening::FIRST)
            .map_err(|error| self.fail(error))
    }

    /// Begins the first handshake again, without cookie and session.
    fn begin_afresh(&mut self, now: Instant, wanted: bool) -> Result<bool, Error> {
        let Phase::Initial(first) = &mut self.phase else {
            return Ok(false);
        };
        let possible = first.handshake.is_unanswered() || first.handshake.awaits_proof();
        if !wanted || !possible || first.fresh_starts == MAX_FRESH_STARTS {
            return Ok(false);
        }
        first.fresh_starts += 1;
        tracing::debug!(
            times = first.fresh_starts,
            "the attempt begins again without a cookie"
        );
        self.restart(now, Opening::AFRESH)?;
        Ok(true)
    }

    /// Replaces the first handshake. Its deadline does not change.
    fn restart(&mut self, now: Instant, opening: Opening) -> Result<(), Error> {
        let Phase::Initial(first) = &mut self.phase else {
            return Ok(());
        };
        let connection_id = draw(R::DIALECT, self.role.parameters(), &self.issuer)?;
        let opening = Opening {
            connection_id: connection_id.clone(),
            small_hello: first.small_hello,
            ..opening
        };
        first.doubt = None;
        first.handshake = self.role.first_handshake(R::DIALECT, opening)?;
        self.records.begin_afresh();
        self.records.admit_connection_ids(connection_id.as_slice());
        self.perform(now)
    }
}
