//! A server's states of version 1.2 after the ClientHello.

mod finish;

pub(super) use finish::{Peer, Secrets, arm};

use super::crossing::Crossing;
use crate::config::{ClientAuthentication, ServerConfig};
use crate::crypto::kx::Exchange;
use crate::crypto::suite::Suite;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::auth;
use crate::handshake::renegotiation::Binding;
use crate::handshake::state::{State, Step, unexpected};
use crate::handshake::{Answer, Epochs, Outbox, ServerAnswer, ServerQuestion};
use crate::identity::proof::ClaimVerified;
use crate::identity::{CertificateKind, Identity, verify_12};
use crate::protocol::{
    AgreedLimits, ClientCertificateType, Epoch, FlightEnd, HandshakeType, NamedGroup,
    ProtocolVersion, SignatureScheme, SrtpProfile,
};
use crate::secrets::schedule12::{MasterSecret, Randoms, SessionBinding};
use crate::secrets::transcript::Transcript;
use crate::session::{Agreed, Session12};
use crate::wire::certificate_request::CertificateRequest;
use crate::wire::client_hello::ClientHello;
use crate::wire::handshake::InboundMessage;
use crate::wire::key_exchange::{EcdhParams, ServerKeyExchange};
use crate::wire::message::{Grammar, Message};
use crate::wire::signed::DigitallySigned;
use pki_types::UnixTime;
use std::sync::Arc;

/// What every state after the ClientHello knows.
pub(super) struct ServerContext12 {
    pub(super) version: ProtocolVersion,
    pub(super) config: Arc<ServerConfig>,
    pub(super) epochs: Epochs,
    /// When the handshake began.
    pub(super) started: UnixTime,
    pub(super) suite: &'static Suite,
    pub(super) group: Option<NamedGroup>,
    /// What the client is asked for.
    pub(super) asked: Option<CertificateKind>,
    pub(super) randoms: Randoms,
    pub(super) extended_master_secret: bool,
    /// Whether the client binds handshakes to each other (RFC 5746).
    pub(super) secure_renegotiation: bool,
    pub(super) alpn: Option<Vec<u8>>,
    pub(super) srtp: Option<SrtpProfile>,
    pub(super) server_name: Option<String>,
    /// What the server has shown; nothing until a shared key is known.
    pub(super) shown: Option<Identity>,
    /// The name that the session gets; empty for none.
    pub(super) session_id: Vec<u8>,
    /// Whether a NewSessionTicket comes before Finished (RFC 5077 §3.2).
    pub(super) ticket_promised: bool,
    /// How long records may be.
    pub(super) limits: AgreedLimits,
    pub(super) binding: Option<Binding>,
    /// The hello, if the client may repeat it because it crossed a HelloRequest.
    pub(super) crossing: Option<Crossing>,
    pub(super) transcript: Transcript,
}

impl ServerContext12 {
    pub(super) fn add(&mut self, inbound: &InboundMessage) {
        self.transcript.add(inbound.typ, inbound.seq, &inbound.body);
    }

    /// What comes after the server's flight: a message of the type `next`, or the hello again.
    pub(super) fn expects(
        &self,
        next: HandshakeType,
        typ: HandshakeType,
        epoch: Epoch,
    ) -> Option<Grammar> {
        let again = typ == HandshakeType::CLIENT_HELLO && self.crossing.is_some();
        let form = match self.asked {
            Some(CertificateKind::RawPublicKey) => Grammar::V12RawKey,
            _ => Grammar::V12,
        };
        (epoch == self.epochs.current && (typ == next || again)).then_some(form)
    }

    /// The client has said its hello again.
    pub(super) fn cross(
        &mut self,
        hello: &ClientHello,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Result<(), Error> {
        let crossing = self.crossing.take();
        let got = inbound.typ.0;
        let crossing = crossing.ok_or(PeerMisbehaved::UnexpectedMessage { got })?;
        let transcript = (self.suite.hash, &mut self.transcript);
        crossing.cross(hello, inbound, transcript, outbox)
    }

    /// Asks for the client's certificate, if it is wanted.
    fn ask_for_certificate(&mut self, outbox: &mut Outbox) -> Result<bool, Error> {
        let verifier = self.config.client_authentication.verifier();
        let Some(verifier) = verifier.filter(|_| self.asked.is_some()) else {
            return Ok(false);
        };
        let request = CertificateRequest {
            certificate_types: vec![
                ClientCertificateType::ECDSA_SIGN,
                ClientCertificateType::RSA_SIGN,
            ],
            signature_algorithms: self.config.parameters.algorithms.schemes.clone(),
            authorities: auth::bounded(verifier.authorities()),
        };
        let mut body = Vec::new();
        request.encode(&mut body);
        let typ = HandshakeType::CERTIFICATE_REQUEST;
        outbox.send(self.epochs.current, typ, body, &mut self.transcript)?;
        Ok(true)
    }

    /// The session that the handshake has made, with a client that has proved this identity with a
    /// signature of this scheme.
    fn session(
        &mut self,
        master_secret: MasterSecret,
        identity: Option<Identity>,
        scheme: Option<SignatureScheme>,
    ) -> Session12 {
        Session12 {
            agreed: Agreed {
                version: self.version,
                max_fragment_length: self.limits.fragment(),
                suite: self.suite,
                alpn: self.alpn.take(),
                server_name: self.server_name.take().map(String::into_boxed_str),
                peer_identity: identity,
                peer_scheme: scheme,
                created: self.started.as_secs(),
            },
            exchanged: self.group.into(),
            master_secret,
            extended_master_secret: self.extended_master_secret,
            lifetime: self.config.sessions.lifetime(),
            id: std::mem::take(&mut self.session_id).into(),
            ticket: Box::default(),
        }
    }

    /// The master secret, once ClientKeyExchange is in the transcript.
    pub(super) fn master_secret(&self, shared_secret: &[u8]) -> MasterSecret {
        let binding = SessionBinding::of(self.extended_master_secret, &self.transcript);
        let key_log = self.config.parameters.key_log.as_deref();
        MasterSecret::agree(
            self.suite.hash,
            shared_secret,
            &self.randoms,
            &binding,
            key_log,
        )
    }
}

/// Awaits the signature of the server's key.
pub(super) struct ExpectSignature {
    pub(super) context: Box<ServerContext12>,
    pub(super) exchange: Exchange,
    pub(super) params: EcdhParams,
    pub(super) scheme: SignatureScheme,
}

impl State for ExpectSignature {
    fn name(&self) -> &'static str {
        "ExpectSignature"
    }

    /// Sends the rest of the server's first flight.
    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::Signed(signature)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let signature = signature?;
        let Self {
            mut context,
            exchange,
            params,
            scheme,
        } = *self;
        let current = context.epochs.current;
        let signed = DigitallySigned { scheme, signature };
        let mut body = Vec::with_capacity(256);
        ServerKeyExchange { params, signed }.encode(&mut body);
        outbox.send(
            current,
            HandshakeType::SERVER_KEY_EXCHANGE,
            body,
            &mut context.transcript,
        )?;
        let asks = context.ask_for_certificate(outbox)?;
        if !asks && context.crossing.is_none() {
            context.transcript.forget_messages();
        }
        outbox.send(
            current,
            HandshakeType::SERVER_HELLO_DONE,
            Vec::new(),
            &mut context.transcript,
        )?;
        outbox.end_flight(FlightEnd::AwaitReply);
        Ok(if asks {
            Box::new(ExpectCertificate { context, exchange })
        } else {
            let client = Client::Anonymous;
            Box::new(ExpectClientKeyExchange {
                context,
                exchange,
                client,
            })
        })
    }
}

/// The client was asked for a certificate.
struct ExpectCertificate {
    context: Box<ServerContext12>,
    exchange: Exchange,
}

impl State for ExpectCertificate {
    fn name(&self) -> &'static str {
        "ExpectCertificate"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        self.context.expects(HandshakeType::CERTIFICATE, typ, epoch)
    }

    fn handle(
        mut self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let claim = match message {
            Message::Certificate(chain) => Identity::of_chain(chain),
            Message::RawPublicKey(key) => Identity::of_raw_key(key)?,
            Message::ClientHello(hello) => {
                self.context.cross(&hello, inbound, outbox)?;
                return Ok(self);
            }
            _ => return unexpected(inbound),
        };
        self.context.add(inbound);
        self.context.crossing = None;
        let Self {
            mut context,
            exchange,
        } = *self;
        let Some(claim) = claim else {
            // RFC 5246 §7.4.6: the server decides whether a client without certificate is served.
            if let ClientAuthentication::Required(_) = context.config.client_authentication {
                return Err(PeerIncompatible::ClientCertificateRequired.into());
            }
            context.transcript.forget_messages();
            let client = Client::Anonymous;
            let next = ExpectClientKeyExchange {
                context,
                exchange,
                client,
            };
            return Ok(Box::new(next));
        };
        outbox.ask_server(
            &context.config,
            ServerQuestion::VerifyClient {
                claim: claim.clone(),
            },
        );
        Ok(Box::new(ExpectClientVerified {
            context,
            exchange,
            claim,
        }))
    }
}

/// Awaits the verdict of the configured verifier.
struct ExpectClientVerified {
    context: Box<ServerContext12>,
    exchange: Exchange,
    claim: Identity,
}

impl State for ExpectClientVerified {
    fn name(&self) -> &'static str {
        "ExpectClientVerified"
    }

    fn answer(self: Box<Self>, answer: Answer, _outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::ClientVerified(verdict)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let verified = verdict?;
        let Self {
            context,
            exchange,
            claim,
        } = *self;
        let client = Client::Claims { claim, verified };
        Ok(Box::new(ExpectClientKeyExchange {
            context,
            exchange,
            client,
        }))
    }
}

/// What the client has said of itself.
enum Client {
    /// Nothing, and nothing more will come.
    Anonymous,
    /// To be this, which is trusted; the proof that the client holds its key is CertificateVerify.
    Claims {
        claim: Identity,
        verified: ClaimVerified,
    },
}

/// The client's share is next.
struct ExpectClientKeyExchange {
    context: Box<ServerContext12>,
    exchange: Exchange,
    client: Client,
}

impl State for ExpectClientKeyExchange {
    fn name(&self) -> &'static str {
        "ExpectClientKeyExchange"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        self.context
            .expects(HandshakeType::CLIENT_KEY_EXCHANGE, typ, epoch)
    }

    fn handle(
        mut self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let share = match message {
            Message::ClientKeyExchange(share) => share,
            Message::ClientHello(hello) => {
                self.context.cross(&hello, inbound, outbox)?;
                return Ok(self);
            }
            _ => return unexpected(inbound),
        };
        let Self {
            mut context,
            exchange,
            client,
        } = *self;
        let secret = exchange.complete_asked(&share)?;
        context.add(inbound);
        let master_secret = context.master_secret(&secret);
        let expanded = master_secret.expanded();
        let protections = expanded.protections(context.suite, &context.randoms);
        let secrets = Secrets {
            master_secret,
            protections,
        };
        Ok(match client {
            Client::Anonymous => {
                context.transcript.forget_messages();
                arm(context, secrets, Peer::Anonymous, outbox)?
            }
            Client::Claims { claim, verified } => {
                let [read, _] = &secrets.protections;
                outbox.listen_for_alerts(context.version, context.epochs.next, read);
                let next = ExpectCertificateVerify {
                    context,
                    secrets,
                    claim,
                    verified,
                };
                Box::new(next)
            }
        })
    }
}

/// The client must prove that it holds the key of its certificate. Its Finished is not readable
/// before that: the read keys are installed after this state only (D3).
struct ExpectCertificateVerify {
    context: Box<ServerContext12>,
    secrets: Secrets,
    claim: Identity,
    verified: ClaimVerified,
}

impl State for ExpectCertificateVerify {
    fn name(&self) -> &'static str {
        "ExpectCertificateVerify"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == self.context.epochs.current && typ == HandshakeType::CERTIFICATE_VERIFY)
            .then_some(Grammar::V12)
    }

    fn handle(
        self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let Message::CertificateVerify(signed) = message else {
            return unexpected(inbound);
        };
        let Self {
            mut context,
            secrets,
            claim,
            verified,
        } = *self;
        // RFC 5246 §7.4.8: over all messages before this one; the key's type need not be the
        // suite's.
        let signature = verify_12(
            &claim,
            None,
            &context.config.parameters.algorithms.schemes,
            context.transcript.messages(),
            &signed,
        )?;
        context.add(inbound);
        context.transcript.forget_messages();
        let peer = Peer::Proved {
            claim,
            _verified: verified,
            signature,
        };
        arm(context, secrets, peer, outbox)
    }
}
