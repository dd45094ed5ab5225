//! Every kind of handshake that two ends can have over datagrams, each ready to begin, and what
//! holds after it.

use crate::common::configs::{Configs, Ends};
use sealgram::config::{ClientRenegotiation, DataDuringRenegotiation, DatagramPolicy, RekeyPolicy};
use sealgram::endpoint::AssociationId;
use sealgram::error::{RenegotiateError, SendError};
use sealgram::record::Discard;
use sealgram::sim::{Direction, Fate, Pair, Seen};
use sealgram::{DtlsConnection, Event, HandshakeKind, Side};
use std::collections::HashMap;
use std::time::Duration;

pub const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// A kind of handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Full,
    ClientCertificate,
    /// A chain of several datagrams at both ends.
    LongChains,
    ResumedByTicket,
    ResumedById,
    RenegotiatedFull,
    RenegotiatedAbbreviated,
    /// The server sends a HelloRequest.
    Requested,
    /// The client's ClientHello and the server's HelloRequest pass each other.
    Crossing,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Full,
        Self::ClientCertificate,
        Self::LongChains,
        Self::ResumedByTicket,
        Self::ResumedById,
        Self::RenegotiatedFull,
        Self::RenegotiatedAbbreviated,
        Self::Requested,
        Self::Crossing,
    ];

    pub const RENEGOTIATIONS: [Self; 4] = [
        Self::RenegotiatedFull,
        Self::RenegotiatedAbbreviated,
        Self::Requested,
        Self::Crossing,
    ];

    pub fn is_renegotiation(self) -> bool {
        Self::RENEGOTIATIONS.contains(&self)
    }

    /// What `HandshakeComplete` says of it.
    pub const fn outcome(self) -> HandshakeKind {
        match self {
            Self::ResumedByTicket | Self::ResumedById | Self::RenegotiatedAbbreviated => {
                HandshakeKind::Resumed
            }
            _ => HandshakeKind::Full,
        }
    }

    /// Who sends the last flight, which has no timer of its own.
    pub const fn sends_last(self) -> Direction {
        match self.outcome() {
            HandshakeKind::Resumed => Direction::ToServer,
            _ => Direction::ToClient,
        }
    }

    fn ends(self) -> Ends {
        let mut ends = Ends::new();
        match self {
            Self::Full => ends,
            Self::ClientCertificate => ends.mutual(),
            Self::LongChains => Ends::with_chain(3_000).mutual_with_chain(3_000),
            Self::ResumedByTicket => ends.resuming(),
            Self::ResumedById => {
                ends.server = ends.server.tickets(None);
                ends.resuming()
            }
            _ => ends.mutual().resuming(),
        }
    }
}

/// A server that lets its clients renegotiate as often as they like.
pub fn willing() -> RekeyPolicy {
    RekeyPolicy::default().client_renegotiation(ClientRenegotiation::Allow {
        min_interval: Duration::ZERO,
    })
}

/// A place in the traffic of one handshake: direction, and number in that direction from 0.
pub type Place = (Direction, u64);

/// One kind of handshake between two ends of a configuration.
pub struct Scenario {
    pub kind: Kind,
    pub mtu: usize,
    pub configs: Configs,
}

impl Scenario {
    pub fn new(kind: Kind, mtu: usize) -> Self {
        Self::with_data(kind, mtu, DataDuringRenegotiation::default())
    }

    pub fn with_data(kind: Kind, mtu: usize, data: DataDuringRenegotiation) -> Self {
        let policy = DatagramPolicy::default().mtu(mtu).unwrap();
        let mut ends = kind.ends().datagram(&policy);
        ends.client = ends
            .client
            .rekey(RekeyPolicy::default().data_during_renegotiation(data));
        ends.server = ends.server.rekey(willing().data_during_renegotiation(data));
        Self {
            kind,
            mtu,
            configs: ends.build(),
        }
    }

    /// Every kind with large and with small datagrams.
    pub fn all() -> impl Iterator<Item = Self> {
        Kind::ALL
            .into_iter()
            .flat_map(|kind| [1400, 256].map(|mtu| Self::new(kind, mtu)))
    }

    pub fn name(&self) -> String {
        format!("{:?}, {}-byte datagrams", self.kind, self.mtu)
    }

    /// Two ends that have everything behind them but this handshake, of which nothing was sent yet.
    pub fn ready(&self) -> Pair {
        if self.kind.outcome() == HandshakeKind::Resumed && !self.kind.is_renegotiation() {
            // The client's store learns a session.
            self.configs.connected(1);
        }
        if !self.kind.is_renegotiation() {
            return self.configs.pair(1);
        }
        let mut pair = self.configs.connected(1);
        pair.run_for(Duration::from_secs(1));
        begin(&mut pair, self.kind);
        pair
    }

    /// Whether both ends have this handshake behind them.
    pub fn is_done(&self, pair: &Pair) -> bool {
        let epoch = 1 + u64::from(self.kind.is_renegotiation());
        pair.is_connected() && is_in_epoch(pair, epoch)
    }

    /// Runs the handshake to its end, with the means that the links allow, for at most `limit` of
    /// virtual time; then both ends agree, talk, and are quiet.
    pub fn completes(&self, pair: &mut Pair, limit: Duration, circumstances: &str) {
        let name = self.name();
        assert!(
            pair.run_until(limit, |pair| self.is_done(pair)),
            "{name}, {circumstances}: {:?} {:?} {:?} {:?}",
            pair.client_events,
            pair.server_events,
            pair.client_connection(),
            pair.server_connection(),
        );
        for side in SIDES {
            let connection = connection(pair, side);
            assert_eq!(
                connection.handshake_kind(),
                Some(self.kind.outcome()),
                "{name}, {circumstances}: {side}"
            );
            let renegotiations = u64::from(self.kind.is_renegotiation());
            assert_eq!(connection.renegotiations(), renegotiations);
        }
        assert_agreed(pair, &format!("{name}, {circumstances}"));
        assert_quiet(pair, &format!("{name}, {circumstances}"));
        let requests = matches!(self.kind, Kind::Requested | Kind::Crossing);
        assert_only_expected_discards(pair, requests, &format!("{name}, {circumstances}"));
    }
}

/// Begins a renegotiation.
pub fn begin(pair: &mut Pair, kind: Kind) {
    let begun = match kind {
        Kind::RenegotiatedFull => renegotiate(pair, Side::Client, false),
        Kind::RenegotiatedAbbreviated => renegotiate(pair, Side::Client, true),
        Kind::Requested => renegotiate(pair, Side::Server, false),
        Kind::Crossing => renegotiate(pair, Side::Client, false)
            .and_then(|()| renegotiate(pair, Side::Server, false)),
        _ => Ok(()),
    };
    begun.unwrap();
}

/// Schedules a renegotiation at one end.
pub fn renegotiate(pair: &mut Pair, side: Side, abbreviated: bool) -> Result<(), RenegotiateError> {
    let now = pair.now;
    let (endpoint, id) = match side {
        Side::Client => (&mut pair.client, completed(&pair.client_events)),
        Side::Server => (&mut pair.server, completed(&pair.server_events)),
    };
    if abbreviated {
        endpoint
            .association(now, id)
            .unwrap()
            .renegotiate_abbreviated()
    } else {
        endpoint.association(now, id).unwrap().renegotiate()
    }
}

/// Sends a datagram from one end.
pub fn send(pair: &mut Pair, side: Side, data: &[u8]) -> Result<(), SendError> {
    let now = pair.now;
    let (endpoint, id) = match side {
        Side::Client => (&mut pair.client, completed(&pair.client_events)),
        Side::Server => (&mut pair.server, completed(&pair.server_events)),
    };
    endpoint.association(now, id).unwrap().send(data)
}

/// The only association of an endpoint.
pub fn completed(events: &[(AssociationId, Event)]) -> AssociationId {
    events.first().expect("the association has completed").0
}

pub fn connection(pair: &Pair, side: Side) -> &DtlsConnection {
    let connection = match side {
        Side::Client => pair.client_connection(),
        Side::Server => pair.server_connection(),
    };
    connection.unwrap_or_else(|| {
        panic!(
            "the {side}'s association is gone: {:?} {:?}",
            pair.client_events, pair.server_events
        )
    })
}

/// Whether both ends have reached this epoch and nothing is under way.
pub fn is_in_epoch(pair: &Pair, epoch: u64) -> bool {
    SIDES.into_iter().all(|side| {
        let connection = connection(pair, side);
        connection.epoch().number() == epoch && !connection.renegotiate_pending()
    })
}

/// Keying material, to see whether both ends have the same secret.
pub fn exported(connection: &DtlsConnection) -> [u8; 16] {
    let mut key = [0; 16];
    connection
        .export_keying_material(&mut key, b"EXPORTER-test", None)
        .unwrap();
    key
}

/// Both ends are in the same epoch with the same secret, nothing is under way, and data goes
/// through both ways.
pub fn assert_agreed(pair: &mut Pair, name: &str) {
    let [client, server] = SIDES.map(|side| connection(pair, side));
    assert_eq!(client.epoch(), server.epoch(), "{name}");
    assert_eq!(exported(client), exported(server), "{name}");
    for end in [client, server] {
        assert!(!end.renegotiate_pending(), "{name}");
    }
    assert!(pair.exchange(3), "{name}");
}

/// After twice the MSL nothing of any handshake is left: no timer, nothing buffered, nothing to
/// send.
pub fn assert_quiet(pair: &mut Pair, name: &str) {
    assert_quiet_but(pair, 0, name);
}

/// The same, but `left` bytes may be buffered.
pub fn assert_quiet_but(pair: &mut Pair, left: usize, name: &str) {
    pair.run_for(Duration::from_secs(300));
    for side in SIDES {
        assert_eq!(
            connection(pair, side).poll_timeout(),
            None,
            "{name}: {side}"
        );
    }
    let buffered = pair.server.buffered() + pair.client.buffered();
    assert!(buffered <= left, "{name}: {buffered} bytes");
    let sent = (pair.to_server.sent(), pair.to_client.sent());
    pair.run_for(Duration::from_secs(300));
    assert_eq!(
        sent,
        (pair.to_server.sent(), pair.to_client.sent()),
        "{name}: still sending"
    );
}

/// Nothing was dropped but what honest peers and a bad network can cause. A HelloRequest that meets
/// a handshake has no place there; it is sent again with the flight that answers the ClientHello.
pub fn assert_only_expected_discards(pair: &Pair, requests: bool, name: &str) {
    for side in SIDES {
        let unexpected: Vec<_> = connection(pair, side)
            .stats()
            .discards()
            .filter(|(cause, _)| match cause {
                Discard::Replay
                | Discard::OldMessage
                | Discard::OldEpoch
                | Discard::ChangeCipherSpec => false,
                Discard::UnexpectedMessage => !requests || side == Side::Server,
                _ => true,
            })
            .collect();
        assert!(unexpected.is_empty(), "{name}: {side}: {unexpected:?}");
    }
}

/// Lets `fate` decide over everything that is sent from now on, by its place.
pub fn decide(pair: &mut Pair, fate: impl Fn(Place, &[u8]) -> Fate + Clone + 'static) {
    for (direction, link) in [
        (Direction::ToServer, &mut pair.to_server),
        (Direction::ToClient, &mut pair.to_client),
    ] {
        let (base, fate) = (link.sent(), fate.clone());
        link.script(move |index, datagram| fate((direction, index - base), datagram));
    }
}

/// The places of datagrams that were recorded.
pub fn places(seen: &[Seen]) -> Vec<Place> {
    let mut counts = [0, 0];
    seen.iter()
        .map(|seen| {
            let count = &mut counts[usize::from(seen.direction == Direction::ToClient)];
            *count += 1;
            (seen.direction, *count - 1)
        })
        .collect()
}

/// What becomes of a datagram in the exhaustive runs.
const FATES: [Fate; 3] = [Fate::Drop, Fate::Duplicate, Fate::Swap];

/// Runs once with each datagram lost, repeated and late. How many runs that were.
pub fn with_each(places: &[Place], mut run: impl FnMut(&[(Place, Fate)])) -> usize {
    for &place in places {
        for fate in FATES {
            run(&[(place, fate)]);
        }
    }
    places.len() * FATES.len()
}

/// Runs once with each pair of datagrams lost, repeated and late, in every combination. How many
/// runs that were.
pub fn with_each_pair(places: &[Place], mut run: impl FnMut(&[(Place, Fate)])) -> usize {
    let mut runs = 0;
    for (index, &first) in places.iter().enumerate() {
        for &second in &places[index + 1..] {
            for (one, other) in FATES.into_iter().flat_map(|one| FATES.map(|it| (one, it))) {
                run(&[(first, one), (second, other)]);
                runs += 1;
            }
        }
    }
    runs
}

/// The datagrams of `fates` meet with them, all others arrive.
pub fn decide_by(pair: &mut Pair, fates: &[(Place, Fate)]) {
    let own = fates.to_vec();
    decide(pair, move |place, _| {
        let fate = own.iter().find(|(other, _)| *other == place);
        fate.map_or(Fate::Deliver, |&(_, fate)| fate)
    });
}

/// A record as anybody on the path sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OnWire {
    pub content_type: u8,
    pub epoch: u64,
    pub sequence: u64,
}

pub const CHANGE_CIPHER_SPEC: u8 = 20;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const APPLICATION_DATA: u8 = 23;

/// The records of a datagram, with their bytes (RFC 6347 §4.1).
pub fn records(datagram: &[u8]) -> Vec<(OnWire, &[u8])> {
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    };
    let (mut rest, mut found) = (datagram, Vec::new());
    while !rest.is_empty() {
        let length = 13 + usize::from(rest[11]) * 256 + usize::from(rest[12]);
        let (record, behind) = rest.split_at(length);
        let header = OnWire {
            content_type: record[0],
            epoch: number(&record[3..5]),
            sequence: number(&record[5..11]),
        };
        found.push((header, record));
        rest = behind;
    }
    found
}

/// RFC 5288 §3: a number that is used under one key for two different records betrays the key.
pub fn assert_no_number_twice(seen: &[Seen], name: &str) {
    let mut known: HashMap<(Direction, u64, u64), &[u8]> = HashMap::new();
    for seen in seen {
        for (header, record) in records(&seen.datagram) {
            let key = (seen.direction, header.epoch, header.sequence);
            let first = known.insert(key, record);
            let fine = first.is_none_or(|first| first == record || asks_for_cookie(first));
            assert!(fine, "{name}: {key:?}");
        }
    }
}

/// Whether a record asks a client for a cookie. Nobody remembers it: the next one has the same
/// number, the hello's, and another date in its cookie.
fn asks_for_cookie(record: &[u8]) -> bool {
    const HELLO_VERIFY_REQUEST: u8 = 3;
    const SERVER_HELLO: u8 = 2;
    const RETRY: [u8; 4] = [0xcf, 0x21, 0xad, 0x74];
    let plaintext_handshake = record[0] == 22 && record[3..5] == [0, 0];
    let retry = record[13] == SERVER_HELLO && record[27..31] == RETRY;
    plaintext_handshake && (record[13] == HELLO_VERIFY_REQUEST || retry)
}
