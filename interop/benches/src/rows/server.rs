//! What a full handshake costs a server, sockets included: one socket, cookies demanded, 1,000
//! clients one after the other, 32 at a time, whose associations all stay; processor time of the
//! server's thread on core 1. They are forgotten between two rounds, unmeasured.
//!
//! The clients are the same for every server, so that only the server differs: sealgram, on core 0,
//! a socket each; they check the chain. Every server has an ECDSA P-256 certificate, AES-128-GCM,
//! one group, no sessions and no tickets, and demands a cookie.
//!
//! sealgram's endpoint answers a hello without cookie and keeps nothing. dimpl and OpenSSL keep an
//! association from the first hello on, found by the client's address; OpenSSL's
//! `DTLSv1_listen` would make two of them. dimpl stands on AWS-LC, its default, and on `ring`:
//! only the latter is a comparison with the same cryptography.

use crate::measure::{Board, Effort, Item, RECEIVER, SENDER, pin, thread_cpu};
use crate::output::Plot;
use crate::pki::Pki;
use crate::report::{Bar, Limit, Section};
use crate::sockets;
use crate::stacks::sealgram::{Configs, Station, Version, flush, server_name, turn};
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::net::UdpEndpoint;
use sealgram::{AlertDescription, ClientConfig, NamedGroup};
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How many handshakes a round has. The associations stay until its end: a server that has to touch
/// fresh memory for each of them pays for it here.
const HANDSHAKES: u32 = 1000;

/// How many of them are under way at once.
const AT_ONCE: usize = 32;

const METRICS: [&str; 1] = ["server µs"];

const GROUPS: [(&str, NamedGroup); 2] = [
    ("X25519", NamedGroup::X25519),
    ("P-256", NamedGroup::SECP256R1),
];

/// A server on one socket.
pub trait Listener {
    /// Where it is.
    fn address(&self) -> SocketAddr;

    /// Waits for datagrams, but no longer than [`sockets::PATIENCE`], and does what they ask for.
    fn serve(&mut self);

    /// Forgets everybody, unmeasured.
    fn forget(&mut self);
}

/// The row.
pub fn sections(effort: Effort, pki: &Pki) -> Vec<Section> {
    let board = board(effort, pki);
    let mut bars = Vec::new();
    for (group, _) in GROUPS {
        for version in Version::ALL {
            let version = version.name();
            let ours = format!("sealgram {version}, {group}");
            let mut bar = |of: &str, other: String, limit| {
                if board.has(&other) {
                    let name = format!("server CPU a handshake, DTLS {version}, {group}, {of}");
                    let compared = (&*ours, &*other, METRICS[0]);
                    bars.push(Bar::ratio(name, &board, compared, limit));
                }
            };
            let dimpl = |library| format!("dimpl {version} on {library}, {group}");
            bar("× dimpl on ring", dimpl("ring"), Limit::AtMost(0.95));
            bar("× dimpl on AWS-LC", dimpl("AWS-LC"), Limit::None);
            let openssl = format!("OpenSSL 1.2, {group}");
            bar("× OpenSSL 1.2", openssl, Limit::AtMost(0.35));
        }
    }
    vec![Section {
        name: "server",
        title: "The server's CPU for a full handshake, UDP and cookie included".into(),
        board,
        bars,
        notes: vec![
            "The same clients for every server, 1,000 of them, 32 at once; all associations stay. \
             All demand a cookie; dimpl and OpenSSL keep an association from the first hello on.",
            "dimpl on ring is the same cryptography as sealgram's; X25519 of AWS-LC takes half of \
             the time of ring's.",
        ],
        plot: Some(Plot {
            file: "server",
            metric: METRICS[0],
            better: "less",
            items: [
                "sealgram 1.2, X25519",
                "sealgram 1.3, X25519",
                "dimpl 1.2 on ring, X25519",
                "dimpl 1.3 on ring, X25519",
                "dimpl 1.2 on AWS-LC, X25519",
                "dimpl 1.3 on AWS-LC, X25519",
                "OpenSSL 1.2, X25519",
            ]
            .map(String::from)
            .into(),
        }),
    }]
}

fn board(effort: Effort, pki: &Pki) -> Board {
    let handshakes = effort.calls(HANDSHAKES) as usize;
    let mut items: Vec<(String, Arc<ClientConfig>, Box<dyn Listener>)> = Vec::new();
    for (name, group) in GROUPS {
        for version in Version::ALL {
            let configs = Configs::new(pki, version, group);
            let client = configs.client.clone();
            let server = Ours::new(&configs);
            let named = format!("sealgram {}, {name}", version.name());
            items.push((named, client.clone(), Box::new(server)));
            #[cfg(feature = "peers")]
            for (stack, listener) in foreign(pki, version, group) {
                items.push((format!("{stack}, {name}"), client.clone(), listener));
            }
        }
    }
    let items = items.into_iter().map(|(name, client, mut listener)| {
        Item::new(name, move || {
            let spent = serve(&mut *listener, &client, handshakes);
            listener.forget();
            vec![spent.as_secs_f64() * 1e6 / handshakes as f64]
        })
    });
    Board::measure(effort.long(), &METRICS, items.collect())
}

/// The other servers, if they are built.
#[cfg(feature = "peers")]
fn foreign(pki: &Pki, version: Version, group: NamedGroup) -> Vec<(String, Box<dyn Listener>)> {
    use crate::stacks::{dimpl, openssl};
    let x25519 = group == NamedGroup::X25519;
    let mut listeners: Vec<(String, Box<dyn Listener>)> = Vec::new();
    for (library, name) in [
        (dimpl::Library::AwsLc, "AWS-LC"),
        (dimpl::Library::Ring, "ring"),
    ] {
        let listener = dimpl::Listener::new(pki, version, x25519, library);
        listeners.push((
            format!("dimpl {} on {name}", version.name()),
            Box::new(listener),
        ));
    }
    if version == Version::V12 {
        let listener = openssl::Listener::new(pki, x25519);
        listeners.push(("OpenSSL 1.2".into(), Box::new(listener)));
    }
    listeners
}

/// Has the clients connect; returns the processor time of the server.
fn serve(listener: &mut dyn Listener, client: &Arc<ClientConfig>, handshakes: usize) -> Duration {
    let (done, address) = (AtomicBool::new(false), listener.address());
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(SENDER);
            // Also if this thread panics, because the server waits for it.
            let _done = Done(&done);
            let mut clients = Clients::new(client.clone(), address);
            while clients.connected < handshakes {
                clients.turn(handshakes);
            }
        });
        pin(RECEIVER);
        let cpu = thread_cpu();
        while !done.load(Ordering::Acquire) {
            listener.serve();
        }
        thread_cpu() - cpu
    })
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Clients of whichever server.
struct Clients {
    config: Arc<ClientConfig>,
    address: SocketAddr,
    station: Station,
    /// Who is on the way, by place.
    ids: Vec<Option<AssociationId>>,
    begun: usize,
    connected: usize,
    /// The sockets of those that are done, so that nobody gets the address of an association that
    /// the server still has.
    kept: Vec<OwnedFd>,
}

impl Clients {
    fn new(config: Arc<ClientConfig>, address: SocketAddr) -> Self {
        Self {
            config,
            address,
            station: Station::new(Vec::new()),
            ids: Vec::new(),
            begun: 0,
            connected: 0,
            kept: Vec::new(),
        }
    }

    /// A client on a new socket, in a place that is free.
    fn begin(&mut self) {
        let client = UdpEndpoint::connected_to(self.address, EndpointPolicy::default());
        let mut client = client.expect("a new socket");
        let id = client.connect(self.config.clone(), server_name(), self.address);
        let id = Some(id.expect("the first one"));
        flush(&mut client);
        let free = self.ids.iter().position(Option::is_none);
        match free {
            Some(place) => {
                self.station.replace(place, client);
                self.ids[place] = id;
            }
            None => {
                self.station.add(client);
                self.ids.push(id);
            }
        }
        self.begun += 1;
    }

    fn turn(&mut self, handshakes: usize) {
        while self.begun < handshakes && self.begun - self.connected < AT_ONCE {
            self.begin();
        }
        self.station.wait(sockets::PATIENCE);
        for place in self.station.ready() {
            turn(&mut self.station.endpoints[place]);
            self.station.drain(place, |_, _| {});
            let Some(id) = self.ids[place] else { continue };
            let connection = self.station.endpoints[place].endpoint().connection(id);
            if !connection.expect("nothing ends it").is_handshaking() {
                self.ids[place] = None;
                self.connected += 1;
                let socket = self.station.endpoints[place].as_fd().try_clone_to_owned();
                self.kept.push(socket.expect("there may be so many"));
            }
        }
    }
}

struct Ours(Station);

impl Ours {
    fn new(configs: &Configs) -> Self {
        let serve = Some(configs.server.clone());
        let policy = EndpointPolicy::default();
        let endpoint = UdpEndpoint::from_socket(sockets::bound(), policy, serve);
        Self(Station::new(vec![endpoint.expect("a new socket")]))
    }
}

impl Listener for Ours {
    fn address(&self) -> SocketAddr {
        self.0.endpoints[0].local_addr().expect("it is bound")
    }

    fn serve(&mut self) {
        self.0.wait(sockets::PATIENCE);
        turn(&mut self.0.endpoints[0]);
        self.0.drain(0, |_, _| {});
    }

    fn forget(&mut self) {
        let endpoint = &mut self.0.endpoints[0];
        let all: Vec<_> = endpoint.endpoint().associations().collect();
        for id in all {
            if let Some(mut association) = endpoint.association(id) {
                association.abort(AlertDescription::INTERNAL_ERROR);
            }
        }
        turn(endpoint);
        self.0.drain(0, |_, _| {});
        assert!(self.0.endpoints[0].endpoint().is_empty());
    }
}
