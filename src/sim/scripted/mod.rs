//! A peer of version 1.2 that does what a test tells it to, line by line; over datagrams, or over a
//! stream.
//!
//! It has keys and knows the protocol, but no state machine: nothing stops it from leaving out a
//! message, sending it twice, sending something else or using the wrong epoch. Its logic shares
//! nothing with the handshake states and record layer that it tests, only codecs, key schedule and
//! record protection.
//!
//! A test reads like a sequence chart. The test itself carries the bytes to and from the end under
//! test:
//!
//! ```text
//!   our client                 scripted server
//!   ClientHello        ──►     hear(datagram)
//!                      ◄──     speak(&[HelloVerifyRequest])
//!   ClientHello        ──►     hear(datagram)
//!                      ◄──     speak(&[ServerHello, Certificate, ServerKeyExchange,
//!                                      ServerHelloDone])
//!   ClientKeyExchange … ──►    hear(datagram)
//!                      ◄──     speak(&[ChangeCipherSpec, Finished])
//! ```
//!
//! [`ScriptedPeer::speak`] sends what an honest peer would send under these names, in this order;
//! [`ScriptedPeer::speak_altered`] lets the test change each body first. Below that,
//! [`ScriptedPeer::say`] numbers a message with any body, [`Spoken`] cuts it into any fragments,
//! and [`ScriptedPeer::record`] and [`ScriptedPeer::record_at`] make records of any type, epoch,
//! version and number.
//!
//! [`ScriptedPeer::renegotiate`] prepares for another handshake under the same keys,
//! [`ScriptedPeer::resume`] for one with the secret of an earlier one.
//! [`ScriptedPeer::over_stream`] makes a peer that speaks TLS; its records and messages have no
//! numbers, so those that a script chooses are left out.

mod again;
mod hello;
mod identified;
mod inbound;
mod keys;
mod line;
mod shared_key;
mod spoken;

pub use again::ScriptedSession;
pub use hello::{ClientOffer, ServerChoice};
pub use inbound::Heard;
pub use line::Line;
pub use shared_key::ScriptedSharedKey;
pub use spoken::Spoken;

use crate::crypto::kx::Exchange;
use crate::crypto::random::{SecureRandom as _, SystemRandom};
use crate::crypto::suite::{self, Suite};
use crate::identity::Credential;
use crate::protocol::{
    CipherSuite, ContentType, HandshakeType, NamedGroup, ProtocolVersion, Side, SignatureScheme,
};
use crate::secrets::schedule12::{MasterSecret, Randoms};
use inbound::Inbound;
use keys::{Keys, Wire};

/// The type of a ChangeCipherSpec record.
pub const CHANGE_CIPHER_SPEC: u8 = ContentType::CHANGE_CIPHER_SPEC.0;
/// The type of an alert record.
pub const ALERT: u8 = ContentType::ALERT.0;
/// The type of a handshake record.
pub const HANDSHAKE: u8 = ContentType::HANDSHAKE.0;
/// The type of a record with a message of a return routability check.
pub const RETURN_ROUTABILITY_CHECK: u8 = ContentType::RETURN_ROUTABILITY_CHECK.0;
/// The type of a data record.
pub const APPLICATION_DATA: u8 = ContentType::APPLICATION_DATA.0;

/// DTLS 1.2, as records carry it.
pub const DTLS12: u16 = ProtocolVersion::DTLS12.0;
/// TLS 1.2, as records carry it.
pub const TLS12: u16 = ProtocolVersion::TLS12.0;

/// A peer that has keys but obeys no rules.
///
/// Everything that it would send honestly is in its public fields and can be changed before it is
/// sent.
pub struct ScriptedPeer {
    /// The contents of a ClientHello. A server keeps the last one that it received here.
    pub offer: ClientOffer,
    /// The contents of a ServerHello. A client keeps the one that it received here.
    pub choice: ServerChoice,
    /// The cookie of a HelloVerifyRequest.
    pub cookie: Vec<u8>,
    /// The version field of a HelloVerifyRequest.
    pub verify_version: u16,
    /// The group of a ServerKeyExchange. A client keeps the one that it received here.
    pub group: u16,
    /// What is said under a suite with a shared key. A client keeps the hint that it received here,
    /// a server the identity.
    pub shared_key: ScriptedSharedKey,
    /// Whether a server grants the ticket extension to a client that asks for it.
    pub promises_ticket: bool,
    /// The ticket of a NewSessionTicket. A client keeps the last one that it received here.
    pub ticket: Vec<u8>,
    /// The lifetime of the ticket, in seconds. A client keeps the last one that it received here.
    pub ticket_lifetime: u32,
    /// What a server answers an offer of connection IDs with, and whether it takes part in checks
    /// of paths; `None` to leave the offer unanswered.
    pub identity: Option<(Vec<u8>, bool)>,
    /// Everything that was received, in order.
    pub heard: Vec<Heard>,
    side: Side,
    credential: Option<Credential>,
    /// The epoch of the handshake's messages; its Finished is in the next one.
    epoch: u16,
    next_seq: u16,
    transcript: Vec<u8>,
    exchange: Option<Exchange>,
    /// The server's share that a client received.
    share: Vec<u8>,
    secret: Vec<u8>,
    master: Option<MasterSecret>,
    /// Whether `master` comes from a key exchange; a script may require keys before there was one.
    keyed: bool,
    /// Whether the other side's Finished was right; `None` before it was received.
    verified: Option<bool>,
    /// The verify_data of this handshake: the client's, the server's.
    finished: [Vec<u8>; 2],
    /// The same of the handshake that is renegotiated; empty in a first one.
    bound: [Vec<u8>; 2],
    resuming: Option<ScriptedSession>,
    wire: Wire,
    /// The epoch that the peer's last ChangeCipherSpec led to.
    writing: u16,
    keys: Keys,
    inbound: Inbound,
}

impl ScriptedPeer {
    /// A client that offers what an honest one would to a server called `name`. It shows
    /// `credential` when its script says Certificate.
    pub fn client(name: &str, credential: Option<Credential>) -> Self {
        Self::new(
            Side::Client,
            ClientOffer::honest(name, random()),
            credential,
        )
    }

    /// A server without a certificate, which chooses this suite and shares a key with its client.
    pub fn sharing_server(suite: u16, shared_key: ScriptedSharedKey) -> Self {
        let mut server = Self::new(Side::Server, ClientOffer::honest("", [0; 32]), None);
        server.choice.suite = suite;
        server.shared_key = shared_key;
        server
    }

    /// A client that offers this suite alone and shares a key with its server.
    pub fn sharing_client(name: &str, suite: u16, shared_key: ScriptedSharedKey) -> Self {
        let mut client = Self::client(name, None);
        client.offer.suites = vec![suite];
        client.shared_key = shared_key;
        client
    }

    /// A server with this certificate, which chooses a suite that fits it.
    pub fn server(credential: Credential) -> Self {
        Self::new(
            Side::Server,
            ClientOffer::honest("", [0; 32]),
            Some(credential),
        )
    }

    fn new(side: Side, offer: ClientOffer, credential: Option<Credential>) -> Self {
        Self {
            offer,
            choice: ServerChoice::honest(random()),
            cookie: b"a cookie of 20 bytes".to_vec(),
            verify_version: ProtocolVersion::DTLS10.0,
            group: NamedGroup::X25519.0,
            shared_key: ScriptedSharedKey::default(),
            promises_ticket: false,
            ticket: Vec::new(),
            ticket_lifetime: 0,
            identity: None,
            heard: Vec::new(),
            side,
            credential,
            epoch: 0,
            next_seq: 0,
            transcript: Vec::new(),
            exchange: None,
            share: Vec::new(),
            secret: Vec::new(),
            master: None,
            keyed: false,
            verified: None,
            finished: Default::default(),
            bound: Default::default(),
            resuming: None,
            wire: Wire::Datagram,
            writing: 0,
            keys: Keys::default(),
            inbound: Inbound::default(),
        }
    }

    /// The same peer speaking TLS, before it has said anything.
    #[must_use]
    pub fn over_stream(mut self) -> Self {
        self.wire = Wire::Stream;
        self.keys.wire = Wire::Stream;
        self.offer = self.offer.in_stream();
        self.choice.version = TLS12;
        self
    }

    /// Whether the peer speaks TLS.
    pub fn is_over_stream(&self) -> bool {
        self.wire == Wire::Stream
    }

    /// Sends these lines, each in a record of its own.
    pub fn speak(&mut self, lines: &[Line]) -> Vec<Vec<u8>> {
        self.speak_altered(lines, |_, _| {})
    }

    /// Sends these lines, each in a record of its own, after `alter` has changed each body. The
    /// transcript has the altered bodies, so that the change is the only fault, and Finished still
    /// verifies.
    pub fn speak_altered(
        &mut self,
        lines: &[Line],
        mut alter: impl FnMut(Line, &mut Vec<u8>),
    ) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for &line in lines {
            if line == Line::ChangeCipherSpec {
                records.push(self.record(CHANGE_CIPHER_SPEC, self.epoch, &[1]));
                self.writing = self.epoch + 1;
                continue;
            }
            let mut body = self.body(line);
            alter(line, &mut body);
            let spoken = self.say(line.typ(), body);
            let message = self.framed(&spoken);
            records.push(self.record(HANDSHAKE, self.epoch_of(line.typ()), &message));
        }
        records
    }

    /// Numbers a message and enters it into the transcript. Nothing is sent.
    pub fn say(&mut self, typ: u8, body: Vec<u8>) -> Spoken {
        let seq = self.next_seq;
        self.next_seq = self.next_seq.wrapping_add(1);
        if typ == HandshakeType::FINISHED.0 {
            self.finished[usize::from(self.side == Side::Server)] = body.clone();
        }
        self.enter(typ, seq, &body);
        Spoken { typ, seq, body }
    }

    /// A message in one piece, with the header of its transport.
    pub fn framed(&self, spoken: &Spoken) -> Vec<u8> {
        match self.wire {
            Wire::Datagram => spoken.whole(),
            Wire::Stream => spoken.in_stream(),
        }
    }

    /// The number of the next message.
    pub fn next_seq(&self) -> u16 {
        self.next_seq
    }

    /// Continues the numbering with this number.
    pub fn set_next_seq(&mut self, seq: u16) {
        self.next_seq = seq;
    }

    /// The epoch of the handshake's messages.
    pub fn epoch(&self) -> u16 {
        self.epoch
    }

    /// The epoch in which an honest peer sends a message of this type.
    pub fn epoch_of(&self, typ: u8) -> u16 {
        self.epoch + u16::from(typ == HandshakeType::FINISHED.0)
    }

    /// A record with the next number of `epoch`; plaintext if the peer has no keys for it.
    pub fn record(&mut self, content_type: u8, epoch: u16, payload: &[u8]) -> Vec<u8> {
        let sequence = self.keys.next_sequence(epoch);
        let version = match self.wire {
            Wire::Datagram => DTLS12,
            Wire::Stream => TLS12,
        };
        self.record_at(content_type, version, epoch, sequence, payload)
    }

    /// A record with everything in its header chosen by the test. At most 2^14 bytes of payload.
    pub fn record_at(
        &self,
        content_type: u8,
        version: u16,
        epoch: u16,
        sequence: u64,
        payload: &[u8],
    ) -> Vec<u8> {
        self.keys
            .record(content_type, version, epoch, sequence, payload)
    }

    /// Continues the numbering of the records of `epoch` with this number.
    pub fn set_next_sequence(&mut self, epoch: u16, sequence: u64) {
        self.keys.set_next_sequence(epoch, sequence);
    }

    /// Application data under the newest keys; over a stream, under the keys that the peer writes
    /// with.
    pub fn data(&mut self, data: &[u8]) -> Vec<u8> {
        self.record(APPLICATION_DATA, self.talking(), data)
    }

    /// An alert under the same keys: level and description.
    pub fn alert(&mut self, level: u8, description: u8) -> Vec<u8> {
        self.record(ALERT, self.talking(), &[level, description])
    }

    fn talking(&self) -> u16 {
        match self.wire {
            Wire::Datagram => self.keys.newest(),
            Wire::Stream => self.writing,
        }
    }

    /// Whether the other side's Finished was received, and was right.
    pub fn has_verified(&self) -> bool {
        self.verified == Some(true)
    }

    /// The types of the messages that were received, without repetitions.
    pub fn messages_heard(&self) -> Vec<u8> {
        let typ = |heard: &Heard| match heard {
            Heard::Message { typ, .. } => Some(*typ),
            _ => None,
        };
        self.heard.iter().filter_map(typ).collect()
    }

    /// The alerts that were received: level and description.
    pub fn alerts_heard(&self) -> Vec<(u8, u8)> {
        let alert = |heard: &Heard| match heard {
            Heard::Alert {
                level, description, ..
            } => Some((*level, *description)),
            _ => None,
        };
        self.heard.iter().filter_map(alert).collect()
    }

    /// Adds a message, sent or received, to the transcript and derives the keys that follow from
    /// it.
    fn enter(&mut self, typ: u8, seq: u16, body: &[u8]) {
        let typ = HandshakeType(typ);
        match typ {
            // RFC 5246 §7.4.1.1, RFC 6347 §4.2.6: neither is in the transcript, nor is the first
            // hello.
            HandshakeType::HELLO_REQUEST | HandshakeType::HELLO_VERIFY_REQUEST => return,
            HandshakeType::CLIENT_HELLO => self.transcript.clear(),
            _ => {}
        }
        let whole = Spoken {
            typ: typ.0,
            seq,
            body: body.to_vec(),
        };
        let message = self.framed(&whole);
        self.transcript.extend_from_slice(&message);
        let decides = typ == HandshakeType::CLIENT_KEY_EXCHANGE
            || typ == HandshakeType::SERVER_HELLO && self.is_resuming();
        if decides && !self.keyed {
            self.keyed = true;
            self.derive();
        }
    }

    /// Derives the keys of the next epoch from whatever secret there is; an empty one if there is
    /// none.
    fn derive(&mut self) {
        let master = self.agree();
        let expanded = master.expanded();
        let [client, server] = expanded.protections(self.suite(), &self.randoms());
        let (write, read) = match self.side {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        self.keys.install(self.epoch + 1, &write, &read);
        self.keys.identify(self.epoch + 1, self.agreed_ids());
        self.master = Some(master);
    }

    /// The verify_data of a Finished that `sender` would send now.
    fn verify_data(&mut self, sender: Side) -> Vec<u8> {
        if self.master.is_none() {
            self.derive();
        }
        let hash = self.transcript_hash();
        self.master
            .as_ref()
            .map(|master| master.expanded().verify_data(sender, &hash).to_vec())
            .unwrap_or_default()
    }

    fn transcript_hash(&self) -> Vec<u8> {
        self.suite().hash.digest(&self.transcript).as_ref().to_vec()
    }

    fn randoms(&self) -> Randoms {
        Randoms {
            client: self.offer.random,
            server: self.choice.random,
        }
    }

    /// The suite that was chosen; if it is not supported here, the first of the table.
    fn suite(&self) -> &'static Suite {
        suite::find(CipherSuite(self.choice.suite)).unwrap_or_else(suite::first_12)
    }

    /// A signature with the credential's key over `message`: scheme and signature, both empty
    /// without a key.
    pub fn sign(&self, message: &[u8]) -> (u16, Vec<u8>) {
        let Some(credential) = &self.credential else {
            return (0, Vec::new());
        };
        let scheme = credential.key().schemes()[0];
        let key = credential.key().held();
        let signature = key.and_then(|key| key.sign(scheme, message).ok());
        let signature = signature.unwrap_or_default();
        (scheme.0, signature)
    }
}

impl std::fmt::Debug for ScriptedPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedPeer")
            .field("side", &self.side)
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}

const EXTENDED_MASTER_SECRET: u16 = crate::protocol::ExtensionType::EXTENDED_MASTER_SECRET.0;

/// The schemes that a CertificateRequest and a ClientHello list.
pub(in crate::sim) const SCHEMES: [SignatureScheme; 4] = [
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_SECP256R1_SHA256,
    SignatureScheme::ECDSA_SECP384R1_SHA384,
    SignatureScheme::RSA_PSS_RSAE_SHA256,
];

pub(in crate::sim) fn random() -> [u8; 32] {
    let mut random = [0; 32];
    SystemRandom
        .fill(&mut random)
        .expect("a test machine has randomness");
    random
}
