//! The end of a server's full handshake of version 1.2: the client's Finished, the ticket, its own.

use super::ServerContext12;
use crate::crypto::suite::Authentication;
use crate::error::PeerMisbehaved;
use crate::handshake::renegotiation::{self, Continuity};
use crate::handshake::server::ticket::new_session_ticket;
use crate::handshake::state::{Complete, State, Step, unexpected};
use crate::handshake::{Action, Completed, Completed12, CompletedKind, Outbox, Outcome};
use crate::identity::Identity;
use crate::identity::proof::{ClaimVerified, SignatureVerified};
use crate::protocol::{Epoch, FlightEnd, HandshakeType, ReadSwitch, Side, SignatureScheme};
use crate::secrets::schedule12::{FinishedPair, MasterSecret, VerifyData};
use crate::secrets::traffic::RecordProtection;
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};
use std::sync::Arc;

/// What the key exchange has made.
pub(in crate::handshake::server) struct Secrets {
    pub(in crate::handshake::server) master_secret: MasterSecret,
    /// The client's, which is read with, and this server's.
    pub(in crate::handshake::server) protections: [RecordProtection; 2],
}

/// Who the client is, once everything about it was checked.
pub(in crate::handshake::server) enum Peer {
    Anonymous,
    /// The holder of a shared key: Finished proves that.
    Shares(Identity),
    Proved {
        claim: Identity,
        _verified: ClaimVerified,
        signature: SignatureVerified,
    },
}

impl Peer {
    /// Who the client is, and what it has proved that with.
    fn identity(self) -> (Option<Identity>, Option<SignatureScheme>) {
        match self {
            Self::Anonymous => (None, None),
            Self::Shares(holder) => (Some(holder), None),
            Self::Proved {
                claim, signature, ..
            } => (Some(claim), Some(signature.scheme())),
        }
    }
}

/// Installs the read keys, for use after ChangeCipherSpec: only the client's Finished is missing.
/// In a renegotiation the client must be who it was (E23).
pub(in crate::handshake::server) fn arm(
    context: Box<ServerContext12>,
    secrets: Secrets,
    peer: Peer,
    outbox: &mut Outbox,
) -> Step {
    let (identity, scheme) = peer.identity();
    let policy = &context.config.parameters.rekey;
    renegotiation::check_identity(context.binding.as_ref(), policy, identity.as_ref())?;
    let Secrets {
        master_secret,
        protections: [client, server],
    } = secrets;
    outbox.push(Action::InstallRead {
        epoch: context.epochs.next,
        protection: client,
        when: ReadSwitch::OnChangeCipherSpec,
    });
    Ok(Box::new(ExpectFinished {
        context,
        master_secret,
        identity,
        scheme,
        write: server,
    }))
}

/// Only the client's Finished is missing.
struct ExpectFinished {
    context: Box<ServerContext12>,
    master_secret: MasterSecret,
    identity: Option<Identity>,
    scheme: Option<SignatureScheme>,
    write: RecordProtection,
}

impl State for ExpectFinished {
    fn name(&self) -> &'static str {
        "ExpectFinished"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == self.context.epochs.next && typ == HandshakeType::FINISHED)
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
        self.complete(verify_data, inbound, outbox)
    }

    fn awaits_proof_of_shared_key(&self) -> bool {
        self.context.suite.authentication == Authentication::SharedKey
    }
}

impl ExpectFinished {
    /// Checks the client's Finished, answers with ChangeCipherSpec and Finished, and is done.
    fn complete(
        self,
        verify_data: VerifyData,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let Self {
            mut context,
            master_secret,
            identity,
            scheme,
            write,
        } = self;
        let hash = context.transcript.hash();
        let expanded = master_secret.expanded();
        let finished = expanded
            .verify_finished(Side::Client, hash.as_ref(), &verify_data)
            .map_err(|_| PeerMisbehaved::BadFinished)?;
        context.add(inbound);
        let session = Arc::new(context.session(master_secret, identity, scheme));
        let epochs = context.epochs;
        if context.ticket_promised {
            let sessions = &context.config.sessions;
            let body = new_session_ticket(sessions, &session, context.started);
            let typ = HandshakeType::NEW_SESSION_TICKET;
            outbox.send(epochs.current, typ, body, &mut context.transcript)?;
        }
        let ours = expanded.verify_data(Side::Server, context.transcript.hash().as_ref());
        outbox.switch_and_finish(epochs, write, &ours, &mut context.transcript)?;
        outbox.end_flight(FlightEnd::Final);
        if context.config.parameters.resumes(&session) {
            outbox.push(Action::SaveSession(session.clone().into()));
        }
        let finished_pair = FinishedPair {
            client: verify_data,
            server: ours,
        };
        let continuity = Continuity::of_full(context.secure_renegotiation, finished_pair);
        outbox.push(Action::RetireRead(epochs.current));
        outbox.push(Action::Completed(Box::new(Completed {
            outcome: Outcome {
                resumed: false,
                group: context.group,
                retried: false,
                srtp: context.srtp,
                shown: context.shown.map(Box::new),
            },
            kind: CompletedKind::V12(Completed12 {
                session,
                epoch: epochs.next,
                randoms: context.randoms,
                continuity,
                cookie: Box::default(),
            }),
            _finished: finished,
        })));
        Ok(Box::new(Complete))
    }
}
