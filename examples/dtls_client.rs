//! Sends greetings to a DTLS server, waits for the answers, and closes. See `dtls_echo_server.rs`.
//!
//! ```sh
//! cargo run --example dtls_client -- 127.0.0.1:4433 /tmp/server.pem
//! ```
//!
//! `unwrap` keeps the example short: it is used only where this machine, not the peer, is at fault.

use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::identity::Roots;
use sealgram::net::UdpEndpoint;
use sealgram::net::mio::{Events, Poll, Token};
use sealgram::pki_types::ServerName;
use sealgram::{ClientConfig, Event};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::{env, io};

/// What is sent, each in a datagram of its own.
const GREETINGS: [&str; 3] = ["hello", "is anybody there?", "goodbye"];

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

    let mut endpoint = UdpEndpoint::connected_to(remote, EndpointPolicy::default())?;
    let mut poll = Poll::new()?;
    endpoint.register(poll.registry(), Token(0))?;
    endpoint.connect(Arc::new(config), name, remote).unwrap();

    let mut answers = 0;
    let mut ready = Events::with_capacity(16);
    loop {
        // Receives, fires timers, sends.
        endpoint.turn()?;
        // Anybody can forge such a report, so it is only shown; the handshake's deadline decides.
        while let Some(report) = endpoint.poll_unreachable() {
            eprintln!("{}", report.error);
        }
        while let Some((id, event)) = endpoint.poll_event() {
            if let ControlFlow::Break(end) = handle(&mut endpoint, id, event, &mut answers) {
                return end;
            }
        }
        // Sends what the events led to.
        endpoint.flush()?;
        // Retransmissions are due in time only if the wait is no longer than the endpoint says.
        match poll.poll(&mut ready, endpoint.poll_timeout()) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
    }
}

fn handle(
    endpoint: &mut UdpEndpoint,
    id: AssociationId,
    event: Event,
    answers: &mut usize,
) -> ControlFlow<io::Result<()>> {
    // Its last event has been polled: there is nothing to be done with it any more.
    let Some(mut server) = endpoint.association(id) else {
        return ControlFlow::Break(match event {
            Event::Failed(failure) => Err(io::Error::other(failure.to_string())),
            // The goodbye has been sent.
            _ => Ok(()),
        });
    };
    match event {
        // Before this, `send` refuses.
        Event::HandshakeComplete { .. } => {
            for greeting in GREETINGS {
                server.send(greeting.as_bytes()).unwrap();
            }
        }
        // Given once until the queue was empty, so the queue must be emptied here.
        Event::Readable => {
            while let Some(received) = server.recv() {
                println!("{}", String::from_utf8_lossy(&received.data));
                *answers += 1;
            }
            // A real client would not wait for ever: over UDP an answer may be lost.
            if *answers == GREETINGS.len() {
                server.close();
            }
        }
        Event::PeerClosed => server.close(),
        _ => {}
    }
    ControlFlow::Continue(())
}
