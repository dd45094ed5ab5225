//! Two endpoints with many associations between them, and an account of every message.

use crate::agenda::{Dice, Task};
use crate::flow::Flow;
use crate::support::CrowdConfigs;
use bytes::BytesMut;
use sealgram::endpoint::{AssociationId, Endpoint, EndpointPolicy};
use sealgram::error::{KeyUpdateError, RenegotiateError, SendError};
use sealgram::record::Discard;
use sealgram::sim::{Conditions, Fate, Link};
use sealgram::{Event, HandshakeKind, KeyUpdate, Path};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Instant;

pub const CLIENT: usize = 0;
pub const SERVER: usize = 1;

/// How many bytes longer than its data a datagram of version 1.3 is: header, type and tag.
const OVERHEAD_13: usize = 5 + 1 + 16;

/// The type of a record of data at version 1.2, its first byte.
const APPLICATION_DATA: u8 = 23;

/// Who it is from, its number, and whether an echo is wanted.
const HEAD: usize = 9;

/// The least and the most data in a message, in bytes. The least is more than any message of a key
/// update takes, so that the length tells them apart where everything is encrypted.
const SIZES: (u64, u64) = (100, 1000);

/// What honest ends and a link that loses and reorders can cause.
const EXPECTED: [Discard; 6] = [
    Discard::Replay,
    Discard::OldMessage,
    Discard::OldEpoch,
    Discard::FutureEpoch,
    Discard::ChangeCipherSpec,
    Discard::UnexpectedMessage,
];

/// One association.
#[derive(Default)]
struct Member {
    ids: [Option<AssociationId>; 2],
    /// By who sends.
    flows: [Flow; 2],
}

impl Member {
    fn is_connected(&self) -> bool {
        self.ids.iter().all(Option::is_some)
    }
}

/// What has happened, all in all.
#[derive(Default, Clone, Debug)]
pub struct Tally {
    pub connected: u64,
    pub sent: u64,
    pub delivered: u64,
    pub lost: u64,
    /// Datagrams of all kinds, and those that were lost.
    pub datagrams: u64,
    pub datagrams_lost: u64,
    /// Refused by `send`, as too much waited.
    pub refused: u64,
    pub renegotiations: u64,
    pub abbreviated: u64,
    pub renegotiations_refused: u64,
    pub key_updates: u64,
}

/// Everybody.
pub struct Crowd {
    pub now: Instant,
    pub dice: Dice,
    pub tally: Tally,
    /// What must not have happened.
    pub faults: Vec<String>,
    configs: CrowdConfigs,
    ends: [Endpoint; 2],
    links: [Link; 2],
    /// Whether the link has lost what was put on it last, by who sends.
    lost: [Rc<Cell<bool>>; 2],
    members: Vec<Member>,
    names: [HashMap<AssociationId, u32>; 2],
    out: Vec<u8>,
    parcel: Vec<u8>,
}

/// Where an end of an association is, as the other sees it.
fn address(end: usize, member: u32) -> SocketAddr {
    let first = [10 << 24, 11 << 24][end];
    (Ipv4Addr::from(first + member), 4433).into()
}

/// Whose address that is.
fn member_at(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(address) => u32::from(*address.ip()) & 0x00ff_ffff,
        SocketAddr::V6(_) => unreachable!("nobody has such an address here"),
    }
}

impl Crowd {
    pub fn new(now: Instant, associations: u32, loss: f64, seed: u64) -> Self {
        let configs = CrowdConfigs::new();
        let policy = EndpointPolicy::default()
            .idle_timeout(None)
            .max_associations(associations as usize)
            .unwrap();
        let conditions = Conditions {
            reorder: 4,
            ..Conditions::default()
        };
        let lost = [(); 2].map(|()| Rc::new(Cell::new(false)));
        let links = [CLIENT, SERVER].map(|end| {
            let mut link = Link::new(conditions.clone(), 2 * seed + end as u64);
            let (mut dice, lost) = (Dice::new(!seed ^ end as u64), lost[end].clone());
            link.script(move |_, _| {
                lost.set(dice.is(loss));
                if lost.get() {
                    Fate::Drop
                } else {
                    Fate::Deliver
                }
            });
            link
        });
        Self {
            now,
            dice: Dice::new(seed),
            tally: Tally::default(),
            faults: Vec::new(),
            ends: [
                Endpoint::new(now, policy.clone(), None).unwrap(),
                Endpoint::new(now, policy, Some(configs.server.clone())).unwrap(),
            ],
            configs,
            links,
            lost,
            members: (0..associations).map(|_| Member::default()).collect(),
            names: Default::default(),
            out: Vec::new(),
            parcel: Vec::new(),
        }
    }

    /// Every other association is of version 1.3.
    const fn is_13(member: u32) -> bool {
        member % 2 == 1
    }

    fn fault(&mut self, member: u32, what: impl std::fmt::Display) {
        let version = if Self::is_13(member) { "1.3" } else { "1.2" };
        self.faults
            .push(format!("association {member}, {version}: {what}"));
    }

    /// When the next datagram arrives or the next timer expires.
    pub fn next(&self) -> Option<Instant> {
        let arrivals = self.links.iter().filter_map(Link::next_arrival);
        let timers = self.ends.iter().filter_map(Endpoint::poll_timeout);
        arrivals.chain(timers).min()
    }

    /// What has arrived is received, and timers that have expired fire.
    pub fn step(&mut self) {
        for from in [CLIENT, SERVER] {
            let to = 1 - from;
            while let Some(parcel) = self.links[from].receive(self.now) {
                let (member, datagram) = parcel.split_first_chunk().expect("it was put there");
                let path = Path::new(address(from, u32::from_be_bytes(*member)));
                self.ends[to].handle_datagram(self.now, path, BytesMut::from(datagram));
                self.transmit(to, None);
                self.hear(to);
            }
        }
        for end in [CLIENT, SERVER] {
            let deadline = self.ends[end].poll_timeout();
            if deadline.is_some_and(|deadline| deadline <= self.now) {
                self.ends[end].handle_timeout(self.now);
                self.transmit(end, None);
                self.hear(end);
            }
        }
    }

    pub fn perform(&mut self, member: u32, task: Task) {
        match task {
            Task::Connect => self.connect(member),
            Task::Ask => {
                let end = self.dice.below(2) as usize;
                self.send(end, member, true);
            }
            Task::Rekey => self.rekey(member),
        }
    }

    fn connect(&mut self, member: u32) {
        let config = self.configs.clients[usize::from(Self::is_13(member))].clone();
        let path = Path::new(address(SERVER, member));
        let name = crate::support::server_name();
        match self.ends[CLIENT].connect(self.now, config, name, path) {
            Ok(_) => self.transmit(CLIENT, None),
            Err(error) => self.fault(member, error),
        }
    }

    /// Puts on the link what an end has to say. `message`: what `send` has just taken, of which
    /// association, and how long it is.
    fn transmit(&mut self, end: usize, message: Option<(u32, usize)>) {
        let mut message = message.filter(|&(member, _)| Self::is_13(member));
        let mut out = std::mem::take(&mut self.out);
        loop {
            out.clear();
            let Some(transmit) = self.ends[end].poll_transmit(self.now, 64, &mut out) else {
                break;
            };
            let member = member_at(transmit.path.remote());
            let size = transmit.segment_size.unwrap_or(transmit.len).max(1);
            for datagram in out[..transmit.len].chunks(size) {
                let is_data = if Self::is_13(member) {
                    // Everything else has left before it was taken.
                    let is_it = message.is_some_and(|it| it == (member, datagram.len()));
                    message = message.filter(|_| !is_it);
                    is_it
                } else {
                    datagram[0] == APPLICATION_DATA
                };
                self.carry(end, member, datagram, is_data);
            }
        }
        self.out = out;
        if let Some((member, _)) = message {
            self.fault(member, "a message was taken, and no datagram left");
        }
    }

    fn carry(&mut self, end: usize, member: u32, datagram: &[u8], is_data: bool) {
        self.parcel.clear();
        self.parcel.extend_from_slice(&member.to_be_bytes());
        self.parcel.extend_from_slice(datagram);
        self.links[end].send(self.now, &self.parcel);
        let lost = self.lost[end].get();
        self.tally.datagrams += 1;
        self.tally.datagrams_lost += u64::from(lost);
        if is_data {
            self.tally.lost += u64::from(lost);
            if !self.members[member as usize].flows[end].leave(lost) {
                self.fault(member, "data has left that was not sent");
            }
        }
    }

    /// Sends the next message, if the association is up and takes it now.
    fn send(&mut self, end: usize, member: u32, wants_echo: bool) {
        let this = &self.members[member as usize];
        if !this.is_connected() {
            return;
        }
        let id = this.ids[end].expect("it is connected");
        let length = SIZES.0 + self.dice.below(SIZES.1 - SIZES.0);
        let data = message(member, this.flows[end].sent, wants_echo, length as usize);
        let Some(mut association) = self.ends[end].association(self.now, id) else {
            return self.fault(member, "it is gone");
        };
        let sent = association.send(&data);
        drop(association);
        match sent {
            Ok(()) => {
                self.tally.sent += 1;
                self.members[member as usize].flows[end].take();
                self.transmit(end, Some((member, data.len() + OVERHEAD_13)));
            }
            Err(SendError::Backlog | SendError::Renegotiating) => self.tally.refused += 1,
            Err(error) => self.fault(member, error),
        }
    }

    fn rekey(&mut self, member: u32) {
        let end = self.dice.below(2) as usize;
        let other = self.dice.below(2) == 0;
        let this = &self.members[member as usize];
        if !this.is_connected() {
            return;
        }
        let id = this.ids[end].expect("it is connected");
        let Some(mut association) = self.ends[end].association(self.now, id) else {
            return self.fault(member, "it is gone");
        };
        // The one before may still be under way.
        let refused = if Self::is_13(member) {
            let update = if other {
                KeyUpdate::Requested
            } else {
                KeyUpdate::NotRequested
            };
            let refused = association.key_update(update).err();
            let refused = refused.filter(|it| *it != KeyUpdateError::Pending);
            refused.map(|it| it.to_string())
        } else {
            let begun = if other && end == CLIENT {
                association.renegotiate_abbreviated()
            } else {
                association.renegotiate()
            };
            let refused = begun.err().filter(|it| *it != RenegotiateError::Pending);
            refused.map(|it| it.to_string())
        };
        drop(association);
        if let Some(refused) = refused {
            self.fault(member, refused);
        }
        self.transmit(end, None);
        self.hear(end);
    }

    /// Takes note of what an end tells.
    fn hear(&mut self, end: usize) {
        while let Some((id, event)) = self.ends[end].poll_event() {
            match event {
                Event::Readable => self.fetch(end, id),
                Event::HandshakeComplete {
                    kind,
                    renegotiation,
                } => {
                    self.complete(end, id, kind, renegotiation);
                }
                Event::RenegotiationRefused { .. } => self.tally.renegotiations_refused += 1,
                Event::KeysUpdated { .. } => self.tally.key_updates += u64::from(end == CLIENT),
                Event::TicketReceived => {}
                other => {
                    let member = self.names[end].get(&id).copied().unwrap_or(u32::MAX);
                    let side = ["client", "server"][end];
                    self.fault(member, format!("{side}: {other:?}"));
                }
            }
        }
    }

    fn complete(&mut self, end: usize, id: AssociationId, kind: HandshakeKind, again: bool) {
        if again {
            self.tally.renegotiations += u64::from(end == CLIENT);
            let abbreviated = kind == HandshakeKind::Resumed && end == CLIENT;
            self.tally.abbreviated += u64::from(abbreviated);
            return;
        }
        let path = self.ends[end].connection(id).map(|it| it.path().remote());
        let Some(remote) = path else {
            self.faults.push(format!("{id:?}: complete, and gone"));
            return;
        };
        let member = member_at(remote);
        self.names[end].insert(id, member);
        let this = &mut self.members[member as usize];
        this.ids[end] = Some(id);
        self.tally.connected += u64::from(this.is_connected());
    }

    fn fetch(&mut self, end: usize, id: AssociationId) {
        let Some(&member) = self.names[end].get(&id) else {
            self.faults
                .push(format!("{id:?}: data before it was connected"));
            return;
        };
        while let Some(received) = {
            let association = self.ends[end].association(self.now, id);
            association.and_then(|mut it| it.recv())
        } {
            let data = &received.data;
            let number = data.get(4..8).and_then(|it| it.try_into().ok());
            let number = number.map_or(u32::MAX, u32::from_be_bytes);
            let wants_echo = data.get(8) == Some(&1);
            if data[..] != message(member, number, wants_echo, data.len()) {
                self.fault(member, format!("message {number} was altered"));
                continue;
            }
            if !self.members[member as usize].flows[1 - end].arrive(number) {
                self.fault(
                    member,
                    format!("message {number} came twice, or was lost before"),
                );
                continue;
            }
            self.tally.delivered += 1;
            if wants_echo {
                self.send(end, member, false);
            }
        }
        self.transmit(end, None);
    }

    /// How many messages wait for the end of a renegotiation, and how many are on the link.
    pub fn unsettled(&self) -> (usize, usize) {
        let flows = || self.members.iter().flat_map(|member| &member.flows);
        (
            flows().map(Flow::held).sum(),
            flows().map(Flow::under_way).sum(),
        )
    }

    /// Gives back memory that an idle crowd does not need.
    pub fn release(&mut self) {
        let flows = self.members.iter_mut().flat_map(|member| &mut member.flows);
        flows.for_each(Flow::release);
        (self.out, self.parcel) = (Vec::new(), Vec::new());
    }

    /// The account after everything has come to rest: every message of every association was
    /// delivered, or lost by the link, or its receiver has counted that it had no key for it.
    /// Returns how many of the last there are, and what was discarded by cause.
    pub fn settle(&mut self) -> (u64, BTreeMap<&'static str, u64>) {
        let (mut missing, mut discards) = (0, BTreeMap::new());
        for member in 0..self.members.len() as u32 {
            for end in [CLIENT, SERVER] {
                let this = &self.members[member as usize];
                let (held, absent) = (this.flows[end].held(), this.flows[end].under_way() as u64);
                let receiver = this.ids[1 - end];
                let receiver = receiver.and_then(|id| self.ends[1 - end].connection(id));
                let Some(receiver) = receiver else {
                    self.fault(member, "it is gone");
                    continue;
                };
                let stats = receiver.stats().clone();
                for (cause, count) in stats.discards() {
                    *discards.entry(cause.name()).or_insert(0) += count;
                    if !EXPECTED.contains(&cause) {
                        self.fault(member, format!("{count} times {cause}"));
                    }
                }
                let keyless = [Discard::OldEpoch, Discard::FutureEpoch];
                let counted: u64 = keyless.iter().map(|&it| stats.discarded(it)).sum();
                missing += absent;
                if held > 0 || absent > counted {
                    self.fault(
                        member,
                        format!("{held} were never sent, {absent} are missing"),
                    );
                }
            }
        }
        (missing, discards)
    }

    /// Whether all are connected.
    pub fn is_complete(&self) -> bool {
        self.tally.connected == self.members.len() as u64
    }
}

/// The message with this number: no two are alike.
fn message(member: u32, number: u32, wants_echo: bool, length: usize) -> Vec<u8> {
    let mut data = Vec::with_capacity(length);
    data.extend_from_slice(&member.to_be_bytes());
    data.extend_from_slice(&number.to_be_bytes());
    data.push(u8::from(wants_echo));
    data.resize(
        length.max(HEAD),
        member.wrapping_add(number).to_be_bytes()[3],
    );
    data
}
