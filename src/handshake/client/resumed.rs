//! A client's states of version 1.2 after a ServerHello that resumes (RFC 5246 §7.3,
//! RFC 5077 §3.1).

use super::v12::{ClientContext12, lifetime};
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::renegotiation::Continuity;
use crate::handshake::state::{Complete, State, Step, unexpected};
use crate::handshake::{
    Action, Answer, ClientAnswer, ClientQuestion, Completed, Completed12, CompletedKind, Epochs,
    Outbox, Outcome,
};
use crate::protocol::{Epoch, FlightEnd, HandshakeType, ReadSwitch, Side};
use crate::secrets::finished::FinishedVerified;
use crate::secrets::schedule12::{FinishedPair, MasterSecret, VerifyData};
use crate::secrets::traffic::RecordProtection;
use crate::session::{Agreed, Session12};
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};
use crate::wire::new_session_ticket::NewSessionTicket;
use std::sync::Arc;

/// The server resumes; its Finished is next, or a ticket and its Finished.
pub(super) fn start(
    context: Box<ClientContext12>,
    session: Arc<Session12>,
    outbox: &mut Outbox,
) -> Box<dyn State> {
    let key_log = context.config.parameters.key_log.as_deref();
    let master_secret = session.master_secret.resumed(&context.randoms, key_log);
    let expanded = master_secret.expanded();
    let [client, server] = expanded.protections(context.suite, &context.randoms);
    let resumption = Resumption {
        context,
        session,
        master_secret,
        write: client,
        ticket: None,
    };
    if resumption.context.ticket_promised {
        let context = &resumption.context;
        outbox.listen_for_alerts(context.version, context.epochs.next, &server);
        Box::new(ExpectResumedTicket {
            resumption,
            read: server,
        })
    } else {
        resumption.arm(server, outbox)
    }
}

/// What both states know.
struct Resumption {
    context: Box<ClientContext12>,
    session: Arc<Session12>,
    master_secret: MasterSecret,
    write: RecordProtection,
    ticket: Option<NewSessionTicket>,
}

impl Resumption {
    /// Installs the read keys, for use after ChangeCipherSpec: the server's Finished is next.
    fn arm(self, read: RecordProtection, outbox: &mut Outbox) -> Box<dyn State> {
        outbox.push(Action::InstallRead {
            epoch: self.context.epochs.next,
            protection: read,
            when: ReadSwitch::OnChangeCipherSpec,
        });
        Box::new(ExpectResumedFinished(self))
    }

    /// The session as it is from now on: with the new ticket, if there is one, and no younger than
    /// it was.
    fn session(&self) -> Session12 {
        let renewed = self
            .ticket
            .as_ref()
            .filter(|message| !message.ticket.is_empty());
        let session = &self.session;
        let age = self
            .context
            .started
            .as_secs()
            .saturating_sub(session.agreed.created);
        let age = u32::try_from(age).unwrap_or(u32::MAX);
        Session12 {
            agreed: Agreed {
                max_fragment_length: self.context.limits.fragment(),
                alpn: self.context.alpn.clone(),
                ..session.agreed.clone()
            },
            exchanged: session.exchanged,
            master_secret: self.master_secret.clone(),
            extended_master_secret: session.extended_master_secret,
            lifetime: match renewed {
                Some(_) => lifetime(renewed).saturating_add(age).min(lifetime(None)),
                None => session.lifetime,
            },
            id: session.id.clone(),
            ticket: renewed.map_or_else(
                || session.ticket.clone(),
                |message| (&*message.ticket).into(),
            ),
        }
    }
}

/// A ticket was promised and comes before the server's ChangeCipherSpec (RFC 5077 §3.3).
struct ExpectResumedTicket {
    resumption: Resumption,
    read: RecordProtection,
}

impl State for ExpectResumedTicket {
    fn name(&self) -> &'static str {
        "ExpectResumedTicket"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == self.resumption.context.epochs.current
            && typ == HandshakeType::NEW_SESSION_TICKET)
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
        let Self {
            mut resumption,
            read,
        } = *self;
        resumption.context.add(inbound);
        resumption.ticket = Some(ticket);
        Ok(resumption.arm(read, outbox))
    }

    fn is_resuming(&self) -> bool {
        true
    }
}

/// Only the server's Finished is missing; the client's own answers it.
struct ExpectResumedFinished(Resumption);

impl State for ExpectResumedFinished {
    fn name(&self) -> &'static str {
        "ExpectResumedFinished"
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
        let mut resumption = self.0;
        let expanded = resumption.master_secret.expanded();
        let context = &mut resumption.context;
        let finished = expanded
            .verify_finished(
                Side::Server,
                context.transcript.hash().as_ref(),
                &verify_data,
            )
            .map_err(|_| PeerMisbehaved::BadFinished)?;
        context.add(inbound);
        let ours = expanded.verify_data(Side::Client, context.transcript.hash().as_ref());
        let finished = Finished {
            resumption,
            verify_data,
            ours,
            finished,
        };
        let context = &finished.resumption.context;
        let verifies = context.config.verifies_resumed();
        let identity = finished.resumption.session.agreed.peer_identity.as_ref();
        match identity.filter(|claim| verifies && claim.shared_key().is_none()) {
            Some(claim) => {
                outbox.ask_client(
                    &context.config,
                    ClientQuestion::VerifyServer {
                        claim: claim.clone(),
                        name: context.server_name.clone(),
                    },
                );
                Ok(Box::new(ExpectResumedVerified(finished)))
            }
            None => finished.reply(outbox),
        }
    }

    fn is_resuming(&self) -> bool {
        true
    }
}

/// Awaits the configured verifier's new verdict on the server's certificate.
struct ExpectResumedVerified(Finished);

impl State for ExpectResumedVerified {
    fn name(&self) -> &'static str {
        "ExpectResumedVerified"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Client(ClientAnswer::ServerVerified(verdict)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let _verified = verdict?;
        self.0.reply(outbox)
    }

    fn is_resuming(&self) -> bool {
        true
    }
}

/// The server is done; the client's part remains.
struct Finished {
    resumption: Resumption,
    /// What the server's Finished held.
    verify_data: VerifyData,
    /// What the client's will hold.
    ours: VerifyData,
    finished: FinishedVerified,
}

impl Finished {
    fn reply(self, outbox: &mut Outbox) -> Step {
        let Self {
            resumption,
            verify_data,
            ours,
            finished,
        } = self;
        let session = Arc::new(resumption.session());
        let Resumption {
            mut context,
            write,
            ticket,
            ..
        } = resumption;
        let Epochs { current, next } = context.epochs;
        outbox.switch_and_finish(context.epochs, write, &ours, &mut context.transcript)?;
        outbox.end_flight(FlightEnd::Final);
        if ticket.is_some() {
            outbox.push(Action::SaveSession(session.clone().into()));
        }
        outbox.push(Action::RetireRead(current));
        let finished_pair = FinishedPair {
            client: ours,
            server: verify_data,
        };
        let secure = context.secure_renegotiation;
        let continuity = Continuity::of_resumption(secure, finished_pair, &session);
        outbox.push(Action::Completed(Box::new(Completed {
            outcome: Outcome {
                resumed: true,
                group: session.exchanged.group(),
                retried: false,
                srtp: context.srtp,
                shown: None,
            },
            kind: CompletedKind::V12(Completed12 {
                session,
                epoch: next,
                randoms: context.randoms,
                continuity,
                cookie: context.cookie.into(),
            }),
            _finished: finished,
        })));
        Ok(Box::new(Complete))
    }
}
