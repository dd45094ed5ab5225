//! The client of the demonstration.

use super::payload;
use super::rekeying::{self, Rekeyed};
use crate::endpoint::{Endpoint, Happening};
use crate::event_loop::{Service, Step};
use crate::problem::Problem;
use indicatif::ProgressBar;
use sealgram::endpoint::AssociationId;
use sealgram::identity::Fingerprint;
use sealgram::net::UdpEndpoint;
use sealgram::{CipherSuite, DtlsConnection, Epoch, Event, KeyUpdate, NamedGroup, ProtocolVersion};
use std::time::{Duration, Instant};

/// A client that sends numbered datagrams and compares what comes back.
pub(super) struct Client {
    id: AssociationId,
    total: u32,
    bar: ProgressBar,
    deadline: Instant,
    started: Instant,
    phase: Phase,
    /// How many datagrams were sent; they are numbered from 0.
    sent: u32,
    /// Which of them have come back.
    returned: Vec<bool>,
    /// The client has asked for new keys.
    called: bool,
    report: ClientReport,
}

/// What the client saw.
#[derive(Clone, Default, Debug)]
pub(super) struct ClientReport {
    /// What the handshake agreed on, if it was completed.
    pub(super) agreed: Option<Agreed>,
    /// How long the handshake took.
    pub(super) handshake_time: Duration,
    /// How many flights of the handshake were sent again.
    pub(super) flights_retransmitted: u64,
    /// The longest datagram that can be sent, in bytes.
    pub(super) max_payload: usize,
    /// Datagrams that were sent.
    pub(super) sent: u64,
    /// Datagrams that came back.
    pub(super) received: u64,
    /// The sum of their lengths.
    pub(super) bytes: u64,
    /// How many came back altered, twice, or without having been sent.
    pub(super) mismatches: u64,
    /// How long all datagrams took, both ways.
    pub(super) data_time: Duration,
    /// How often the keys were replaced in the meantime.
    pub(super) rekeyed: Rekeyed,
}

/// What a handshake agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Agreed {
    pub(super) version: ProtocolVersion,
    pub(super) suite: CipherSuite,
    pub(super) group: NamedGroup,
    pub(super) epoch: Epoch,
    /// Of the server's certificate, as the client has seen it.
    pub(super) certificate: Fingerprint,
}

/// How far the client is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Handshake,
    /// Datagrams have been going both ways since this moment.
    Data(Instant),
    Closing,
    Over,
}

/// How many datagrams are on their way at once. As many as an association keeps while they wait for
/// the keys of a flight that was lost, so that none is lost.
const WINDOW: u64 = 8;

impl Client {
    /// A client for the association `id`, which has just been started.
    pub(super) fn new(id: AssociationId, total: u32, bar: ProgressBar, deadline: Instant) -> Self {
        bar.set_message("handshake, lossy link");
        bar.tick();
        Self {
            id,
            total,
            bar,
            deadline,
            started: Instant::now(),
            phase: Phase::Handshake,
            sent: 0,
            returned: Vec::new(),
            called: false,
            report: ClientReport::default(),
        }
    }

    /// What the client saw.
    pub(super) fn report(&self) -> ClientReport {
        self.report.clone()
    }
}

impl Service<UdpEndpoint> for Client {
    fn handle(
        &mut self,
        endpoint: &mut UdpEndpoint,
        event: Happening<AssociationId>,
    ) -> Result<(), Problem> {
        match event {
            Happening::Connection(
                _,
                Event::HandshakeComplete {
                    renegotiation: false,
                    ..
                },
            ) => {
                if let Some(connection) = endpoint.endpoint().connection(self.id) {
                    self.begin(connection);
                }
            }
            Happening::Connection(_, Event::Readable) => self.compare(endpoint),
            Happening::Connection(_, Event::PeerClosed) if self.phase != Phase::Closing => {
                return Err(Problem::failure("the server closed before the client did"));
            }
            Happening::Failed(_, problem) => return Err(problem),
            Happening::Closed(_) => self.phase = Phase::Over,
            _ => {}
        }
        Ok(())
    }

    fn advance(&mut self, endpoint: &mut UdpEndpoint) -> Result<Step, Problem> {
        let now = Instant::now();
        if now >= self.deadline {
            return Err(self.stalled());
        }
        match self.phase {
            Phase::Data(since) if self.report.received >= self.total.into() => {
                self.report.data_time = now.saturating_duration_since(since);
                self.bar.finish_and_clear();
                if let Some(connection) = endpoint.endpoint().connection(self.id) {
                    self.report.flights_retransmitted = connection.stats().flights_retransmitted();
                    self.report.rekeyed = Rekeyed::of(connection, self.called);
                }
                Endpoint::close(endpoint, self.id);
                self.phase = Phase::Closing;
                Ok(Step::Again)
            }
            Phase::Data(_) => {
                self.call_for_keys(endpoint);
                self.fill_window(endpoint)
            }
            Phase::Handshake | Phase::Closing => Ok(Step::Wait(Some(self.deadline))),
            Phase::Over => Ok(Step::Done),
        }
    }
}

impl Client {
    fn begin(&mut self, connection: &DtlsConnection) {
        let now = Instant::now();
        self.report.agreed = agreed(connection);
        self.report.handshake_time = now.saturating_duration_since(self.started);
        self.report.max_payload = connection.max_payload();
        self.returned = vec![false; usize::try_from(self.total).unwrap_or_default()];
        self.bar.set_message("datagrams both ways");
        self.phase = Phase::Data(now);
    }

    /// Asks for new keys once, after the planned number of datagrams.
    fn call_for_keys(&mut self, endpoint: &mut UdpEndpoint) {
        let due = rekeying::is_planned(self.total)
            && self.report.received >= rekeying::by_client(self.total);
        if due
            && !self.called
            && let Some(mut server) = endpoint.association(self.id)
        {
            // While another one is under way the call is refused, and made again later.
            self.called = server.renegotiate_abbreviated().is_ok()
                || server.key_update(KeyUpdate::Requested).is_ok();
        }
    }

    fn fill_window(&mut self, endpoint: &mut UdpEndpoint) -> Result<Step, Problem> {
        let mut step = Step::Wait(Some(self.deadline));
        while self.sent < self.total && self.report.sent - self.report.received < WINDOW {
            let datagram = payload::datagram(self.sent, self.report.max_payload);
            Endpoint::send(endpoint, self.id, &datagram).map_err(|error| {
                Problem::failure(format!("datagram {} could not be sent: {error}", self.sent))
            })?;
            self.sent += 1;
            self.report.sent += 1;
            step = Step::Again;
        }
        Ok(step)
    }

    fn compare(&mut self, endpoint: &mut UdpEndpoint) {
        while let Some(data) = Endpoint::recv(endpoint, self.id) {
            self.report.received += 1;
            self.report.bytes += data.len() as u64;
            if !self.is_awaited(&data) {
                self.report.mismatches += 1;
            }
            self.bar.inc(1);
        }
    }

    /// Whether `data` is, to the byte, a datagram that was sent and has not come back yet.
    fn is_awaited(&mut self, data: &[u8]) -> bool {
        let Some(number) = payload::number_if_genuine(data).filter(|&number| number < self.sent)
        else {
            return false;
        };
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(returned) = self.returned.get_mut(place).filter(|returned| !**returned) else {
            return false;
        };
        *returned = true;
        data == payload::datagram(number, self.report.max_payload)
    }

    fn stalled(&self) -> Problem {
        let where_it_stands = match self.phase {
            Phase::Handshake => "the handshake was not complete".to_owned(),
            Phase::Data(_) => format!(
                "{} of {} datagrams had come back",
                self.report.received, self.total
            ),
            Phase::Closing | Phase::Over => "the association was not closed".to_owned(),
        };
        Problem::failure(format!(
            "the demonstration took too long: {where_it_stands}; try again on a machine that is less busy, \
             or with --loss 0"
        ))
    }
}

/// What was agreed on; `None` if part of it is missing.
fn agreed(connection: &DtlsConnection) -> Option<Agreed> {
    Some(Agreed {
        version: connection.version()?,
        suite: connection.cipher_suite()?,
        group: connection.key_exchange_group()?,
        epoch: connection.epoch(),
        certificate: connection.peer_identity()?.fingerprint()?,
    })
}
