//! How large a datagram may be on the way to the peer: a fact about the path, which outlives
//! handshakes.

use crate::config::MIN_HANDSHAKE_MTU;

/// What is known about the size of datagrams, in bytes of UDP payload.
///
/// It is learned from two sources. *The system* refuses a datagram of this end's own: that is
/// certain, and holds for data as well. *Silence* after flights of one size may have many reasons:
/// flights become smaller, and later ones keep the smaller size only if the peer has answered; data
/// keeps its size, because the application was told how much fits. Nothing grows again by itself:
/// the application, which may know more, can set the size anew.
pub(super) struct PathSize {
    /// The largest datagram: as it was set, or less since the system has refused one.
    limit: u16,
    /// What the peer has answered: later flights begin with it.
    proven: u16,
    /// What flights are cut to in the handshake that runs.
    tried: u16,
}

/// The steps to which handshake flights shrink when nobody answers: IPv6's minimum less tunnels,
/// and IPv4's minimum.
const SMALLER_MTUS: [usize; 2] = [1200, MIN_HANDSHAKE_MTU];

/// Nearly all links of Ethernet's size and less have MTUs that are multiples of this, and the
/// header of IPv6 is longer than that of IPv4 by as much: so one ladder of sizes serves both.
const STEP: usize = 20;

/// The payload of a datagram of IPv4 over an Ethernet: 1,500 bytes less 28 of headers. A rung of
/// the ladder.
const ETHERNET: usize = 1472;

impl PathSize {
    /// Nothing but the setting is known.
    pub(super) const fn new(mtu: usize) -> Self {
        let mtu = narrow(mtu);
        Self {
            limit: mtu,
            proven: mtu,
            tried: mtu,
        }
    }

    /// The largest datagram that leaves.
    #[inline]
    pub(super) const fn limit(&self) -> usize {
        self.limit as usize
    }

    /// The largest datagram of a flight.
    pub(super) const fn of_flight(&self) -> usize {
        self.tried as usize
    }

    /// RFC 6347 §4.1.1.1: tries went unanswered, so the path may not carry datagrams of this size.
    pub(super) fn silence(&mut self) {
        let smaller = SMALLER_MTUS.map(narrow).into_iter();
        let mut smaller = smaller.filter(|&mtu| mtu < self.tried);
        self.tried = smaller.next().unwrap_or(self.tried);
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
    pub(super) fn refused(&mut self, bytes: usize) -> bool {
        let smaller = below(bytes).max(MIN_HANDSHAKE_MTU);
        if bytes > self.limit() || smaller >= self.limit() {
            return false;
        }
        let smaller = narrow(smaller);
        self.limit = smaller;
        self.proven = self.proven.min(smaller);
        self.tried = self.tried.min(smaller);
        true
    }
}

/// A payload of UDP, which has fewer than 2^16 bytes.
const fn narrow(bytes: usize) -> u16 {
    if bytes > u16::MAX as usize {
        u16::MAX
    } else {
        bytes as u16
    }
}

/// The next size to be tried below `bytes`: the next rung, or an eighth less where links have no
/// usual sizes. The system says only that a size is too large; to ask it what the path carries
/// would mean believing what anybody on the network has told it in ICMP messages (RFC 6347
/// §4.1.1.1).
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
