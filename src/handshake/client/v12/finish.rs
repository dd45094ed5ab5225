//! The end of a client's full handshake of version 1.2: its own proof, the ticket, the Finished
//! messages.

use super::ClientContext12;
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::client::offer::dns_name;
use crate::handshake::renegotiation::Continuity;
use crate::handshake::state::{Complete, State, Step, unexpected};
use crate::handshake::{
    Action, Answer, ClientAnswer, ClientQuestion, Completed, Completed12, CompletedKind, Outbox,
    Outcome, Unsigned,
};
use crate::identity::proof::{ClaimVerified, SignatureVerified};
use crate::identity::{HandshakeKey, Identity};
use crate::protocol::{
    Epoch, FlightEnd, HandshakeType, NamedGroup, ReadSwitch, Side, SignatureScheme,
};
use crate::secrets::schedule12::{FinishedPair, MasterSecret, VerifyData};
use crate::secrets::traffic::RecordProtection;
use crate::session::{Agreed, MAX_LIFETIME, Session12};
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};
use crate::wire::new_session_ticket::NewSessionTicket;
use crate::wire::signed::DigitallySigned;
use std::sync::Arc;

/// The master secret is known; CertificateVerify, if any, and Finished are still to be sent.
pub(super) struct Ready {
    pub(super) context: Box<ClientContext12>,
    pub(super) group: Option<NamedGroup>,
    pub(super) server: Proven,
    /// What this end shows.
    pub(super) shown: Option<Identity>,
    pub(super) master_secret: MasterSecret,
}

/// Who the server is, once everything about it but Finished was checked.
pub(super) enum Proven {
    /// Its certificate was accepted, and it has the key.
    Signed {
        claim: Identity,
        _verified: ClaimVerified,
        signature: SignatureVerified,
    },
    /// The holder of a shared key: Finished proves that.
    SharedKey(Identity),
}

impl Ready {
    pub(super) fn ask_for_signature(
        self,
        key: &Arc<HandshakeKey>,
        scheme: SignatureScheme,
        outbox: &mut Outbox,
    ) -> Box<dyn State> {
        // RFC 5246 §7.4.8: the signature covers all messages so far.
        let message = self.context.transcript.messages().to_vec();
        outbox.ask_client(
            &self.context.config,
            ClientQuestion::Sign(Unsigned {
                key: key.clone(),
                scheme,
                message,
            }),
        );
        Box::new(ExpectSignature {
            ready: self,
            scheme,
        })
    }

    /// Switches the write keys and sends Finished.
    pub(super) fn finish(self, outbox: &mut Outbox) -> Step {
        let Self {
            mut context,
            group,
            server: proven,
            shown,
            master_secret,
        } = self;
        context.transcript.forget_messages();
        let expanded = master_secret.expanded();
        let [client, server] = expanded.protections(context.suite, &context.randoms);
        let verify_data = expanded.verify_data(Side::Client, context.transcript.hash().as_ref());
        let epochs = context.epochs;
        outbox.switch_and_finish(epochs, client, &verify_data, &mut context.transcript)?;
        outbox.end_flight(FlightEnd::AwaitReply);
        let finish = Finish {
            context,
            group,
            server: proven,
            shown,
            master_secret,
            verify_data,
            ticket: None,
        };
        Ok(if finish.context.ticket_promised {
            let context = &finish.context;
            outbox.listen_for_alerts(context.version, epochs.next, &server);
            Box::new(ExpectTicket {
                finish,
                read: server,
            })
        } else {
            finish.arm(server, outbox)
        })
    }
}

/// Awaits the signature of the client's key.
struct ExpectSignature {
    ready: Ready,
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
        let context = &mut ready.context;
        let current = context.epochs.current;
        outbox.send(
            current,
            HandshakeType::CERTIFICATE_VERIFY,
            body,
            &mut context.transcript,
        )?;
        ready.finish(outbox)
    }
}

/// The client's part is done; what is missing is the server's.
struct Finish {
    context: Box<ClientContext12>,
    group: Option<NamedGroup>,
    server: Proven,
    shown: Option<Identity>,
    master_secret: MasterSecret,
    /// What the client's Finished held.
    verify_data: VerifyData,
    ticket: Option<NewSessionTicket>,
}

impl Finish {
    /// Installs the read keys, for use after ChangeCipherSpec: only the server's Finished is
    /// missing.
    fn arm(self, read: RecordProtection, outbox: &mut Outbox) -> Box<dyn State> {
        outbox.push(Action::InstallRead {
            epoch: self.context.epochs.next,
            protection: read,
            when: ReadSwitch::OnChangeCipherSpec,
        });
        Box::new(ExpectFinished(self))
    }
}

/// A ticket was promised and comes before the server's ChangeCipherSpec (RFC 5077 §3.3).
struct ExpectTicket {
    finish: Finish,
    read: RecordProtection,
}

impl State for ExpectTicket {
    fn name(&self) -> &'static str {
        "ExpectTicket"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == self.finish.context.epochs.current && typ == HandshakeType::NEW_SESSION_TICKET)
            .then_some(Grammar::V12)
    }

    fn handle(
        self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let Message::NewSessionTicket(ticket) = message else {
            return unexpected(inbound);
        };
        let Self { mut finish, read } = *self;
        finish.context.add(inbound);
        finish.ticket = Some(ticket);
        Ok(finish.arm(read, outbox))
    }

    fn awaits_proof_of_shared_key(&self) -> bool {
        matches!(self.finish.server, Proven::SharedKey(_))
    }
}

/// Only the server's Finished is missing.
struct ExpectFinished(Finish);

impl State for ExpectFinished {
    fn name(&self) -> &'static str {
        "ExpectFinished"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == self.0.context.epochs.next && typ == HandshakeType::FINISHED)
            .then_some(Grammar::V12)
    }

    fn handle(
        self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let Message::Finished(verify_data) = message else {
            return unexpected(inbound);
        };
        self.0.complete(verify_data, outbox)
    }

    fn awaits_proof_of_shared_key(&self) -> bool {
        matches!(self.0.server, Proven::SharedKey(_))
    }
}

impl Finish {
    /// Checks the server's Finished, and is done.
    fn complete(self, verify_data: VerifyData, outbox: &mut Outbox) -> Step {
        let finished = self
            .master_secret
            .expanded()
            .verify_finished(
                Side::Server,
                self.context.transcript.hash().as_ref(),
                &verify_data,
            )
            .map_err(|_| PeerMisbehaved::BadFinished)?;
        let Self {
            mut context,
            group,
            server,
            shown,
            master_secret,
            verify_data: ours,
            ticket,
        } = self;
        let session = Arc::new(context.session(server, group, master_secret, ticket));
        if context.config.parameters.resumes(&session) {
            outbox.push(Action::SaveSession(session.clone().into()));
        }
        let finished_pair = FinishedPair {
            client: ours,
            server: verify_data,
        };
        let continuity = Continuity::of_full(context.secure_renegotiation, finished_pair);
        outbox.push(Action::RetireRead(context.epochs.current));
        outbox.push(Action::Completed(Box::new(Completed {
            outcome: Outcome {
                resumed: false,
                group,
                retried: false,
                srtp: context.srtp,
                shown: shown.map(Box::new),
            },
            kind: CompletedKind::V12(Completed12 {
                session,
                epoch: context.epochs.next,
                randoms: context.randoms,
                continuity,
                cookie: context.cookie.into(),
            }),
            _finished: finished,
        })));
        Ok(Box::new(Complete))
    }
}

impl ClientContext12 {
    /// The session that the handshake has made with this server.
    fn session(
        &mut self,
        server: Proven,
        group: Option<NamedGroup>,
        master_secret: MasterSecret,
        ticket: Option<NewSessionTicket>,
    ) -> Session12 {
        let (identity, scheme) = match server {
            Proven::Signed {
                claim, signature, ..
            } => (claim, Some(signature.scheme())),
            Proven::SharedKey(holder) => (holder, None),
        };
        Session12 {
            agreed: Agreed {
                version: self.version,
                max_fragment_length: self.limits.fragment(),
                suite: self.suite,
                alpn: self.alpn.take(),
                server_name: dns_name(&self.server_name).map(String::into_boxed_str),
                peer_identity: Some(identity),
                peer_scheme: scheme,
                created: self.started.as_secs(),
            },
            exchanged: group.into(),
            master_secret,
            extended_master_secret: self.extended_master_secret,
            lifetime: lifetime(ticket.as_ref()),
            id: std::mem::take(&mut self.session_id).into(),
            ticket: ticket.map_or_else(Box::default, |message| message.ticket.into()),
        }
    }
}

/// How long a session may be offered: as long as the server says, and at most a day (F5,
/// RFC 5246 §F.1.4).
pub(in crate::handshake::client) fn lifetime(ticket: Option<&NewSessionTicket>) -> u32 {
    match ticket.map_or(0, |message| message.lifetime_hint) {
        // RFC 5077 §3.3: it is left to the client.
        0 => MAX_LIFETIME,
        hint => hint.min(MAX_LIFETIME),
    }
}
