//! A harness: one end of ours opposite a scripted peer, over either transport, by one set of verbs.
//!
//! Over datagrams it is a [`DatagramHarness`], with the endpoint and its cookies; over a stream the
//! connection alone.

use crate::common::configs::Configs;
use crate::common::datagram_harness::{CLIENT_FLIGHT, DatagramHarness, FINALE, SERVER_FLIGHT};
use crate::common::transport::Transport;
use sealgram::error::{RenegotiateError, SendError};
use sealgram::pki_types::ServerName;
use sealgram::record::Stats;
use sealgram::session::Session;
use sealgram::sim::StreamEnd;
use sealgram::sim::scripted::{Heard, Line, ScriptedPeer};
use sealgram::{
    ClientConfig, Error, Event, HandshakeKind, RenegotiationRefusal, ServerConfig, Side,
    TlsConnection,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const HELLO_REQUEST: u8 = 0;
pub const CLIENT_HELLO: u8 = 1;
pub const SERVER_HELLO: u8 = 2;
pub const HELLO_VERIFY_REQUEST: u8 = 3;
pub const NEW_SESSION_TICKET: u8 = 4;
pub const CERTIFICATE: u8 = 11;
pub const CERTIFICATE_REQUEST: u8 = 13;
pub const CLIENT_KEY_EXCHANGE: u8 = 16;
pub const FINISHED: u8 = 20;

pub const SERVER_NAME: u16 = 0;
pub const ALPN: u16 = 16;
pub const SESSION_TICKET: u16 = 35;
pub const SIGNATURE_ALGORITHMS: u16 = 13;
pub const EC_POINT_FORMATS: u16 = 11;

pub const CLOSE_NOTIFY: u8 = 0;
pub const UNEXPECTED_MESSAGE: u8 = 10;
pub const HANDSHAKE_FAILURE: u8 = 40;
pub const ILLEGAL_PARAMETER: u8 = 47;
pub const NO_RENEGOTIATION: u8 = 100;

/// Longer than any handshake may take, shorter than the idle timeout of an endpoint.
pub const PATIENCE: Duration = Duration::from_secs(125);

/// The server's flight that resumes, and with a ticket.
pub const RESUMING_FLIGHT: [Line; 3] = [Line::ServerHello, Line::ChangeCipherSpec, Line::Finished];
pub const RENEWING_FLIGHT: [Line; 4] = [
    Line::ServerHello,
    Line::NewSessionTicket,
    Line::ChangeCipherSpec,
    Line::Finished,
];

/// The end of a full handshake with a ticket.
pub const TICKET_FINALE: [Line; 3] = [
    Line::NewSessionTicket,
    Line::ChangeCipherSpec,
    Line::Finished,
];

/// One end of ours, and what is opposite.
pub enum Harness {
    Dtls(Box<DatagramHarness>),
    Tls(Box<StreamHarness>),
}

/// A stream end opposite a scripted peer.
pub struct StreamHarness {
    pub end: StreamEnd,
    pub peer: ScriptedPeer,
    pub now: Instant,
    /// How many bytes our end has sent.
    pub sent: usize,
}

impl StreamHarness {
    fn new(connection: TlsConnection, peer: ScriptedPeer, now: Instant) -> Self {
        let end = StreamEnd::new(connection);
        let peer = peer.over_stream();
        let mut harness = Self {
            end,
            peer,
            now,
            sent: 0,
        };
        harness.listen();
        harness
    }

    fn deliver(&mut self, bytes: &[u8]) {
        self.end.deliver(self.now, bytes);
        self.listen();
    }

    fn listen(&mut self) {
        let bytes = self.end.transmit(self.now);
        self.sent += bytes.len();
        self.peer.hear(&bytes);
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(deadline) = self.end.connection.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(deadline);
            if let Err(error) = self.end.connection.handle_timeout(self.now) {
                self.end.error = Some(error);
            }
            let next = self.end.connection.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a busy loop (I4)");
            self.listen();
        }
        self.now = end;
        self.listen();
    }
}

/// Asks the connection of either kind.
macro_rules! ask {
    ($harness:expr, |$connection:ident| $answer:expr) => {
        match $harness {
            Harness::Dtls(harness) => {
                let $connection = harness.connection().expect("the association lives");
                $answer
            }
            Harness::Tls(harness) => {
                let $connection = &harness.end.connection;
                $answer
            }
        }
    };
}

impl Harness {
    /// Our client, which has said hello, opposite a scripted server.
    pub fn client(transport: Transport, config: Arc<ClientConfig>, peer: ScriptedPeer) -> Self {
        Self::client_of(
            transport,
            config,
            crate::common::configs::server_name(),
            peer,
        )
    }

    /// The same with a server of this name.
    pub fn client_of(
        transport: Transport,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        peer: ScriptedPeer,
    ) -> Self {
        match transport {
            Transport::Dtls => Self::Dtls(Box::new(DatagramHarness::client_of(config, name, peer))),
            Transport::Tls => {
                let now = crate::common::configs::start();
                let connection = TlsConnection::connect(now, config, name).unwrap();
                Self::Tls(Box::new(StreamHarness::new(connection, peer, now)))
            }
        }
    }

    /// Our server opposite a scripted client that has said nothing yet.
    pub fn server(transport: Transport, config: Arc<ServerConfig>, peer: ScriptedPeer) -> Self {
        match transport {
            Transport::Dtls => Self::Dtls(Box::new(DatagramHarness::server(config, peer))),
            Transport::Tls => {
                let now = crate::common::configs::start();
                let connection = TlsConnection::accept(now, config).unwrap();
                Self::Tls(Box::new(StreamHarness::new(connection, peer, now)))
            }
        }
    }

    /// Our end on `side` of a handshake with a peer of the other side.
    pub fn of(side: Side, transport: Transport, configs: &Configs, peer: ScriptedPeer) -> Self {
        match side {
            Side::Client => Self::client(transport, configs.client.clone(), peer),
            Side::Server => Self::server(transport, configs.server.clone(), peer),
        }
    }

    pub fn peer(&mut self) -> &mut ScriptedPeer {
        match self {
            Self::Dtls(harness) => &mut harness.peer,
            Self::Tls(harness) => &mut harness.peer,
        }
    }

    pub fn transport(&self) -> Transport {
        match self {
            Self::Dtls(_) => Transport::Dtls,
            Self::Tls(_) => Transport::Tls,
        }
    }

    /// The harness over datagrams.
    pub fn datagrams(&mut self) -> &mut DatagramHarness {
        match self {
            Self::Dtls(harness) => harness,
            Self::Tls(_) => panic!("a harness over datagrams"),
        }
    }

    /// Gives our end a datagram, or a piece of the stream.
    pub fn deliver(&mut self, bytes: &[u8]) {
        match self {
            Self::Dtls(harness) => harness.deliver(bytes),
            Self::Tls(harness) => harness.deliver(bytes),
        }
    }

    /// Lets the peer hear what our end has to say.
    pub fn listen(&mut self) {
        match self {
            Self::Dtls(harness) => harness.listen(),
            Self::Tls(harness) => harness.listen(),
        }
    }

    /// The peer says these lines.
    pub fn play(&mut self, lines: &[Line]) {
        self.play_altered(lines, |_, _| {});
    }

    /// The same, with the bodies altered first.
    pub fn play_altered(&mut self, lines: &[Line], mut alter: impl FnMut(Line, &mut Vec<u8>)) {
        for &line in lines {
            for record in self.peer().speak_altered(&[line], &mut alter) {
                self.deliver(&record);
            }
        }
    }

    /// The scripted client says its first hello, with a cookie where there are cookies.
    pub fn play_hello(&mut self) {
        match self {
            Self::Dtls(harness) => harness.play(&[Line::ClientHello, Line::ClientHello]),
            Self::Tls(_) => self.play(&[Line::ClientHello]),
        }
    }

    /// The whole first handshake with an honest scripted server.
    pub fn serve(&mut self, flights: [&[Line]; 2]) {
        self.play(flights[0]);
        self.play(flights[1]);
        self.assert_done(1);
    }

    /// The whole first handshake with an honest scripted client.
    pub fn visit(&mut self, flight: &[Line]) {
        self.play_hello();
        self.play(flight);
        self.assert_done(1);
    }

    /// The whole first handshake without certificates of clients and without tickets.
    pub fn connect(&mut self, side: Side) {
        match side {
            Side::Client => self.serve([&SERVER_FLIGHT, &FINALE]),
            Side::Server => self.visit(&CLIENT_FLIGHT),
        }
    }

    /// A renegotiation begins, by a call of our end or by the peer's wish, and goes as far as the
    /// ClientHello.
    pub fn begin(&mut self, side: Side, called: bool) {
        self.peer().renegotiate();
        match (side, called) {
            (_, true) => self.renegotiate(false).unwrap(),
            (Side::Client, false) => self.play(&[Line::HelloRequest]),
            (Side::Server, false) => {}
        }
        if side == Side::Server {
            self.play(&[Line::ClientHello]);
        }
        assert!(self.is_pending());
    }

    /// The rest of a full renegotiation with an honest peer.
    pub fn finish(&mut self, side: Side, epoch: u64) {
        match side {
            Side::Client => {
                self.play(&SERVER_FLIGHT);
                self.play(&FINALE);
            }
            Side::Server => self.play(&CLIENT_FLIGHT),
        }
        self.assert_done(epoch);
    }

    /// Both ends have finished a handshake that led to this epoch, nothing is under way, and data
    /// goes through.
    pub fn assert_done(&mut self, epoch: u64) {
        assert!(self.is_alive(), "{:?}", self.error());
        assert!(self.peer().has_verified(), "{:?}", self.peer());
        assert_eq!(self.epoch(), epoch, "{:?}", self.events());
        assert!(!self.is_pending());
        assert!(self.exchange());
    }

    /// Nothing is under way, and data goes through in this epoch as if nothing had been tried.
    pub fn assert_unchanged(&mut self, epoch: u64) {
        assert!(self.is_alive(), "{:?}", self.error());
        assert_eq!(self.epoch(), epoch, "{:?}", self.events());
        assert!(!self.is_pending());
        assert!(self.exchange_in(epoch));
    }

    /// Passes data each way in the peer's own idea of the epoch.
    pub fn exchange(&mut self) -> bool {
        let question = self.peer().data(b"question");
        self.passes(&question)
    }

    /// Passes data each way in this epoch.
    pub fn exchange_in(&mut self, epoch: u64) -> bool {
        let question = self.data_in(epoch, b"question");
        self.passes(&question)
    }

    fn passes(&mut self, question: &[u8]) -> bool {
        self.receive();
        self.deliver(question);
        if self.receive() != b"question" {
            return false;
        }
        let before = self.peer().heard.len();
        self.send(b"answer").is_ok() && self.data_heard_since(before) == b"answer"
    }

    /// A record of data in this epoch. Over a stream the peer must be writing in it.
    pub fn data_in(&mut self, epoch: u64, data: &[u8]) -> Vec<u8> {
        let epoch = u16::try_from(epoch).unwrap();
        let typ = sealgram::sim::scripted::APPLICATION_DATA;
        self.peer().record(typ, epoch, data)
    }

    /// What data the peer has heard since it had heard that many things.
    pub fn data_heard_since(&mut self, before: usize) -> Vec<u8> {
        let data = |heard: &Heard| match heard {
            Heard::Data { data, .. } => data.clone(),
            _ => Vec::new(),
        };
        self.peer().heard[before..].iter().flat_map(data).collect()
    }

    /// The types of the messages that the peer has heard since it had heard that many things.
    pub fn messages_heard_since(&mut self, before: usize) -> Vec<u8> {
        let typ = |heard: &Heard| match heard {
            Heard::Message { typ, .. } => Some(*typ),
            _ => None,
        };
        let heard = self.peer().heard[before..].iter();
        heard.filter_map(typ).collect()
    }

    /// How many things the peer has heard.
    pub fn heard(&mut self) -> usize {
        self.peer().heard.len()
    }

    pub fn wait(&mut self, duration: Duration) {
        match self {
            Self::Dtls(harness) => harness.wait(duration),
            Self::Tls(harness) => harness.wait(duration),
        }
    }

    /// Our end's call to renegotiate; what it leads to is heard.
    pub fn renegotiate(&mut self, abbreviated: bool) -> Result<(), RenegotiateError> {
        let outcome = match self {
            Self::Dtls(harness) => {
                let id = harness.id().expect("the association lives");
                if abbreviated {
                    harness
                        .endpoint
                        .association(harness.now, id)
                        .unwrap()
                        .renegotiate_abbreviated()
                } else {
                    harness
                        .endpoint
                        .association(harness.now, id)
                        .unwrap()
                        .renegotiate()
                }
            }
            Self::Tls(harness) if abbreviated => harness.end.connection.renegotiate_abbreviated(),
            Self::Tls(harness) => harness.end.connection.renegotiate(),
        };
        self.listen();
        outcome
    }

    /// Sends data from our end; the peer listens.
    pub fn send(&mut self, data: &[u8]) -> Result<(), SendError> {
        let outcome = match self {
            Self::Dtls(harness) => {
                let id = harness.id().expect("the association lives");
                harness
                    .endpoint
                    .association(harness.now, id)
                    .unwrap()
                    .send(data)
            }
            Self::Tls(harness) => harness.end.connection.send(harness.now, data).map(|_| ()),
        };
        self.listen();
        outcome
    }

    /// Everything that our end has received and that was not fetched yet.
    pub fn receive(&mut self) -> Vec<u8> {
        match self {
            Self::Dtls(harness) => {
                let Some(id) = harness.id() else {
                    return Vec::new();
                };
                std::iter::from_fn(|| {
                    harness
                        .endpoint
                        .association(harness.now, id)
                        .unwrap()
                        .recv()
                })
                .flat_map(|received| received.data)
                .collect()
            }
            Self::Tls(harness) => std::mem::take(&mut harness.end.received),
        }
    }

    /// Everything that our end has told, without the arrival of data.
    pub fn events(&self) -> Vec<Event> {
        let mut events: Vec<Event> = match self {
            Self::Dtls(harness) => harness
                .events
                .iter()
                .filter_map(|(_, event)| match event {
                    Event::Failed(_) | Event::Closed => None,
                    event => Some(event.clone()),
                })
                .collect(),
            Self::Tls(harness) => harness.end.events.clone(),
        };
        events.retain(|event| *event != Event::Readable);
        events
    }

    /// How often a renegotiation was told to have come to nothing for this reason.
    pub fn refusals(&self, reason: RenegotiationRefusal) -> usize {
        let refused = Event::RenegotiationRefused { reason };
        self.events()
            .iter()
            .filter(|event| **event == refused)
            .count()
    }

    /// How the handshake that completed last came to its keys.
    pub fn kind(&self) -> Option<HandshakeKind> {
        self.events().iter().rev().find_map(|event| match event {
            Event::HandshakeComplete { kind, .. } => Some(*kind),
            _ => None,
        })
    }

    /// Why our end has failed.
    pub fn error(&self) -> Option<Error> {
        match self {
            Self::Dtls(harness) => harness.error(),
            Self::Tls(harness) => harness
                .end
                .connection
                .failure()
                .map(|failure| failure.error.clone()),
        }
    }

    pub fn is_alive(&self) -> bool {
        match self {
            Self::Dtls(harness) => harness.connection().is_some_and(|end| !end.is_closed()),
            Self::Tls(harness) => !harness.end.connection.is_closed(),
        }
    }

    pub fn epoch(&self) -> u64 {
        ask!(self, |end| end.epoch()).number()
    }

    pub fn is_pending(&self) -> bool {
        ask!(self, |end| end.renegotiate_pending())
    }

    pub fn is_handshaking(&self) -> bool {
        ask!(self, |end| end.is_handshaking())
    }

    pub fn session(&self) -> Option<Session> {
        ask!(self, |end| end.session())
    }

    /// The most data of a record: what our end sends, and what it takes.
    pub fn record_limits(&self) -> (usize, usize) {
        let limits = ask!(self, |end| end.record_limits());
        (limits.sent, limits.received)
    }

    pub fn stats(&self) -> Stats {
        ask!(self, |end| end.stats().clone())
    }

    pub fn buffered(&self) -> usize {
        ask!(self, |end| end.buffered())
    }

    /// Whether our end waits for a handshake; a while after a handshake only datagrams keep
    /// something.
    pub fn timer(&self) -> Option<Instant> {
        ask!(self, |end| end.poll_timeout())
    }

    /// Whether the server name, protocol or identity that is in force is this.
    pub fn alpn(&self) -> Option<Vec<u8>> {
        ask!(self, |end| end.alpn().map(<[u8]>::to_vec))
    }

    pub fn has_peer_identity(&self) -> bool {
        ask!(self, |end| end.peer_identity().is_some())
    }
}
