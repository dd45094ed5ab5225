//! A long-lived DTLS 1.2 association that replaces its keys after a number of bytes, while data
//! flows both ways.
//!
//! ```sh
//! cargo run --example renegotiate -- 20000
//! ```
//!
//! Both ends live in this process, on two sockets of the loopback interface. The client's policy
//! says when; the server must allow it, because a handshake costs a server more than its client.
//! `unwrap` keeps the example short: it is used only where this machine, not a peer, is at fault.

use sealgram::config::{ClientRenegotiation, RekeyPolicy, Versions};
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::identity::{CertifiedKey, Credential, Roots};
use sealgram::net::UdpEndpoint;
use sealgram::net::mio::{Events, Poll, Token};
use sealgram::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use sealgram::record::Received;
use sealgram::{ClientConfig, Event, ServerConfig};
use std::sync::Arc;
use std::time::Duration;
use std::{env, io};

/// How many datagrams the client sends.
const DATAGRAMS: u32 = 2000;

fn main() -> io::Result<()> {
    let bytes = env::args()
        .nth(1)
        .map_or(50_000, |text| text.parse().unwrap());
    let (client, server) = configs(bytes);
    let policy = EndpointPolicy::default;
    let localhost = "127.0.0.1:0".parse().unwrap();
    let mut server = UdpEndpoint::bind(localhost, policy(), Some(Arc::new(server)))?;
    let remote = server.local_addr()?;
    let mut client_endpoint = UdpEndpoint::connected_to(remote, policy())?;
    let mut poll = Poll::new()?;
    server.register(poll.registry(), Token(0))?;
    client_endpoint.register(poll.registry(), Token(1))?;
    let name = ServerName::try_from("localhost").unwrap();
    let id = client_endpoint
        .connect(Arc::new(client), name, remote)
        .unwrap();

    let mut client = Client {
        id,
        sent: 0,
        answered: 0,
    };
    let mut ready = Events::with_capacity(16);
    while client.answered < DATAGRAMS {
        server.turn()?;
        while let Some((id, event)) = server.poll_event() {
            serve(&mut server, id, event);
        }
        client_endpoint.turn()?;
        while let Some((_, event)) = client_endpoint.poll_event() {
            client.handle(&mut client_endpoint, event)?;
        }
        let timeouts = [server.poll_timeout(), client_endpoint.poll_timeout()];
        let timeout = timeouts.into_iter().flatten().min();
        match poll.poll(&mut ready, timeout.or(Some(Duration::from_secs(1)))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
    }
    let connection = client_endpoint.endpoint().connection(id).unwrap();
    println!(
        "{DATAGRAMS} datagrams each way, {} renegotiations, now in epoch {}",
        connection.renegotiations(),
        connection.epoch()
    );
    Ok(())
}

/// A certificate for this machine, a client that trusts it and asks for new keys after `bytes`, and
/// a server that allows it.
fn configs(bytes: u64) -> (ClientConfig, ServerConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key).unwrap();
    let mut roots = Roots::new();
    roots.add(made.cert.der()).unwrap();
    let rekey = RekeyPolicy::default().bytes(Some(bytes)).unwrap();
    let client = ClientConfig::with_roots(roots)
        .unwrap()
        .versions(Versions::V1_2)
        .rekey(rekey);
    let min_interval = Duration::ZERO;
    let allow =
        RekeyPolicy::default().client_renegotiation(ClientRenegotiation::Allow { min_interval });
    let server = ServerConfig::with_credential(Credential::Certificate(certified))
        .versions(Versions::V1_2)
        .rekey(allow);
    (client.build().unwrap(), server.build().unwrap())
}

/// Sends everything back.
fn serve(server: &mut UdpEndpoint, id: AssociationId, event: Event) {
    if event == Event::Readable
        && let Some(mut peer) = server.association(id)
    {
        while let Some(received) = peer.recv() {
            // What is sent while the keys are replaced waits for the new ones.
            peer.send(&received.data).unwrap();
        }
    }
}

/// One question is under way at a time, so that the epochs can be watched.
struct Client {
    id: AssociationId,
    sent: u32,
    answered: u32,
}

impl Client {
    fn handle(&mut self, endpoint: &mut UdpEndpoint, event: Event) -> io::Result<()> {
        match event {
            Event::HandshakeComplete {
                kind,
                renegotiation,
            } => {
                let epoch = endpoint.endpoint().connection(self.id).unwrap().epoch();
                println!(
                    "epoch {epoch}: {} handshake behind {} datagrams",
                    kind.name(),
                    self.answered
                );
                if !renegotiation {
                    self.ask(endpoint);
                }
            }
            Event::RenegotiationRefused { reason } => println!("refused: {}", reason.name()),
            Event::Readable => {
                while let Some(received) = receive(endpoint, self.id) {
                    assert_eq!(received.data, payload(self.answered));
                    self.answered += 1;
                    self.ask(endpoint);
                }
            }
            Event::Failed(failure) => return Err(io::Error::other(failure.to_string())),
            _ => {}
        }
        Ok(())
    }

    fn ask(&mut self, endpoint: &mut UdpEndpoint) {
        if self.sent < DATAGRAMS {
            endpoint
                .association(self.id)
                .unwrap()
                .send(&payload(self.sent))
                .unwrap();
            self.sent += 1;
        }
    }
}

fn receive(endpoint: &mut UdpEndpoint, id: AssociationId) -> Option<Received> {
    endpoint.association(id)?.recv()
}

fn payload(number: u32) -> Vec<u8> {
    format!("{number:0>100}").into_bytes()
}
