//! Configurations and directly connected associations for benches.

#![allow(dead_code, unreachable_pub, reason = "each bench uses a part of it")]

#[path = "../../tests/common/configs.rs"]
mod tests;

use bytes::BytesMut;
use rustls::pki_types::PrivateKeyDer;
use sealgram::config::{Algorithms, ClientRenegotiation, DatagramPolicy, RekeyPolicy, Versions};
use sealgram::endpoint::ProvenHello;
use sealgram::net::{TlsStream, mio};
use sealgram::{
    CipherSuite, ClientConfig, DtlsConnection, NamedGroup, Path, ServerConfig, TlsConnection,
};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tests::Ends;
pub use tests::server_name;

/// The time, for measuring.
#[allow(clippy::disallowed_methods, reason = "a bench measures")]
pub fn clock() -> Instant {
    Instant::now()
}

/// How long `operation` takes, per call, over `calls`.
pub fn time(calls: u32, mut operation: impl FnMut()) -> Duration {
    let start = clock();
    for _ in 0..calls {
        operation();
    }
    start.elapsed() / calls
}

/// How long this thread has the processor for `operation`, the system's work for it included. A
/// call of the clock costs half a microsecond.
pub fn processor_time(operation: impl FnOnce()) -> Duration {
    let clock = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(time).unwrap()
    };
    let start = clock();
    operation();
    clock() - start
}

/// The middle value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Configurations of both ends.
pub struct Configs(tests::Configs);

const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 40_000);
const SERVER_ADDRESS: ([u8; 4], u16) = ([192, 0, 2, 2], 4433);

impl Configs {
    /// ECDSA P-256 with one authority, and this suite, which decides the version.
    pub fn with_suite(suite: CipherSuite) -> Self {
        let mut ends = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256).versions(Versions::ALL);
        ends.client = ends
            .client
            .algorithms(Algorithms::default().cipher_suites(&[suite]).unwrap());
        Self(ends.build())
    }

    /// The same, with connection IDs of eight bytes in each direction.
    pub fn identified(suite: CipherSuite) -> Self {
        let mut ends = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256).versions(Versions::ALL);
        let algorithms = Algorithms::default().cipher_suites(&[suite]).unwrap();
        let policy = DatagramPolicy::default().connection_ids(Some(8)).unwrap();
        ends.client = ends.client.algorithms(algorithms).datagram(policy.clone());
        ends.server = ends.server.datagram(policy);
        Self(ends.build())
    }

    /// ECDSA P-256 with one authority, this version and this group.
    pub fn with_group(versions: Versions, group: NamedGroup) -> Self {
        let mut ends = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256).versions(versions);
        // RFC 8422 §5.3: the client lists the curve of the server's key too. Its share at 1.3 is of
        // the first.
        let mut listed = vec![group, NamedGroup::SECP256R1];
        listed.dedup();
        // Without another round trip for a hybrid group.
        ends.client = ends
            .client
            .datagram(DatagramPolicy::default().hybrid_share(true))
            .algorithms(Algorithms::default().groups(&listed).unwrap());
        ends.server = ends
            .server
            .algorithms(Algorithms::default().groups(&[group]).unwrap());
        Self(ends.build())
    }

    /// ECDSA P-256 with one authority; the client keeps sessions, and uses tickets or not.
    pub fn resuming(tickets: bool) -> Self {
        let mut ends = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256).resuming();
        let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
        ends.client = ends
            .client
            .tickets(tickets)
            .algorithms(Algorithms::default().cipher_suites(&[suite]).unwrap());
        Self(ends.build())
    }

    /// The same at version 1.3, by ticket, with a fresh exchange in X25519.
    pub fn resuming_13() -> Self {
        let ends = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256).resuming();
        let mut ends = ends.versions(Versions::V1_3);
        let algorithms = Algorithms::default()
            .groups(&[NamedGroup::X25519])
            .unwrap()
            .cipher_suites(&[CipherSuite::TLS_AES_128_GCM_SHA256])
            .unwrap();
        ends.client = ends.client.algorithms(algorithms.clone());
        ends.server = ends.server.algorithms(algorithms);
        Self(ends.build())
    }

    /// What a user gets who sets nothing but the versions, with an ECDSA P-256 certificate.
    pub fn by_default(client: Versions, server: Versions) -> Self {
        let pki = tests::Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
        let credential = pki.server(&rcgen::PKCS_ECDSA_P256_SHA256);
        let trusting = ClientConfig::with_roots(pki.roots()).unwrap();
        let ends = Ends {
            client: trusting.versions(client),
            server: ServerConfig::with_credential(credential).versions(server),
            pki,
        };
        Self(ends.build())
    }

    /// A client whose server is anywhere.
    pub fn client(&self, now: Instant) -> DtlsConnection {
        let to_server = Path::new(SERVER_ADDRESS.into());
        DtlsConnection::connect(now, self.0.client.clone(), server_name(), to_server).unwrap()
    }

    /// The configuration of the server.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.0.server.clone()
    }

    /// The first datagram of a client.
    pub fn hello(&self) -> Vec<u8> {
        let (now, path) = (clock(), Path::new(SERVER_ADDRESS.into()));
        let config = self.0.client.clone();
        let mut client = DtlsConnection::connect(now, config, server_name(), path).unwrap();
        let mut out = Vec::new();
        client.poll_transmit(now, 1, &mut out).unwrap();
        out
    }

    /// A handshake over a perfect stream that takes no time.
    pub fn streams(&self) -> (TlsConnection, TlsConnection, Instant) {
        let now = clock();
        let mut client = TlsConnection::connect(now, self.0.client.clone(), server_name()).unwrap();
        let mut server = TlsConnection::accept(now, self.0.server.clone()).unwrap();
        let mut out = Vec::new();
        while client.is_handshaking() || server.is_handshaking() {
            carry(&mut client, &mut server, now, &mut out);
            carry(&mut server, &mut client, now, &mut out);
        }
        while client.poll_event().is_some() || server.poll_event().is_some() {}
        (client, server, now)
    }

    /// A handshake over connected sockets that do not block.
    pub fn tcp_streams(&self, sockets: (TcpStream, TcpStream)) -> (TlsStream, TlsStream) {
        let [client, server] = [sockets.0, sockets.1].map(mio::net::TcpStream::from_std);
        let mut client = TlsStream::client(client, self.0.client.clone(), server_name()).unwrap();
        let mut server = TlsStream::server(server, self.0.server.clone()).unwrap();
        while client.connection().is_handshaking() || server.connection().is_handshaking() {
            client.turn().unwrap();
            server.turn().unwrap();
        }
        while client.poll_event().is_some() || server.poll_event().is_some() {}
        (client, server)
    }

    /// A handshake without cookie over a perfect link that takes no time.
    pub fn connections(&self) -> (DtlsConnection, DtlsConnection, Instant) {
        let now = clock();
        let (to_server, to_client) = (Path::new(SERVER_ADDRESS.into()), Path::new(CLIENT.into()));
        let mut client =
            DtlsConnection::connect(now, self.0.client.clone(), server_name(), to_server).unwrap();
        let mut out = Vec::new();
        client.poll_transmit(now, 1, &mut out).unwrap();
        let hello = ProvenHello::without_cookie(to_client, BytesMut::from(&out[..])).unwrap();
        let mut server = DtlsConnection::accept(now, self.0.server.clone(), hello).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            pass(&mut server, &mut client, now, &mut out);
            pass(&mut client, &mut server, now, &mut out);
        }
        // What follows a handshake of 1.3: an acknowledgement, tickets, and the acknowledgement of
        // those.
        pass(&mut server, &mut client, now, &mut out);
        pass(&mut client, &mut server, now, &mut out);
        while client.poll_event().is_some() || server.poll_event().is_some() {}
        (client, server, now)
    }
}

/// What a crowd needs: a server of both versions, and a client of each.
pub struct CrowdConfigs {
    pub clients: [Arc<ClientConfig>; 2],
    pub server: Arc<ServerConfig>,
}

impl CrowdConfigs {
    /// ECDSA P-256 with one authority. Clients may renegotiate whenever they like.
    pub fn new() -> Self {
        let ends = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256);
        let clients = [Versions::V1_2, Versions::V1_3].map(|versions| {
            let client = ClientConfig::with_roots(ends.pki.roots()).unwrap();
            Arc::new(client.versions(versions).build().unwrap())
        });
        let min_interval = Duration::ZERO;
        let willing = RekeyPolicy::default()
            .client_renegotiation(ClientRenegotiation::Allow { min_interval });
        let server = ends.server.versions(Versions::ALL).rekey(willing);
        Self {
            clients,
            server: Arc::new(server.build().unwrap()),
        }
    }
}

/// Hands over every byte that `from` has to send.
fn carry(from: &mut TlsConnection, to: &mut TlsConnection, now: Instant, out: &mut Vec<u8>) {
    out.clear();
    if from.poll_transmit(now, out).is_some() {
        to.handle_bytes(now, &mut BytesMut::from(&out[..])).unwrap();
    }
}

/// rustls with ring, with an ECDSA P-256 certificate as ours.
pub struct Rustls {
    client: Arc<rustls::ClientConfig>,
    server: Arc<rustls::ServerConfig>,
}

impl Rustls {
    /// Version 1.2: a client that keeps sessions, by ticket or by ID; a server that serves both.
    pub fn new(tickets: bool) -> Self {
        let suite = rustls::crypto::ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
        Self::with(&rustls::version::TLS12, suite, tickets)
    }

    /// Version 1.3: a client that keeps tickets and uses each once, and a server that sends two
    /// with each handshake and exchanges keys in X25519, as ours do.
    pub fn resuming_13() -> Self {
        let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
        Self::with(&rustls::version::TLS13, suite, true)
    }

    /// Version 1.3, without tickets.
    pub fn new_13() -> Self {
        let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
        let Self { client, server } = Self::with(&rustls::version::TLS13, suite, false);
        let (mut client, mut server) = ((*client).clone(), (*server).clone());
        client.resumption = rustls::client::Resumption::disabled();
        server.send_tls13_tickets = 0;
        Self {
            client: Arc::new(client),
            server: Arc::new(server),
        }
    }

    fn with(
        version: &'static rustls::SupportedProtocolVersion,
        suite: rustls::SupportedCipherSuite,
        tickets: bool,
    ) -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let params = rcgen::CertificateParams::new(vec![tests::SERVER.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites = vec![suite];
        provider.kx_groups = vec![rustls::crypto::ring::kx_group::X25519];
        let provider = Arc::new(provider);
        let versions = &[version];
        let mut client = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let kind = if tickets {
            rustls::client::Tls12Resumption::SessionIdOrTickets
        } else {
            rustls::client::Tls12Resumption::SessionIdOnly
        };
        client.resumption =
            rustls::client::Resumption::in_memory_sessions(64).tls12_resumption(kind);
        let mut server = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        if tickets {
            server.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
        }
        Self {
            client: Arc::new(client),
            server: Arc::new(server),
        }
    }

    /// A handshake over a perfect stream that takes no time.
    pub fn connections(&self) -> (rustls::ClientConnection, rustls::ServerConnection) {
        let name = tests::SERVER.try_into().unwrap();
        let mut client = rustls::ClientConnection::new(self.client.clone(), name).unwrap();
        let mut server = rustls::ServerConnection::new(self.server.clone()).unwrap();
        let mut out = Vec::new();
        while client.is_handshaking() || server.is_handshaking() {
            out.clear();
            while client.wants_write() {
                client.write_tls(&mut out).unwrap();
            }
            let mut rest = &out[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                server.process_new_packets().unwrap();
            }
            out.clear();
            while server.wants_write() {
                server.write_tls(&mut out).unwrap();
            }
            let mut rest = &out[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        (client, server)
    }
}

/// Prints the median of five runs, each the median of its interleaved rounds.
pub fn report(name: &str, mut round: impl FnMut() -> f64) {
    report_all(&[name.to_owned()], || [round()]);
}

/// The same for several figures of each round.
pub fn report_all<const N: usize>(names: &[String; N], mut round: impl FnMut() -> [f64; N]) {
    let mut runs = [const { Vec::new() }; N];
    for _ in 0..5 {
        let rounds: Vec<[f64; N]> = (0..25).map(|_| round()).collect();
        for (i, runs) in runs.iter_mut().enumerate() {
            runs.push(median(rounds.iter().map(|round| round[i]).collect()));
        }
    }
    for (name, runs) in names.iter().zip(runs) {
        let all: Vec<String> = runs.iter().map(|ratio| format!("{ratio:.3}")).collect();
        println!("{name}: {:.3}  (runs: {})", median(runs), all.join(" "));
    }
}

/// Hands over everything that `from` has to send.
fn pass(from: &mut DtlsConnection, to: &mut DtlsConnection, now: Instant, out: &mut Vec<u8>) {
    out.clear();
    while from.poll_transmit(now, 1, out).is_some() {
        to.handle_datagram(now, to.path(), BytesMut::from(&out[..]))
            .unwrap();
        out.clear();
    }
}
