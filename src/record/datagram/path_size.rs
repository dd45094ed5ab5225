//! How large a datagram may be on the way to the peer: a fact about the path, which outlives handshakes.

use super::{Datagram, Progress, SMALLER_MTUS};
use crate::config::MIN_HANDSHAKE_MTU;
use crate::record::protection::{MAX_EXPANSION_12, MAX_EXPANSION_13};
use crate::wire::record_dtls::HEADER_LEN;
use crate::wire::record_dtls13::SENT_HEADER_LEN;
use crate::wire::record_tls::MAX_PLAINTEXT_LEN;

/// What is known about the size of datagrams, in bytes of UDP payload.
///
/// Two sources teach it. *The system* refuses a datagram of this end's own: that is certain, and holds for data as well.
/// *Silence* behind flights of one size may have many reasons: flights become smaller, and what they have become counts
/// for later ones only when the peer has answered; data keeps its size, because the application was told how much fits.
/// Nothing grows again by itself: the application, which may know more, can set the size anew.
pub(super) struct PathSize {
    /// The largest datagram: as it was set, or less since the system has refused one.
    limit: usize,
    /// What the peer has answered: later flights begin with it.
    proven: usize,
    /// What flights are cut to in the handshake that runs.
    tried: usize,
}

/// Links of Ethernet's size and less have MTUs that are multiples of this, nearly all of them, and IPv6 has a header that
/// is longer than IPv4's by as much: so one ladder of payloads serves both.
const STEP: usize = 20;

/// The payload of a datagram of IPv4 over an Ethernet: 1,500 bytes less 28 of headers. A rung of the ladder.
const ETHERNET: usize = 1472;

impl PathSize {
    /// Nothing but the setting is known.
    pub(super) const fn new(mtu: usize) -> Self {
        Self {
            limit: mtu,
            proven: mtu,
            tried: mtu,
        }
    }

    /// The largest datagram that leaves.
    #[inline]
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// The largest datagram of a flight.
    pub(super) const fn of_flight(&self) -> usize {
        self.tried
    }

    /// RFC 6347 §4.1.1.1: tries went unanswered, so the path may not carry datagrams of this size.
    pub(super) fn silence(&mut self) {
        let smaller = SMALLER_MTUS.into_iter().find(|&mtu| mtu < self.tried);
        self.tried = smaller.unwrap_or(self.tried);
    }

    /// The peer has answered: datagrams of this size arrive.
    pub(super) const fn answered(&mut self) {
        self.proven = self.tried;
    }

    /// The handshake has come to nothing: the peer may have been silent for any reason.
    pub(super) const fn given_up(&mut self) {
        self.tried = self.proven;
    }

    /// The system has refused a datagram of `bytes`. Whether that says anything new.
    fn refused(&mut self, bytes: usize) -> bool {
        let smaller = below(bytes).max(MIN_HANDSHAKE_MTU);
        if bytes > self.limit || smaller >= self.limit {
            return false;
        }
        self.limit = smaller;
        self.proven = self.proven.min(smaller);
        self.tried = self.tried.min(smaller);
        true
    }
}

/// The next size to be tried below `bytes`: the next rung, or an eighth less where links have no usual sizes. The system
/// says only that a size is too large, and asking it what the path carries would mean to believe what anybody on the
/// network has told it in ICMP messages (RFC 6347 §4.1.1.1).
const fn below(bytes: usize) -> usize {
    if bytes > ETHERNET + ETHERNET / 7 {
        return bytes - bytes / 8;
    }
    if bytes > ETHERNET {
        return ETHERNET;
    }
    let above = (ETHERNET - bytes) % STEP;
    bytes.saturating_sub(STEP - above)
}

impl Datagram {
    /// A datagram of `bytes` was refused by the system, as too large for the way out. What waits and is too large as well
    /// is dropped, and flights that were cut to that size are cut again and sent: they have never left, so no timer is
    /// touched. Whether less data fits into a datagram than before.
    pub(crate) fn handle_too_large(&mut self, bytes: usize) -> bool {
        if !self.size.refused(bytes) {
            return false;
        }
        let limit = self.size.limit();
        tracing::debug!(bytes, limit, "a datagram is too large for the way out");
        self.outgoing.drop_larger(limit);
        if let Some(mut flight) = self.flight.take() {
            if self.flight_complete && flight.start_over_within(limit) {
                self.transmit(&mut flight);
            }
            self.flight = Some(flight);
        }
        if let Some(mut retained) = self.retained.take() {
            if retained.flight.start_over_within(limit) {
                self.transmit(&mut retained.flight);
            }
            self.retained = Some(retained);
        }
        if let Progress::Continuous(continuous) = &mut self.progress {
            let again = continuous.start_over_within(limit);
            self.send_awaiting_again(&again);
        }
        true
    }
}

/// The most data that fits into a datagram, whatever the suite: a renegotiation may change that, and data that waits for
/// the new keys must still fit.
#[inline]
pub(super) fn max_payload(mtu: usize, is_13: bool) -> usize {
    let overhead = if is_13 {
        SENT_HEADER_LEN + MAX_EXPANSION_13
    } else {
        HEADER_LEN + MAX_EXPANSION_12
    };
    mtu.saturating_sub(overhead).min(MAX_PLAINTEXT_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes that are tried one after the other, from `size` on.
    fn ladder(size: usize) -> Vec<usize> {
        let mut size = PathSize::new(size);
        let mut tried = vec![size.limit()];
        while size.refused(size.limit()) {
            tried.push(size.limit());
        }
        tried
    }

    /// Payloads of IPv4 and IPv6 over the usual links, less one rung at most.
    #[test]
    fn the_ladder_has_the_sizes_of_usual_links() {
        let tried = ladder(65_507);
        for mtu in [1500, 1480, 1460, 1440, 1420, 1400, 1380, 1360, 1340, 1280] {
            assert!(tried.contains(&(mtu - 28)), "{mtu} over IPv4: {tried:?}");
            assert!(tried.contains(&(mtu - 48)), "{mtu} over IPv6: {tried:?}");
        }
        assert!(tried.windows(2).all(|pair| pair[1] < pair[0]));
        assert_eq!(tried.last(), Some(&MIN_HANDSHAKE_MTU));
        assert!(tried.len() < 100, "{}", tried.len());
        assert_eq!(ladder(1400)[1], 1392);
    }

    /// A size that nobody asked for says nothing.
    #[test]
    fn a_datagram_that_is_larger_than_the_limit_teaches_nothing() {
        let mut size = PathSize::new(1200);
        assert!(!size.refused(1400));
        assert_eq!(size.limit(), 1200);
        // The setting of the application may be smaller than anything that is learned.
        let mut size = PathSize::new(300);
        assert!(!size.refused(300));
        assert_eq!(size.limit(), 300);
    }

    #[test]
    fn silence_teaches_only_what_is_answered_and_says_nothing_about_data() {
        let mut size = PathSize::new(1400);
        size.silence();
        assert_eq!((size.of_flight(), size.limit()), (1200, 1400));
        size.answered();
        size.silence();
        assert_eq!(size.of_flight(), MIN_HANDSHAKE_MTU);
        size.given_up();
        assert_eq!((size.of_flight(), size.limit()), (1200, 1400));
        assert!(size.refused(1400));
        assert_eq!((size.of_flight(), size.limit()), (1200, 1392));
    }
}
