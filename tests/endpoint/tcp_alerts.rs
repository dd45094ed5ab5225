//! The last alert of a TLS connection on a real TCP socket: it reaches a peer that is busy with
//! something else, and the wait for that is bounded.

#![cfg(feature = "net")]

use super::tcp::{End, kind, now};
use crate::common::configs::{Configs, Ends, server_name};
use crate::common::readiness::{best_within, wait_for};
use bytes::BytesMut;
use mio::{Events, Poll, Token};
use sealgram::config::Versions;
use sealgram::identity::WebPkiClientVerifier;
use sealgram::net::TlsStream;
use sealgram::server::ClientAuthentication;
use sealgram::{AlertDescription, ClientConfig, Error, TlsConnection};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// How long a stream waits until its alert is in the socket, and then for its peer.
const WAIT: Duration = Duration::from_secs(2);

/// A server in an event loop of its own.
struct Door {
    server: End,
    poll: Poll,
    ready: Events,
}

impl Door {
    /// A server that has accepted a client whose TCP stream is the other half. What is accepted
    /// inherits its buffers from the listener, which `tune` may change.
    fn open(configs: &Configs, tune: impl FnOnce(&TcpListener)) -> (Self, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        tune(&listener);
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let accepted = mio::net::TcpStream::from_std(accepted);
        let server = TlsStream::server(accepted, configs.server.clone()).unwrap();
        let poll = Poll::new().unwrap();
        let this = Self {
            server: End::new(&poll, Token(0), server),
            poll,
            ready: Events::with_capacity(8),
        };
        (this, client)
    }

    /// Turns the server, then does `each`, until the server has failed; how long that took. Waits
    /// as long as the server allows, or as `each` says it may.
    fn run(&mut self, mut each: impl FnMut(&mut End) -> Duration) -> Duration {
        let began = now();
        loop {
            self.server.turn();
            if self.server.error.is_some() {
                return began.elapsed();
            }
            let most = each(&mut self.server);
            let wait = self.server.stream.poll_timeout();
            let wait = wait.unwrap_or(Duration::MAX).min(most);
            wait_for(&mut self.poll, &mut self.ready, Some(wait));
        }
    }
}

/// A client of blocking calls.
struct Client {
    socket: TcpStream,
    tls: TlsConnection,
    input: BytesMut,
    /// How many bytes of data it has read.
    read: usize,
}

impl Client {
    fn new(socket: TcpStream, config: Arc<ClientConfig>) -> Self {
        Self {
            socket,
            tls: TlsConnection::connect(now(), config, server_name()).unwrap(),
            input: BytesMut::new(),
            read: 0,
        }
    }

    fn write(&mut self) {
        let mut out = Vec::new();
        self.tls.poll_transmit(now(), &mut out);
        // The server may have gone meanwhile; what it has said is to be read all the same.
        let _gone = self.socket.write_all(&out);
    }

    /// Takes what comes next; whether the stream goes on.
    fn take(&mut self) -> Result<bool, Error> {
        let mut buffer = [0; 4096];
        let length = self.socket.read(&mut buffer);
        let length = length.map_err(|_| Error::StreamEnded)?;
        if length == 0 {
            return self.tls.handle_eof().map(|()| false);
        }
        self.input.extend_from_slice(&buffer[..length]);
        let taken = self.tls.handle_bytes(now(), &mut self.input);
        while let Some(received) = self.tls.recv() {
            self.read += received.data.len();
        }
        taken.map(|()| true)
    }

    fn shake_hands(&mut self) -> Result<(), Error> {
        while self.tls.is_handshaking() {
            self.write();
            self.take()?;
        }
        self.write();
        Ok(())
    }

    fn read_to_the_end(&mut self) -> Result<(), Error> {
        while self.take()? {}
        Ok(())
    }
}

fn is_alert(told: &Result<(), Error>, expected: AlertDescription) -> bool {
    matches!(told, Err(Error::AlertReceived { alert, .. }) if alert.description == expected)
}

/// Posts nine writes behind its handshake, without the certificate that the server requires.
fn post_without_a_certificate(socket: TcpStream, config: Arc<ClientConfig>) -> Result<(), Error> {
    let mut client = Client::new(socket, config);
    client.shake_hands()?;
    for _ in 0..9 {
        client.tls.send(now(), &[7; 10_000]).unwrap();
        client.write();
    }
    client.read_to_the_end()
}

/// RFC 1122 §4.2.2.13, RFC 8446 §6.2: a peer that was still sending reads the reason why it was
/// turned away, and the server does not wait for its time then.
#[test]
fn a_fatal_alert_reaches_a_peer_that_is_still_sending() {
    let mut rounds = (0..20).map(|round| {
        let mut ends = Ends::new().versions(Versions::V1_3);
        let verifier = Arc::new(WebPkiClientVerifier::new(ends.pki.roots()).unwrap());
        let required = ClientAuthentication::Required(verifier);
        ends.server = ends.server.client_authentication(required);
        let configs = ends.build();
        let (mut door, socket) = Door::open(&configs, |_| {});
        let config = configs.client.clone();
        let client = thread::spawn(move || post_without_a_certificate(socket, config));
        let took = door.run(|_| 2 * WAIT);
        // As applications do.
        drop(door);
        let told = client.join().unwrap();
        let fits = is_alert(&told, AlertDescription::CERTIFICATE_REQUIRED);
        assert!(fits, "round {round}: {told:?}");
        took
    });
    let first = rounds.next().unwrap();
    let fastest = rounds.fold(first, Duration::min);
    assert!(fastest < WAIT, "{fastest:?}");
}

/// A peer that never ends, or never stops sending, is waited for two seconds, or a megabyte.
#[test]
fn the_wait_behind_an_alert_is_bounded_in_time_and_amount() {
    let wait_for_a_client_that = |sends: bool| {
        let (mut door, mut client) = Door::open(&Ends::new().build(), |_| {});
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        client.set_nonblocking(true).unwrap();
        let waited = door.run(|_| {
            if !sends {
                return 2 * WAIT;
            }
            let _full = client.write(&[b'x'; 1 << 16]);
            Duration::ZERO
        });
        let failure = door.server.failure().unwrap();
        assert!(failure.alert_sent.is_some(), "{failure}");
        let mut alert = [0; 16];
        assert_eq!(client.read(&mut alert).unwrap(), 7);
        waited
    };
    let silent = best_within(2 * WAIT, || wait_for_a_client_that(false));
    assert!((WAIT..2 * WAIT).contains(&silent), "{silent:?}");
    let sending = best_within(WAIT, || wait_for_a_client_that(true));
    assert!(sending < WAIT, "{sending:?}");
}

/// RFC 8446 §6.2, RFC 1122 §4.2.2.13: a peer that has ended its direction and reads late reads
/// everything that was written, and then the reason; until then the stream is refused with
/// `WouldBlock`.
#[test]
fn an_alert_behind_a_full_window_reaches_a_peer_that_has_ended_and_reads_late() {
    for (versions, ends_first) in [
        (Versions::V1_2, true),
        (Versions::V1_3, true),
        (Versions::V1_3, false),
    ] {
        let configs = Ends::new().versions(versions).build();
        let (mut door, socket) = Door::open(&configs, |listener| {
            let listener = socket2::SockRef::from(listener);
            listener.set_send_buffer_size(1 << 14).unwrap();
        });
        let room = socket2::SockRef::from(&socket).set_recv_buffer_size(1 << 16);
        room.unwrap();
        let config = configs.client.clone();
        let (full, is_full) = mpsc::channel();
        let (refused, is_refused) = mpsc::channel();
        let client = thread::spawn(move || {
            let mut client = Client::new(socket, config);
            client.shake_hands().unwrap();
            is_full.recv().unwrap();
            let garbage = [&[23, 3, 3, 0, 40][..], &[0; 40]].concat();
            client.socket.write_all(&garbage).unwrap();
            if ends_first {
                client.socket.shutdown(std::net::Shutdown::Write).unwrap();
            }
            is_refused.recv().unwrap();
            let told = client.read_to_the_end();
            (client.read, told)
        });
        let (mut written, mut quiet, mut told) = (0, 0, false);
        door.run(|server| {
            let before = written;
            while let Ok(length) = server.stream.write(&[7; 1 << 16]) {
                written += length;
            }
            quiet = if written == before { quiet + 1 } else { 0 };
            // The client reads nothing: what does not move twice in a row has filled the window.
            if quiet == 2 && written > 1 << 18 {
                full.send(()).unwrap();
            }
            // It begins to read after it was told, so until then nothing can get into the socket.
            if server.stream.connection().failure().is_some() && !told {
                let would_block = Some(ErrorKind::WouldBlock);
                assert_eq!(kind(server.stream.write(b"x")), would_block);
                assert_eq!(kind(server.stream.read(&mut [0; 9])), would_block);
                told = true;
                refused.send(()).unwrap();
            }
            Duration::from_millis(50)
        });
        assert!(told, "{written}");
        drop(door);
        let (read, told) = client.join().unwrap();
        assert_eq!(read, written, "{versions:?}");
        let fits = is_alert(&told, AlertDescription::BAD_RECORD_MAC);
        assert!(fits, "{versions:?}: {told:?}");
    }
}
