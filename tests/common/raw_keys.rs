//! Raw public keys (RFC 7250) for tests, and one end of ours opposite a scripted one that shows or
//! is shown such a key.

use crate::common::configs::{SERVER, server_name, start};
use crate::common::datagram_harness::{ASKING_SERVER_FLIGHT, SERVER_FLIGHT};
use crate::common::datagram_harness::{CLIENT_FLIGHT, FINALE, PROVING_CLIENT_FLIGHT};
use crate::common::harness::Harness;
use crate::common::transport::Transport;
use rcgen::{KeyPair, SignatureAlgorithm};
use sealgram::client::ClientConfigBuilder;
use sealgram::config::Versions;
use sealgram::identity::{Credential, PinnedKeys, RawKey};
use sealgram::pki_types::PrivateKeyDer;
use sealgram::server::{ClientAuthentication, ServerConfigBuilder};
use sealgram::sim::StreamEnd;
use sealgram::sim::scripted::{self, Heard};
use sealgram::sim::scripted13;
use sealgram::{ClientConfig, Error, Event, ServerConfig, TlsConnection};
use std::sync::Arc;

pub const CLIENT_CERTIFICATE_TYPE: u16 = 19;
pub const SERVER_CERTIFICATE_TYPE: u16 = 20;

/// The numbers of types of certificates.
pub const X509: u8 = 0;
pub const RAW: u8 = 2;

/// A key of this kind.
pub fn raw_key(algorithm: &'static SignatureAlgorithm) -> RawKey {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    RawKey::new(&der).unwrap()
}

/// The RSA key of `tests/common/rsa2048.pem`.
pub fn raw_rsa_key() -> RawKey {
    use sealgram::pki_types::pem::PemObject as _;
    let pem = include_bytes!("rsa2048.pem");
    RawKey::new(&PrivateKeyDer::from_pem_slice(pem).unwrap()).unwrap()
}

/// A verifier that accepts this key alone.
pub fn pinned(key: &RawKey) -> Arc<PinnedKeys> {
    Arc::new(PinnedKeys::new([key.fingerprint()]))
}

/// A client that accepts this key of a server.
pub fn client_of(server: &RawKey) -> ClientConfigBuilder {
    ClientConfig::with_verifier(pinned(server))
}

/// A server with this key.
pub fn server_with(key: &RawKey) -> ServerConfigBuilder {
    ServerConfig::with_credential(Credential::RawKey(key.clone()))
}

/// Accepts this key of a client, and demands it.
pub fn demanding(client: &RawKey) -> ClientAuthentication {
    ClientAuthentication::Required(pinned(client))
}

/// What a scripted end says, and what our end makes of it.
#[derive(Debug)]
pub struct Outcome {
    pub error: Option<Error>,
    pub complete: bool,
    /// The messages that our end has sent, by type, with their bodies.
    pub heard: Vec<(u8, Vec<u8>)>,
    /// What the last ClientHello says of the two types: the client's own, the server's.
    pub offered: [Option<Vec<u8>>; 2],
    /// What the server answers to these.
    pub answered: [Option<Vec<u8>>; 2],
}

impl Outcome {
    /// The body of the first message of a type that our end has sent.
    pub fn body(&self, typ: u8) -> Option<&[u8]> {
        let found = self.heard.iter().find(|(found, _)| *found == typ);
        found.map(|(_, body)| &body[..])
    }

    /// The alert that our end has sent.
    pub fn alert(&self) -> Option<u8> {
        self.error.as_ref()?.alert().map(|alert| alert.0)
    }
}

/// A scripted end.
pub struct Script<'a> {
    pub credential: Option<Credential>,
    /// What it says of the two types, the client's and the server's: a client a list, a server one.
    pub types: [Option<&'a [u8]>; 2],
    /// Whether a server asks for a certificate.
    pub asks: bool,
    /// Changes the body of its Certificate.
    pub alter: &'a dyn Fn(&mut Vec<u8>),
}

impl Script<'_> {
    pub fn new(credential: Credential) -> Self {
        Self {
            credential: Some(credential),
            types: [None; 2],
            asks: false,
            alter: &|_| {},
        }
    }
}

const TYPES: [u16; 2] = [CLIENT_CERTIFICATE_TYPE, SERVER_CERTIFICATE_TYPE];

/// Our client opposite a scripted server of this version over a stream.
pub fn our_client(versions: Versions, client: ClientConfigBuilder, script: &Script<'_>) -> Outcome {
    let client = Arc::new(client.versions(versions).build().unwrap());
    match versions {
        Versions::V1_3 => our_client_13(client, script),
        _ => our_client_12(client, script),
    }
}

fn our_client_12(client: Arc<ClientConfig>, script: &Script<'_>) -> Outcome {
    let credential = script.credential.clone().unwrap();
    let peer = scripted::ScriptedPeer::server(credential);
    let mut harness = Harness::client(Transport::Tls, client, peer);
    // An honest answer is there now.
    for (typ, body) in TYPES.into_iter().zip(script.types) {
        if let Some(body) = body {
            harness.peer().choice.set_extension(typ, body);
        }
    }
    let flight: &[_] = match script.asks {
        true => &ASKING_SERVER_FLIGHT,
        false => &SERVER_FLIGHT,
    };
    harness.play_altered(flight, |line, body| {
        if line == scripted::Line::Certificate {
            (script.alter)(body);
        }
    });
    harness.play(&FINALE);
    outcome_12(&mut harness)
}

fn outcome_12(harness: &mut Harness) -> Outcome {
    let complete = |event: &Event| matches!(event, Event::HandshakeComplete { .. });
    let (complete, error) = (harness.events().iter().any(complete), harness.error());
    let peer = harness.peer();
    let message = |heard: &Heard| match heard {
        Heard::Message { typ, body, .. } => Some((*typ, body.clone())),
        _ => None,
    };
    Outcome {
        error,
        complete,
        heard: peer.heard.iter().filter_map(message).collect(),
        offered: TYPES.map(|typ| list(peer.offer.extension(typ))),
        answered: TYPES.map(|typ| peer.choice.extension(typ).map(<[u8]>::to_vec)),
    }
}

/// The types of a list, which has the right length.
fn list(extension: Option<&[u8]>) -> Option<Vec<u8>> {
    let (length, list) = extension?.split_first().unwrap();
    assert_eq!(usize::from(*length), list.len());
    Some(list.to_vec())
}

fn our_client_13(client: Arc<ClientConfig>, script: &Script<'_>) -> Outcome {
    use scripted13::Line;
    let mut peer = scripted13::ScriptedPeer::server(script.credential.clone().unwrap());
    for (typ, body) in TYPES.into_iter().zip(script.types) {
        peer.granted.extend(body.map(|body| (typ, body.to_vec())));
    }
    let now = start();
    let mut ours = StreamEnd::new(TlsConnection::connect(now, client, server_name()).unwrap());
    peer.hear(&ours.transmit(now));
    let mut flight = vec![Line::ServerHello, Line::EncryptedExtensions];
    flight.extend(script.asks.then_some(Line::CertificateRequest));
    flight.extend([Line::Certificate, Line::CertificateVerify, Line::Finished]);
    let bytes = peer.speak_altered(&flight, |line, body| {
        if line == Line::Certificate {
            (script.alter)(body);
        }
    });
    ours.deliver(now, &bytes);
    peer.hear(&ours.transmit(now));
    outcome_13(&ours, &peer)
}

fn outcome_13(ours: &StreamEnd, peer: &scripted13::ScriptedPeer) -> Outcome {
    let complete = |event: &Event| matches!(event, Event::HandshakeComplete { .. });
    let message = |heard: &scripted13::Heard| match heard {
        scripted13::Heard::Message(typ, body) => Some((*typ, body.clone())),
        _ => None,
    };
    let heard: Vec<_> = peer.heard.iter().filter_map(message).collect();
    let encrypted = heard.iter().find(|(typ, _)| *typ == ENCRYPTED_EXTENSIONS);
    let granted = encrypted
        .map(|(_, body)| extensions(&body[2..]))
        .unwrap_or_default();
    let answered = TYPES.map(|typ| {
        let found = granted.iter().find(|(found, _)| *found == typ);
        found.map(|(_, body)| body.clone())
    });
    Outcome {
        error: ours.error.clone(),
        complete: ours.events.iter().any(complete),
        offered: TYPES.map(|typ| list(peer.offer.extension(typ))),
        heard,
        answered,
    }
}

pub const ENCRYPTED_EXTENSIONS: u8 = 8;

/// The extensions of a block without its length.
pub fn extensions(mut block: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some((&[t0, t1, l0, l1], rest)) = block.split_first_chunk() {
        let (body, rest) = rest.split_at(u16::from_be_bytes([l0, l1]).into());
        found.push((u16::from_be_bytes([t0, t1]), body.to_vec()));
        block = rest;
    }
    found
}

/// Our server opposite a scripted client of this version over a stream.
pub fn our_server(versions: Versions, server: ServerConfigBuilder, script: &Script<'_>) -> Outcome {
    let server = Arc::new(server.versions(versions).build().unwrap());
    match versions {
        Versions::V1_3 => our_server_13(server, script),
        _ => our_server_12(server, script),
    }
}

fn offer(hello: &mut scripted::ClientOffer, script: &Script<'_>) {
    for (typ, list) in TYPES.into_iter().zip(script.types) {
        if let Some(list) = list {
            let length = u8::try_from(list.len()).unwrap();
            hello.set_extension(typ, &[&[length], list].concat());
        }
    }
}

fn our_server_12(server: Arc<ServerConfig>, script: &Script<'_>) -> Outcome {
    let mut peer = scripted::ScriptedPeer::client(SERVER, script.credential.clone());
    peer = peer.over_stream();
    offer(&mut peer.offer, script);
    let mut harness = Harness::server(Transport::Tls, server, peer);
    harness.play_hello();
    let asked = harness.messages_heard_since(0).contains(&13);
    let flight: &[_] = match (asked, script.credential.is_some()) {
        (true, true) => &PROVING_CLIENT_FLIGHT,
        (true, false) => &EMPTY_CLIENT_FLIGHT_12,
        (false, _) => &CLIENT_FLIGHT,
    };
    harness.play_altered(flight, |line, body| {
        if line == scripted::Line::Certificate {
            (script.alter)(body);
        }
    });
    outcome_12(&mut harness)
}

const EMPTY_CLIENT_FLIGHT_12: [scripted::Line; 4] = [
    scripted::Line::Certificate,
    scripted::Line::ClientKeyExchange,
    scripted::Line::ChangeCipherSpec,
    scripted::Line::Finished,
];

fn our_server_13(server: Arc<ServerConfig>, script: &Script<'_>) -> Outcome {
    use scripted13::Line;
    let mut peer = scripted13::ScriptedPeer::client(SERVER, script.credential.clone());
    offer(&mut peer.offer, script);
    let now = start();
    let mut ours = StreamEnd::new(TlsConnection::accept(now, server).unwrap());
    let hello = peer.speak(&[Line::ClientHello]);
    ours.deliver(now, &hello);
    peer.hear(&ours.transmit(now));
    let mut flight = Vec::new();
    if peer.messages_heard().contains(&13) {
        flight.push(Line::Certificate);
        flight.extend(script.credential.as_ref().map(|_| Line::CertificateVerify));
    }
    flight.push(Line::Finished);
    for line in flight {
        let bytes = peer.speak_altered(&[line], |line, body| {
            if line == Line::Certificate {
                (script.alter)(body);
            }
        });
        ours.deliver(now, &bytes);
    }
    peer.hear(&ours.transmit(now));
    outcome_13(&ours, &peer)
}
