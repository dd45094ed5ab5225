//! TLS on real TCP sockets: readiness, bursts, ends of all kinds.

#![cfg(feature = "net")]

use crate::common::configs::{Configs, Ends, server_name, start};
use crate::common::readiness::wait_for;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use sealgram::config::{ClientRenegotiation, RekeyPolicy, StreamPolicy, Versions};
use sealgram::error::RenegotiateError;
use sealgram::net::TlsStream;
use sealgram::{
    AlertDescription, ClientConfig, Error, Event, Failure, HandshakeKind, RenegotiationRefusal,
    ServerConfig, Side,
};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LOCALHOST: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// One end with what befell it.
pub(crate) struct End {
    pub(crate) stream: TlsStream,
    events: Vec<Event>,
    /// Why its turns fail.
    pub(crate) error: Option<io::Error>,
}

impl End {
    pub(crate) fn new(poll: &Poll, token: Token, mut stream: TlsStream) -> Self {
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, token, both).unwrap();
        Self {
            stream,
            events: Vec::new(),
            error: None,
        }
    }

    pub(crate) fn turn(&mut self) {
        self.error = self.stream.turn().err();
        self.events
            .extend(std::iter::from_fn(|| self.stream.poll_event()));
    }

    fn is_complete(&self) -> bool {
        self.events.contains(&Event::HandshakeComplete {
            kind: HandshakeKind::Full,
            renegotiation: false,
        })
    }

    pub(crate) fn failure(&self) -> Option<Failure> {
        let inner = self.error.as_ref()?.get_ref()?;
        inner.downcast_ref::<Failure>().cloned()
    }

    /// Reads everything that can be read now, and says what came behind it.
    fn read(&mut self, data: &mut Vec<u8>) -> io::Result<()> {
        let mut buffer = [0; 10_000];
        loop {
            match self.stream.read(&mut buffer)? {
                0 => return Ok(()),
                length => data.extend_from_slice(&buffer[..length]),
            }
        }
    }
}

/// A client and a server in one event loop.
struct Loop {
    poll: Poll,
    client: End,
    server: End,
}

impl Loop {
    fn new(configs: &Configs) -> Self {
        let poll = Poll::new().unwrap();
        let listener = TcpListener::bind(std::net::SocketAddr::from(LOCALHOST)).unwrap();
        let address = listener.local_addr().unwrap();
        let client = TlsStream::connect(configs.client.clone(), server_name(), address).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let accepted = TcpStream::from_std(accepted);
        let server = TlsStream::server(accepted, configs.server.clone()).unwrap();
        Self {
            client: End::new(&poll, Token(0), client),
            server: End::new(&poll, Token(1), server),
            poll,
        }
    }

    fn connected(configs: &Configs) -> Self {
        let mut this = Self::new(configs);
        this.run_until(|this| this.client.is_complete() && this.server.is_complete());
        this
    }

    /// Turns both ends until `done`; ten seconds are far too long for a loopback. Waits as long as
    /// the ends allow, and not at all for what they did not tell.
    fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = start() + Duration::from_secs(10);
        let mut ready = Events::with_capacity(8);
        loop {
            self.client.turn();
            self.server.turn();
            if done(self) {
                return;
            }
            assert!(
                now() < end,
                "{:?} {:?} {:?} {:?}",
                self.client.events,
                self.client.error,
                self.server.events,
                self.server.error
            );
            let wait = [&self.client, &self.server]
                .into_iter()
                .filter_map(|end| end.stream.poll_timeout())
                .min()
                .unwrap_or(Duration::MAX);
            let wait = wait.min(Duration::from_secs(2));
            wait_for(&mut self.poll, &mut ready, Some(wait));
        }
    }
}

pub(crate) fn now() -> Instant {
    start()
}

fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (((i + seed) * 31) >> 4) as u8)
        .collect()
}

pub(crate) fn kind<T>(result: io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// A reader need not ask again after it has what it wants: what lies behind that in the socket is
/// still heard of.
#[test]
fn a_reader_that_stops_early_hears_of_the_end() {
    let mut this = Loop::connected(&Ends::new().build());
    this.run_until(|this| this.server.stream.poll_timeout() != Some(Duration::ZERO));
    this.client.stream.write_all(b"last words").unwrap();
    this.client.stream.flush().unwrap();
    let socket = this.client.stream.socket();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut buffer = [0; 10];
    assert_eq!(this.server.stream.read(&mut buffer).unwrap(), 10);
    this.run_until(|this| this.server.events.contains(&Event::Truncated));
}

#[test]
fn data_pass_both_ways_over_real_sockets() {
    let mut this = Loop::connected(&Ends::new().mutual().build());
    for (from_client, text) in [(true, "ping"), (false, "pong")] {
        let (from, to) = match from_client {
            true => (&mut this.client, &mut this.server),
            false => (&mut this.server, &mut this.client),
        };
        assert_eq!(from.stream.write(text.as_bytes()).unwrap(), text.len());
        assert!(from.stream.wants_write());
        assert_eq!(from.stream.poll_timeout(), Some(Duration::ZERO));
        from.stream.flush().unwrap();
        assert!(!from.stream.wants_write());
        assert!(!to.stream.connection().is_handshaking());
        let mut got = Vec::new();
        this.run_until(|this| {
            let to = match from_client {
                true => &mut this.server,
                false => &mut this.client,
            };
            assert_eq!(kind(to.read(&mut got)), Some(ErrorKind::WouldBlock));
            !got.is_empty()
        });
        assert_eq!(got, text.as_bytes());
    }
    let identity = this.server.stream.connection().peer_identity();
    assert!(identity.is_some());
}

/// Whoever only reads and writes, and turns when readiness is told, gets through a handshake as
/// well.
#[test]
fn a_writer_is_held_back_until_the_handshake_is_done() {
    let mut this = Loop::new(&Ends::new().build());
    assert_eq!(
        kind(this.client.stream.write(b"early")),
        Some(ErrorKind::WouldBlock)
    );
    let mut buffer = [0; 100];
    assert_eq!(
        kind(this.client.stream.read(&mut buffer)),
        Some(ErrorKind::WouldBlock)
    );
    let end = now() + Duration::from_secs(10);
    let mut got = 0;
    let mut written = false;
    while got == 0 {
        written = written || this.client.stream.write(b"early").is_ok();
        if written {
            this.client.stream.flush().unwrap();
        }
        got = this.server.stream.read(&mut buffer).unwrap_or(0);
        assert!(now() < end);
    }
    assert_eq!(&buffer[..got], b"early");
}

/// Both directions at once, with more than all queues and socket buffers hold, in pieces of odd
/// sizes.
#[test]
fn megabytes_pass_in_both_directions_at_once() {
    const LENGTH: usize = 8 << 20;
    let mut ends = Ends::new();
    let small = StreamPolicy::default().receive_queue(1 << 15).unwrap();
    let small = small.send_queue(1 << 15).unwrap();
    for (name, client_policy) in [("default", StreamPolicy::default()), ("small", small)] {
        ends.client = ends.client.stream(client_policy);
        let configs = Configs {
            client: Arc::new(ends.client.clone().build().unwrap()),
            server: Arc::new(ends.server.clone().build().unwrap()),
        };
        let mut this = Loop::connected(&configs);
        let data = [pattern(LENGTH, 0), pattern(LENGTH, 5)];
        let mut written = [0, 0];
        let mut read = [Vec::new(), Vec::new()];
        let mut partial = 0;
        this.run_until(|this| {
            for (which, end) in [&mut this.client, &mut this.server].into_iter().enumerate() {
                assert!(end.error.is_none(), "{:?}", end.error);
                while written[which] < LENGTH {
                    let rest = &data[which][written[which]..];
                    let piece = &rest[..rest.len().min(70_001)];
                    match end.stream.write(piece) {
                        Ok(length) => {
                            partial += usize::from(length < piece.len());
                            written[which] += length;
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                assert_eq!(
                    kind(end.read(&mut read[which])),
                    Some(ErrorKind::WouldBlock)
                );
            }
            read.iter().all(|read| read.len() == LENGTH)
        });
        assert!(read[1] == data[0] && read[0] == data[1], "{name}");
        assert!(partial > 0, "{name}");
    }
}

/// Keys are replaced again and again while data fills both directions; every kind of renegotiation,
/// and nothing of the data is lost, repeated or moved.
#[test]
fn keys_are_replaced_while_megabytes_pass() {
    const LENGTH: usize = 4 << 20;
    const STEP: usize = 400_000;
    let min_interval = Duration::ZERO;
    let allow =
        RekeyPolicy::default().client_renegotiation(ClientRenegotiation::Allow { min_interval });
    for queue in [1 << 15, 1 << 18] {
        let policy = StreamPolicy::default().receive_queue(queue).unwrap();
        let policy = policy.send_queue(queue).unwrap();
        let mut ends = Ends::new().mutual();
        ends.client = ends.client.stream(policy.clone());
        ends.server = ends.server.stream(policy).rekey(allow.clone());
        let mut this = Loop::connected(&ends.build());
        let data = [pattern(LENGTH, 0), pattern(LENGTH, 5)];
        let mut written = [0, 0];
        let mut read = [Vec::new(), Vec::new()];
        let mut next = STEP;
        this.run_until(|this| {
            for (which, end) in [&mut this.client, &mut this.server].into_iter().enumerate() {
                assert!(end.error.is_none(), "{:?}", end.error);
                while written[which] < LENGTH
                    && let Ok(length) = end.stream.write(&data[which][written[which]..])
                {
                    written[which] += length;
                }
                assert_eq!(
                    kind(end.read(&mut read[which])),
                    Some(ErrorKind::WouldBlock)
                );
            }
            if read[1].len() >= next {
                // Refused where one is under way already.
                let _pending = match next / STEP % 3 {
                    0 => this.client.stream.renegotiate(),
                    1 => this.client.stream.renegotiate_abbreviated(),
                    _ => this.server.stream.renegotiate(),
                };
                next += STEP;
            }
            read.iter().all(|read| read.len() == LENGTH)
                && !this.client.stream.connection().renegotiate_pending()
                && !this.server.stream.connection().renegotiate_pending()
        });
        assert!(read[1] == data[0] && read[0] == data[1]);
        let count = this.client.stream.connection().renegotiations();
        assert!(count >= 3, "{count}");
        assert_eq!(this.server.stream.connection().renegotiations(), count);
    }
}

/// A wish that the policy refuses is an event at both ends, and the connection goes on.
#[test]
fn a_refused_renegotiation_changes_nothing() {
    let mut this = Loop::new(&Ends::new().build());
    assert_eq!(
        this.client.stream.renegotiate(),
        Err(RenegotiateError::HandshakeNotComplete)
    );
    this.run_until(|this| this.client.is_complete() && this.server.is_complete());
    this.client.stream.renegotiate().unwrap();
    assert_eq!(this.client.stream.poll_timeout(), Some(Duration::ZERO));
    let refused = |reason| Event::RenegotiationRefused { reason };
    this.run_until(|this| {
        let told = refused(RenegotiationRefusal::NoRenegotiation);
        this.client.events.contains(&told)
    });
    let policy = refused(RenegotiationRefusal::Policy);
    assert!(this.server.events.contains(&policy));
    this.client.stream.write_all(b"goes on").unwrap();
    let mut got = Vec::new();
    this.run_until(|this| {
        assert_eq!(
            kind(this.server.read(&mut got)),
            Some(ErrorKind::WouldBlock)
        );
        !got.is_empty()
    });
    assert_eq!(got, b"goes on");
}

/// RFC 5246 §7.2.1: close_notify is an end; what was sent before it is read before it, and it is
/// answered.
#[test]
fn a_goodbye_is_an_end_of_data_at_both_ends() {
    let mut this = Loop::connected(&Ends::new().build());
    let data = pattern(300_000, 1);
    let mut left = &data[..];
    let mut got = Vec::new();
    let mut end = None;
    this.run_until(|this| {
        match this.client.stream.write(left) {
            Ok(0) => this.client.stream.close(),
            Ok(length) => left = &left[length..],
            Err(error) => assert!(matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::BrokenPipe
            )),
        }
        end = kind(this.server.read(&mut got));
        end.is_none()
    });
    assert_eq!(got, data);
    this.run_until(|this| this.client.stream.is_ended() && this.server.stream.is_ended());
    assert!(this.server.events.contains(&Event::PeerClosed));
    assert!(!this.server.events.contains(&Event::Truncated));
    let mut none = Vec::new();
    for end in [&mut this.client, &mut this.server] {
        assert!(end.read(&mut none).is_ok());
        assert_eq!(kind(end.stream.write(b"x")), Some(ErrorKind::BrokenPipe));
        assert!(end.stream.flush().is_ok());
        assert!(end.error.is_none());
        assert_eq!(end.stream.poll_timeout(), None);
    }
    assert!(none.is_empty());
}

/// RFC 5246 §7.2.1: an end without close_notify is no end of data, and stays one.
#[test]
fn a_stream_that_was_cut_off_is_an_error_behind_its_data() {
    let mut this = Loop::connected(&Ends::new().build());
    this.client.stream.write_all(b"half a mess").unwrap();
    this.client.stream.flush().unwrap();
    this.client
        .stream
        .socket()
        .shutdown(std::net::Shutdown::Write)
        .unwrap();
    this.run_until(|this| this.server.events.contains(&Event::Truncated));
    let mut got = Vec::new();
    for _ in 0..2 {
        let end = kind(this.server.read(&mut got));
        assert_eq!(end, Some(ErrorKind::UnexpectedEof));
    }
    assert_eq!(got, b"half a mess");
}

/// A stream that is cut off in the handshake, at any byte of the client's first flight.
#[test]
fn a_stream_that_ends_in_the_handshake_is_a_failure() {
    let mut this = Loop::new(&Ends::new().build());
    this.client
        .stream
        .socket()
        .shutdown(std::net::Shutdown::Both)
        .unwrap();
    this.run_until(|this| this.server.error.is_some());
    let failure = this.server.failure().unwrap();
    assert_eq!(failure.error, Error::StreamEnded);
    assert_eq!(failure.side, Side::Server);
    let mut none = Vec::new();
    assert_eq!(kind(this.server.read(&mut none)), Some(ErrorKind::Other));
    assert_eq!(kind(this.server.stream.write(b"x")), Some(ErrorKind::Other));
}

/// Whoever finds the fault sends the alert before its turn fails, and the other end is told of it.
#[test]
fn a_refused_certificate_is_told_at_both_ends() {
    let client_refuses = Configs {
        client: Ends::new().build().client,
        server: Ends::new().build().server,
    };
    let strangers = Ends::new().mutual();
    let mut server_refuses = Ends::new().mutual();
    server_refuses.client = ClientConfig::with_roots(server_refuses.pki.roots())
        .unwrap()
        .versions(Versions::V1_2)
        .add_credential(strangers.pki.client(&rcgen::PKCS_ED25519));
    for (configs, refuses) in [
        (client_refuses, Side::Client),
        (server_refuses.build(), Side::Server),
    ] {
        let mut this = Loop::new(&configs);
        this.run_until(|this| this.client.error.is_some() && this.server.error.is_some());
        let (refusing, refused) = match refuses {
            Side::Client => (&this.client, &this.server),
            Side::Server => (&this.server, &this.client),
        };
        let failure = refusing.failure().unwrap();
        assert!(
            matches!(failure.error, Error::InvalidCertificate(_)),
            "{failure}"
        );
        let alert = failure.alert_sent.unwrap();
        assert_eq!(alert.description, AlertDescription::UNKNOWN_CA);
        assert!(failure.peer.is_some());
        let told = refused.failure().unwrap();
        assert!(
            matches!(told.error, Error::AlertReceived { alert: got, .. } if got == alert),
            "{told}"
        );
        assert!(!refusing.stream.wants_write());
    }
}

/// The deadline is the connection's own, whether nobody answers or nobody asks.
#[test]
fn a_handshake_that_takes_too_long_fails() {
    let policy = StreamPolicy::default().handshake_deadline(Some(Duration::from_millis(50)));
    let mut ends = Ends::new();
    ends.client = ends.client.stream(policy.clone());
    ends.server = ends.server.stream(policy);
    let Configs { client, server } = ends.build();

    let listener = TcpListener::bind(std::net::SocketAddr::from(LOCALHOST)).unwrap();
    let address = listener.local_addr().unwrap();
    let silent = std::net::TcpStream::connect(address).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    accepted.set_nonblocking(true).unwrap();
    let poll = Poll::new().unwrap();
    let server = TlsStream::server(TcpStream::from_std(accepted), server).unwrap();
    let client = TlsStream::connect(client, server_name(), address).unwrap();
    let mut this = Loop {
        client: End::new(&poll, Token(0), client),
        server: End::new(&poll, Token(1), server),
        poll,
    };
    this.run_until(|this| this.client.error.is_some() && this.server.error.is_some());
    for end in [&this.client, &this.server] {
        let failure = end.failure().unwrap();
        assert!(matches!(failure.error, Error::TimedOut { .. }), "{failure}");
    }
    drop(silent);
}

#[test]
fn nobody_at_the_address_is_the_sockets_own_error() {
    let free = TcpListener::bind(std::net::SocketAddr::from(LOCALHOST))
        .unwrap()
        .local_addr()
        .unwrap();
    let config = Ends::new().build().client;
    let mut poll = Poll::new().unwrap();
    let stream = TlsStream::connect(config, server_name(), free).unwrap();
    let mut end = End::new(&poll, Token(0), stream);
    let mut ready = Events::with_capacity(8);
    let limit = now() + Duration::from_secs(10);
    while end.error.is_none() {
        assert!(now() < limit);
        wait_for(&mut poll, &mut ready, end.stream.poll_timeout());
        end.turn();
    }
    for _ in 0..2 {
        assert_eq!(kind(end.stream.turn()), Some(ErrorKind::ConnectionRefused));
        assert_eq!(
            kind(end.stream.write(b"x")),
            Some(ErrorKind::ConnectionRefused)
        );
        assert_eq!(kind(end.stream.flush()), Some(ErrorKind::ConnectionRefused));
    }
    assert!(end.stream.is_ended());
    assert_eq!(end.stream.poll_timeout(), None);
}

/// A reset is the socket's own error, and data that came before it are still read.
#[test]
fn a_reset_is_told_behind_the_data_that_came_before_it() {
    let mut this = Loop::connected(&Ends::new().build());
    this.client.stream.write_all(b"last words").unwrap();
    this.client.stream.flush().unwrap();
    this.run_until(|this| this.server.events.contains(&Event::Readable));
    // A socket that is closed with bytes in it resets the stream.
    this.server.stream.write_all(b"never read").unwrap();
    this.server.stream.flush().unwrap();
    let Loop {
        poll,
        client,
        mut server,
    } = this;
    drop(client);
    let limit = now() + Duration::from_secs(10);
    while server.error.is_none() {
        assert!(now() < limit);
        server.turn();
    }
    let mut got = Vec::new();
    let end = kind(server.read(&mut got));
    assert_eq!(end, Some(ErrorKind::ConnectionReset));
    assert_eq!(got, b"last words");
    drop(poll);
}

/// Both kinds of configuration can be used from several threads, and so can the streams made from
/// them.
#[test]
fn a_stream_can_be_moved_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<TlsStream>();
    is_send::<Arc<ServerConfig>>();
}

/// Somebody who connects and says nothing is given up after ten seconds, and a connection that
/// nobody uses when its policy says so.
#[test]
fn silence_before_and_behind_the_handshake_ends_a_connection() {
    let listener = TcpListener::bind(std::net::SocketAddr::from(LOCALHOST)).unwrap();
    let _silent = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    accepted.set_nonblocking(true).unwrap();
    let server = TlsStream::server(TcpStream::from_std(accepted), Ends::new().build().server);
    let deadline = server.unwrap().poll_timeout().unwrap();
    let expected = Duration::from_secs(9)..=Duration::from_secs(10);
    assert!(expected.contains(&deadline), "{deadline:?}");

    const LIMIT: Duration = Duration::from_millis(200);
    for versions in [Versions::V1_2, Versions::V1_3] {
        let idle = StreamPolicy::default().idle_timeout(Some(LIMIT));
        let mut ends = Ends::new().versions(versions);
        ends.server = ends.server.stream(idle);
        let mut this = Loop::connected(&ends.build());
        // What passes keeps it alive, unless this machine stands still for as long.
        let (began, mut last) = (now(), now());
        let mut stood_still = false;
        while now() < began + 3 * LIMIT && !stood_still {
            this.client.stream.write_all(b"x").unwrap();
            let mut data = Vec::new();
            this.run_until(|this| {
                let _blocked = this.server.read(&mut data);
                !data.is_empty() || this.server.error.is_some()
            });
            std::thread::sleep(LIMIT / 4);
            stood_still = last.elapsed() >= LIMIT;
            last = now();
        }
        assert!(this.server.error.is_none() || stood_still);
        let quiet = now();
        this.run_until(|this| {
            this.server.error.is_some() || this.client.events.contains(&Event::PeerClosed)
        });
        this.client.stream.close();
        this.run_until(|this| this.server.error.is_some());
        assert!(stood_still || now() - quiet >= LIMIT / 2, "{versions:?}");
        assert_eq!(
            this.server.failure().map(|it| it.error),
            Some(Error::IdleTimeout)
        );
    }
}

/// RFC 5246 §7.2.1: who has closed first does not need an answer to its close_notify; at 1.3 the
/// peer may have had more to say (RFC 8446 §6.1).
#[test]
fn an_end_without_a_goodbye_behind_ones_own_is_none_that_was_cut_off() {
    for (versions, cut_off) in [(Versions::V1_2, false), (Versions::V1_3, true)] {
        let configs = Ends::new().versions(versions).build();
        let mut this = Loop::connected(&configs);
        this.client.stream.close();
        this.client.turn();
        // The peer just closes its socket.
        let socket = this.server.stream.socket();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut ready = Events::with_capacity(8);
        while !this.client.stream.is_ended() {
            this.client.turn();
            let wait = Some(Duration::from_millis(20));
            wait_for(&mut this.poll, &mut ready, wait);
        }
        let told = this.client.events.contains(&Event::Truncated);
        assert_eq!(told, cut_off, "{versions:?}");
        assert!(this.client.error.is_none(), "{:?}", this.client.error);
    }
}

/// Ten seconds are for strangers at a server's door. A client's way to its server is part of its
/// handshake, and a renegotiation keeps nobody waiting.
#[test]
fn only_a_servers_first_handshake_is_short_by_default() {
    let seconds = |least, most| Duration::from_secs(least)..=Duration::from_secs(most);
    let Configs { client, server } = Ends::new().build();
    let listener = TcpListener::bind(std::net::SocketAddr::from(LOCALHOST)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = TlsStream::connect(client, server_name(), address).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    accepted.set_nonblocking(true).unwrap();
    let server = TlsStream::server(TcpStream::from_std(accepted), server).unwrap();
    // Until its hello is out it has something to do.
    while client.poll_timeout() == Some(Duration::ZERO) || client.wants_write() {
        client.turn().unwrap();
    }
    let (client, server) = (client.poll_timeout(), server.poll_timeout());
    assert!(seconds(119, 120).contains(&client.unwrap()), "{client:?}");
    assert!(seconds(9, 10).contains(&server.unwrap()), "{server:?}");

    // A peer that has not answered yet is waited for a quarter of the whole.
    for (set, expected) in [
        (None, seconds(29, 31)),
        (Some(Some(Duration::from_secs(40))), seconds(9, 11)),
    ] {
        let mut ends = Ends::new().versions(Versions::V1_2);
        if let Some(deadline) = set {
            let policy = StreamPolicy::default().handshake_deadline(deadline);
            ends.server = ends.server.stream(policy);
        }
        // Data does not wait, so that nothing else is due.
        let rekey = RekeyPolicy::default().hold_data_for(Duration::ZERO);
        ends.server = ends.server.rekey(rekey.unwrap());
        let mut this = Loop::connected(&ends.build());
        let asked = now();
        this.server.stream.renegotiate().unwrap();
        this.server.turn();
        let due = this.server.stream.connection().poll_timeout().unwrap();
        let left = due - asked;
        assert!(expected.contains(&left), "{set:?}: {left:?}");
    }
}
