//! What a client of 1.3 shows, up to its Finished.

use super::flight::ServerContext13;
use crate::config::{ClientAuthentication, ServerConfig};
use crate::crypto::suite::Suite;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::auth::signed_message;
use crate::handshake::post::{Handover, Manners, Post};
use crate::handshake::psk::Psk;
use crate::handshake::state::{Complete, State, Step, unexpected};
use crate::handshake::{
    Action, Answer, Completed, CompletedKind, Outbox, Outcome, ServerAnswer, ServerQuestion,
};
use crate::identity::proof::{ClaimVerified, SignatureVerified};
use crate::identity::{CertificateKind, Identity, verify_13};
use crate::protocol::{
    ConnectionIds, Dialect, Epoch, HandshakeType, NamedGroup, ReadSwitch, Side, SignatureScheme,
    SrtpProfile,
};
use crate::secrets::schedule13::{
    ExporterSecret, FinishedKey, MainSecret, SecretLog, TrafficSecret,
};
use crate::secrets::traffic::RecordProtection;
use crate::secrets::transcript::Transcript;
use crate::session::{Agreed, Session13};
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};
use pki_types::UnixTime;
use std::sync::Arc;

/// The server is done; the client's part is missing.
pub(super) struct Awaiting {
    dialect: &'static Dialect,
    config: Arc<ServerConfig>,
    started: UnixTime,
    suite: &'static Suite,
    group: Option<NamedGroup>,
    retried: bool,
    server_name: Option<String>,
    alpn: Option<Vec<u8>>,
    srtp: Option<SrtpProfile>,
    connection_ids: Option<ConnectionIds>,
    takes_tickets: bool,
    psk: Option<Psk>,
    shown: Option<Identity>,
    age_skew: Option<i32>,
    transcript: Transcript,
    client: FinishedKey,
    main: MainSecret,
    read: TrafficSecret,
    read_protection: RecordProtection,
    write: TrafficSecret,
    exporter: ExporterSecret,
}

impl Awaiting {
    /// The keys of data come from a transcript that ends with the server's Finished. Gives the
    /// protection of the client's part as well.
    pub(super) fn new(
        context: Box<ServerContext13>,
        transcript_hash: &[u8],
    ) -> (Box<Self>, RecordProtection) {
        let log = SecretLog {
            log: context.config.parameters.key_log.as_deref(),
            client_random: &context.client_random,
        };
        let main = context.secret.finish();
        let read = main.traffic(Side::Client, transcript_hash, log);
        let (dialect, aead) = (context.dialect, context.suite.aead);
        let (protection, client) = context.client.handshake_keys(dialect, aead);
        let awaiting = Box::new(Self {
            read_protection: read.protection(dialect, aead),
            read,
            write: main.traffic(Side::Server, transcript_hash, log),
            exporter: main.exporter(transcript_hash, log),
            dialect,
            started: context.started,
            suite: context.suite,
            group: context.group,
            retried: context.retried,
            server_name: context.server_name,
            alpn: context.alpn,
            srtp: context.srtp,
            connection_ids: context.connection_ids,
            takes_tickets: context.takes_tickets,
            psk: context.psk,
            shown: context.shown,
            age_skew: context.age_skew,
            transcript: context.transcript,
            client,
            main,
            config: context.config,
        });
        (awaiting, protection)
    }

    pub(super) fn write_protection(&self) -> RecordProtection {
        self.write.protection(self.dialect, self.suite.aead)
    }

    /// A client that gives up after its Finished says so under the keys of data, and the Finished
    /// may be lost.
    pub(super) fn listen_for_alerts(&self, outbox: &mut Outbox) {
        let version = self.dialect.version_13;
        outbox.listen_for_alerts(version, Epoch::APPLICATION_13, &self.read_protection);
    }

    /// Who the client is, if a ticket or a shared key says so.
    pub(super) fn known_client(&self) -> Client {
        match &self.psk {
            Some(psk) => Client {
                identity: psk.peer_identity(),
                scheme: psk.peer_scheme(),
            },
            None => Client::default(),
        }
    }

    /// The session that is resumed, if one is.
    fn ticket(&self) -> Option<&Session13> {
        self.psk.as_ref()?.ticket().map(|session| &**session)
    }

    /// What was agreed with this client.
    fn agreed(&mut self, client: Client) -> Agreed {
        Agreed {
            version: self.dialect.version_13,
            max_fragment_length: None,
            suite: self.suite,
            alpn: self.alpn.take(),
            server_name: self.server_name.take().map(String::into_boxed_str),
            peer_identity: client.identity,
            peer_scheme: client.scheme,
            created: Agreed::created(self.ticket(), self.started),
        }
    }

    fn add(&mut self, inbound: &InboundMessage) {
        self.transcript.add(inbound.typ, inbound.seq, &inbound.body);
    }
}

/// Who the client is, and what it has proved that with; empty for a client without a certificate.
#[derive(Default)]
pub(super) struct Client {
    identity: Option<Identity>,
    scheme: Option<SignatureScheme>,
}

/// The client was asked for a certificate.
pub(super) struct ExpectCertificate {
    pub(super) awaiting: Box<Awaiting>,
    pub(super) kind: CertificateKind,
}

impl State for ExpectCertificate {
    fn name(&self) -> &'static str {
        "ExpectCertificate"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == Epoch::HANDSHAKE_13 && typ == HandshakeType::CERTIFICATE).then_some(Grammar::V13)
    }

    fn handle(
        self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let Message::Certificate13(shown) = message else {
            return unexpected(inbound);
        };
        let Self { mut awaiting, kind } = *self;
        if !shown.context.is_empty() {
            return Err(PeerMisbehaved::WrongCertificateContext.into());
        }
        if let Some(typ) = shown.unsolicited {
            return Err(PeerMisbehaved::UnsolicitedExtension(typ.0).into());
        }
        awaiting.add(inbound);
        let Some(claim) = Identity::of_entries(kind, shown.chain)? else {
            let required = matches!(
                awaiting.config.client_authentication,
                ClientAuthentication::Required(_)
            );
            if required {
                return Err(PeerIncompatible::ClientCertificateMissing.into());
            }
            return Ok(Box::new(ExpectFinished::new(awaiting, Client::default())));
        };
        outbox.ask_server(
            &awaiting.config,
            ServerQuestion::VerifyClient {
                claim: claim.clone(),
            },
        );
        Ok(Box::new(ExpectClientVerified { awaiting, claim }))
    }
}

/// Awaits the verdict of the configured verifier.
struct ExpectClientVerified {
    awaiting: Box<Awaiting>,
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
        Ok(Box::new(ExpectCertificateVerify {
            awaiting: self.awaiting,
            claim: self.claim,
            verified,
        }))
    }
}

/// The client must show that it has the key of its certificate.
struct ExpectCertificateVerify {
    awaiting: Box<Awaiting>,
    claim: Identity,
    verified: ClaimVerified,
}

impl State for ExpectCertificateVerify {
    fn name(&self) -> &'static str {
        "ExpectCertificateVerify"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == Epoch::HANDSHAKE_13 && typ == HandshakeType::CERTIFICATE_VERIFY)
            .then_some(Grammar::V13)
    }

    fn handle(
        self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        _outbox: &mut Outbox,
    ) -> Step {
        let Message::CertificateVerify(signed) = message else {
            return unexpected(inbound);
        };
        let Self {
            mut awaiting,
            claim,
            verified,
        } = *self;
        let covered = signed_message(Side::Client, awaiting.transcript.hash().as_ref());
        let signature = verify_13(
            &claim,
            &awaiting.config.parameters.algorithms.schemes,
            &covered,
            &signed,
        )?;
        awaiting.add(inbound);
        let proved = Proved {
            claim,
            _verified: verified,
            signature,
        };
        Ok(Box::new(ExpectFinished::new(awaiting, proved.client())))
    }
}

/// A client whose certificate was accepted and that has its key.
struct Proved {
    claim: Identity,
    _verified: ClaimVerified,
    signature: SignatureVerified,
}

impl Proved {
    fn client(self) -> Client {
        Client {
            identity: Some(self.claim),
            scheme: Some(self.signature.scheme()),
        }
    }
}

/// Only the client's Finished is missing.
pub(super) struct ExpectFinished {
    awaiting: Box<Awaiting>,
    client: Client,
}

impl State for ExpectFinished {
    fn name(&self) -> &'static str {
        "ExpectFinished"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == Epoch::HANDSHAKE_13 && typ == HandshakeType::FINISHED).then_some(Grammar::V13)
    }

    fn handle(
        self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let Message::Finished13(verify_data) = message else {
            return unexpected(inbound);
        };
        self.complete(&verify_data, inbound, outbox)
    }

    fn is_resuming(&self) -> bool {
        self.awaiting.ticket().is_some()
    }
}

impl ExpectFinished {
    pub(super) const fn new(awaiting: Box<Awaiting>, client: Client) -> Self {
        Self { awaiting, client }
    }

    /// Checks the client's Finished, switches to the keys of data, and is done.
    fn complete(self, verify_data: &[u8], inbound: &InboundMessage, outbox: &mut Outbox) -> Step {
        let Self {
            mut awaiting,
            client,
        } = self;
        let conformance = &awaiting.config.parameters.conformance;
        let finished = awaiting
            .client
            .verify_finished(awaiting.transcript.hash().as_ref(), verify_data)
            .map_err(|it| it.error_13(conformance.compare_finished_of_any_length))?;
        awaiting.add(inbound);
        let resumed = awaiting.ticket().is_some();
        let agreed = Arc::new(awaiting.agreed(client));
        outbox.push(Action::InstallRead {
            epoch: Epoch::APPLICATION_13,
            protection: awaiting.read_protection,
            when: ReadSwitch::Now,
        });
        outbox.push(Action::RetireRead(Epoch::HANDSHAKE_13));
        let mut post = Post::new(Handover {
            manners: Manners::of(awaiting.dialect, &awaiting.config.parameters),
            unconfirmed: None,
            dialect: awaiting.dialect,
            side: Side::Server,
            agreed,
            exporter: awaiting.exporter,
            resumption: None,
            age_skew: awaiting.age_skew,
            connection_ids: awaiting.connection_ids,
            read: awaiting.read,
            write: awaiting.write,
            outbox,
        });
        if awaiting.takes_tickets {
            let resumption = awaiting
                .main
                .resumption(awaiting.transcript.hash().as_ref());
            let random = &awaiting.config.parameters.random;
            let fill = |out: &mut [u8]| random.fill(out);
            let sessions = &awaiting.config.sessions;
            post.issue_tickets(
                sessions,
                awaiting.config.parameters.conformance.grease_tickets,
                &resumption,
                &fill,
                awaiting.started,
            )?;
        }
        outbox.push(Action::Completed(Box::new(Completed {
            outcome: Outcome {
                resumed,
                group: awaiting.group,
                retried: awaiting.retried,
                srtp: awaiting.srtp,
                shown: awaiting.shown.map(Box::new),
            },
            kind: CompletedKind::V13(Box::new(post)),
            _finished: finished,
        })));
        Ok(Box::new(Complete))
    }
}
