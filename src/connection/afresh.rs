//! A client's attempt that begins again from scratch, because what has answered it was meant for another hello.
//!
//! A request for a cookie bears nothing that binds it to the hello that it answers. Somebody who sends the server a hello of its own
//! from this client's address makes it ask this client, for a cookie that is good for that other hello; an earlier attempt
//! from the same port does the same without malice. The server then refuses what follows, and RFC 9147 §5.1 lets the
//! client begin again without a cookie.

use super::role::Opening;
use super::{Connection, Phase};
use crate::error::Error;
use crate::protocol::{Alert, AlertDescription};
use crate::record::Records;
use std::time::Instant;

/// How often an attempt begins again. Each time costs a round trip or a timeout, so whoever wants to keep a client out has
/// to keep sending; a server that does not know its own cookies is told of soon.
const MAX_FRESH_STARTS: u8 = 4;

impl<R: Records> Connection<R> {
    /// The hello that is out was refused in the clear. Whether the attempt goes on.
    pub(super) fn survives_refusal(&mut self, now: Instant, alert: Alert) -> Result<bool, Error> {
        Ok(self.is_refused_cookie(alert) && self.begin_afresh(now)?)
    }

    /// The same where nothing is believed that anybody could have said: the attempt waits whether an answer comes.
    pub(super) fn doubt_refusal(&mut self, alert: Alert) {
        if self.is_refused_cookie(alert) {
            self.doubt = Some(Box::new(Error::AlertReceived {
                alert,
                authenticated: false,
            }));
        }
    }

    /// RFC 9147 §5.1: a server refuses a cookie that it does not know with this alert; so do servers that mind what else
    /// has changed in the second hello, the binder of a session.
    fn is_refused_cookie(&self, alert: Alert) -> bool {
        alert.description == AlertDescription::ILLEGAL_PARAMETER
            && matches!(&self.phase, Phase::Initial(handshake) if handshake.shows_cookie())
    }

    /// Nothing has answered the hello within its timeout but what cannot be its answer: the attempt begins again, as long as it
    /// may. Afterwards what is wrong with that answer ends it; what nobody believes does not.
    pub(super) fn resolve_doubt(&mut self, now: Instant) -> Result<(), Error> {
        if !self.records.is_unanswered(now) {
            return Ok(());
        }
        let Some(doubt) = self.doubt.take() else {
            return Ok(());
        };
        match self.begin_afresh(now) {
            Ok(true) => Ok(()),
            Ok(false) if matches!(*doubt, Error::AlertReceived { .. }) => Ok(()),
            Ok(false) => Err(self.fail(*doubt)),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Begins the first handshake again, without cookie and session; the deadline stands.
    fn begin_afresh(&mut self, now: Instant) -> Result<bool, Error> {
        let Phase::Initial(handshake) = &self.phase else {
            return Ok(false);
        };
        if !handshake.is_unanswered() || self.fresh_starts == MAX_FRESH_STARTS {
            return Ok(false);
        }
        self.fresh_starts += 1;
        self.doubt = None;
        tracing::debug!(
            times = self.fresh_starts,
            "the attempt begins again without a cookie"
        );
        let handshake = self.role.first_handshake(R::DIALECT, Opening::AFRESH)?;
        self.phase = Phase::Initial(Box::new(handshake));
        self.records.begin_afresh();
        self.perform(now)?;
        Ok(true)
    }
}
