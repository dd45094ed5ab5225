//! A server's states of version 1.2 while it resumes (RFC 5246 §7.3, RFC 5077 §3.1).

use super::full;
use super::terms::Terms;
use super::ticket::new_session_ticket;
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::limits;
use crate::handshake::renegotiation::{self, Continuity};
use crate::handshake::state::{Complete, State, Step, unexpected};
use crate::handshake::{
    Action, Answer, Completed, Completed12, CompletedKind, Epochs, Outbox, Outcome, ServerAnswer,
    ServerQuestion,
};
use crate::protocol::{
    CompressionMethod, Epoch, FlightEnd, HandshakeType, ReadSwitch, Side, SrtpProfile,
};
use crate::secrets::schedule12::{ExpectedFinished, FinishedPair, Randoms, VerifyData};
use crate::secrets::transcript::{Keeps, Transcript};
use crate::session::{Resumable, Session, Session12};
use crate::wire::client_hello::ClientHello;
use crate::wire::extension::ServerExtensions;
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};
use crate::wire::server_hello::ServerHello;
use std::sync::Arc;

/// Awaits the session from the store, or from the ticket.
pub(super) struct ExpectSession {
    pub(super) terms: Terms,
    pub(super) hello: Box<ClientHello>,
    pub(super) transcript: Transcript,
}

impl State for ExpectSession {
    fn name(&self) -> &'static str {
        "ExpectSession"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::Session(found)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let Self {
            terms,
            hello,
            transcript,
        } = *self;
        let Some(Session(Resumable::V12(session))) = found else {
            return full::start(terms, &hello, transcript, outbox);
        };
        if !fits(&terms, &hello, &session)? {
            return full::start(terms, &hello, transcript, outbox);
        }
        let resumption = Resumption {
            terms,
            hello,
            transcript,
            session,
        };
        // F3: the client's identity was checked when the session was made; its certificate may have
        // expired since.
        let verified = resumption
            .terms
            .config
            .client_authentication
            .verifier()
            .filter(|verifier| verifier.verifies_resumed());
        match (&resumption.session.agreed.peer_identity, verified) {
            (Some(claim), Some(_)) if claim.shared_key().is_none() => {
                let claim = claim.clone();
                outbox.ask_server(
                    &resumption.terms.config,
                    ServerQuestion::VerifyClient { claim },
                );
                Ok(Box::new(ExpectSessionVerified(resumption)))
            }
            _ => resumption.resume(outbox),
        }
    }
}

/// Whether the session is what a full handshake with this hello would have made (F2, F6).
///
/// # Errors
///
/// If a session with extended_master_secret is offered without it, the handshake fails
/// (RFC 7627 §5.3).
fn fits(terms: &Terms, hello: &ClientHello, session: &Session12) -> Result<bool, Error> {
    let offered = &hello.extensions;
    let config = &terms.config;
    if session.agreed.version != terms.dialect.version_12 {
        return Ok(false);
    }
    let unbound = config.parameters.resumes_unbound() && terms.binding.is_none();
    match (
        session.extended_master_secret,
        offered.extended_master_secret,
    ) {
        (true, true) => {}
        (true, false) => return Err(PeerMisbehaved::ExtendedMasterSecretDropped.into()),
        (false, false) if unbound => {}
        (false, _) => return Ok(false),
    }
    let suites = &config.parameters.algorithms.suites;
    let suite = suites.contains(&session.agreed.suite)
        && !session.agreed.suite.is_13()
        && hello.cipher_suites.contains(&session.agreed.suite.id);
    let alpn = terms.choose_alpn(offered.alpn.as_deref());
    let identity = terms.suits_identity(session.agreed.peer_identity.as_ref());
    let continues = terms.binding.as_ref().is_none_or(|binding| {
        binding.continues(
            &config.parameters.rekey,
            session.agreed.peer_identity.as_ref(),
        )
    });
    // RFC 6066 §4: a session keeps its length. RFC 8449 §4: the other limit is agreed on anew.
    let limits = terms.limits_12(hello)?;
    let limited = offered.limits.record_size_limit.is_some()
        || limits.fragment() == session.agreed.max_fragment_length;
    Ok(suite
        && limited
        && session.agreed.server_name.as_deref() == offered.server_name.as_deref()
        && alpn.as_ref() == Ok(&session.agreed.alpn)
        && identity
        && continues)
}

/// Awaits the configured verifier's new verdict on the client's certificate.
struct ExpectSessionVerified(Resumption);

impl State for ExpectSessionVerified {
    fn name(&self) -> &'static str {
        "ExpectSessionVerified"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::ClientVerified(verdict)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        match verdict {
            Ok(_verified) => self.0.resume(outbox),
            Err(reason) => {
                tracing::debug!(%reason, "the identity of a session is no longer accepted");
                let Resumption {
                    terms,
                    hello,
                    transcript,
                    ..
                } = self.0;
                full::start(terms, &hello, transcript, outbox)
            }
        }
    }
}

/// A session that may be resumed.
struct Resumption {
    terms: Terms,
    hello: Box<ClientHello>,
    transcript: Transcript,
    session: Arc<Session12>,
}

impl Resumption {
    /// Sends the whole of the server's part.
    fn resume(self, outbox: &mut Outbox) -> Step {
        let server_hello = self.server_hello()?;
        let Self {
            terms,
            hello,
            mut transcript,
            session,
        } = self;
        transcript.start_hash(session.agreed.suite.hash, Keeps::HashAlone);
        let Epochs { current, next } = terms.epochs;
        let ids = terms.connection_ids(&hello);
        let limits = terms.limits_12(&hello)?;
        outbox.decide(terms.dialect, terms.dialect.version_12, ids, limits);
        let mut body = Vec::with_capacity(128);
        server_hello.encode(&mut body);
        outbox.send(current, HandshakeType::SERVER_HELLO, body, &mut transcript)?;
        if server_hello.extensions.session_ticket {
            let sessions = &terms.config.sessions;
            let body = new_session_ticket(sessions, &session, terms.started);
            outbox.send(
                current,
                HandshakeType::NEW_SESSION_TICKET,
                body,
                &mut transcript,
            )?;
        }
        let randoms = Randoms {
            client: hello.random,
            server: server_hello.random,
        };
        let key_log = terms.config.parameters.key_log.as_deref();
        let master_secret = session.master_secret.resumed(&randoms, key_log);
        let expanded = master_secret.expanded();
        let [client, server] = expanded.protections(session.agreed.suite, &randoms);
        let verify_data = expanded.verify_data(Side::Server, transcript.hash().as_ref());
        outbox.switch_and_finish(terms.epochs, server, &verify_data, &mut transcript)?;
        let expected = expanded.expected(Side::Client, transcript.hash().as_ref());
        outbox.push(Action::InstallRead {
            epoch: next,
            protection: client,
            when: ReadSwitch::OnChangeCipherSpec,
        });
        outbox.end_flight(FlightEnd::AwaitReply);
        Ok(Box::new(ExpectResumedFinished {
            epochs: terms.epochs,
            secure_renegotiation: renegotiation::is_secure(&hello),
            srtp: server_hello.extensions.srtp,
            session,
            randoms,
            verify_data,
            expected,
        }))
    }

    fn server_hello(&self) -> Result<ServerHello, Error> {
        let Self {
            terms,
            hello,
            session,
            ..
        } = self;
        let (random, _) = terms.random_12(0)?;
        Ok(ServerHello {
            version: terms.dialect.version_12,
            random,
            // RFC 5246 §7.4.1.3, RFC 5077 §3.4: the echo says that the session is resumed.
            session_id: hello.session_id.clone(),
            cipher_suite: session.agreed.suite.id,
            compression_method: CompressionMethod::NULL,
            extensions: ServerExtensions {
                // RFC 6066 §3: not in a ServerHello that resumes.
                server_name: false,
                point_formats: None,
                srtp: terms.choose_srtp(hello),
                alpn: terms.granted_alpn(&session.agreed.alpn),
                extended_master_secret: session.extended_master_secret,
                session_ticket: terms.promises_ticket(hello),
                // F11: RFC 5746 §3.6, also in a resumption.
                renegotiation_info: terms.renegotiation_info(hello),
                certificate_types: terms.types_of_resumption(hello),
                limits: limits::answer(terms.limits_12(hello)?),
                ..ServerExtensions::with_connection_ids(terms.connection_ids(hello).as_ref())
            },
        })
    }
}

/// Only the client's Finished is missing.
struct ExpectResumedFinished {
    epochs: Epochs,
    /// Whether the client binds handshakes to each other (RFC 5746).
    secure_renegotiation: bool,
    srtp: Option<SrtpProfile>,
    session: Arc<Session12>,
    randoms: Randoms,
    /// What the server's Finished held.
    verify_data: VerifyData,
    /// What the client's must hold.
    expected: ExpectedFinished,
}

impl State for ExpectResumedFinished {
    fn name(&self) -> &'static str {
        "ExpectResumedFinished"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == self.epochs.next && typ == HandshakeType::FINISHED).then_some(Grammar::V12)
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
        let finished = self
            .expected
            .verify(&verify_data)
            .map_err(|_| PeerMisbehaved::BadFinished)?;
        outbox.push(Action::RetireRead(self.epochs.current));
        let finished_pair = FinishedPair {
            client: verify_data,
            server: self.verify_data,
        };
        let secure = self.secure_renegotiation;
        let continuity = Continuity::of_resumption(secure, finished_pair, &self.session);
        outbox.push(Action::Completed(Box::new(Completed {
            outcome: Outcome {
                resumed: true,
                group: self.session.exchanged.group(),
                retried: false,
                srtp: self.srtp,
                shown: None,
            },
            kind: CompletedKind::V12(Completed12 {
                session: self.session,
                epoch: self.epochs.next,
                randoms: self.randoms,
                continuity,
                cookie: Box::default(),
            }),
            _finished: finished,
        })));
        Ok(Box::new(Complete))
    }

    fn is_resuming(&self) -> bool {
        true
    }
}
