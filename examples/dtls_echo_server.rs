//! Sends every datagram back to its sender, over DTLS, to any number of clients on one UDP socket.
//!
//! ```sh
//! cargo run --example dtls_echo_server -- 127.0.0.1:4433 /tmp/server.pem
//! cargo run --example dtls_client -- 127.0.0.1:4433 /tmp/server.pem
//! ```
//!
//! `unwrap` keeps the example short: it is used only where this machine, not a peer, is at fault.

use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::identity::{CertifiedKey, Credential};
use sealgram::net::UdpEndpoint;
use sealgram::net::mio::{Events, Poll, Token};
use sealgram::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sealgram::{Event, ServerConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let listen = arguments.next().unwrap_or("127.0.0.1:4433".into());
    let certificate = arguments
        .next()
        .map_or(env::temp_dir().join("sealgram.pem"), PathBuf::from);

    let credential = self_signed(&certificate);
    let config = ServerConfig::with_credential(credential).build().unwrap();
    let policy = EndpointPolicy::default();
    let mut endpoint = UdpEndpoint::bind(listen.parse().unwrap(), policy, Some(Arc::new(config)))?;

    let mut poll = Poll::new()?;
    endpoint.register(poll.registry(), Token(0))?;
    println!(
        "listening on {}, certificate in {}",
        endpoint.local_addr()?,
        certificate.display()
    );

    let mut ready = Events::with_capacity(16);
    loop {
        // Receives, fires timers, sends.
        endpoint.turn()?;
        while let Some((id, event)) = endpoint.poll_event() {
            handle(&mut endpoint, id, event);
        }
        while let Some(report) = endpoint.poll_unreachable() {
            println!("{:?}: {}", report.remote, report.error);
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

fn handle(endpoint: &mut UdpEndpoint, id: AssociationId, event: Event) {
    match event {
        Event::HandshakeComplete { .. } => {
            // The endpoint's own getters tell everything about an association.
            if let Some(connection) = endpoint.endpoint().connection(id) {
                let suite = connection.cipher_suite().unwrap();
                println!("{id}: {} is here, {suite}", connection.path().remote());
            }
        }
        Event::Readable => echo(endpoint, id),
        Event::PeerClosed => {
            if let Some(mut peer) = endpoint.association(id) {
                // What came before the goodbye can still be read, but not answered.
                while peer.recv().is_some() {}
                peer.close();
            }
        }
        // One peer's failure is no reason to stop serving the others.
        Event::Failed(failure) => println!("{id}: {failure}"),
        Event::Closed => println!("{id}: closed"),
        _ => {}
    }
}

/// `Readable` comes once until the queue has been emptied, so it must be emptied here.
fn echo(endpoint: &mut UdpEndpoint, id: AssociationId) {
    let Some(mut peer) = endpoint.association(id) else {
        return;
    };
    while let Some(received) = peer.recv() {
        if let Err(error) = peer.send(&received.data) {
            println!("{id}: a datagram is lost: {error}");
        }
    }
}

/// Makes a certificate for this machine and writes it where the client finds it. A real server
/// would load one: `CertifiedKey::from_pem_files`.
fn self_signed(file: &PathBuf) -> Credential {
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(file, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    Credential::Certificate(CertifiedKey::new(vec![made.cert.der().clone()], &key).unwrap())
}
