//! The shim's side of the runner's protocol, against a runner of a few exchanges: greeting,
//! framing, the simulated clock, and exit codes. Only the runner can judge handshakes; here the
//! peer is the library.

#![allow(clippy::disallowed_methods, reason = "the origin of simulated time")]

use bytes::BytesMut;
use sealgram::pki_types::ServerName;
use sealgram::{ClientConfig, DtlsConnection, Path};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SHIM_ID: u64 = 0x0102_0304_0506_0708;

/// A runner with one test.
struct Runner {
    listener: TcpListener,
    shim: Child,
}

impl Runner {
    fn start(flags: &[&str]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bogo_shim"));
        command.args(["-port", &port, "-shim-id", &SHIM_ID.to_string()]);
        command.args(flags);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let shim = command.spawn().unwrap();
        Self { listener, shim }
    }

    /// The next connection of the shim, which says to which test it belongs.
    fn accept(&self) -> TcpStream {
        let (mut stream, _) = self.listener.accept().unwrap();
        let timeout = Some(Duration::from_secs(20));
        stream.set_read_timeout(timeout).unwrap();
        let mut id = [0; 8];
        stream.read_exact(&mut id).unwrap();
        assert_eq!(u64::from_le_bytes(id), SHIM_ID);
        stream
    }

    fn finish(self) -> Output {
        self.shim.wait_with_output().unwrap()
    }
}

fn write_packet(stream: &mut TcpStream, datagram: &[u8]) {
    let length = u32::try_from(datagram.len()).unwrap().to_be_bytes();
    stream
        .write_all(&[&b"P"[..], &length, datagram].concat())
        .unwrap();
}

fn read_packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], b'P');
    let length = u32::from_be_bytes(head[1..].try_into().unwrap());
    let mut datagram = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut datagram).unwrap();
    datagram
}

/// Lets simulated time pass, which the shim confirms.
fn advance(stream: &mut TcpStream, by: Duration) {
    let nanoseconds = u64::try_from(by.as_nanos()).unwrap().to_be_bytes();
    stream
        .write_all(&[&b"T"[..], &nanoseconds].concat())
        .unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"t");
}

fn expect_timeout(stream: &mut TcpStream, timeout: Option<Duration>) {
    let nanoseconds = timeout.map_or(u64::MAX, |it| u64::try_from(it.as_nanos()).unwrap());
    stream
        .write_all(&[&b"E"[..], &nanoseconds.to_be_bytes()].concat())
        .unwrap();
}

#[test]
fn the_shim_says_that_it_moves_no_handshakes() {
    let output = Command::new(env!("CARGO_BIN_EXE_bogo_shim"))
        .arg("-is-handshaker-supported")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"No\n");
}

#[test]
fn an_unknown_flag_is_not_implemented() {
    let output = Runner::start(&["-such-a-flag-does-not-exist"]).finish();
    assert_eq!(output.status.code(), Some(89));
}

/// The first hello, its timer of 400 ms, and what follows when that has fired.
#[test]
fn a_client_repeats_its_hello_when_the_simulated_clock_says_so() {
    let runner = Runner::start(&["-dtls"]);
    let mut stream = runner.accept();
    let first = read_packet(&mut stream);
    assert_eq!((first[0], first[13]), (22, 1));
    expect_timeout(&mut stream, Some(Duration::from_millis(400)));
    advance(&mut stream, Duration::from_millis(400));
    let second = read_packet(&mut stream);
    // The same message in another record.
    assert_eq!(first[13..], second[13..]);
    assert_eq!(second[10], first[10] + 1);
    expect_timeout(&mut stream, Some(Duration::from_millis(800)));
    // A shorter first timeout scales the one that runs.
    stream.write_all(b"U\0\0\0\xc8").unwrap();
    expect_timeout(&mut stream, Some(Duration::from_millis(400)));
    drop(stream);
    let output = runner.finish();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("during the handshake"), "{told}");
}

#[test]
fn a_wrong_timer_fails_the_test_and_says_which() {
    let runner = Runner::start(&["-dtls"]);
    let mut stream = runner.accept();
    read_packet(&mut stream);
    expect_timeout(&mut stream, None);
    // The shim is gone, or will be.
    let _ = stream.read_to_end(&mut Vec::new());
    drop(stream);
    let output = runner.finish();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("due in 400ms, not never"), "{told}");
}

/// A whole test: a handshake, the echo with every bit turned, the end, and a second connection that
/// resumes.
#[test]
fn a_server_echoes_and_resumes() {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    let made = rcgen::generate_simple_self_signed(vec!["server.test".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let runner = Runner::start(&[
        "-server",
        "-cert-file",
        certificate.to_str().unwrap(),
        "-key-file",
        key.to_str().unwrap(),
        "-dtls",
        "-resume-count",
        "1",
        "-expect-server-name",
        "server.test",
    ]);
    let client = ClientConfig::dangerous().accept_any_certificate();
    let client = Arc::new(client.build().unwrap());
    let now = Instant::now();
    for _ in 0..2 {
        let mut stream = runner.accept();
        let path = Path::new((Ipv4Addr::LOCALHOST, 1).into());
        let name = ServerName::try_from("server.test").unwrap();
        let mut peer = DtlsConnection::connect(now, client.clone(), name, path).unwrap();
        let mut sent = false;
        let echo = loop {
            let mut out = Vec::new();
            while let Some(transmit) = {
                out.clear();
                peer.poll_transmit(now, 1, &mut out)
            } {
                write_packet(&mut stream, &out[..transmit.len]);
            }
            if !sent && !peer.is_handshaking() {
                peer.send(now, b"question").unwrap();
                sent = true;
                continue;
            }
            if let Some(received) = peer.recv() {
                break received.data;
            }
            let datagram = read_packet(&mut stream);
            peer.handle_datagram(now, path, BytesMut::from(&datagram[..]))
                .unwrap();
        };
        let expected: Vec<u8> = b"question".iter().map(|byte| !byte).collect();
        assert_eq!(echo, expected);
    }
    let output = runner.finish();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty());
}
