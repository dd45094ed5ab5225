//! dimpl: DTLS 1.2 and 1.3 without sockets. It checks signatures of the key exchange, but no
//! chain. Its default cryptography is AWS-LC; with `dimpl_ring` it runs on the library that
//! sealgram has.

use super::dimpl_ring;
use super::sealgram::Version;
use crate::measure::now;
use crate::pki::Pki;
use crate::raw::{DATAGRAM, patient};
use crate::ready::Ready;
use crate::rows::{pingpong, server};
use crate::sockets::{self, address};
use crate::transfer::{Pace, Rx, Tx};
use dimpl::crypto::{CryptoProvider, Dtls12CipherSuite, Dtls13CipherSuite, aws_lc_rs};
use dimpl::{Config, Dtls, DtlsCertificate, NamedGroup, Output};
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

/// Which library does the cryptography.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Library {
    /// AWS-LC, the default.
    AwsLc,
    /// `ring`, through a provider of this bench.
    Ring,
}

impl Library {
    fn provider(self) -> CryptoProvider {
        match self {
            Self::AwsLc => aws_lc_rs::default_provider(),
            Self::Ring => dimpl_ring::provider(),
        }
    }
}

/// What an association is made of.
#[derive(Clone)]
pub struct Maker {
    config: Arc<Config>,
    certificate: DtlsCertificate,
    version: Version,
}

impl Maker {
    /// One version, AES-128-GCM, one group.
    pub fn new(
        pki: &Pki,
        version: Version,
        group: NamedGroup,
        library: Library,
        cookie: bool,
    ) -> Self {
        let config = Config::builder()
            .mtu(1400)
            .require_client_certificate(false)
            .use_server_cookie(cookie)
            .dtls12_cipher_suites(&[Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256])
            .dtls13_cipher_suites(&[Dtls13CipherSuite::AES_128_GCM_SHA256])
            .kx_groups(&[group])
            .with_crypto_provider(library.provider())
            .build();
        Self {
            config: Arc::new(config.expect("consistent")),
            certificate: DtlsCertificate {
                certificate: pki.leaf.clone(),
                private_key: pki.key.clone(),
            },
            version,
        }
    }

    /// One end, before its handshake.
    pub fn end(&self, client: bool, now: Instant) -> End {
        let (config, certificate) = (self.config.clone(), self.certificate.clone());
        let mut dtls = match self.version {
            Version::V12 => Dtls::new_12(config, certificate, now),
            Version::V13 => Dtls::new_13(config, certificate, now),
        };
        dtls.set_active(client);
        // It wants the time before anything else.
        dtls.handle_timeout(now).expect("nothing is due");
        End {
            dtls,
            connected: false,
        }
    }

    /// Both ends, after a handshake in memory.
    pub fn pair(&self) -> (End, End) {
        let now = now();
        let (mut client, mut server) = (self.end(true, now), self.end(false, now));
        // Once more than it takes, for what follows a handshake.
        let mut after = 0;
        while after < 3 {
            for datagram in client.outgoing() {
                server.take(&datagram);
            }
            for datagram in server.outgoing() {
                client.take(&datagram);
            }
            after += u32::from(client.connected && server.connected);
        }
        (client, server)
    }
}

/// One end of an association.
pub struct End {
    dtls: Dtls,
    /// Whether its handshake is done.
    pub connected: bool,
}

/// The buffer that output is copied to.
const OUTPUT: usize = 2048;

impl End {
    /// Takes a datagram.
    pub fn take(&mut self, datagram: &[u8]) {
        self.dtls.handle_packet(datagram).expect("nobody forges");
    }

    /// Prepares data to be sent.
    pub fn send(&mut self, data: &[u8]) {
        self.dtls
            .send_application_data(data)
            .expect("there is room");
    }

    /// Hands out what there is: datagrams to be sent, and data.
    pub fn drive(&mut self, mut send: impl FnMut(&[u8]), mut data: impl FnMut(&[u8])) {
        let mut buffer = [0; OUTPUT];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(datagram) => send(datagram),
                Output::ApplicationData(received) => data(received),
                Output::Connected => self.connected = true,
                // Nothing is lost here, so no timer matters.
                Output::Timeout(_) => return,
                _ => {}
            }
        }
    }

    /// The datagrams to be sent.
    pub fn outgoing(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        self.drive(|datagram| all.push(datagram.to_vec()), |_| {});
        all
    }
}

struct Sender {
    end: End,
    socket: UdpSocket,
    payload: Vec<u8>,
}

impl Tx for Sender {
    fn send(&mut self, pace: &mut Pace<'_>) -> u64 {
        let (mut count, socket) = (0, &self.socket);
        while pace.goes_on(count) {
            self.end.send(&self.payload);
            self.end.drive(
                |datagram| {
                    socket.send(datagram).expect("loopback takes it");
                },
                |_| {},
            );
            count += 1;
        }
        count
    }
}

struct Receiver {
    end: End,
    socket: UdpSocket,
}

impl Rx for Receiver {
    fn receive(&mut self) -> u64 {
        let mut datagram = [0; DATAGRAM];
        let Some(length) = patient(self.socket.recv(&mut datagram)) else {
            return 0;
        };
        self.end.take(&datagram[..length]);
        let mut count = 0;
        self.end.drive(|_| {}, |_| count += 1);
        count
    }
}

/// For the row of bulk.
pub fn bulk(pki: &Pki, version: Version, bytes: usize) -> (Box<dyn Tx>, Box<dyn Rx>) {
    let maker = Maker::new(pki, version, NamedGroup::X25519, Library::AwsLc, true);
    let (client, server) = maker.pair();
    let (one, other) = sockets::pair();
    let sender = Sender {
        end: client,
        socket: one,
        payload: vec![3; bytes],
    };
    let receiver = Receiver {
        end: server,
        socket: other,
    };
    (Box::new(sender), Box::new(receiver))
}

struct Clients {
    ready: Ready,
    peers: Vec<(UdpSocket, End)>,
}

struct Server {
    ready: Ready,
    socket: UdpSocket,
    peers: HashMap<SocketAddr, End>,
}

impl pingpong::Client for Clients {
    fn ask(&mut self, peer: usize) {
        let (socket, end) = &mut self.peers[peer];
        end.send(&[3; pingpong::BYTES]);
        end.drive(
            |datagram| {
                socket.send(datagram).expect("loopback takes it");
            },
            |_| {},
        );
    }

    fn hear(&mut self) -> u32 {
        let mut count = 0;
        for place in self.ready.wait() {
            let (socket, end) = &mut self.peers[place];
            let mut datagram = [0; DATAGRAM];
            let length = patient(socket.recv(&mut datagram)).expect("it is ready");
            end.take(&datagram[..length]);
            end.drive(
                |_| {},
                |data| {
                    assert_eq!(data.len(), pingpong::BYTES);
                    count += 1;
                },
            );
        }
        count
    }
}

impl pingpong::Server for Server {
    fn answer(&mut self) -> u32 {
        let (mut count, socket) = (0, &self.socket);
        for _ in self.ready.wait() {
            let mut datagram = [0; DATAGRAM];
            let received = patient(socket.recv_from(&mut datagram));
            let (length, from) = received.expect("it is ready");
            let end = self.peers.get_mut(&from).expect("it is known");
            end.take(&datagram[..length]);
            let mut answer = [0; pingpong::BYTES];
            end.drive(|_| {}, |data| answer.copy_from_slice(data));
            end.send(&answer);
            end.drive(
                |datagram| {
                    socket.send_to(datagram, from).expect("loopback takes it");
                },
                |_| {},
            );
            count += 1;
        }
        count
    }
}

/// For the row of ping-pong: a connected socket for each client, one for the server.
pub fn pingpong(
    pki: &Pki,
    version: Version,
    peers: usize,
) -> (Box<dyn pingpong::Client>, Box<dyn pingpong::Server>) {
    let maker = Maker::new(pki, version, NamedGroup::X25519, Library::AwsLc, true);
    let socket = sockets::bound();
    let (mut clients, mut servers) = (Vec::new(), HashMap::new());
    for _ in 0..peers {
        let client = sockets::connected(address(&socket));
        let (one, other) = maker.pair();
        servers.insert(address(&client), other);
        clients.push((client, one));
    }
    let clients = Clients {
        ready: Ready::of(clients.iter().map(|peer| &peer.0)),
        peers: clients,
    };
    let server = Server {
        ready: Ready::of([&socket]),
        socket,
        peers: servers,
    };
    (Box::new(clients), Box::new(server))
}

/// For the row of servers: one socket, and an association for each address, from the first hello
/// on.
pub struct Listener {
    maker: Maker,
    ready: Ready,
    socket: UdpSocket,
    peers: HashMap<SocketAddr, End>,
}

impl Listener {
    /// A server that demands cookies.
    pub fn new(pki: &Pki, version: Version, x25519: bool, library: Library) -> Self {
        let group = if x25519 {
            NamedGroup::X25519
        } else {
            NamedGroup::Secp256r1
        };
        let socket = sockets::bound();
        socket.set_nonblocking(true).expect("a new socket");
        Self {
            maker: Maker::new(pki, version, group, library, true),
            ready: Ready::of([&socket]),
            socket,
            peers: HashMap::new(),
        }
    }
}

impl server::Listener for Listener {
    fn address(&self) -> SocketAddr {
        address(&self.socket)
    }

    fn serve(&mut self) {
        if self.ready.wait().next().is_none() {
            return;
        }
        let mut datagram = [0; DATAGRAM];
        let socket = &self.socket;
        while let Some((length, peer)) = patient(socket.recv_from(&mut datagram)) {
            let now = now();
            let maker = &self.maker;
            let end = self.peers.entry(peer);
            let end = end.or_insert_with(|| maker.end(false, now));
            end.take(&datagram[..length]);
            end.drive(
                |datagram| {
                    socket.send_to(datagram, peer).expect("loopback takes it");
                },
                |_| {},
            );
        }
    }

    fn forget(&mut self) {
        self.peers.clear();
    }
}
