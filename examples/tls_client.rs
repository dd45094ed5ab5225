//! Sends greetings to a TLS server, waits for the answers, and closes. See `tls_echo_server.rs`.
//!
//! ```sh
//! cargo run --example tls_client -- 127.0.0.1:4433 /tmp/server.pem
//! ```
//!
//! `unwrap` keeps the example short: it is used only where this machine, not the peer, is at fault.

use sealgram::identity::Roots;
use sealgram::net::TlsStream;
use sealgram::net::mio::{Events, Interest, Poll, Token};
use sealgram::pki_types::ServerName;
use sealgram::{ClientConfig, Event};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::{env, str};

/// What is sent; a stream has no boundaries, so line breaks separate the greetings.
const GREETINGS: &str = "hello\nis anybody there?\ngoodbye\n";

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let server = arguments.next().unwrap_or("127.0.0.1:4433".into());
    let certificate = arguments
        .next()
        .map_or(env::temp_dir().join("sealgram.pem"), PathBuf::from);

    let remote: SocketAddr = server.parse().unwrap();
    // A server's self-signed certificate may be among the roots; its name is still checked.
    let roots = Roots::from_pem_file(&certificate).unwrap();
    let config = ClientConfig::with_roots(roots).unwrap().build().unwrap();
    let name = ServerName::IpAddress(remote.ip().into());

    let mut tls = TlsStream::connect(Arc::new(config), name, remote)?;
    let mut poll = Poll::new()?;
    // Both, all the time: a handshake writes and reads whatever the application does.
    let both = Interest::READABLE | Interest::WRITABLE;
    poll.registry().register(&mut tls, Token(0), both)?;

    let mut greetings = GREETINGS.as_bytes();
    let mut answers = Vec::new();
    let mut ready = Events::with_capacity(16);
    loop {
        // The handshake's deadline is noticed in time only if the wait is no longer than the stream
        // says.
        match poll.poll(&mut ready, tls.poll_timeout()) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        // Connects, receives, fires timers, sends; fails when the connection does.
        tls.turn()?;
        while let Some(event) = tls.poll_event() {
            if let Event::HandshakeComplete { .. } = event {
                println!("secured by {}", tls.connection().cipher_suite().unwrap());
            }
        }
        say(&mut tls, &mut greetings)?;
        let ended = listen(&mut tls, &mut answers)?;
        if answers.len() == GREETINGS.len() {
            print!(
                "{}",
                str::from_utf8(&answers).unwrap_or("not what was sent")
            );
            tls.close();
            return tls.flush();
        }
        if ended {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Writes as much as is accepted. Before the handshake is done, nothing is.
fn say(tls: &mut TlsStream, text: &mut &[u8]) -> io::Result<()> {
    while !text.is_empty() {
        match tls.write(text) {
            Ok(length) => *text = &text[length..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads until nothing is left, because readiness is reported only when it begins. Returns whether
/// the server has closed.
fn listen(tls: &mut TlsStream, text: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    loop {
        match tls.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(length) => text.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}
