//! The server's Finished and the client's last flight (RFC 8446 §4.4).

use super::proof::{Asked, Proof};
use super::{ClientContext13, log};
use crate::config::ClientConfig;
use crate::crypto::suite::Suite;
use crate::error::Error;
use crate::handshake::auth::signed_message;
use crate::handshake::client::offer::dns_name;
use crate::handshake::post::{Handover, Manners, Post};
use crate::handshake::psk::Psk;
use crate::handshake::state::{Complete, State, Step, unexpected};
use crate::handshake::{
    Action, Answer, ClientAnswer, ClientQuestion, Completed, CompletedKind, Outbox, Outcome,
    Unsigned,
};
use crate::identity::{Identity, encode_certificate_13};
use crate::protocol::{
    ConnectionIds, Dialect, Epoch, FlightEnd, HandshakeType, NamedGroup, ReadSwitch, Side,
    SignatureScheme, SrtpProfile, Unacknowledged,
};
use crate::secrets::finished::FinishedVerified;
use crate::secrets::schedule13::{ExporterSecret, FinishedKey, MainSecret, TrafficSecret};
use crate::secrets::transcript::Transcript;
use crate::session::{Agreed, Session13};
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};
use crate::wire::signed::DigitallySigned;
use pki_types::{ServerName, UnixTime};
use std::sync::Arc;

/// Only the server's Finished is missing.
pub(super) struct ExpectFinished {
    pub(super) context: Box<ClientContext13>,
    pub(super) identity: Option<Identity>,
    pub(super) asked: Asked,
    pub(super) proof: Proof,
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
        let (ready, asked) = self.finished(&verify_data, inbound)?;
        let resumed = ready.identity.as_ref().filter(|_| ready.ticket().is_some());
        let claim = resumed.filter(|claim| claim.shared_key().is_none());
        match claim.filter(|_| ready.config.verifies_resumed()) {
            Some(claim) => {
                outbox.ask_client(
                    &ready.config,
                    ClientQuestion::VerifyServer {
                        claim: claim.clone(),
                        name: ready.server_name.clone(),
                    },
                );
                Ok(Box::new(ExpectResumedVerified { ready, asked }))
            }
            None => ready.reply(asked, outbox),
        }
    }

    fn is_resuming(&self) -> bool {
        self.context.is_resuming()
    }
}

impl ExpectFinished {
    /// Checks the server's Finished and makes the keys of data.
    fn finished(
        self,
        verify_data: &[u8],
        inbound: &InboundMessage,
    ) -> Result<(Box<Ready>, Asked), Error> {
        let Self {
            mut context,
            identity,
            asked,
            proof,
        } = self;
        let conformance = &context.config.parameters.conformance;
        let finished = context
            .server
            .verify_finished(context.transcript.hash().as_ref(), verify_data)
            .map_err(|it| it.error_13(conformance.compare_finished_of_any_length))?;
        context.add(inbound);
        let hash = context.transcript.hash();
        let main = context.secret.finish();
        let log = log(&context.config, &context.client_random);
        let write = main.traffic(Side::Client, hash.as_ref(), log);
        let read = main.traffic(Side::Server, hash.as_ref(), log);
        let exporter = main.exporter(hash.as_ref(), log);
        let scheme = match &proof {
            Proof::Certificate { signature, .. } => Some(signature.scheme()),
            Proof::PreSharedKey => context.psk.as_ref().and_then(Psk::peer_scheme),
        };
        let shown = context.psk.as_ref().and_then(Psk::holder);
        let ready = Box::new(Ready {
            dialect: context.dialect,
            config: context.config,
            server_name: context.server_name,
            started: context.started,
            suite: context.suite,
            group: context.group,
            retried: context.retried,
            srtp: context.srtp,
            connection_ids: context.connection_ids,
            psk: context.psk,
            alpn: context.alpn,
            transcript: context.transcript,
            client: context.client,
            identity,
            scheme,
            // With a shared key each end shows what the other one does.
            shown,
            main,
            read,
            write,
            exporter,
            finished,
        });
        Ok((ready, asked))
    }
}

/// Awaits the configured verifier's new verdict on the certificate of a server that resumes.
struct ExpectResumedVerified {
    ready: Box<Ready>,
    asked: Asked,
}

impl State for ExpectResumedVerified {
    fn name(&self) -> &'static str {
        "ExpectResumedVerified"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Client(ClientAnswer::ServerVerified(verdict)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let _verified = verdict?;
        self.ready.reply(self.asked, outbox)
    }

    fn is_resuming(&self) -> bool {
        true
    }
}

/// The server is done; the client's last flight remains.
struct Ready {
    dialect: &'static Dialect,
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
    started: UnixTime,
    suite: &'static Suite,
    group: Option<NamedGroup>,
    retried: bool,
    srtp: Option<SrtpProfile>,
    connection_ids: Option<ConnectionIds>,
    psk: Option<Psk>,
    alpn: Option<Vec<u8>>,
    transcript: Transcript,
    client: FinishedKey,
    identity: Option<Identity>,
    /// What the server has proved that with.
    scheme: Option<SignatureScheme>,
    /// What this end has shown.
    shown: Option<Identity>,
    main: MainSecret,
    read: TrafficSecret,
    write: TrafficSecret,
    exporter: ExporterSecret,
    finished: FinishedVerified,
}

impl Ready {
    /// The session that is resumed, if one is.
    fn ticket(&self) -> Option<&Session13> {
        self.psk.as_ref()?.ticket().map(|session| &**session)
    }

    fn reply(mut self: Box<Self>, asked: Asked, outbox: &mut Outbox) -> Step {
        // The server may write under the new keys already.
        outbox.push(Action::InstallRead {
            epoch: Epoch::APPLICATION_13,
            protection: self.read.protection(self.dialect, self.suite.aead),
            when: ReadSwitch::Now,
        });
        self.shown = match &asked {
            Asked::Nothing => return self.finish(outbox),
            Asked::NoCertificate => None,
            Asked::Certificate(credential, _) => Some(credential.claim()),
        };
        let mut body = Vec::new();
        encode_certificate_13(self.shown.as_ref(), &mut body);
        self.send(HandshakeType::CERTIFICATE, body, outbox)?;
        let Asked::Certificate(credential, scheme) = asked else {
            return self.finish(outbox);
        };
        let message = signed_message(Side::Client, self.transcript.hash().as_ref());
        outbox.ask_client(
            &self.config,
            ClientQuestion::Sign(Unsigned {
                key: credential.key().clone(),
                scheme,
                message,
            }),
        );
        Ok(Box::new(ExpectSignature {
            ready: self,
            scheme,
        }))
    }

    fn send(
        &mut self,
        typ: HandshakeType,
        body: Vec<u8>,
        outbox: &mut Outbox,
    ) -> Result<(), Error> {
        outbox.send(Epoch::HANDSHAKE_13, typ, body, &mut self.transcript)
    }

    /// Sends Finished and switches to the keys of data.
    fn finish(mut self: Box<Self>, outbox: &mut Outbox) -> Step {
        let verify_data = self.client.verify_data(self.transcript.hash().as_ref());
        let body = verify_data.as_ref().to_vec();
        self.send(HandshakeType::FINISHED, body, outbox)?;
        outbox.push(Action::InstallWrite {
            epoch: Epoch::APPLICATION_13,
            protection: self.write.protection(self.dialect, self.suite.aead),
        });
        let finished = outbox.end_flight(FlightEnd::AwaitAck(Unacknowledged::Fails));
        outbox.push(Action::RetireRead(Epoch::HANDSHAKE_13));
        let keeps_tickets = self.config.sessions.is_some();
        let resumption =
            keeps_tickets.then(|| self.main.resumption(self.transcript.hash().as_ref()));
        let resumed = self.ticket().is_some();
        let created = Agreed::created(self.ticket(), self.started);
        let post = Post::new(Handover {
            manners: Manners::of(self.dialect, &self.config.parameters),
            unconfirmed: Some(finished),
            dialect: self.dialect,
            side: Side::Client,
            agreed: Arc::new(Agreed {
                version: self.dialect.version_13,
                max_fragment_length: None,
                suite: self.suite,
                alpn: self.alpn,
                server_name: dns_name(&self.server_name).map(String::into_boxed_str),
                peer_identity: self.identity,
                peer_scheme: self.scheme,
                created,
            }),
            exporter: self.exporter,
            resumption,
            age_skew: None,
            connection_ids: self.connection_ids,
            read: self.read,
            write: self.write,
            outbox,
        });
        outbox.push(Action::Completed(Box::new(Completed {
            outcome: Outcome {
                resumed,
                group: self.group,
                retried: self.retried,
                srtp: self.srtp,
                shown: self.shown.map(Box::new),
            },
            kind: CompletedKind::V13(Box::new(post)),
            _finished: self.finished,
        })));
        Ok(Box::new(Complete))
    }
}

/// Awaits the signature of the client's key.
struct ExpectSignature {
    ready: Box<Ready>,
    scheme: SignatureScheme,
}

impl State for ExpectSignature {
    fn name(&self) -> &'static str {
        "ExpectSignature"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Client(ClientAnswer::Signed(signature)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let signature = signature?;
        let Self { mut ready, scheme } = *self;
        let mut body = Vec::new();
        DigitallySigned { scheme, signature }.encode(&mut body);
        ready.send(HandshakeType::CERTIFICATE_VERIFY, body, outbox)?;
        ready.finish(outbox)
    }
}
