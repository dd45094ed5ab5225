//! What an association costs: no allocation per record, and little memory when it is idle.

use crate::common::configs::{Configs, Ends, server_name};
use crate::counting::{bytes, calls};
use bytes::BytesMut;
use sealgram::config::{Algorithms, ClientRenegotiation, DatagramPolicy, RekeyPolicy, Versions};
use sealgram::endpoint::{Endpoint, EndpointPolicy, ProvenHello};
use sealgram::pki_types::UnixTime;
use sealgram::session::{ClientSessionStore, Session, SessionKey};
use sealgram::sim::Pair;
use sealgram::{CipherSuite, DtlsConnection, HandshakeKind, Path, ProtocolVersion, Side};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Two connections on a perfect link that takes no time, and the buffer that passes datagrams
/// between them.
pub(crate) struct Link {
    pub(crate) client: DtlsConnection,
    pub(crate) server: DtlsConnection,
    pub(crate) now: Instant,
}

impl Link {
    pub(crate) fn new(configs: &Configs, out: &mut Vec<u8>) -> Self {
        let now = crate::common::configs::start();
        let to_server = Path::new(([192, 0, 2, 2], 4433).into());
        let to_client = Path::new(([192, 0, 2, 1], 40_000).into());
        let mut client =
            DtlsConnection::connect(now, configs.client.clone(), server_name(), to_server).unwrap();
        out.clear();
        client.poll_transmit(now, 1, out).unwrap();
        let hello = ProvenHello::without_cookie(to_client, BytesMut::from(&out[..])).unwrap();
        let mut server = DtlsConnection::accept(now, configs.server.clone(), hello).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            pass(&mut server, &mut client, now, out);
            pass(&mut client, &mut server, now, out);
        }
        // What follows a handshake of 1.3: an acknowledgement, tickets, and theirs.
        pass(&mut server, &mut client, now, out);
        pass(&mut client, &mut server, now, out);
        Self {
            client,
            server,
            now,
        }
    }

    /// Nothing happens for more than twice the MSL, until no timer runs.
    pub(crate) fn idle(&mut self) {
        let end = self.now + Duration::from_secs(300);
        for connection in [&mut self.client, &mut self.server] {
            while let Some(deadline) = connection.poll_timeout() {
                assert!(deadline < end, "{:?} too late", deadline - end);
                connection.handle_timeout(deadline).unwrap();
            }
        }
        self.now = end;
    }
}

pub(crate) fn pass(
    from: &mut DtlsConnection,
    to: &mut DtlsConnection,
    now: Instant,
    out: &mut Vec<u8>,
) {
    out.clear();
    while from.poll_transmit(now, 1, out).is_some() {
        to.handle_datagram(now, to.path(), BytesMut::from(&out[..]))
            .unwrap();
        out.clear();
    }
    while from.poll_event().is_some() {}
    while to.poll_event().is_some() {}
}

/// Replaces the keys of both ends, with a new key exchange.
pub(crate) fn renegotiate(link: &mut Link, out: &mut Vec<u8>) {
    let Link {
        client,
        server,
        now,
    } = link;
    let before = client.renegotiations();
    client.renegotiate().unwrap();
    while client.renegotiate_pending() || server.renegotiate_pending() {
        pass(client, server, *now, out);
        pass(server, client, *now, out);
    }
    assert_eq!(client.renegotiations(), before + 1);
    assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
}

/// One record through `from` and `to` with the buffers that a caller keeps.
pub(crate) fn record(
    from: &mut DtlsConnection,
    to: &mut DtlsConnection,
    now: Instant,
    out: &mut Vec<u8>,
    arena: &mut BytesMut,
) {
    from.send(now, &[7; 1200]).unwrap();
    out.clear();
    from.poll_transmit(now, 64, out).unwrap();
    arena.reserve(out.len());
    arena.extend_from_slice(out);
    to.handle_datagram(now, to.path(), arena.split()).unwrap();
    while to.poll_event().is_some() {}
    let received = to.recv().unwrap();
    assert_eq!(received.data.len(), 1200);
    let given = to.received_connection_id();
    assert_eq!(received.connection_id(), given);
}

/// A client's store that keeps nothing: each association has a full handshake, as with a server of
/// its own, and shares its session with no other. What the association itself holds of the session
/// stays.
#[derive(Debug)]
struct Forgetful;

impl ClientSessionStore for Forgetful {
    fn put(&self, _key: &SessionKey, _session: Session, _now: UnixTime) {}

    fn get(&self, _key: &SessionKey, _now: UnixTime) -> Option<Session> {
        None
    }

    fn remove(&self, _key: &SessionKey) {}
}

/// Ends whose client takes tickets and whose server lets it renegotiate.
pub(crate) fn ends() -> Ends {
    let mut ends = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256);
    ends.client = ends.client.session_store(Some(Arc::new(Forgetful)));
    ends.server = ends
        .server
        .rekey(
            RekeyPolicy::default().client_renegotiation(ClientRenegotiation::Allow {
                min_interval: Duration::ZERO,
            }),
        );
    ends
}

#[test]
fn records_allocate_nothing_in_steady_state() {
    records_allocate_nothing(&DatagramPolicy::default());
}

/// Each tells its connection ID (`Received`); what ends at 1.2 and 1.3 give are of up to 20 bytes.
#[test]
fn records_with_connection_ids_allocate_nothing_in_steady_state() {
    for length in [4, 8, 20] {
        let policy = DatagramPolicy::default().connection_ids(Some(length));
        records_allocate_nothing(&policy.unwrap());
    }
}

fn records_allocate_nothing(policy: &DatagramPolicy) {
    for suite in [
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::TLS_AES_128_GCM_SHA256,
        CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
        #[cfg(feature = "ccm")]
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
        #[cfg(feature = "ccm")]
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
        #[cfg(feature = "ccm")]
        CipherSuite::TLS_AES_128_CCM_SHA256,
        #[cfg(feature = "ccm")]
        CipherSuite::TLS_AES_128_CCM_8_SHA256,
    ] {
        let mut ends = ends().versions(Versions::ALL);
        let algorithms = Algorithms::default().cipher_suites(&[suite]).unwrap();
        ends.client = ends.client.algorithms(algorithms.clone());
        ends.server = ends.server.algorithms(algorithms);
        let ends = ends.datagram(policy);
        let mut out = Vec::new();
        let mut link = Link::new(&ends.build(), &mut out);
        let mut arena = BytesMut::with_capacity(1 << 18);
        for renegotiations in 0..2 {
            let allocations = allocations_for_records(&mut link, &mut out, &mut arena);
            println!("{suite}, renegotiations {renegotiations}: {allocations} allocations");
            assert_eq!(allocations, 0, "{suite}: for 20,000 records");
            if link.client.version() == Some(ProtocolVersion::DTLS12) {
                renegotiate(&mut link, &mut out);
            }
        }
    }
}

/// Counts over 20,000 records, once buffers have their size.
fn allocations_for_records(link: &mut Link, out: &mut Vec<u8>, arena: &mut BytesMut) -> u64 {
    let Link {
        client,
        server,
        now,
    } = link;
    let mut both_ways = |count: u32| {
        for _ in 0..count {
            record(client, server, *now, out, arena);
            record(server, client, *now, out, arena);
        }
    };
    both_ways(1000);
    let before = calls();
    both_ways(10_000);
    calls() - before
}

/// The most that one side of an idle association takes, in bytes: 2.2 KiB.
const MAX_IDLE: isize = 2252;

/// The same at version 1.3: 3.2 KiB.
const MAX_IDLE_13: isize = 3276;

/// What a client's certificate adds on either side: it is in the client's ticket, too.
const CERTIFICATE: isize = 400;

/// An association that has exchanged a record each way and was left alone for more than twice the
/// MSL.
fn idle(configs: &Configs, renegotiations: u32, out: &mut Vec<u8>, arena: &mut BytesMut) -> Link {
    let mut link = Link::new(configs, out);
    for _ in 0..renegotiations {
        renegotiate(&mut link, out);
    }
    assert!(link.client.session().is_some(), "tickets are on");
    let now = link.now;
    record(&mut link.client, &mut link.server, now, out, arena);
    record(&mut link.server, &mut link.client, now, out, arena);
    link.idle();
    link
}

/// 1,000 pairs, ECDSA P-256 leaf under one authority, tickets on, one record each way, past twice
/// the MSL, queues empty; as they are after the first handshake, and after a renegotiation.
#[test]
fn an_idle_association_is_small() {
    for mutual in [false, true] {
        for renegotiations in 0..2 {
            let ends = if mutual { ends().mutual() } else { ends() };
            let configs = ends.build();
            let certificate = if mutual { ", client certificate" } else { "" };
            measure_idle(
                &format!("{certificate}, renegotiations {renegotiations}"),
                &configs,
                renegotiations,
                MAX_IDLE + if mutual { CERTIFICATE } else { 0 },
            );
        }
    }
}

/// The most that connection IDs in both directions may add to an association.
const MAX_IDENTIFIED: isize = 64;

fn measure_idle(name: &str, configs: &Configs, renegotiations: u32, max: isize) {
    const PAIRS: usize = 1000;
    let (mut out, mut arena) = (Vec::with_capacity(4096), BytesMut::with_capacity(1 << 18));
    let mut links: Vec<Link> = (0..PAIRS)
        .map(|_| idle(configs, renegotiations, &mut out, &mut arena))
        .collect();
    drop((out, arena));
    let inline = size_of::<DtlsConnection>().cast_signed();
    let (clients, servers): (Vec<_>, Vec<_>) = links
        .drain(..)
        .map(|link| (link.client, link.server))
        .unzip();
    for (side, connections) in [("client", clients), ("server", servers)] {
        // The list's spare capacity is not an association's.
        let spare = (connections.capacity() - connections.len()).cast_signed() * inline;
        let before = bytes();
        drop(connections);
        let each = (before - bytes() - spare) / PAIRS.cast_signed();
        println!("idle association, {side}{name}: {each} bytes, of which {inline} inline");
        assert!(each <= max, "{side}{name}: {each}");
    }
}

/// The same at DTLS 1.3, which keeps its traffic secrets for key updates, and a ticket more.
#[test]
fn an_idle_association_of_1_3_is_small() {
    for mutual in [false, true] {
        let ends = ends().versions(Versions::V1_3);
        let ends = if mutual { ends.mutual() } else { ends };
        let certificate = if mutual { ", client certificate" } else { "" };
        measure_idle(
            &format!(" of 1.3{certificate}"),
            &ends.build(),
            0,
            MAX_IDLE_13 + if mutual { CERTIFICATE } else { 0 },
        );
    }
}

/// All that counts: 1,000 associations of one endpoint, with its maps, timers and table.
#[test]
fn an_idle_association_in_an_endpoint_takes_what_is_promised() {
    for (versions, max) in [(Versions::V1_2, MAX_IDLE), (Versions::V1_3, MAX_IDLE_13)] {
        let configs = ends().versions(versions).build();
        for side in [Side::Client, Side::Server] {
            let each = in_endpoint(&configs, side);
            let version = configs.connected(1).client_connection().unwrap().version();
            let version = version.unwrap();
            println!("idle association in an endpoint, {side}, {version}: {each} bytes");
            assert!(each <= max, "{side}, {version}: {each}");
        }
    }
}

/// What connection IDs of eight bytes in both directions take beside that: the list of what the
/// peer was given, what this end writes, and who issues more.
#[test]
fn connection_ids_take_little_memory() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let plain = ends().versions(versions);
        let mut identified = ends().versions(versions);
        let policy = DatagramPolicy::default().connection_ids(Some(8)).unwrap();
        identified.client = identified.client.datagram(policy.clone());
        identified.server = identified.server.datagram(policy);
        let [plain, identified] = [plain, identified].map(|ends| {
            let configs = ends.build();
            [Side::Client, Side::Server].map(|side| in_endpoint(&configs, side))
        });
        for (side, (plain, identified)) in ["client", "server"]
            .iter()
            .zip(plain.iter().zip(identified))
        {
            let more = identified - plain;
            println!("connection IDs at {versions:?}, {side}: {more} bytes more");
            assert!(more <= MAX_IDENTIFIED, "{versions:?}, {side}: {more}");
        }
    }
}

/// How many bytes an association takes of an endpoint that has many, all of which are idle.
fn in_endpoint(configs: &Configs, side: Side) -> isize {
    const PEERS: u16 = 1000;
    let mut pair = configs.connected(1);
    pair.run_for(Duration::from_millis(100));
    let before = bytes();
    gather(&mut pair, configs, side, PEERS);
    pair.run_for(Duration::from_secs(300));
    let endpoint = match side {
        Side::Client => &pair.client,
        Side::Server => &pair.server,
    };
    assert_eq!(endpoint.len(), usize::from(PEERS) + 1);
    (bytes() - before) / isize::try_from(PEERS).unwrap()
}

/// Gives the endpoint of one side so many associations more, each of which has exchanged a record
/// each way. Nobody is left at the other end.
pub(crate) fn gather(pair: &mut Pair, configs: &Configs, side: Side, peers: u16) {
    for peer in 1..=peers {
        let address = ([10, 0, 0, 1], 1000 + peer).into();
        let now = pair.now;
        // Whoever is at the other end is alone, and is gone with the next one.
        match side {
            Side::Client => {
                pair.server_address = address;
                let server = Some(configs.server.clone());
                pair.server = Endpoint::new(now, EndpointPolicy::default(), server).unwrap();
            }
            Side::Server => {
                pair.client_address = address;
                pair.client = Endpoint::new(now, EndpointPolicy::default(), None).unwrap();
            }
        }
        pair.client_events.clear();
        pair.server_events.clear();
        pair.connect(configs.client.clone(), server_name()).unwrap();
        assert!(pair.run_until_connected(Duration::from_secs(5)));
        assert!(pair.exchange(1));
        // Whatever is acknowledged is on its way.
        pair.run_for(Duration::from_millis(100));
    }
    let empty = Endpoint::new(pair.now, EndpointPolicy::default(), None).unwrap();
    let other = match side {
        Side::Client => &mut pair.server,
        Side::Server => &mut pair.client,
    };
    drop(std::mem::replace(other, empty));
    pair.client_events = Vec::new();
    pair.server_events = Vec::new();
}
