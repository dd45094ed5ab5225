//! The end of a client's full handshake of version 1.2: its own proof, the ticket, the Finished messages.

use super::Context;
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::client::State;
use crate::handshake::client::hello::dns_name;
use crate::handshake::renegotiation::Continuity;
use crate::handshake::{
    Action, ClientQuestion, Epochs, Established, Established12, EstablishedKind, Outbox, Unsigned,
};
use crate::identity::proof::{ClaimVerified, SignatureVerified};
use crate::identity::{HandshakeKey, Identity};
use crate::protocol::{FlightEnd, HandshakeType, NamedGroup, ReadSwitch, Side, SignatureScheme};
use crate::secrets::schedule12::{FinishedPair, MasterSecret, VerifyData};
use crate::secrets::traffic::RecordProtection;
use crate::session::{Agreed, MAX_LIFETIME, Session, Session12};
use crate::wire::handshake::InboundMessage;
use crate::wire::new_session_ticket::NewSessionTicket;
use crate::wire::signed::DigitallySigned;
use std::sync::Arc;

/// The master secret is known; CertificateVerify, if any, and Finished are still to be sent.
pub(super) struct Ready {
    pub(super) context: Context,
    pub(super) group: NamedGroup,
    pub(super) server: Proven,
    /// What this end shows.
    pub(super) shown: Option<Identity>,
    pub(super) master_secret: MasterSecret,
}

/// A server whose certificate was accepted and that has its key.
pub(super) struct Proven {
    pub(super) claim: Identity,
    pub(super) verified: ClaimVerified,
    pub(super) signature: SignatureVerified,
}

impl Ready {
    pub(super) fn ask_for_signature(
        self,
        key: &Arc<HandshakeKey>,
        scheme: SignatureScheme,
        outbox: &mut Outbox,
    ) -> State {
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
        State::ExpectSignature(Box::new(ExpectSignature {
            ready: self,
            scheme,
        }))
    }

    /// Switches the write keys and sends Finished.
    pub(super) fn finish(self, outbox: &mut Outbox) -> Result<State, Error> {
        let Self {
            mut context,
            group,
            server: proven,
            shown,
            master_secret,
        } = self;
        context.transcript.forget_messages();
        let [client, server] = master_secret.protections(context.suite, &context.randoms);
        let verify_data =
            master_secret.verify_data(Side::Client, context.transcript.hash().as_ref());
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
            State::ExpectTicket(Box::new(ExpectTicket {
                finish,
                read: server,
            }))
        } else {
            finish.arm(server, outbox)
        })
    }
}

/// The client's private key has the word.
pub(crate) struct ExpectSignature {
    ready: Ready,
    scheme: SignatureScheme,
}

impl ExpectSignature {
    pub(in crate::handshake::client) fn handle(
        self: Box<Self>,
        signature: Vec<u8>,
        outbox: &mut Outbox,
    ) -> Result<State, Error> {
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
    context: Context,
    group: NamedGroup,
    server: Proven,
    shown: Option<Identity>,
    master_secret: MasterSecret,
    /// What the client's Finished held.
    verify_data: VerifyData,
    ticket: Option<NewSessionTicket>,
}

impl Finish {
    /// Arms the read keys: only the server's Finished is missing.
    fn arm(self, read: RecordProtection, outbox: &mut Outbox) -> State {
        outbox.push(Action::InstallRead {
            epoch: self.context.epochs.next,
            protection: read,
            when: ReadSwitch::OnChangeCipherSpec,
        });
        State::ExpectFinished(Box::new(ExpectFinished(self)))
    }
}

/// A ticket was promised and comes before the server's ChangeCipherSpec (RFC 5077 §3.3).
pub(crate) struct ExpectTicket {
    finish: Finish,
    read: RecordProtection,
}

impl ExpectTicket {
    pub(in crate::handshake::client) const fn epochs(&self) -> Epochs {
        self.finish.context.epochs
    }

    pub(in crate::handshake::client) fn handle(
        self: Box<Self>,
        ticket: NewSessionTicket,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> State {
        let Self { mut finish, read } = *self;
        finish.context.add(inbound);
        finish.ticket = Some(ticket);
        finish.arm(read, outbox)
    }
}

/// Only the server's Finished is missing.
pub(crate) struct ExpectFinished(Finish);

impl ExpectFinished {
    pub(in crate::handshake::client) const fn epochs(&self) -> Epochs {
        self.0.context.epochs
    }

    pub(in crate::handshake::client) fn handle(
        self: Box<Self>,
        verify_data: VerifyData,
        outbox: &mut Outbox,
    ) -> Result<State, Error> {
        let Finish {
            context,
            group,
            server,
            shown,
            master_secret,
            verify_data: ours,
            ticket,
        } = self.0;
        let Proven {
            claim,
            verified: _verified,
            signature,
        } = server;
        let finished = master_secret
            .verify_finished(
                Side::Server,
                context.transcript.hash().as_ref(),
                &verify_data,
            )
            .map_err(|_| PeerMisbehaved::BadFinished)?;
        let session = Arc::new(Session12 {
            agreed: Agreed {
                version: context.version,
                suite: context.suite,
                alpn: context.alpn,
                server_name: dns_name(&context.server_name),
                peer_identity: Some(claim),
                peer_scheme: Some(signature.scheme()),
                created: context.started.as_secs(),
            },
            group,
            master_secret,
            extended_master_secret: context.extended_master_secret,
            lifetime: lifetime(ticket.as_ref()),
            id: context.session_id,
            ticket: ticket.map(|message| message.ticket).unwrap_or_default(),
        });
        if context.config.parameters.resumes(&session) {
            outbox.push(Action::SaveSession(Session::V12(session.clone())));
        }
        let continuity = Continuity::of_full(
            context.secure_renegotiation,
            FinishedPair {
                client: ours,
                server: verify_data,
            },
        );
        outbox.push(Action::RetireRead(context.epochs.current));
        outbox.push(Action::Established(Box::new(Established {
            resumed: false,
            group,
            retried: false,
            srtp: context.srtp,
            shown,
            kind: EstablishedKind::V12(Established12 {
                session,
                epoch: context.epochs.next,
                randoms: context.randoms,
                continuity,
                cookie: context.cookie,
            }),
            _finished: finished,
        })));
        Ok(State::Complete)
    }
}

/// How long a session may be offered: as long as the server says, and at most a day (F5, RFC 5246 §F.1.4).
pub(in crate::handshake::client) fn lifetime(ticket: Option<&NewSessionTicket>) -> u32 {
    match ticket.map_or(0, |message| message.lifetime_hint) {
        // RFC 5077 §3.3: it is left to the client.
        0 => MAX_LIFETIME,
        hint => hint.min(MAX_LIFETIME),
    }
}
