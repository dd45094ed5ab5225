//! A peer of version 1.3 over a stream that does what a test tells it to, line by line.
//!
//! Like the [peer of version 1.2](super::scripted) it has keys but no state machine, and shares
//! with what it tests only codecs, key schedule and record protection. The states of the engine are
//! the same over datagrams, so a stream, which has no numbers to get right, is enough to test them.
//!
//! ```text
//!   our client                 scripted server
//!   ClientHello        ──►     hear(bytes)
//!                      ◄──     speak(&[ServerHello, EncryptedExtensions, Certificate,
//!                                      CertificateVerify, Finished])
//!   Finished           ──►     hear(bytes)
//! ```
//!
//! It writes with the keys of the handshake from its hello on, and with those of data from its
//! Finished on; a script that leaves out Finished can call [`ScriptedPeer::pretend_finished`].

mod line;

pub use line::Line;

use super::scripted::{ClientOffer, ServerChoice};
use crate::crypto::kx::Exchange;
use crate::crypto::suite::{self, Suite};
use crate::identity::Credential;
use crate::protocol::dialect::TLS;
use crate::protocol::{
    CipherSuite, ContentType, ExtensionType, HandshakeType, NamedGroup, ProtocolVersion, Side,
};
use crate::record::protection::{Opener, Sealer};
use crate::secrets::schedule13::{
    Derivation, FinishedKey, HandshakeSecret, MainSecret, Secret, SecretLog, TrafficSecret,
};
use crate::wire::client_hello::RANDOM_LEN;
use crate::wire::codec::Writer as _;
use crate::wire::extension::PskIdentity;
use crate::wire::handshake::{STREAM_HEADER_LEN, StreamHeader};
use crate::wire::record_tls::{HEADER_LEN, RecordHeader};

/// One thing that was received, always from a record that could be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A message: its type and everything after its header.
    Message(u8, Vec<u8>),
    /// A ChangeCipherSpec.
    ChangeCipherSpec,
    /// An alert: level and description.
    Alert(u8, u8),
    /// Data.
    Data(Vec<u8>),
}

/// A ticket that the peer gave, with its key.
#[derive(Clone)]
pub struct ScriptedTicket {
    key: Secret,
}

impl std::fmt::Debug for ScriptedTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedTicket").finish_non_exhaustive()
    }
}

/// A peer of version 1.3 that has keys but obeys no rules.
pub struct ScriptedPeer {
    /// The contents of a ClientHello. A server keeps the last one that it received here.
    pub offer: ClientOffer,
    /// The contents of a ServerHello. A client keeps the one that it received here.
    pub choice: ServerChoice,
    /// The extensions of EncryptedExtensions, by type.
    pub granted: Vec<(u16, Vec<u8>)>,
    /// The scheme that a CertificateVerify names, if it is not the one that was used.
    pub named_scheme: Option<u16>,
    /// Everything that was received, in order.
    pub heard: Vec<Heard>,
    side: Side,
    credential: Option<Credential>,
    exchange: Option<Exchange>,
    /// What a client names its key by.
    named: Option<PskIdentity>,
    /// The secret of the key exchange, until keys are derived from it.
    shared: Vec<u8>,
    transcript: Vec<u8>,
    secrets: Secrets,
    write: Direction<Sealer>,
    read: Direction<Opener>,
    input: Vec<u8>,
    messages: Vec<u8>,
}

/// The secrets that were derived so far.
#[derive(Default)]
struct Secrets {
    /// The key of the ticket that is resumed.
    psk: Option<Secret>,
    /// The keys of the Finished messages: the client's, the server's.
    finished: Option<[FinishedKey; 2]>,
    main: Option<MainSecret>,
    /// The secrets that protect data.
    data: Option<[TrafficSecret; 2]>,
    /// The key of the ticket that was sent last.
    ticket: Option<Secret>,
}

/// The keys of a direction; plaintext without.
struct Direction<T> {
    keys: Option<T>,
    sequence: u64,
}

impl<T> Default for Direction<T> {
    fn default() -> Self {
        Self {
            keys: None,
            sequence: 0,
        }
    }
}

impl<T> Direction<T> {
    fn install(&mut self, keys: T) {
        *self = Self {
            keys: Some(keys),
            sequence: 0,
        };
    }
}

impl ScriptedPeer {
    /// A client that offers what an honest one would to a server called `name`. It shows
    /// `credential` when its script says Certificate.
    pub fn client(name: &str, credential: Option<Credential>) -> Self {
        let (exchange, offer) = line::honest_offer(name);
        Self {
            exchange,
            ..Self::new(Side::Client, offer, credential)
        }
    }

    /// A server with this certificate.
    pub fn server(credential: Credential) -> Self {
        let (_, offer) = line::honest_offer("");
        Self::new(Side::Server, offer, Some(credential))
    }

    /// The same, but it treats the first ticket that the client offers as `ticket`.
    #[must_use]
    pub fn resuming(mut self, ticket: &ScriptedTicket) -> Self {
        self.secrets.psk = Some(ticket.key.clone());
        self
    }

    /// The same, but it takes the first key that the client offers for this one, which has 48 bytes
    /// at most.
    #[must_use]
    pub fn sharing(mut self, key: &[u8]) -> Self {
        self.secrets.psk = Secret::from_bytes(key);
        self
    }

    /// The same, but its hello names this key, which both ends were given, has 48 bytes at most and
    /// goes with SHA-256. `age` stands beside the name.
    #[must_use]
    pub fn naming(mut self, identity: &[u8], age: u32, key: &[u8]) -> Self {
        self.named = Some(PskIdentity {
            identity: identity.to_vec(),
            obfuscated_ticket_age: age,
        });
        self.sharing(key)
    }

    fn new(side: Side, offer: ClientOffer, credential: Option<Credential>) -> Self {
        Self {
            offer,
            named: None,
            choice: line::honest_choice(),
            granted: Vec::new(),
            named_scheme: None,
            heard: Vec::new(),
            side,
            credential,
            exchange: None,
            shared: Vec::new(),
            transcript: Vec::new(),
            secrets: Secrets::default(),
            write: Direction::default(),
            read: Direction::default(),
            input: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Sends these lines, each in a record of its own.
    pub fn speak(&mut self, lines: &[Line]) -> Vec<u8> {
        self.speak_altered(lines, |_, _| {})
    }

    /// Sends these lines after `alter` has changed each body. The transcript has the altered
    /// bodies, so that the change is the only fault, and Finished still verifies.
    pub fn speak_altered(
        &mut self,
        lines: &[Line],
        mut alter: impl FnMut(Line, &mut Vec<u8>),
    ) -> Vec<u8> {
        let mut records = Vec::new();
        for &line in lines {
            let mut body = self.body(line);
            alter(line, &mut body);
            let message = framed(line.typ(), &body);
            records.extend(self.record(ContentType::HANDSHAKE.0, &message));
            self.enter(line.typ(), &message, self.side);
            if line.typ() == HandshakeType::SERVER_HELLO {
                self.derive_handshake();
            }
        }
        records
    }

    /// Derives keys as if its Finished had been sent now.
    pub fn pretend_finished(&mut self) {
        self.finish(self.side);
    }

    /// A record under the keys that the peer writes with.
    pub fn record(&mut self, content_type: u8, payload: &[u8]) -> Vec<u8> {
        let content_type = ContentType(content_type);
        let mut out = Vec::new();
        if let Some(sealer) = &self.write.keys {
            let sequence = self.write.sequence;
            sealer.seal_stream(
                sequence,
                content_type,
                ProtocolVersion::TLS12,
                payload,
                &mut out,
            );
            self.write.sequence += 1;
        } else {
            let header = RecordHeader {
                content_type,
                version: ProtocolVersion::TLS12,
                length: u16::try_from(payload.len()).unwrap_or(u16::MAX),
            };
            out.extend_from_slice(&header.encode());
            out.extend_from_slice(payload);
        }
        out
    }

    /// A protected record whose visible type is its real one.
    pub fn record_with_visible_type(&mut self, content_type: u8, payload: &[u8]) -> Vec<u8> {
        let content_type = ContentType(content_type);
        let mut out = Vec::new();
        if let Some(sealer) = &self.write.keys {
            let sequence = self.write.sequence;
            sealer.seal_stream_13(sequence, content_type, content_type, payload, &mut out);
            self.write.sequence += 1;
        }
        out
    }

    /// Data under the same keys.
    pub fn data(&mut self, data: &[u8]) -> Vec<u8> {
        self.record(ContentType::APPLICATION_DATA.0, data)
    }

    /// The ticket that was sent last.
    pub fn ticket(&self) -> Option<ScriptedTicket> {
        let key = self.secrets.ticket.clone()?;
        Some(ScriptedTicket { key })
    }

    /// The types of the messages that were received.
    pub fn messages_heard(&self) -> Vec<u8> {
        let typ = |heard: &Heard| match heard {
            Heard::Message(typ, _) => Some(*typ),
            _ => None,
        };
        self.heard.iter().filter_map(typ).collect()
    }

    /// The descriptions of the alerts that were received.
    pub fn alerts_heard(&self) -> Vec<u8> {
        let alert = |heard: &Heard| match heard {
            Heard::Alert(_, description) => Some(*description),
            _ => None,
        };
        self.heard.iter().filter_map(alert).collect()
    }

    /// Receives a piece of the stream: hellos are remembered, and keys are derived as soon as
    /// possible. What cannot be opened is dropped.
    pub fn hear(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while let Some(header) = RecordHeader::decode(&self.input) {
            let length = HEADER_LEN + usize::from(header.length);
            if self.input.len() < length {
                return;
            }
            let record: Vec<u8> = self.input.drain(..length).collect();
            if let Some((content_type, contents)) = self.open(&header, &record) {
                self.hear_contents(content_type, &contents);
            }
        }
    }

    fn open(&mut self, header: &RecordHeader, record: &[u8]) -> Option<(ContentType, Vec<u8>)> {
        let mut fragment = record.get(HEADER_LEN..)?.to_vec();
        // RFC 8446 §5: never protected, and without a sequence number.
        let protected = header.content_type != ContentType::CHANGE_CIPHER_SPEC;
        let Some(opener) = self.read.keys.as_ref().filter(|_| protected) else {
            return Some((header.content_type, fragment));
        };
        let opened = opener.open_stream(self.read.sequence, header, &mut fragment);
        let (range, content_type) = opened.ok()?;
        self.read.sequence += 1;
        Some((content_type, fragment.get(range)?.to_vec()))
    }

    fn hear_contents(&mut self, content_type: ContentType, contents: &[u8]) {
        match (content_type, contents) {
            (ContentType::HANDSHAKE, _) => self.hear_messages(contents),
            (ContentType::CHANGE_CIPHER_SPEC, _) => self.heard.push(Heard::ChangeCipherSpec),
            (ContentType::ALERT, &[level, description]) => {
                self.heard.push(Heard::Alert(level, description));
            }
            _ => self.heard.push(Heard::Data(contents.to_vec())),
        }
    }

    fn hear_messages(&mut self, contents: &[u8]) {
        self.messages.extend_from_slice(contents);
        while let Some(header) = StreamHeader::decode(&self.messages) {
            let body = usize::try_from(header.length).unwrap_or(usize::MAX);
            let length = STREAM_HEADER_LEN.saturating_add(body);
            if self.messages.len() < length {
                return;
            }
            let message: Vec<u8> = self.messages.drain(..length).collect();
            let body = message[STREAM_HEADER_LEN..].to_vec();
            self.learn(header.typ, &body);
            self.enter(header.typ, &message, self.side.peer());
            if header.typ == HandshakeType::SERVER_HELLO {
                self.derive_handshake();
            }
            self.heard.push(Heard::Message(header.typ.0, body));
        }
    }

    fn learn(&mut self, typ: HandshakeType, body: &[u8]) {
        match (self.side, typ) {
            (Side::Server, HandshakeType::CLIENT_HELLO) => {
                if let Ok(offer) = ClientOffer::decode_in_stream(body) {
                    // RFC 8446 §4.1.3.
                    self.choice.session_id.clone_from(&offer.session_id);
                    self.offer = offer;
                }
            }
            (Side::Client, HandshakeType::SERVER_HELLO) => {
                if let Ok(choice) = ServerChoice::decode(body) {
                    self.choice = choice;
                }
            }
            _ => {}
        }
    }

    /// Adds a message to the transcript and derives the keys that follow from it.
    fn enter(&mut self, typ: HandshakeType, message: &[u8], sender: Side) {
        if typ == HandshakeType::NEW_SESSION_TICKET {
            return;
        }
        self.transcript.extend_from_slice(message);
        if typ == HandshakeType::FINISHED {
            self.finish(sender);
        }
    }

    /// The secret of the key exchange; an empty one if there was none.
    fn agree(&mut self) -> Vec<u8> {
        if let Some(exchange) = self.exchange.take() {
            // group (2), length (2), share
            let share = self.choice.extension(KEY_SHARE).unwrap_or_default();
            let group = share.first_chunk().map(|group| u16::from_be_bytes(*group));
            let group = NamedGroup(group.unwrap_or_default());
            let secret = exchange.complete(group, share.get(4..).unwrap_or_default());
            self.shared = secret.map(|secret| secret.to_vec()).unwrap_or_default();
        }
        std::mem::take(&mut self.shared)
    }

    /// Derives the keys of the handshake: a ServerHello is there (RFC 8446 §7.1).
    fn derive_handshake(&mut self) {
        let shared = self.agree();
        let derivation = Derivation::new(&TLS, self.suite().hash);
        let key = self.secrets.psk.as_ref().map(Secret::as_bytes);
        let secret = HandshakeSecret::new(derivation, key, Some(&shared));
        let hash = self.transcript_hash();
        let [client, server] =
            [Side::Client, Side::Server].map(|side| secret.traffic(side, &hash, NO_LOG));
        self.install_write(&[&client, &server]);
        self.install_read(&[&client, &server]);
        let aead = self.suite().aead;
        let finished = [client, server].map(|secret| secret.handshake_keys(&TLS, aead).1);
        self.secrets.finished = Some(finished);
        self.secrets.main = Some(secret.finish());
    }

    /// `sender` has sent Finished: after the server's there are keys for data, and each end writes
    /// with them after its own.
    fn finish(&mut self, sender: Side) {
        let hash = self.transcript_hash();
        if let Some(main) = self
            .secrets
            .main
            .as_ref()
            .filter(|_| sender == Side::Server)
        {
            let data = [Side::Client, Side::Server].map(|side| main.traffic(side, &hash, NO_LOG));
            self.secrets.data = Some(data);
        }
        let Some(data) = self.secrets.data.take() else {
            return;
        };
        if sender == self.side {
            self.install_write(&data.each_ref());
        } else {
            self.install_read(&data.each_ref());
        }
        self.secrets.data = Some(data);
    }

    fn install_write(&mut self, [client, server]: &[&TrafficSecret; 2]) {
        let secret = if self.side == Side::Client {
            client
        } else {
            server
        };
        let protection = secret.protection(&TLS, self.suite().aead);
        self.write.install(Sealer::new(&protection));
    }

    fn install_read(&mut self, [client, server]: &[&TrafficSecret; 2]) {
        let secret = if self.side == Side::Client {
            server
        } else {
            client
        };
        let protection = secret.protection(&TLS, self.suite().aead);
        self.read.install(Opener::new(&protection));
    }

    fn transcript_hash(&self) -> Vec<u8> {
        self.suite().hash.digest(&self.transcript).as_ref().to_vec()
    }

    /// The suite that was chosen; if it is not of 1.3, the first that is.
    fn suite(&self) -> &'static Suite {
        suite::find(CipherSuite(self.choice.suite))
            .filter(|suite| suite.is_13())
            .or_else(|| suite::find(CipherSuite::TLS_AES_128_GCM_SHA256))
            .unwrap_or_else(suite::first_12)
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

const KEY_SHARE: u16 = ExtensionType::KEY_SHARE.0;

const NO_LOG: SecretLog<'static> = SecretLog {
    log: None,
    client_random: &[0; RANDOM_LEN],
};

/// A message with the header of a stream.
fn framed(typ: HandshakeType, body: &[u8]) -> Vec<u8> {
    let mut message = vec![typ.0];
    message.put_vec(3, |out| out.put(body));
    message
}
