//! Full-duplex traffic over a bad network, with an account of what became of every datagram.

use super::handshakes::{APPLICATION_DATA, SIDES, completed, connection, records};
use sealgram::endpoint::{Endpoint, EndpointPolicy};
use sealgram::record::{Discard, Initiator};
use sealgram::sim::{Conditions, Fate, Link, Pair};
use sealgram::{Event, HandshakeKind, Side};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::common::configs::{Configs, server_name, start};
use crate::common::dice::Dice;

impl Dice {
    /// True `percent` times in a hundred.
    pub const fn is(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What the network did with the data of one direction.
#[derive(Default)]
struct Wire {
    /// The epoch of each data record, in the order of sending.
    epochs: Vec<u64>,
    lost: u64,
}

/// What one end sent, and what of it arrived at the other.
#[derive(Default)]
struct Flow {
    sent: Vec<Sent>,
    delivered: Vec<bool>,
    wire: Rc<RefCell<Wire>>,
}

/// A datagram that was taken by `send`.
struct Sent {
    epoch: u64,
    /// Whether a renegotiation was under way, so that it might wait for the next epoch.
    pending: bool,
}

/// How bad the network is, in percent.
#[derive(Clone, Copy)]
pub struct Weather {
    pub loss: u64,
    pub duplicate: u64,
    pub reorder: u32,
}

/// Two ends with traffic between them.
pub struct Traffic {
    pub pair: Pair,
    pub dice: Dice,
    name: String,
    flows: [Flow; 2],
}

/// What one simulation came to.
#[derive(Default, Debug)]
pub struct Account {
    pub sent: u64,
    pub lost: u64,
    pub delivered: u64,
    /// Dropped and counted by the receiver.
    pub discarded: u64,
    /// Records that came when there was no room for them, as data that overtakes Finished for too
    /// long.
    pub queue_full: u64,
    pub renegotiations: u64,
    pub refused: u64,
    pub resumed: u64,
}

impl Account {
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.lost += other.lost;
        self.delivered += other.delivered;
        self.discarded += other.discarded;
        self.queue_full += other.queue_full;
        self.renegotiations += other.renegotiations;
        self.refused += other.refused;
        self.resumed += other.resumed;
    }
}

impl Traffic {
    /// Two ends that are connected; from then on the network is as bad as `weather` says.
    pub fn new(configs: &Configs, weather: Weather, seed: u64, name: &str) -> Self {
        let policy = EndpointPolicy::default().idle_timeout(None);
        let server = configs.server.clone();
        let mut pair = Pair::with_policy(server, policy.clone(), start(), seed).unwrap();
        pair.client = Endpoint::new(pair.now, policy, None).unwrap();
        pair.connect(configs.client.clone(), server_name()).unwrap();
        assert!(pair.run_until_connected(Duration::from_secs(5)));
        pair.record();
        let mut traffic = Self {
            pair,
            dice: Dice::new(seed),
            name: format!("{name}, seed {seed}"),
            flows: Default::default(),
        };
        traffic.set_weather(weather, seed);
        traffic
    }

    pub fn set_weather(&mut self, weather: Weather, seed: u64) {
        self.pair.set_conditions(&Conditions {
            reorder: weather.reorder,
            ..Conditions::default()
        });
        for side in SIDES {
            let link = self.outgoing(side);
            let wire = self.flows[index(side)].wire.clone();
            let mut dice =
                Dice::new(seed.wrapping_mul(2).wrapping_add(index(side) as u64) ^ 0x5ea1);
            link(&mut self.pair).script(move |_, datagram| {
                let fate = if dice.is(weather.loss) {
                    Fate::Drop
                } else if dice.is(weather.duplicate) {
                    Fate::Duplicate
                } else {
                    Fate::Deliver
                };
                let mut wire = wire.borrow_mut();
                for (header, _) in records(datagram) {
                    if header.content_type == APPLICATION_DATA {
                        wire.epochs.push(header.epoch);
                        wire.lost += u64::from(fate == Fate::Drop);
                    }
                }
                fate
            });
        }
    }

    fn outgoing(&self, side: Side) -> impl Fn(&mut Pair) -> &mut Link + use<> {
        move |pair| match side {
            Side::Client => &mut pair.to_server,
            Side::Server => &mut pair.to_client,
        }
    }

    /// Sends the next datagram of one end. `false` if the end does not take it now.
    pub fn send(&mut self, side: Side) -> bool {
        let flow = &self.flows[index(side)];
        let end = connection(&self.pair, side);
        let sent = Sent {
            epoch: end.epoch().number(),
            pending: end.renegotiate_pending(),
        };
        let data = datagram(side, flow.sent.len());
        let taken = super::handshakes::send(&mut self.pair, side, &data).is_ok();
        if taken {
            let flow = &mut self.flows[index(side)];
            flow.sent.push(sent);
            flow.delivered.push(false);
        }
        taken
    }

    /// Lets time pass, and fetches what has come.
    pub fn run_for(&mut self, duration: Duration) {
        self.pair.run_for(duration);
        for side in SIDES {
            self.fetch(side);
        }
        self.assert_alive();
    }

    /// Nothing but the end of the simulation ends an association.
    fn assert_alive(&mut self) {
        if self.pair.client.len() == 1 && self.pair.server.len() == 1 {
            return;
        }
        let mut told = self.pair.client_events.split_off(0);
        told.extend(std::iter::from_fn(|| self.pair.client.poll_event()));
        told.append(&mut self.pair.server_events);
        told.extend(std::iter::from_fn(|| self.pair.server.poll_event()));
        let is_end = |event: &Event| matches!(event, Event::Failed(_) | Event::Closed);
        told.retain(|(_, event)| is_end(event));
        panic!("{}: an association has ended: {told:?}", self.name);
    }

    fn fetch(&mut self, side: Side) {
        let (name, now) = (&self.name, self.pair.now);
        let (endpoint, events) = match side {
            Side::Client => (&mut self.pair.client, &self.pair.client_events),
            Side::Server => (&mut self.pair.server, &self.pair.server_events),
        };
        let flow = &mut self.flows[index(side.peer())];
        let wire = flow.wire.borrow();
        while let Some(received) = endpoint.association(now, completed(events)).unwrap().recv() {
            let number: [u8; 4] = received.data[..4].try_into().unwrap();
            let number = usize::try_from(u32::from_be_bytes(number)).unwrap();
            let sent = flow.sent.get(number);
            let sent = sent.unwrap_or_else(|| panic!("{name}: {number} was never sent"));
            assert_eq!(received.data, datagram(side.peer(), number), "{name}");
            assert!(!flow.delivered[number], "{name}: {number} came twice");
            flow.delivered[number] = true;
            let epoch = received.epoch.number();
            assert_eq!(epoch, wire.epochs[number], "{name}: label of {number}");
            let latest = sent.epoch + u64::from(sent.pending);
            assert!(
                (sent.epoch..=latest).contains(&epoch),
                "{name}: {number} was sent in {} and sealed in {epoch}",
                sent.epoch
            );
        }
    }

    /// Whether nothing is under way at either end.
    pub fn is_settled(&self) -> bool {
        let [client, server] = SIDES.map(|side| connection(&self.pair, side));
        client.epoch() == server.epoch()
            && !client.renegotiate_pending()
            && !server.renegotiate_pending()
    }

    /// Lets everything end that is under way, in weather as it is; how long that takes.
    pub fn settle(&mut self, limit: Duration) -> Duration {
        let start = self.pair.now;
        loop {
            while !self.is_settled() {
                self.run_for(Duration::from_millis(100));
                assert!(
                    self.pair.now - start < limit,
                    "{}: {:?} {:?} {:?} {:?}",
                    self.name,
                    connection(&self.pair, Side::Client),
                    connection(&self.pair, Side::Server),
                    self.pair.client_events,
                    self.pair.server_events,
                );
            }
            let settled = self.pair.now;
            // What is still on its way arrives, and may reach a limit of the keys.
            self.run_for(Duration::from_secs(1));
            if self.is_settled() {
                return settled - start;
            }
        }
    }

    /// The account of a simulation that has settled; the ends must agree, and nothing may be left
    /// of what they did.
    pub fn close_account(&mut self) -> Account {
        let mut account = Account::default();
        for side in SIDES {
            self.account_of_data(side, &mut account);
            self.account_of_renegotiations(side, &mut account);
        }
        let seen = self.pair.seen.take().unwrap_or_default();
        super::handshakes::assert_no_number_twice(&seen, &self.name);
        self.pair.set_conditions(&Conditions::default());
        super::handshakes::assert_agreed(&mut self.pair, &self.name);
        // Of the copy of a hello that was refused a part may have come last; the next hello takes
        // its place.
        let left = if account.refused > 0 { 512 } else { 0 };
        super::handshakes::assert_quiet_but(&mut self.pair, left, &self.name);
        for endpoint in [&self.pair.client, &self.pair.server] {
            assert_eq!(endpoint.poll_timeout(), None, "{}", self.name);
        }
        account
    }

    /// Nothing is missing but what the network lost and what the receiver has counted.
    fn account_of_data(&self, side: Side, account: &mut Account) {
        let name = &self.name;
        let flow = &self.flows[index(side)];
        let wire = flow.wire.borrow();
        let sent = flow.sent.len() as u64;
        assert_eq!(
            wire.epochs.len() as u64,
            sent,
            "{name}: {side}: on the wire"
        );
        let delivered = flow.delivered.iter().filter(|&&it| it).count() as u64;
        let missing = sent - wire.lost - delivered;
        let stats = connection(&self.pair, side.peer()).stats();
        let counted = [
            Discard::ReceiveQueueFull,
            Discard::OldEpoch,
            Discard::FutureEpoch,
        ]
        .map(|cause| stats.discarded(cause));
        assert!(
            missing <= counted.iter().sum(),
            "{name}: {side}: {missing} of {sent} are missing, {stats:?}"
        );
        let unexpected: Vec<_> = stats
            .discards()
            .filter(|(cause, _)| !EXPECTED.contains(cause))
            .collect();
        assert!(unexpected.is_empty(), "{name}: {side}: {unexpected:?}");
        account.sent += sent;
        account.lost += wire.lost;
        account.delivered += delivered;
        account.discarded += missing;
        account.queue_full += stats.discarded(Discard::ReceiveQueueFull);
    }

    /// What was begun has ended, and counters and events tell the same.
    fn account_of_renegotiations(&self, side: Side, account: &mut Account) {
        let name = &self.name;
        let end = connection(&self.pair, side);
        let all = [Initiator::Local, Initiator::Automatic, Initiator::Peer];
        let counts = all.map(|initiator| end.stats().renegotiations_by(initiator));
        for (initiator, counts) in all.iter().zip(counts) {
            assert_eq!(
                counts.started,
                counts.completed + counts.refused,
                "{name}: {side}: {initiator:?}"
            );
        }
        let events = match side {
            Side::Client => &self.pair.client_events,
            Side::Server => &self.pair.server_events,
        };
        let (mut completed, mut resumed, mut refused) = (0, 0, 0);
        for (_, event) in events {
            match event {
                Event::HandshakeComplete {
                    renegotiation: true,
                    kind,
                } => {
                    completed += 1;
                    resumed += u64::from(*kind == HandshakeKind::Resumed);
                }
                Event::RenegotiationRefused { .. } => refused += 1,
                Event::HandshakeComplete { .. } | Event::Readable => {}
                other => panic!("{name}: {side}: {other:?}"),
            }
        }
        let sum: u64 = counts.iter().map(|counts| counts.completed).sum();
        assert_eq!(completed, sum, "{name}: {side}");
        assert_eq!(end.renegotiations(), sum, "{name}: {side}");
        assert_eq!(end.epoch().number(), 1 + sum, "{name}: {side}");
        // A flood of wishes is refused once a second, so there may be fewer events than refusals.
        let sum: u64 = counts.iter().map(|counts| counts.refused).sum();
        assert!(
            refused <= sum && (refused > 0 || sum == 0),
            "{name}: {side}"
        );
        if side == Side::Client {
            account.renegotiations += completed;
            account.resumed += resumed;
        }
        account.refused += sum;
    }
}

/// What honest peers and a bad network can cause.
const EXPECTED: [Discard; 7] = [
    Discard::Replay,
    Discard::OldMessage,
    Discard::OldEpoch,
    Discard::FutureEpoch,
    Discard::ChangeCipherSpec,
    Discard::UnexpectedMessage,
    Discard::ReceiveQueueFull,
];

const fn index(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}

/// The datagram with this number: no two are alike, and they differ in length.
fn datagram(side: Side, number: usize) -> Vec<u8> {
    let mut data = u32::try_from(number).unwrap().to_be_bytes().to_vec();
    data.resize(
        4 + number * 37 % 180,
        index(side) as u8 + number.to_be_bytes()[7],
    );
    data
}
