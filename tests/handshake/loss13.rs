//! Exhaustive loss at DTLS 1.3: whatever single datagram or pair of datagrams of a handshake, or of
//! a key update, is lost, arrives twice or behind the next one, both ends come to the same keys
//! (RFC 9147 §5.8, §7, §8).
//!
//! Section G of the failure catalogue, but for connection IDs, which do not exist here (G9 to G16):
//!
//! * G1: here, and `r9147_42_new_keys_are_not_used_before_the_acknowledgement`
//! * G2: `r9147_45_epochs_end`
//! * G3: `r9147_41_acknowledging_what_was_not_sent_is_a_fault`
//! * G4, G5: `r9147_39_only_handshake_records_are_acknowledged`,
//!   `r9147_40_no_empty_acknowledgement_is_sent`
//! * G6: `r9147_31_a_burst_has_ten_records_and_repeats_only_what_is_missing`, and here at an MTU of
//!   256
//! * G7: here: [`Kind::TicketsAndUpdates`]
//! * G8: `r9147_28_a_repeated_last_flight_is_acknowledged_again`
//! * G17: `alerts_are_fatal_whatever_their_level`
//! * G18: `interop/`
//! * G19: `r9147_36_records_without_keys_are_dropped`

use crate::common::configs::{Configs, Ends};
use crate::common::handshakes::{
    Place, SIDES, assert_quiet, connection, decide_by, exported, places, with_each, with_each_pair,
};
use sealgram::config::{Algorithms, DatagramPolicy, Versions};
use sealgram::identity::{SharedKey, SharedKeys};
use sealgram::record::Discard;
use sealgram::sim::{Fate, Pair, Seen};
use sealgram::{HandshakeKind, KeyUpdate, NamedGroup, Side};
use std::sync::Arc;
use std::time::Duration;

/// What happens while datagrams are lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Full,
    /// The first hello has no share of the server's only group.
    OtherGroup,
    ClientCertificate,
    /// A server's flight of two bursts.
    LongChain,
    /// The same by both ends.
    LongChains,
    /// With a key that both ends were given, and without certificates.
    SharedKey,
    /// The same with a first hello that has no share of the server's only group.
    SharedKeyOtherGroup,
    /// With a ticket; two new ones are on their way behind it.
    Resumed,
    /// A client that takes tickets: they are in flight when the handshake is done.
    Tickets,
    /// Key updates by each side, with and without a request.
    Update(Side, KeyUpdate),
    /// Both at once, each asking the other.
    UpdateByBoth,
    /// The same before the tickets of the handshake have arrived, and its last acknowledgement.
    TicketsAndUpdates,
}

const KINDS: [Kind; 15] = [
    Kind::Full,
    Kind::OtherGroup,
    Kind::ClientCertificate,
    Kind::LongChain,
    Kind::LongChains,
    Kind::SharedKey,
    Kind::SharedKeyOtherGroup,
    Kind::Resumed,
    Kind::Tickets,
    Kind::Update(Side::Client, KeyUpdate::NotRequested),
    Kind::Update(Side::Client, KeyUpdate::Requested),
    Kind::Update(Side::Server, KeyUpdate::NotRequested),
    Kind::Update(Side::Server, KeyUpdate::Requested),
    Kind::UpdateByBoth,
    Kind::TicketsAndUpdates,
];

fn shared_key() -> SharedKey {
    SharedKey::new(b"device 7", &[0x5a; 16]).unwrap()
}

struct Scenario {
    kind: Kind,
    mtu: usize,
}

impl Scenario {
    fn all() -> impl Iterator<Item = Self> {
        KINDS
            .into_iter()
            .flat_map(|kind| [1400, 256].map(|mtu| Self { kind, mtu }))
    }

    /// Configurations whose client has no tickets yet.
    fn configs(&self) -> Configs {
        let policy = DatagramPolicy::default().mtu(self.mtu).unwrap();
        // Twelve records and a few more.
        let long = 12 * (self.mtu - 50);
        let ends = match self.kind {
            Kind::LongChain | Kind::LongChains => Ends::with_chain(long),
            _ => Ends::new(),
        };
        let mut ends = ends.versions(Versions::V1_3).datagram(&policy);
        match self.kind {
            Kind::SharedKey | Kind::SharedKeyOtherGroup => {
                let keys = SharedKeys::new([shared_key()]);
                ends.server = ends.server.shared_keys(Arc::new(keys));
                ends.client = ends.client.add_shared_key(shared_key());
            }
            _ => {}
        }
        match self.kind {
            Kind::OtherGroup | Kind::SharedKeyOtherGroup => {
                ends.server = ends.server.algorithms(
                    Algorithms::default()
                        .groups(&[NamedGroup::SECP384R1])
                        .unwrap(),
                );
            }
            Kind::ClientCertificate => ends = ends.mutual(),
            Kind::LongChains => ends = ends.mutual_with_chain(long),
            Kind::Resumed | Kind::Tickets | Kind::TicketsAndUpdates => {
                ends = ends.resuming();
            }
            _ => {}
        }
        ends.build()
    }

    fn is_update(&self) -> bool {
        matches!(
            self.kind,
            Kind::Update(..) | Kind::UpdateByBoth | Kind::TicketsAndUpdates
        )
    }

    /// In which epochs client and server write in the end.
    fn epochs(&self) -> [u64; 2] {
        match self.kind {
            Kind::Update(Side::Client, KeyUpdate::NotRequested) => [4, 3],
            Kind::Update(Side::Server, KeyUpdate::NotRequested) => [3, 4],
            Kind::Update(..) => [4, 4],
            // RFC 8446 §4.6.3: each answers the other's request, unless it has come before its own
            // had left.
            Kind::UpdateByBoth | Kind::TicketsAndUpdates => [5, 5],
            _ => [3, 3],
        }
    }

    /// Two ends that have everything behind them but what is to be disturbed.
    fn ready(&self) -> Pair {
        let configs = self.configs();
        if self.kind == Kind::Resumed {
            let mut pair = configs.connected(1);
            pair.run_for(Duration::from_secs(1));
        }
        if !self.is_update() {
            return configs.pair(1);
        }
        let mut pair = configs.connected(1);
        if self.kind != Kind::TicketsAndUpdates {
            pair.run_for(Duration::from_secs(1));
        }
        match self.kind {
            Kind::Update(side, update) => begin(&mut pair, side, update),
            _ => SIDES
                .into_iter()
                .for_each(|side| begin(&mut pair, side, KeyUpdate::Requested)),
        }
        pair
    }

    fn is_done(&self, pair: &Pair) -> bool {
        let settled = |side| connection(pair, side).key_update_type().is_none();
        let epochs = || SIDES.map(|side| connection(pair, side).epoch().number());
        pair.is_connected() && SIDES.into_iter().all(settled) && epochs() == self.epochs()
    }

    fn completes(&self, pair: &mut Pair, circumstances: &str) {
        let name = format!(
            "{:?}, {}-byte datagrams, {circumstances}",
            self.kind, self.mtu
        );
        assert!(
            pair.run_until(Duration::from_secs(60), |pair| self.is_done(pair)),
            "{name}: {:?} {:?} {:?} {:?}",
            pair.client_events,
            pair.server_events,
            pair.client_connection(),
            pair.server_connection(),
        );
        let expected = match self.kind {
            Kind::Resumed => HandshakeKind::Resumed,
            _ => HandshakeKind::Full,
        };
        let [client, server] = SIDES.map(|side| connection(pair, side));
        for end in [client, server] {
            assert_eq!(end.handshake_kind(), Some(expected), "{name}");
        }
        assert_eq!(exported(client), exported(server), "{name}");
        // What follows the handshake meets its fate too, before there is data.
        pair.run_for(Duration::from_secs(5));
        // Data is never repeated. A fate that was meant for a datagram that was not needed is not
        // its fate.
        decide_by(pair, &[]);
        assert!(pair.exchange(3), "{name}");
        assert_quiet(pair, &name);
        // Behind a lost ServerHello a burst has more records than may wait for their keys.
        let long = matches!(self.kind, Kind::LongChain | Kind::LongChains);
        let expected = |cause| {
            [Discard::Replay, Discard::OldMessage, Discard::OldEpoch].contains(&cause)
                || long && cause == Discard::FutureEpoch
        };
        for side in SIDES {
            let unexpected: Vec<_> = connection(pair, side)
                .stats()
                .discards()
                .filter(|(cause, _)| !expected(*cause))
                .collect();
            assert!(unexpected.is_empty(), "{name}: {side}: {unexpected:?}");
        }
    }
}

fn begin(pair: &mut Pair, side: Side, update: KeyUpdate) {
    let now = pair.now;
    let (endpoint, events) = match side {
        Side::Client => (&mut pair.client, &pair.client_events),
        Side::Server => (&mut pair.server, &pair.server_events),
    };
    endpoint
        .association(now, events[0].0)
        .unwrap()
        .key_update(update)
        .unwrap();
}

fn undisturbed(scenario: &Scenario) -> Vec<Seen> {
    let mut pair = scenario.ready();
    pair.record();
    assert!(
        pair.run_until(Duration::from_secs(5), |pair| scenario.is_done(pair)),
        "{:?}: {:?} {:?}",
        scenario.kind,
        pair.client_connection(),
        pair.server_connection()
    );
    pair.run_for(Duration::from_secs(1));
    pair.seen.unwrap_or_default()
}

fn survives(scenario: &Scenario, fates: &[(Place, Fate)]) {
    let mut pair = scenario.ready();
    pair.record();
    decide_by(&mut pair, fates);
    let circumstances = format!("{fates:?}");
    scenario.completes(&mut pair, &circumstances);
}

#[test]
fn every_single_datagram_may_be_lost_repeated_or_late() {
    let mut runs = 0;
    for scenario in Scenario::all() {
        let places = places(&undisturbed(&scenario));
        assert!(places.len() >= 2, "{:?}", scenario.kind);
        runs += with_each(&places, |fates| survives(&scenario, fates));
    }
    println!("{runs} handshakes and key updates with one datagram lost, repeated or late");
}

#[test]
fn every_pair_of_datagrams_may_be_lost_repeated_or_late() {
    let mut runs = 0;
    // Of pairs of many small datagrams there are too many.
    let cheap = |it: &Scenario| match it.kind {
        Kind::LongChain => it.mtu > 1000,
        Kind::LongChains => false,
        _ => true,
    };
    for scenario in Scenario::all().filter(cheap) {
        let places = places(&undisturbed(&scenario));
        runs += with_each_pair(&places, |fates| survives(&scenario, fates));
    }
    println!("{runs} handshakes and key updates with two datagrams lost, repeated or late");
}
