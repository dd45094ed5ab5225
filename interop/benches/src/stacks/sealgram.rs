//! sealgram: `UdpEndpoint`s in a mio loop, and associations in memory.

use crate::pki::{Pki, SERVER};
use crate::sockets;
use sealgram::client::ClientConfigBuilder;
use sealgram::config::{Algorithms, DatagramPolicy, Versions};
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::identity::{CertifiedKey, Credential, Roots};
use sealgram::net::UdpEndpoint;
use sealgram::net::mio::{Events, Poll, Token};
use sealgram::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sealgram::server::ServerConfigBuilder;
use sealgram::session::{ClientSessionStore, MemoryClientSessions, Session, SessionKey};
use sealgram::{CipherSuite, ClientConfig, Event, NamedGroup, ServerConfig};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// Which of the two versions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// DTLS or TLS 1.2.
    V12,
    /// DTLS or TLS 1.3.
    V13,
}

impl Version {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V12, Self::V13];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V12 => "1.2",
            Self::V13 => "1.3",
        }
    }
}

/// Configurations of both ends: one version, AES-128-GCM, one group.
#[derive(Clone)]
pub struct Configs {
    /// A client that checks the server's chain.
    pub client: Arc<ClientConfig>,
    /// A server with cookies, as every endpoint.
    pub server: Arc<ServerConfig>,
}

/// The send queue of an association, in bytes: room for 256 datagrams a turn, which the default is
/// just too small for.
const SEND_QUEUE: usize = 1 << 20;

impl Configs {
    /// The version, and the group of the key exchange; without sessions.
    pub fn new(pki: &Pki, version: Version, group: NamedGroup) -> Self {
        let (client, server) = builders(pki, version, group);
        Self::build(
            client.session_store(None),
            server.session_store(None).tickets(None),
        )
    }

    /// X25519; the client takes tickets, one for each handshake, and uses them.
    pub fn resuming(pki: &Pki, version: Version) -> Self {
        let (client, server) = builders(pki, version, NamedGroup::X25519);
        let store = MemoryClientSessions::new(64);
        let server = server.tickets_per_handshake(1);
        Self::build(
            client.session_store(Some(Arc::new(store))),
            server.expect("within its range"),
        )
    }

    /// X25519; the client takes tickets, but every handshake is a full one, as with a server of its
    /// own each.
    pub fn forgetful(pki: &Pki, version: Version) -> Self {
        let (client, server) = builders(pki, version, NamedGroup::X25519);
        Self::build(client.session_store(Some(Arc::new(Forgetful))), server)
    }

    fn build(client: ClientConfigBuilder, server: ServerConfigBuilder) -> Self {
        Self {
            client: Arc::new(client.build().expect("consistent")),
            server: Arc::new(server.build().expect("consistent")),
        }
    }
}

/// A client's store that keeps nothing.
#[derive(Debug)]
struct Forgetful;

impl ClientSessionStore for Forgetful {
    fn put(&self, _: &SessionKey, _: Session, _: UnixTime) {}

    fn get(&self, _: &SessionKey, _: UnixTime) -> Option<Session> {
        None
    }

    fn remove(&self, _: &SessionKey) {}
}

fn builders(
    pki: &Pki,
    version: Version,
    group: NamedGroup,
) -> (ClientConfigBuilder, ServerConfigBuilder) {
    let (versions, suite) = match version {
        Version::V12 => (
            Versions::V1_2,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ),
        Version::V13 => (Versions::V1_3, CipherSuite::TLS_AES_128_GCM_SHA256),
    };
    let suites = Algorithms::default().cipher_suites(&[suite]).expect("ours");
    // RFC 8422 §5.3: the client lists the curve of the server's key too.
    let mut listed = vec![group, NamedGroup::SECP256R1];
    listed.dedup();
    let policy = DatagramPolicy::default().send_queue(SEND_QUEUE);
    let policy = policy.expect("within its range");
    let mut roots = Roots::new();
    let root = CertificateDer::from(pki.root.clone());
    roots.add(&root).expect("a root");
    let key = PrivateKeyDer::try_from(pki.key.clone()).expect("PKCS #8");
    let leaf = CertificateDer::from(pki.leaf.clone());
    let credential = CertifiedKey::new(vec![leaf], &key).expect("they belong together");
    let client = ClientConfig::with_roots(roots)
        .expect("it has one")
        .datagram(policy.clone())
        .versions(versions)
        .algorithms(suites.clone().groups(&listed).expect("ours"));
    let server = ServerConfig::with_credential(Credential::Certificate(credential))
        .datagram(policy)
        .versions(versions)
        .algorithms(suites.groups(&[group]).expect("ours"));
    (client, server)
}

/// The name of the server.
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from(SERVER).expect("a valid name")
}

/// Endpoints that wait together: one with many associations, or many with one each.
pub struct Station {
    /// Who waits.
    pub poll: Poll,
    /// What has become ready.
    pub events: Events,
    /// The endpoints; their tokens are their places.
    pub endpoints: Vec<UdpEndpoint>,
}

impl Station {
    /// These, and whoever is added later.
    pub fn new(endpoints: Vec<UdpEndpoint>) -> Self {
        let mut station = Self {
            poll: Poll::new().expect("epoll"),
            events: Events::with_capacity(1024),
            endpoints: Vec::new(),
        };
        for endpoint in endpoints {
            station.add(endpoint);
        }
        station
    }

    /// One more.
    pub fn add(&mut self, mut endpoint: UdpEndpoint) {
        self.register(&mut endpoint, self.endpoints.len());
        self.endpoints.push(endpoint);
    }

    /// Another in the place of one.
    pub fn replace(&mut self, place: usize, mut endpoint: UdpEndpoint) {
        self.register(&mut endpoint, place);
        self.endpoints[place] = endpoint;
    }

    fn register(&self, endpoint: &mut UdpEndpoint, place: usize) {
        let registered = endpoint.register(self.poll.registry(), Token(place));
        registered.expect("a new socket");
        // The endpoint has chosen smaller ones.
        sockets::enlarge(endpoint);
    }

    /// The places of those that became ready in the last wait.
    pub fn ready(&self) -> Vec<usize> {
        let ready = self.events.iter();
        ready.map(|event| event.token().0).collect()
    }

    /// Waits until something is ready, or for as long as an endpoint allows, but no longer than
    /// `longest`.
    pub fn wait(&mut self, longest: Duration) {
        let asked = match &self.endpoints[..] {
            [endpoint] => endpoint.poll_timeout(),
            // Nothing is lost on the loopback interface: no timer matters among many.
            _ => None,
        };
        let timeout = asked.map_or(longest, |asked| asked.min(longest));
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => panic!("{error}"),
            _ => {}
        }
    }

    /// Drains the events of an endpoint: fetches the data, hands each datagram to `take`, and
    /// returns how many there were.
    pub fn drain(
        &mut self,
        place: usize,
        mut take: impl FnMut(&mut sealgram::endpoint::AssociationMut<'_>, &[u8]),
    ) -> u64 {
        let endpoint = &mut self.endpoints[place];
        let mut count = 0;
        while let Some((id, event)) = endpoint.poll_event() {
            if let (Event::Readable, Some(mut association)) = (event, endpoint.association(id)) {
                while let Some(received) = association.recv() {
                    count += 1;
                    take(&mut association, &received.data);
                }
            }
        }
        count
    }
}

/// Connected associations, each client on a socket of its own, the server on one for all.
pub struct Fleet {
    /// The clients.
    pub clients: Station,
    /// The association of each.
    pub ids: Vec<AssociationId>,
    /// The server, which is one endpoint.
    pub server: Station,
}

impl Fleet {
    /// Connects this many.
    pub fn new(configs: &Configs, peers: usize) -> Self {
        let policy = EndpointPolicy::default();
        let serve = Some(configs.server.clone());
        let server = UdpEndpoint::from_socket(sockets::bound(), policy.clone(), serve);
        let server = server.expect("a new socket");
        let address = server.local_addr().expect("it is bound");
        let mut endpoints = Vec::new();
        let mut ids = Vec::new();
        for _ in 0..peers {
            let client = UdpEndpoint::connected_to(address, policy.clone());
            let mut client = client.expect("a new socket");
            let id = client.connect(configs.client.clone(), server_name(), address);
            ids.push(id.expect("the first one"));
            endpoints.push(client);
        }
        let mut fleet = Self {
            clients: Station::new(endpoints),
            ids,
            server: Station::new(vec![server]),
        };
        fleet.establish();
        fleet
    }

    /// Runs one client after the other until it is connected, and what follows is done: at 1.3
    /// tickets and acknowledgements.
    fn establish(&mut self) {
        for (place, id) in self.ids.iter().enumerate() {
            let mut after = 0;
            while after < 4 {
                turn(&mut self.clients.endpoints[place]);
                turn(&mut self.server.endpoints[0]);
                let client = self.clients.endpoints[place].endpoint().connection(*id);
                let client = client.expect("nothing ends it");
                if !client.is_handshaking() {
                    after += 1;
                }
            }
            self.clients.drain(place, |_, _| {});
            self.server.drain(0, |_, _| {});
        }
    }

    /// The server's names of the associations.
    pub fn server_ids(&self) -> Vec<AssociationId> {
        self.server.endpoints[0].endpoint().associations().collect()
    }
}

/// Sends what waits.
pub fn flush(endpoint: &mut UdpEndpoint) {
    endpoint.flush().expect("the socket works");
}

/// Receives, fires timers, sends.
pub fn turn(endpoint: &mut UdpEndpoint) {
    endpoint.turn().expect("the socket works");
}
