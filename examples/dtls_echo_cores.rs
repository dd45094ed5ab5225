//! An echo server on all cores: one thread for each, with an endpoint and an event loop of its own,
//! all on the same UDP port. On Linux the system deals the clients out among them.
//!
//! ```sh
//! openssl rand -out /tmp/fleet 32
//! cargo run --release --example dtls_echo_cores -- 127.0.0.1:4433 /tmp/server.pem /tmp/fleet
//! cargo run --example dtls_client -- 127.0.0.1:4433 /tmp/server.pem
//! ```
//!
//! With the file of a secret, servers that are started with the same one, on this port or behind a
//! balancer, resume each other's sessions; so does this one when it was started again.
//!
//! `unwrap` keeps the example short: it is used only where this machine, not a peer, is at fault.

use sealgram::config::FleetSecret;
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::identity::{CertifiedKey, Credential};
use sealgram::net::UdpEndpoint;
use sealgram::net::mio::{Events, Poll, Token};
use sealgram::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sealgram::{Event, ServerConfig};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::{env, fs, io, thread};

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let listen = arguments.next().unwrap_or("127.0.0.1:4433".into());
    let certificate = arguments.next().unwrap_or("/tmp/server.pem".into());

    let mut config = ServerConfig::with_credential(self_signed(Path::new(&certificate)));
    if let Some(file) = arguments.next() {
        let secret = fs::read(file)?.try_into();
        config = config.fleet(FleetSecret::from_bytes(secret.expect("32 bytes")));
    }
    let config = Arc::new(config.build().unwrap());

    // All members are bound before any of them runs, and run until the program ends: whenever their
    // number changes, clients move to members that know nothing of them.
    let cores = thread::available_parallelism()?;
    let policy = EndpointPolicy::default();
    let members = UdpEndpoint::bind_group(listen.parse().unwrap(), cores, policy, config)?;
    let address = members[0].local_addr()?;
    println!("listening on {address}, on {cores} cores, certificate in {certificate}");

    let (ended, end) = mpsc::channel();
    for member in members {
        let ended = ended.clone();
        thread::spawn(move || ended.send(serve(member)));
    }
    // The first error of any thread ends the program.
    end.recv().unwrap()
}

/// The event loop of one member: the same as that of a server on one core.
fn serve(mut member: UdpEndpoint) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut ready = Events::with_capacity(16);
    member.register(poll.registry(), Token(0))?;
    loop {
        member.turn()?;
        let mut quiet = true;
        while let Some((id, event)) = member.poll_event() {
            quiet = false;
            handle(&mut member, id, event);
        }
        if quiet {
            match poll.poll(&mut ready, member.poll_timeout()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }
}

/// What there is to do for one client.
fn handle(member: &mut UdpEndpoint, id: AssociationId, event: Event) {
    match event {
        Event::HandshakeComplete { kind, .. } => {
            let connection = member.endpoint().connection(id);
            let remote = connection.map(|it| it.path().remote());
            println!("{:?}: {remote:?}, {kind:?}", thread::current().id());
        }
        Event::Readable => {
            if let Some(mut peer) = member.association(id) {
                while let Some(received) = peer.recv() {
                    // A full send queue is like a full network: the datagram is lost.
                    let _ = peer.send(&received.data);
                }
            }
        }
        Event::PeerClosed => {
            if let Some(mut peer) = member.association(id) {
                peer.close();
            }
        }
        _ => {}
    }
}

/// Makes a certificate for this machine and writes it where the client finds it.
fn self_signed(file: &Path) -> Credential {
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(file, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    Credential::Certificate(CertifiedKey::new(vec![made.cert.der().clone()], &key).unwrap())
}
