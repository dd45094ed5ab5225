//! A harness for attacks: one end of ours, opposite a scripted peer, and what can be seen of both.

use crate::common::configs::{Ends, SERVER};
use bytes::BytesMut;
use sealgram::endpoint::{AssociationId, Endpoint, EndpointPolicy};
use sealgram::pki_types::ServerName;
use sealgram::record::{Discard, Received};
use sealgram::sim::scripted::{Heard, Line, ScriptedPeer};
use sealgram::{ClientConfig, DtlsConnection, Error, Event, Failure, Path, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The records of an honest server's first flight.
pub const SERVER_FLIGHT: [Line; 4] = [
    Line::ServerHello,
    Line::Certificate,
    Line::ServerKeyExchange,
    Line::ServerHelloDone,
];

/// The same with a request for a certificate.
pub const ASKING_SERVER_FLIGHT: [Line; 5] = [
    Line::ServerHello,
    Line::Certificate,
    Line::ServerKeyExchange,
    Line::CertificateRequest,
    Line::ServerHelloDone,
];

/// The records of an honest client's last flight.
pub const CLIENT_FLIGHT: [Line; 3] = [
    Line::ClientKeyExchange,
    Line::ChangeCipherSpec,
    Line::Finished,
];

/// The same with a certificate.
pub const PROVING_CLIENT_FLIGHT: [Line; 5] = [
    Line::Certificate,
    Line::ClientKeyExchange,
    Line::CertificateVerify,
    Line::ChangeCipherSpec,
    Line::Finished,
];

/// The records that end a handshake.
pub const FINALE: [Line; 2] = [Line::ChangeCipherSpec, Line::Finished];

/// Extension numbers that scripts touch.
pub const SUPPORTED_GROUPS: u16 = 10;
pub const EXTENDED_MASTER_SECRET: u16 = 23;
pub const RENEGOTIATION_INFO: u16 = 0xff01;

/// Levels of alerts.
pub const WARNING: u8 = 1;
pub const FATAL: u8 = 2;

/// One endpoint of ours opposite a scripted peer, without any network between them.
pub struct DatagramHarness {
    pub endpoint: Endpoint,
    pub peer: ScriptedPeer,
    pub now: Instant,
    /// Where the scripted peer is.
    pub address: SocketAddr,
    pub events: Vec<(AssociationId, Event)>,
    /// Every datagram that our end sent.
    pub sent: Vec<Vec<u8>>,
}

impl DatagramHarness {
    /// Our client, which has said its first hello, opposite a scripted server.
    pub fn client(config: Arc<ClientConfig>, peer: ScriptedPeer) -> Self {
        Self::client_of(config, crate::common::configs::server_name(), peer)
    }

    /// The same with a server of this name.
    pub fn client_of(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        peer: ScriptedPeer,
    ) -> Self {
        let endpoint = Endpoint::new(
            crate::common::configs::start(),
            EndpointPolicy::default(),
            None,
        )
        .unwrap();
        let mut harness = Self::new(endpoint, peer, ([192, 0, 2, 2], 4433).into());
        harness.connect_to(config, name);
        harness
    }

    /// Our server, opposite a scripted client that has said nothing yet.
    pub fn server(config: Arc<ServerConfig>, peer: ScriptedPeer) -> Self {
        Self::server_with(config, EndpointPolicy::default(), peer)
    }

    pub fn server_with(
        config: Arc<ServerConfig>,
        policy: EndpointPolicy,
        peer: ScriptedPeer,
    ) -> Self {
        let endpoint =
            Endpoint::new(crate::common::configs::start(), policy, Some(config)).unwrap();
        Self::new(endpoint, peer, ([192, 0, 2, 1], 40_000).into())
    }

    fn new(endpoint: Endpoint, peer: ScriptedPeer, address: SocketAddr) -> Self {
        Self {
            endpoint,
            peer,
            now: crate::common::configs::start(),
            address,
            events: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Makes our end begin to connect.
    pub fn connect(&mut self, config: Arc<ClientConfig>) {
        self.connect_to(config, crate::common::configs::server_name());
    }

    /// Makes our end begin to connect with a server of this name.
    pub fn connect_to(&mut self, config: Arc<ClientConfig>, name: ServerName<'static>) {
        let path = Path::new(self.address);
        self.endpoint.connect(self.now, config, name, path).unwrap();
        self.listen();
    }

    /// Gives our end a datagram from the peer's address; the peer listens to the answers.
    pub fn deliver(&mut self, datagram: &[u8]) {
        let path = Path::new(self.address);
        self.endpoint
            .handle_datagram(self.now, path, BytesMut::from(datagram));
        self.listen();
    }

    /// Lets the peer hear what our end has to send, and collects events.
    pub fn listen(&mut self) {
        let mut out = Vec::new();
        while let Some(transmit) = {
            out.clear();
            self.endpoint.poll_transmit(self.now, 64, &mut out)
        } {
            let size = transmit.segment_size.unwrap_or(transmit.len).max(1);
            for datagram in out[..transmit.len].chunks(size) {
                if transmit.path.remote() == self.address {
                    self.peer.hear(datagram);
                }
                self.sent.push(datagram.to_vec());
            }
        }
        self.events
            .extend(std::iter::from_fn(|| self.endpoint.poll_event()));
    }

    /// The peer says these lines, each in a datagram of its own.
    pub fn play(&mut self, lines: &[Line]) {
        self.play_altered(lines, |_, _| {});
    }

    /// The same, with the bodies altered first.
    pub fn play_altered(&mut self, lines: &[Line], mut alter: impl FnMut(Line, &mut Vec<u8>)) {
        // One by one: what the peer says next may depend on what it hears in between.
        for &line in lines {
            for record in self.peer.speak_altered(&[line], &mut alter) {
                self.deliver(&record);
            }
        }
    }

    /// A cookie exchange: our client or the scripted client ends it with its second hello.
    pub fn exchange_cookies(&mut self) {
        if self.is_client() {
            self.play(&[Line::HelloVerifyRequest]);
        } else {
            self.play(&[Line::ClientHello, Line::ClientHello]);
        }
    }

    /// The peer behaves until both ends have their keys.
    pub fn complete(&mut self) {
        self.exchange_cookies();
        if self.is_client() {
            self.play(&SERVER_FLIGHT);
            self.play(&FINALE);
        } else {
            self.play(&CLIENT_FLIGHT);
        }
        assert!(self.is_complete(), "{:?} {:?}", self.events, self.peer);
    }

    fn is_client(&self) -> bool {
        self.connection()
            .is_some_and(|connection| connection.side() == sealgram::Side::Client)
    }

    /// Lets time pass, with everything that is due in it; the peer listens.
    pub fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(deadline) = self.endpoint.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(deadline);
            self.endpoint.handle_timeout(self.now);
            let next = self.endpoint.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a busy loop (I4)");
            self.listen();
        }
        self.now = end;
    }

    /// The association with the peer's address, else any other.
    pub fn connection(&self) -> Option<&DtlsConnection> {
        self.endpoint.connection(self.id()?)
    }

    pub fn id(&self) -> Option<AssociationId> {
        let remote = |id| self.endpoint.connection(id).map(|end| end.path().remote());
        let mut ids = self.endpoint.associations();
        ids.find(|&id| remote(id) == Some(self.address))
            .or_else(|| self.endpoint.associations().next())
    }

    /// The next datagram that our end has received in this association, which exists.
    pub fn recv(&mut self, id: AssociationId) -> Option<Received> {
        let mut association = self.endpoint.association(self.now, id).unwrap();
        association.recv()
    }

    /// Whether our end has told the application that the handshake is done.
    pub fn is_complete(&self) -> bool {
        self.events.iter().any(|(_, event)| is_completion(event))
    }

    /// Why our end gave up.
    pub fn failure(&self) -> Option<Failure> {
        failure(&self.events)
    }

    pub fn error(&self) -> Option<Error> {
        self.failure().map(|failure| failure.error)
    }

    /// How much our end has discarded for this cause.
    pub fn discarded(&self, cause: Discard) -> u64 {
        self.connection()
            .map_or(0, |connection| connection.stats().discarded(cause))
    }

    /// Passes `count` messages each way and sees that each arrives.
    pub fn exchange(&mut self, count: u32) -> bool {
        let Some(id) = self.id() else { return false };
        (0..count).all(|number| {
            let question = [b"question".as_slice(), &number.to_be_bytes()].concat();
            let answer = [b"answer".as_slice(), &number.to_be_bytes()].concat();
            let record = self.peer.data(&question);
            self.deliver(&record);
            let asked = self.endpoint.association(self.now, id).unwrap().recv();
            let sent = self
                .endpoint
                .association(self.now, id)
                .unwrap()
                .send(&answer)
                .is_ok();
            let before = self.peer.heard.len();
            self.listen();
            let answered =
                |heard: &Heard| matches!(heard, Heard::Data { data, .. } if *data == answer);
            asked.is_some_and(|asked| asked.data == question)
                && sent
                && self.peer.heard[before..].iter().any(answered)
        })
    }
}

pub fn is_completion(event: &Event) -> bool {
    matches!(event, Event::HandshakeComplete { .. })
}

/// The last failure that an endpoint told of.
pub fn failure(events: &[(AssociationId, Event)]) -> Option<Failure> {
    events.iter().rev().find_map(|(_, event)| match event {
        Event::Failed(failure) => Some((**failure).clone()),
        _ => None,
    })
}

/// A scripted server with a certificate of this authority.
pub fn scripted_server(ends: &Ends) -> ScriptedPeer {
    ScriptedPeer::server(ends.pki.server(&rcgen::PKCS_ED25519))
}

/// A scripted client without a certificate.
pub fn scripted_client() -> ScriptedPeer {
    ScriptedPeer::client(SERVER, None)
}

/// Our client, having said its first hello, opposite a scripted server that it trusts.
pub fn our_client() -> DatagramHarness {
    let ends = Ends::new();
    let peer = scripted_server(&ends);
    DatagramHarness::client(ends.build().client, peer)
}

/// Our server opposite a scripted client.
pub fn our_server() -> DatagramHarness {
    DatagramHarness::server(Ends::new().build().server, scripted_client())
}

/// Our server, which demands a certificate, opposite a scripted client that has a good one.
pub fn our_demanding_server() -> DatagramHarness {
    let ends = Ends::new().mutual();
    let peer = ScriptedPeer::client(SERVER, Some(ends.pki.client(&rcgen::PKCS_ED25519)));
    DatagramHarness::server(ends.build().server, peer)
}

/// A repeatable source of noise (xorshift64*). Its seed belongs into every failure message.
#[derive(Clone)]
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap() % limit
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            *byte = self.next().to_be_bytes()[0];
        }
    }
}

/// A record made by hand, with any lies in its header.
pub fn record(
    content_type: u8,
    version: u16,
    epoch: u16,
    sequence: u64,
    payload: &[u8],
) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    record_of_length(content_type, version, epoch, sequence, length, payload)
}

/// The same with a length field that may not be the payload's.
pub fn record_of_length(
    content_type: u8,
    version: u16,
    epoch: u16,
    sequence: u64,
    length: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut out = vec![content_type];
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&epoch.to_be_bytes());
    out.extend_from_slice(&sequence.to_be_bytes()[2..]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// What the header of a record says: type, epoch, sequence.
pub fn header(record: &[u8]) -> (u8, u16, u64) {
    let mut sequence = [0; 8];
    sequence[2..].copy_from_slice(&record[5..11]);
    (
        record[0],
        u16::from_be_bytes([record[3], record[4]]),
        u64::from_be_bytes(sequence),
    )
}

/// The records of a datagram.
pub fn records(mut datagram: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while datagram.len() >= 13 {
        let length = 13 + usize::from(u16::from_be_bytes([datagram[11], datagram[12]]));
        let (record, rest) = datagram.split_at(length.min(datagram.len()));
        found.push(record.to_vec());
        datagram = rest;
    }
    found
}
