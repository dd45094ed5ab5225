//! One phase of a client: its peers gather, work for a while, ask the server what has come, and
//! leave.

use super::load::Tally;
use super::machine;
use super::protocol::{Message, Order, Partial, Reason, Report};
use super::traffic::Dial;
use crate::endpoint::Happening;
use crate::event_loop::{Service, Step};
use crate::problem::Problem;
use crate::report;
use indicatif::ProgressBar;
use sealgram::pki_types::ServerName;
use sealgram::{CipherSuite, ClientConfig, Event, NamedGroup, ProtocolVersion};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The server that is measured.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    pub(super) remote: SocketAddr,
}

impl Target {
    pub(super) fn dial<E: Dial>(&self, endpoint: &mut E) -> Result<E::Id, Problem> {
        endpoint.dial(self.config.clone(), self.name.clone(), self.remote)
    }
}

/// What is done with the peers of a phase.
pub(super) trait Work<E: Dial> {
    /// Something happened to a connection that is not one of the peers.
    fn happened(&mut self, _: &mut E, _: Happening<E::Id>) {}

    /// A data message has come from the server.
    fn data(&mut self, endpoint: &mut E, peer: &mut Peer<E::Id>, sequence: u64);

    /// Does what is to be done now, and says what it waits for.
    fn advance(
        &mut self,
        now: Instant,
        endpoint: &mut E,
        peers: &mut BTreeMap<E::Id, Peer<E::Id>>,
    ) -> Result<Step, Problem>;
}

/// One association that was ordered.
#[derive(Debug)]
pub(super) struct Peer<Id> {
    pub(super) id: Id,
    /// What has come from the server.
    pub(super) tally: Tally,
    partial: Partial,
    progress: Progress,
    report: Option<Report>,
    /// No further report will say anything else.
    settled: bool,
}

/// How far a peer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Progress {
    Handshaking,
    /// The order is not answered.
    Ordering,
    Working,
}

impl<Id> Peer<Id> {
    fn is_settled(&self, is_late: bool) -> bool {
        self.settled || (is_late && self.report.is_some())
    }
}

/// What a handshake agreed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agreed {
    pub(super) version: ProtocolVersion,
    pub(super) suite: CipherSuite,
    pub(super) group: Option<NamedGroup>,
}

/// A running phase.
pub(super) struct Phase<'a, E: Dial, W> {
    target: &'a Target,
    order: Order,
    pub(super) work: W,
    pub(super) peers: BTreeMap<E::Id, Peer<E::Id>>,
    missing: usize,
    stage: Stage,
    /// When messages that were not answered are sent again.
    next_repetition: Instant,
    /// When the server answered last.
    answered: Instant,
    bar: ProgressBar,
    /// Scratch space for a message.
    buffer: Vec<u8>,
    /// Messages that have just come, with their lengths.
    messages: Vec<(Message, usize)>,
    pub(super) result: Common,
}

/// What every phase measures.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Common {
    pub(super) agreed: Option<Agreed>,
    /// How long the peers worked.
    pub(super) time: Duration,
    /// The processor time of either end meanwhile, where it is known.
    pub(super) client: Option<Duration>,
    pub(super) server: Option<Duration>,
    /// The user ended it before its time.
    pub(super) interrupted: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Gathering,
    Working {
        began: Instant,
        until: Instant,
        client: Option<Duration>,
        server: u64,
    },
    /// The server is asked for its reports.
    Settling {
        /// The processor time of the server when the work began.
        server: u64,
        /// From this moment on any report is good enough.
        until: Instant,
    },
    Leaving {
        until: Instant,
    },
}

/// After what time a message is sent again that was not answered, and an `Alive` follows the last.
const REPETITION: Duration = Duration::from_millis(200);

/// How long a server may say nothing before the bench is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same at the end, when the question may wait behind the data in a long queue.
const STREAM_PATIENCE: Duration = Duration::from_secs(60);

/// How long the reports of the server may go on changing, as late messages come in.
const SETTLING: Duration = Duration::from_secs(3);

/// How long leaving may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// The most handshakes of peers under way.
const GATHERING: usize = 64;

impl<'a, E: Dial, W: Work<E>> Phase<'a, E, W> {
    /// A phase with this number of peers, each with this order.
    pub(super) fn new(
        target: &'a Target,
        bar: ProgressBar,
        order: Order,
        peers: usize,
        work: W,
    ) -> Self {
        let now = Instant::now();
        Self {
            target,
            order,
            work,
            peers: BTreeMap::new(),
            missing: peers,
            stage: Stage::Gathering,
            next_repetition: now,
            answered: now,
            bar,
            buffer: vec![0; 1 << 16],
            messages: Vec::new(),
            result: Common::default(),
        }
    }

    /// What the server has reported of all peers, and the longest of their times.
    pub(super) fn reports(&self) -> (Report, Duration) {
        let mut sum = Report::default();
        for report in self.peers.values().filter_map(|peer| peer.report) {
            sum.sent += report.sent;
            sum.received += report.received;
            sum.bytes += report.bytes;
            sum.reordered += report.reordered;
            sum.span_ns = sum.span_ns.max(report.span_ns);
        }
        (sum, Duration::from_nanos(sum.span_ns))
    }

    /// What has come from the server for all peers.
    pub(super) fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for tally in self.peers.values().map(|peer| peer.tally) {
            sum.add(&tally);
        }
        sum
    }

    fn gather(&mut self, endpoint: &mut E) -> Result<(), Problem> {
        let handshaking = |peer: &&Peer<E::Id>| peer.progress == Progress::Handshaking;
        let mut under_way = self.peers.values().filter(handshaking).count();
        while self.missing > 0 && under_way < GATHERING {
            let id = self.target.dial(endpoint)?;
            let peer = Peer {
                id,
                tally: Tally::default(),
                partial: Partial::default(),
                progress: Progress::Handshaking,
                report: None,
                settled: false,
            };
            self.peers.insert(id, peer);
            self.missing -= 1;
            under_way += 1;
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        let is_working = |peer: &Peer<E::Id>| peer.progress == Progress::Working;
        self.missing == 0 && self.peers.values().all(is_working)
    }

    /// Says again what may have been lost.
    fn repeat(&mut self, now: Instant, endpoint: &mut E) {
        if now < self.next_repetition {
            return;
        }
        self.next_repetition = now + REPETITION;
        if let Stage::Working { began, .. } = self.stage {
            self.bar.set_position(milliseconds(now - began));
        }
        for (&id, peer) in &self.peers {
            match (self.stage, peer.progress) {
                (_, Progress::Ordering) => endpoint.say(id, Message::Order(self.order)),
                (Stage::Working { .. }, Progress::Working) => endpoint.say(id, Message::Alive),
                (Stage::Settling { .. }, Progress::Working) if !peer.settled => {
                    endpoint.say(id, Message::Ask);
                }
                _ => {}
            }
        }
    }

    fn established(&mut self, endpoint: &mut E, id: E::Id) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        self.answered = Instant::now();
        peer.progress = Progress::Ordering;
        if let Some(connection) = endpoint.connection(id) {
            let agreed = connection.version().zip(connection.cipher_suite());
            self.result.agreed = agreed.map(|(version, suite)| Agreed {
                version,
                suite,
                group: connection.key_exchange_group(),
            });
        }
        endpoint.say(id, Message::Order(self.order));
    }

    fn take_messages(&mut self, endpoint: &mut E, id: E::Id) -> Result<(), Problem> {
        let Some(peer) = self.peers.get_mut(&id) else {
            return Ok(());
        };
        let messages = &mut self.messages;
        endpoint.drain(id, &mut peer.partial, &mut self.buffer, |bytes| {
            if let Some(Ok(message)) = Message::decode(bytes) {
                messages.push((message, bytes.len()));
            }
        });
        let now = Instant::now();
        for (message, length) in messages.drain(..) {
            match message {
                Message::Data { sequence } => {
                    self.answered = now;
                    peer.tally.count(now, sequence, length);
                    if let Stage::Working { .. } = self.stage {
                        self.work.data(endpoint, peer, sequence);
                    }
                }
                Message::Accepted {
                    milliseconds,
                    processor_ns,
                } => {
                    self.answered = now;
                    peer.progress = Progress::Working;
                    self.order.milliseconds = self.order.milliseconds.min(milliseconds);
                    let server = peer.report.get_or_insert_default();
                    server.processor_ns = server.processor_ns.max(processor_ns);
                }
                Message::Refused(reason) => return Err(refused(reason, self.order.size)),
                Message::Report(report) => {
                    self.answered = now;
                    if let Stage::Settling { server, .. } = self.stage {
                        if self.result.server.is_none() && server > 0 {
                            let time = report.processor_ns.saturating_sub(server);
                            self.result.server = Some(Duration::from_nanos(time));
                        }
                        // A stream keeps its order: the question came after everything else.
                        let before = peer.report.replace(report);
                        peer.settled = E::STREAM
                            || before.is_some_and(|before| {
                                (before.sent, before.received) == (report.sent, report.received)
                            });
                    }
                }
                Message::Order(_) | Message::Alive | Message::Ask => {
                    let reason =
                        "the server says nothing of its own: it is no `sealgram bench server`";
                    return Err(Problem::failure(reason).at(self.target.remote));
                }
            }
        }
        Ok(())
    }

    /// All peers are there.
    fn begin(&mut self, now: Instant) {
        let known = self
            .peers
            .values_mut()
            .filter_map(|peer| peer.report.take());
        let server = known.map(|report| report.processor_ns).max();
        self.stage = Stage::Working {
            began: now,
            until: now + self.order.time(),
            client: machine::processor_time(),
            server: server.unwrap_or_default(),
        };
        self.next_repetition = now;
    }

    /// The time is over.
    fn settle(&mut self, now: Instant, began: Instant, client: Option<Duration>, server: u64) {
        let used = machine::processor_time().zip(client);
        self.result.client = used.map(|(after, before)| after.saturating_sub(before));
        self.result.time = now - began;
        self.stage = Stage::Settling {
            server,
            until: now + SETTLING,
        };
        self.next_repetition = now;
        self.answered = now;
    }

    /// Goes from stage to stage, as far as that is possible now.
    fn move_on(&mut self, now: Instant, endpoint: &mut E) -> Result<(), Problem> {
        if let Stage::Gathering = self.stage {
            self.gather(endpoint)?;
            if self.is_complete() {
                self.begin(now);
            }
        }
        if let Stage::Working {
            began,
            until,
            client,
            server,
        } = self.stage
            && now >= until
        {
            self.settle(now, began, client, server);
        }
        if let Stage::Settling { until, .. } = self.stage
            && self.peers.values().all(|peer| peer.is_settled(now > until))
        {
            self.leave(now, endpoint);
        }
        let patience = match self.stage {
            Stage::Gathering => PATIENCE,
            Stage::Settling { .. } => STREAM_PATIENCE,
            Stage::Working { .. } | Stage::Leaving { .. } => return Ok(()),
        };
        match now > self.answered + patience {
            true => Err(self.unanswered(patience)),
            false => Ok(()),
        }
    }

    fn leave(&mut self, now: Instant, endpoint: &mut E) {
        endpoint.close_all();
        self.stage = Stage::Leaving {
            until: now + FAREWELL,
        };
    }

    fn unanswered(&self, patience: Duration) -> Problem {
        let seconds = patience.as_secs();
        let remote = self.target.remote;
        Problem::failure(format!(
            "the server has not answered for {seconds} s: check the address, and that `sealgram bench server` runs there"
        ))
        .at(remote)
    }
}

fn refused(reason: Reason, size: u16) -> Problem {
    Problem::failure(match reason {
        Reason::Version => {
            "the server speaks another version of the bench's protocol: use the same program at both ends"
                .into()
        }
        Reason::Size => format!(
            "the server cannot send messages of {size} bytes; give a smaller --size, or a larger --mtu at both ends"
        ),
    })
}

impl<E: Dial, W: Work<E>> Service<E> for Phase<'_, E, W> {
    fn stop(&mut self, endpoint: &mut E) {
        let now = Instant::now();
        self.result.interrupted = true;
        match &mut self.stage {
            Stage::Gathering => self.leave(now, endpoint),
            Stage::Working { until, .. } => *until = now,
            _ => {}
        }
    }

    fn tell_counters(&self, endpoint: &E) {
        for &id in self.peers.keys() {
            if let Some((connection, peer)) = endpoint.connection(id).zip(endpoint.peer(id)) {
                report::counters(peer, connection.stats()).print();
            }
        }
    }

    fn handle(&mut self, endpoint: &mut E, event: Happening<E::Id>) -> Result<(), Problem> {
        let is_peer = match &event {
            Happening::Connection(id, _) | Happening::Failed(id, _) | Happening::Closed(id) => {
                self.peers.contains_key(id)
            }
            Happening::Unreachable { .. } => false,
        };
        match event {
            Happening::Connection(id, event) if is_peer => match event {
                Event::HandshakeComplete {
                    renegotiation: false,
                    ..
                } => self.established(endpoint, id),
                Event::Readable => self.take_messages(endpoint, id)?,
                Event::PeerClosed => {
                    self.take_messages(endpoint, id)?;
                    if !matches!(self.stage, Stage::Leaving { .. }) {
                        let reason = "the server has closed an association in the middle of a phase; its own log may say why";
                        return Err(Problem::failure(reason).at(self.target.remote));
                    }
                }
                _ => {}
            },
            Happening::Failed(_, problem) if is_peer => match self.stage {
                // What it had to say has been said.
                Stage::Leaving { .. } => {}
                _ => return Err(problem),
            },
            Happening::Closed(_) if is_peer => {}
            Happening::Unreachable { remote, error } => {
                if let Stage::Gathering = self.stage {
                    report::unreachable(remote.or(Some(self.target.remote)), &error).print();
                }
            }
            other => {
                if let Stage::Working { .. } = self.stage {
                    self.work.happened(endpoint, other);
                }
            }
        }
        Ok(())
    }

    fn advance(&mut self, endpoint: &mut E) -> Result<Step, Problem> {
        let now = Instant::now();
        self.move_on(now, endpoint)?;
        self.repeat(now, endpoint);
        Ok(match self.stage {
            Stage::Gathering | Stage::Settling { .. } => Step::Wait(Some(self.next_repetition)),
            Stage::Working { until, .. } => {
                let step = self.work.advance(now, endpoint, &mut self.peers)?;
                earlier(step, until.min(self.next_repetition))
            }
            Stage::Leaving { until } if endpoint.is_empty() || until <= now => Step::Done,
            Stage::Leaving { until } => Step::Wait(Some(until)),
        })
    }
}

/// The same step, but no wait beyond `limit`.
fn earlier(step: Step, limit: Instant) -> Step {
    match step {
        Step::Wait(Some(until)) => Step::Wait(Some(until.min(limit))),
        Step::Wait(None) => Step::Wait(Some(limit)),
        step => step,
    }
}

/// A time as the progress bar counts it.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
