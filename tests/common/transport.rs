//! The same script over both transports: two ends that are connected, told apart only by the side.

use crate::common::configs::{Configs, server_name, start};
use sealgram::endpoint::{AssociationId, Endpoint};
use sealgram::error::{KeyUpdateError, RenegotiateError, SendError};
use sealgram::identity::Identity;
use sealgram::record::Stats;
use sealgram::server::ClientAuthentication;
use sealgram::session::Session;
use sealgram::sim::{Pair, StreamEnd, StreamPair};
use sealgram::{
    DtlsConnection, Epoch, Error, Event, HandshakeKind, KeyUpdate, NamedGroup,
    RenegotiationRefusal, Side, SignatureScheme,
};
use std::time::Duration;

/// Which record layer a test runs over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Dtls,
    Tls,
}

pub const BOTH: [Transport; 2] = [Transport::Dtls, Transport::Tls];
pub const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// Two ends and what is between them.
pub enum Duo {
    Dtls(Box<Pair>),
    Tls(Box<StreamPair>),
}

pub const fn complete(kind: HandshakeKind, renegotiation: bool) -> Event {
    Event::HandshakeComplete {
        kind,
        renegotiation,
    }
}

pub const fn refused(reason: RenegotiationRefusal) -> Event {
    Event::RenegotiationRefused { reason }
}

/// Calls the same getter of either kind of connection.
macro_rules! ask {
    ($duo:expr, $side:expr, |$connection:ident| $answer:expr) => {
        match $duo {
            Duo::Dtls(pair) => {
                let $connection = dtls(pair, $side).expect("the association lives");
                $answer
            }
            Duo::Tls(pair) => {
                let $connection = match $side {
                    Side::Client => &pair.client.connection,
                    Side::Server => &pair.server.connection,
                };
                $answer
            }
        }
    };
}

fn dtls(pair: &Pair, side: Side) -> Option<&DtlsConnection> {
    match side {
        Side::Client => pair.client_connection(),
        Side::Server => pair.server_connection(),
    }
}

/// The endpoint of a side, and its association.
fn endpoint(pair: &mut Pair, side: Side) -> (&mut Endpoint, AssociationId) {
    let (endpoint, last) = match side {
        Side::Client => (&mut pair.client, pair.client_events.last()),
        Side::Server => (&mut pair.server, pair.server_events.last()),
    };
    (endpoint, last.expect("the association lives").0)
}

/// The stream end of a side.
fn stream(pair: &mut StreamPair, side: Side) -> &mut StreamEnd {
    match side {
        Side::Client => &mut pair.client,
        Side::Server => &mut pair.server,
    }
}

impl Duo {
    /// Two ends that have begun to connect.
    pub fn connecting(transport: Transport, configs: &Configs) -> Self {
        match transport {
            Transport::Dtls => Self::Dtls(Box::new(configs.pair(1))),
            Transport::Tls => {
                let (client, server) = (configs.client.clone(), configs.server.clone());
                let pair = StreamPair::new(start(), client, server, server_name()).unwrap();
                Self::Tls(Box::new(pair))
            }
        }
    }

    /// Two ends that are connected.
    pub fn connected(transport: Transport, configs: &Configs) -> Self {
        let mut duo = Self::connecting(transport, configs);
        duo.settle();
        for side in SIDES {
            let events = duo.events(side);
            assert!(
                events.iter().any(|event| matches!(
                    event,
                    Event::HandshakeComplete {
                        renegotiation: false,
                        ..
                    }
                )),
                "{side}: {events:?}"
            );
        }
        duo
    }

    /// Lets everything arrive that is under way.
    pub fn settle(&mut self) {
        self.run_for(Duration::from_millis(400));
    }

    pub fn run_for(&mut self, duration: Duration) {
        match self {
            Self::Dtls(pair) => pair.run_for(duration),
            Self::Tls(pair) => pair.run_for(duration),
        }
    }

    /// Lets an end look for answers of its own, and at what waited for them.
    pub fn handle_answers(&mut self, side: Side) {
        match self {
            Self::Dtls(pair) => {
                let now = pair.now;
                match side {
                    Side::Client => pair.client.handle_answers(now),
                    Side::Server => pair.server.handle_answers(now),
                };
            }
            Self::Tls(pair) => {
                let now = pair.now;
                let end = stream(pair, side);
                if let Err(error) = end.connection.handle_answers(now) {
                    end.error = Some(error);
                }
                end.deliver(now, &[]);
            }
        }
    }

    /// Lets an end begin what was scheduled; what it sends is under way.
    pub fn start(&mut self, side: Side) {
        match self {
            Self::Dtls(pair) => pair.transmit(),
            Self::Tls(pair) => pair.transmit(side),
        }
    }

    /// From now on nothing reaches this end, until it is released.
    pub fn hold_back(&mut self, side: Side) {
        match (self, side) {
            (Self::Dtls(pair), Side::Client) => pair.to_client.hold(true),
            (Self::Dtls(pair), Side::Server) => pair.to_server.hold(true),
            (Self::Tls(pair), side) => pair.hold(side, true),
        }
    }

    /// What was held back arrives.
    pub fn release(&mut self, side: Side) {
        match (self, side) {
            (Self::Dtls(pair), Side::Client) => pair.to_client.hold(false),
            (Self::Dtls(pair), Side::Server) => pair.to_server.hold(false),
            (Self::Tls(pair), side) => pair.hold(side, false),
        }
    }

    /// What was held back is lost. Only datagrams can be.
    pub fn drop_held(&mut self, side: Side) {
        if let Self::Dtls(pair) = self {
            match side {
                Side::Client => pair.to_client.clear(),
                Side::Server => pair.to_server.clear(),
            }
        }
    }

    /// Makes room for the events of a long run.
    pub fn forget_events(&mut self) {
        match self {
            Self::Dtls(pair) => {
                for events in [&mut pair.client_events, &mut pair.server_events] {
                    let last = events.len().saturating_sub(1);
                    events.drain(..last);
                }
            }
            Self::Tls(pair) => {
                pair.client.events.clear();
                pair.server.events.clear();
            }
        }
    }

    /// Everything that an end has told so far.
    pub fn events(&self, side: Side) -> Vec<Event> {
        match self {
            Self::Dtls(pair) => {
                let events = match side {
                    Side::Client => &pair.client_events,
                    Side::Server => &pair.server_events,
                };
                let own = |(_, event): &(_, Event)| match event {
                    Event::Failed(_) | Event::Closed => None,
                    event => Some(event.clone()),
                };
                events.iter().filter_map(own).collect()
            }
            Self::Tls(pair) => match side {
                Side::Client => pair.client.events.clone(),
                Side::Server => pair.server.events.clone(),
            },
        }
    }

    /// The events about handshakes, without those of data.
    pub fn handshakes(&self, side: Side) -> Vec<Event> {
        let mut events = self.events(side);
        events.retain(|event| *event != Event::Readable);
        events
    }

    /// How a connection has failed.
    pub fn error(&self, side: Side) -> Option<Error> {
        match self {
            Self::Dtls(pair) => {
                let events = match side {
                    Side::Client => &pair.client_events,
                    Side::Server => &pair.server_events,
                };
                events.iter().find_map(|(_, event)| match event {
                    Event::Failed(failure) => Some(failure.error.clone()),
                    _ => None,
                })
            }
            Self::Tls(pair) => match side {
                Side::Client => pair.client.connection.failure(),
                Side::Server => pair.server.connection.failure(),
            }
            .map(|failure| failure.error.clone()),
        }
    }

    pub fn is_alive(&self, side: Side) -> bool {
        match self {
            Self::Dtls(pair) => dtls(pair, side).is_some_and(|end| !end.is_closed()),
            Self::Tls(_) => !ask!(self, side, |end| end.is_closed()),
        }
    }

    pub fn renegotiate(&mut self, side: Side, abbreviated: bool) -> Result<(), RenegotiateError> {
        match self {
            Self::Dtls(pair) => {
                let now = pair.now;
                let (endpoint, id) = endpoint(pair, side);
                if abbreviated {
                    endpoint
                        .association(now, id)
                        .unwrap()
                        .renegotiate_abbreviated()
                } else {
                    endpoint.association(now, id).unwrap().renegotiate()
                }
            }
            Self::Tls(pair) => {
                let end = &mut stream(pair, side).connection;
                if abbreviated {
                    end.renegotiate_abbreviated()
                } else {
                    end.renegotiate()
                }
            }
        }
    }

    /// What is between two ends over datagrams.
    pub fn datagrams(&mut self) -> &mut Pair {
        match self {
            Self::Dtls(pair) => pair,
            Self::Tls(_) => panic!("there are no datagrams in a stream"),
        }
    }

    /// An end that is a server wants its client's certificate.
    pub fn request_client_certificate(
        &mut self,
        side: Side,
        policy: ClientAuthentication,
    ) -> Result<(), RenegotiateError> {
        match self {
            Self::Dtls(pair) => {
                let now = pair.now;
                let (endpoint, id) = endpoint(pair, side);
                endpoint
                    .association(now, id)
                    .unwrap()
                    .request_client_certificate(policy)
            }
            Self::Tls(pair) => {
                let end = &mut stream(pair, side).connection;
                end.request_client_certificate(policy)
            }
        }
    }

    pub fn key_update(&mut self, side: Side, update: KeyUpdate) -> Result<(), KeyUpdateError> {
        match self {
            Self::Dtls(pair) => {
                let now = pair.now;
                let (endpoint, id) = endpoint(pair, side);
                endpoint.association(now, id).unwrap().key_update(update)
            }
            Self::Tls(pair) => stream(pair, side).connection.key_update(update),
        }
    }

    pub fn key_update_type(&self, side: Side) -> Option<KeyUpdate> {
        ask!(self, side, |end| end.key_update_type())
    }

    /// Sends as one datagram, or the whole of it into a stream that has room.
    pub fn send(&mut self, side: Side, data: &[u8]) -> Result<(), SendError> {
        match self {
            Self::Dtls(pair) => {
                let now = pair.now;
                let (endpoint, id) = endpoint(pair, side);
                endpoint.association(now, id).unwrap().send(data)
            }
            Self::Tls(pair) => {
                let now = pair.now;
                let end = &mut stream(pair, side).connection;
                end.send(now, data)
                    .map(|taken| assert_eq!(taken, data.len()))
            }
        }
    }

    pub fn close(&mut self, side: Side) {
        match self {
            Self::Dtls(pair) => {
                let now = pair.now;
                let (endpoint, id) = endpoint(pair, side);
                endpoint.association(now, id).unwrap().close();
            }
            Self::Tls(pair) => {
                let now = pair.now;
                stream(pair, side).connection.close(now);
            }
        }
    }

    /// Takes what an end has received.
    pub fn receive(&mut self, side: Side) -> Vec<u8> {
        match self {
            Self::Dtls(pair) => {
                let now = pair.now;
                let (endpoint, id) = endpoint(pair, side);
                std::iter::from_fn(|| endpoint.association(now, id).unwrap().recv())
                    .flat_map(|received| received.data)
                    .collect()
            }
            Self::Tls(pair) => std::mem::take(&mut stream(pair, side).received),
        }
    }

    /// Whether data goes through in both directions.
    pub fn exchange(&mut self) -> bool {
        let before = SIDES.map(|side| self.receive(side));
        assert!(
            before.iter().all(Vec::is_empty),
            "{before:?} was not fetched"
        );
        let sent = self.send(Side::Client, b"question").is_ok()
            && self.send(Side::Server, b"answer").is_ok();
        self.settle();
        sent && self.receive(Side::Server) == b"question" && self.receive(Side::Client) == b"answer"
    }

    pub fn group(&self, side: Side) -> Option<NamedGroup> {
        ask!(self, side, |end| end.key_exchange_group())
    }

    pub fn epoch(&self, side: Side) -> u64 {
        ask!(self, side, |end| end.epoch()).number()
    }

    pub fn is_pending(&self, side: Side) -> bool {
        ask!(self, side, |end| end.renegotiate_pending())
    }

    pub fn renegotiations(&self, side: Side) -> u64 {
        ask!(self, side, |end| end.renegotiations())
    }

    /// The most data of a record: what an end sends, and what it takes.
    pub fn record_limits(&self, side: Side) -> (usize, usize) {
        let limits = ask!(self, side, |end| end.record_limits());
        (limits.sent, limits.received)
    }

    pub fn stats(&self, side: Side) -> Stats {
        ask!(self, side, |end| end.stats().clone())
    }

    pub fn session(&self, side: Side) -> Option<Session> {
        ask!(self, side, |end| end.session())
    }

    pub fn identity(&self, side: Side) -> Option<Identity> {
        ask!(self, side, |end| end.peer_identity().cloned())
    }

    /// What the peer has signed with.
    pub fn scheme(&self, side: Side) -> Option<SignatureScheme> {
        ask!(self, side, |end| end.peer_signature_scheme())
    }

    /// The longest datagram that an end sends.
    pub fn max_payload(&self, side: Side) -> usize {
        match self {
            Self::Dtls(pair) => dtls(pair, side).map_or(0, DtlsConnection::max_payload),
            Self::Tls(_) => 1 << 14,
        }
    }

    pub fn has_timer(&self, side: Side) -> bool {
        ask!(self, side, |end| end.poll_timeout()).is_some()
    }

    /// Keying material, to see whether both ends have the same secret.
    pub fn exported(&self, side: Side) -> [u8; 16] {
        let mut key = [0; 16];
        ask!(self, side, |end| end.export_keying_material(
            &mut key,
            b"EXPORTER-test",
            None
        ))
        .unwrap();
        key
    }

    /// Whether both ends are in the same epoch with the same secret and nothing is under way.
    pub fn assert_agreed(&mut self, epoch: u64) {
        for side in SIDES {
            assert_eq!(self.epoch(side), epoch, "{side}: {:?}", self.events(side));
            assert!(!self.is_pending(side), "{side}");
        }
        assert_eq!(self.exported(Side::Client), self.exported(Side::Server));
        assert!(self.exchange());
    }
}

/// The number of an epoch, for assertions.
pub fn number(epoch: Epoch) -> u64 {
    epoch.number()
}
