//! We end openconnect's TLS, and begin another one to ocserv: whenever openconnect re-handshakes,
//! so do we.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::{Failure, Outcome};

use super::ocserv::{Network, Ocserv};
use super::openconnect::{Openconnect, Tunnel};
use super::packet::Cutter;
use super::{REKEYINGS, told};
use crate::cell::{Surroundings, with_evidence};
use crate::ours::{End, Handshake, Peer, Settings, Transport, Version};

pub(super) fn rekeys(it: &Surroundings<'_>) -> Outcome<String> {
    let network = Network::C;
    let ocserv = Ocserv::start(it, Version::V1_2, network)?;
    let mut settings = Settings::new(it.pki, Version::V1_2);
    settings.renegotiation = true;
    let front = End::server(Transport::Tls, &settings)?;
    let tunnel = Tunnel::new(it)?;
    let openconnect = Openconnect::start(it, &front, &tunnel, &[])?;
    let relay = Relay {
        front: &front,
        ocserv: ([127, 0, 0, 1], ocserv.port).into(),
        settings: settings.mutual(),
        renewed: AtomicBool::new(false),
        stop: AtomicBool::new(false),
    };
    let outcome = thread::scope(|scope| {
        let passing = scope.spawn(|| relay.run());
        let outcome = (|| {
            let own = tunnel.address(it.deadline)?;
            tunnel.ping(own, network.gateway(), it.deadline)?;
            while !relay.renewed.load(Ordering::Relaxed) && !passing.is_finished() {
                tunnel.ping(own, network.gateway(), it.deadline)?;
            }
            tunnel.ping(own, network.gateway(), it.deadline)
        })();
        relay.stop.store(true, Ordering::Relaxed);
        let passed = passing.join().expect("it does not panic");
        outcome.and(passed)
    });
    with_evidence(outcome, &[&front], &[&openconnect.process, &ocserv.process])
}

/// What passes on what comes from either side, each connection by one of its own.
struct Relay<'a> {
    front: &'a End,
    ocserv: std::net::SocketAddr,
    settings: Settings<'a>,
    /// Both sides have new keys as often as the test wants.
    renewed: AtomicBool,
    stop: AtomicBool,
}

impl Relay<'_> {
    fn run(&self) -> Outcome<String> {
        let mut backs = BTreeMap::new();
        let mut seen = Vec::new();
        let mut remark = Err(Failure::new("nobody rekeys"));
        while !self.stop.load(Ordering::Relaxed) {
            let brief = || Deadline::after(MOMENT);
            if let Ok((peer, bytes)) = self.front.receive(brief()) {
                let back = match backs.entry(peer) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => {
                        let end = End::client(Transport::Tls, &self.settings, self.ocserv)?;
                        new.insert(Back::new(end))
                    }
                };
                for piece in back.to_server.pieces(&bytes) {
                    back.end.send(0, &piece);
                }
            }
            for (peer, back) in &mut backs {
                while let Ok((_, bytes)) = back.end.receive(brief()) {
                    for piece in back.to_client.pieces(&bytes) {
                        self.front.send(*peer, &piece);
                    }
                }
            }
            if let Ok(handshake) = self.front.handshake(seen.len(), brief()) {
                if handshake.renegotiation
                    && let Some(back) = backs.get(&handshake.peer)
                {
                    back.end.renegotiate(0);
                }
                seen.push(handshake);
            }
            if let Some(words) = renewed(&seen, &backs) {
                remark = words;
                self.renewed.store(true, Ordering::Relaxed);
            }
        }
        remark
    }
}

/// A connection to ocserv.
struct Back {
    end: End,
    to_server: Cutter,
    to_client: Cutter,
}

impl Back {
    fn new(end: End) -> Self {
        Self {
            end,
            to_server: Cutter::default(),
            to_client: Cutter::default(),
        }
    }
}

/// What to say of both connections when they have new keys often enough.
fn renewed(seen: &[Handshake], backs: &BTreeMap<Peer, Back>) -> Option<Outcome<String>> {
    let peer = seen.last()?.peer;
    let front: Vec<_> = seen.iter().filter(|it| it.peer == peer).cloned().collect();
    let back = backs.get(&peer)?;
    let now = Deadline::after(Duration::ZERO);
    let back: Vec<_> = (0..=REKEYINGS)
        .map_while(|number| back.end.handshake(number, now).ok())
        .collect();
    let enough = front.len() > REKEYINGS && back.len() > REKEYINGS;
    enough.then(|| Ok(format!("{}; {}", told(&front)?, told(&back)?)))
}

/// How long to wait for one side before looking at the other.
const MOMENT: Duration = Duration::from_millis(2);
