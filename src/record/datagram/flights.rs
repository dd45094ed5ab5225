//! This end's flights: under construction, waiting for an answer, or kept to answer a peer that missed them
//! (RFC 6347 §4.2.4).

use super::flight::{Flight, Means};
use super::progress::{AMPLIFICATION, Unproven};
use super::retransmit::Timer;
use super::{Datagram, Progress, TRIES_A_SIZE};
use crate::protocol::Side;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Datagram {
    pub(super) fn start_flight(&mut self) -> &mut Flight {
        if self.flight_complete {
            // RFC 6347 §4.2.4: the engine goes on, so the last flight was answered.
            match &mut self.flight {
                Some(flight) if std::mem::take(&mut self.requesting) => {
                    if self.side == Side::Client {
                        flight.has_left();
                    }
                }
                _ => self.flight = None,
            }
            self.flight_complete = false;
            self.timer = Timer::Idle;
        }
        self.flight.get_or_insert_default()
    }

    /// What flights are sent with.
    pub(super) fn means(&mut self) -> Means<'_> {
        Means {
            mtu: self.size.of_flight(),
            version: self.version,
            tracked: self.is_13(),
            epochs: &mut self.write,
            outgoing: &mut self.outgoing,
        }
    }

    pub(super) fn transmit(&mut self, flight: &mut Flight) {
        let sealed = flight.transmit(self.means());
        self.stats.records_sent += sealed.records;
    }

    /// Sends what the peer has just shown to miss, and what there is room for now.
    pub(super) fn go_on(&mut self, flight: &mut Flight) {
        let sealed = flight.go_on(self.means());
        self.stats.records_sent += sealed.records;
        self.stats.flights_retransmitted += u64::from(sealed.repeats);
    }

    /// Answers a repeated Finished of the peer: it missed this end's final flight.
    pub(super) fn repeat_final_flight(&mut self, now: Instant) {
        let Some(mut retained) = self.retained.take() else {
            return;
        };
        let due = now.saturating_duration_since(retained.sent) >= self.policy.repeat_after();
        // I2: what was sealed but not yet taken is still on its way.
        if due && self.outgoing.is_empty() {
            retained.sent = now;
            self.transmit(&mut retained.flight);
            self.stats.flights_retransmitted += 1;
        }
        self.retained = Some(retained);
    }

    /// What was sent under older keys has arrived by now, or never will (E21).
    pub(super) fn end_retention(&mut self) {
        let in_force = match &self.progress {
            Progress::Established { epoch, .. } => *epoch,
            Progress::Handshaking { current, .. } => *current,
            Progress::Continuous(_) => return self.end_retention_13(),
        };
        self.read.retain(|known| known >= in_force);
        if self
            .retained
            .as_ref()
            .is_some_and(|retained| retained.heard)
        {
            self.drop_retained();
        }
    }

    pub(super) fn drop_flight(&mut self) {
        self.timer = Timer::Idle;
        self.flight = None;
        self.flight_complete = false;
        self.requesting = false;
    }

    pub(super) fn drop_retained(&mut self) {
        self.retained = None;
        self.prune_write_epochs();
    }

    /// A write epoch, keys and next number, lives as long as a flight has an item in it.
    pub(super) fn prune_write_epochs(&mut self) {
        let flights = [
            self.flight.as_deref(),
            self.retained.as_ref().map(|retained| &retained.flight),
        ];
        let continuous = match &self.progress {
            Progress::Continuous(continuous) => Some(continuous),
            _ => None,
        };
        self.write.retain(|epoch| {
            flights.iter().flatten().any(|flight| flight.uses(epoch))
                || continuous.is_some_and(|it| it.uses(epoch))
        });
    }

    /// RFC 6347 §4.1.1.1: when tries go unanswered, the path may not carry datagrams of this size.
    pub(super) fn shrink_flights(&mut self, attempt: u32) {
        if attempt.is_multiple_of(TRIES_A_SIZE) {
            self.size.silence();
        }
    }

    /// Sends the flight again; not while what was sealed before has not been taken (I2): sealing it twice would only pile up.
    pub(super) fn retransmit(&mut self, attempt: u32, busy: bool) {
        match &mut self.progress {
            Progress::Handshaking { slots, .. } => slots.forget_disputed(),
            Progress::Continuous(continuous) => continuous.slots.forget_disputed(),
            Progress::Established { .. } => {}
        }
        if busy {
            return;
        }
        if let Some(unproven) = &mut self.unproven {
            match unproven.budget.checked_sub(unproven.flight) {
                Some(budget) => unproven.budget = budget,
                None => return,
            }
        }
        self.shrink_flights(attempt);
        self.send_flight_again();
    }

    pub(super) fn send_flight_again(&mut self) {
        if let Some(mut flight) = self.flight.take() {
            if !self.requesting {
                // The client has begun, but perhaps by itself, and then it waits for the number of the HelloRequest.
                flight.withdraw_request();
            }
            self.transmit(&mut flight);
            self.stats.flights_retransmitted += 1;
            self.flight = Some(flight);
        }
    }

    /// Changes the first timeout of this association; timers that run are scaled to it.
    pub(crate) fn set_initial_timeout(&mut self, timeout: Duration) {
        let before = self.timer.patience(&self.policy);
        Arc::make_mut(&mut self.policy).initial_timeout = timeout;
        self.timer.rescale(&self.policy);
        self.acks.rescale(before, self.timer.patience(&self.policy));
        if let Progress::Continuous(continuous) = &mut self.progress {
            continuous.rescale(&self.policy);
        }
    }

    /// When something is sent without any input.
    #[inline]
    pub(crate) fn retransmission_deadline(&self) -> Option<Instant> {
        let awaiting = match &self.progress {
            Progress::Continuous(continuous) => continuous.deadline(),
            _ => None,
        };
        let timer = self.timer.deadline().filter(|_| !self.holding);
        [timer, awaiting, self.acks_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Leaves repetition to the peer from now on.
    pub(crate) fn stop_retransmitting(&mut self) {
        self.timer = Timer::Idle;
    }

    /// The peer's address was not proved: until something under keys comes from it, no more is sent there than three
    /// times what came, of which `received` bytes have come already. Whether what waits is within that.
    pub(crate) fn limit_amplification(&mut self, received: usize) -> bool {
        let flight = self.outgoing.queued();
        let budget = (AMPLIFICATION * received).checked_sub(flight);
        self.unproven = Some(Unproven {
            budget: budget.unwrap_or_default(),
            flight,
        });
        budget.is_some()
    }
}
