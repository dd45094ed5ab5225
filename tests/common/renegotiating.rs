//! Ends that let each other renegotiate, connected, with clocks and verifiers that tests turn.

use super::harness::Harness;
use crate::common::configs::Ends;
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, FINALE, SERVER_FLIGHT, scripted_client, scripted_server,
};
use crate::common::transport::{BOTH, SIDES, Transport};
use sealgram::Side;
use sealgram::config::{ClientRenegotiation, Clock, RekeyPolicy};
use sealgram::error::CertificateError;
use sealgram::identity::{Identity, VerifyClient, WebPkiClientVerifier};
use sealgram::pki_types::UnixTime;
use sealgram::sim::scripted::Line;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

pub fn allowing(policy: RekeyPolicy) -> RekeyPolicy {
    policy.client_renegotiation(ClientRenegotiation::Allow {
        min_interval: Duration::ZERO,
    })
}

/// Our end, connected to a scripted peer; its server lets clients renegotiate.
pub fn connected_with(
    side: Side,
    transport: Transport,
    mut ends: Ends,
    policy: RekeyPolicy,
) -> Harness {
    let peer = match side {
        Side::Client => scripted_server(&ends),
        Side::Server => scripted_client(),
    };
    ends.client = ends.client.rekey(policy.clone());
    ends.server = ends.server.rekey(allowing(policy));
    let mut harness = Harness::of(side, transport, &ends.build(), peer);
    harness.connect(side);
    harness
}

pub fn connected(side: Side, transport: Transport) -> Harness {
    connected_with(side, transport, Ends::new(), RekeyPolicy::default())
}

/// Every role, every transport, every way to begin.
pub fn everywhere(mut test: impl FnMut(Side, Transport, bool)) {
    for transport in BOTH {
        for side in SIDES {
            for called in [true, false] {
                test(side, transport, called);
            }
        }
    }
}

/// How far an honest peer goes with a renegotiation: each of the lines, played one by one.
pub fn flight(side: Side) -> Vec<Line> {
    match side {
        Side::Client => [&SERVER_FLIGHT[..], &FINALE].concat(),
        Side::Server => CLIENT_FLIGHT.to_vec(),
    }
}

/// A clock that a test sets, in seconds of Unix time.
#[derive(Debug)]
pub struct SetClock(AtomicU64);

impl SetClock {
    /// A clock that stands still in the year 2026.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_790_000_000)))
    }

    /// Moves the clock, forwards or back.
    pub fn shift(&self, seconds: i64) {
        let now = self.0.load(Ordering::Relaxed);
        self.0
            .store(now.checked_add_signed(seconds).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn unix_now(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed)))
    }
}

/// A verifier of clients whose mind a test changes.
#[derive(Debug)]
pub struct Moody {
    inner: WebPkiClientVerifier,
    pub refuses: AtomicBool,
    pub asked: AtomicU32,
}

impl Moody {
    pub fn new(ends: &Ends) -> Arc<Self> {
        Arc::new(Self {
            inner: WebPkiClientVerifier::new(ends.pki.roots()).unwrap(),
            refuses: AtomicBool::new(false),
            asked: AtomicU32::new(0),
        })
    }
}

impl VerifyClient for Moody {
    fn verify(&self, claimed: &Identity, now: UnixTime) -> Result<(), CertificateError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.refuses.load(Ordering::Relaxed) {
            return Err(CertificateError::Expired);
        }
        self.inner.verify(claimed, now)
    }
}
